# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models
from odoo.exceptions import AccessError, UserError


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

    def action_dte_use_archive_folder(self):
        """Take the folder that is set as the archive though its mark is missing, and copy everything there."""
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(self.env._("Only an administrator chooses the archive folder."))
        company = self.company_id
        if not company.dte_archive_url:
            raise UserError(self.env._("Set the archive folder in the settings first."))
        company._dte_archive_prepare()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The folder is the archive now. All documents are copied there soon."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
