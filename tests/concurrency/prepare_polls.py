# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: ENVELOPES envelopes of one document that the SII has judged and nobody has asked about.

All of them are due, and of the jobs only the one that asks is left.
"""

import os
import sys
from pathlib import Path

import requests

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, issue_many, make_due, prepare, send_all

JUDGE_SECONDS = 600


def main(env):
    simulator, count = Simulator(os.environ["DTE_SIMULATOR_URL"]), int(os.environ["ENVELOPES"])
    begin(simulator)
    documents = issue_many(prepare(env, simulator, count), count)
    send_all(documents, 1)
    requests.post(f"{simulator.url}/control/process", timeout=JUDGE_SECONDS).raise_for_status()
    job = env.ref("l10n_cl_dte.ir_cron_check_status")
    env["ir.cron"].search([("id", "!=", job.id)]).active = False
    env["ir.cron.trigger"].search([]).unlink()
    job.nextcall = "2026-01-01"
    make_due(documents.envio_id)


main(env)  # noqa: F821 - Odoo's shell defines it
