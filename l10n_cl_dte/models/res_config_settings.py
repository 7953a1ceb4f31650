# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_environment = fields.Selection(related="company_id.dte_environment", readonly=False, required=True)
    dte_giro = fields.Char(
        related="company_id.l10n_cl_activity_description", readonly=False, string="Activity description (giro)"
    )
    dte_activity_codes = fields.Char(related="company_id.dte_activity_codes", readonly=False)
    dte_sii_office = fields.Char(related="company_id.dte_sii_office", readonly=False)
    dte_simulator_url = fields.Char(related="company_id.dte_simulator_url", readonly=False)
    dte_simulator_key = fields.Text(related="company_id.dte_simulator_key", readonly=False)
    dte_simulator_resolution_date = fields.Date(related="company_id.dte_simulator_resolution_date", readonly=False)
    dte_certification_resolution_date = fields.Date(
        related="company_id.dte_certification_resolution_date", readonly=False
    )
    dte_production_resolution_number = fields.Integer(
        related="company_id.dte_production_resolution_number", readonly=False
    )
    dte_production_resolution_date = fields.Date(related="company_id.dte_production_resolution_date", readonly=False)
    dte_certificate_id = fields.Many2one(related="company_id.dte_certificate_id", readonly=False)
    dte_certificate_subject = fields.Char(related="company_id.dte_certificate_subject")
    dte_certificate_rut = fields.Char(related="company_id.dte_certificate_rut")
    dte_certificate_expiry = fields.Datetime(related="company_id.dte_certificate_expiry")
    dte_envio_size = fields.Integer(related="company_id.dte_envio_size", readonly=False)
    dte_upload_seconds = fields.Integer(related="company_id.dte_upload_seconds", readonly=False)
    dte_grace_minutes = fields.Integer(related="company_id.dte_grace_minutes", readonly=False)
    dte_retry_hours = fields.Char(related="company_id.dte_retry_hours", readonly=False)
    dte_send_when = fields.Selection(related="company_id.dte_send_when", readonly=False, required=True)
    dte_send_hour = fields.Float(related="company_id.dte_send_hour", readonly=False)
    dte_poll_minutes = fields.Integer(related="company_id.dte_poll_minutes", readonly=False)
    dte_no_answer_days = fields.Integer(related="company_id.dte_no_answer_days", readonly=False)
    dte_responsible_id = fields.Many2one(related="company_id.dte_responsible_id", readonly=False)

    def set_values(self):
        # First: nothing is written yet, so no row is locked while the simulator is asked.
        self.company_id._dte_ask_simulator_key()
        return super().set_values()

    def action_dte_load_certificate(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Load Digital Certificate"),
            "res_model": "dte.certificate.load",
            "view_mode": "form",
            "target": "new",
            "context": {"default_company_id": self.company_id.id},
        }

    def action_dte_test_connection(self):
        return self.company_id.action_dte_test_connection()
