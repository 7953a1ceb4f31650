# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Random documents of the five types: mostly right, sometimes at or over a limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from decimal import Decimal

from hypothesis import strategies as st
from libs.dte import (
    GlobalDiscount,
    Installment,
    Payment,
    Reference,
    ReferenceUnit,
    Retainer,
    TaxOverride,
    Transport,
)

from tests.libs.documents import make_dte, make_issuer, make_line, make_receiver, make_reference

ALPHABET = "abcdefghij KLMNÑñáéíóúü°«»&<>'\"/;=  \xa0–“”…€™\u200b"
RUTS = st.sampled_from(["77123456-9", "15000005-K", "60803000-K", "5126663-3", "1000000-9"])


def texts(most, least=1):
    word = st.text(alphabet=ALPHABET, min_size=least, max_size=most)
    return word.map(lambda text: f"a{text}" if least else text)


def maybe(strategy):
    return st.one_of(st.none(), strategy)


dates = st.dates(date(2003, 4, 1), date(2050, 12, 31))
tiny = st.decimals("0.000001", "9", places=6)
quantities = st.one_of(tiny, st.integers(1, 10**6).map(str), st.decimals("0.01", "99999", places=2))
percents = st.decimals("0.01", "100", places=2)
pesos = st.integers(0, 10**9)

issuers = st.builds(
    make_issuer,
    name=texts(130),
    giro=texts(100),
    activity_codes=st.lists(st.sampled_from(["475201", "011101", "620200"]), min_size=1, max_size=4).map(tuple),
    address=texts(80),
    comuna=texts(30),
    city=texts(30, 0),
    phones=st.lists(texts(25, 0), max_size=3).map(tuple),
    email=texts(90, 0),
    branch_name=texts(30, 0),
    branch_code=st.sampled_from(["", "1", "987654321"]),
    seller_code=texts(70, 0),
    extra_id=texts(30, 0),
    export_transfer_code=maybe(st.integers(1, 4)),
    export_authorization=st.sampled_from(["", "123456", "0"]),
    export_authorization_date=maybe(dates),
)

receivers = st.builds(
    make_receiver,
    rut=RUTS,
    name=texts(130),
    giro=texts(50),
    address=texts(80),
    comuna=texts(30),
    city=texts(30, 0),
    contact=texts(90, 0),
    email=texts(90, 0),
    internal_code=texts(30, 0),
    foreign_number=texts(30, 0),
    foreign_nationality=texts(5, 0),
    postal_address=texts(80, 0),
    postal_comuna=texts(30, 0),
    postal_city=texts(30, 0),
)


@st.composite
def lines(draw, dte_type):
    line = make_line(
        name=draw(texts(120)),
        quantity=draw(quantities if dte_type == 52 else maybe(quantities)),
        price=draw(maybe(quantities)),
        unit=draw(texts(6, 0)),
        description=draw(st.one_of(texts(40, 0), texts(1100, 0))),
        codes=tuple(draw(st.lists(st.tuples(texts(12), texts(30)), max_size=5))),
        made_on=draw(maybe(dates)),
        expires_on=draw(maybe(dates)),
        reference=draw(maybe(st.builds(ReferenceUnit, maybe(tiny), texts(6, 0), maybe(tiny)))),
    )
    if line.price is None:
        line = replace(line, lump_sum=draw(maybe(pesos)))
    change = draw(st.sampled_from(["", "", "discount", "surcharge", "both", "exempt", "other", "tax"]))
    if change in ("discount", "both"):
        line = replace(line, discount_percent=draw(percents))
    if change in ("surcharge", "both"):
        line = replace(line, surcharge_percent=draw(st.decimals("0.01", "999.99", places=2)))
    if change == "exempt":
        line = replace(line, indicator=1)
    if change == "other":
        line = replace(line, indicator=draw(st.sampled_from([2, 3, 6])))
    if change == "tax" and dte_type != 34:
        code = draw(st.sampled_from([17, 19, 24, 27, 271, 28]))
        retainer = Retainer(draw(st.integers(1, 10**6)), draw(maybe(pesos)), draw(maybe(pesos))) if code == 17 else None
        line = replace(line, tax_codes=(code,), retainer=retainer)
    return line


payments = st.builds(
    Payment,
    form=maybe(st.integers(1, 3)),
    term_code=texts(6, 0),
    term_text=texts(120, 0),
    term_days=maybe(st.integers(0, 999)),
    installments=st.lists(st.builds(Installment, dates, pesos, texts(50, 0)), max_size=30).map(tuple),
    method=st.sampled_from(["", "CH", "CF", "LT", "EF", "PE", "TC", "OT"]),
    account_type=st.sampled_from(["", "AHORRO", "CORRIENTE", "VISTA"]),
    account_number=texts(30, 0),
    bank=texts(50, 0),
    paid_on=maybe(dates),
    paid_amount=maybe(pesos),
    balance=maybe(pesos),
)


@st.composite
def discounts(draw, rows, dte_type):
    """Discounts on classes that have lines; whole pesos only where the lines carry one tax."""
    classes = {2 if row.indicator == 6 else row.indicator for row in rows} & {None, 1, 2}
    if dte_type == 34:
        classes = {indicator or 1 for indicator in classes}
    if dte_type == 52 or not classes:
        return ()
    one_tax = len({row.tax_codes for row in rows}) == 1
    values = st.tuples(st.just(True), st.decimals("0.01", "10", places=2))
    if one_tax:
        values |= st.tuples(st.just(False), st.integers(1, 10).map(Decimal))
    discount = st.builds(
        lambda kind, value, text, indicator: GlobalDiscount(kind, value[1], value[0], text, indicator),
        st.sampled_from("DR"),
        values,
        texts(60, 0),
        st.sampled_from(sorted(classes, key=str)),
    )
    return tuple(draw(st.lists(discount, max_size=4)))


references = st.builds(
    Reference,
    doc_type=st.sampled_from(["33", "52", "801", "802", "HES", "HEM", "SET"]),
    folio=st.sampled_from(["1", "OC-2026/15 & 3", "123456789012345678"]),
    date=dates,
    reason=texts(110, 0),
    other_rut=st.sampled_from(["", "77123456-9"]),
)

transports = st.builds(
    Transport,
    plate=texts(10, 0),
    carrier_rut=st.sampled_from(["", "77123456-9"]),
    driver_rut=st.just("11111111-1"),
    driver_name=texts(40),
    address=texts(80, 0),
    comuna=texts(30),
    city=texts(30, 0),
)


@st.composite
def documents(draw):
    """Documents as the schema of any year knows them. Not all of them are free of problems."""
    dte_type = draw(st.sampled_from([33, 34, 52, 56, 61]))
    changes = {
        "folio": draw(st.integers(1, 1000)),
        "issuer": draw(issuers),
        "receiver": draw(receivers),
        "payment": draw(payments),
    }
    if dte_type == 52:
        changes["transfer_type"] = draw(st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9]))
        changes["transport"] = draw(transports)
    else:
        changes["service_indicator"] = draw(maybe(st.integers(1, 3)))
    found = draw(st.lists(references, max_size=5))
    if dte_type in (56, 61):
        found.append(make_reference(code=3))
    rows = draw(st.lists(lines(dte_type), min_size=1, max_size=8))
    if any(28 in row.tax_codes for row in rows):
        changes["tax_overrides"] = (TaxOverride(28, amount=draw(st.integers(0, 10**6))),)
    changes |= {
        "global_discounts": draw(discounts(rows, dte_type)),
        "references": tuple(found),
        "period_from": draw(maybe(dates)),
        "print_type": draw(st.sampled_from(["", "N", "T"])),
        "purchase_kind": draw(maybe(st.integers(1, 7))),
        "sale_kind": draw(maybe(st.integers(1, 4))),
        "requester_rut": draw(st.sampled_from(["", "11111111-1"])),
        "mandator_rut": draw(st.sampled_from(["", "15000005-K"])),
        "construction_credit": draw(st.booleans()),
        "previous_balance": draw(maybe(st.integers(-(10**9), 10**9))),
        "gross_prices": dte_type != 52 and not any(row.tax_codes for row in rows) and draw(st.booleans()),
    }
    return make_dte(dte_type, rows, **changes)


def with_fields_of_2026(dte):
    """The same document with what the schema of 2026-02-06 added."""
    transport = replace(
        dte.transport or Transport(comuna="Maipú"),
        trailer_plate="AB1234",
        departure_date=date(2026, 10, 5),
        departure_time=time(8, 5, 9, 123456),
        arrival_date=date(2026, 10, 6),
    )
    receiver = replace(dte.receiver, foreign_number="AB123", foreign_document=1)
    return replace(dte, transport=transport, receiver=receiver, tourist=True)
