# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..const import ENVIRONMENTS, GUARD_ENVIO
from ..libs import envio as envio_lib
from ..libs.exceptions import DteError
from . import dte_messages
from .guard import advisory_guard

STATES = [
    ("planned", "To be sent again, in parts"),
    ("sending", "Sending"),
    ("sent", "Sent, waiting for the SII"),
    ("unknown", "Outcome unknown"),
    ("not_delivered", "Not delivered"),
    ("refused", "Refused at upload"),
    ("processed", "Processed"),
    ("rejected", "Rejected as a whole"),
]


class DteEnvio(models.Model):
    """One envelope: the exact bytes, and what became of them.

    How it leaves stands in `dte_envio_send.py`, whose turn it is in `dte_envio_serve.py`, what is done when no answer
    came in `dte_envio_reconcile.py`, the SII's verdict in `dte_envio_status.py`, and what follows when it is refused
    whole in `dte_envio_split.py`.
    """

    _name = "dte.envio"
    _description = "Envelope of Electronic Documents"
    _order = "id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    state = fields.Selection(STATES, required=True, readonly=True, default="sending", index=True)
    # Empty while the envelope is planned or when another system sent the document.
    content = fields.Binary(string="XML", readonly=True, attachment=False)
    content_filename = fields.Char(compute="_compute_content_filename")
    sha256 = fields.Char(string="SHA-256", readonly=True)
    sender_rut = fields.Char(string="Sender RUT", readonly=True)
    track_id = fields.Char(string="Track ID", readonly=True, index="btree_not_null")
    document_ids = fields.Many2many("dte.document", string="Documents", readonly=True)
    document_count = fields.Integer(readonly=True, aggregator="sum")
    parent_id = fields.Many2one(
        "dte.envio", string="Part Of", readonly=True, ondelete="restrict", index="btree_not_null"
    )
    child_ids = fields.One2many("dte.envio", "parent_id", string="Sent Again In", readonly=True)
    attempts = fields.Integer(readonly=True, aggregator="sum", help="How often these bytes were uploaded.")
    first_attempted_at = fields.Datetime(string="First Sent On", readonly=True)
    attempted_at = fields.Datetime(string="Sent On", readonly=True)
    due_at = fields.Datetime(
        string="Next Step On", readonly=True, help="When the SII is asked about an upload that had no answer."
    )
    twice = fields.Boolean(
        string="Possibly Twice at the SII",
        readonly=True,
        help="Uploaded again so late that the SII may hold it under a second track id: only the answers about each "
        "document count.",
    )
    answered_at = fields.Datetime(string="Answered On", readonly=True)
    sii_state = fields.Char(string="SII Code", readonly=True)
    sii_text = fields.Char(string="SII Text", readonly=True)
    polled_at = fields.Datetime(string="Last Asked On", readonly=True)
    message_code = fields.Char(readonly=True)
    message_params = fields.Json(readonly=True)
    message = fields.Text(compute="_compute_message")
    informed = fields.Integer(readonly=True, aggregator="sum")
    accepted = fields.Integer(readonly=True, aggregator="sum")
    objected = fields.Integer(readonly=True, aggregator="sum")
    rejected = fields.Integer(readonly=True, aggregator="sum")

    @api.depends("track_id")
    def _compute_display_name(self):
        for envio in self:
            envio.display_name = envio.track_id or self.env._("Envelope %s", envio.id)

    @api.depends("company_id")
    def _compute_content_filename(self):
        for envio in self:
            envio.content_filename = f"envio_{envio.id}.xml"

    @api.depends("message_code", "message_params")
    @api.depends_context("lang")
    def _compute_message(self):
        for envio in self:
            envio.message = envio.message_code and dte_messages.describe(
                self.env, dte_messages.ERRORS, envio.message_code, envio.message_params
            )

    def _on_board(self):
        """Return the documents that this envelope still answers for: a later one may have taken them over."""
        return self.document_ids.filtered(
            lambda document: document.envio_id == self and document.state in ("sending", "unknown", "sent", "no_answer")
        )

    # -- making --

    @api.model
    def _load(self, company, documents, credentials):
        """Put documents that the caller has locked into a new envelope that is being sent.

        Documents that cannot be put into one are failed, and the others go without them.
        """
        envio = self.create(
            {"company_id": company.id, "environment": company.dte_environment, "document_ids": [(6, 0, documents.ids)]}
        )
        return envio._fill(documents, credentials)

    def _fill(self, documents, credentials):
        """Build the bytes from documents that the caller has locked, and mark all as being sent."""
        good, contents = self._readable(documents)
        if not good:
            self.write({"state": "refused", "document_count": 0})
            return self
        company, now = self.company_id, fields.Datetime.now()
        number, day = company._dte_resolution()
        caratula = envio_lib.Caratula(
            issuer_rut=company.vat,
            sender_rut=credentials.holder_rut,
            resolution_date=day,
            resolution_number=number,
            signed_at=company._dte_now(),
        )
        content = envio_lib.build_envio(caratula, contents, credentials, number=self.id)
        self.write(
            {
                "state": "sending",
                "content": base64.b64encode(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "sender_rut": credentials.holder_rut,
                "document_ids": [(6, 0, good.ids)],
                "document_count": len(good),
                "twice": any(good.mapped("elsewhere")),
                "attempts": 1,
                "first_attempted_at": now,
                "attempted_at": now,
                "due_at": self._resend_moment(company, now, now),
            }
        )
        self.env["dte.failed.queue"]._mark_retrying(good)
        good._set_state("sending", envio_id=self.id)
        return self

    def _readable(self, documents):
        """Return the documents whose archived bytes are intact, and those bytes; fail the others."""
        good, contents = documents.browse(), []
        for document in documents:
            try:
                contents.append(document._checked_xml())
                good |= document
            except DteError as error:
                document._set_state("failed", error.code, error.params or None, error_type="validation")
        return good, contents

    # -- the guard --

    @contextmanager
    def _liveness_guard(self):
        """Hold a lock that dies with this process, to tell a slow sender from a dead one. Yield whether it was free."""
        self.ensure_one()
        with advisory_guard(self.env.registry, GUARD_ENVIO, self.id) as free:
            yield free

    # -- reading --

    def action_download(self):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/dte.envio/{self.id}/content/{self.content_filename}?download=true",
            "target": "download",
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Envelopes of electronic documents cannot be deleted."))
