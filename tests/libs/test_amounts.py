# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Amounts of documents, against the SII's own examples and against arithmetic with exact fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libs import dte, taxes
from libs.dte import GlobalDiscount, TaxOverride, compute_totals

from tests.libs.documents import make_dte, make_line, make_lump, make_reference


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def totals_of(lines, dte_type=33, **changes):
    return compute_totals(make_dte(dte_type, lines, **changes))


def percent(value, indicator=None, kind="D"):
    return GlobalDiscount(kind, Decimal(value), True, indicator=indicator)


def pesos(value, indicator=None, kind="D"):
    return GlobalDiscount(kind, Decimal(value), False, indicator=indicator)


amounts = st.integers(0, 10**12)
percents = st.decimals("0.01", "100", places=2)
quantities = st.decimals("0.000001", "999999.999999", places=6)


@pytest.mark.parametrize(("neto", "iva"), [(1350, 257), (1, 0), (2, 0), (3, 1), (50, 10), (150, 29), (250, 48)])
def test_iva_rounds_halves_up(neto, iva):
    totals = totals_of([make_lump(amount=neto)])
    assert (totals.net, totals.vat, totals.total) == (neto, iva, neto + iva)


@pytest.mark.parametrize(
    ("gross", "neto", "iva"),
    [(680, 571, 109), (86710, 72866, 13844), (29800, 25042, 4758), (2040, 1714, 326), (4100, 3445, 655)]
    + [(12720, 10689, 2031), (3500, 2941, 559)],
)
def test_gross_prices_give_the_iva_by_subtraction(gross, neto, iva):
    totals = totals_of([make_lump(amount=gross)], gross_prices=True)
    assert (totals.net, totals.vat, totals.total) == (neto, iva, gross)


@given(st.integers(-(10**6), 10**6), st.integers(1, 400))
def test_round_half_up_against_fractions(numerator, denominator):
    value = Decimal(numerator) / denominator
    assert dte.round_half_up(value) == half_up(Fraction(value))


@given(amounts, st.decimals("0.01", "999.99", places=2))
def test_percentages_are_exact(base, rate):
    assert dte.percent_of(base, rate) == half_up(Fraction(base) * Fraction(rate) / 100)


@given(st.decimals("0.000001", "999999999999.999999", places=6), st.decimals("0.000001", "999999999999", places=6))
def test_quantity_times_price_is_exact(quantity, price):
    amount = dte.line_amount(make_line(quantity=str(quantity), price=str(price)))
    assert amount.amount == half_up(Fraction(quantity) * Fraction(price))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (make_line(quantity="0.333333", price="1000"), (333, 0, 0)),
        (make_line(quantity="0.5", price="1"), (1, 0, 0)),
        (make_line(quantity="0.000001", price="999999"), (1, 0, 0)),
        (make_line(quantity=None, price="2.5"), (3, 0, 0)),
        (make_line(quantity="3", price=None), (0, 0, 0)),
        (make_line(quantity="5", price="0"), (0, 0, 0)),
        (make_lump(amount=1234), (1234, 0, 0)),
        (make_line(quantity="503", price="3947", discount_percent=Decimal(7)), (1846367, 138974, 0)),
        (make_line(quantity="439", price="3005", discount_percent=Decimal(14)), (1134508, 184687, 0)),
        (make_line(quantity="1", price="1000", discount_percent=Decimal(100)), (0, 1000, 0)),
        (make_line(quantity="1", price="1000", discount_amount=1000), (0, 1000, 0)),
        (make_line(quantity="1", price="1", discount_percent=Decimal("0.01")), (1, 0, 0)),
        (make_line(quantity="1", price="1000", surcharge_percent=Decimal("2.5")), (1025, 0, 25)),
        (make_line(quantity="1", price="10", surcharge_amount=7, discount_amount=3), (14, 3, 7)),
        (make_line(quantity="1", price="10", discount_percent=Decimal(50), discount_amount=4), (6, 4, 0)),
        (make_lump(amount=100, discount_percent=Decimal("12.5")), (87, 13, 0)),
    ],
)
def test_line_amounts(line, expected):
    amount = dte.line_amount(line)
    assert (amount.amount, amount.discount, amount.surcharge) == expected


@given(quantities, quantities, percents)
def test_line_discount_is_rounded_from_the_rounded_gross(quantity, price, rate):
    computed = dte.line_amount(make_line(quantity=str(quantity), price=str(price), discount_percent=rate))
    gross = half_up(Fraction(quantity) * Fraction(price))
    discount = half_up(gross * Fraction(rate) / 100)
    assert (computed.amount, computed.discount) == (gross - discount, discount)


def test_global_discount_of_the_dossier():
    totals = totals_of([make_lump(amount=104090)], global_discounts=(percent(10),))
    assert (totals.net, totals.vat, totals.total) == (93681, 17799, 111480)


def test_global_discounts_and_surcharges_touch_their_class_only():
    lines = [make_lump(amount=1000), make_lump(amount=500, indicator=1), make_lump(amount=300, indicator=2)]
    totals = totals_of(
        lines,
        global_discounts=(percent(10), percent(5, kind="R"), pesos("101", 1), percent(50, 2), pesos(30, 2, "R")),
    )
    assert (totals.net, totals.exempt, totals.not_billable) == (1000 - 100 + 50, 500 - 101, 300 - 150 + 30)
    assert totals.vat == 181  # 180.5
    assert totals.total == 950 + 399 + 181
    assert totals.period_total == totals.payable == totals.total + 180


@given(st.lists(st.tuples(percents, st.booleans()), max_size=20), st.integers(1, 10**9))
def test_each_percentage_applies_to_the_sum_of_the_lines(discounts, base):
    totals = totals_of(
        [make_lump(amount=base)],
        global_discounts=tuple(percent(rate, kind="R" if raises else "D") for rate, raises in discounts),
    )
    expected = base
    for rate, raises in discounts:
        part = half_up(base * Fraction(rate) / 100)
        expected += part if raises else -part
    assert totals.net == expected


def test_surcharges_of_twenty_rows_and_a_discount_to_zero():
    totals = totals_of([make_lump(amount=1000)], global_discounts=(percent(100),))
    assert (totals.net, totals.vat, totals.total) == (0, 0, 0)
    totals = totals_of([make_lump(amount=100000)], global_discounts=tuple(pesos(1, kind="R") for _ in range(20)))
    assert totals.net == 100020


def test_gross_prices_with_a_global_discount():
    totals = totals_of([make_lump(amount=1000)], gross_prices=True, global_discounts=(percent(10),))
    assert (totals.net, totals.vat, totals.total) == (756, 144, 900)


def test_gross_prices_leave_exempt_lines_alone():
    totals = totals_of([make_lump(amount=680), make_lump(amount=55, indicator=1)], gross_prices=True)
    assert (totals.net, totals.exempt, totals.vat, totals.total) == (571, 55, 109, 735)


@given(amounts, st.decimals("0.01", "99.99", places=2))
def test_gross_prices_against_fractions(gross, rate):
    totals = totals_of([make_lump(amount=gross)], gross_prices=True, vat_rate=rate)
    assert totals.net == half_up(gross * 100 / (100 + Fraction(rate)))
    assert totals.net + totals.vat == totals.total == gross


@pytest.mark.parametrize(
    ("code", "rate"),
    [(17, "5"), (18, "5"), (19, "12"), (23, "15"), (24, "31.5"), (25, "20.5"), (26, "20.5"), (27, "10"), (271, "18")]
    + [(44, "15"), (45, "50")],
)
def test_additional_taxes_add_to_the_total(code, rate):
    retainer = dte.Retainer(slaughter_base=70000) if code == 17 else None
    totals = totals_of([make_lump(amount=12345, tax_codes=(code,), retainer=retainer), make_lump(amount=100)])
    base = 70000 if code == 17 else 12345
    tax = half_up(base * Fraction(rate) / 100)
    assert [(t.code, t.rate, t.amount, t.withheld) for t in totals.taxes] == [(code, Decimal(rate), tax, False)]
    assert totals.net == 12445
    assert totals.total == 12445 + totals.vat + tax
    assert totals.slaughter_base == (70000 if code == 17 else None)


@pytest.mark.parametrize(
    ("code", "rate", "found"), [(26, "18", 271), (26, "20.5", 26), (24, "18", 24), (271, "18", 271)]
)
def test_sugared_drinks_have_a_code_of_their_own(code, rate, found):
    assert taxes.sii_code(code, Decimal(rate)) == found


def test_flour_of_the_dossier():
    totals = totals_of([make_lump(amount=700000, tax_codes=(19,))])
    assert (totals.vat, totals.taxes[0].amount, totals.total) == (133000, 84000, 917000)


def test_two_taxes_on_one_line_and_one_tax_on_two_lines():
    totals = totals_of(
        [make_lump(amount=1001, tax_codes=(24, 27)), make_lump(amount=1002, tax_codes=(27,)), make_lump(amount=9)]
    )
    assert [(tax.code, tax.amount) for tax in totals.taxes] == [(24, 315), (27, 200)]
    assert totals.total == 2012 + 382 + 515


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.sampled_from([18, 19, 24, 25, 271]), percents)
def test_a_global_discount_lowers_the_base_of_a_tax_in_proportion(taxed, plain, code, rate):
    lines = [make_lump(amount=taxed, tax_codes=(code,)), make_lump(amount=plain)]
    totals = totals_of(lines, global_discounts=(percent(rate),))
    base = Fraction(taxed * totals.net, taxed + plain)
    assert totals.taxes[0].amount == half_up(base * Fraction(totals.taxes[0].rate) / 100)


@pytest.mark.parametrize(
    ("base", "plain", "discount", "tax"), [(1250, 1450, 2196, 74), (205, 5, 10, 62), (5000, 4900, 7854, 326)]
)
def test_the_lowered_base_of_a_tax_is_not_rounded_on_the_way(base, plain, discount, tax):
    """31.5 per cent of these bases ends in .5 exactly, and their shares have no end in decimals."""
    lines = [make_lump(amount=base, tax_codes=(24,)), make_lump(amount=plain)]
    assert totals_of(lines, global_discounts=(pesos(discount),)).taxes[0].amount == tax


@pytest.mark.parametrize("code", [28, 35, 51, 52, 14, 50])
def test_taxes_of_an_informed_amount(code):
    totals = totals_of(
        [make_lump(amount=10000, tax_codes=(code,), retainer=dte.Retainer(margin_base=900))],
        tax_overrides=(TaxOverride(code, amount=123),),
    )
    assert [(tax.rate, tax.amount, tax.withheld) for tax in totals.taxes] == [(None, 123, False)]
    assert totals.total == 10000 + 1900 + 123
    assert totals.margin_base == 900


def test_a_document_may_carry_its_own_rate():
    totals = totals_of([make_lump(amount=1000, tax_codes=(30,))], 61, tax_overrides=(TaxOverride(30, Decimal("12.5")),))
    assert (totals.taxes[0].rate, totals.taxes[0].amount) == (Decimal("12.5"), 125)


def note_of_purchase(*lines, **changes):
    references = (make_reference("46", "9", 3),)
    return totals_of(lines, 61, references=references, **changes)


@pytest.mark.parametrize("code", [15, 301, 31, 321, 331, 341, 361, 371, 38, 39, 41, 46, 47, 481])
def test_total_retention_leaves_the_neto(code):
    totals = note_of_purchase(make_lump(amount=3059024, tax_codes=(code,)))
    assert (totals.net, totals.vat, totals.total) == (3059024, 581215, 3059024)
    assert [(t.code, t.rate, t.amount, t.withheld) for t in totals.taxes] == [(code, Decimal(19), 581215, True)]
    assert totals.vat_not_withheld is None


@pytest.mark.parametrize(
    ("code", "rate", "withheld"),
    [(30, "10", 1000), (32, "8", 800), (33, "8", 800), (34, "4", 400), (36, "10", 1000), (37, "10", 1000)]
    + [(48, "14", 1400)],
)
def test_partial_retention_says_what_was_not_withheld(code, rate, withheld):
    totals = note_of_purchase(make_lump(amount=10000, tax_codes=(code,)))
    assert [(t.rate, t.amount, t.withheld) for t in totals.taxes] == [(Decimal(rate), withheld, True)]
    assert (totals.vat, totals.vat_not_withheld, totals.total) == (1900, 1900 - withheld, 11900 - withheld)


def test_wheat_of_the_dossier():
    totals = note_of_purchase(make_lump(amount=10000, tax_codes=(34,)))
    assert (totals.net, totals.vat, totals.vat_not_withheld, totals.total) == (10000, 1900, 1500, 11500)


def test_retention_follows_a_global_discount():
    totals = note_of_purchase(make_lump(amount=10000, tax_codes=(15,)), global_discounts=(percent(10),))
    assert (totals.net, totals.vat, totals.taxes[0].amount, totals.total) == (9000, 1710, 1710, 9000)


@pytest.mark.parametrize(("neto", "credit"), [(1000000, 123500), (1350, 167), (10, 1)])
def test_construction_credit_is_65_per_cent_of_the_iva(neto, credit):
    totals = totals_of([make_lump(amount=neto)], construction_credit=True)
    assert totals.construction_credit == credit
    assert totals.total == neto + totals.vat - credit


def test_packaging_deposit_is_neither_neto_nor_exempt():
    totals = totals_of([make_lump(amount=1000), make_lump(amount=500, indicator=3)])
    assert (totals.net, totals.exempt, totals.deposit, totals.total) == (1000, None, 500, 1690)


def test_not_billable_lines_are_outside_the_total():
    totals = totals_of(
        [make_lump(amount=1000), make_lump(amount=700, indicator=2), make_lump(amount=900, indicator=6)],
        previous_balance=-50,
    )
    assert (totals.total, totals.not_billable, totals.period_total, totals.payable) == (1190, -200, 990, 940)


def test_a_previous_balance_alone_shows_what_is_to_pay():
    totals = totals_of([make_lump(amount=1000)], previous_balance=10)
    assert (totals.not_billable, totals.period_total, totals.payable) == (None, 1190, 1200)


def test_exempt_invoice_has_no_neto():
    totals = totals_of([make_lump(amount=1000), make_lump(amount=5, indicator=1)], 34)
    assert (totals.net, totals.vat, totals.exempt, totals.total) == (None, None, 1005, 1005)


def test_not_a_sale_lines_count_nowhere():
    lines = [make_line(price=None, indicator=4), make_line(price=None, indicator=5)]
    totals = totals_of(lines, 52)
    assert (totals.net, totals.exempt, totals.total) == (None, None, 0)


@pytest.mark.parametrize("dte_type", [56, 61])
def test_a_text_correction_has_no_amounts(dte_type):
    totals = totals_of(
        [make_lump(amount=0)],
        dte_type,
        references=(make_reference(code=2),),
        construction_credit=True,
        previous_balance=5,
    )
    assert (totals.net, totals.exempt, totals.vat, totals.taxes, totals.total) == (None, None, None, (), 0)
    assert (totals.period_total, totals.payable) == (None, None)


@given(
    st.lists(st.tuples(amounts, st.sampled_from([None, None, 1, 2, 3, 6])), min_size=1, max_size=60),
    st.booleans(),
)
def test_the_total_is_the_sum_of_its_parts(parts, construction):
    totals = totals_of(
        [make_lump(amount=amount, indicator=indicator) for amount, indicator in parts],
        construction_credit=construction,
    )

    def sum_of(wanted):
        return sum(amount for amount, indicator in parts if indicator == wanted)

    vat = half_up(Fraction(sum_of(None) * 19, 100))
    assert (totals.net or 0, totals.vat or 0, totals.exempt or 0) == (sum_of(None), vat, sum_of(1))
    credit = half_up(Fraction(vat * 65, 100)) if construction else 0
    assert totals.total == sum_of(None) + vat + sum_of(1) + sum_of(3) - credit
    assert (totals.not_billable or 0) == sum_of(2) - sum_of(6)
    assert totals.taxed_lines == sum(indicator is None for _amount, indicator in parts)
