# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""When a document may be taken back, which makes room for another version with its folio."""

from odoo import models
from odoo.exceptions import UserError

from ..libs.exceptions import DteError
from .dte_messages import describe_error

# Envelopes that certainly do not hold a valid copy of their documents.
_REFUSED_FOR_GOOD = ("refused", "not_delivered", "rejected")


class DteDocument(models.Model):
    _inherit = "dte.document"

    def action_correct(self):
        """Take the invoice of a document back to draft, see `account.move.action_dte_correct`, and open it."""
        self.ensure_one()
        self.check_access("read")
        move = self.move_id
        if not move or move.dte_document_id != self:
            raise UserError(self.env._("There is no invoice of %s to correct.", self.display_name))
        told = move.action_dte_correct()
        if move.state != "draft":
            # The SII has it after all.
            return told
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": move.id,
            "views": [(False, "form")],
        }

    def _check_correctable(self):
        """Refuse to take back a document that is, or may be, at the SII."""
        if not self or self.superseded:
            raise UserError(self.env._("There is no electronic document to correct."))
        if self.state in ("accepted", "objected"):
            raise UserError(
                self.env._("%s is accepted by the SII. It is corrected with a credit or debit note.", self.display_name)
            )
        if self.state in ("sending", "sent", "no_answer", "unknown") or not self._is_refused_everywhere():
            raise UserError(
                self.env._(
                    "%s is at the SII or may be there. It can be corrected only after the SII has rejected it or does "
                    'not have it: press "Ask the SII".',
                    self.display_name,
                )
            )
        if self.environment != self.company_id.dte_environment:
            raise UserError(
                self.env._(
                    "%s was issued in another environment than the one in which the company works now.",
                    self.display_name,
                )
            )

    def _is_refused_everywhere(self) -> bool:
        return all(
            envio.state in _REFUSED_FOR_GOOD or (self.state == "rejected" and envio == self.envio_id)
            for envio in self.envio_ids.filtered("attempts")
        )

    def _standing_now(self) -> str:
        """Ask the SII what it has under the folio, see `_standing`; a document that never left needs no question.

        :raises UserError: when the SII cannot be asked
        """
        if not self.envio_ids.filtered("attempts") and not self.elsewhere:
            return "nothing"
        try:
            client = self.company_id._dte_client(self.environment)
            asker = self.company_id._dte_load_credentials().holder_rut
            return self._standing(client, asker)
        except DteError as error:
            raise UserError(describe_error(self.env, error)) from error

    def _take_back(self):
        """Mark the version as replaced; what waited for it is closed."""
        state = "rejected" if self.state == "rejected" else "failed"
        self._set_state(state, self.message_code, self.message_params, retry_at=False, queued_at=False)
        self.superseded = True
        self._tell()
