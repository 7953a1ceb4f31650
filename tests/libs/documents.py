# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents for the tests of libs: plain builders with one valid default each."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from libs.dte import Dte, Issuer, Line, Receiver, Reference, Transport

from tests import authority

ISSUE_DATE = date(2026, 10, 5)
SIGNED_AT = datetime.fromisoformat("2026-10-05T11:30:45")
CUSTOMER = "77123456-9"


def make_issuer(**changes) -> Issuer:
    values = {
        "rut": authority.ISSUER,
        "name": "SERVICIOS Y CIA ÑUÑOA LIMITADA",
        "giro": "Venta al por menor de artículos de ferretería",
        "activity_codes": ("475201",),
        "address": "Av. Irarrázaval 1234",
        "comuna": "Ñuñoa",
        "city": "Santiago",
    }
    return Issuer(**values | changes)


def make_receiver(**changes) -> Receiver:
    values = {
        "rut": CUSTOMER,
        "name": "Comercial O'Higgins & Cía Ltda",
        "giro": "Construcción",
        "address": "Calle Larga 45",
        "comuna": "Providencia",
        "city": "Santiago",
    }
    return Receiver(**values | changes)


def make_line(name="Cemento", quantity="2", price="1500", **changes) -> Line:
    return Line(name, quantity and Decimal(quantity), price and Decimal(price), **changes)


def make_lump(name="Servicio", amount=10000, **changes) -> Line:
    return Line(name, lump_sum=amount, **changes)


def make_reference(doc_type="33", folio="7", code=None, **changes) -> Reference:
    return Reference(**{"doc_type": doc_type, "folio": folio, "date": date(2026, 10, 1), "code": code} | changes)


def make_dte(dte_type=33, lines=None, **changes) -> Dte:
    """A valid document: a note corrects an invoice, a guide is a sale that goes to the customer."""
    values = {
        "folio": 7,
        "issue_date": ISSUE_DATE,
        "issuer": make_issuer(),
        "receiver": make_receiver(),
        "lines": tuple(lines or [make_line()]),
    }
    if dte_type in (56, 61):
        values["references"] = (make_reference(code=3, reason="Corrige montos"),)
    if dte_type == 52:
        values |= {"transfer_type": 1, "transport": Transport(address="Los Aromos 8", comuna="Maipú")}
    return Dte(dte_type=dte_type, **values | changes)
