# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    dte_comuna = fields.Char(
        string="Comuna",
        compute="_compute_dte_comuna",
        store=True,
        readonly=False,
        help="Comuna of the address, as it stands on electronic documents. Taken from the city until it is filled in.",
    )

    @api.depends("city")
    def _compute_dte_comuna(self):
        for partner in self:
            partner.dte_comuna = partner.dte_comuna or partner.city

    @api.model
    def _address_fields(self):
        # EXTENDS base: a contact that shares the company's address shares its comuna
        return [*super()._address_fields(), "dte_comuna"]
