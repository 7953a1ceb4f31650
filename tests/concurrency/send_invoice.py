# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: post one invoice and send it, as a user's request does.

Writes the pid of its main connection to PID_FILE before it sends, and the state of the document after it to
RESULT_FILE.
"""

import base64
import os
from pathlib import Path

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_customer, make_invoice, set_up_company


def main(env):
    simulator, rut = Simulator(os.environ["DTE_SIMULATOR_URL"]), os.environ["RUT"]
    company = env.company
    company.name = "Empresa que espera"
    env["account.chart.template"].try_loading("cl", company)
    set_up_company(company, simulator, rut)
    content = simulator.caf(rut, 33, 1, 10)
    env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
    journal = env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
    journal.dte_enabled = True
    customer = make_customer(env, "Cliente que espera", "88888888-8")
    move = make_invoice(journal, customer, [{"name": "Servicio", "quantity": 1, "price_unit": 1000}])
    move.action_post()
    env.cr.commit()
    env.cr.execute("SELECT pg_backend_pid()")
    Path(os.environ["PID_FILE"]).write_text(str(env.cr.fetchone()[0]))
    move.action_send_to_sii()
    env.cr.commit()
    Path(os.environ["RESULT_FILE"]).write_text(move.dte_status)


main(env)  # noqa: F821 - Odoo's shell defines it
