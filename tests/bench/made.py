# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""For the scripts of the bench in Odoo's shell: a company with many real signed documents, made the quick way."""

import base64
import dataclasses

from odoo import fields
from odoo.tools import SQL

from odoo.addons.l10n_cl_dte.libs import issue
from odoo.addons.l10n_cl_dte.tests.simulated import make_customer, make_invoice, set_up_company

RUT = "76543210-3"
# So long that the simulator looks at no document before the last one has arrived.
LATER = 36000


def begin(simulator):
    """Let the simulator take envelopes at once and look at them later."""
    simulator.call("POST", "settings", delays={"registered": LATER}, schema_errors="rsc")


def prepare(env, simulator, count):
    """Return a posted invoice of a company with `count` folios."""
    company = env.company
    company.name = "Empresa que mide"
    env["account.chart.template"].try_loading("cl", company)
    set_up_company(company, simulator, RUT)
    content = simulator.caf(RUT, 33, 1, count)
    env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
    journal = env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
    journal.dte_enabled = True
    move = make_invoice(
        journal,
        make_customer(env, "Cliente que mide", "88888888-8"),
        [{"name": "Servicio", "quantity": 1, "price_unit": 1000}],
    )
    move.action_post()
    return move


def issue_many(move, count):
    """Return the document of a posted invoice and those of copies of it, `count` in all. Commits.

    Posting is not what is measured, and takes longer than all the rest: only the documents are made as it makes them.
    """
    env, company = move.env, move.company_id
    caf_record = move.dte_document_id.caf_id
    caf, credentials, now = caf_record._parsed(), company._dte_credentials(), company._dte_now()
    dte = move._dte_values(move.dte_folio)
    documents = move.dte_document_id
    for copied in copy_rows(move, count - 1):
        own = dataclasses.replace(dte, folio=copied.sequence_number)
        documents |= env["dte.document"]._make(copied, caf_record, own, issue.issue(own, caf, credentials, now), now)
    env.cr.commit()
    return documents


def copy_rows(move, count):
    """Copy the row of an invoice, without its lines, for the next folios."""
    env = move.env
    env.flush_all()
    changed = {
        "id": SQL("nextval('account_move_id_seq')"),
        "name": SQL("'F ' || lpad((%s + number)::text, 6, '0')", move.sequence_number),
        "sequence_number": SQL("%s + number", move.sequence_number),
        "dte_document_id": SQL("NULL"),
    }
    names = [name for name, field in move._fields.items() if field.store and field.column_type]
    rows = env.execute_query(
        SQL(
            "INSERT INTO account_move (%s) SELECT %s FROM account_move, generate_series(1, %s) number"
            " WHERE id = %s RETURNING id",
            SQL(", ").join(SQL.identifier(name) for name in names),
            SQL(", ").join(changed.get(name, SQL.identifier(name)) for name in names),
            count,
            move.id,
        )
    )
    return env["account.move"].browse(sorted(row[0] for row in rows))


def send_all(documents, size):
    """Let the job send documents in envelopes of this size. Commits."""
    env, company = documents.env, documents.company_id
    company.dte_envio_size = size
    documents.queued_at = fields.Datetime.now()
    env.cr.commit()
    env["dte.envio"]._cron_send()
    env.invalidate_all()
    if set(documents.mapped("state")) != {"sent"}:
        raise SystemExit(f"Not all were sent: {documents.grouped('state')}")


def make_due(envios):
    """Let the time of the next question about these envelopes be now, and that of no other one. Commits."""
    env = envios.env
    env.flush_all()
    env.cr.execute("UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC' + interval '1 day'")
    env.cr.execute(
        "UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC' - interval '1 minute' WHERE id = ANY(%s)",
        [envios.ids],
    )
    env.cr.commit()
    env.invalidate_all()


def count_uploads(simulator):
    return len(simulator.call("GET", f"ledger?issuer={RUT}")["uploads"])
