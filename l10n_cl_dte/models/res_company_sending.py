# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""When documents leave without anybody pressing Send DTE."""

from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_send_when = fields.Selection(
        [
            ("manual", "When somebody presses Send DTE"),
            ("posting", "When the invoice is confirmed"),
            ("daily", "Once a day"),
        ],
        string="Documents Are Sent",
        default="manual",
        required=True,
    )
    dte_send_hour = fields.Float(
        string="At", default=19.0, help="Time in Santiago from which what was issued that day leaves."
    )
    dte_sent_on = fields.Date(readonly=True)

    _dte_send_hour_bounds = models.Constraint(
        "CHECK (dte_send_hour >= 0 AND dte_send_hour < 24)", "The hour of sending is between 00:00 and 23:59."
    )
