# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run inside Odoo's shell by `make demo`: a Chilean company issues one document of each kind and waits for verdicts.

Reads DTE_SIMULATOR_URL and DTE_DEMO_RESULT from the environment; `env` is Odoo's. Exits with 1 when a verdict is not
the expected one.
"""

import json
import os
import sys
import time
from pathlib import Path

from odoo import SUPERUSER_ID

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_invoice
from odoo.addons.l10n_cl_dte.wizards.dte_demo import HOLDER, RUT

WAIT_SECONDS = 60
EXPECTED = ["accepted"] * 7 + ["objected", "rejected"]


def main(env) -> int:
    started = time.monotonic()
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    if env.uid == SUPERUSER_ID:
        env["res.lang"]._activate_lang("es_CL")
        # As the accountant would: in her name, language and time zone.
        admin = env.ref("base.user_admin")
        admin.write({"lang": "es_CL", "tz": "America/Santiago"})
        env = env(user=admin, context={"lang": "es_CL", "tz": "America/Santiago"}, su=False)
    company = env.company
    if company.dte_certificate_rut != HOLDER:
        make_company(env, company, simulator)
    company.dte_simulator_url = simulator.url
    env.cr.commit()
    moves = issue_all(env, company, simulator)
    rows = table(moves, simulator)
    show(rows)
    result = {"documents": rows, "seconds": round(time.monotonic() - started, 1)}
    Path(os.environ["DTE_DEMO_RESULT"]).write_text(json.dumps(result, indent=1, ensure_ascii=False))
    return 0 if [row["status"] for row in rows] == EXPECTED == [row["verdict"] for row in rows] else 1


def make_company(env, company, simulator):
    """Make the demo company that the addon offers, with an archive folder besides."""
    company.dte_environment = "simulator"
    env["dte.demo"].create({"company_id": company.id, "simulator_url": simulator.url})._make()
    company.dte_archive_url = os.environ.get("DTE_DEMO_ARCHIVE")
    journal(env, company).name = "Facturas de cliente"
    env.cr.commit()


def journal(env, company):
    return env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)


def issue_all(env, company, simulator):
    """Issue the documents in the order in which they can be accepted: notes after what they correct."""
    sales = journal(env, company)
    customers = env["res.partner"].search([("vat", "in", ("88888888-8", "77123456-9"))], order="vat desc")
    hardware, bakery = customers[0], customers[1]
    goods = [
        {"name": "Martillo carpintero mango de fibra", "quantity": 3, "price_unit": 8990, "discount": 7},
        {"name": "Tornillos 2'' (caja de 100)", "quantity": 12.5, "price_unit": 2490.5},
    ]
    services = [{"name": "Capacitación a personal", "quantity": 8, "price_unit": 45000}]
    invoice = make_invoice(sales, hardware, goods)
    to_annul = make_invoice(sales, bakery, [{"name": "Horno eléctrico", "quantity": 1, "price_unit": 389990}])
    exempt = make_invoice(sales, bakery, services, "34")
    objected = make_invoice(sales, bakery, [{"name": "Arriendo de vitrina", "quantity": 1, "price_unit": 90000}])
    rejected = make_invoice(sales, hardware, [{"name": "Escalera de aluminio", "quantity": 1, "price_unit": 74990}])
    first = invoice + to_annul + exempt + objected + rejected
    for move in first:
        move.action_post()
    for move, outcome in ((objected, "object"), (rejected, "reject")):
        simulator.call("POST", "verdict", issuer=RUT, type=33, folio=move.dte_folio, outcome=outcome)
    # Each alone: the counts of an envelope then tell the verdict of its only document.
    for move in first:
        send_and_wait(env, move)
    notes = (
        reverse(to_annul, "1", "Compra equivocada")
        + reverse(exempt, "2", "Giro", dte_original_text="Comercio al por menor", dte_corrected_text="Panadería")
        + partial_return(invoice)
        + interest(invoice)
    )
    for note in notes:
        note.action_post()
        send_and_wait(env, note)
    return invoice + to_annul + exempt + notes + objected + rejected


def reverse(move, code, reason, **values):
    wizard = move.env["account.move.reversal"].with_context(active_model="account.move", active_ids=move.ids)
    action = wizard.create(
        {"journal_id": move.journal_id.id, "reason": reason, "dte_code": code, **values}
    ).refund_moves()
    return move.browse(action["res_id"])


def partial_return(move):
    """A credit note for one of the products: it corrects amounts."""
    note = reverse(move, "3", "Devolución de un martillo")
    note.invoice_line_ids[1:].unlink()
    note.invoice_line_ids.quantity = 1
    return note


def interest(move):
    """A debit note that raises the amount."""
    wizard = move.env["account.debit.note"].with_context(active_model="account.move", active_ids=move.ids)
    note = move.browse(wizard.create({"reason": "Intereses por mora"}).create_debit()["res_id"])
    note.invoice_line_ids = [(0, 0, {"name": "Intereses por mora", "quantity": 1, "price_unit": 1350})]
    return note


def send_and_wait(env, moves):
    """Send and ask until there is a verdict."""
    env.cr.commit()
    moves.action_send_to_sii()
    until = time.monotonic() + WAIT_SECONDS
    while set(moves.mapped("dte_status")) & {"sent", "to_send"}:
        if time.monotonic() > until:
            raise SystemExit(f"no verdict after {WAIT_SECONDS} s: {moves.mapped('dte_message')}")
        moves.action_dte_status()
        time.sleep(0.2)


def table(moves, simulator):
    held = simulator.documents(RUT)
    return [
        {
            "type": int(move.dte_document_id.dte_type),
            "folio": move.dte_folio,
            "track_id": move.dte_track_id,
            "status": move.dte_status,
            "verdict": held.get((int(move.dte_document_id.dte_type), move.dte_folio), {}).get("state"),
        }
        for move in moves
    ]


def show(rows):
    print(f"\n{'type':>5} {'folio':>6}  {'track id':<11} {'in Odoo':<10} at the SII")
    for row in rows:
        print(f"{row['type']:>5} {row['folio']:>6}  {row['track_id']:<11} {row['status']:<10} {row['verdict']}")


if __name__ == "__main__":
    sys.exit(main(env))  # noqa: F821 - Odoo's shell defines it
