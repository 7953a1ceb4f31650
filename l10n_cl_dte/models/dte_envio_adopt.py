# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models

_UPLOADED = ("sending", "unknown")


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    def _is_envelope_of(self, known: dict) -> bool:
        """Tell whether a companion file speaks of this envelope, of which the database has no answer."""
        return self.state in _UPLOADED and bool(self.sha256) and known.get("envelope_sha256") == self.sha256

    def _settle_adopted(self, known: dict):
        """Settle an upload without an answer once the folder has told what became of one of its documents.

        It is this envelope that had arrived: so had the others in it. Or it was not: another one carried the document
        later, which happens only when this one was not received, and the SII is asked about the others. Left open it
        would be uploaded again.

        :raises ArchiveError: `archive_document_busy`
        """
        if self.state not in _UPLOADED:
            return
        documents = self._on_board()
        documents._lock_for_adoption()
        if self._is_envelope_of(known):
            self.write(
                {
                    "state": "sent",
                    "track_id": known.get("track_id") or False,
                    "answered_at": known.get("sent_at") or fields.Datetime.now(),
                    "due_at": False,
                    "message_code": False,
                    "message_params": False,
                }
            )
            documents._set_state("sent", failures=0, retry_at=False, error_type=False, elsewhere=True)
            return
        self.write({"state": "not_delivered", "due_at": False})
        documents._set_state(
            "retry", "restored", retry_at=fields.Datetime.now(), ask_first=True, elsewhere=True, error_type="unknown"
        )
