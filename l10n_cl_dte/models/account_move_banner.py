# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    dte_contingency_banner = fields.Char(compute="_compute_dte_contingency_banner")

    @api.depends("company_id", "dte_applies")
    @api.depends_context("lang", "tz", "uid")
    def _compute_dte_contingency_banner(self):
        """Tell who sees electronic documents that those of the company wait; nobody else is told."""
        self.dte_contingency_banner = ""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            return
        for company, moves in self.filtered("dte_applies").grouped("company_id").items():
            moves.dte_contingency_banner = self.env["dte.contingency"].get_status(company.id)["banner"]
