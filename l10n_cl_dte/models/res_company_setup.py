# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_test_move_id = fields.Many2one(
        "account.move", string="Test Document", readonly=True, copy=False, ondelete="set null",
        help="The last document that the setup screen issued to try the way to the SII.",
    )  # fmt: skip


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    def action_dte_setup(self):
        """Open the screen that tells what is missing."""
        return self.env["dte.setup"]._open()
