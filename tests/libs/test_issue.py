# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""From data to signed bytes: everything that is written is valid for the SII's schemas and for two verifiers."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libs import caf, checks, issue, xml_verifier
from libs.dte import GlobalDiscount, Installment, Payment, Reference, ReferenceUnit, Transport, compute_totals
from libs.exceptions import ConfigurationError, DocumentError
from libs.xsd_validator import DTE_SCHEMA
from lxml import etree

from tests import authority
from tests.libs import verifier
from tests.libs.documents import (
    ISSUE_DATE,
    SIGNED_AT,
    make_dte,
    make_issuer,
    make_line,
    make_lump,
    make_receiver,
    make_reference,
)
from tests.libs.strategies import documents, texts, with_fields_of_2026

NS = {"s": "http://www.sii.cl/SiiDte"}


def parse(signed):
    return etree.fromstring(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + signed.xml)


def value(root, path):
    return root.findtext("s:Documento/" + "/".join(f"s:{name}" for name in path.split("/")), namespaces=NS)


def check_bytes(xml: bytes):
    """Rules of the SII's reader that no schema holds."""
    xml.decode("iso-8859-1")
    assert max(len(line) for line in xml.split(b"\n")) <= 4000
    assert not re.search(rb"<(\w+)>\s*</\1>", xml)
    assert b"/>" not in xml
    assert b"<!" not in xml
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\x9f]", xml)


@given(dte=documents())
def test_a_document_without_problems_is_valid_everywhere(dte, cafs, signer, schemas, packaged_schemas, ca_key):
    problems = checks.find_problems(dte)
    if problems:
        with pytest.raises(DocumentError) as caught:
            issue.issue(dte, cafs[dte.dte_type], signer, SIGNED_AT)
        assert caught.value.problems == problems
        return
    signed = issue.issue(dte, cafs[dte.dte_type], signer, SIGNED_AT)
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []
    if all(tax.amount for tax in signed.totals.taxes):  # the older schema knows no tax of 0 pesos
        assert packaged_schemas.validate(signed.xml, DTE_SCHEMA) == []
    check_bytes(signed.xml)
    verifier.check_dte(signed.xml)
    verifier.check_timbre(signed.xml, ca_key)
    report = xml_verifier.verify_dte(signed.xml)
    assert (report.valid, report.context, report.signer_rut) == (True, "as written", authority.HOLDER)
    assert xml_verifier.verify_timbre(signed.xml, simulator_key=ca_key).problems == ()


@given(dte=documents())
@settings(max_examples=40)
def test_fields_of_2026_are_valid_for_the_schema_of_2026(dte, cafs, signer, schemas):
    dte = with_fields_of_2026(dte)
    if checks.find_problems(dte):
        return
    signed = issue.issue(dte, cafs[dte.dte_type], signer, SIGNED_AT)
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []
    assert value(parse(signed), "Encabezado/Transporte/HraSalida") == "08:05:09"


def test_random_documents_are_mostly_free_of_problems():
    """The property above must not pass because it looks at refused documents only."""
    clean = []

    @given(documents())
    @settings(max_examples=60, database=None)
    def count(dte):
        clean.append(not checks.find_problems(dte))

    count()
    assert sum(clean) > len(clean) / 2


def test_everything_that_was_given_is_written(cafs, signer):
    signed = issue.issue(
        make_dte(
            lines=[make_line("Fierro Ñ & Cía", "1.500000", "1234.560", unit="KG", description="ø 8 mm")],
            payment=Payment(form=2, due_date=date(2026, 11, 4), installments=(Installment(date(2026, 11, 4), 2204),)),
            references=(Reference("801", "OC 15/2026", date(2026, 9, 30), reason="Compra"),),
        ),
        cafs[33],
        signer,
        SIGNED_AT,
    )
    root = parse(signed)
    expected = {
        "Encabezado/IdDoc/TipoDTE": "33",
        "Encabezado/IdDoc/Folio": "7",
        "Encabezado/IdDoc/FchEmis": "2026-10-05",
        "Encabezado/IdDoc/FmaPago": "2",
        "Encabezado/IdDoc/MntPagos/MntPago": "2204",
        "Encabezado/IdDoc/FchVenc": "2026-11-04",
        "Encabezado/Emisor/RUTEmisor": authority.ISSUER,
        "Encabezado/Emisor/CmnaOrigen": "Ñuñoa",
        "Encabezado/Receptor/RznSocRecep": "Comercial O'Higgins & Cía Ltda",
        "Encabezado/Totales/MntNeto": "1852",
        "Encabezado/Totales/TasaIVA": "19",
        "Encabezado/Totales/IVA": "352",
        "Encabezado/Totales/MntTotal": "2204",
        "Detalle/NmbItem": "Fierro Ñ & Cía",
        "Detalle/DscItem": "ø 8 mm",
        "Detalle/QtyItem": "1.5",
        "Detalle/UnmdItem": "KG",
        "Detalle/PrcItem": "1234.56",
        "Detalle/MontoItem": "1852",
        "Referencia/TpoDocRef": "801",
        "Referencia/FolioRef": "OC 15/2026",
        "Referencia/RazonRef": "Compra",
        "TED/DD/MNT": "2204",
        "TED/DD/TSTED": "2026-10-05T11:30:45",
        "TmstFirma": "2026-10-05T11:30:45",
    }
    assert {path: value(root, path) for path in expected} == expected
    assert signed.totals.total == 2204
    assert signed.ted.encode("iso-8859-1") in signed.xml
    assert signed.digest.encode() in signed.xml


def test_a_document_is_written_the_same_twice(cafs, signer):
    dte = make_dte()
    assert issue.issue(dte, cafs[33], signer, SIGNED_AT) == issue.issue(dte, cafs[33], signer, SIGNED_AT)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+3", "1000"),
        ("0.000001", "0.000001"),
        ("1.50", "1.5"),
        ("100.00", "100"),
        ("10", "10"),
        ("1E-6", "0.000001"),
    ],
)
def test_numbers_have_no_exponent_and_no_trailing_zeros(number, text, cafs, signer):
    signed = issue.issue(make_dte(lines=[make_line(quantity=number)]), cafs[33], signer, SIGNED_AT)
    assert value(parse(signed), "Detalle/QtyItem") == text


def test_what_is_zero_or_blank_is_left_out(cafs, signer):
    line = make_line(
        price="0", discount_percent=Decimal("0.01"), surcharge_percent=Decimal("0.01"), unit=" ", description="\u200b"
    )
    receiver = make_receiver(foreign_number=" ", contact=" ", email="x" * 81, city="")
    signed = issue.issue(
        make_dte(lines=[line], receiver=receiver, transport=Transport(plate=" ")), cafs[33], signer, SIGNED_AT
    )
    for tag in ("PrcItem", "DescuentoPct", "DescuentoMonto", "RecargoPct", "RecargoMonto", "UnmdItem", "DscItem"):
        assert f"<{tag}>".encode() not in signed.xml
    for tag in ("Extranjero", "Contacto", "CorreoRecep", "CiudadRecep", "Transporte"):
        assert f"<{tag}>".encode() not in signed.xml
    check_bytes(signed.xml)


def test_a_zero_total_is_written(cafs, signer):
    lines = [make_line(price=None)]
    signed = issue.issue(
        make_dte(52, lines, transfer_type=5, receiver=make_receiver(rut=authority.ISSUER)), cafs[52], signer, SIGNED_AT
    )
    root = parse(signed)
    assert (value(root, "Encabezado/Totales/MntTotal"), value(root, "TED/DD/MNT")) == ("0", "0")
    assert value(root, "Detalle/MontoItem") == "0"


@pytest.mark.parametrize("length", [79, 80, 81, 100, 130])
@pytest.mark.parametrize("char", ["&", "ñ", "<"])
def test_long_item_names_continue_in_the_description(length, char, cafs, signer, schemas):
    name = "x" * (length - 1) + char
    signed = issue.issue(make_dte(lines=[make_line(name, description="fin")]), cafs[33], signer, SIGNED_AT)
    root = parse(signed)
    item, rest = value(root, "Detalle/NmbItem"), value(root, "Detalle/DscItem")
    assert len(item) <= 80
    assert (item + rest).replace(" ", "") == name + "fin"
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []


def test_a_long_item_name_is_split_between_words(cafs, signer):
    name = "Puerta interior de madera " * 4
    root = parse(issue.issue(make_dte(lines=[make_line(name)]), cafs[33], signer, SIGNED_AT))
    item, rest = value(root, "Detalle/NmbItem"), value(root, "Detalle/DscItem")
    assert f"{item} {rest}" == name.strip()
    assert 60 <= len(item) <= 80


def test_a_description_of_a_thousand_ampersands_stays_under_the_line_limit(cafs, signer):
    signed = issue.issue(make_dte(lines=[make_line(description="&" * 1000)]), cafs[33], signer, SIGNED_AT)
    check_bytes(signed.xml)
    assert len(value(parse(signed), "Detalle/DscItem")) > 700


@pytest.mark.parametrize("length", [39, 40, 41, 100, 101])
@pytest.mark.parametrize("char", ["&", "ñ", "'"])
def test_names_in_the_timbre_are_cut_at_40_characters(length, char, cafs, signer, ca_key, schemas):
    name = "y" * (min(length, 40) - 1) + char + "z" * (length - 40)
    signed = issue.issue(
        make_dte(lines=[make_line(name)], receiver=make_receiver(name=name)), cafs[33], signer, SIGNED_AT
    )
    root = parse(signed)
    assert value(root, "TED/DD/RSR") == value(root, "TED/DD/IT1") == name[:40]
    verifier.check_timbre(signed.xml, ca_key)
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []


@given(name=texts(130))
def test_names_in_the_timbre_begin_like_the_names_in_the_document(name, cafs, signer):
    signed = issue.issue(
        make_dte(lines=[make_line(name)], receiver=make_receiver(name=name)), cafs[33], signer, SIGNED_AT
    )
    root = parse(signed)

    def words(path):
        return " ".join(value(root, path).split())

    assert words("Encabezado/Receptor/RznSocRecep").startswith(words("TED/DD/RSR"))
    assert words("Detalle/NmbItem").startswith(words("TED/DD/IT1"))
    assert 1 <= len(value(root, "TED/DD/RSR")) <= 40
    assert len(value(root, "TED/DD/RSR")) >= min(40, len(words("Encabezado/Receptor/RznSocRecep"))) - 1


def test_quotes_are_literal_in_what_is_signed(cafs, signer, ca_key):
    name = "PLC'S \"Taller\" O'Higgins"
    signed = issue.issue(
        make_dte(lines=[make_line(name)], receiver=make_receiver(name=name)), cafs[33], signer, SIGNED_AT
    )
    assert signed.xml.count(name.encode()) == 4
    assert b"&apos;" not in signed.xml
    assert b"&quot;" not in signed.xml
    verifier.check_dte(signed.xml)
    verifier.check_timbre(signed.xml, ca_key)


@pytest.mark.parametrize(
    "name",
    [
        "PLC&apos;S &quot;TALLER&quot; LTDA",
        "ÑUÑOA Y CÍA &amp; HIJOS",
        "DOS  ESPACIOS &apos; Ü",
        "S&#39;A &#225;",
        "MAYOR &gt; MENOR &lt;",
        'O\'Higgins "directo"',
    ],
)
def test_the_caf_stands_in_the_timbre_as_the_sii_wrote_it(name, signer, ca_key, schemas):
    data = authority.make_caf(name=name)
    parsed = caf.parse_caf(data)
    signed = issue.issue(make_dte(), parsed, signer, SIGNED_AT)
    assert verifier.flatten(verifier.cut(data, "CAF")) in signed.xml
    verifier.check_dte(signed.xml)
    verifier.check_timbre(signed.xml, ca_key)
    assert xml_verifier.verify_dte(signed.xml).valid
    assert xml_verifier.verify_timbre(signed.xml, simulator_key=ca_key).problems == ()
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []


def test_a_document_with_problems_is_refused_before_anything_is_signed(cafs, signer):
    with pytest.raises(DocumentError) as caught:
        issue.issue(make_dte(receiver=make_receiver(name="", rut="1-1")), cafs[33], signer, SIGNED_AT)
    assert [problem.code for problem in caught.value.problems] == ["rut_invalid", "missing"]
    assert "receiver.rut: rut_invalid" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"folio": 1001}, {"folio": 0}, {"issuer": make_issuer(rut="77123456-9")}, {"dte_type": 34}],
)
def test_a_caf_that_does_not_cover_the_document_is_refused(changes, cafs, signer):
    with pytest.raises(ConfigurationError) as caught:
        issue.issue(replace(make_dte(), **changes), cafs[33], signer, SIGNED_AT)
    assert caught.value.code == "caf_does_not_cover"


@pytest.mark.parametrize("folio", [1, 1000])
def test_the_first_and_the_last_folio_are_covered(folio, cafs, signer):
    assert issue.issue(make_dte(folio=folio), cafs[33], signer, SIGNED_AT).xml


@pytest.mark.parametrize(
    ("authorized_on", "last_day"),
    [
        (date(2026, 8, 31), date(2027, 2, 28)),
        (date(2027, 8, 31), date(2028, 2, 29)),
        (date(2026, 4, 15), date(2026, 10, 15)),
        (date(2026, 12, 31), date(2027, 6, 30)),
    ],
)
def test_a_caf_signs_until_the_last_second_of_its_last_day(authorized_on, last_day, signer):
    parsed = caf.parse_caf(authority.make_caf(authorized_on=authorized_on))
    dte = make_dte(issue_date=authorized_on)
    last_second = datetime.combine(last_day, time(23, 59, 59))
    assert issue.issue(dte, parsed, signer, last_second).xml
    with pytest.raises(ConfigurationError) as caught:
        issue.issue(dte, parsed, signer, last_second + timedelta(seconds=1))
    assert caught.value.code == "caf_expired"


def test_types_that_do_not_expire_sign_years_later(signer):
    parsed = caf.parse_caf(authority.make_caf(52, authorized_on=date(2020, 1, 1)))
    assert issue.issue(make_dte(52), parsed, signer, SIGNED_AT).xml


def test_a_caf_from_tomorrow_is_refused(signer):
    parsed = caf.parse_caf(authority.make_caf(authorized_on=ISSUE_DATE + timedelta(days=1)))
    with pytest.raises(ConfigurationError) as caught:
        issue.issue(make_dte(), parsed, signer, SIGNED_AT)
    assert caught.value.code == "caf_from_future"


def test_a_document_may_not_be_older_than_its_caf(signer):
    """The SII rejects it (HED-3-305), whenever it was signed."""
    parsed = caf.parse_caf(authority.make_caf(authorized_on=ISSUE_DATE))
    assert issue.issue(make_dte(), parsed, signer, SIGNED_AT).xml
    with pytest.raises(ConfigurationError) as caught:
        issue.issue(make_dte(issue_date=ISSUE_DATE - timedelta(days=1)), parsed, signer, SIGNED_AT)
    assert caught.value.code == "caf_later_than_document"


LONGEST = {
    "Encabezado/IdDoc/MntPagos/GlosaPagos": 40,
    "Encabezado/IdDoc/NumCtaPago": 20,
    "Encabezado/IdDoc/BcoPago": 40,
    "Encabezado/IdDoc/TermPagoCdg": 4,
    "Encabezado/IdDoc/TermPagoGlosa": 100,
    "Encabezado/Emisor/RznSoc": 100,
    "Encabezado/Emisor/GiroEmis": 80,
    "Encabezado/Emisor/Telefono": 20,
    "Encabezado/Emisor/Sucursal": 20,
    "Encabezado/Emisor/DirOrigen": 60,
    "Encabezado/Emisor/CmnaOrigen": 20,
    "Encabezado/Emisor/CiudadOrigen": 20,
    "Encabezado/Emisor/CdgVendedor": 60,
    "Encabezado/Emisor/IdAdicEmisor": 20,
    "Encabezado/Receptor/CdgIntRecep": 20,
    "Encabezado/Receptor/RznSocRecep": 100,
    "Encabezado/Receptor/Extranjero/NumId": 20,
    "Encabezado/Receptor/Extranjero/Nacionalidad": 3,
    "Encabezado/Receptor/GiroRecep": 40,
    "Encabezado/Receptor/Contacto": 80,
    "Encabezado/Receptor/DirRecep": 70,
    "Encabezado/Receptor/CmnaRecep": 20,
    "Encabezado/Receptor/CiudadRecep": 20,
    "Encabezado/Receptor/DirPostal": 70,
    "Encabezado/Receptor/CmnaPostal": 20,
    "Encabezado/Receptor/CiudadPostal": 20,
    "Encabezado/Transporte/Patente": 8,
    "Encabezado/Transporte/PatenteCarro": 8,
    "Encabezado/Transporte/Chofer/NombreChofer": 30,
    "Encabezado/Transporte/DirDest": 70,
    "Encabezado/Transporte/CmnaDest": 20,
    "Encabezado/Transporte/CiudadDest": 20,
    "Detalle/CdgItem/TpoCodigo": 10,
    "Detalle/CdgItem/VlrCodigo": 35,
    "Detalle/NmbItem": 80,
    "Detalle/DscItem": 1000,
    "Detalle/UnmdRef": 4,
    "Detalle/UnmdItem": 4,
    "DscRcgGlobal/GlosaDR": 45,
    "Referencia/TpoDocRef": 3,
    "Referencia/FolioRef": 18,
    "Referencia/RazonRef": 90,
    "TED/DD/RSR": 40,
    "TED/DD/IT1": 40,
}


def filled(owner, text, **kept):
    """The same dataclass with every text long; what is not free text is kept."""
    fixed = {
        "rut",
        "branch_code",
        "export_authorization",
        "email",
        "method",
        "account_type",
        "carrier_rut",
        "driver_rut",
    }
    names = [item.name for item in fields(owner) if item.type == "str" and item.name not in fixed]
    return replace(owner, **dict.fromkeys(names, text) | kept)


@pytest.mark.parametrize("text", ["x" * 1200, "ñ" * 1200, "&" * 700])
def test_every_text_is_cut_at_the_length_of_the_format(text, cafs, signer, schemas):
    dte = make_dte(
        lines=[
            make_line(
                text,
                description=text,
                unit=text,
                codes=(("K" * 12, "V" * 35),),
                reference=ReferenceUnit(Decimal(1), text, Decimal(1)),
            )
        ],
        issuer=filled(make_issuer(), text, phones=(text,)),
        receiver=filled(make_receiver(), text),
        payment=filled(Payment(), text, installments=(Installment(ISSUE_DATE, 1, text),)),
        transport=filled(Transport(driver_rut="11111111-1"), text),
        references=(Reference("ABC", "1" * 18, ISSUE_DATE, reason=text),),
        global_discounts=(GlobalDiscount("D", Decimal(1), True, text),),
    )
    signed = issue.issue(dte, cafs[33], signer, SIGNED_AT)
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []
    root = parse(signed)
    longest = LONGEST | ({"Detalle/DscItem": len(value(root, "Detalle/DscItem"))} if text[0] == "&" else {})
    assert {path: len(value(root, path)) for path in LONGEST} == longest
    check_bytes(signed.xml)


@pytest.mark.parametrize("dte_type", [33, 34, 52, 56, 61])
def test_the_fullest_document_of_each_type(dte_type, cafs, signer, schemas):
    lines = [make_line(f"Ítem {number}", "1", "1000") for number in range(60)]
    count = 39 if dte_type in (56, 61) else 40
    references = tuple(make_reference("801", str(number)) for number in range(count))
    if dte_type in (56, 61):
        references += (make_reference(code=3),)
    payment = Payment(installments=tuple(Installment(ISSUE_DATE, 1, "&" * 40) for _ in range(30)))
    signed = issue.issue(
        make_dte(dte_type, lines, references=references, payment=payment), cafs[dte_type], signer, SIGNED_AT
    )
    assert schemas.validate(signed.xml, DTE_SCHEMA) == []
    check_bytes(signed.xml)
    root = parse(signed)
    assert [line.findtext("s:NroLinDet", namespaces=NS) for line in root.iterfind(".//s:Detalle", NS)] == [
        str(number) for number in range(1, 61)
    ]


@given(data=st.data())
@settings(max_examples=30)
def test_totals_in_the_document_are_the_computed_ones(data, cafs, signer):
    amount = data.draw(st.integers(0, 10**9))
    dte = make_dte(lines=[make_lump(amount=amount), make_lump(amount=5, indicator=1)])
    root = parse(issue.issue(dte, cafs[33], signer, SIGNED_AT))
    totals = compute_totals(dte)
    written = [value(root, f"Encabezado/Totales/{tag}") for tag in ("MntNeto", "MntExe", "IVA", "MntTotal")]
    assert written == [str(amount) for amount in (totals.net, totals.exempt, totals.vat, totals.total)]
    assert value(root, "TED/DD/MNT") == str(totals.total)
