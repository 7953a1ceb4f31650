# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import secrets

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from ..const import INVOICE_TYPES
from ..libs import simulator_control
from ..libs.exceptions import DteError
from ..models.dte_messages import describe_error

RUT = "76543210-3"
HOLDER = "11111111-1"
HOLDER_NAME = "Ana Firmante"
RESOLUTION_DATE = "2026-01-02"
ACTIVITY_CODES = ("620200", "474100")
FOLIOS = 200
# Where the documentation of the simulator starts it.
SIMULATOR_URL = "http://127.0.0.1:8555"
COMPANY = {
    "vat": RUT,
    "l10n_cl_sii_taxpayer_type": "1",
    "l10n_cl_activity_description": "Servicios de informática y venta de equipos",
    "street": "Av. Libertador Bernardo O'Higgins 1449",
    "dte_comuna": "Santiago",
    "city": "Santiago",
    "email": "facturacion@example.com",
    "phone": "+56 2 2345 6789",
}
CUSTOMERS = (
    {"name": 'Ferretería "El Tornillo" & Cía. Ltda.', "vat": "88888888-8", "email": "pagos@example.com"},
    {"name": "Panadería Añañuca SpA", "vat": "77123456-9", "dte_comuna": "Ñuñoa"},
)
CUSTOMER = {
    "is_company": True,
    "l10n_cl_sii_taxpayer_type": "1",
    "l10n_cl_activity_description": "Comercio al por menor",
    "street": "Calle Nueva 100",
    "dte_comuna": "Providencia",
    "city": "Santiago",
}


class DteDemo(models.TransientModel):
    """Turn the company of a fresh database into one that issues into the simulator, with keys made by it."""

    _name = "dte.demo"
    _description = "Demo Company"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    simulator_url = fields.Char(
        string="Simulator", required=True, default=lambda self: self.env.company.dte_simulator_url or SIMULATOR_URL
    )

    def action_create(self):
        """Make the demo company and show its setup. Uses the network."""
        self.ensure_one()
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(self.env._("Only an administrator makes the demo company."))
        self._check_is_fresh()
        try:
            self._make()
        except DteError as error:
            raise UserError(describe_error(self.env, error)) from error
        return self.env["dte.setup"]._open()

    def _check_is_fresh(self):
        """Refuse a company that anybody works in: the demo gives it another name, RUT and chart of accounts."""
        company = self.company_id
        if company.dte_environment == "production":
            raise UserError(self.env._("The company is in production: a demo is only made of a fresh one."))
        # sudo: whatever exists counts, whoever may see it
        used = self.env["account.move"].sudo().search_count([("company_id", "=", company.id)], limit=1)
        used = used or self.env["dte.document"].sudo().search_count([("company_id", "=", company.id)], limit=1)
        if used or company.dte_certificate_id:
            raise UserError(
                self.env._("The company has invoices, documents or a certificate: a demo is only made of a fresh one.")
            )
        if company.vat and company.vat != RUT:
            raise UserError(self.env._("The company has a RUT of its own: a demo is only made of a fresh one."))

    def _make(self):
        """Prepare the company; for the demo on a developer's machine too.

        :raises DteError: when the simulator does not answer
        """
        company = self.company_id
        chile = {
            "country_id": self.env.ref("base.cl").id,
            "l10n_latam_identification_type_id": self.env.ref("l10n_cl.it_RUT").id,
        }
        company.name = "Servicios y Equipos Ñuñoa SpA"
        company.partner_id.write({**COMPANY, **chile})
        if company.chart_template != "cl":
            self.env["account.chart.template"].try_loading("cl", company, install_demo=False)
        company.write(
            {
                "dte_environment": "simulator",
                "dte_simulator_url": self.simulator_url,
                "dte_simulator_resolution_date": RESOLUTION_DATE,
                "dte_activity_codes": ", ".join(ACTIVITY_CODES),
                "dte_sii_office": "SANTIAGO CENTRO",
            }
        )
        url = company._dte_base_url("simulator")
        company.dte_simulator_key = simulator_control.read_caf_key(url)
        self._make_known(url)
        self._load_certificate(url)
        journals = self.env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
        journals.write({"dte_enabled": True})
        for dte_type in INVOICE_TYPES:
            content = simulator_control.make_caf(url, RUT, int(dte_type), 1, FOLIOS)
            self.env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
        known = self.env["res.partner"].search([("vat", "in", [values["vat"] for values in CUSTOMERS])])
        self.env["res.partner"].create(
            [
                {**CUSTOMER, **chile, "lang": self.env.user.lang, **values}
                for values in CUSTOMERS
                if values["vat"] not in known.mapped("vat")
            ]
        )

    def _make_known(self, url: str):
        simulator_control.register_company(
            url,
            {
                "rut": RUT,
                "name": self.company_id.name,
                "resolution_number": 0,
                "resolution_date": RESOLUTION_DATE,
                "acteco": list(ACTIVITY_CODES),
                "users": [{"rut": HOLDER, "sign": True, "send": True, "query": True}],
            },
        )

    def _load_certificate(self, url: str):
        passphrase = secrets.token_urlsafe(12)
        content = simulator_control.make_certificate(url, HOLDER, HOLDER_NAME, passphrase)
        loader = self.env["dte.certificate.load"]
        credentials, rut = loader._read(content, passphrase)
        self.company_id.dte_certificate_id = loader._store(self.company_id, "firma.p12", credentials, rut)
