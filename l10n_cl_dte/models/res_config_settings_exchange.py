# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_exchange_when = fields.Selection(related="company_id.dte_exchange_when", readonly=False, required=True)
    dte_mail_alias_name = fields.Char(related="company_id.dte_mail_alias_name", readonly=False)
    dte_mail_domain = fields.Char(related="company_id.alias_domain_id.name", string="Domain of the Mail Address")
