# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: how fast the sending job delivers documents, many per envelope and one by one.

Reads DOCUMENTS (of each kind) and writes, by kind, the seconds, uploads and logins as JSON to RESULT_FILE.
"""

import json
import os
import sys
import time
from pathlib import Path

from odoo import fields

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import RUT, begin, count_uploads, issue_many, prepare

SIZES = {"batched": 50, "single": 1}


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    begin(simulator)
    count = int(os.environ["DOCUMENTS"])
    documents = issue_many(prepare(env, simulator, len(SIZES) * count), len(SIZES) * count)
    results = {}
    for number, (kind, size) in enumerate(SIZES.items()):
        ids = documents.ids[number * count : (number + 1) * count]
        results[kind] = deliver(env, simulator, env["dte.document"].browse(ids), size)
    simulator.call("POST", "process")
    held = simulator.documents(RUT).values()
    if len(held) != len(documents) or any(document["state"] != "accepted" for document in held):
        raise SystemExit("The simulator does not accept the documents that were delivered.")
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(results))


def deliver(env, simulator, documents, size):
    """Let the job send documents in envelopes of this size, after a login of its own."""
    company = documents.company_id
    company.dte_envio_size = size
    env["dte.sii.session"].search([]).unlink()
    documents.queued_at = fields.Datetime.now()
    env.cr.commit()
    env.invalidate_all()
    uploads, logins = count_uploads(simulator), count_logins(env)
    started = time.monotonic()
    env["dte.envio"]._cron_send()
    seconds = time.monotonic() - started
    env.invalidate_all()
    if set(documents.mapped("state")) != {"sent"}:
        raise SystemExit(f"Not all were sent: {documents.grouped('state')}")
    return {
        "seconds": seconds,
        "uploads": count_uploads(simulator) - uploads,
        "logins": count_logins(env) - logins,
    }


def count_logins(env):
    return env["dte.sii.call"].search_count([("service", "=", "login")])


main(env)  # noqa: F821 - Odoo's shell defines it
