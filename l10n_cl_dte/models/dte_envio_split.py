# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What follows when the SII refuses an envelope as a whole: halves, until the guilty document stands alone.

A refused signature (RFR) also stands for a sender without permission. It is told apart by the halves of the first
split: when both are refused for it, no document is to blame.
"""

from odoo import api, fields, models

# States in which an envelope has not got its verdict yet.
OPEN_STATES = ("planned", "sending", "sent", "unknown")
_SIGNATURE = "RFR"


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    def _split(self, documents):
        """Reserve the documents of a refused envelope for two new ones, which are served first."""
        documents = documents.sorted(lambda document: (document.signed_at, document.id))
        middle = (len(documents) + 1) // 2
        for part in (documents[:middle], documents[middle:]):
            half = self.create(
                {
                    "company_id": self.company_id.id,
                    "environment": self.environment,
                    "state": "planned",
                    "parent_id": self.id,
                    "document_ids": [(6, 0, part.ids)],
                    "document_count": len(part),
                }
            )
            part._set_state(
                "to_send", "split", split_envio_id=half.id, queued_at=fields.Datetime.now(), error_type="validation"
            )
        self._wake_job(self.company_id)

    def _refuse_whole(self, documents, params: dict):
        """Follow a verdict on the envelope as a whole. The envelope holds the SII's code already.

        :param params: what the SII said, for the sentence that people read
        """
        if not documents:
            return
        if self.sii_state == _SIGNATURE and self._sibling():
            self._settle(documents, params)
        elif len(documents) > 1:
            self._split(documents)
        else:
            documents._set_state("rejected", "rejected_whole", params, error_type="validation")

    def _sibling(self):
        """Return the other half, when this is one of the first split of an envelope refused for its signature."""
        parent = self.parent_id
        if not parent or parent.parent_id or parent.sii_state != _SIGNATURE:
            return self.browse()
        return parent.child_ids - self

    def _settle(self, documents, params: dict):
        sibling = self._sibling()
        if sibling.state in OPEN_STATES:
            # Held back until the other half tells whether a document or the sender is to blame.
            documents._set_state("to_send", "split_waiting", split_envio_id=self.id, error_type="validation")
        elif sibling.sii_state == _SIGNATURE and sibling.state == "rejected":
            held = sibling.document_ids.filtered(lambda document: document.split_envio_id == sibling)
            (documents | held)._set_state("to_send", "sii_upload_refused", params, error_type="certificate")
            self.env["dte.pause"]._begin(self.company_id, self.environment, "sii_signature_refused", params, self)
        elif sibling.state == "not_delivered":
            # It has no answer and its documents go with others: these try again with others too.
            documents._set_state("to_send", "split", queued_at=fields.Datetime.now(), error_type="validation")
        elif len(documents) > 1:
            self._split(documents)
        else:
            documents._set_state("rejected", "rejected_whole", params, error_type="validation")

    @api.model
    def _settle_left_over(self):
        """Go on with halves whose other half has got its verdict meanwhile."""
        held = self.env["dte.document"].search(
            [("split_envio_id", "!=", False), ("split_envio_id.state", "=", "rejected"), ("state", "=", "to_send")]
        )
        for half, documents in held.grouped("split_envio_id").items():
            if half._sibling().state not in OPEN_STATES and documents.try_lock_for_update() == documents:
                half._settle(documents, {"sii_code": half.sii_state, "sii_text": half.sii_text})
