# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_paper = fields.Selection(related="company_id.dte_paper", readonly=False)
    dte_print_transferable = fields.Boolean(related="company_id.dte_print_transferable", readonly=False)
