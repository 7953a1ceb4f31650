# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from libs import checks
from libs.dte import (
    GlobalDiscount,
    Installment,
    Payment,
    ReferenceUnit,
    Retainer,
    TaxOverride,
    Transport,
    compute_totals,
)

from tests import authority
from tests.libs.documents import make_dte, make_issuer, make_line, make_lump, make_receiver, make_reference

LATE, EARLY = date(2051, 1, 1), date(2003, 3, 31)
TRANSPORT = Transport(comuna="Maipú")


def percent(value="10", indicator=None, kind="D", **changes):
    return GlobalDiscount(kind, Decimal(value), True, indicator=indicator, **changes)


def pesos(value="10", indicator=None, kind="D"):
    return GlobalDiscount(kind, Decimal(value), False, indicator=indicator)


def of_line(**changes):
    return make_dte(lines=[replace(make_line(), **changes)])


def paid(**changes):
    return make_dte(payment=Payment(**changes))


def guide(**changes):
    return make_dte(52, **changes)


def note(*references, dte_type=61, **changes):
    return make_dte(dte_type, references=references, **changes)


def retained(code, *references, dte_type=61):
    return make_dte(dte_type, [make_lump(tax_codes=(code,))], references=references)


def installments(count):
    return tuple(Installment(date(2026, 11, 1), 100) for _ in range(count))


REFUSED = {
    "other type": (make_dte(39), "type_unsupported", "dte_type"),
    # header
    "too early": (make_dte(issue_date=EARLY), "date_out_of_range", "issue_date"),
    "too late": (make_dte(issue_date=LATE), "date_out_of_range", "issue_date"),
    "period from": (make_dte(period_from=EARLY), "date_out_of_range", "period_from"),
    "period to": (make_dte(period_to=LATE), "date_out_of_range", "period_to"),
    "period reversed": (
        make_dte(period_from=date(2026, 2, 1), period_to=date(2026, 1, 31)),
        "period_reversed",
        "period_to",
    ),
    "service": (make_dte(service_indicator=4), "value_not_allowed", "service_indicator"),
    "print type": (make_dte(print_type="X"), "value_not_allowed", "print_type"),
    "purchase kind": (make_dte(purchase_kind=8), "value_not_allowed", "purchase_kind"),
    "sale kind": (make_dte(sale_kind=5), "value_not_allowed", "sale_kind"),
    "vat rate": (make_dte(vat_rate=Decimal("19.555")), "value_not_allowed", "vat_rate"),
    "no vat rate": (make_dte(vat_rate=Decimal(0)), "value_not_allowed", "vat_rate"),
    "requester": (make_dte(requester_rut="11111111-2"), "rut_invalid", "requester_rut"),
    "mandator": (make_dte(mandator_rut="1.111.111-1"), "rut_invalid", "mandator_rut"),
    "override": (
        make_dte(tax_overrides=(TaxOverride(30, Decimal("100.01")),)),
        "value_not_allowed",
        "tax_overrides[0].rate",
    ),
    "gross guide": (guide(gross_prices=True), "not_in_this_type", "gross_prices"),
    "service guide": (guide(service_indicator=3), "not_in_this_type", "service_indicator"),
    "due guide": (guide(payment=Payment(due_date=date(2026, 11, 1))), "not_in_this_type", "payment.due_date"),
    "note with dispatch": (make_dte(61, dispatch_type=1), "not_in_this_type", "dispatch_type"),
    "no reduction": (make_dte(56, no_reduction=True), "not_in_this_type", "no_reduction"),
    # payment
    "form": (paid(form=4), "value_not_allowed", "payment.form"),
    "method": (paid(method="XX"), "value_not_allowed", "payment.method"),
    "account": (paid(account_type="RUT"), "value_not_allowed", "payment.account_type"),
    "term": (paid(term_days=1000), "value_not_allowed", "payment.term_days"),
    "negative term": (paid(term_days=-1), "value_not_allowed", "payment.term_days"),
    "due": (paid(due_date=LATE), "date_out_of_range", "payment.due_date"),
    "paid on": (paid(paid_on=EARLY), "date_out_of_range", "payment.paid_on"),
    "paid": (paid(paid_amount=-1), "value_not_allowed", "payment.paid_amount"),
    "balance": (paid(balance=10**18), "value_not_allowed", "payment.balance"),
    "installments": (paid(installments=installments(31)), "too_many", "payment.installments"),
    "installment date": (
        paid(installments=(Installment(LATE, 1),)),
        "date_out_of_range",
        "payment.installments[0].date",
    ),
    "installment amount": (
        paid(installments=(Installment(date(2026, 11, 1), -1),)),
        "value_not_allowed",
        "payment.installments[0].amount",
    ),
    # issuer and receiver
    "issuer rut": (make_dte(issuer=make_issuer(rut="76543210-4")), "rut_invalid", "issuer.rut"),
    "issuer without rut": (make_dte(issuer=make_issuer(rut="")), "missing", "issuer.rut"),
    "lower-case rut": (make_dte(receiver=make_receiver(rut="15000005-k")), "rut_invalid", "receiver.rut"),
    "padded rut": (make_dte(receiver=make_receiver(rut="015000005-K")), "rut_invalid", "receiver.rut"),
    "blank name": (make_dte(issuer=make_issuer(name=" \xa0")), "missing", "issuer.name"),
    "giro": (make_dte(56, issuer=make_issuer(giro="")), "missing", "issuer.giro"),
    "address": (make_dte(issuer=make_issuer(address="")), "missing", "issuer.address"),
    "comuna": (make_dte(issuer=make_issuer(comuna="")), "missing", "issuer.comuna"),
    "activities": (make_dte(issuer=make_issuer(activity_codes=())), "missing", "issuer.activity_codes"),
    "five activities": (
        make_dte(issuer=make_issuer(activity_codes=("475201",) * 5)),
        "too_many",
        "issuer.activity_codes",
    ),
    "activity": (
        make_dte(issuer=make_issuer(activity_codes=("47520",))),
        "activity_code_malformed",
        "issuer.activity_codes",
    ),
    "activity zero": (
        make_dte(issuer=make_issuer(activity_codes=("000000",))),
        "activity_code_malformed",
        "issuer.activity_codes",
    ),
    "branch": (make_dte(issuer=make_issuer(branch_code="0123")), "value_not_allowed", "issuer.branch_code"),
    "export": (
        make_dte(issuer=make_issuer(export_transfer_code=5)),
        "value_not_allowed",
        "issuer.export_transfer_code",
    ),
    "export number": (
        make_dte(issuer=make_issuer(export_authorization="1234567")),
        "value_not_allowed",
        "issuer.export_authorization",
    ),
    "export date": (
        make_dte(issuer=make_issuer(export_authorization_date=LATE)),
        "date_out_of_range",
        "issuer.export_authorization_date",
    ),
    "receiver": (make_dte(receiver=make_receiver(rut="")), "missing", "receiver.rut"),
    "receiver name": (make_dte(61, receiver=make_receiver(name="")), "missing", "receiver.name"),
    "receiver giro": (make_dte(34, receiver=make_receiver(giro="")), "missing", "receiver.giro"),
    "receiver address": (guide(receiver=make_receiver(address="")), "missing", "receiver.address"),
    "receiver comuna": (make_dte(receiver=make_receiver(comuna=" ")), "missing", "receiver.comuna"),
    "passport": (
        make_dte(receiver=make_receiver(foreign_document=3)),
        "value_not_allowed",
        "receiver.foreign_document",
    ),
    "internal transfer": (guide(transfer_type=5), "internal_transfer_receiver", "receiver.rut"),
    # lines
    "no lines": (replace(make_dte(), lines=()), "missing", "lines"),
    "61 lines": (make_dte(lines=[make_line()] * 61), "too_many", "lines"),
    "line name": (of_line(name=" "), "missing", "lines[0].name"),
    "price": (of_line(price=Decimal("0.0000001")), "price_out_of_range", "lines[0].price"),
    "seven decimals": (of_line(price=Decimal("1.1234567")), "price_out_of_range", "lines[0].price"),
    "negative price": (of_line(price=Decimal(-1)), "price_out_of_range", "lines[0].price"),
    "thirteen digits": (of_line(price=Decimal(10**12)), "price_out_of_range", "lines[0].price"),
    "quantity": (of_line(quantity=Decimal(0)), "quantity_out_of_range", "lines[0].quantity"),
    "long quantity": (of_line(quantity=Decimal("0.3333333")), "quantity_out_of_range", "lines[0].quantity"),
    "big quantity": (of_line(quantity=Decimal(10**12)), "quantity_out_of_range", "lines[0].quantity"),
    "guide without quantity": (guide(lines=[make_line(quantity=None)]), "missing", "lines[0].quantity"),
    "six codes": (of_line(codes=(("INT1", "A"),) * 6), "item_code_not_allowed", "lines[0].codes"),
    "long code": (of_line(codes=(("INT1", "A" * 36),)), "item_code_not_allowed", "lines[0].codes"),
    "code in Chinese": (of_line(codes=(("INT1", "漢"),)), "item_code_not_allowed", "lines[0].codes"),
    "code without kind": (of_line(codes=((" ", "A"),)), "item_code_not_allowed", "lines[0].codes"),
    "code without value": (of_line(codes=(("INT1", ""),)), "item_code_not_allowed", "lines[0].codes"),
    "indicator": (of_line(indicator=7), "value_not_allowed", "lines[0].indicator"),
    "discount": (of_line(discount_percent=Decimal("1.234")), "value_not_allowed", "lines[0].discount_percent"),
    "surcharge": (of_line(surcharge_percent=Decimal(1000)), "value_not_allowed", "lines[0].surcharge_percent"),
    "made on": (of_line(made_on=date(1999, 12, 31)), "date_out_of_range", "lines[0].made_on"),
    "expires on": (of_line(expires_on=LATE), "date_out_of_range", "lines[0].expires_on"),
    "retainer": (of_line(retainer=Retainer(final_price=-1)), "value_not_allowed", "lines[0].retainer.final_price"),
    "reference quantity": (
        of_line(reference=ReferenceUnit(Decimal("1.1234567"))),
        "quantity_out_of_range",
        "lines[0].reference.quantity",
    ),
    "reference price": (
        of_line(reference=ReferenceUnit(price=Decimal(-1))),
        "price_out_of_range",
        "lines[0].reference.price",
    ),
    "three taxes": (of_line(tax_codes=(24, 25, 26)), "too_many", "lines[0].tax_codes"),
    "gross with taxes": (
        make_dte(lines=[make_lump(tax_codes=(24,))], gross_prices=True),
        "gross_with_taxes",
        "lines[0].tax_codes",
    ),
    "tax on exempt": (of_line(tax_codes=(24,), indicator=1), "tax_on_exempt_line", "lines[0].tax_codes"),
    "tax in 34": (make_dte(34, [make_line(tax_codes=(24,))]), "tax_on_exempt_line", "lines[0].tax_codes"),
    "tax unknown": (of_line(tax_codes=(99,)), "tax_code_unknown", "lines[0].tax_codes"),
    "retention": (of_line(tax_codes=(15,)), "withholding_not_allowed", "lines[0].tax_codes"),
    "retention of a sale": (
        retained(15, make_reference("33", code=3)),
        "withholding_not_allowed",
        "lines[0].tax_codes",
    ),
    "slaughter": (of_line(tax_codes=(17,)), "missing", "lines[0].retainer.slaughter_base"),
    "fuel tax without amount": (of_line(tax_codes=(28,)), "missing", "tax_overrides"),
    # global discounts
    "21 discounts": (make_dte(global_discounts=(percent("1"),) * 21), "too_many", "global_discounts"),
    "guide with discount": (guide(global_discounts=(percent(),)), "not_in_this_type", "global_discounts"),
    "movement": (make_dte(global_discounts=(percent(kind="X"),)), "value_not_allowed", "global_discounts[0]"),
    "discount class": (make_dte(global_discounts=(percent(indicator=3),)), "value_not_allowed", "global_discounts[0]"),
    "nothing": (make_dte(global_discounts=(percent("0"),)), "discount_out_of_range", "global_discounts[0]"),
    "over 100": (make_dte(global_discounts=(percent("100.01"),)), "discount_out_of_range", "global_discounts[0]"),
    "mils": (make_dte(global_discounts=(percent("1.005"),)), "discount_out_of_range", "global_discounts[0]"),
    "half a peso": (make_dte(global_discounts=(pesos("1.5"),)), "discount_out_of_range", "global_discounts[0]"),
    "seventeen digits": (
        make_dte(global_discounts=(pesos("10000000000000000"),)),
        "discount_out_of_range",
        "global_discounts[0]",
    ),
    "no exempt line": (
        make_dte(global_discounts=(pesos(indicator=1),)),
        "discount_without_lines",
        "global_discounts[0]",
    ),
    "taxed discount in 34": (
        make_dte(34, global_discounts=(percent(),)),
        "discount_without_lines",
        "global_discounts[0]",
    ),
    "pesos over two taxes": (
        make_dte(lines=[make_lump(), make_lump(tax_codes=(24,))], global_discounts=(pesos(),)),
        "discount_must_be_percent",
        "global_discounts[0]",
    ),
    "discount over lines": (
        make_dte(global_discounts=(pesos("3001"),)),
        "discount_exceeds_lines",
        "global_discounts",
    ),
    "exempt discount over lines": (
        make_dte(lines=[make_line(), make_lump(amount=5, indicator=1)], global_discounts=(pesos("6", 1),)),
        "discount_exceeds_lines",
        "global_discounts",
    ),
    # references
    "41 references": (make_dte(references=(make_reference("801"),) * 41), "too_many", "references"),
    "no document type": (make_dte(references=(make_reference(" "),)), "value_not_allowed", "references[0].doc_type"),
    "long document type": (
        make_dte(references=(make_reference("ABCD"),)),
        "value_not_allowed",
        "references[0].doc_type",
    ),
    "no folio": (make_dte(references=(make_reference(folio=" "),)), "reference_folio_malformed", "references[0].folio"),
    "19 digits": (
        make_dte(references=(make_reference("801", "1" * 19),)),
        "reference_folio_malformed",
        "references[0].folio",
    ),
    "folio 0": (make_dte(references=(make_reference(folio="0"),)), "reference_folio_zero", "references[0].folio"),
    "global with folio": (
        make_dte(references=(make_reference(is_global=True),)),
        "reference_folio_zero",
        "references[0].folio",
    ),
    "old reference": (
        make_dte(references=(make_reference(date=date(2002, 7, 31)),)),
        "date_out_of_range",
        "references[0].date",
    ),
    "other rut": (make_dte(references=(make_reference(other_rut="1-1"),)), "rut_invalid", "references[0].other_rut"),
    "code": (make_dte(references=(make_reference(code=4),)), "value_not_allowed", "references[0].code"),
    "note alone": (note(), "note_without_reference", "references"),
    "note without code": (note(make_reference()), "note_without_reference", "references"),
    "note on two": (
        note(make_reference(code=1), make_reference("801")),
        "note_needs_single_reference",
        "references",
    ),
    "note on an order": (note(make_reference("801", code=3)), "note_reference_not_tax_document", "references"),
    "note on a guide": (note(make_reference("52", code=1)), "note_on_dispatch_guide", "references"),
    "debit annuls invoice": (
        note(make_reference("33", code=1), dte_type=56),
        "debit_annuls_only_credit",
        "references",
    ),
    # dispatch
    "transfer missing": (guide(transfer_type=None), "missing", "transfer_type"),
    "transfer 10": (guide(transfer_type=10), "missing", "transfer_type"),
    "no destination": (guide(transport=Transport()), "missing", "transport.comuna"),
    "no transport": (guide(transport=None), "missing", "transport.comuna"),
    "invoice with transfer": (make_dte(transfer_type=1), "not_in_this_type", "transfer_type"),
    "dispatch": (make_dte(dispatch_type=4), "value_not_allowed", "dispatch_type"),
    "carrier": (make_dte(transport=Transport(carrier_rut="1-1")), "rut_invalid", "transport.carrier_rut"),
    "driver without name": (
        make_dte(transport=Transport(driver_rut="11111111-1", driver_name=" ")),
        "driver_incomplete",
        "transport.driver_name",
    ),
    "driver without rut": (
        make_dte(transport=Transport(driver_name="Ana")),
        "driver_incomplete",
        "transport.driver_name",
    ),
    "departure": (
        make_dte(transport=Transport(departure_date=EARLY)),
        "date_out_of_range",
        "transport.departure_date",
    ),
    # amounts
    "line below zero": (of_line(discount_amount=3001), "line_amount_negative", "lines[0]"),
    "negative discount": (of_line(discount_amount=-1), "line_amount_negative", "lines[0]"),
    "line of 19 digits": (
        make_dte(lines=[make_line(quantity="999999999999", price="999999999999")]),
        "line_amount_negative",
        "lines[0]",
    ),
    "not a sale": (guide(lines=[make_line(indicator=4)]), "line_amount_must_be_zero", "lines[0]"),
    "text correction": (note(make_reference(code=2)), "line_amount_must_be_zero", "lines[0]"),
    "only exempt": (of_line(indicator=1), "needs_taxed_line", "lines"),
    "only not billable": (of_line(indicator=2), "needs_billable_line", "lines"),
    "total below zero": (
        make_dte(
            61,
            [make_lump(amount=100, tax_codes=(30,))],
            references=(make_reference("46", code=3),),
            tax_overrides=(TaxOverride(30, amount=200),),
        ),
        "total_negative",
        "lines",
    ),
    "total of 19 digits": (make_dte(lines=[make_lump(amount=10**18 - 1)]), "total_too_big", "lines"),
    "payable of 19 digits": (make_dte(previous_balance=10**18), "total_too_big", "lines"),
    "21 taxes": (
        make_dte(
            61,
            [
                make_lump(tax_codes=(code,))
                for code in (15, 30, 301, 31, 32, 321, 33, 331, 34, 341, 36, 361, 37, 371, 38, 39, 41, 46, 47, 48, 481)
            ],
            references=(make_reference("46", code=3),),
        ),
        "too_many",
        "lines.tax_codes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_fault_is_named(name):
    dte, code, path = REFUSED[name]
    assert (code, path) in [(problem.code, problem.path) for problem in checks.find_problems(dte)]


UNWRITABLE = {
    "payment": (
        ("term_code", "term_text", "account_number", "bank"),
        lambda name: paid(**{name: "漢"}),
    ),
    "issuer": (
        ("name", "giro", "address", "comuna", "city", "email", "branch_name", "seller_code", "extra_id"),
        lambda name: make_dte(issuer=make_issuer(**{name: "漢"})),
    ),
    "receiver": (
        ("name", "giro", "address", "comuna", "city", "contact", "email", "internal_code", "foreign_number")
        + ("foreign_nationality", "postal_address", "postal_comuna", "postal_city"),
        lambda name: make_dte(receiver=make_receiver(**{name: "漢"})),
    ),
    "transport": (
        ("plate", "trailer_plate", "driver_name", "address", "comuna", "city"),
        lambda name: make_dte(transport=replace(TRANSPORT, **{name: "漢"})),
    ),
    "lines[0]": (("name", "description", "unit"), lambda name: of_line(**{name: "漢"})),
}


@pytest.mark.parametrize(
    ("prefix", "name"), [(prefix, name) for prefix in UNWRITABLE for name in UNWRITABLE[prefix][0]]
)
def test_a_character_that_cannot_be_written_is_named_with_its_place(prefix, name):
    problems = checks.find_problems(UNWRITABLE[prefix][1](name))
    found = [problem for problem in problems if problem.code == "text_unwritable"]
    assert [(problem.path, problem.params) for problem in found] == [(f"{prefix}.{name}", {"characters": "漢"})]


@pytest.mark.parametrize(
    ("dte", "path"),
    [
        (make_dte(issuer=make_issuer(phones=("2222", "☎"))), "issuer.phones[1]"),
        (paid(installments=(Installment(date(2026, 11, 1), 1, "☎"),)), "payment.installments[0].text"),
        (of_line(reference=ReferenceUnit(unit="☎")), "lines[0].reference.unit"),
        (make_dte(global_discounts=(percent(text="☎"),)), "global_discounts[0].text"),
        (make_dte(references=(make_reference("801", reason="☎"),)), "references[0].reason"),
    ],
)
def test_a_character_that_cannot_be_written_in_a_repeated_zone(dte, path):
    assert [(problem.code, problem.path) for problem in checks.find_problems(dte)] == [("text_unwritable", path)]


def test_the_tables_reach_every_code():
    source = Path(checks.__file__).read_text()
    written = set(re.findall(r'Problem\(\s*"(\w+)"', source)) | set(re.findall(r'"(needs_\w+)"', source))
    assert written - {"text_unwritable"} == {code for _dte, code, _path in REFUSED.values()}


ACCEPTED = {
    "60 lines": make_dte(lines=[make_line()] * 60),
    "40 references": make_dte(references=(make_reference("801"),) * 40),
    "20 discounts": make_dte(global_discounts=(percent("1"),) * 20),
    "30 installments": paid(installments=installments(30)),
    "four activities": make_dte(issuer=make_issuer(activity_codes=("475201", "011101", "999999", "000001"))),
    "five codes": of_line(codes=(("INT1", "A" * 35),) * 5),
    "two taxes": of_line(tax_codes=(24, 27)),
    "free line": of_line(price=Decimal(0)),
    "trailing zeros": of_line(quantity=Decimal("1.50000000"), price=Decimal("1E+3")),
    "smallest": of_line(quantity=Decimal("0.000001"), price=Decimal("0.000001")),
    "largest quantity": of_line(quantity=Decimal("999999999999.999999"), price=Decimal("0.000001")),
    "first day": make_dte(issue_date=date(2003, 4, 1)),
    "last day": make_dte(issue_date=date(2050, 12, 31)),
    "first reference day": make_dte(references=(make_reference(date=date(2002, 8, 1)),)),
    "all the guides": make_dte(references=(make_reference("52", "0", is_global=True),)),
    "hundred per cent": make_dte(global_discounts=(percent("100"),)),
    "exempt discount in 34": make_dte(34, global_discounts=(percent(indicator=1),)),
    "discount on not billable": make_dte(
        lines=[make_line(), make_lump(indicator=6)], global_discounts=(percent(indicator=2),)
    ),
    "pesos over one tax": make_dte(lines=[make_lump(tax_codes=(24,))] * 2, global_discounts=(pesos(),)),
    "pesos on exempt beside taxes": make_dte(
        lines=[make_lump(tax_codes=(24,)), make_lump(), make_lump(indicator=1)], global_discounts=(pesos(indicator=1),)
    ),
    "rut with K": make_dte(receiver=make_receiver(rut="15000005-K")),
    "short rut": make_dte(receiver=make_receiver(rut="1000000-9")),
    "foreign rut": make_dte(receiver=make_receiver(rut="55555555-5")),
    "note of a person": make_dte(61, receiver=make_receiver(giro="", address="", comuna="")),
    "note of a bare issuer": make_dte(56, issuer=make_issuer(address="", comuna="")),
    "note with a set case": note(make_reference("SET", "1"), make_reference(code=1)),
    "note on two amounts": note(make_reference(code=3), make_reference("34", code=3)),
    "text correction": note(make_reference(code=2), lines=[make_lump(amount=0)]),
    "debit annuls credit": note(make_reference("61", code=1), dte_type=56),
    "export debit annuls export credit": note(make_reference("112", code=1), dte_type=56),
    "retention of a purchase": retained(15, make_reference("46", code=3)),
    "retention of a purchase's note": retained(15, make_reference("61", code=1), dte_type=56),
    "slaughter": of_line(tax_codes=(17,), retainer=Retainer(slaughter_base=5)),
    "internal transfer": guide(transfer_type=5, receiver=make_receiver(rut=authority.ISSUER)),
    "not a sale": guide(lines=[make_line(price=None, indicator=4)]),
    "deduct": guide(lines=[make_line(price=None, indicator=5)]),
    "invoice that goes along": make_dte(dispatch_type=3, transport=TRANSPORT),
    "driver": make_dte(transport=Transport(driver_rut="11111111-1", driver_name="Ana")),
    "zero note": note(make_reference("33", code=3), lines=[make_line(discount_percent=Decimal(100))]),
    "no reduction": make_dte(61, no_reduction=True),
    "old wine": of_line(made_on=date(2000, 1, 1)),
    "only 34 is exempt": make_dte(34),
    "mixed": make_dte(lines=[make_line(), make_line(indicator=1)]),
    "18 digits": make_dte(34, [make_lump(amount=10**18 - 1)]),
    "term": paid(term_days=999),
    "fuel tax": make_dte(lines=[make_lump(tax_codes=(28,))], tax_overrides=(TaxOverride(28, amount=1),)),
    "override": make_dte(lines=[make_lump(tax_codes=(19,))], tax_overrides=(TaxOverride(19, Decimal(100)),)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_other_side_of_each_limit_is_accepted(name):
    assert checks.find_problems(ACCEPTED[name]) == []


def test_every_fault_of_a_document_comes_at_once():
    dte = make_dte(
        52,
        [
            make_line(name="", quantity=None),
            make_line(unit="漢", codes=(("", ""),), price="-1", tax_codes=(99, 15, 24)),
            make_line(quantity="0", indicator=9),
        ],
        issue_date=LATE,
        issuer=make_issuer(rut="1-1", name="", activity_codes=("x",), branch_code="abc"),
        receiver=make_receiver(rut="", comuna="", email="漢"),
        global_discounts=(percent("0"),),
        references=(make_reference("TOOLONG", "", date=EARLY.replace(year=2000), other_rut="x"),),
        payment=Payment(form=9, method="?", installments=installments(31)),
        transfer_type=None,
        dispatch_type=9,
        transport=Transport(carrier_rut="1-1", driver_rut="2-2"),
    )
    found = [(problem.code, problem.path) for problem in checks.find_problems(dte)]
    assert len(found) == len(set(found)) >= 25
    assert {path.split(".")[0].split("[")[0] for _code, path in found} == {
        *("issue_date", "issuer", "receiver", "lines", "global_discounts", "references", "payment"),
        *("transfer_type", "dispatch_type", "transport"),
    }


def test_amounts_are_judged_only_when_the_lines_can_be_computed():
    dte = of_line(price=Decimal(-1), discount_amount=50)
    assert [problem.code for problem in checks.find_problems(dte)] == ["price_out_of_range"]


def test_totals_given_are_the_totals_judged():
    dte = make_dte()
    wrong = replace(compute_totals(dte), total=-1)
    assert [problem.code for problem in checks.find_problems(dte, wrong)] == ["total_negative"]


@pytest.mark.parametrize(
    "rut", ["76543210-3", "1000000-9", "15000005-K", "60803000-K", "55555555-5", "66666666-6", "88888888-8"]
)
def test_ruts_that_are_valid(rut):
    assert checks.rut_is_valid(rut)


@pytest.mark.parametrize(
    "rut",
    ["76543210-4", "76.543.210-3", "765432103", "15000005-k", "076543210-3", "", "-", "K-K", "76543210-3\n"]
    + ["1234567890-1", "٧٦٥٤٣٢١٠-3"],
)
def test_ruts_that_are_not(rut):
    assert not checks.rut_is_valid(rut)
