# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import datetime, timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..const import ENVIRONMENTS
from . import dte_messages
from .dte_document import SENDABLE

ERROR_TYPES = [
    ("timeout", "Timeout"),
    ("connection", "Connection"),
    ("unavailable", "SII unavailable"),
    ("validation", "Content of the document"),
    ("certificate", "Certificate or permission"),
    ("unknown", "Unknown"),
]
# What time does not cure: these go straight to a person.
PERMANENT = ("validation", "certificate")

_STATE_OF = {"retry": "pending", "to_send": "pending", "unknown": "retrying", "failed": "abandoned"}
_DELIVERED = ("sent", "no_answer", "accepted", "objected", "rejected")


class DteFailedQueue(models.Model):
    """The ledger of deliveries that failed: one row from the first failure of a document to its delivery or its end.

    It follows the documents, which decide alone what is sent and when (see `dte.document`); the attempts themselves are
    the document's envelopes.
    """

    _name = "dte.failed.queue"
    _description = "Queue of Failed Electronic Documents"
    _order = "next_retry_date, id"
    _check_company_auto = True

    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="restrict", index=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    dte_type = fields.Char(string="Type Code", required=True, readonly=True, index=True)
    folio = fields.Integer(required=True, readonly=True, aggregator=False)
    rut_emisor = fields.Char(string="Issuer RUT", required=True, readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    xml_content = fields.Binary(related="document_id.xml_content", string="XML")
    document_state = fields.Selection(related="document_id.state", string="SII Status")
    error_type = fields.Selection(ERROR_TYPES, required=True, readonly=True)
    error_code = fields.Char(readonly=True)
    error_params = fields.Json(readonly=True)
    error_text = fields.Char(readonly=True, help="What an integration said about the failure.")
    error_message = fields.Text(string="Error", compute="_compute_error_message")
    retry_count = fields.Integer(string="Retries", readonly=True, aggregator=False)
    max_retries = fields.Integer(string="Retries Allowed", readonly=True, aggregator=False, default=5)
    failed_date = fields.Datetime(string="Failed On", readonly=True, required=True, default=fields.Datetime.now)
    last_retry_date = fields.Datetime(string="Last Retry On", readonly=True)
    next_retry_date = fields.Datetime(string="Next Retry On", readonly=True, index="btree_not_null")
    state = fields.Selection(
        [("pending", "Pending"), ("retrying", "Retrying"), ("success", "Delivered"), ("abandoned", "Given up")],
        required=True,
        readonly=True,
        default="pending",
        index=True,
    )
    success_track_id = fields.Char(string="Track ID", readonly=True)
    success_date = fields.Datetime(string="Delivered On", readonly=True)
    abandoned_date = fields.Datetime(string="Given Up On", readonly=True)
    retry_history = fields.Many2many(related="document_id.envio_ids", string="Attempts")

    _unique_open = models.UniqueIndex(
        "(document_id) WHERE state IN ('pending', 'retrying')", "This document is already in the queue."
    )

    @api.depends("dte_type", "folio", "document_id")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.document_id.display_name

    @api.depends("error_code", "error_params", "error_text")
    @api.depends_context("lang")
    def _compute_error_message(self):
        for row in self:
            table = dte_messages.ERRORS if row.error_code in dte_messages.ERRORS else dte_messages.STATES
            row.error_message = row.error_text or (
                row.error_code and dte_messages.describe(self.env, table, row.error_code, row.error_params)
            )

    # -- following the documents --

    @api.model
    def _follow(self, documents):
        """Make the rows of these documents say what the documents say. The caller holds the documents' locks."""
        rows = self.search([("document_id", "in", documents.ids), ("state", "in", ("pending", "retrying"))])
        by_document = rows.grouped("document_id")
        for document in documents:
            row = by_document.get(document, self)
            if document.superseded:
                row.write({"state": "abandoned", "abandoned_date": fields.Datetime.now(), "next_retry_date": False})
                continue
            if not row and document.state not in ("retry", "unknown", "failed"):
                continue
            values = self._values_of(document)
            if row:
                row.write(values)
            else:
                self.create({**self._identity_of(document), **values})

    def _identity_of(self, document) -> dict:
        return {
            "document_id": document.id,
            "company_id": document.company_id.id,
            "environment": document.environment,
            "dte_type": document.dte_type,
            "folio": document.folio,
            "rut_emisor": document.issuer_rut,
            "move_id": document.move_id.id,
        }

    def _values_of(self, document) -> dict:
        envio = document.envio_id
        if document.state in _DELIVERED:
            return {
                "state": "success",
                "success_track_id": document.track_id,
                "success_date": envio.answered_at or fields.Datetime.now(),
                "next_retry_date": False,
            }
        if document.state == "contingency":
            # It waits for the SII, not for its next attempt; what its failure was stays.
            return {"state": "pending", "next_retry_date": False}
        retries = max(document.failures - 1, 0)
        return {
            "state": _STATE_OF[document.state],
            "abandoned_date": fields.Datetime.now() if document.state == "failed" else False,
            "error_type": document.error_type or "unknown",
            "error_code": document.message_code,
            "error_params": document.message_params,
            "retry_count": retries,
            "max_retries": len(document.company_id._dte_retry_hours()),
            "last_retry_date": envio.attempted_at if retries else False,
            "next_retry_date": envio.due_at if document.state == "unknown" else document.retry_at,
        }

    @api.model
    def _mark_retrying(self, documents):
        """Show that an attempt is running; part of the claim, which holds the documents' locks."""
        self.search([("document_id", "in", documents.ids), ("state", "=", "pending")]).state = "retrying"

    @api.model
    def _follow_due(self, documents):
        """Show that the next attempts of these are due at other times. The caller holds the documents' locks."""
        rows = self.search([("document_id", "in", documents.ids), ("state", "=", "pending")])
        for retry_at, group in rows.grouped(lambda row: row.document_id.retry_at).items():
            group.next_retry_date = retry_at

    # -- times --

    @api.model
    def _calculate_next_retry_date(self, retry_count: int, company=None) -> datetime | None:
        """Return when the retry after `retry_count` retries is due, in UTC; None when all are used up."""
        hours = (company or self.company_id or self.env.company)._dte_retry_hours()
        if retry_count >= len(hours):
            return None
        return fields.Datetime.now() + timedelta(hours=hours[retry_count])

    # -- jobs --

    @api.model
    def _cron_retry_failed_dtes(self):
        """Send the documents whose next attempt is due; fresh ones go first in every turn."""
        self.env["dte.envio"]._serve(retries=True)

    @api.model
    def _wake_retries(self):
        job = self.env.ref("l10n_cl_dte.ir_cron_retry", raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; users only wake them
            job.sudo()._trigger()

    # -- people --

    def action_retry_now(self):
        """Send the documents of these rows now. Commits."""
        return self.document_id.action_send()

    def action_abandon(self):
        """Stop trying to send these documents."""
        self._check_manager()
        self.sudo().document_id._give_up()  # sudo: the role was checked; nobody has the right to write
        return self._told()

    def action_reopen(self):
        """Let given-up documents leave again, because their cause is solved."""
        self._check_manager()
        self.sudo().document_id._reopen()  # sudo: see action_abandon
        self.env["dte.envio"]._wake_job(self.company_id)
        return self._told()

    def _told(self):
        self.sudo().document_id._tell()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_view_invoice(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    def action_view_document(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "dte.document",
            "res_id": self.document_id.id,
            "view_mode": "form",
        }

    # -- integrations --

    def retry_send(self) -> bool:
        """Send the documents of these rows now and tell whether all of them were delivered. Commits."""
        self._check_manager()
        self.action_retry_now()
        self.invalidate_recordset()
        return all(row.document_id.state in _DELIVERED for row in self)

    @api.model
    def add_failed_dte(
        self,
        dte_type: str,
        folio: int,
        xml_content: bytes | str,
        error_type: str,
        error_message: str,
        move_id: int,
        rut_emisor: str | None = None,
    ):
        """Put a document of an invoice into the queue because somebody else failed to deliver it.

        A permanent error goes to a person, any other is tried again after the first delay. Whoever failed may have
        delivered it all the same, so the SII is asked before anything is sent.

        :param xml_content: the signed document, bytes in ISO-8859-1 (a str is encoded so); must be what is archived
        :param error_type: timeout, connection, unavailable, validation, certificate or unknown
        :return: the open row, the existing one when the document is already in the queue
        :raises UserError: when there is no such document, its bytes differ, or the SII has it already
        """
        self._check_manager()
        if error_type not in dict(ERROR_TYPES):
            raise UserError(self.env._("%s is not a class of errors.", error_type))
        move = self.env["account.move"].browse(move_id)
        move.check_access("read")
        document = self._document_of(move, str(dte_type), int(folio), xml_content, rut_emisor)
        found = self.sudo().search([("document_id", "=", document.id), ("state", "in", ("pending", "retrying"))])
        if not found:
            return self._add(document, error_type, error_message).with_env(self.env)
        if found.state == "pending":
            # What another system tried since the row was opened may have arrived.
            document._lock_for_person().write({"ask_first": True, "elsewhere": True})
        return found.with_env(self.env)

    def _document_of(self, move, dte_type, folio, xml_content, rut_emisor):
        document = move.sudo().dte_document_id  # sudo: readers of the invoice may name its document
        named = (document.dte_type, document.folio, rut_emisor or document.issuer_rut)
        if not document or named != (dte_type, folio, document.issuer_rut):
            raise UserError(
                self.env._("The invoice %(invoice)s has no electronic document %(type)s with folio %(folio)s.",
                           invoice=move.display_name, type=dte_type, folio=folio)
            )  # fmt: skip
        content = xml_content.encode("iso-8859-1") if isinstance(xml_content, str) else xml_content
        if content != document._xml():
            raise UserError(
                self.env._("These are not the archived bytes of %s: only those may be sent.", document.display_name)
            )
        return document

    def _add(self, document, error_type, error_message):
        [document] = document._lock_for_person()
        if document.state not in (*SENDABLE, "contingency"):
            raise UserError(self.env._("The SII has %s already: it did not fail.", document.display_name))
        permanent = error_type in PERMANENT
        next_date = None if permanent else self._calculate_next_retry_date(document.failures, document.company_id)
        document._set_state(
            "retry" if next_date else "failed",
            failures=document.failures + 1,
            retry_at=next_date or False,
            queued_at=document.queued_at or fields.Datetime.now(),
            error_type=error_type,
            ask_first=True,
            elsewhere=True,
        )
        document._tell()
        row = self.sudo().search([("document_id", "=", document.id)], order="id desc", limit=1)
        row.error_text = error_message
        return row

    def _check_manager(self):
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        self.check_access("read")

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The history of the queue cannot be deleted."))
