# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import UserError


class DteSecret(models.TransientModel):
    """A window that shows a secret. Nothing is saved: the secret travels to the screen and nowhere else."""

    _name = "dte.secret"
    _description = "Secret Shown Once"

    secret = fields.Char(store=False, readonly=True, default=lambda self: self.env.context.get("dte_secret"))
    note = fields.Text(store=False, readonly=True, default=lambda self: self.env.context.get("dte_secret_note"))

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("There is nothing to save: copy the secret and close the window."))

    @api.model
    def _show(self, title: str, secret: str, note: str) -> dict:
        """Return the action that opens the window. The caller has checked who may see the secret."""
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": self._name,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"dte_secret": secret, "dte_secret_note": note},
        }
