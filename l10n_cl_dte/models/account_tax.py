# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, models


class AccountTax(models.Model):
    _inherit = "account.tax"

    @api.model
    def _add_tax_details_in_base_line(self, base_line, company, rounding_method=None):
        # EXTENDS account: the SII rounds each line to pesos before it adds them up and applies the tax, Odoo's global
        # rounding adds the unrounded lines. A document must have the same totals in the books and at the SII.
        record = base_line["record"]
        if (
            isinstance(record, models.BaseModel)
            and record._name == "account.move.line"
            and record.move_id._dte_is_issued()
        ):
            amount = record._dte_base_amount(base_line)
            if amount is not None:
                rounded = {**base_line, "price_unit": amount / base_line["quantity"], "discount": 0.0}
                super()._add_tax_details_in_base_line(rounded, company, rounding_method)
                base_line["tax_details"] = rounded["tax_details"]
                return None
        return super()._add_tax_details_in_base_line(base_line, company, rounding_method)
