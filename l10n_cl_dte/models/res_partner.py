# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import email_normalize

from ..const import EXCHANGE_WHEN


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
    dte_exchange_email = fields.Char(
        string="Exchange Address (DTE)",
        copy=False,
        help="Where the customer's system receives electronic documents: the mail address that the customer registered "
        'at the SII for exchange ("correo de intercambio"). Not the address of a person.',
    )
    dte_exchange_when = fields.Selection(
        EXCHANGE_WHEN, string="XML to the Customer", help="Empty: as the company's settings say."
    )

    @api.constrains("dte_exchange_email")
    def _check_dte_exchange_email(self):
        for partner in self.filtered("dte_exchange_email"):
            if not email_normalize(partner.dte_exchange_email):
                raise ValidationError(
                    self.env._("%s is not one mail address. Write it like dte@example.com.", partner.dte_exchange_email)
                )

    @api.model
    def _commercial_fields(self):
        # EXTENDS base: documents go to the company's system, whichever contact they name
        return [*super()._commercial_fields(), "dte_exchange_email", "dte_exchange_when"]

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

    @api.onchange("country_id")
    def _onchange_country_dte(self):
        # Odoo begins every contact with its general "VAT", which no Chilean calls a RUT.
        if self.country_code == "CL":
            kind = self.l10n_latam_identification_type_id
            if not kind or kind == self.env.ref("l10n_latam_base.it_vat", raise_if_not_found=False):
                self.l10n_latam_identification_type_id = self.env.ref("l10n_cl.it_RUT")

    @api.model
    def _address_fields(self):
        # EXTENDS base: a contact that shares the company's address shares its comuna
        return [*super()._address_fields(), "dte_comuna"]
