# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_result_alias_name = fields.Char(related="company_id.dte_result_alias_name", readonly=False)
    dte_alias_domain = fields.Char(related="company_id.alias_domain_id.name", string="Domain of Aliases")
