# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: two Chilean companies that issue into the simulator, with folios, customers and users.

Reads CHAOS_FILE, a JSON with `documents`, `passwords` (login to password), `archive` (a folder), `envio_sizes` and
`url`, and adds the ids that the run needs. Users have the role of a DTE user and nothing else; each company has one
manager, who corrects documents.
"""

import base64
import json
import os
from pathlib import Path

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_customer, make_user, set_up_company

COMPANIES = (("Comercial Aconcagua SpA", "76543210-3"), ("Servicios Ñielol Ltda.", "77654321-7"))
TYPES = (33, 34, 56, 61)
# The least that the setting allows: a call that hangs shall not hold a worker for long.
UPLOAD_SECONDS = 10
LATER_JOBS = ("ir_cron_archive_scrub", "ir_cron_archive_cleanup")
CUSTOMERS = (("Ferretería El Tornillo Ltda.", "88888888-8"), ("Panadería Añañuca SpA", "77123456-9"))


def main(env):
    path = Path(os.environ["CHAOS_FILE"])
    told = json.loads(path.read_text())
    simulator = Simulator(told["url"])
    # Nothing but the jobs of the addon shall run beside the users.
    env["ir.cron"].search([("id", "not in", own_crons(env).ids)]).active = False
    told["customers"] = [make_customer(env, name, rut).id for name, rut in CUSTOMERS]
    told["companies"] = [make_company(env, simulator, number, told) for number in range(len(COMPANIES))]
    told["crons"] = own_crons(env).ids
    env.cr.commit()
    path.write_text(json.dumps(told))


def own_crons(env):
    """Return the jobs that take part: those that look after old documents have nothing to do in a run."""
    data = env["ir.model.data"].search(
        [("module", "=", "l10n_cl_dte"), ("model", "=", "ir.cron"), ("name", "not in", LATER_JOBS)]
    )
    return env["ir.cron"].browse(data.mapped("res_id"))


def make_company(env, simulator, number, told):
    documents = told["documents"]
    name, rut = COMPANIES[number]
    company = env.company if number == 0 else env["res.company"].create({"name": name})
    company.write({"name": name, "country_id": env.ref("base.cl").id})
    env.user.company_ids = [(4, company.id)]
    env = env(context={"allowed_company_ids": [company.id]})
    company = company.with_env(env)
    env["account.chart.template"].try_loading("cl", company)
    set_up_company(company, simulator, rut)
    company.write({"dte_envio_size": told["envio_sizes"][number], "dte_upload_seconds": UPLOAD_SECONDS})
    company.dte_archive_url = told["archive"]
    journal = env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
    journal.dte_enabled = True
    for dte_type in TYPES:
        # The second range is reached in the middle of the run.
        for first, last in ((1, documents // 6 + 1), (documents // 6 + 2, 3 * documents)):
            content = simulator.caf(rut, dte_type, first, last)
            env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
    users = [
        # The name says the role: user_0_3, manager_1.
        make_user(company, login, password, f"group_dte_{login.partition('_')[0]}").login
        for login, password in told["passwords"].items()
        if login.split("_")[1] == str(number)
    ]
    return {
        "id": company.id,
        "rut": rut,
        "journal": journal.id,
        "vat": company.account_sale_tax_id.id,
        "types": {
            document_type.code: document_type.id
            for document_type in env["l10n_latam.document.type"].search([("country_id.code", "=", "CL")])
            if document_type.code in map(str, TYPES)
        },
        "users": users,
    }


main(env)  # noqa: F821 - Odoo's shell defines it
