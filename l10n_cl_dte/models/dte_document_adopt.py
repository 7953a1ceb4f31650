# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the archive folder tells about a document that the database has already, because it was loaded from a dump."""

from odoo import fields, models

from ..libs.archive_store import ArchiveError
from .dte_document import SENDABLE, VERDICTS


class DteDocument(models.Model):
    _inherit = "dte.document"

    def _adopt(self, known: dict) -> bool:
        """Take over what the companion file tells and the row does not know; return whether the state became another.

        A verdict is final. A track id means that the document did reach the SII. When the companion tells neither, the
        document may have left after the dump all the same: the SII is asked before it is sent.

        :param known: what the companion file tells, {} when it is lost
        :raises ArchiveError: `archive_document_busy`
        """
        if not self or self.state in VERDICTS:
            return False
        self._lock_for_adoption()
        if self.state in VERDICTS:
            return False
        state = self._restored_state(known)
        if state in VERDICTS:
            self._adopt_verdict(state, known)
        elif self.superseded:
            return self._end_superseded()
        elif state == "sent" and known["track_id"] not in self.envio_ids.mapped("track_id"):
            self._adopt_track_id(known)
        else:
            self._ask_before_sending()
            return False
        return True

    def _lock_for_adoption(self):
        """Lock these and read them again.

        :raises ArchiveError: `archive_document_busy`
        """
        self.flush_recordset()
        if self.try_lock_for_update() != self:
            raise ArchiveError("archive_document_busy")
        self.invalidate_recordset()

    def _adopt_verdict(self, state: str, known: dict):
        envio = self.envio_id
        self._set_state(state, failures=0, retry_at=False, error_type=False, split_envio_id=False, ask_first=False)
        self.verdict_at = known.get("verdict_at") or self.verdict_at
        if known.get("track_id") and not self.backup_id.track_id:
            self.backup_id.track_id = known["track_id"]
            if known.get("sent_at") and not self.backup_id.sent_date:
                self.backup_id.sent_date = known["sent_at"]
        envio._settle_adopted(known)

    def _adopt_track_id(self, known: dict):
        before = self.envio_id
        if before._is_envelope_of(known):
            before._settle_adopted(known)
            return
        envio = self._restored_envio(self.company_id, self.environment, known)
        envio.document_ids = [(4, self.id)]
        envio.document_count = len(envio.document_ids)
        self._set_state(
            "sent",
            envio_id=envio.id,
            failures=0,
            retry_at=False,
            error_type=False,
            split_envio_id=False,
            ask_first=False,
            elsewhere=True,
        )
        before._settle_adopted(known)

    def _ask_before_sending(self):
        """Let the SII be asked before any of these is sent; those that nobody asked to send still wait for a person.

        Uploads without an answer are asked about anyway.
        """
        for document in self:
            sendable = document.state in (*SENDABLE, "contingency")
            if document.elsewhere and (document.ask_first or not sendable):
                continue
            values = {"ask_first": sendable, "elsewhere": True}
            if document.state == "contingency" or (document.state == "to_send" and document.queued_at):
                values |= {"retry_at": fields.Datetime.now(), "split_envio_id": False}
                document._set_state("retry", "restored", **values)
            else:
                if document.state == "retry" and not document.retry_at:
                    values["retry_at"] = fields.Datetime.now()
                document.write(values)

    def _end_superseded(self) -> bool:
        """Let a version that was replaced wait for nothing; returns whether it did."""
        if self.state not in ("to_send", "retry", "contingency"):
            return False
        self._set_state("failed", retry_at=False, queued_at=False, ask_first=False, split_envio_id=False)
        return True
