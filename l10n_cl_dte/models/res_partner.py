# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    dte_comuna = fields.Char(
        string="Comuna",
        compute="_compute_dte_comuna",
        inverse="_inverse_dte_comuna",
        store=True,
        readonly=False,
        help="Comuna of the address, as it stands on electronic documents. It is the city until another one is typed.",
    )
    dte_comuna_typed = fields.Char(string="Comuna as Typed", help="The comuna that somebody typed, if not the city.")

    @api.depends("city", "dte_comuna_typed")
    def _compute_dte_comuna(self):
        for partner in self:
            partner.dte_comuna = partner.dte_comuna_typed or partner.city

    def _inverse_dte_comuna(self):
        self._onchange_dte_comuna()
        for partner in self.filtered(lambda partner: not partner.dte_comuna and partner.city):
            partner.dte_comuna = partner.city

    @api.onchange("dte_comuna")
    def _onchange_dte_comuna(self):
        # An onchange too: in a form the typed comuna must survive a change of the city before it is saved.
        for partner in self:
            partner.dte_comuna_typed = partner.dte_comuna if partner.dte_comuna != partner.city else False

    @api.model
    def _address_fields(self):
        # EXTENDS base: a contact that shares the company's address shares its comuna
        return [*super()._address_fields(), "dte_comuna"]
