# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The words of the paper, as the SII prints them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from libs import print_words, printable, xml_reader
from libs.dte import GlobalDiscount, Installment, Payment, TaxAmount, Totals, compute_totals

from tests.libs import documents


def make(dte, totals=None) -> printable.Printable:
    return printable.make(xml_reader.ReadDte(dte, totals or compute_totals(dte), b"", None))


def totals_of(dte, totals=None) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in make(dte, totals).totals]


@pytest.mark.parametrize(
    ("dte_type", "title", "transferable"),
    [
        (33, "FACTURA ELECTRÓNICA", "CEDIBLE"),
        (34, "FACTURA NO AFECTA O EXENTA ELECTRÓNICA", "CEDIBLE"),
        (52, "GUÍA DE DESPACHO ELECTRÓNICA", "CEDIBLE CON SU FACTURA"),
        (56, "NOTA DE DÉBITO ELECTRÓNICA", ""),
        (61, "NOTA DE CRÉDITO ELECTRÓNICA", ""),
    ],
)
def test_title_and_copy(dte_type, title, transferable):
    made = make(documents.make_dte(dte_type))
    assert (made.title, made.transferable) == (title, transferable)


@pytest.mark.parametrize("transfer", [2, 3, 4, 5, 6, 7, 8])
def test_a_guide_that_is_no_sale_has_no_transferable_copy(transfer):
    made = make(documents.make_dte(52, transfer_type=transfer))
    assert made.transferable == ""
    assert ("Traslado", print_words.TRANSFER_TYPES[transfer]) in made.terms


def test_totals_of_an_invoice():
    lines = [documents.make_line(price="1500"), documents.make_line("Libro", "1", "900", indicator=1)]
    assert totals_of(documents.make_dte(33, lines)) == [
        ("Monto Neto", "3.000"), ("Monto Exento", "900"), ("IVA (19%)", "570"), ("Monto Total", "4.470"),
    ]  # fmt: skip


def test_totals_of_an_exempt_invoice():
    dte = documents.make_dte(34, [documents.make_line(quantity="1", price="100000")])
    assert totals_of(dte) == [("Monto Exento", "100.000"), ("Monto Total", "100.000")]


def test_additional_and_withheld_taxes_by_name():
    taxes = (TaxAmount(24, Decimal("31.5"), 315, False), TaxAmount(15, Decimal(19), 190, True))
    dte = documents.make_dte(33)
    totals = Totals(compute_totals(dte).lines, 1000, None, 190, taxes, 1315)
    assert totals_of(dte, totals)[2:] == [
        ("Impuesto art. 42 licores, piscos y destilados (31,5%)", "315"),
        ("IVA retenido total (19%)", "-190"),
        ("Monto Total", "1.315"),
    ]


def test_discounts_in_money():
    line = documents.make_line(quantity="1", price="1000", discount_percent=Decimal("12.5"), discount_amount=125)
    made = make(documents.make_dte(33, [line], global_discounts=(GlobalDiscount("D", Decimal(10), True),)))
    assert made.rows[0].discount == "125 (12,5%)"
    assert made.adjustments == (("Descuento global 10%", "-88"),)
    assert made.has_discounts


def test_a_foreigner_with_a_passport():
    receiver = documents.make_receiver(
        rut="55555555-5", foreign_number="C01X00T47", foreign_nationality="563", foreign_document=1
    )
    made = make(documents.make_dte(33, receiver=receiver, tourist=True))
    assert ("R.U.T.", "55.555.555-5") in made.receiver
    assert ("Pasaporte", "C01X00T47 (nacionalidad 563)") in made.receiver


def test_terms_and_installments():
    payment = Payment(
        2, date(2026, 12, 4), term_text="2 cuotas", method="CH", bank="Banco Uno",
        installments=(Installment(date(2026, 11, 4), 1000, "Primera"), Installment(date(2026, 12, 4), 570)),
    )  # fmt: skip
    made = make(documents.make_dte(33, payment=payment, period_from=date(2026, 9, 1), period_to=date(2026, 9, 30)))
    assert dict(made.terms) == {
        "Vencimiento": "04-12-2026", "Forma de pago": "Crédito", "Condición": "2 cuotas",
        "Medio de pago": "Cheque Banco Uno", "Período": "01-09-2026 al 30-09-2026",
    }  # fmt: skip
    assert made.installments == (("04-11-2026 Primera", "$ 1.000"), ("04-12-2026", "$ 570"))


def test_references_in_words():
    references = (
        documents.make_reference("801", "OC-1", reason="Del mes"),
        documents.make_reference("33", "7", code=1),
        documents.make_reference("ZZZ", "x"),
    )
    made = make(documents.make_dte(61, references=references))
    assert made.references == (
        ("Orden de Compra", "OC-1", "01-10-2026", "Del mes"),
        ("Factura Electrónica", "7", "01-10-2026", "Anula documento de referencia"),
        ("ZZZ", "x", "01-10-2026", ""),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [("1", "1"), ("1234.50", "1.234,5"), ("0.333333", "0,333333"), ("1000000", "1.000.000"), ("1E+3", "1.000")],
)
def test_numbers_of_chile(value, text):
    assert print_words.number(Decimal(value)) == text


def rows(*heights):
    dte = documents.make_dte(33, [documents.make_line(f"Línea {number}") for number in range(len(heights))])
    made = make(dte).rows
    for row, height in zip(made, heights, strict=True):
        object.__setattr__(row, "height", height)
    return made


@pytest.mark.parametrize(
    ("heights", "pages"),
    [
        ([5] * 3, [3]),
        ([5] * 10, [9, 1]),
        ([5] * 11, [10, 1]),
        ([5] * 30, [10, 19, 1]),
        ([80], [0, 1]),
        ([150], [0, 1, 0]),
        ([150, 5], [0, 1, 1]),
    ],
)
def test_pages(heights, pages):
    room = printable.Room(first=50, middle=100, foot=20)
    made = rows(*heights)
    found = printable.paginate(made, room)
    assert [len(page) for page in found] == pages
    assert [row for page in found for row in page] == list(made)


def test_every_page_but_an_oversized_row_fits():
    room = printable.Room(first=50, middle=100, foot=20)
    for count in range(1, 61):
        found = printable.paginate(rows(*([7] * count)), room)
        last = room.first if len(found) == 1 else room.middle
        assert sum(row.height for row in found[-1]) + room.foot <= last
        assert sum(row.height for row in found[0]) <= room.first
        for page in found[1:-1]:
            assert sum(row.height for row in page) <= room.middle
