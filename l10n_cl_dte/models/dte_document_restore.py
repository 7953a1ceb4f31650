# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging

from odoo import api, fields, models

from ..libs.archive_layout import Facts, Place
from ..libs.archive_store import ArchiveError
from .dte_document import VERDICTS

_logger = logging.getLogger(__name__)


class DteDocument(models.Model):
    """Rows of documents that come back from the archive folder, without their invoice."""

    _inherit = "dte.document"

    @api.model
    def _restored_state(self, known: dict) -> str:
        """Return the state that is true of a document of which only the archive is left.

        The companion file tells a final verdict or a track id if the SII had given them when it was written. A verdict
        is final, so it still holds. With a track id the document did reach the SII and its verdict can be asked for:
        `sent`. Without one nobody knows whether it was sent after the file was written: it is due for another attempt,
        which begins with asking the SII (`ask_first`). Accepted is never assumed. What another system issued is never
        sent from here.
        """
        if known.get("state") in (*VERDICTS, "imported"):
            return known["state"]
        return "sent" if known.get("track_id") and known.get("sender_rut") else "retry"

    @api.model
    def _without_archive(self, identity: dict, facts: Facts):
        """Return the document whose archive row is gone, if the bytes of its file are that document.

        :raises ArchiveError: `archive_conflict`
        """
        document = self.search([(name, "=", value) for name, value in identity.items()])
        told = (document.receiver_rut, document.amount_total)
        if document and (document.backup_id or told != (facts.receiver_rut, facts.total)):
            raise ArchiveError("archive_conflict")
        return document

    @api.model
    def _type_of(self, dte_type: str):
        """Return the document type of a code, empty when it is not known here."""
        types = self.env["l10n_latam.document.type"].with_context(active_test=False)
        return types.search([("code", "=", dte_type), ("country_id.code", "=", "CL")], limit=1)

    @api.model
    def _caf_of(self, company, environment: str, dte_type: str, folio: int):
        """Return the loaded CAF that covers a folio, empty when there is none."""
        domain = [
            ("company_id", "=", company.id),
            ("environment", "=", environment),
            ("dte_type", "=", dte_type),
            ("folio_from", "<=", folio),
            ("folio_to", ">=", folio),
        ]
        return self.env["dte.caf"].with_context(active_test=False).search(domain, limit=1)

    @api.model
    def _restore(self, company, backup, place: Place, facts: Facts, known: dict):
        """Create the row of a document restored from the archive: the only one whose state is not set by `_set_state`.

        :param known: what the companion file tells, {} when it is lost
        """
        live = self.search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", place.environment),
                ("dte_type", "=", str(place.dte_type)),
                ("folio", "=", place.folio),
                ("superseded", "=", False),
            ]
        )
        replaced = live.filtered(lambda document: document.version < place.version)
        superseded = bool(live - replaced)
        replaced._give_way()
        state = self._restored_state(known)
        if superseded and state == "retry":
            # What was issued with this folio later tells that it has not arrived: it waits for nothing.
            state = "failed"
        document = self.create(
            {
                "company_id": company.id,
                "environment": place.environment,
                "dte_type": str(place.dte_type),
                "document_type_id": self._type_of(str(place.dte_type)).id,
                "folio": place.folio,
                "version": place.version,
                "superseded": superseded,
                "issuer_rut": place.issuer_rut,
                "receiver_rut": facts.receiver_rut,
                "receiver_name": facts.receiver_name,
                "issue_date": facts.issue_date,
                "signed_at": known["signed_at"],
                "amount_total": facts.total,
                "state": state,
                "message_code": "restored" if state == "retry" else False,
                "ask_first": state == "retry",
                "elsewhere": state not in VERDICTS,
                "queued_at": fields.Datetime.now() if state == "retry" else False,
                "retry_at": fields.Datetime.now() if state == "retry" else False,
                "told": superseded,
                "verdict_at": known.get("verdict_at") if state in VERDICTS else False,
                "caf_id": self._caf_of(company, place.environment, str(place.dte_type), place.folio).id,
                "backup_id": backup.id,
                "move_id": replaced.move_id.id,
            }
        )
        if replaced:
            document._take_place_of(replaced)
        if state == "sent":
            envio = self._restored_envio(company, place.environment, known)
            envio.document_ids = [(4, document.id)]
            envio.document_count = len(envio.document_ids)
            document.envio_id = envio
        _logger.info(
            "dte_status_changed company=%s type=%s folio=%s from=archive to=%s",
            place.issuer_rut, place.dte_type, place.folio, state,
        )  # fmt: skip
        return document

    def _give_way(self):
        """Replace these versions by a newer one, which is what was issued last with their folio."""
        for document in self:
            document._lock_for_adoption()
            if document.state in VERDICTS:
                document.superseded = True
            else:
                envio = document.envio_id
                document._take_back()
                envio._settle_adopted({})
            document.flush_recordset()

    def _take_place_of(self, replaced):
        """Take over the invoice of the version before, so that it stays locked, and the notes that wait for it."""
        move = replaced.move_id
        if move:
            self.backup_id.move_id = move
            if move.dte_document_id == replaced:
                move.dte_document_id = self
        self._take_over_notes(replaced)

    @api.model
    def _restored_envio(self, company, environment: str, known: dict):
        """Return the envelope of a track id, so that the SII is asked about it; its bytes are lost."""
        envios = self.env["dte.envio"]
        return envios.search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", environment),
                ("track_id", "=", known["track_id"]),
            ],
            limit=1,
        ) or envios.create(
            {
                "company_id": company.id,
                "environment": environment,
                "state": "sent",
                "sha256": known.get("envelope_sha256") or "",
                "sender_rut": known["sender_rut"],
                "track_id": known["track_id"],
                "attempts": 1,
                "first_attempted_at": known.get("sent_at") or known["signed_at"],
                "attempted_at": known.get("sent_at") or known["signed_at"],
            }
        )
