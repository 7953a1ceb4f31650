# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..const import ENVIRONMENTS


class AccountJournal(models.Model):
    _inherit = "account.journal"

    dte_enabled = fields.Boolean(
        string="Issues Electronic Documents (DTE)",
        help="Invoices and notes posted in this journal take a folio of the SII and are signed and stamped.",
    )
    dte_environment = fields.Selection(
        ENVIRONMENTS,
        string="DTE Environment",
        readonly=True,
        copy=False,
        help="Environment of the journal's first electronic document. Folios of others cannot share the journal.",
    )
    dte_branch_code = fields.Char(
        string="SII Branch Code", size=9, help="Code that the SII gave to the branch that issues from this journal."
    )
    dte_branch_name = fields.Char(string="Branch Name", size=20)

    @api.constrains("dte_enabled", "type", "l10n_latam_use_documents")
    def _check_dte_enabled(self):
        for journal in self.filtered("dte_enabled"):
            if journal.type != "sale" or not journal.l10n_latam_use_documents:
                raise ValidationError(
                    self.env._(
                        "Only a sales journal that uses documents can issue electronic documents: %s.",
                        journal.display_name,
                    )
                )

    @api.constrains("dte_branch_code")
    def _check_dte_branch_code(self):
        for journal in self.filtered("dte_branch_code"):
            if not journal.dte_branch_code.isdigit() or journal.dte_branch_code.startswith("0"):
                raise ValidationError(self.env._("The SII branch code is a number of up to nine digits."))
