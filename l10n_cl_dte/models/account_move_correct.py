# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Correct: take back a document that the SII does not have, and issue it again with the same folio."""

from odoo import models
from odoo.exceptions import AccessError


class AccountMove(models.Model):
    _inherit = "account.move"

    def action_dte_correct(self):
        """Put the invoice back to draft, its folio kept, so that it can be corrected and issued again.

        Where the SII holds something under the folio, the folio is left alone and the next issue takes a new one.

        :raises UserError: when the document may be at the SII, or the SII cannot be asked
        """
        self.ensure_one()
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(self.env._('You need the role "Electronic documents: user" to correct documents.'))
        self.check_access("write")
        # sudo: users see documents but write none; what may be done with this one is checked below
        document = self.sudo().dte_document_id
        document._check_correctable()
        # The network comes before the lock.
        standing = document._standing_now()
        document = document._lock_for_person()
        document._check_correctable()
        if standing == "ours":
            # A copy of these very bytes was accepted, whatever became of the others.
            document._set_state("accepted", repairs_unknown=True)
            document._tell()
            return document._report()
        is_free = standing == "nothing"
        if is_free:
            document._take_back()
        else:
            self.sudo().dte_document_id = False  # sudo: see above
        self.button_draft()
        if not is_free:
            self.name = False
        return {"type": "ir.actions.client", "tag": "soft_reload"}
