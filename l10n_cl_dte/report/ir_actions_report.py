# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models

from ..models.account_move_print import TEMPLATE

ROLL_REPORT = "l10n_cl_dte.report_invoice_roll"


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _render_qweb_pdf_prepare_streams(self, report_ref, data, res_ids=None):
        # EXTENDS base: electronic documents are printed one by one, each on its own paper. A roll is as long as its
        # text, and wkhtmltopdf without Qt's patches prints one document a call anyway.
        report = self._get_report(report_ref)
        moves = self._dte_moves(report, res_ids)
        if not moves:
            return super()._render_qweb_pdf_prepare_streams(report_ref, data, res_ids=res_ids)
        others = [res_id for res_id in res_ids if res_id not in moves.ids]
        streams = super()._render_qweb_pdf_prepare_streams(report_ref, data, res_ids=others) if others else {}
        for move in moves:
            paper = "roll" if report.report_name == ROLL_REPORT else move._dte_default_paper()
            printer = self.with_context(dte_paper=paper, dte_roll_height=paper == "roll" and move._dte_roll_height())
            streams |= super(IrActionsReport, printer)._render_qweb_pdf_prepare_streams(
                report_ref, dict(data or {}), res_ids=move.ids
            )
        return {res_id: streams[res_id] for res_id in res_ids}

    def _dte_moves(self, report, res_ids):
        """Return which of the records are printed as electronic documents by this report."""
        moves = self.env["account.move"]
        if report.model != "account.move" or not res_ids or len(set(res_ids)) != len(res_ids):
            return moves
        if report.report_name != ROLL_REPORT and not self._is_invoice_report(report.report_name):
            return moves
        return moves.browse(res_ids).filtered(lambda move: move._get_name_invoice_report() == TEMPLATE)

    def get_paperformat(self):
        # EXTENDS base: the paper of the document that is being printed
        paper = self.env.context.get("dte_paper")
        if not paper:
            return super().get_paperformat()
        paper_format = self.env.ref(f"l10n_cl_dte.paperformat_dte_{paper}").sudo()
        if paper == "roll" and self.env.context.get("dte_roll_height"):
            values = paper_format.copy_data()[0]
            return paper_format.new({**values, "page_height": self.env.context["dte_roll_height"]})
        return paper_format
