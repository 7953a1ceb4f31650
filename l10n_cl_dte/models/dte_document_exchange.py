# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a document knows of its exchange with the receiver. It never touches the state at the SII."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..libs import exchange as exchange_lib
from .dte_backup import XML_DECLARATION
from .dte_exchange import VALID

RECEIVER_STATES = [
    ("received", "Received"),
    ("not_received", "Not taken by the customer's system"),
    ("accepted", "Accepted by the customer"),
    ("discrepancies", "Accepted with discrepancies"),
    ("rejected", "Rejected by the customer"),
]
_RESULTS = {"0": "accepted", "1": "discrepancies", "2": "rejected"}
# Its system had the document before: it has received it.
_RECEIVED = ("0", "4")


class DteDocument(models.Model):
    _inherit = "dte.document"

    exchange_ids = fields.One2many("dte.exchange", "document_id", string="Mailed to the Customer", readonly=True)
    answer_ids = fields.One2many("dte.exchange.answer", "document_id", string="Customer's Answers", readonly=True)
    receiver_state = fields.Selection(RECEIVER_STATES, string="Customer's Answer", readonly=True)
    receiver_reason = fields.Char(string="Customer's Reason", readonly=True)
    goods_acknowledged_at = fields.Datetime(
        string="Receipt of Goods or Services",
        readonly=True,
        help="When the customer signed the receipt of goods or services (Ley 19.983).",
    )
    exchange_hint = fields.Char(string="Exchange", compute="_compute_exchange_hint")

    @api.depends(
        "state", "superseded", "exchange_ids.state", "move_id.commercial_partner_id.dte_exchange_email",
        "move_id.commercial_partner_id.dte_exchange_when", "company_id.dte_exchange_when",
    )  # fmt: skip
    @api.depends_context("lang")
    def _compute_exchange_hint(self):
        for document in self:
            document.exchange_hint = document._explain_exchange()

    def _explain_exchange(self) -> str:
        """Return why it has not been mailed to the customer's system, or an empty text."""
        # sudo: address and choice of the customer of a document that the user sees
        document = self.sudo()
        if document.exchange_ids or not document.move_id or document.superseded:
            return ""
        if not document.move_id.commercial_partner_id.dte_exchange_email:
            return self.env._("The customer has no exchange address: fill it in on the contact to mail the XML.")
        if document.state not in VALID:
            return self.env._("It is mailed to the customer's system once the SII has accepted it, not before.")
        return {
            "never": self.env._("It is mailed to the customer's system only when somebody presses the button."),
            "invoice": self.env._("It is mailed to the customer's system when the invoice is sent to the customer."),
        }.get(document._exchange_when(), "")

    def _exchange_when(self) -> str:
        """Return when this document goes to its receiver's system: accepted, invoice or never."""
        return self.move_id.commercial_partner_id.dte_exchange_when or self.company_id.dte_exchange_when

    def _is_for_exchange(self) -> bool:
        """Tell whether it may be handed to its receiver's system and is known where that is."""
        return bool(
            self.state in VALID
            and not self.superseded
            and self.move_id
            and self.move_id.commercial_partner_id.dte_exchange_email
        )

    def action_exchange(self):
        """Mail these to their receivers' systems, once more if need be."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(
                self.env._('You need the role "Electronic documents: user" to send documents. Ask your administrator.')
            )
        self.check_access("read")
        # sudo: users see rows but write none; asking is written in their name
        documents = self.sudo()
        for document in documents:
            if document.state not in VALID or document.superseded:
                raise UserError(
                    self.env._(
                        "%s has not been accepted by the SII: it is not valid yet and cannot be handed over.",
                        document.display_name,
                    )
                )
            if not document._is_for_exchange():
                raise UserError(
                    self.env._(
                        "%(document)s: %(partner)s has no exchange address. Fill it in on the contact, in the tab "
                        "Invoicing.",
                        document=document.display_name,
                        partner=document.move_id.commercial_partner_id.display_name or document.receiver_name,
                    )
                )
        rows = self.env["dte.exchange"]
        for document in documents:
            rows |= rows.sudo()._ensure_row(document)
        return rows.with_env(self.env).action_send_again()

    def _file_content(self) -> bytes:
        """Return the signed XML as a file that stands alone, with its declaration; b"" when no copy is intact."""
        self.ensure_one()
        xml = self._xml()
        return XML_DECLARATION + xml if xml else b""

    # -- answers; records are sudo --

    def _sum_up_answers(self):
        """Show what the customer's answers amount to: the last decision counts more than any reception."""
        self.ensure_one()
        answers = self.answer_ids.sorted(lambda answer: (answer.signed_at, answer.id))
        results = answers.filtered(lambda answer: answer.kind == exchange_lib.RESULT)
        receptions = answers.filtered(lambda answer: answer.kind == exchange_lib.RECEPTION)
        receipts = answers.filtered(lambda answer: answer.kind == exchange_lib.RECEIPT)
        state, last = False, results[-1:] or receptions[-1:]
        if results:
            state = _RESULTS[last.code]
        elif receptions:
            # Received once is received, whatever a second copy was told.
            last = receptions.filtered(lambda answer: answer.code in _RECEIVED)[-1:] or last
            state = "received" if last.code in _RECEIVED else "not_received"
        is_bad = state in ("not_received", "discrepancies", "rejected")
        self.write(
            {
                "receiver_state": state,
                "receiver_reason": last.text if is_bad else False,
                "goods_acknowledged_at": receipts[:1].signed_at,
            }
        )


class AccountMove(models.Model):
    _inherit = "account.move"

    dte_receiver_state = fields.Selection(related="dte_document_id.receiver_state", string="Customer's Answer")
    dte_receiver_reason = fields.Char(related="dte_document_id.receiver_reason", string="Customer's Reason")
    dte_goods_acknowledged_at = fields.Datetime(related="dte_document_id.goods_acknowledged_at")
    dte_exchange_ids = fields.One2many(related="dte_document_id.exchange_ids", string="Mailed to the Customer")
    dte_answer_ids = fields.One2many(related="dte_document_id.answer_ids", string="Customer's Answers")
    dte_exchange_hint = fields.Char(related="dte_document_id.exchange_hint")

    def action_dte_exchange(self):
        """Mail the documents of these invoices to their receivers' systems."""
        self.check_access("read")
        if not self.dte_document_id:
            raise UserError(self.env._("There is no signed electronic document among the selected invoices."))
        return self.dte_document_id.action_exchange()
