# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, models

from ..models.account_move_send import EDI


class AccountMoveSendWizard(models.TransientModel):
    _inherit = "account.move.send.wizard"

    @api.depends("move_id")
    def _compute_extra_edi_checkboxes(self):
        # EXTENDS account: the box of a failed document is there, and not ticked
        result = super()._compute_extra_edi_checkboxes()
        edi = self._get_all_extra_edis()[EDI]
        for wizard in self:
            boxes = wizard.extra_edi_checkboxes or {}
            if EDI not in boxes and edi["is_applicable"](wizard.move_id):
                box = {"checked": False, "label": edi["label"], "help": edi["help"]}
                wizard.extra_edi_checkboxes = {**boxes, EDI: box}
        return result
