# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import UserError

from . import dte_messages

KINDS = [
    ("enabled", "Contingency opened"),
    ("taken_over", "Taken over by a person"),
    ("breaker_open", "The SII does not answer"),
    ("breaker_half_open", "The SII answers again"),
    ("breaker_closed", "The SII takes documents again"),
    ("disabled", "Ended by a person"),
    ("closed", "Ended by itself"),
]


class DteContingencyEvent(models.Model):
    """Something that changed during a contingency. Rows are only added."""

    _name = "dte.contingency.event"
    _description = "Event of a Contingency"
    _order = "happened_at, id"

    episode_id = fields.Many2one(
        "dte.contingency.episode", required=True, readonly=True, ondelete="restrict", index=True
    )
    company_id = fields.Many2one(related="episode_id.company_id", store=True)
    environment = fields.Selection(related="episode_id.environment")
    happened_at = fields.Datetime(string="When", required=True, readonly=True, default=fields.Datetime.now)
    kind = fields.Selection(KINDS, string="What", required=True, readonly=True)
    user_id = fields.Many2one("res.users", string="Who", readonly=True, ondelete="set null")
    params = fields.Json(readonly=True)
    message = fields.Text(string="Details", compute="_compute_message")

    @api.depends("kind", "params")
    @api.depends_context("lang")
    def _compute_message(self):
        for event in self:
            event.message = event._describe()

    def _describe(self) -> str:
        """Return the details of an event in words, or an empty text."""
        if not self.params:
            return ""
        return dte_messages.describe_calls(self.env, self.params)

    def write(self, vals):
        if vals:
            raise UserError(self.env._("The record of a contingency cannot be changed."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The record of a contingency cannot be deleted."))
