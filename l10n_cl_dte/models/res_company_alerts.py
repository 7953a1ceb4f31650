# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Who is told when electronic documents need a hand, about what, and from which figure on."""

from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_alert_user_ids = fields.Many2many(
        "res.users",
        "dte_alert_user_rel",
        "company_id",
        "user_id",
        string="Who Is Told",
        domain="[('share', '=', False)]",
        help="They get the alerts and the daily summary by mail. When nobody is chosen, the managers of electronic "
        "documents get them.",
    )
    dte_alert_hour = fields.Integer(
        string="Hour of the Daily Summary", default=8, help="From this hour on, in the time of Santiago."
    )
    dte_alert_queue = fields.Boolean(string="Long Retry Queue", default=True)
    dte_alert_queue_over = fields.Integer(
        string="Documents in the Queue", default=10, help="An alert begins when more documents wait for a retry."
    )
    dte_alert_retry_success = fields.Boolean(string="Retries Fail", default=True)
    dte_alert_retry_success_under = fields.Integer(
        string="Successful Retries (%)", default=80, help="An alert begins when a smaller share of retries succeeds."
    )
    dte_alert_contingency = fields.Boolean(string="Long Contingency", default=True)
    dte_alert_contingency_hours = fields.Integer(
        string="Hours of Contingency", default=24, help="An alert begins when a contingency lasts so many hours."
    )
    dte_alert_folios = fields.Boolean(string="Folios Run Out", default=True)
    dte_alert_folio_days = fields.Integer(
        string="Days of Folios",
        default=15,
        help="An alert begins when the folios of a type last fewer days, at the pace of the last weeks.",
    )
    dte_alert_caf = fields.Boolean(string="Folios (CAF) Expire", default=True)
    dte_alert_caf_days = fields.Integer(
        string="Days before Folios Expire", default=30, help="An alert begins so many days before unused folios expire."
    )
    dte_alert_certificate = fields.Boolean(string="Digital Certificate Expires", default=True)
    dte_alert_certificate_days = fields.Integer(
        string="Days before the Certificate Expires",
        default=30,
        help="An alert begins so many days before the digital certificate expires.",
    )
    dte_alert_archive = fields.Boolean(string="Archive Check Fails", default=True)
    dte_alert_rejected = fields.Boolean(string="Documents Rejected", default=True)
    dte_alert_stuck = fields.Boolean(string="Documents Need Attention", default=True)
    dte_alert_questions = fields.Boolean(string="The SII May Not Be Asked", default=True)

    _dte_alert_hour_bounds = models.Constraint(
        "CHECK (dte_alert_hour BETWEEN 0 AND 23)", "The hour of the daily summary is 0 to 23."
    )
    _dte_alert_queue_bounds = models.Constraint(
        "CHECK (dte_alert_queue_over >= 0)", "The number of documents in the queue cannot be negative."
    )
    _dte_alert_retry_bounds = models.Constraint(
        "CHECK (dte_alert_retry_success_under BETWEEN 1 AND 100)", "The share of successful retries is 1 to 100 %."
    )
    _dte_alert_contingency_bounds = models.Constraint(
        "CHECK (dte_alert_contingency_hours BETWEEN 1 AND 720)", "A contingency is long after 1 to 720 hours."
    )
    _dte_alert_days_bounds = models.Constraint(
        "CHECK (dte_alert_folio_days BETWEEN 1 AND 365 AND dte_alert_caf_days BETWEEN 1 AND 180"
        " AND dte_alert_certificate_days BETWEEN 1 AND 365)",
        "Alerts begin 1 to 365 days ahead; for folios that expire, 1 to 180.",
    )

    def _dte_alert_users(self):
        """Return who is told about the alerts of a company."""
        self.ensure_one()
        # sudo: who is told is not a secret, whoever triggers the message
        company = self.sudo()
        chosen = company.dte_alert_user_ids.filtered(lambda user: user.active and company in user.company_ids)
        return chosen or company._dte_managers()
