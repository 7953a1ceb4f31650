# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..libs.dte import Line, line_amount

# Lines that stand in a signed document as they are: items, and the notes that describe the item before them.
PRINTED_TYPES = ("product", "line_note")
PRINTED_FIELDS = frozenset(
    (
        "name",
        "sequence",
        "product_id",
        "product_uom_id",
        "quantity",
        "price_unit",
        "discount",
        "tax_ids",
        "dte_indicator",
    )
)
# What the totals and the nature of any line of the document come from.
AMOUNT_FIELDS = frozenset(
    ("move_id", "display_type", "currency_id", "amount_currency", "balance", "debit", "credit")
)  # fmt: skip


def to_decimal(value: float, digits: int = 6) -> Decimal:
    """Return a float of Odoo as the decimal that the user typed, with at most six decimals as the SII admits."""
    return Decimal(repr(round(value, digits)))


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    dte_indicator = fields.Selection(
        [("2", "Not billable"), ("3", "Packaging deposit"), ("6", "Not billable, negative")],
        string="SII Indicator",
        help="For lines that are neither taxed nor exempt. A line without VAT is exempt by itself.",
    )

    def _get_computed_taxes(self):
        # EXTENDS account: a line that is typed without a product starts with VAT where the document has VAT; stock Odoo
        # leaves it exempt, and in an invoice with other taxed lines nobody would notice
        taxes = super()._get_computed_taxes()
        move = self.move_id
        if not taxes and not self.product_id and self.display_type == "product" and move._dte_has_vat():
            taxes = move.fiscal_position_id.map_tax(move.company_id.account_sale_tax_id)
        return taxes

    def _dte_price_line(self) -> Line:
        """Return quantity, price and discount in the pipeline's terms, enough to compute the amount.

        A negative discount is a surcharge. Quantity and price are positive; the sign of a line is carried elsewhere.
        """
        self.ensure_one()
        discount = to_decimal(self.discount, 2)
        return Line(
            name="",
            quantity=abs(to_decimal(self.quantity)) or None,
            price=abs(to_decimal(self.price_unit)) or None,
            discount_percent=discount if discount > 0 else None,
            surcharge_percent=-discount if discount < 0 else None,
        )

    def _dte_base_amount(self, base_line) -> int | None:
        """Return the signed whole pesos of the line by the SII's rounding, None when Odoo's own computation serves."""
        quantity, price, discount = base_line["quantity"], base_line["price_unit"], base_line["discount"]
        if not quantity or not price:
            return None
        percent = to_decimal(discount, 2)
        amount = line_amount(
            Line(
                name="",
                quantity=abs(to_decimal(quantity)),
                price=abs(to_decimal(price)),
                discount_percent=percent if percent > 0 else None,
                surcharge_percent=-percent if percent < 0 else None,
            )
        ).amount
        return amount if (quantity < 0) == (price < 0) else -amount

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._dte_refuse_signed(PRINTED_TYPES)
        return lines

    def write(self, vals):
        signed = self.filtered(lambda line: line.move_id._dte_is_locked())
        for line in signed:
            changed = vals.keys() & line._dte_signed_fields()
            if any(line._dte_would_change(name, vals[name]) for name in changed):
                line._dte_refuse_signed()
        result = super().write(vals)
        if "move_id" in vals:
            (self - signed)._dte_refuse_signed(PRINTED_TYPES)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_signed(self):
        self._dte_refuse_signed(PRINTED_TYPES)

    def _dte_signed_fields(self) -> frozenset:
        """Return the fields of the line that the signed document depends on."""
        if self.display_type == "cogs":
            return frozenset()
        return AMOUNT_FIELDS | PRINTED_FIELDS if self.display_type in PRINTED_TYPES else AMOUNT_FIELDS

    def _dte_refuse_signed(self, display_types: tuple | None = None):
        """Raise when one of the lines, of these types if given, belongs to a signed document."""
        for line in self:
            if (not display_types or line.display_type in display_types) and line.move_id._dte_is_locked():
                raise UserError(
                    self.env._(
                        "%s is signed and cannot be changed. Correct it with a credit or debit note.",
                        line.move_id.display_name,
                    )
                )

    def _dte_would_change(self, name: str, value) -> bool:
        field = self._fields[name]
        if field.type == "many2many":
            after = self.new({name: value}, origin=self)[name]
            return after._origin != self[name] or len(after) != len(self[name])
        return field.convert_to_write(self[name], self) != field.convert_to_write(
            field.convert_to_record(field.convert_to_cache(value, self), self), self
        )
