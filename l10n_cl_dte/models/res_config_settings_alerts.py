# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_alert_user_ids = fields.Many2many(related="company_id.dte_alert_user_ids", readonly=False)
    dte_alert_hour = fields.Integer(related="company_id.dte_alert_hour", readonly=False)
    dte_alert_queue = fields.Boolean(related="company_id.dte_alert_queue", readonly=False)
    dte_alert_queue_over = fields.Integer(related="company_id.dte_alert_queue_over", readonly=False)
    dte_alert_retry_success = fields.Boolean(related="company_id.dte_alert_retry_success", readonly=False)
    dte_alert_retry_success_under = fields.Integer(related="company_id.dte_alert_retry_success_under", readonly=False)
    dte_alert_contingency = fields.Boolean(related="company_id.dte_alert_contingency", readonly=False)
    dte_alert_contingency_hours = fields.Integer(related="company_id.dte_alert_contingency_hours", readonly=False)
    dte_alert_folios = fields.Boolean(related="company_id.dte_alert_folios", readonly=False)
    dte_alert_folio_days = fields.Integer(related="company_id.dte_alert_folio_days", readonly=False)
    dte_alert_caf = fields.Boolean(related="company_id.dte_alert_caf", readonly=False)
    dte_alert_caf_days = fields.Integer(related="company_id.dte_alert_caf_days", readonly=False)
    dte_alert_certificate = fields.Boolean(related="company_id.dte_alert_certificate", readonly=False)
    dte_alert_certificate_days = fields.Integer(related="company_id.dte_alert_certificate_days", readonly=False)
    dte_alert_archive = fields.Boolean(related="company_id.dte_alert_archive", readonly=False)
    dte_alert_rejected = fields.Boolean(related="company_id.dte_alert_rejected", readonly=False)
    dte_alert_stuck = fields.Boolean(related="company_id.dte_alert_stuck", readonly=False)
    dte_alert_questions = fields.Boolean(related="company_id.dte_alert_questions", readonly=False)
