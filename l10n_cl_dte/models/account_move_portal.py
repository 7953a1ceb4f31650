# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the customer sees of a document in the portal: its folio, whether it is valid, and the signed XML."""

from odoo import models

from .dte_exchange import VALID

# What an invoice page may offer, unless the SII refuses it or it is being put right.
SHOWN = (*VALID, "to_send", "contingency", "sending", "sent", "no_answer", "unknown", "retry", "failed")


class AccountMove(models.Model):
    _inherit = "account.move"

    def _dte_portal_values(self) -> dict:
        """Return folio, status in words, its colour and whether the XML can be had; empty without a document.

        For whoever may see the invoice, the customer above all: nothing of how it gets to the SII.
        """
        self.ensure_one()
        # sudo: the caller has checked that the invoice may be seen
        document = self.sudo().dte_document_id
        if not document or self.state != "posted":
            return {}
        if not self._dte_offers(document):
            text, colour = self.env._("Not valid: ask us for the corrected document."), "danger"
        elif document.state in VALID:
            text, colour = self.env._("Accepted by the SII."), "success"
        elif document.state == "contingency":
            text, colour = self.env._("Issued in contingency: the SII gets it when it can be reached."), "warning"
        else:
            text, colour = self.env._("Signed and issued. The SII has not validated it yet."), "info"
        if document.environment != "production":
            text = self.env._("Test document without tax validity. %s", text)
        return {
            "folio": document.folio,
            "type": document.document_type_id.name,
            "text": text,
            "colour": colour,
            "has_xml": bool(self._dte_customer_file()),
        }

    def _dte_customer_file(self) -> tuple[str, bytes] | None:
        """Return name and bytes of the signed XML as a file of its own, None when there is nothing to hand over."""
        self.ensure_one()
        # sudo: the caller has checked that the invoice may be seen
        document = self.sudo().dte_document_id
        if not document or self.state != "posted" or not self._dte_offers(document):
            return None
        content = document._file_content()
        return (document.backup_id.xml_filename, content) if content else None

    def _dte_offers(self, document) -> bool:
        """Tell whether a document may be handed to the customer."""
        return document.state in SHOWN and not document.superseded and not document._is_refused()
