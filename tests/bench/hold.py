# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: a company in contingency with many documents that somebody asked to send.

Reads DOCUMENTS and writes how long it took to make and to hold them as JSON to RESULT_FILE.
"""

import json
import os
import sys
import time
from pathlib import Path

from odoo import fields

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, issue_many, prepare


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    begin(simulator)
    count = int(os.environ["DOCUMENTS"])
    admin = env.ref("base.user_admin")
    admin.group_ids += env.ref("l10n_cl_dte.group_dte_manager")
    started = time.monotonic()
    documents = issue_many(prepare(env, simulator, count), count)
    issued = time.monotonic() - started
    documents.company_id.dte_drain_seconds = 0
    documents.queued_at = fields.Datetime.now()
    env["dte.contingency"].with_user(admin).enable_contingency("maintenance", "10.000 documentos")
    env.cr.commit()
    env.invalidate_all()
    started = time.monotonic()
    env["dte.envio"]._cron_send()
    seconds = time.monotonic() - started
    env.invalidate_all()
    if set(documents.mapped("state")) != {"contingency"}:
        raise SystemExit(f"Not all were held: {documents.grouped('state')}")
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps({"issue_seconds": issued, "hold_seconds": seconds}))


main(env)  # noqa: F821 - Odoo's shell defines it
