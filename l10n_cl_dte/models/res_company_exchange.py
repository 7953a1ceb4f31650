# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Exchange with the receivers of documents: when they go out, and the address where answers arrive."""

from odoo import api, fields, models
from odoo.tools import formataddr

from ..const import EXCHANGE_WHEN


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_exchange_when = fields.Selection(
        EXCHANGE_WHEN,
        string="XML to Customers",
        default="accepted",
        required=True,
        help="Customers with an exchange address get the XML for their system. Each customer may have another choice.",
    )
    dte_mail_alias_id = fields.Many2one("mail.alias", readonly=True, copy=False, ondelete="set null")
    dte_mail_alias_name = fields.Char(
        string="Mail Address for Electronic Documents",
        compute="_compute_dte_mail_alias_name",
        inverse="_inverse_dte_mail_alias_name",
        help="Where the customers' systems and the SII answer. Register it at the SII as the exchange address.",
    )
    dte_mail_address = fields.Char(compute="_compute_dte_mail_address")

    @api.depends("dte_mail_alias_id.alias_name")
    def _compute_dte_mail_alias_name(self):
        for company in self:
            # sudo: aliases are the system's; the company's own address is no secret
            company.dte_mail_alias_name = company.sudo().dte_mail_alias_id.alias_name

    @api.depends("dte_mail_alias_id.alias_full_name", "dte_mail_alias_id.alias_domain_id")
    def _compute_dte_mail_address(self):
        for company in self:
            # sudo: see _compute_dte_mail_alias_name
            alias = company.sudo().dte_mail_alias_id
            company.dte_mail_address = alias.alias_full_name if alias.alias_domain_id else False

    def _inverse_dte_mail_alias_name(self):
        for company in self:
            name = (company.dte_mail_alias_name or "").strip()
            # sudo: whoever may write the company's settings gives it its address
            alias = company.sudo().dte_mail_alias_id
            if not name:
                alias.unlink()
            elif alias:
                alias.write({"alias_name": name, "alias_domain_id": company.alias_domain_id.id})
            else:
                company.sudo().dte_mail_alias_id = alias.create(
                    {
                        "alias_name": name,
                        "alias_domain_id": company.alias_domain_id.id,
                        "alias_model_id": self.env["ir.model"]._get_id("dte.mail"),
                        "alias_parent_model_id": self.env["ir.model"]._get_id("res.company"),
                        "alias_parent_thread_id": company.id,
                        "alias_defaults": repr({"company_id": company.id}),
                        "alias_contact": "everyone",
                    }
                )

    def _dte_mail_sender(self) -> str:
        """Return the address that writes to customers' systems: they answer to it."""
        self.ensure_one()
        if self.dte_mail_address:
            return formataddr((self.name, self.dte_mail_address))
        return self.email_formatted or ""
