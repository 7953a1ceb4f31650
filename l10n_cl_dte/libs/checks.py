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
    INVOICE,
    NOT_A_SALE,
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
MAX_AMOUNT = 10**18 - 1

FIRST_DATE = date(2003, 4, 1)
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
PURCHASE_INVOICES = frozenset(("45", str(PURCHASE_INVOICE)))

_RUT = re.compile(r"[1-9][0-9]{0,7}-[0-9K]\Z")
_SIX_DECIMALS = Decimal("0.000001")
_MAX_QUANTITY = Decimal("999999999999.999999")


def rut_is_valid(rut: str) -> bool:
    """Tell whether `rut` is written as the SII does (no dots, hyphen, capital K) and its check digit is right."""
    return bool(_RUT.match(rut)) and stdnum_rut.is_valid(rut)


def find_problems(dte: Dte, totals: Totals | None = None) -> list[Problem]:
    """Return everything that would make the SII refuse the document, or make it impossible to write.

    :param totals: as computed for this very document, to save the work of computing them again
    """
    if dte.dte_type not in SUPPORTED_TYPES:
        return [Problem("type_unsupported", "dte_type", {"type": dte.dte_type})]
    found: list[Problem] = []
    _check_header(dte, found)
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
    payment = dte.payment
    if payment.form not in (None, 1, 2, 3):
        found.append(Problem("value_not_allowed", "payment.form", {"value": payment.form}))
    if len(payment.installments) > MAX_INSTALLMENTS:
        found.append(_too_many("payment.installments", len(payment.installments), MAX_INSTALLMENTS))
    if dte.service_indicator not in (None, 1, 2, 3):
        found.append(Problem("value_not_allowed", "service_indicator", {"value": dte.service_indicator}))
    if dte.period_from and dte.period_to and dte.period_from > dte.period_to:
        found.append(Problem("period_reversed", "period_to", {}))
    for path, value in (("payment.due_date", payment.due_date), ("period_from", dte.period_from)):
        if value is not None:
            _check_date(value, path, found)
    for path, value in (("requester_rut", dte.requester_rut), ("mandator_rut", dte.mandator_rut)):
        if value:
            _check_rut(value, path, found)
    _check_texts(found, "payment", ("term_text", payment.term_text), ("bank", payment.bank))
    for number, installment in enumerate(payment.installments):
        _check_texts(found, f"payment.installments[{number}]", ("text", installment.text))


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
        if not re.fullmatch(r"[0-9]{6}", code):
            found.append(Problem("activity_code_malformed", "issuer.activity_codes", {"value": code}))
    if issuer.branch_code and not re.fullmatch(r"[1-9][0-9]{0,8}", issuer.branch_code):
        found.append(Problem("value_not_allowed", "issuer.branch_code", {"value": issuer.branch_code}))
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
    )


def _check_receiver(dte, found):
    receiver = dte.receiver
    _check_rut(receiver.rut, "receiver.rut", found)
    required = ["name"] + (["giro", "address", "comuna"] if dte.dte_type in ADDRESSED_TYPES else [])
    _check_required(receiver, "receiver", required, found)
    if dte.transfer_type == 5 and receiver.rut != dte.issuer.rut:
        found.append(Problem("internal_transfer_receiver", "receiver.rut"))
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
        ("foreign_number", receiver.foreign_number),
    )


def _check_lines(dte, found):
    if not dte.lines:
        found.append(Problem("missing", "lines"))
    if len(dte.lines) > MAX_LINES:
        found.append(_too_many("lines", len(dte.lines), MAX_LINES))
    for number, line in enumerate(dte.lines):
        _check_line(dte, line, number, found)


def _check_line(dte, line: Line, number, found):
    _check_line_texts(line, number, found)
    if line.price is not None and not _SIX_DECIMALS <= line.price <= _MAX_QUANTITY:
        found.append(Problem("price_out_of_range", f"lines[{number}].price", {"value": str(line.price)}))
    if line.quantity is None:
        if dte.dte_type == DISPATCH_GUIDE:
            found.append(Problem("missing", f"lines[{number}].quantity"))
    elif not _SIX_DECIMALS <= line.quantity <= _MAX_QUANTITY:
        found.append(Problem("quantity_out_of_range", f"lines[{number}].quantity", {"value": str(line.quantity)}))
    if line.tax_codes:
        _check_tax_codes(dte, line, number, found)
    if line.codes and (
        len(line.codes) > MAX_ITEM_CODES or any(len(value) > 35 or unwritable(value) for _kind, value in line.codes)
    ):
        found.append(Problem("item_code_not_allowed", f"lines[{number}].codes"))
    if line.indicator not in (None, 1, 2, 3, 4, 5, 6):
        found.append(Problem("value_not_allowed", f"lines[{number}].indicator", {"value": line.indicator}))


def _check_line_texts(line, number, found):
    if not clean(line.name):
        found.append(Problem("missing", f"lines[{number}].name"))
    for name, value in (("name", line.name), ("description", line.description), ("unit", line.unit)):
        if value and (characters := unwritable(value)):
            found.append(Problem("text_unwritable", f"lines[{number}].{name}", {"characters": characters}))


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
    return dte.dte_type in NOTE_TYPES and any(ref.doc_type in PURCHASE_INVOICES for ref in dte.references)


def _check_global_discounts(dte, found):
    discounts = dte.global_discounts
    if len(discounts) > MAX_GLOBAL_DISCOUNTS:
        found.append(_too_many("global_discounts", len(discounts), MAX_GLOBAL_DISCOUNTS))
    if discounts and dte.dte_type == DISPATCH_GUIDE:
        found.append(Problem("not_in_this_type", "global_discounts"))
    tax_codes = {line.tax_codes for line in dte.lines if line.indicator is None}
    for number, discount in enumerate(discounts):
        path = f"global_discounts[{number}]"
        if discount.kind not in ("D", "R") or discount.indicator not in (None, 1, 2):
            found.append(Problem("value_not_allowed", path, {"value": discount.kind}))
        if discount.value < Decimal("0.01") or (discount.is_percent and discount.value > 100):
            found.append(Problem("discount_out_of_range", path, {"value": str(discount.value)}))
        if not discount.is_percent and discount.indicator is None and len(tax_codes) > 1:
            found.append(Problem("discount_must_be_percent", path))
        _check_texts(found, path, ("text", discount.text))


def _check_references(dte, found):
    if len(dte.references) > MAX_REFERENCES:
        found.append(_too_many("references", len(dte.references), MAX_REFERENCES))
    for number, reference in enumerate(dte.references):
        _check_reference(reference, f"references[{number}]", found)
    if dte.dte_type in NOTE_TYPES:
        _check_note(dte, found)


def _check_reference(reference, path, found):
    if not 1 <= len(reference.doc_type) <= 3 or unwritable(reference.doc_type):
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
        if not dte.transport or not dte.transport.comuna:
            found.append(Problem("missing", "transport.comuna"))
    elif dte.transfer_type is not None:
        found.append(Problem("not_in_this_type", "transfer_type"))
    if dte.dispatch_type not in (None, 1, 2, 3):
        found.append(Problem("value_not_allowed", "dispatch_type", {"value": dte.dispatch_type}))
    if not dte.transport:
        return
    transport = dte.transport
    if bool(transport.driver_rut) != bool(transport.driver_name):
        found.append(Problem("driver_incomplete", "transport.driver_name"))
    for path, rut in (("carrier_rut", transport.carrier_rut), ("driver_rut", transport.driver_rut)):
        if rut:
            _check_rut(rut, f"transport.{path}", found)
    _check_texts(
        found,
        "transport",
        ("driver_name", transport.driver_name),
        ("address", transport.address),
        ("comuna", transport.comuna),
        ("city", transport.city),
    )


def _check_totals(dte, totals: Totals, found):
    for number, (line, computed) in enumerate(zip(dte.lines, totals.lines, strict=True)):
        if computed.amount < 0 or computed.discount < 0 or computed.surcharge < 0 or computed.amount > MAX_AMOUNT:
            found.append(Problem("line_amount_negative", f"lines[{number}]", {"amount": computed.amount}))
        elif computed.amount and (line.indicator in (NOT_A_SALE, TO_DEDUCT) or dte.corrects_text()):
            found.append(Problem("line_amount_must_be_zero", f"lines[{number}]", {"amount": computed.amount}))
    if dte.dte_type == INVOICE and not totals.taxed_lines:
        only_exempt = all(line.indicator == EXEMPT for line in dte.lines)
        found.append(Problem("needs_taxed_line" if only_exempt else "needs_billable_line", "lines"))
    if (totals.net or 0) < 0 or (totals.exempt or 0) < 0:
        found.append(Problem("discount_exceeds_lines", "global_discounts"))
    elif totals.total < 0:
        found.append(Problem("total_negative", "lines", {"amount": totals.total}))
    elif totals.total > MAX_AMOUNT:
        found.append(Problem("total_too_big", "lines", {"amount": totals.total}))


def _check_rut(value, path, found):
    if not value:
        found.append(Problem("missing", path))
    elif not rut_is_valid(value):
        found.append(Problem("rut_invalid", path, {"value": value}))


def _check_date(value, path, found):
    if not FIRST_DATE <= value <= LAST_DATE:
        found.append(Problem("date_out_of_range", path, {"value": value}))


def _check_required(owner, prefix, names, found):
    found.extend(Problem("missing", f"{prefix}.{name}") for name in names if not clean(getattr(owner, name)))


def _check_texts(found, prefix, *pairs):
    for name, value in pairs:
        if characters := unwritable(value):
            found.append(Problem("text_unwritable", f"{prefix}.{name}", {"characters": characters}))


def _too_many(path, count, limit):
    return Problem("too_many", path, {"count": count, "limit": limit})
