# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A company that issues into the local simulator, for tests and demo, with keys made by the simulator."""

import secrets

import requests

from odoo import fields

HOLDER = "11111111-1"
HOLDER_NAME = "Ana Firmante"
RESOLUTION_DATE = "2026-01-02"
ACTIVITY_CODES = ["620200", "474100"]
_SECONDS = 30


class Simulator:
    """Client of the simulator's control API."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def call(self, method: str, action: str, **data):
        """Return the decoded answer of a control action, bytes when it is not JSON."""
        response = requests.request(method, f"{self.url}/control/{action}", json=data or None, timeout=_SECONDS)
        if response.status_code != 200:
            raise AssertionError(f"simulator: {action}: {response.status_code} {response.text}")
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response.json()
        return response.content

    def caf(self, rut: str, dte_type: int, first: int, last: int, **options) -> bytes:
        """Return a CAF file."""
        return self.call("POST", "caf", rut=rut, type=dte_type, **{"from": first, "to": last}, **options)

    def certificate(self, rut: str = HOLDER, name: str = HOLDER_NAME, **options) -> tuple[str, str]:
        """Return a PKCS#12 file in base64 and its passphrase."""
        passphrase = secrets.token_urlsafe(12)
        answer = self.call("POST", "certificate", rut=rut, name=name, passphrase=passphrase, **options)
        return answer["pkcs12"], passphrase

    def documents(self, issuer: str) -> dict:
        """Return what the simulator holds of an issuer, by (type, folio)."""
        listing = self.call("GET", f"ledger?issuer={issuer}")["documents"]
        return {(document["type"], document["folio"]): document for document in listing}


def set_up_company(company, simulator: Simulator, rut: str):
    """Give a company with the Chilean chart everything that it needs to issue into the simulator."""
    env = company.env
    company.partner_id.write(
        {
            "vat": rut,
            "country_id": env.ref("base.cl").id,
            "l10n_latam_identification_type_id": env.ref("l10n_cl.it_RUT").id,
            "l10n_cl_sii_taxpayer_type": "1",
            "l10n_cl_activity_description": "Servicios de informática y venta de equipos",
            "street": "Av. Libertador Bernardo O'Higgins 1449",
            "dte_comuna": "Santiago",
            "city": "Santiago",
            "email": "facturacion@example.com",
            "phone": "+56 2 2345 6789",
        }
    )
    authority = simulator.call("GET", "ca")
    company.write(
        {
            "dte_environment": "simulator",
            "dte_simulator_url": simulator.url,
            "dte_simulator_key": authority["caf_key"],
            "dte_simulator_resolution_date": RESOLUTION_DATE,
            "dte_activity_codes": ", ".join(ACTIVITY_CODES),
            "dte_sii_office": "SANTIAGO CENTRO",
        }
    )
    register_company(company, simulator)
    load_certificate(company, *simulator.certificate())


def register_company(company, simulator: Simulator, **permissions):
    """Make the company and the holder of its certificate known to the simulator."""
    simulator.call(
        "POST",
        "company",
        rut=company.vat,
        name=company.name,
        resolution_number=0,
        resolution_date=RESOLUTION_DATE,
        acteco=ACTIVITY_CODES,
        users=[{"rut": HOLDER, "sign": True, "send": True, "query": True, **permissions}],
    )


def load_certificate(company, pkcs12: str, passphrase: str, **values):
    """Load a certificate as an administrator does."""
    wizard = company.env["dte.certificate.load"].create(
        {
            "company_id": company.id,
            "certificate_file": pkcs12,
            "certificate_filename": "firma.p12",
            "passphrase": passphrase,
            **values,
        }
    )
    return wizard.action_load()


def make_customer(env, name: str, rut: str, **values):
    """Return a company customer with everything that an invoice must show."""
    return env["res.partner"].create(
        {
            "name": name,
            "is_company": True,
            "vat": rut,
            "country_id": env.ref("base.cl").id,
            "l10n_latam_identification_type_id": env.ref("l10n_cl.it_RUT").id,
            "l10n_cl_sii_taxpayer_type": "1",
            "l10n_cl_activity_description": "Comercio al por menor",
            "street": "Calle Nueva 100",
            "dte_comuna": "Providencia",
            "city": "Santiago",
            **values,
        }
    )


def make_invoice(journal, partner, lines: list[dict], dte_type: str = "33", **values):
    """Return a draft invoice or credit note in a journal; its type follows the SII's code.

    :param lines: values of invoice lines; `tax_ids` defaults to the sales VAT, or to none in an exempt invoice
    """
    env = journal.env
    company = journal.company_id
    document_type = env["l10n_latam.document.type"].search([("code", "=", dte_type), ("country_id.code", "=", "CL")])
    vat = env["account.tax"] if dte_type == "34" else company.account_sale_tax_id
    return env["account.move"].create(
        {
            "move_type": "out_refund" if dte_type == "61" else "out_invoice",
            "journal_id": journal.id,
            "partner_id": partner.id,
            "invoice_date": fields.Date.to_string(company._dte_now().date()),
            "l10n_latam_document_type_id": document_type.id,
            "invoice_line_ids": [(0, 0, {"tax_ids": [(6, 0, vat.ids)], **line}) for line in lines],
            **values,
        }
    )


def make_user(company, login: str, password: str, role: str = "group_dte_user"):
    """Return a user of one company with one role of this addon and nothing else."""
    env = company.env
    return env["res.users"].create(
        {
            "name": login,
            "login": login,
            "password": password,
            "tz": "America/Santiago",
            "company_id": company.id,
            "company_ids": [(6, 0, company.ids)],
            "group_ids": [(6, 0, [env.ref(f"l10n_cl_dte.{role}").id])],
        }
    )
