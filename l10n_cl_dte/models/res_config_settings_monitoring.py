# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dte_health_is_on = fields.Boolean(compute="_compute_dte_health_is_on")

    @api.depends("company_id")
    def _compute_dte_health_is_on(self):
        self.dte_health_is_on = self.env["dte.health"]._has_token()

    def action_dte_health_token(self):
        """Make a token for the monitoring and show it, this once."""
        return self.env["dte.secret"]._show(
            self.env._("Token of the Monitoring"),
            self.env["dte.health"]._new_token(),
            self.env._(
                "Copy it into your monitor now: it is not kept and cannot be shown again. Any earlier token is refused "
                "from now on."
            ),
        )

    def action_dte_health_off(self):
        """Answer no monitor any more."""
        self.env["dte.health"]._forget_token()
        return {"type": "ir.actions.client", "tag": "soft_reload"}
