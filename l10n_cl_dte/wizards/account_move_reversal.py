# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..const import REFERENCE_CODES


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    dte_applies = fields.Boolean(compute="_compute_dte_applies")
    dte_code = fields.Selection(REFERENCE_CODES, string="What the Note Does", default="1", required=True)
    dte_original_text = fields.Char(string="Where It Says")
    dte_corrected_text = fields.Char(string="It Should Say")

    @api.depends("move_ids")
    def _compute_dte_applies(self):
        for wizard in self:
            wizard.dte_applies = any(move._dte_is_issued() for move in wizard.move_ids)

    def _prepare_default_reversal(self, move):
        # EXTENDS account: the note refers to what it corrects, with the code that the user chose
        values = super()._prepare_default_reversal(move)
        if move._dte_is_issued() and move.dte_document_id:
            reference = move._dte_reference_values() | {"code": self.dte_code, "reason": (self.reason or "")[:90]}
            values["dte_reference_ids"] = [Command.create(reference)]
        return values

    def reverse_moves(self, is_modify=False):
        # EXTENDS account
        self.ensure_one()
        if self.dte_applies and self.dte_code == "2":
            if is_modify:
                raise UserError(self.env._("A text correction leaves the invoice in force: use Reverse."))
            if not (self.dte_original_text and self.dte_corrected_text):
                raise UserError(self.env._("Write what the document says and what it should say."))
        action = super().reverse_moves(is_modify)
        if self.dte_applies and self.dte_code == "2":
            self.new_move_ids._dte_make_text_correction(self.dte_original_text, self.dte_corrected_text)
        return action
