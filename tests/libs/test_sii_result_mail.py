# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The file in the SII's result mail, and files that only look like it."""

from __future__ import annotations

import pytest
from libs import sii_result_mail
from libs.exceptions import XmlError
from libs.sii_answers import TypeCount
from libs.sii_result_mail import ReviewedDocument, read_result

from tests.libs.test_xml_parser import LAUGHS

HEAD = (
    "<IDENTIFICACION><RUTEMISOR>76543210-3</RUTEMISOR><RUTENVIA>11111111-k</RUTENVIA><TRACKID>{track}</TRACKID>"
    "<TMSTRECEPCION>01/06/2026 10:00:00</TMSTRECEPCION><ESTADO>EPR - Envio Procesado</ESTADO></IDENTIFICACION>"
)
SUBTOTAL = (
    "<SUBTOTAL><TIPODOC>33</TIPODOC><INFORMADO>3</INFORMADO><RECHAZO>1</RECHAZO><REPARO>1</REPARO>"
    "<ACEPTA>1</ACEPTA></SUBTOTAL><SUBTOTAL><TIPODOC>61</TIPODOC><INFORMADO>2</INFORMADO><ACEPTA>2</ACEPTA></SUBTOTAL>"
)
REVISION = (
    "<REVISIONDTE><FOLIO>7</FOLIO><TIPODTE>33</TIPODTE><ESTADO>RCH - DTE Rechazado</ESTADO>"
    "<DETALLE>(HED-3-305) Fecha\n   de emisión</DETALLE><DETALLE> </DETALLE><DETALLE>Otra &lt;cosa&gt;</DETALLE>"
    "</REVISIONDTE>"
)


def result_file(*, track="250000001", inside="", encoding="iso-8859-1", head=HEAD):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<RESULTADO_ENVIO>{head.format(track=track)}{inside}'
    return f"{text}</RESULTADO_ENVIO>\n"


FULL = result_file(inside=f"<ESTADISTICA>{SUBTOTAL}</ESTADISTICA><REVISIONENVIO>{REVISION}</REVISIONENVIO>")


def code_of(data):
    with pytest.raises(XmlError) as caught:
        read_result(data)
    return caught.value.code


@pytest.mark.parametrize("data", [FULL, FULL.encode("iso-8859-1"), b"\r\n" + FULL.encode("iso-8859-1"), "\n" + FULL])
def test_everything_is_read(data):
    result = read_result(data)
    assert (result.issuer_rut, result.sender_rut, result.track_id) == ("76543210-3", "11111111-K", "0250000001")
    assert result.state == "EPR"
    assert result.counts == (TypeCount(33, 3, 1, 1, 1), TypeCount(61, 2, 2, 0, 0))
    assert result.errors == ()
    details = ("(HED-3-305) Fecha de emisión", "Otra <cosa>")
    assert result.documents == (ReviewedDocument(33, 7, "RCH", details),)


def test_bytes_in_another_encoding_than_declared():
    text = FULL.replace("iso-8859-1", "utf-8")
    assert read_result(text.encode("iso-8859-1")).documents[0].details[0].endswith("emisión")


def test_errors_of_the_whole_envelope():
    inside = "<ERRORENVIO><DETERRENVIO>(CRT-3-19) Fecha/Numero</DETERRENVIO><DETERRENVIO>x</DETERRENVIO></ERRORENVIO>"
    assert read_result(result_file(inside=inside)).errors == ("(CRT-3-19) Fecha/Numero", "x")


@pytest.mark.parametrize("track", ["0250000001", "000250000001", " 250000001 "])
def test_zeros_of_the_track_id(track):
    assert read_result(result_file(track=track)).track_id == "0250000001"


@pytest.mark.parametrize("track", ["", "x", "-1", "1" * 16, "٣"])
def test_no_track_id(track):
    assert code_of(result_file(track=track)) == "result_incomplete"


def test_no_issuer():
    assert code_of(result_file(head="<IDENTIFICACION><TRACKID>{track}</TRACKID></IDENTIFICACION>")) == (
        "result_incomplete"
    )
    assert code_of("<RESULTADO_ENVIO/>") == "result_incomplete"


@pytest.mark.parametrize("data", ["<html><body>Resultado</body></html>", b"<EnvioDTE/>"])
def test_another_file(data):
    assert code_of(data) == "result_other_file"


@pytest.mark.parametrize("data", ["", b"", "Envio procesado", FULL[:-9], b"\x00\xff", "<RESULTADO_ENVIO>"])
def test_no_xml(data):
    assert code_of(data) in ("xml_malformed", "xml_empty")


def test_entities_are_refused():
    assert code_of(LAUGHS) == "xml_doctype"
    assert code_of(LAUGHS.encode()) == "xml_doctype"
    outside = '<!DOCTYPE R [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + FULL.partition("\n")[2]
    assert code_of(outside.replace("Otra", "&x;")) == "xml_doctype"


def test_a_huge_file_is_refused_before_it_is_parsed():
    data = result_file(inside="<REVISIONENVIO>" + REVISION * 30_000 + "</REVISIONENVIO>")
    assert len(data) > sii_result_mail.MAX_BYTES
    assert code_of(data) == code_of(data.encode("iso-8859-1")) == "xml_too_big"


def test_no_more_is_read_than_an_envelope_can_hold():
    documents = read_result(result_file(inside=f"<REVISIONENVIO>{REVISION * 2500}</REVISIONENVIO>")).documents
    assert len(documents) == sii_result_mail.MAX_DOCUMENTS
    many = REVISION.replace("<DETALLE> </DETALLE>", f"<DETALLE>{'x' * 900}</DETALLE>" * 900)
    [document] = read_result(result_file(inside=f"<REVISIONENVIO>{many}</REVISIONENVIO>")).documents
    assert len(document.details) == sii_result_mail.MAX_DETAILS
    assert max(map(len, document.details)) == sii_result_mail.MAX_TEXT


def test_rows_that_name_no_document_are_left_out():
    strange = REVISION.replace("<FOLIO>7", "<FOLIO>siete") + REVISION.replace("<TIPODTE>33", "<TIPODTE>")
    result = read_result(result_file(inside=f"<REVISIONENVIO>{strange}{REVISION}</REVISIONENVIO>"))
    assert [document.folio for document in result.documents] == [7]
