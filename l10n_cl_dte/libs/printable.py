# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What stands on the paper of a document, word by word, and on which of its pages.

Source: Manual de muestras impresas v4.0, sections 1.1.7 to 1.4. Texts are final: a template only places them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from . import print_words as words
from .dte import EXEMPT_INVOICE, Dte, GlobalDiscount, Line, LineAmount, Totals, percent_of
from .xml_reader import ReadDte

# Rough width of a letter in units of an average one: where texts will break has to be known before they are printed.
_WIDE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZÁÉÍÓÚÑÜ@%&MWmw_")
_WIDE_FACTOR = 1.3
# Width of an average letter, and of the columns that not every document has, in millimetres.
_LETTER_MM = 1.55
_CODE_MM, _DISCOUNT_MM, _SURCHARGE_MM = 23, 22, 20
# Height of a line of text, of one in small letters, and of what is between two rows, in millimetres.
_NAME_MM, _NOTE_MM, _ROW_MM = 3.75, 3.35, 1.8


class Pair(NamedTuple):
    """A label and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the detail; `height` in millimetres, roughly: it is known only when it is printed."""

    number: str
    code: str
    name: str
    description: str
    quantity: str
    unit: str
    price: str
    discount: str
    surcharge: str
    amount: str
    note: str
    height: float


class ReferenceRow(NamedTuple):
    """A reference: the type in words, the folio, the date, the reason."""

    doc_type: str
    folio: str
    day: str
    reason: str


@dataclass(frozen=True, slots=True)
class Printable:
    """A document as text.

    :ivar transferable: legend of the copy that can be assigned, "" when there is no such copy
    :ivar totals: the last one is the total
    """

    title: str
    folio: str
    issuer_rut: str
    issuer_name: str
    issuer_giro: str
    issuer_lines: tuple[str, ...]
    issue_day: str
    place: str
    receiver: tuple[Pair, ...]
    terms: tuple[Pair, ...]
    references: tuple[ReferenceRow, ...]
    rows: tuple[Row, ...]
    adjustments: tuple[Pair, ...]
    installments: tuple[Pair, ...]
    totals: tuple[Pair, ...]
    transferable: str
    has_codes: bool
    has_discounts: bool
    has_surcharges: bool


def make(read: ReadDte, room: float = 116.0, *, columns: bool = True) -> Printable:
    """Return what is printed of a document.

    :param room: millimetres for the description of a line, and for the columns that not every document has
    :param columns: whether codes, discounts and surcharges have columns of their own
    """
    dte, totals = read.dte, read.totals
    has_codes = any(line.codes for line in dte.lines)
    has_discounts = any(amount.discount for amount in totals.lines)
    has_surcharges = any(amount.surcharge for amount in totals.lines)
    if columns:
        room -= _CODE_MM * has_codes + _DISCOUNT_MM * has_discounts + _SURCHARGE_MM * has_surcharges
    width = room / _LETTER_MM
    return Printable(
        title=words.TITLES.get(dte.dte_type, f"DOCUMENTO TIPO {dte.dte_type}"),
        folio=str(dte.folio) if dte.folio else "",
        issuer_rut=words.dotted_rut(dte.issuer.rut),
        issuer_name=dte.issuer.name,
        issuer_giro=dte.issuer.giro,
        issuer_lines=_issuer_lines(dte),
        issue_day=words.long_day(dte.issue_date),
        place=dte.issuer.city or dte.issuer.comuna,
        receiver=_receiver(dte),
        terms=_terms(dte),
        references=tuple(_reference(reference) for reference in dte.references),
        rows=tuple(
            _row(number, line, amount, width, dte)
            for number, (line, amount) in enumerate(zip(dte.lines, totals.lines, strict=True), 1)
        ),
        adjustments=tuple(_adjustment(discount, dte, totals) for discount in dte.global_discounts),
        installments=tuple(
            Pair(" ".join(filter(None, (words.day(part.date), part.text))), f"$ {words.money(part.amount)}")
            for part in dte.payment.installments
        ),
        totals=tuple(_totals(dte, totals)),
        transferable=words.transferable_legend(dte.dte_type, dte.transfer_type),
        has_codes=has_codes,
        has_discounts=has_discounts,
        has_surcharges=has_surcharges,
    )


def _issuer_lines(dte: Dte) -> tuple[str, ...]:
    issuer = dte.issuer
    address = ", ".join(dict.fromkeys(filter(None, (issuer.address, issuer.comuna, issuer.city))))
    branch = " ".join(
        filter(None, (issuer.branch_name, f"(código {issuer.branch_code})" if issuer.branch_code else ""))
    )
    contact = "  ".join(
        [f"Tel. {', '.join(issuer.phones)}" if issuer.phones else "", issuer.email],
    ).strip()
    lines = (
        f"Casa Matriz: {address}" if address else "",
        f"Sucursal: {branch}" if branch else "",
        contact,
        f"Vendedor: {issuer.seller_code}" if issuer.seller_code else "",
    )
    return tuple(line for line in lines if line)


def _pairs(*pairs: tuple[str, str]) -> tuple[Pair, ...]:
    return tuple(Pair(label, value) for label, value in pairs if value)


def _receiver(dte: Dte) -> tuple[Pair, ...]:
    receiver = dte.receiver
    document = {1: "Pasaporte", 2: "Documento de identidad"}.get(receiver.foreign_document, "Identificación extranjera")
    nationality = f" (nacionalidad {receiver.foreign_nationality})" if receiver.foreign_nationality else ""
    return _pairs(
        ("Señor(es)", receiver.name),
        ("R.U.T.", words.dotted_rut(receiver.rut)),
        (document, f"{receiver.foreign_number}{nationality}".strip()),
        ("Giro", receiver.giro),
        ("Dirección", receiver.address),
        ("Comuna", receiver.comuna),
        ("Ciudad", receiver.city),
        ("Contacto", receiver.contact),
        ("Solicitado por R.U.T.", words.dotted_rut(dte.requester_rut) if dte.requester_rut else ""),
        ("Por cuenta de R.U.T.", words.dotted_rut(dte.mandator_rut) if dte.mandator_rut else ""),
    )


def _terms(dte: Dte) -> tuple[Pair, ...]:
    payment = dte.payment
    bank = " ".join(filter(None, (payment.bank, payment.account_type, payment.account_number)))
    period = " al ".join(filter(None, (words.day(dte.period_from), words.day(dte.period_to))))
    return _pairs(
        ("Vencimiento", words.day(payment.due_date)),
        ("Forma de pago", words.PAYMENT_FORMS.get(payment.form, "")),
        ("Condición", payment.term_text or (f"{payment.term_days} días" if payment.term_days else "")),
        ("Medio de pago", " ".join(filter(None, (words.PAYMENT_METHODS.get(payment.method, ""), bank)))),
        ("Cancelada el", words.day(payment.paid_on)),
        ("Período", period),
        ("Servicio", words.SERVICE_KINDS.get(dte.service_indicator, "")),
        ("Traslado", words.TRANSFER_TYPES.get(dte.transfer_type, "")),
        ("Despacho", words.DISPATCH_TYPES.get(dte.dispatch_type, "")),
        *_transport(dte),
    )


def _transport(dte: Dte) -> list[tuple[str, str]]:
    transport = dte.transport
    if transport is None:
        return []
    place = ", ".join(dict.fromkeys(filter(None, (transport.address, transport.comuna, transport.city))))
    plates = " / ".join(filter(None, (transport.plate, transport.trailer_plate)))
    driver = f"{transport.driver_name} {words.dotted_rut(transport.driver_rut)}".strip()
    departure = f"{words.day(transport.departure_date)} {transport.departure_time or ''}".strip()
    return [
        ("Destino", place),
        ("Patente", plates),
        ("Transportista", words.dotted_rut(transport.carrier_rut) if transport.carrier_rut else ""),
        ("Chofer", driver),
        ("Salida", departure),
        ("Llegada", words.day(transport.arrival_date)),
    ]


def _reference(reference) -> ReferenceRow:
    reason = reference.reason or words.REFERENCE_ACTIONS.get(reference.code, "")
    if reference.is_global:
        reason = " ".join(filter(None, ("(Referencia global)", reason)))
    return ReferenceRow(
        words.REFERENCE_TYPES.get(reference.doc_type, reference.doc_type),
        reference.folio,
        words.day(reference.date),
        reason,
    )


def _row(number: int, line: Line, amount: LineAmount, width: float, dte: Dte) -> Row:
    codes = " / ".join(value for _kind, value in line.codes)
    note = words.LINE_INDICATORS.get(line.indicator, "") if dte.dte_type != EXEMPT_INVOICE else ""
    taxes = ", ".join(words.TAXES.get(code, f"Impuesto {code}") for code in line.tax_codes)
    dates = ", ".join(
        text
        for text in (
            f"Elaboración {words.day(line.made_on)}" if line.made_on else "",
            f"Vencimiento {words.day(line.expires_on)}" if line.expires_on else "",
        )
        if text
    )
    note = " · ".join(filter(None, (note, taxes, dates)))
    return Row(
        number=str(number),
        code=codes,
        name=line.name,
        description=line.description,
        quantity=words.number(line.quantity),
        unit=line.unit,
        price=words.number(line.price),
        discount=_with_percent(amount.discount, line.discount_percent),
        surcharge=_with_percent(amount.surcharge, line.surcharge_percent),
        amount=words.money(amount.amount),
        note=note,
        height=_row_height(line, codes, note, _with_percent(amount.discount, line.discount_percent), width),
    )


def _row_height(line: Line, codes: str, note: str, discount: str, width: float) -> float:
    small = sum(text_lines(text, width * 1.12) for text in (line.description, note) if text)
    height = max(
        text_lines(line.name, width) * _NAME_MM + small * _NOTE_MM,
        text_lines(codes, 13) * _NAME_MM,
        text_lines(discount, 13) * _NAME_MM,
    )
    return height + _ROW_MM


def _with_percent(amount: int, percent) -> str:
    if not amount:
        return ""
    return f"{words.money(amount)} ({words.number(percent)}%)" if percent else words.money(amount)


def text_lines(text: str, width: float) -> int:
    """Return how many lines a text takes, `width` average letters each."""
    size = sum(_WIDE_FACTOR if letter in _WIDE else 1 for letter in text)
    return max(1, math.ceil(size * 1.06 / width))


def _adjustment(discount: GlobalDiscount, dte: Dte, totals: Totals) -> Pair:
    kind = "Descuento global" if discount.kind == "D" else "Recargo global"
    scope = {1: " (exento)", 2: " (no facturable)"}.get(discount.indicator, "")
    if discount.is_percent:
        share = f" {words.number(discount.value)}%"
        amount = percent_of(_base(discount, dte, totals), discount.value)
    else:
        share, amount = "", int(discount.value)
    sign = "-" if discount.kind == "D" else ""
    return Pair(f"{discount.text or kind}{share}{scope}", f"{sign}{words.money(amount)}")


def _base(discount: GlobalDiscount, dte: Dte, totals: Totals) -> int:
    """Return what a percentage is taken of: the lines of its class."""
    exempt_only = dte.dte_type == EXEMPT_INVOICE
    wanted = {None} if discount.indicator is None else {discount.indicator}
    if exempt_only and discount.indicator in (None, 1):
        wanted = {None, 1}
    return sum(amount.amount for line, amount in zip(dte.lines, totals.lines, strict=True) if line.indicator in wanted)


def _totals(dte: Dte, totals: Totals):
    """Give the rows of the totals as the SII prints them; an exempt invoice has neither net nor VAT."""
    exempt_only = dte.dte_type == EXEMPT_INVOICE
    if totals.net is not None and not exempt_only:
        yield Pair("Monto Neto", words.money(totals.net))
    if totals.exempt or exempt_only or (totals.exempt is not None and totals.net is None):
        yield Pair("Monto Exento", words.money(totals.exempt or 0))
    if totals.vat is not None and not exempt_only:
        yield Pair(f"IVA ({words.number(dte.vat_rate)}%)", words.money(totals.vat))
    for tax in totals.taxes:
        rate = f" ({words.number(tax.rate)}%)" if tax.rate else ""
        name = words.TAXES.get(tax.code, f"Impuesto código {tax.code}")
        yield Pair(f"{name}{rate}", f"{'-' if tax.withheld else ''}{words.money(tax.amount)}")
    if totals.construction_credit:
        yield Pair("Crédito especial 65% empresas constructoras", f"-{words.money(totals.construction_credit)}")
    if totals.deposit:
        yield Pair("Garantía por depósito de envases", words.money(totals.deposit))
    yield Pair("Monto Total", words.money(totals.total))
    if totals.not_billable is not None:
        yield Pair("Monto No Facturable", words.money(totals.not_billable))
    if totals.period_total is not None:
        yield Pair("Monto Período", words.money(totals.period_total))
    if dte.previous_balance is not None:
        yield Pair("Saldo Anterior", words.money(dte.previous_balance))
    if totals.payable is not None:
        yield Pair("Valor a Pagar", words.money(totals.payable))


@dataclass(frozen=True, slots=True)
class Room:
    """Millimetres for the detail: on a first page, on one between, and what the foot of the last page takes."""

    first: float
    middle: float
    foot: float


def paginate(rows: tuple[Row, ...], room: Room) -> list[tuple[Row, ...]]:
    """Return the rows of each page; the last one leaves room for the foot and may be without rows.

    Rows are not torn apart. One that is higher than a page has a page of its own.
    """
    pages: list[list[Row]] = [[]]
    free = room.first
    for row in rows:
        if row.height > free and (pages[-1] or len(pages) == 1 and room.first < room.middle):
            pages.append([])
            free = room.middle
        pages[-1].append(row)
        free -= row.height
    if free < room.foot:
        # A page with nothing but the totals looks like a mistake.
        pages.append([pages[-1].pop()] if len(pages[-1]) > 1 else [])
    return [tuple(page) for page in pages]
