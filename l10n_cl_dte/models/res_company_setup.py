# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models

# What the SII answered about the permission holds for these only.
_ASKED_WITH = ("dte_environment", "dte_certificate_id", "dte_simulator_url", "vat")


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_test_move_id = fields.Many2one(
        "account.move", string="Test Document", readonly=True, copy=False, ondelete="set null",
        help="The last document that the setup screen issued to try the way to the SII.",
    )  # fmt: skip
    dte_permission_answer = fields.Json(
        readonly=True, copy=False, groups="l10n_cl_dte.group_dte_manager",
        help="What came out of asking the SII with the certificate: `state` of the setup check, `code` and `params` of "
        "its sentence.",
    )  # fmt: skip
    dte_permission_asked_at = fields.Datetime(readonly=True, copy=False, groups="l10n_cl_dte.group_dte_manager")

    def write(self, vals):
        if not vals.keys() & set(_ASKED_WITH):
            return super().write(vals)
        before = [self._dte_asked_with(company) for company in self]
        result = super().write(vals)
        changed = [
            company.id for company, was in zip(self, before, strict=True) if self._dte_asked_with(company) != was
        ]
        if changed:
            # sudo: whoever may change the certificate makes the old answer worthless
            companies = self.browse(changed).sudo()
            companies.write({"dte_permission_answer": False, "dte_permission_asked_at": False})
        return result

    def _dte_asked_with(self, company) -> list:
        return [company.sudo()[name] for name in _ASKED_WITH]  # sudo: see write


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    def action_dte_setup(self):
        """Open the screen that tells what is missing."""
        return self.env["dte.setup"]._open()
