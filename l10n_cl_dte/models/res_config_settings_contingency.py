# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_breaker_failures = fields.Integer(related="company_id.dte_breaker_failures", readonly=False)
    dte_breaker_minutes = fields.Integer(related="company_id.dte_breaker_minutes", readonly=False)
    dte_probe_minutes = fields.Integer(related="company_id.dte_probe_minutes", readonly=False)
    dte_drain_seconds = fields.Integer(related="company_id.dte_drain_seconds", readonly=False)
