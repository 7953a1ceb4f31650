# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""When a company goes into contingency by itself, and how it comes back."""

from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_breaker_failures = fields.Integer(
        string="Failures before Contingency",
        default=3,
        help="After so many calls to the SII failed in a row (no connection, no answer in time, SII unavailable), "
        "documents are kept and leave when it answers again. 0: never by itself.",
    )
    dte_breaker_minutes = fields.Integer(
        string="Minutes Counted", default=60, help="Failures longer ago than this are not counted."
    )
    dte_probe_minutes = fields.Integer(
        string="Minutes between Probes", default=2, help="How often a silent SII is asked whether it is back."
    )
    dte_drain_seconds = fields.Integer(
        string="Seconds between Envelopes",
        default=1,
        help="Pause between two envelopes when what was kept leaves, so that the SII is not flooded on its return.",
    )

    _dte_breaker_failures_bounds = models.Constraint(
        "CHECK (dte_breaker_failures BETWEEN 0 AND 20)", "Contingency opens after 1 to 20 failures, or never (0)."
    )
    _dte_breaker_minutes_bounds = models.Constraint(
        "CHECK (dte_breaker_minutes BETWEEN 1 AND 1440)", "Failures of the last 1 to 1440 minutes are counted."
    )
    _dte_probe_minutes_bounds = models.Constraint(
        "CHECK (dte_probe_minutes BETWEEN 1 AND 60)", "A silent SII is asked every 1 to 60 minutes."
    )
    _dte_drain_seconds_bounds = models.Constraint(
        "CHECK (dte_drain_seconds BETWEEN 0 AND 60)", "The pause between two envelopes is 0 to 60 seconds."
    )
