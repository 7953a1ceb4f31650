# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What is read from a signed document is what was written into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from decimal import Decimal

import pytest
from libs import issue, xml_reader
from libs.dte import GlobalDiscount, Installment, Payment, Transport
from libs.exceptions import DocumentError, SignatureError

from tests.libs import documents


def signed(dte, cafs, signer):
    return issue.issue(dte, cafs[dte.dte_type], signer, documents.SIGNED_AT)


@pytest.mark.parametrize("dte_type", [33, 34, 52, 56, 61])
def test_each_type_comes_back(dte_type, cafs, signer):
    lines = [documents.make_line(), documents.make_lump("Instalación", quantity=Decimal(1))]
    dte = documents.make_dte(dte_type, lines)
    made = signed(dte, cafs, signer)
    read = xml_reader.read(made.xml)
    assert read.dte == dte
    assert read.totals == made.totals
    assert read.ted == made.ted.encode("iso-8859-1")
    assert read.signed_at == documents.SIGNED_AT


def test_everything_on_the_way_comes_back(cafs, signer):
    lines = (
        documents.make_line(
            "Cerveza <artesanal> & negra", "2.5", "1234.567", unit="CAJA", description="De 12", tax_codes=(26,),
            codes=(("INT1", "A-1"), ("EAN13", "7801234567890")), discount_percent=Decimal("10"), discount_amount=309,
        ),
        documents.make_line("Libro", "1", "9000", indicator=1, surcharge_amount=500),
    )  # fmt: skip
    dte = documents.make_dte(
        33,
        lines,
        global_discounts=(GlobalDiscount("D", Decimal("5"), True, "Buen cliente"),),
        references=(documents.make_reference("801", "OC-17", reason="Orden del mes"),),
        payment=Payment(2, date(2026, 11, 4), term_text="30 días", installments=(Installment(date(2026, 11, 4), 10),)),
        transport=Transport("ABCD12", "", "76543210-3", "11111111-1", "Juan", "Los Aromos 8", "Maipú", "Santiago",
                            date(2026, 10, 6), time(8, 30)),
        period_from=date(2026, 9, 1),
        period_to=date(2026, 9, 30),
        service_indicator=3,
    )  # fmt: skip
    made = signed(dte, cafs, signer)
    read = xml_reader.read(made.xml)
    assert read.dte == dte
    assert read.totals == made.totals


def test_a_withholding_is_told_from_an_added_tax():
    xml = (
        b"<DTE><Documento><Encabezado><IdDoc><TipoDTE>46</TipoDTE><Folio>1</Folio><FchEmis>2026-10-05</FchEmis></IdDoc>"
        b"<Totales><ImptoReten><TipoImp>15</TipoImp><MontoImp>1900</MontoImp></ImptoReten><MntTotal>10000</MntTotal>"
        b"</Totales></Encabezado><TED></TED></Documento></DTE>"
    )
    (tax,) = xml_reader.read(xml).totals.taxes
    assert (tax.withheld, tax.rate, tax.amount) == (True, None, 1900)


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ((b"<MntTotal>", b"<MntTotal>x"), DocumentError),
        ((b"<Folio>", b"<Folioo>"), DocumentError),
        ((b"<FchEmis>2026", b"<FchEmis>26"), DocumentError),
        ((b"TED>", b"TUD>"), SignatureError),
    ],
)
def test_what_cannot_be_read_is_refused(damage, error, cafs, signer):
    xml = signed(replace(documents.make_dte(), folio=9), cafs, signer).xml
    with pytest.raises(error):
        xml_reader.read(xml.replace(*damage))
