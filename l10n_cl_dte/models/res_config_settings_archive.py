# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_archive_url = fields.Char(related="company_id.dte_archive_url", readonly=False, groups="base.group_system")
    dte_archive_years = fields.Integer(related="company_id.dte_archive_years", readonly=False)
    dte_archive_cleanup = fields.Boolean(related="company_id.dte_archive_cleanup", readonly=False)
    dte_archive_count = fields.Integer(related="company_id.dte_archive_count")
    dte_archive_size = fields.Char(related="company_id.dte_archive_size")
    dte_archive_pending = fields.Integer(related="company_id.dte_archive_pending")
    dte_archive_damaged = fields.Integer(related="company_id.dte_archive_damaged")
    dte_archive_checked_at = fields.Datetime(related="company_id.dte_archive_checked_at")
    dte_archive_is_double = fields.Boolean(related="company_id.dte_archive_is_double")
