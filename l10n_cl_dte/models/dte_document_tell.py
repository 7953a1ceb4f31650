# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What follows from a state: queue row, archive, note on the invoice, activity. Written after the state is committed.

A document with `told` False still needs it; whoever finds such a document may do it, and doing it again is harmless.
"""

import logging

from markupsafe import Markup

from odoo import api, models
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

_logger = logging.getLogger(__name__)

# Documents told about in one transaction.
TELL_BATCH = 100
_ACTIVITY = "l10n_cl_dte.mail_activity_dte"


class DteDocument(models.Model):
    _inherit = "dte.document"

    def _tell_and_commit(self):
        """Write what follows from the states of these, in a transaction of its own that may fail. Commits."""
        untold = self.filtered(lambda document: not document.told)
        if not untold:
            return
        try:
            untold._tell()
            self.env["ir.cron"]._commit_progress()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            # The states are committed; the sending job writes what follows from them.
            _logger.info("dte_tell_later documents=%s", len(self))
            self.env.cr.rollback()
        except Exception:
            # A state is true whether or not everybody was told; what cannot be told of one document stops no other.
            _logger.exception("dte_tell_failed documents=%s", self.ids)
            self.env.cr.rollback()
            if len(untold) > 1:
                for document in untold:
                    document._tell_and_commit()

    @api.model
    def _tell_left_over(self):
        """Write what processes that died, or met another one, did not write. Commits."""
        domain = [("told", "=", False), ("state", "!=", "sending")]
        seen = self.browse()
        while batch := self.search([*domain, ("id", "not in", seen.ids)], order="id", limit=TELL_BATCH):
            seen |= batch
            batch._tell_and_commit()
            if not self.env["ir.cron"]._commit_progress():
                self.env["dte.envio"]._wake_job(batch.company_id)
                return

    def _tell(self):
        # The lock keeps a sender from claiming one of them now; a sender at work is left alone, its result comes.
        documents = self.filtered(lambda document: not document.told).try_lock_for_update()
        documents = documents.filtered(lambda document: document.state != "sending")
        self.env["dte.failed.queue"]._follow(documents)
        self.env["dte.contingency.pending"]._follow(documents)
        for document in documents:
            document._tell_archive()
            document._tell_invoice()
            document._tell_paper()
            document._tell_responsible()
            document._tell_notes()
        documents._tell_who_asked()
        self.env["dte.webhook"]._note_safely(documents)
        self.env["dte.exchange"]._plan_safely(documents)
        documents.told = True

    def _tell_archive(self):
        backup, envio = self.backup_id, self.envio_id
        if not backup or not envio.track_id:
            return
        known = {"track_id": envio.track_id, "sent_date": envio.attempted_at}
        missing = {name: value for name, value in known.items() if not backup[name]}
        if missing:
            backup.write(missing)

    def _tell_invoice(self):
        # The note is read by people of the company, whoever or whatever job writes it.
        move = self.move_id
        if move:
            own = self.with_context(lang=move.invoice_user_id.lang or move.company_id.partner_id.lang)
            move._message_log(body=f"{own.display_name}: {own._explain()}")

    def _tell_paper(self):
        if self.move_id.dte_document_id == self:
            self.move_id._dte_drop_stale_pdf()

    def _tell_responsible(self):
        """Keep one open activity while a person has to act, and close it when not."""
        move = self.move_id
        if not move:
            return
        if self.state in ("failed", "rejected", "no_answer") and not self.superseded:
            if not move.activity_search([_ACTIVITY]):
                responsible = self.company_id._dte_responsible()
                own = self.with_context(lang=responsible.lang)
                labels = dict(own._fields["state"]._description_selection(own.env))
                # quick update: many documents fail together, and the alert about them is one mail
                move.with_context(mail_activity_quick_update=True).activity_schedule(
                    _ACTIVITY, summary=f"{own.display_name}: {labels[self.state]}",
                    note=Markup("<p>%s</p>") % own._explain(), user_id=responsible.id,
                )  # fmt: skip
        else:
            move.activity_unlink([_ACTIVITY])

    def _tell_notes(self):
        """Notes that correct a rejected document can never leave as they are."""
        if self.state == "rejected" and not self.superseded:
            notes = self.search(
                [("reference_ids", "in", self.ids), ("state", "in", ("to_send", "retry", "contingency"))]
            )
            notes.try_lock_for_update()._fail_notes_of_rejected()
