# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: a company with two journals, two CAFs and drafts in each journal.

Reads DRAFTS (per journal) and writes the ids of the drafts, by journal, as JSON to DRAFTS_FILE.
"""

import base64
import json
import os
from pathlib import Path

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_customer, make_invoice, set_up_company

RUT = "76543210-3"


def main(env):
    count = int(os.environ["DRAFTS"])
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    company = env.company
    company.name = "Empresa con dos cajas"
    env["account.chart.template"].try_loading("cl", company)
    set_up_company(company, simulator, RUT)
    # The second range is reached in the middle of the run.
    for first, last in ((1, count), (5001, 5000 + 2 * count)):
        content = simulator.caf(RUT, 33, first, last)
        env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
    journal = env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
    journal.dte_enabled = True
    other = journal.copy({"default_account_id": journal.default_account_id.id, "dte_enabled": True})
    # A customer for each journal: Odoo itself counts the sales of a customer in one row and would wait on it.
    customers = [make_customer(env, "Cliente uno", "88888888-8"), make_customer(env, "Cliente dos", "77777777-7")]
    line = {"name": "Servicio", "quantity": 1, "price_unit": 1000}
    drafts = [
        [make_invoice(sales, customer, [line]).id for _number in range(count)]
        for sales, customer in zip((journal, other), customers, strict=True)
    ]
    env.cr.commit()
    Path(os.environ["DRAFTS_FILE"]).write_text(json.dumps(drafts))


main(env)  # noqa: F821 - Odoo's shell defines it
