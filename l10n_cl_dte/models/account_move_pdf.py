# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The PDF that Odoo keeps of a sent invoice: it goes when what it says about the SII is not true any more."""

from odoo import api, models


class AccountMove(models.Model):
    _inherit = "account.move"

    @api.depends("is_move_sent", "dte_document_id")
    def _compute_highlight_send_button(self):
        # EXTENDS account: an invoice that was sent does not ask for it again because its PDF was dropped
        result = super()._compute_highlight_send_button()
        for move in self:
            if move.is_move_sent and move.sudo().dte_document_id:  # sudo: as for the template of the paper
                move.highlight_send_button = False
        return result

    def _get_invoice_pdf_proforma(self):
        # EXTENDS account: what is printed of a signed document is the document
        result = super()._get_invoice_pdf_proforma()
        if self.sudo().dte_document_id:  # sudo: as for the template of the paper
            result["filename"] = self._get_invoice_report_filename()
        return result

    def _dte_drop_stale_pdf(self):
        """Let go of kept PDFs with another mark than the document has now; the next who asks gets a new one.

        They stay in the history of the invoice: they are what the customer was sent.
        """
        # sudo: whoever or whatever changes the state; readers of the invoice see the same files
        for move in self.sudo().filtered("dte_document_id"):
            kept = move.invoice_pdf_report_id
            if kept and (kept.description or "") != move._dte_print_mark(move.dte_document_id):
                move._detach_attachments()
                move.invalidate_recordset(["invoice_pdf_report_id", "invoice_pdf_report_file"])
