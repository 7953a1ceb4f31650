# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What can be said about a document before it has a folio: every problem at once.

Source: Formato DTE v2.4.2 (obligatoriness columns and limits of each zone) and the schemas of 2026-02-06.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from stdnum.cl import rut as stdnum_rut

from .dte import (
    ANNULS,
    CORRECTS_TEXT,
    CREDIT_NOTE,
    DEBIT_NOTE,
    DISPATCH_GUIDE,
    EXEMPT,
    EXEMPT_INVOICE,
    HUNDRED,
    INVOICE,
    NOT_A_SALE,
    NOT_BILLABLE,
    NOT_BILLABLE_NEGATIVE,
    NOTE_TYPES,
    PURCHASE_INVOICE,
    SUPPORTED_TYPES,
    TO_DEDUCT,
    Dte,
    Line,
    Totals,
    compute_totals,
)
from .exceptions import Problem
from .taxes import SLAUGHTER_CODE, TAX_KINDS, WITHHOLDING_CODES
from .text import clean, unwritable

MAX_LINES = 60
MAX_REFERENCES = 40
MAX_GLOBAL_DISCOUNTS = 20
MAX_INSTALLMENTS = 30
MAX_TAX_CODES = 2
MAX_ITEM_CODES = 5
MAX_ACTIVITY_CODES = 4
MAX_TAXES = 20
MAX_AMOUNT = 10**18 - 1
MAX_TERM_DAYS = 999

FIRST_DATE = date(2003, 4, 1)
FIRST_ITEM_DATE = date(2000, 1, 1)
FIRST_REFERENCE_DATE = date(2002, 8, 1)
LAST_DATE = date(2050, 12, 31)

# Types whose receiver and issuer must show giro, address and comuna (column value 1 of the format).
ADDRESSED_TYPES = (INVOICE, EXEMPT_INVOICE, DISPATCH_GUIDE)

# Documents of the SII that a note can correct.
TAX_DOCUMENTS = frozenset(
    ("30", "32", "33", "34", "35", "38", "39", "40", "41", "43", "45", "46", "50", "52", "55", "56", "60", "61", "103")
    + ("110", "111", "112")
)
CREDIT_NOTES = frozenset(("60", "61", "112"))
DISPATCH_GUIDES = frozenset(("50", "52"))
# A note carries withholdings when it corrects a purchase invoice, or a note that may be one of those.
WITHHOLDING_DOCUMENTS = frozenset(("45", str(PURCHASE_INVOICE), "55", "56", "60", "61"))

_RUT = re.compile(r"[1-9][0-9]{6,7}-[0-9K]\Z")
_CENT = Decimal("0.01")
_MAX_PERCENT = Decimal("999.99")
_MAX_DISCOUNT = 10**16 - 1
_SIX_DECIMALS = Decimal("0.000001")
_MAX_QUANTITY = Decimal("999999999999.999999")


def rut_is_valid(rut: str) -> bool:
    """Tell whether `rut` is written as the SII does (no dots, hyphen, capital K) and its check digit is right."""
    return bool(_RUT.match(rut)) and stdnum_rut.calc_check_digit(rut[:-2]) == rut[-1]


def find_problems(dte: Dte, totals: Totals | None = None) -> list[Problem]:
    """Return everything that would make the SII refuse the document, or make it impossible to write.

    :param totals: as computed for this very document, to save the work of computing them again
    """
    if dte.dte_type not in SUPPORTED_TYPES:
        return [Problem("type_unsupported", "dte_type", {"type": dte.dte_type})]
    found: list[Problem] = []
    _check_header(dte, found)
    _check_payment(dte.payment, found)
    _check_issuer(dte, found)
    _check_receiver(dte, found)
    _check_lines(dte, found)
    _check_global_discounts(dte, found)
    _check_references(dte, found)
    _check_transport(dte, found)
    if not any(problem.path.startswith("lines") for problem in found):
        _check_totals(dte, totals or compute_totals(dte), found)
    return found


def _check_header(dte, found):
    _check_date(dte.issue_date, "issue_date", found)
    if dte.period_from and dte.period_to and dte.period_from > dte.period_to:
        found.append(Problem("period_reversed", "period_to", {}))
    _check_dates(found, ("period_from", dte.period_from), ("period_to", dte.period_to))
    _check_allowed(
        found,
        ("service_indicator", dte.service_indicator, (None, 1, 2, 3)),
        ("print_type", dte.print_type, ("", "N", "T")),
        ("purchase_kind", dte.purchase_kind, (None, 1, 2, 3, 4, 5, 6, 7)),
        ("sale_kind", dte.sale_kind, (None, 1, 2, 3, 4)),
    )
    _check_percent(dte.vat_rate, "vat_rate", found)
    for path, value in (("requester_rut", dte.requester_rut), ("mandator_rut", dte.mandator_rut)):
        if value:
            _check_rut(value, path, found)
    for number, override in enumerate(dte.tax_overrides):
        if override.rate is not None:
            _check_percent(override.rate, f"tax_overrides[{number}].rate", found, HUNDRED)
    _check_place(dte, found)


def _check_place(dte, found):
    """Refuse what the format does not foresee for this type (code 0 of the obligatoriness columns)."""
    guide, note = dte.dte_type == DISPATCH_GUIDE, dte.dte_type in NOTE_TYPES
    misplaced = (
        ("gross_prices", guide and dte.gross_prices),
        ("service_indicator", guide and dte.service_indicator is not None),
        ("payment.due_date", guide and dte.payment.due_date is not None),
        ("dispatch_type", note and dte.dispatch_type is not None),
        ("no_reduction", dte.dte_type != CREDIT_NOTE and dte.no_reduction),
    )
    found.extend(Problem("not_in_this_type", path) for path, wrong in misplaced if wrong)


def _check_payment(payment, found):
    _check_allowed(
        found,
        ("payment.form", payment.form, (None, 1, 2, 3)),
        ("payment.method", payment.method, ("", "CH", "CF", "LT", "EF", "PE", "TC", "OT")),
        ("payment.account_type", payment.account_type, ("", "AHORRO", "CORRIENTE", "VISTA")),
    )
    if not 0 <= (payment.term_days or 0) <= MAX_TERM_DAYS:
        found.append(Problem("value_not_allowed", "payment.term_days", {"value": payment.term_days}))
    _check_dates(found, ("payment.due_date", payment.due_date), ("payment.paid_on", payment.paid_on))
    _check_amounts(found, ("payment.paid_amount", payment.paid_amount), ("payment.balance", payment.balance))
    _check_texts(
        found,
        "payment",
        ("term_code", payment.term_code),
        ("term_text", payment.term_text),
        ("account_number", payment.account_number),
        ("bank", payment.bank),
    )
    if len(payment.installments) > MAX_INSTALLMENTS:
        found.append(_too_many("payment.installments", len(payment.installments), MAX_INSTALLMENTS))
    for number, installment in enumerate(payment.installments):
        path = f"payment.installments[{number}]"
        _check_date(installment.date, f"{path}.date", found)
        _check_amounts(found, (f"{path}.amount", installment.amount))
        _check_texts(found, path, ("text", installment.text))


def _check_issuer(dte, found):
    issuer = dte.issuer
    _check_rut(issuer.rut, "issuer.rut", found)
    required = ["name", "giro"] + (["address", "comuna"] if dte.dte_type in ADDRESSED_TYPES else [])
    _check_required(issuer, "issuer", required, found)
    codes = issuer.activity_codes
    if not codes:
        found.append(Problem("missing", "issuer.activity_codes"))
    elif len(codes) > MAX_ACTIVITY_CODES:
        found.append(_too_many("issuer.activity_codes", len(codes), MAX_ACTIVITY_CODES))
    for code in codes:
        if not re.fullmatch(r"[0-9]{6}", code) or not int(code):
            found.append(Problem("activity_code_malformed", "issuer.activity_codes", {"value": code}))
    if issuer.branch_code and not re.fullmatch(r"[1-9][0-9]{0,8}", issuer.branch_code):
        found.append(Problem("value_not_allowed", "issuer.branch_code", {"value": issuer.branch_code}))
    _check_allowed(found, ("issuer.export_transfer_code", issuer.export_transfer_code, (None, 1, 2, 3, 4)))
    if issuer.export_authorization and not re.fullmatch(r"[0-9]{1,6}", issuer.export_authorization):
        found.append(
            Problem("value_not_allowed", "issuer.export_authorization", {"value": issuer.export_authorization})
        )
    _check_dates(found, ("issuer.export_authorization_date", issuer.export_authorization_date))
    for number, phone in enumerate(issuer.phones):
        _check_texts(found, "issuer", (f"phones[{number}]", phone))
    _check_texts(
        found,
        "issuer",
        ("name", issuer.name),
        ("giro", issuer.giro),
        ("address", issuer.address),
        ("comuna", issuer.comuna),
        ("city", issuer.city),
        ("email", issuer.email),
        ("branch_name", issuer.branch_name),
        ("seller_code", issuer.seller_code),
        ("extra_id", issuer.extra_id),
    )


def _check_receiver(dte, found):
    receiver = dte.receiver
    _check_rut(receiver.rut, "receiver.rut", found)
    required = ["name"] + (["giro", "address", "comuna"] if dte.dte_type in ADDRESSED_TYPES else [])
    _check_required(receiver, "receiver", required, found)
    if dte.transfer_type == 5 and receiver.rut != dte.issuer.rut:
        found.append(Problem("internal_transfer_receiver", "receiver.rut"))
    _check_allowed(found, ("receiver.foreign_document", receiver.foreign_document, (None, 1, 2)))
    _check_texts(
        found,
        "receiver",
        ("name", receiver.name),
        ("giro", receiver.giro),
        ("address", receiver.address),
        ("comuna", receiver.comuna),
        ("city", receiver.city),
        ("contact", receiver.contact),
        ("email", receiver.email),
        ("internal_code", receiver.internal_code),
        ("foreign_number", receiver.foreign_number),
        ("foreign_nationality", receiver.foreign_nationality),
        ("postal_address", receiver.postal_address),
        ("postal_comuna", receiver.postal_comuna),
        ("postal_city", receiver.postal_city),
    )


def _check_lines(dte, found):
    if not dte.lines:
        found.append(Problem("missing", "lines"))
    if len(dte.lines) > MAX_LINES:
        found.append(_too_many("lines", len(dte.lines), MAX_LINES))
    unwritable_texts = unwritable(" ".join([f"{line.name} {line.description} {line.unit}" for line in dte.lines]))
    for number, line in enumerate(dte.lines):
        if unwritable_texts:
            texts = ("name", line.name), ("description", line.description), ("unit", line.unit)
            _check_texts(found, f"lines[{number}]", *texts)
        _check_line(dte, line, number, found)


def _check_line(dte, line: Line, number, found):
    # A name that begins with a letter or a digit is not blank, whatever follows.
    if not line.name[:1].isalnum() and not clean(line.name):
        found.append(Problem("missing", f"lines[{number}].name"))
    if line.price and not _is_quantity(line.price):
        found.append(Problem("price_out_of_range", f"lines[{number}].price", {"value": str(line.price)}))
    if line.quantity is None:
        if dte.dte_type == DISPATCH_GUIDE:
            found.append(Problem("missing", f"lines[{number}].quantity"))
    elif not _is_quantity(line.quantity):
        found.append(Problem("quantity_out_of_range", f"lines[{number}].quantity", {"value": str(line.quantity)}))
    if line.tax_codes:
        _check_tax_codes(dte, line, number, found)
    if line.codes and (len(line.codes) > MAX_ITEM_CODES or not all(_is_item_code(*code) for code in line.codes)):
        found.append(Problem("item_code_not_allowed", f"lines[{number}].codes"))
    if line.indicator not in (None, 1, 2, 3, 4, 5, 6):
        found.append(Problem("value_not_allowed", f"lines[{number}].indicator", {"value": line.indicator}))
    if line.discount_percent:
        _check_percent(line.discount_percent, f"lines[{number}].discount_percent", found)
    if line.surcharge_percent:
        _check_percent(line.surcharge_percent, f"lines[{number}].surcharge_percent", found)
    if line.retainer or line.reference or line.made_on or line.expires_on:
        _check_line_extras(line, f"lines[{number}]", found)


def _is_quantity(value: Decimal) -> bool:
    return _SIX_DECIMALS <= value <= _MAX_QUANTITY and round(value, 6) == value


def _is_item_code(kind, value):
    return bool(clean(kind) and clean(value)) and len(value) <= 35 and not unwritable(f"{kind} {value}")


def _check_line_extras(line, path, found):
    if line.retainer:
        for name in ("slaughter_base", "margin_base", "final_price"):
            _check_amounts(found, (f"{path}.retainer.{name}", getattr(line.retainer, name)))
    if line.reference:
        _check_texts(found, f"{path}.reference", ("unit", line.reference.unit))
        if line.reference.quantity and not _is_quantity(line.reference.quantity):
            value = str(line.reference.quantity)
            found.append(Problem("quantity_out_of_range", f"{path}.reference.quantity", {"value": value}))
        if line.reference.price and not _is_quantity(line.reference.price):
            found.append(Problem("price_out_of_range", f"{path}.reference.price", {"value": str(line.reference.price)}))
    for name, value in (("made_on", line.made_on), ("expires_on", line.expires_on)):
        if value is not None:
            _check_date(value, f"{path}.{name}", found, FIRST_ITEM_DATE)


def _check_tax_codes(dte, line, number, found):
    path = f"lines[{number}].tax_codes"
    if len(line.tax_codes) > MAX_TAX_CODES:
        found.append(_too_many(path, len(line.tax_codes), MAX_TAX_CODES))
    if dte.gross_prices:
        found.append(Problem("gross_with_taxes", path))
    if dte.dte_type == EXEMPT_INVOICE or line.indicator is not None:
        found.append(Problem("tax_on_exempt_line", path))
    for code in line.tax_codes:
        if code not in TAX_KINDS:
            found.append(Problem("tax_code_unknown", path, {"value": code}))
        elif code in WITHHOLDING_CODES and not _corrects_purchase(dte):
            found.append(Problem("withholding_not_allowed", path, {"value": code}))
    if SLAUGHTER_CODE in line.tax_codes and not (line.retainer and line.retainer.slaughter_base):
        found.append(Problem("missing", f"lines[{number}].retainer.slaughter_base"))


def _corrects_purchase(dte):
    return dte.dte_type in NOTE_TYPES and any(ref.doc_type in WITHHOLDING_DOCUMENTS for ref in dte.references)


def _check_global_discounts(dte, found):
    discounts = dte.global_discounts
    if len(discounts) > MAX_GLOBAL_DISCOUNTS:
        found.append(_too_many("global_discounts", len(discounts), MAX_GLOBAL_DISCOUNTS))
    if discounts and dte.dte_type == DISPATCH_GUIDE:
        found.append(Problem("not_in_this_type", "global_discounts"))
    tax_codes = {line.tax_codes for line in dte.lines if line.indicator is None}
    classes = {_discount_class(dte, line) for line in dte.lines}
    for number, discount in enumerate(discounts):
        path = f"global_discounts[{number}]"
        if discount.kind not in ("D", "R") or discount.indicator not in (None, 1, 2):
            found.append(Problem("value_not_allowed", path, {"value": discount.kind}))
        elif discount.indicator not in classes:
            found.append(Problem("discount_without_lines", path, {"indicator": discount.indicator}))
        least, highest, places = (_CENT, HUNDRED, 2) if discount.is_percent else (1, _MAX_DISCOUNT, 0)
        if not least <= discount.value <= highest or round(discount.value, places) != discount.value:
            found.append(Problem("discount_out_of_range", path, {"value": str(discount.value)}))
        if not discount.is_percent and discount.indicator is None and len(tax_codes) > 1:
            found.append(Problem("discount_must_be_percent", path))
        _check_texts(found, path, ("text", discount.text))


def _discount_class(dte, line):
    """Return the indicator of the global discounts that apply to a line."""
    if line.indicator == NOT_BILLABLE_NEGATIVE:
        return NOT_BILLABLE
    return EXEMPT if line.indicator is None and dte.dte_type == EXEMPT_INVOICE else line.indicator


def _check_references(dte, found):
    if len(dte.references) > MAX_REFERENCES:
        found.append(_too_many("references", len(dte.references), MAX_REFERENCES))
    for number, reference in enumerate(dte.references):
        _check_reference(reference, f"references[{number}]", found)
    if dte.dte_type in NOTE_TYPES:
        _check_note(dte, found)


def _check_reference(reference, path, found):
    if not 1 <= len(clean(reference.doc_type)) <= 3 or unwritable(reference.doc_type):
        found.append(Problem("value_not_allowed", f"{path}.doc_type", {"value": reference.doc_type}))
    folio = clean(reference.folio)
    if not 1 <= len(folio) <= 18 or unwritable(folio):
        found.append(Problem("reference_folio_malformed", f"{path}.folio", {"value": reference.folio}))
    elif reference.doc_type in TAX_DOCUMENTS and (folio == "0") != reference.is_global:
        found.append(Problem("reference_folio_zero", f"{path}.folio"))
    if not FIRST_REFERENCE_DATE <= reference.date <= LAST_DATE:
        found.append(Problem("date_out_of_range", f"{path}.date", {"value": reference.date}))
    if reference.other_rut:
        _check_rut(reference.other_rut, f"{path}.other_rut", found)
    _check_allowed(found, (f"{path}.code", reference.code, (None, 1, 2, 3)))
    _check_texts(found, path, ("reason", reference.reason))


def _check_note(dte, found):
    """Source: Formato DTE, Referencia, field 8: cases a, b and c need one single reference."""
    coded = [reference for reference in dte.references if reference.code is not None]
    if not coded:
        found.append(Problem("note_without_reference", "references"))
        return
    documents = [reference for reference in dte.references if reference.doc_type != "SET"]
    if any(reference.code in (ANNULS, CORRECTS_TEXT) for reference in coded) and len(documents) > 1:
        found.append(Problem("note_needs_single_reference", "references"))
    for reference in coded:
        if reference.code not in (1, 2, 3) or reference.doc_type not in TAX_DOCUMENTS:
            found.append(Problem("note_reference_not_tax_document", "references", {"type": reference.doc_type}))
        elif dte.dte_type == CREDIT_NOTE and reference.doc_type in DISPATCH_GUIDES:
            found.append(Problem("note_on_dispatch_guide", "references"))
        elif dte.dte_type == DEBIT_NOTE and reference.code == ANNULS and reference.doc_type not in CREDIT_NOTES:
            found.append(Problem("debit_annuls_only_credit", "references"))


def _check_transport(dte, found):
    if dte.dte_type == DISPATCH_GUIDE:
        if dte.transfer_type not in range(1, 10):
            found.append(Problem("missing", "transfer_type"))
        if not dte.transport or not clean(dte.transport.comuna):
            found.append(Problem("missing", "transport.comuna"))
    elif dte.transfer_type is not None:
        found.append(Problem("not_in_this_type", "transfer_type"))
    _check_allowed(found, ("dispatch_type", dte.dispatch_type, (None, 1, 2, 3)))
    if dte.transport:
        _check_carriage(dte.transport, found)


def _check_carriage(transport, found):
    if bool(transport.driver_rut) != bool(clean(transport.driver_name)):
        found.append(Problem("driver_incomplete", "transport.driver_name"))
    for path, rut in (("carrier_rut", transport.carrier_rut), ("driver_rut", transport.driver_rut)):
        if rut:
            _check_rut(rut, f"transport.{path}", found)
    _check_texts(
        found,
        "transport",
        ("plate", transport.plate),
        ("trailer_plate", transport.trailer_plate),
        ("driver_name", transport.driver_name),
        ("address", transport.address),
        ("comuna", transport.comuna),
        ("city", transport.city),
    )
    _check_dates(
        found,
        ("transport.departure_date", transport.departure_date),
        ("transport.arrival_date", transport.arrival_date),
    )


def _check_totals(dte, totals: Totals, found):
    corrects_text = dte.corrects_text()
    for number, (line, computed) in enumerate(zip(dte.lines, totals.lines, strict=True)):
        if computed.amount < 0 or computed.discount < 0 or computed.surcharge < 0 or computed.amount > MAX_AMOUNT:
            found.append(Problem("line_amount_negative", f"lines[{number}]", {"amount": computed.amount}))
        elif computed.amount and (line.indicator in (NOT_A_SALE, TO_DEDUCT) or corrects_text):
            found.append(Problem("line_amount_must_be_zero", f"lines[{number}]", {"amount": computed.amount}))
    if dte.dte_type == INVOICE and not totals.taxed_lines:
        only_exempt = all(line.indicator == EXEMPT for line in dte.lines)
        found.append(Problem("needs_taxed_line" if only_exempt else "needs_billable_line", "lines"))
    if (totals.net or 0) < 0 or (totals.exempt or 0) < 0:
        found.append(Problem("discount_exceeds_lines", "global_discounts"))
    elif totals.total < 0:
        found.append(Problem("total_negative", "lines", {"amount": totals.total}))
    elif max(totals.total, abs(totals.period_total or 0), abs(totals.payable or 0)) > MAX_AMOUNT:
        found.append(Problem("total_too_big", "lines", {"amount": totals.total}))
    for tax in totals.taxes:
        if tax.rate is None and not tax.amount:
            found.append(Problem("missing", "tax_overrides", {"code": tax.code}))
    if len(totals.taxes) > MAX_TAXES:
        found.append(_too_many("lines.tax_codes", len(totals.taxes), MAX_TAXES))


def _check_rut(value, path, found):
    if not value:
        found.append(Problem("missing", path))
    elif not rut_is_valid(value):
        found.append(Problem("rut_invalid", path, {"value": value}))


def _check_date(value, path, found, first=FIRST_DATE):
    if not first <= value <= LAST_DATE:
        found.append(Problem("date_out_of_range", path, {"value": value}))


def _check_dates(found, *pairs):
    for path, value in pairs:
        if value is not None:
            _check_date(value, path, found)


def _check_allowed(found, *rules):
    for path, value, allowed in rules:
        if value not in allowed:
            found.append(Problem("value_not_allowed", path, {"value": value}))


def _check_amounts(found, *pairs):
    for path, value in pairs:
        if value is not None and not 0 <= value <= MAX_AMOUNT:
            found.append(Problem("value_not_allowed", path, {"value": value}))


def _check_percent(value, path, found, highest=_MAX_PERCENT):
    if not _CENT <= value <= highest or round(value, 2) != value:
        found.append(Problem("value_not_allowed", path, {"value": str(value)}))


def _check_required(owner, prefix, names, found):
    found.extend(Problem("missing", f"{prefix}.{name}") for name in names if not clean(getattr(owner, name)))


def _check_texts(found, prefix, *pairs):
    if not unwritable(" ".join([value for _name, value in pairs])):
        return
    for name, value in pairs:
        if characters := unwritable(value):
            found.append(Problem("text_unwritable", f"{prefix}.{name}", {"characters": characters}))


def _too_many(path, count, limit):
    return Problem("too_many", path, {"count": count, "limit": limit})
