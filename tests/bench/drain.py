# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell after hold.py: how a manager sees what waits, and how it leaves.

In a process of its own, so that its memory is that of a job which drains. Writes the figures as JSON to RESULT_FILE.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import requests

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import RUT, count_uploads

ROUNDS = 5
JUDGE_SECONDS = 600


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    count = int(os.environ["DOCUMENTS"])
    env = env(user=env.ref("base.user_admin"), context={})
    result = {
        "wizard_seconds": slowest(env, open_wizard),
        "status_seconds": slowest(env, lambda env: env["dte.contingency"].get_status()),
    }
    env["dte.contingency"].disable_contingency()
    env.cr.commit()
    env.invalidate_all()
    result |= drain(env["dte.contingency"].sudo().env)
    result["envelopes"] = count_uploads(simulator)
    check(env, simulator, count)
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(result))


def slowest(env, action) -> float:
    """Return the longest of a few times; nothing is in memory when one begins."""
    seconds = []
    for _round in range(ROUNDS):
        env.invalidate_all()
        started = time.monotonic()
        action(env)
        seconds.append(time.monotonic() - started)
    env.cr.rollback()
    return max(seconds)


def open_wizard(env):
    """What the server does for a web client that opens the wizard: values of a new one, saved, and read again."""
    wizards = env["contingency.wizard"]
    spec = {name: {} for name in wizards.get_views([(False, "form")])["models"]["contingency.wizard"]["fields"]}
    wizards.onchange({}, [], spec)
    wizard = wizards.create(wizards.default_get(list(spec)))
    return wizard.web_read(spec)


def drain(env) -> dict:
    """Let the job send everything, and measure the memory of this process above what it needed before."""
    before = memory("VmRSS")
    # Sets the highest mark to what is used now.
    Path("/proc/self/clear_refs").write_text("5")
    started = time.monotonic()
    env["dte.contingency"]._cron_contingency()
    seconds = time.monotonic() - started
    return {"seconds": seconds, "growth_mb": (memory("VmHWM") - before) / 1024}


def memory(name: str) -> int:
    """Return a line of the kernel's report on this process, in KiB."""
    report = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in report.splitlines() if line.startswith(f"{name}:"))


def check(env, simulator, count):
    """See that everything left, once, and that the record says so."""
    env.invalidate_all()
    states = Counter(env["dte.document"].search([]).mapped("state"))
    if states != {"sent": count}:
        raise SystemExit(f"Not all were sent: {states}")
    episode = env["dte.contingency.episode"].search([])
    numbers = (episode.held_count, episode.uploaded_count, episode.failed_count, episode.waiting_count)
    if numbers != (count, count, 0, 0):
        raise SystemExit(f"The record of the contingency says {numbers}")
    requests.post(f"{simulator.url}/control/process", timeout=JUDGE_SECONDS).raise_for_status()
    held = simulator.documents(RUT)
    if len(held) != count or any(document["state"] != "accepted" for document in held.values()):
        raise SystemExit("The simulator does not accept the documents that were drained.")


main(env)  # noqa: F821 - Odoo's shell defines it
