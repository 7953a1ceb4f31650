# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: how fast the job learns the verdicts of envelopes that the SII has judged.

Reads ENVELOPES (of one document) and BATCHES (envelopes of 50) and writes, by kind, documents, seconds and calls to the
SII as JSON to RESULT_FILE.
"""

import json
import os
import sys
import time
from pathlib import Path

import requests

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, issue_many, make_due, prepare, send_all

JUDGE_SECONDS = 900
BATCH = 50


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    begin(simulator)
    singles, batches = int(os.environ["ENVELOPES"]), int(os.environ["BATCHES"])
    count = singles + BATCH * batches
    documents = issue_many(prepare(env, simulator, count), count)
    parts = {"single": documents[:singles], "batched": documents[singles:]}
    send_all(parts["single"], 1)
    send_all(parts["batched"], BATCH)
    requests.post(f"{simulator.url}/control/process", timeout=JUDGE_SECONDS).raise_for_status()
    results = {kind: poll(env, part) for kind, part in parts.items()}
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(results))


def poll(env, documents):
    """Let the job ask about the envelopes of these documents, after a login of its own."""
    env["dte.sii.session"].search([]).unlink()
    make_due(documents.envio_id)
    calls = env["dte.sii.call"].search_count([])
    started = time.monotonic()
    env["dte.envio"]._cron_check_status()
    seconds = time.monotonic() - started
    env.invalidate_all()
    if set(documents.mapped("state")) != {"accepted"} or not all(documents.mapped("told")):
        raise SystemExit(f"Not all were accepted and told: {documents.grouped('state')}")
    calls = env["dte.sii.call"].search_count([]) - calls
    return {"documents": len(documents), "seconds": seconds, "calls": calls}


main(env)  # noqa: F821 - Odoo's shell defines it
