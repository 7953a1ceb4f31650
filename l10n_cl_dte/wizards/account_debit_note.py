# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import Command, api, fields, models

from ..const import REFERENCE_CODES


class AccountDebitNote(models.TransientModel):
    _inherit = "account.debit.note"

    dte_applies = fields.Boolean(compute="_compute_dte_applies")
    dte_code = fields.Selection(
        REFERENCE_CODES,
        string="What the Note Does",
        compute="_compute_dte_code",
        store=True,
        readonly=False,
    )

    @api.depends("move_ids")
    def _compute_dte_applies(self):
        for wizard in self:
            wizard.dte_applies = any(move._dte_is_issued() for move in wizard.move_ids)

    @api.depends("move_ids")
    def _compute_dte_code(self):
        for wizard in self:
            is_credit_note = any(move.move_type == "out_refund" for move in wizard.move_ids)
            wizard.dte_code = "1" if is_credit_note else "3"

    def _prepare_default_values(self, move):
        # EXTENDS account_debit_note: the note refers to what it corrects; annulling a credit note repeats its lines
        values = super()._prepare_default_values(move)
        if move._dte_is_issued() and move.dte_document_id:
            reference = move._dte_reference_values() | {"code": self.dte_code, "reason": (self.reason or "")[:90]}
            values["dte_reference_ids"] = [Command.create(reference)]
            if self.dte_code == "1":
                values.pop("line_ids", None)
        return values
