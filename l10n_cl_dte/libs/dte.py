# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A tax document as plain data, and its amounts.

Amounts are whole pesos (int). Quantities, prices and percentages are `Decimal`. Dates are `datetime.date`. Rounding is
half up at each step that the format names.
Source: Formato DTE v2.4.2, zones A to E; amounts: "Totales" and "Detalle".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

from .taxes import MARGIN_CODES, SLAUGHTER_CODE, TAX_KINDS, WITHHOLD

INVOICE = 33
EXEMPT_INVOICE = 34
DISPATCH_GUIDE = 52
DEBIT_NOTE = 56
CREDIT_NOTE = 61
PURCHASE_INVOICE = 46

SUPPORTED_TYPES = (INVOICE, EXEMPT_INVOICE, DISPATCH_GUIDE, DEBIT_NOTE, CREDIT_NOTE)
NOTE_TYPES = (DEBIT_NOTE, CREDIT_NOTE)

# IndExe of a line
EXEMPT = 1
NOT_BILLABLE = 2
PACKAGING_DEPOSIT = 3
NOT_A_SALE = 4
TO_DEDUCT = 5
NOT_BILLABLE_NEGATIVE = 6

# CodRef of a reference
ANNULS = 1
CORRECTS_TEXT = 2
CORRECTS_AMOUNTS = 3

VAT_RATE = Decimal(19)
CONSTRUCTION_CREDIT_RATE = Decimal("0.65")
HUNDRED = Decimal(100)

# Products of two 18-digit numbers must not be rounded before they are rounded to pesos.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Issuer:
    """`Emisor`. `rut` like 76543210-3; `activity_codes` 1 to 4 codes of six digits."""

    rut: str
    name: str
    giro: str
    activity_codes: tuple[str, ...]
    address: str = ""
    comuna: str = ""
    city: str = ""
    phones: tuple[str, ...] = ()
    email: str = ""
    branch_name: str = ""
    branch_code: str = ""
    seller_code: str = ""
    extra_id: str = ""
    export_transfer_code: int | None = None
    export_authorization: str = ""
    export_authorization_date: date | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """`Receptor`. The `foreign_*` values form `Extranjero`: number, nationality (Aduana), 1 passport or 2 other."""

    rut: str
    name: str
    giro: str = ""
    address: str = ""
    comuna: str = ""
    city: str = ""
    contact: str = ""
    email: str = ""
    internal_code: str = ""
    foreign_number: str = ""
    foreign_nationality: str = ""
    foreign_document: int | None = None
    postal_address: str = ""
    postal_comuna: str = ""
    postal_city: str = ""


@dataclass(frozen=True, slots=True)
class Retainer:
    """`Retenedor`: the issuer withholds; bases of slaughter and margin, and the final consumer's price, in pesos."""

    slaughter_base: int | None = None
    margin_base: int | None = None
    final_price: int | None = None


@dataclass(frozen=True, slots=True)
class ReferenceUnit:
    """Quantity, unit and price in another unit of measure; informative."""

    quantity: Decimal | None = None
    unit: str = ""
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """`Detalle`: quantity times price, or a fixed `lump_sum` when there is no unit price.

    `discount_percent` and `discount_amount`: give the percentage and the amount is computed, or the amount alone; the
    same for a surcharge. `tax_codes` are SII codes of additional taxes and withholdings, `codes` pairs of kind and
    value that identify the product.
    """

    name: str
    quantity: Decimal | None = None
    price: Decimal | None = None
    unit: str = ""
    description: str = ""
    lump_sum: int | None = None
    indicator: int | None = None
    discount_percent: Decimal | None = None
    discount_amount: int | None = None
    surcharge_percent: Decimal | None = None
    surcharge_amount: int | None = None
    tax_codes: tuple[int, ...] = ()
    codes: tuple[tuple[str, str], ...] = ()
    retainer: Retainer | None = None
    reference: ReferenceUnit | None = None
    made_on: date | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class GlobalDiscount:
    """`DscRcgGlobal`: "D" lowers and "R" raises the taxed (indicator None), exempt (1) or not billable (2) lines.

    `value` is a percentage of those lines when `is_percent`, whole pesos otherwise.
    """

    kind: str
    value: Decimal
    is_percent: bool
    text: str = ""
    indicator: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """`Referencia`. `doc_type` is a type of the SII's table (33, 801, "HES", "SET"); `code` the CodRef of a note."""

    doc_type: str
    folio: str
    date: date
    code: int | None = None
    reason: str = ""
    is_global: bool = False
    other_rut: str = ""


@dataclass(frozen=True, slots=True)
class Installment:
    """`MntPagos`: one agreed payment, whole pesos."""

    date: date
    amount: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """Payment form (1 cash, 2 credit, 3 free of charge) and terms."""

    form: int | None = None
    due_date: date | None = None
    term_code: str = ""
    term_text: str = ""
    term_days: int | None = None
    installments: tuple[Installment, ...] = ()
    method: str = ""
    account_type: str = ""
    account_number: str = ""
    bank: str = ""
    paid_on: date | None = None
    paid_amount: int | None = None
    balance: int | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """`Transporte`: carrier and destination of goods."""

    plate: str = ""
    trailer_plate: str = ""
    carrier_rut: str = ""
    driver_rut: str = ""
    driver_name: str = ""
    address: str = ""
    comuna: str = ""
    city: str = ""
    departure_date: date | None = None
    departure_time: time | None = None
    arrival_date: date | None = None


@dataclass(frozen=True, slots=True)
class TaxOverride:
    """Rate (per cent) or amount (whole pesos) of an additional tax, where the table's default does not serve."""

    code: int
    rate: Decimal | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Dte:
    """One document of type 33, 34, 52, 56 or 61. `folio` may be None until one is taken."""

    dte_type: int
    folio: int | None
    issue_date: date
    issuer: Issuer
    receiver: Receiver
    lines: tuple[Line, ...]
    global_discounts: tuple[GlobalDiscount, ...] = ()
    references: tuple[Reference, ...] = ()
    payment: Payment = Payment()
    transport: Transport | None = None
    tax_overrides: tuple[TaxOverride, ...] = ()
    vat_rate: Decimal = VAT_RATE
    gross_prices: bool = False
    no_reduction: bool = False
    dispatch_type: int | None = None
    transfer_type: int | None = None
    print_type: str = ""
    service_indicator: int | None = None
    purchase_kind: int | None = None
    sale_kind: int | None = None
    period_from: date | None = None
    period_to: date | None = None
    tourist: bool = False
    requester_rut: str = ""
    mandator_rut: str = ""
    construction_credit: bool = False
    previous_balance: int | None = None

    def corrects_text(self) -> bool:
        """Tell whether this is a note that only corrects text: all its amounts are zero."""
        return any(reference.code == CORRECTS_TEXT for reference in self.references)


class LineAmount(NamedTuple):
    """Whole pesos of one line: `amount` = round(quantity x price) - discount + surcharge."""

    amount: int
    discount: int = 0
    surcharge: int = 0


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """One `ImptoReten`: `rate` in per cent or None, `amount` whole pesos, `withheld` when it lowers the total."""

    code: int
    rate: Decimal | None
    amount: int
    withheld: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """`Totales`, whole pesos; None where the element is absent. `lines` holds the amounts of each line in order."""

    lines: tuple[LineAmount, ...]
    net: int | None
    exempt: int | None
    vat: int | None
    taxes: tuple[TaxAmount, ...]
    total: int
    slaughter_base: int | None = None
    margin_base: int | None = None
    vat_not_withheld: int | None = None
    construction_credit: int | None = None
    deposit: int | None = None
    not_billable: int | None = None
    period_total: int | None = None
    payable: int | None = None
    taxed_lines: int = 0


def round_half_up(value: Decimal) -> int:
    """Round to whole pesos, halves away from zero (never banker's rounding)."""
    return int(value.to_integral_value(ROUND_HALF_UP))


def line_amount(line: Line) -> LineAmount:
    """Return the amounts of a line. Source: Formato DTE, Detalle, fields 29 to 34 and 38."""
    if line.price is None:
        gross = line.lump_sum or 0
    else:
        gross = line.price if line.quantity is None else _EXACT.multiply(line.quantity, line.price)
        gross = round_half_up(gross)
    if line.discount_percent is None and line.surcharge_percent is None:
        discount, surcharge = line.discount_amount or 0, line.surcharge_amount or 0
    else:
        discount = _share(gross, line.discount_percent, line.discount_amount)
        surcharge = _share(gross, line.surcharge_percent, line.surcharge_amount)
    return LineAmount(gross - discount + surcharge, discount, surcharge)


def _share(gross: int, percent: Decimal | None, amount: int | None) -> int:
    if amount is not None or percent is None:
        return amount or 0
    return percent_of(gross, percent)


def percent_of(base: int, percent: Decimal) -> int:
    """Return `percent` per cent of `base` pesos, rounded half up."""
    return round_half_up(base * percent / HUNDRED)


def compute_totals(dte: Dte) -> Totals:
    """Compute every amount of the document from its lines.

    A text correction (CodRef 2) has all amounts zero. With `gross_prices` the net is the gross divided by
    (1 + rate) and the VAT is the rest. A global discount lowers the base of each additional tax in proportion.
    Source: Formato DTE v2.4.2, Totales, fields 107 to 128.
    """
    lines = tuple([line_amount(line) for line in dte.lines])
    if dte.corrects_text():
        return Totals(lines=lines, net=None, exempt=None, vat=None, taxes=(), total=0)
    sums = _sum_lines(dte, lines)
    taxed = sums.taxed + _global_amount(dte, None, sums.taxed)
    exempt = sums.exempt + _global_amount(dte, EXEMPT, sums.exempt)
    not_billable = sums.not_billable + _global_amount(dte, NOT_BILLABLE, sums.not_billable)
    net, vat = _net_and_vat(dte, taxed) if sums.taxed_count else (None, None)
    taxes = _taxes(dte, sums, taxed)
    added = sum(tax.amount for tax in taxes if not tax.withheld)
    withheld = sum(tax.amount for tax in taxes if tax.withheld)
    credit = round_half_up(vat * CONSTRUCTION_CREDIT_RATE) if dte.construction_credit and vat else None
    total = (net or 0) + exempt + (vat or 0) + added - withheld + sums.deposit - (credit or 0)
    has_period = sums.has_not_billable or dte.previous_balance is not None
    return Totals(
        lines=lines,
        net=net,
        exempt=exempt if sums.exempt_count or dte.dte_type == EXEMPT_INVOICE else None,
        vat=vat,
        taxes=taxes,
        total=total,
        slaughter_base=sums.slaughter_base or None,
        margin_base=sums.margin_base or None,
        vat_not_withheld=_vat_not_withheld(dte, vat, withheld),
        construction_credit=credit,
        deposit=sums.deposit or None,
        not_billable=not_billable if sums.has_not_billable else None,
        period_total=total + not_billable if has_period else None,
        payable=total + not_billable + (dte.previous_balance or 0) if has_period else None,
        taxed_lines=sums.taxed_count,
    )


class _Sums:
    __slots__ = (
        "by_tax", "deposit", "exempt", "exempt_count", "has_not_billable", "margin_base", "not_billable",
        "slaughter_base", "taxed", "taxed_count",
    )  # fmt: skip

    def __init__(self):
        self.taxed = self.exempt = self.not_billable = self.deposit = 0
        self.taxed_count = self.exempt_count = self.slaughter_base = self.margin_base = 0
        self.has_not_billable = False
        self.by_tax = {}


def _sum_lines(dte: Dte, amounts) -> _Sums:
    sums = _Sums()
    all_exempt = dte.dte_type == EXEMPT_INVOICE
    for line, computed in zip(dte.lines, amounts, strict=True):
        amount, indicator = computed.amount, line.indicator
        if indicator == EXEMPT or (indicator is None and all_exempt):
            sums.exempt += amount
            sums.exempt_count += 1
        elif indicator is None:
            sums.taxed += amount
            sums.taxed_count += 1
            for code in line.tax_codes:
                sums.by_tax[code] = sums.by_tax.get(code, 0) + amount
            if line.retainer:
                sums.slaughter_base += line.retainer.slaughter_base or 0
                sums.margin_base += line.retainer.margin_base or 0
        elif indicator in (NOT_BILLABLE, NOT_BILLABLE_NEGATIVE):
            sums.not_billable += amount if indicator == NOT_BILLABLE else -amount
            sums.has_not_billable = True
        elif indicator == PACKAGING_DEPOSIT:
            sums.deposit += amount
    return sums


def _global_amount(dte: Dte, indicator: int | None, base: int) -> int:
    """Return the signed sum of the global discounts and surcharges on one class of lines."""
    result = 0
    for discount in dte.global_discounts:
        if discount.indicator == indicator:
            amount = percent_of(base, discount.value) if discount.is_percent else round_half_up(discount.value)
            result += amount if discount.kind == "R" else -amount
    return result


def _net_and_vat(dte: Dte, taxed: int) -> tuple[int, int]:
    if not dte.gross_prices:
        return taxed, percent_of(taxed, dte.vat_rate)
    net = round_half_up(taxed * HUNDRED / (HUNDRED + dte.vat_rate))
    return net, taxed - net


def _taxes(dte: Dte, sums: _Sums, taxed: int) -> tuple[TaxAmount, ...]:
    overrides = {override.code: override for override in dte.tax_overrides}
    return tuple(
        _tax_amount(dte, code, base, overrides.get(code), sums, taxed) for code, base in sorted(sums.by_tax.items())
    )


def _tax_amount(dte: Dte, code: int, base: int, override: TaxOverride | None, sums: _Sums, taxed: int) -> TaxAmount:
    kind = TAX_KINDS[code]
    rate = dte.vat_rate if kind.vat else kind.rate
    if override and override.rate is not None:
        rate = override.rate
    parts = 1
    if code == SLAUGHTER_CODE:
        base = sums.slaughter_base
    elif sums.taxed and taxed != sums.taxed:
        base, parts = base * taxed, sums.taxed
    if override and override.amount is not None:
        amount = override.amount
    elif rate is None:
        amount = 0
    else:
        amount = round_half_up(_EXACT.divide(_EXACT.multiply(base, rate), 100 * parts))
    return TaxAmount(code, None if code in MARGIN_CODES else rate, amount, kind.effect == WITHHOLD)


def _vat_not_withheld(dte: Dte, vat: int | None, withheld: int) -> int | None:
    """Source: Formato DTE, Totales, field 118: only notes of a purchase invoice, never zero."""
    if dte.dte_type not in NOTE_TYPES or not withheld or vat is None or vat <= withheld:
        return None
    return vat - withheld
