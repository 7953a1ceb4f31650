# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The customer's envelope stands alone, and what a customer answers is read only when it is whole and signed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, datetime

import pytest
from libs import credentials, envio, exchange, issue, xml_verifier
from libs.exceptions import DocumentError, XmlError
from libs.xsd_validator import ANSWER_SCHEMA, ENVIO_SCHEMA, RECEIPTS_SCHEMA

from tests import authority
from tests.libs import verifier
from tests.libs.customer import answers as customer
from tests.libs.documents import CUSTOMER, SIGNED_AT, make_dte, make_line

COVER = envio.Caratula(authority.ISSUER, authority.HOLDER, date(2014, 8, 22), 80, SIGNED_AT, receiver_rut=CUSTOMER)
NOW = datetime.fromisoformat("2026-10-07T09:00:00")
DOCUMENT = (33, 7, "2026-10-05", authority.ISSUER, CUSTOMER, 3570)
KEY = {
    "dte_type": 33, "folio": 7, "issue_date": date(2026, 10, 5), "issuer_rut": authority.ISSUER,
    "receiver_rut": CUSTOMER, "total": 3570,
}  # fmt: skip


@pytest.fixture(scope="module")
def dte(cafs, signer):
    return issue.issue(make_dte(lines=[make_line("Cañería 1/2'")]), cafs[33], signer, SIGNED_AT).xml


@pytest.fixture(scope="module")
def buyer():
    return credentials.load_pem(*authority.make_pem("12345678-5"))


@pytest.fixture(scope="module")
def result(buyer):
    return customer.answer(
        CUSTOMER, authority.ISSUER, [customer.result(*DOCUMENT, code=2, text="No corresponde el año")], buyer
    )


@pytest.fixture(scope="module")
def receipts(buyer):
    return customer.receipts(CUSTOMER, authority.ISSUER, [customer.receipt(*DOCUMENT, credentials=buyer)], buyer)


def read(xml, now=NOW):
    return exchange.read_answer(xml, now)


def refusal(xml):
    with pytest.raises(XmlError) as caught:
        read(xml)
    return caught.value.code


def test_the_envelope_for_the_customer_stands_alone(dte, signer, schemas):
    xml = exchange.build_for_customer(COVER, dte, signer, 12)
    assert f"<RutReceptor>{CUSTOMER}</RutReceptor>".encode() in xml
    assert b'<SetDTE ID="SetDoc12">' in xml
    assert exchange.set_id(12) == "SetDoc12"
    assert schemas.validate(xml, ENVIO_SCHEMA) == []
    assert verifier.check_envio(xml) == [dte]
    assert [report.valid for report in xml_verifier.verify_envio(xml)] == [True, True]
    assert exchange.digest_of_set(xml) == verifier.text_of(xml[xml.rfind(b"<Signature ") :], "DigestValue").decode()


@pytest.mark.parametrize(
    ("receiver", "code"), [("60803000-K", "exchange_to_sii"), ("76111111-6", "exchange_other_receiver")]
)
def test_a_document_goes_to_its_receiver_only(dte, signer, receiver, code):
    with pytest.raises(DocumentError) as caught:
        exchange.build_for_customer(replace(COVER, receiver_rut=receiver), dte, signer, 12)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_commercial_result_is_read(result, schemas):
    assert schemas.validate(result, ANSWER_SCHEMA) == []
    answer = read(result)
    assert (answer.root, answer.responder_rut, answer.recipient_rut) == ("RespuestaDTE", CUSTOMER, authority.ISSUER)
    assert answer.contact == ("Señora Muñoz", "dte@cliente.example")
    assert answer.signed_at == datetime.fromisoformat("2026-10-06T09:00:00")
    assert (answer.signature.valid, answer.signature.signer_rut) == (True, "12345678-5")
    assert answer.signature.issuer == "CN=Autoridad de Prueba"
    assert answer.documents == (
        exchange.DocumentAnswer(exchange.RESULT, **KEY, code="2", text="No corresponde el año"),
    )
    assert answer.envelopes == ()


def test_a_reception_is_read(buyer, schemas):
    rows = [customer.reception("SetDoc12", documents=[(*DOCUMENT, 0, "Recibido")], digest="YWJj")]
    xml = customer.answer(CUSTOMER, authority.ISSUER, rows, buyer)
    assert schemas.validate(xml, ANSWER_SCHEMA) == []
    (envelope,) = read(xml).envelopes
    assert (envelope.set_id, envelope.digest, envelope.code) == ("SetDoc12", "YWJj", "0")
    assert envelope.text == "Envío recibido conforme"
    assert envelope.documents == (exchange.DocumentAnswer(exchange.RECEPTION, **KEY, code="0", text="Recibido"),)


def test_receipts_are_read(receipts, schemas):
    assert schemas.validate(receipts, RECEIPTS_SCHEMA) == []
    answer = read(receipts)
    assert answer.signature.valid
    assert answer.documents == (
        exchange.DocumentAnswer(exchange.RECEIPT, **KEY, text="Bodega Ñuñoa", signer_rut="12345678-5"),
    )


def test_what_was_touched_is_not_valid(result, receipts):
    touched = result.replace(b"<EstadoDTE>2<", b"<EstadoDTE>0<")
    assert read(touched).signature.problem == "signature_invalid"
    touched = receipts.replace(b"Bodega", b"Galpon")
    answer = read(touched)
    assert (answer.signature.problem, answer.documents) == ("signature_invalid", ())


def test_a_receipt_signed_by_nobody_in_a_good_set_is_told(buyer):
    row = customer.receipt(*DOCUMENT, credentials=buyer)
    forged = row.replace("Bodega", "Galpon")
    answer = read(customer.receipts(CUSTOMER, authority.ISSUER, [row, forged], buyer))
    # Two elements with one ID: neither can be told from the other.
    assert [document.problem for document in answer.documents] == ["", "signature_invalid"]


def test_what_stands_outside_of_the_signed_part_is_not_read(result):
    inside = result[result.index(b"<Resultado ") : result.index(b"</Resultado>") + len(b"</Resultado>")]
    other = inside.replace(b"<EstadoDTE>2<", b"<EstadoDTE>0<").replace(b'ID="R1"', b'ID="R2"')
    before = result.replace(b"<Resultado ", other + b"<Resultado ", 1)
    assert not read(before).signature.valid
    after = result.replace(b"</Resultado><Signature", b"</Resultado>" + other + b"<Signature")
    answer = read(after)
    assert (answer.signature.valid, answer.documents[0].code) == (False, "2")


def test_a_signature_is_needed(result):
    start = result.index(b"<Signature ")
    xml = result[:start] + result[result.index(b"</Signature>") + len(b"</Signature>") :]
    assert read(xml).signature.problem == "signature_missing"


def signature_problems(buyer, at="2026-10-06T09:00:00", now=NOW):
    """Return the problem of an answer signed at a moment, and of a receipt that says so in a good set."""
    answer = customer.answer(CUSTOMER, authority.ISSUER, [customer.result(*DOCUMENT)], buyer, at=at)
    good = credentials.load_pem(*authority.make_pem("12345678-5"))
    row = customer.receipt(*DOCUMENT, credentials=buyer, at=at)
    receipts = read(customer.receipts(CUSTOMER, authority.ISSUER, [row], good))
    return read(answer, now).signature.problem, receipts.documents[0].problem


def test_a_certificate_in_the_name_of_its_holder_is_worth_nothing(buyer):
    assert signature_problems(buyer) == ("", "")
    own = credentials.load_pem(*authority.make_pem("12345678-5", self_signed=True))
    assert signature_problems(own) == ("signature_self_signed",) * 2


@pytest.mark.parametrize(
    ("at", "problem"),
    [
        ("2026-10-08T08:59:59", ""),
        ("2026-10-08T09:00:01", "signature_in_future"),
        ("2099-01-01T00:00:00", "signature_in_future"),
        ("9999-12-31T23:59:59", "signature_in_future"),
        ("2025-12-31T20:59:59", "signature_outside_validity"),
        ("2025-12-31T21:00:00", ""),
        ("0001-01-01T00:00:00", "signature_outside_validity"),
    ],
)
def test_moments_that_cannot_be(at, problem, buyer):
    assert signature_problems(buyer, at) == (problem, problem)


def test_an_expired_certificate_signs_nothing(buyer):
    late = datetime.fromisoformat("2028-01-01T00:00:00")
    assert signature_problems(buyer, "2027-12-31T20:00:00", late)[0] == ""
    assert signature_problems(buyer, "2027-12-31T22:00:00", late)[0] == "signature_outside_validity"


@pytest.mark.parametrize(("told", "problem"), [("012345678-5", ""), ("11111111-1", "receipt_other_signer")])
def test_a_receipt_is_signed_by_whom_it_names(told, problem, buyer):
    row = customer.receipt(*DOCUMENT, credentials=buyer, signer=told)
    (document,) = read(customer.receipts(CUSTOMER, authority.ISSUER, [row], buyer)).documents
    assert (document.problem, document.signer_rut) == (problem, told)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda xml: b"", "xml_empty"),
        (lambda xml: b"Estimados: adjunto respuesta", "xml_malformed"),
        (lambda xml: b"<?xml version='1.0'?><hola/>", "answer_other_file"),
        (lambda xml: xml.replace(b"http://www.sii.cl/SiiDte", b"http://otro.example"), "answer_other_file"),
        (lambda xml: xml.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "b">]>', 1), "xml_doctype"),
        (lambda xml: xml.replace(b"Resultado ID", b"Otro ID").replace(b"</Resultado>", b"</Otro>"), "answer_malformed"),
        (lambda xml: xml.replace(b"Caratula", b"Tapa"), "answer_malformed"),
        (lambda xml: xml.replace(b"<Folio>7<", b"<Folio>siete<"), "answer_malformed"),
        (lambda xml: xml.replace(b"<Folio>7<", b"<Folio>" + b"9" * 5000 + b"<"), "answer_malformed"),
        (lambda xml: xml.replace(b"2026-10-05", b"5 de octubre"), "answer_malformed"),
        (lambda xml: xml.replace(b"2026-10-06T09:00:00", b"ayer"), "answer_malformed"),
        (lambda xml: xml.replace(b"</Resultado>", b"<x>" * 100 + b"</x>" * 100 + b"</Resultado>"), "xml_too_deep"),
        (lambda xml: xml.replace(b"</Resultado>", b"<Recibo/>" * 2001 + b"</Resultado>"), "answer_too_long"),
        (lambda xml: xml + b" " * exchange.MAX_BYTES, "xml_too_big"),
    ],
)
def test_files_of_others_are_refused_by_name(result, change, code):
    assert refusal(change(result)) == code


def in_time(action, seconds=2.0):
    """Run what took minutes on a file that was made for it."""
    began = time.perf_counter()
    result = action()
    assert time.perf_counter() - began < seconds
    return result


@pytest.mark.parametrize("filler", [b"<![CDATA[%s]]>", b"<!--%s-->"], ids=["cdata", "comment"])
def test_a_file_of_openings_takes_no_time(receipts, filler):
    """A lazy expression for `<Recibo ...</Recibo>` takes a minute for half a megabyte, and an hour for four."""
    hidden = filler % (b"<Recibo>" * 60_000)
    xml = receipts.replace(b"</EnvioRecibos>", hidden + b"</EnvioRecibos>")
    assert len(in_time(lambda: read(xml)).documents) == 1


def test_receipts_of_any_namespace_are_counted(receipts):
    many = b'<x xmlns="http://otro.example">' + b"<Recibo></Recibo>" * 2001 + b"</x>"
    assert refusal(receipts.replace(b"</SetRecibos>", many + b"</SetRecibos>")) == "answer_too_long"


def test_receipts_of_a_file_that_nobody_signed_are_not_verified(receipts, monkeypatch):
    monkeypatch.setattr(xml_verifier, "verify_dte", lambda _xml: pytest.fail("verified"))
    assert not read(receipts.replace(b"Bodega", b"Galpon")).signature.valid


def test_the_root_tells_what_a_file_is(result, receipts):
    assert [exchange.root_of(xml) for xml in (result, receipts, b"<RESULTADO_ENVIO/>")] == [
        "RespuestaDTE",
        "EnvioRecibos",
        "RESULTADO_ENVIO",
    ]


def test_moments_with_a_zone_become_those_of_santiago(buyer):
    xml = customer.answer(
        CUSTOMER, authority.ISSUER, [customer.result(*DOCUMENT)], buyer, at="2026-10-06T12:00:00.250Z"
    )
    assert read(xml).signed_at == datetime.fromisoformat("2026-10-06T09:00:00")
