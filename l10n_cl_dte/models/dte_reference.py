# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import UserError

from ..const import REFERENCE_CODES


class DteReference(models.Model):
    """A document that an invoice or note refers to."""

    _name = "dte.reference"
    _description = "Reference of an Electronic Document"
    _order = "move_id, sequence, id"
    _check_company_auto = True

    move_id = fields.Many2one("account.move", required=True, ondelete="cascade", index=True)
    company_id = fields.Many2one(related="move_id.company_id", store=True)
    sequence = fields.Integer(default=10)
    document_type_id = fields.Many2one(
        "l10n_latam.document.type",
        required=True,
        ondelete="restrict",
        domain="[('country_id.code', '=', 'CL')]",
    )
    doc_code = fields.Char(related="document_type_id.code", string="Type Code")
    # The stock l10n_cl reads this name when a foreign supplier's credit note is posted.
    l10n_cl_reference_doc_type_selection = fields.Char(related="document_type_id.code", string="Reference Type")
    origin_move_id = fields.Many2one(
        "account.move", string="Referenced Invoice", check_company=True, index="btree_not_null", ondelete="restrict"
    )
    folio = fields.Char(size=18, required=True)
    date = fields.Date(required=True, default=fields.Date.context_today)
    code = fields.Selection(REFERENCE_CODES, string="Action")
    reason = fields.Char(size=90)
    is_global = fields.Boolean(string="Global", help="Refers to all documents of the type in the period, with folio 0.")

    @api.onchange("origin_move_id")
    def _onchange_origin_move_id(self):
        for reference in self.filtered("origin_move_id"):
            reference.update(reference.origin_move_id._dte_reference_values())

    @api.onchange("is_global")
    def _onchange_is_global(self):
        for reference in self.filtered("is_global"):
            reference.folio = "0"

    @api.model_create_multi
    def create(self, vals_list):
        references = super().create(vals_list)
        references._check_not_signed()
        return references

    def write(self, vals):
        self._check_not_signed()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_signed(self):
        self._check_not_signed()

    def _environment(self) -> str:
        """Return the environment that the invoice belongs to, or will belong to once it is posted."""
        return self.move_id.dte_environment or self.move_id.company_id.dte_environment

    def _document(self):
        """Return our live document that is referred to, empty when it is none of ours.

        The linked invoice says which it is, else type and folio; that both agree is checked before posting. It belongs
        to the company and the environment of the invoice that refers to it.
        """
        self.ensure_one()
        # sudo: posting users need the documents of their own company, whatever their role
        documents = self.env["dte.document"].sudo()
        company, environment = self.move_id.company_id, self._environment()
        linked = self.origin_move_id.sudo().dte_document_id
        if linked:
            return linked.filtered(
                lambda document: (
                    document.company_id == company and document.environment == environment and not document.superseded
                )
            )
        folio = (self.folio or "").strip()
        if self.is_global or not folio.isdecimal():
            return documents
        domain = [
            ("company_id", "=", company.id),
            ("environment", "=", environment),
            ("dte_type", "=", self.doc_code),
            ("folio", "=", int(folio)),
            ("superseded", "=", False),
        ]
        if self.origin_move_id:
            domain.append(("move_id", "=", False))
        return documents.search(domain, limit=1)

    def _check_not_signed(self):
        for move in self.move_id.filtered(lambda move: move._dte_is_locked()):
            raise UserError(self.env._("%s is signed: its references cannot be changed any more.", move.display_name))
