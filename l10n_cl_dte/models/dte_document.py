# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
import re

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_datetime

from ..const import ENVIRONMENTS
from ..libs import envio as envio_lib
from ..libs import issue as issue_lib
from ..libs.exceptions import DocumentError
from ..libs.sii_soap_client import DocumentQuestion
from . import dte_messages

_logger = logging.getLogger(__name__)

STATES = [
    ("to_send", "To send"),
    ("contingency", "In contingency"),
    ("sending", "Sending"),
    ("sent", "Sent, waiting for the SII"),
    ("no_answer", "No answer from the SII"),
    ("unknown", "Outcome unknown"),
    ("retry", "To be retried"),
    ("failed", "Needs attention"),
    ("accepted", "Accepted"),
    ("objected", "Accepted with repairs"),
    ("rejected", "Rejected"),
    ("imported", "Issued elsewhere"),
]

# What may be put into an envelope; the others are on their way or done.
SENDABLE = ("to_send", "retry", "failed")
# Documents without a verdict, whether or not the job still asks.
WAITING = ("sent", "no_answer")
VERDICTS = ("accepted", "objected", "rejected")


class DteDocument(models.Model):
    """One issued electronic document and where it stands.

    States::

        to_send --claimed by an envelope--> sending
        to_send, retry --the company is in contingency--> contingency --claimed by the drain--> sending
        sending --track id--> sent | --no usable answer, or the process died--> unknown
                | --certainly not received--> retry | --the same, attempts used up--> failed
                | --the same, in contingency--> contingency
                | --certainly refused, data--> failed | --refused, permission or whole envelope--> to_send
        unknown --the SII knows it, or took it now--> sent | --the same bytes go again--> sending
        sent --counts or document status--> accepted | objected | rejected
             | --envelope refused whole--> to_send, in a smaller one
             | --no verdict for days--> no_answer
        no_answer --counts or document status, asked by a person--> accepted | objected | rejected
                  | --a person, and the SII does not have it--> to_send
        retry --due, or sent by a person--> sending | --given up by a person--> failed
        failed --sent again by a person--> sending
        to_send, retry, contingency --its referenced document was rejected--> failed
        imported --document status, asked by a person--> accepted

    `imported` was issued by another system, which sent it: it never leaves from here, whatever the SII answers.
    `sending` and `unknown` are left by nobody but the code that has asked the SII. Only `_set_state` writes `state`.
    What people are told about a state (`told`) is written in a transaction after it, see `dte_document_tell.py`.
    """

    _name = "dte.document"
    _description = "Electronic Tax Document"
    _order = "signed_at desc, id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    dte_type = fields.Char(string="Type Code", required=True, readonly=True)
    document_type_id = fields.Many2one("l10n_latam.document.type", required=True, readonly=True, ondelete="restrict")
    folio = fields.Integer(required=True, readonly=True, aggregator=False)
    version = fields.Integer(default=1, readonly=True, aggregator=False)
    superseded = fields.Boolean(readonly=True, help="A corrected version with the same folio has taken its place.")
    issuer_rut = fields.Char(string="Issuer RUT", required=True, readonly=True)
    receiver_rut = fields.Char(string="Receiver RUT", required=True, readonly=True)
    receiver_name = fields.Char(readonly=True)
    issue_date = fields.Date(required=True, readonly=True)
    signed_at = fields.Datetime(required=True, readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    amount_total = fields.Monetary(string="Total", readonly=True)
    state = fields.Selection(STATES, required=True, default="to_send", readonly=True, index=True)
    message_code = fields.Char(readonly=True)
    message_params = fields.Json(readonly=True)
    message = fields.Text(compute="_compute_message")
    repairs_unknown = fields.Boolean(
        readonly=True,
        help="Accepted in an envelope with repairs; the SII has not said whether they concern this document.",
    )
    verdict_at = fields.Datetime(string="Verdict On", readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    caf_id = fields.Many2one("dte.caf", string="CAF", readonly=True, ondelete="restrict", index="btree_not_null")
    backup_id = fields.Many2one(
        "dte.backup", string="Archive", readonly=True, ondelete="restrict", index="btree_not_null"
    )
    envio_id = fields.Many2one(
        "dte.envio", string="Current Envelope", readonly=True, ondelete="restrict", index="btree_not_null"
    )
    envio_ids = fields.Many2many("dte.envio", string="Envelopes", readonly=True)
    queued_at = fields.Datetime(
        string="Sending Asked On", readonly=True, help="Somebody asked to send it; from then on it leaves by itself."
    )
    failures = fields.Integer(readonly=True, aggregator=False, help="How often delivering it has failed.")
    hold_failures = fields.Integer(
        default=0, readonly=True, aggregator=False, help="How often the SII did not take it while it was held."
    )
    retry_at = fields.Datetime(string="Next Attempt On", readonly=True)
    error_type = fields.Char(readonly=True, help="Class of the last failure, for the retry queue.")
    split_envio_id = fields.Many2one(
        "dte.envio",
        string="Reserved For",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        help="Part of an envelope that was refused as a whole; nobody else may take the document.",
    )
    ask_first = fields.Boolean(
        readonly=True, help="Somebody else may have sent it: the SII is asked before anything is sent."
    )
    elsewhere = fields.Boolean(
        readonly=True, help="Somebody else may have sent it, so an envelope of ours may hold its second copy."
    )
    is_contingency = fields.Boolean(
        string="Issued in Contingency", readonly=True, help="It was kept back while the company was in contingency."
    )
    pending_ids = fields.One2many("dte.contingency.pending", "document_id", string="Contingencies", readonly=True)
    told = fields.Boolean(default=True, readonly=True, help="Queue, archive and invoice know about the state.")
    track_id = fields.Char(related="envio_id.track_id", string="Track ID")
    reference_ids = fields.Many2many(
        "dte.document",
        "dte_document_reference_rel",
        "document_id",
        "referenced_id",
        string="Corrects",
        readonly=True,
        help="Documents of ours that must be accepted before this one is sent.",
    )
    xml_content = fields.Binary(related="backup_id.xml_content", string="XML")

    _unique_live_folio = models.UniqueIndex(
        "(company_id, environment, dte_type, folio) WHERE (superseded IS NOT TRUE)",
        "This folio already has a document.",
    )
    # Every version counts when the last used folio of a range is looked up.
    _folio_order = models.Index("(company_id, environment, dte_type, folio)")
    _due = models.Index(
        "(company_id, environment, signed_at, id)"
        " WHERE state = 'to_send' AND queued_at IS NOT NULL AND split_envio_id IS NULL"
    )
    _retry_due = models.Index("(company_id, environment, retry_at, id) WHERE state = 'retry'")
    _held = models.Index(
        "(company_id, environment, hold_failures, issue_date, signed_at, id) WHERE state = 'contingency'"
    )
    _untold = models.Index("(id) WHERE told IS NOT TRUE")

    @api.depends("document_type_id", "folio")
    def _compute_display_name(self):
        for document in self:
            document.display_name = f"{document.document_type_id.name or document.dte_type} {document.folio}"

    # -- making --

    @api.model_create_multi
    def create(self, vals_list):
        if not all(vals.get("move_id") for vals in vals_list):
            # A folio was taken outside the posting of an invoice: what this transaction remembers is not the last one.
            self.env["account.move"]._get_sequence_cache().clear()
        return super().create(vals_list)

    @api.model
    def _make(self, move, caf, dte, signed: issue_lib.SignedDte, signed_at):
        """Archive a signed document and give it its row, in the transaction of the posting.

        :param signed_at: naive Santiago time of the signature
        """
        # sudo: whoever may post an invoice makes its document; nobody may make one by hand
        previous = move.sudo().dte_document_id.filtered(lambda old: old.superseded and old.folio == dte.folio)
        document = self.sudo().create(
            {
                "company_id": move.company_id.id,
                "environment": move.dte_environment,
                "dte_type": str(dte.dte_type),
                "document_type_id": move.l10n_latam_document_type_id.id,
                "folio": dte.folio,
                "version": previous.version + 1 if previous else 1,
                "issuer_rut": dte.issuer.rut,
                "receiver_rut": dte.receiver.rut,
                "receiver_name": dte.receiver.name,
                "issue_date": dte.issue_date,
                "signed_at": fields.Datetime.now(),
                "amount_total": signed.totals.total,
                "move_id": move.id,
                "caf_id": caf.id,
                "reference_ids": [(6, 0, self.sudo()._referenced_by(move).ids)],
            }
        )
        document.backup_id = document.env["dte.backup"]._archive(document, signed.xml)
        if previous:
            document._take_over_notes(previous)
        move.sudo().dte_document_id = document
        return document

    def _take_over_notes(self, previous):
        """Let the notes that correct a replaced version wait for this one."""
        notes = self.search([("reference_ids", "in", previous.ids)])
        notes.reference_ids = [(3, previous.id), (4, self.id)]
        failed = notes.filtered(lambda note: note.state == "failed" and note.message_code == "reference_rejected")
        failed._set_state("to_send")

    def _referenced_by(self, move):
        """Return the documents that a note corrects and that leave from here; only they make it wait."""
        references = move.dte_reference_ids.filtered(lambda reference: reference.code)
        documents = self.union(*(reference._document() for reference in references))
        # Another system saw to the delivery of what it issued: nothing of ours would ever end the waiting.
        return documents.filtered(lambda document: document.state != "imported")

    # -- state --

    def _set_state(self, state: str, code: str | None = None, params: dict | None = None, **values):
        """Write the state: the only place that does, with one log line per change.

        :param code: key of the sentence that explains it, in `dte_messages`
        """
        for document in self:
            _logger.info(
                "dte_status_changed company=%s type=%s folio=%s from=%s to=%s",
                document.issuer_rut, document.dte_type, document.folio, document.state, state,
            )  # fmt: skip
        if state in VERDICTS:
            values["verdict_at"] = fields.Datetime.now()
        if state != "sending":
            values["told"] = False
        # A reservation for a half ends with every change that does not make or keep it.
        values.setdefault("split_envio_id", False)
        self.write({"state": state, "message_code": code or False, "message_params": params or False, **values})

    @api.depends(
        "state", "message_code", "message_params", "envio_id.track_id", "envio_id.due_at", "reference_ids.state",
        "repairs_unknown", "retry_at", "queued_at", "superseded", "ask_first",
    )  # fmt: skip
    @api.depends_context("lang", "tz")
    def _compute_message(self):
        for document in self:
            document.message = document._explain()

    def _explain(self) -> str:
        """Return what happened and what happens next, in the reader's language and time."""
        self.ensure_one()
        if self.superseded:
            # sudo: the invoice of a document that the user sees
            is_open = self.sudo().move_id.dte_document_id == self
            return self._sentence("being_corrected" if is_open else "superseded")
        return self._explain_state()

    def _explain_state(self) -> str:
        texts = []
        if self.message_code:
            code = self._message_key(self.message_code)
            table = dte_messages.ERRORS if code in dte_messages.ERRORS else dte_messages.STATES
            texts.append(dte_messages.describe(self.env, table, code, self.message_params))
        next_step = self._explain_next_step()
        if next_step:
            texts.append(next_step)
        elif not self.message_code and self.state in dte_messages.STATES:
            texts.append(self._sentence(self.state, track_id=self.track_id))
        return " ".join(texts)

    def _explain_next_step(self) -> str:
        """Return what happens next with a document on its way, or an empty text."""
        held_back = self._explain_wait()
        if held_back:
            return held_back
        if self.state == "retry" and self.ask_first:
            return self._sentence("ask_first", when=self._moment(self.retry_at))
        if self.state == "retry" and self.retry_at:
            total = len(self.company_id._dte_retry_hours())
            return self._sentence("retry_next", when=self._moment(self.retry_at), number=self.failures, total=total)
        if self.state == "to_send" and self.queued_at:
            return self._sentence("queued")
        if self.state == "unknown":
            # sudo: the envelope of a document that the user sees
            due_at = self.sudo().envio_id.due_at
            asked = self._sentence("unknown_next", when=self._moment(due_at)) if due_at else ""
            return f"{self._sentence('unknown')} {asked}".strip()
        if self.state == "sent" and not self.track_id:
            return self._sentence("sent_without_id")
        if self.state == "failed" and self.failures > len(self.company_id._dte_retry_hours()):
            return self._sentence("attempts_used_up", count=self.failures)
        if self.state == "accepted" and self.repairs_unknown:
            return self._sentence("accepted_unknown_repairs")
        return ""

    def _explain_wait(self) -> str:
        """Return what keeps a document back that would leave otherwise, or an empty text."""
        waiting = self._waiting_for()
        if self.state in (*SENDABLE, "contingency") and self.environment != self.company_id.dte_environment:
            labels = dict(self._fields["environment"]._description_selection(self.env))
            return self._sentence("other_environment", environment=labels[self.environment])
        if self.state in ("to_send", "retry", "contingency") and waiting:
            return self._sentence("waiting", document=waiting[0].display_name)
        if self.state in ("to_send", "retry", "contingency") and self.env["dte.pause"]._is_paused(
            self.company_id, self.environment
        ):
            return self._sentence("paused")
        if self.state == "contingency" or self.state == "retry" or (self.state == "to_send" and self.queued_at):
            return self._explain_contingency()
        return ""

    def _explain_contingency(self) -> str:
        """Return when a document leaves that contingency keeps back, or an empty text."""
        contingency = self.env["dte.contingency"]._of(self.company_id, self.environment)
        if contingency.enabled:
            return self._sentence("held_automatic" if contingency.automatic else "held")
        return self._sentence("held_leaves") if self.state == "contingency" else ""

    def _sentence(self, code: str, **params) -> str:
        return dte_messages.describe(self.env, dte_messages.STATES, self._message_key(code), params)

    def _message_key(self, code: str) -> str:
        """Return the key of the sentence for a code, which may depend on what else is known."""
        return code

    def _moment(self, moment) -> str:
        return format_datetime(self.env, moment, dt_format="short")

    def _waiting_for(self):
        """Return the documents that must be accepted before this one may leave."""
        # sudo: a document of the same company; its state is needed to explain this one
        return self.sudo().reference_ids.filtered(lambda document: document.state not in ("accepted", "objected"))

    # -- asking --

    def _question(self) -> DocumentQuestion:
        """Return the data that the SII compares when it is asked about this document."""
        self.ensure_one()
        return DocumentQuestion(
            issuer_rut=self.issuer_rut,
            receiver_rut=self.receiver_rut,
            dte_type=int(self.dte_type),
            folio=self.folio,
            issue_date=self.issue_date,
            total=int(self.amount_total),
        )

    # -- reading --

    def action_open_move(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    def action_download_xml(self):
        self.ensure_one()
        self.check_access("read")
        return self.backup_id.action_download_xml()

    def _is_refused(self) -> bool:
        """Tell whether the SII does not take the document as it is: it is worth nothing until it is corrected.

        What failed because the SII could not be reached, or was given up before it left, is still to be sent.
        """
        self.ensure_one()
        failed = self.state == "failed" and self.error_type == "validation" and self.message_code != "given_up"
        return failed or self.state == "rejected"

    def _xml(self) -> bytes:
        """Return the signed bytes from the first copy of the archive that is intact, ISO-8859-1, b"" when none is."""
        self.ensure_one()
        return self.backup_id._find_intact() if self.backup_id else b""

    def _checked_xml(self) -> bytes:
        """Return the signed bytes from the archive, after making sure that they are what was signed.

        :raises DocumentError: `archive_damaged`
        """
        xml = self._xml()
        try:
            envio_lib.read_key(xml)
        except DocumentError as error:
            raise DocumentError(error.problems, "archive_damaged") from error
        return xml

    @api.model
    def _signature_value(self, xml: bytes) -> str:
        """Return the SignatureValue of a signed document, without line breaks."""
        found = re.search(rb"<SignatureValue>([^<]*)</SignatureValue>", xml)
        return "".join(found[1].decode("ascii").split()) if found else ""

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Electronic documents cannot be deleted."))
