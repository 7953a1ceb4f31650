# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The address at which a company receives the SII's result mails."""

from odoo import api, fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_result_alias_id = fields.Many2one("mail.alias", string="Alias of Result Mails", ondelete="set null", copy=False)
    dte_result_alias_name = fields.Char(
        string="Address of Result Mails",
        compute="_compute_dte_result_alias_name",
        inverse="_inverse_dte_result_alias_name",
        help="Mail to this address that brings a result of the SII is read: its reasons are shown in the documents, "
        "and the SII is asked at once. Register the address at the SII, or forward its mails to it.",
    )
    dte_result_alias_email = fields.Char(compute="_compute_dte_result_alias_name")

    @api.depends("dte_result_alias_id.alias_name", "dte_result_alias_id.alias_full_name", "alias_domain_id")
    def _compute_dte_result_alias_name(self):
        for company in self:
            # sudo: aliases are for administrators of mail; the address of the own company is no secret
            alias = company.sudo().dte_result_alias_id
            company.dte_result_alias_name = alias.alias_name
            company.dte_result_alias_email = alias.alias_name and alias.alias_full_name

    def _inverse_dte_result_alias_name(self):
        for company in self:
            # sudo: who may write the company may give it an address, as with the aliases of journals
            alias = company.sudo().dte_result_alias_id
            name = company.dte_result_alias_name
            if alias and name:
                alias.alias_name = name
            elif alias:
                alias.unlink()
            elif name:
                company.sudo().dte_result_alias_id = alias.create(company._dte_result_alias_values(name))

    def _dte_result_alias_values(self, name: str) -> dict:
        models_ = self.env["ir.model"].sudo()
        return {
            "alias_name": name,
            "alias_domain_id": self.alias_domain_id.id,
            "alias_model_id": models_._get_id("dte.result.mail"),
            "alias_parent_model_id": models_._get_id("res.company"),
            "alias_parent_thread_id": self.id,
            "alias_defaults": repr({"company_id": self.id}),
            "alias_contact": "everyone",
        }
