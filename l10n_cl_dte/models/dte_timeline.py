# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What happened to a document and when, told from the rows that are there anyway. Nothing is stored for it."""

from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import LazyTranslate

from .dte_document import VERDICTS

_lt = LazyTranslate(__name__)

_VERDICT_TEXTS = {
    "accepted": _lt("Accepted by the SII."),
    "objected": _lt("Accepted by the SII with repairs."),
    "rejected": _lt("Rejected by the SII."),
}
_VERDICT_TONES = {"accepted": "success", "objected": "warning", "rejected": "danger"}


class Entry(NamedTuple):
    """One line of a timeline."""

    moment: datetime  # UTC
    text: str
    tone: str = "info"  # info, success, warning, danger; next: it has not happened yet


class DteDocument(models.Model):
    _inherit = "dte.document"

    timeline = fields.Html(compute="_compute_timeline", sanitize=False)

    @api.depends("envio_ids.state", "envio_ids.next_poll_date", "state", "retry_at", "queued_at", "reason_ids")
    @api.depends_context("lang", "tz")
    def _compute_timeline(self):
        for document in self:
            rows = Markup().join(
                Markup("<li class='o_dte_tone_%s'><time class='text-muted'>%s</time><span>%s</span></li>")
                % (entry.tone, document._moment(entry.moment), entry.text)
                for entry in document._timeline_entries()
            )
            document.timeline = Markup("<ul class='o_dte_timeline list-unstyled mb-0'>%s</ul>") % rows

    def _timeline_entries(self) -> list[Entry]:
        """Return what happened to the document and to its earlier versions, oldest first, and what comes next."""
        self.ensure_one()
        # sudo: earlier versions, envelopes and holds of a document that the user sees
        document = self.sudo()
        earlier = document.browse()
        if document.move_id:
            earlier = document.search([("move_id", "=", document.move_id.id), ("id", "<", document.id)], order="id")
        entries = [entry for version in (earlier | document) for entry in version._timeline_of_version()]
        return sorted(entries, key=lambda entry: entry.moment) + document._timeline_next()

    def _timeline_of_version(self) -> list[Entry]:
        if self.backup_id.origin == "imported":
            signed = self.env._("Signed by another system with folio %s.", self.folio)
            entries = [Entry(self.signed_at, signed), Entry(self.create_date, self.env._("Imported into the archive."))]
            return entries + self._timeline_of_delivery()
        if self.version > 1:
            text = self.env._("Corrected: signed, stamped and archived again with folio %s.", self.folio)
        else:
            text = self.env._("Signed, stamped and archived with folio %s.", self.folio)
        return [Entry(self.signed_at, text), *self._timeline_of_delivery()]

    def _timeline_of_delivery(self) -> list[Entry]:
        entries = []
        for held in self.pending_ids.sorted("id"):
            entries.append(Entry(held.stored_date, self.env._("Kept in contingency."), "warning"))
        for envio in self.envio_ids.sorted("id"):
            entries += envio._timeline_entries()
        if self.state in VERDICTS and self.verdict_at:
            entries.append(Entry(self.verdict_at, self._timeline_verdict(), _VERDICT_TONES[self.state]))
        return entries

    def _timeline_verdict(self) -> str:
        text = self.env._(_VERDICT_TEXTS[self.state])
        codes = [code for code in self.reason_ids.mapped("code") if code]
        return f"{text.rstrip('.')} ({', '.join(dict.fromkeys(codes))})." if codes else text

    def _timeline_next(self) -> list[Entry]:
        """Return the next step that has its time, which is the last line."""
        envio = self.envio_id
        if self.superseded:
            return []
        if self.state == "to_send" and self.queued_at:
            return [Entry(self.queued_at, self.env._("Asked to be sent: it leaves by itself."), "next")]
        if self.state == "retry" and self.retry_at:
            return [Entry(self.retry_at, self.env._("Next attempt."), "next")]
        if self.state == "sent" and envio.next_poll_date:
            return [Entry(envio.next_poll_date, self.env._("The SII is asked for its verdict."), "next")]
        if self.state == "unknown" and envio.due_at:
            return [Entry(envio.due_at, self.env._("The SII is asked whether it has it."), "next")]
        return []


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    def _timeline_entries(self) -> list[Entry]:
        """Return what happened to the envelope, oldest first."""
        self.ensure_one()
        env, entries = self.env, []
        if self.first_attempted_at:
            sentence = env._("Sent to the SII in an envelope of %s.", self.document_count)
            entries.append(Entry(self.first_attempted_at, sentence))
        if self.attempts > 1:
            sentence = env._("Sent again, the same bytes: there was no answer.")
            entries.append(Entry(self.attempted_at, sentence, "warning"))
        if self.answered_at and self.track_id:
            sentence = env._("Received by the SII with track id %s.", self.track_id)
            entries.append(Entry(self.answered_at, sentence))
        elif self.answered_at and self.message:
            tone = "warning" if self.state in ("not_delivered", "unknown") else "danger"
            entries.append(Entry(self.answered_at, self.message, tone))
        elif self.state == "unknown":
            entries.append(Entry(self.attempted_at, env._("No answer came: its outcome is unknown."), "warning"))
        if self.polled_at and self.sii_state:
            state = " ".join(filter(None, (self.sii_state, self.sii_text)))
            entries.append(Entry(self.polled_at, env._("The SII answers: %s.", state)))
        return entries


class AccountMove(models.Model):
    _inherit = "account.move"

    dte_timeline = fields.Html(related="dte_document_id.timeline", string="Timeline")
