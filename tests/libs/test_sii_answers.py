# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SII's answers in every live shape: both SOAP forms, either order, wrong charsets, pages, texts."""

from __future__ import annotations

import pytest
from libs import sii_answers
from libs.exceptions import XmlError
from libs.sii_answers import TypeCount, UploadAnswer
from libs.sii_status import Outcome

from tests.libs.answers import FAULT, HTML_501, HTML_UPLOAD, inner, soap

PROCESSED = (
    "<TIPO_DOCTO>33</TIPO_DOCTO><INFORMADOS>22</INFORMADOS><ACEPTADOS>22</ACEPTADOS>"
    "<RECHAZADOS>0</RECHAZADOS><REPAROS>0</REPAROS>"
    "<TIPO_DOCTO>61</TIPO_DOCTO><INFORMADOS>6</INFORMADOS><ACEPTADOS>2</ACEPTADOS>"
    "<RECHAZADOS>1</RECHAZADOS><REPAROS>3</REPAROS>"
)
HEADER = (
    "<TRACKID>0260003916</TRACKID><ESTADO>EPR</ESTADO><GLOSA>Envio Procesado</GLOSA>"
    "<NUM_ATENCION>34909   ( 2026/09/23 16:29:53)</NUM_ATENCION>"
)
COUNTS = (TypeCount(33, 22, 22, 0, 0), TypeCount(61, 6, 2, 1, 3))


@pytest.mark.parametrize("form", ["A", "B", "cdata"])
@pytest.mark.parametrize("body_first", [True, False])
@pytest.mark.parametrize("line_end", ["", "\n", "\r\n    "])
def test_an_envelope_status_in_every_shape(form, body_first, line_end):
    document = inner(HEADER, PROCESSED, body_first=body_first, line_end=line_end)
    root = sii_answers.unwrap(soap("getEstUp", document, form), "getEstUp")
    status = sii_answers.read_envelope_status(root)
    assert (status.state, status.text, status.err_code) == ("EPR", "Envio Procesado", "")
    assert status.counts == COUNTS
    assert status.meaning.outcome is Outcome.PROCESSED


def test_counters_in_the_wrapper_of_the_manual():
    rows = PROCESSED.replace("<TIPO_DOCTO>", "</ESTADISTICA><ESTADISTICA><TIPO_DOCTO>").removeprefix("</ESTADISTICA>")
    root = sii_answers.unwrap(soap("getEstUp", inner(HEADER, rows + "</ESTADISTICA>")), "getEstUp")
    assert sii_answers.read_envelope_status(root).counts == COUNTS


def test_a_type_missing_from_the_counters_is_no_error():
    root = sii_answers.unwrap(
        soap("getEstUp", inner(HEADER, PROCESSED[: PROCESSED.rindex("<TIPO_DOCTO>")])), "getEstUp"
    )
    assert sii_answers.read_envelope_status(root).counts == COUNTS[:1]


def test_counters_with_holes_and_blanks():
    rows = "<TIPO_DOCTO> 33 </TIPO_DOCTO><INFORMADOS> 2</INFORMADOS><ACEPTADOS></ACEPTADOS><RECHAZADOS>x</RECHAZADOS>"
    root = sii_answers.unwrap(soap("getEstUp", inner(HEADER, rows)), "getEstUp")
    assert sii_answers.read_envelope_status(root).counts == (TypeCount(33, 2, 0, 0, 0),)


def test_a_state_without_body():
    document = inner("<ESTADO>REC</ESTADO><GLOSA>Envio Recibido</GLOSA>")
    status = sii_answers.read_envelope_status(sii_answers.unwrap(soap("getEstUp", document), "getEstUp"))
    assert (status.state, status.counts, status.meaning.outcome) == ("REC", (), Outcome.TRANSIENT)


@pytest.mark.parametrize(
    ("err_code", "outcome"), [("2", Outcome.RETRY), ("1", Outcome.CONFIGURATION), ("0", Outcome.RETRY)]
)
def test_the_composite_code_of_minus_eleven(err_code, outcome):
    header = (
        f"<ESTADO>-11</ESTADO><ERR_CODE>{err_code}</ERR_CODE><SQL_CODE>0</SQL_CODE><SRV_CODE>0</SRV_CODE>"
        "<NUM_ATENCION>34909</NUM_ATENCION>"
    )
    status = sii_answers.read_envelope_status(sii_answers.unwrap(soap("getEstUp", inner(header)), "getEstUp"))
    assert (status.state, status.err_code, status.meaning.outcome) == ("-11", err_code, outcome)


def test_an_expired_token():
    header = "<ESTADO>001</ESTADO><GLOSA>TOKEN NO EXISTE</GLOSA>"
    document = inner(header, line_end="\r\n        ")
    status = sii_answers.read_envelope_status(sii_answers.unwrap(soap("getEstUp", document), "getEstUp"))
    assert status.meaning.outcome is Outcome.REAUTHENTICATE


def test_a_document_status():
    header = (
        "<ESTADO>DNK</ESTADO><GLOSA_ESTADO>DTE Recibido, datos no coinciden</GLOSA_ESTADO><ERR_CODE>1</ERR_CODE>"
        "<GLOSA_ERR>Documento no coincide</GLOSA_ERR><NUM_ATENCION>1</NUM_ATENCION>"
    )
    status = sii_answers.read_document_status(sii_answers.unwrap(soap("getEstDte", inner(header)), "getEstDte"))
    assert (status.state, status.text, status.err_code, status.err_text) == (
        "DNK",
        "DTE Recibido, datos no coinciden",
        "1",
        "Documento no coincide",
    )
    assert status.received is None
    assert status.meaning.outcome is Outcome.TRANSIENT


@pytest.mark.parametrize(("written", "received"), [("SI", True), ("NO", False), ("si", True), ("", None), ("?", None)])
def test_the_signed_question_says_whether_it_was_received(written, received):
    header = "<SII:ESTADO>DOK</SII:ESTADO><SII:GLOSA>Documento Recibido</SII:GLOSA>"
    document = inner(header, f"<RECIBIDO>{written}</RECIBIDO>")
    status = sii_answers.read_document_status(sii_answers.unwrap(soap("getEstDteAv", document), "getEstDteAv"))
    assert (status.state, status.text, status.received) == ("DOK", "Documento Recibido", received)


@pytest.mark.parametrize("actual", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("declared", ["utf-8", "iso-8859-1"])
def test_the_charset_declared_and_the_real_one_may_differ(declared, actual):
    document = inner("<ESTADO>RCT</ESTADO><GLOSA>Rechazado por Error en Carátula</GLOSA>")
    data = soap("getEstUp", document, declared=declared).decode("utf-8").encode(actual)
    status = sii_answers.read_envelope_status(sii_answers.unwrap(data, "getEstUp"))
    assert status.state == "RCT"
    if (declared, actual) != ("iso-8859-1", "utf-8"):
        assert status.text == "Rechazado por Error en Carátula"


@pytest.mark.parametrize("before", [b"\n\n", b"\r\n \r\n", b"\xef\xbb\xbf", b"\n\xef\xbb\xbf"])
def test_blank_lines_before_the_declaration(before):
    data = before + soap("getSeed", "\n\n" + inner("<ESTADO>00</ESTADO>", "<SEMILLA>043871953686</SEMILLA>"))
    assert sii_answers.xml_parser.first_text(sii_answers.unwrap(data, "getSeed"), "SEMILLA") == "043871953686"


def test_a_declared_charset_that_cannot_hold_the_text():
    data = soap("getEstUp", inner("<ESTADO>REC</ESTADO><GLOSA>Envío</GLOSA>"), declared="us-ascii")
    status = sii_answers.unwrap(data.decode().encode("iso-8859-1"), "getEstUp")
    assert sii_answers.read_envelope_status(status).text == "Envío"


def test_blank_lines_with_a_wrong_charset():
    document = inner("<ESTADO>REC</ESTADO><GLOSA>Envío Recibido</GLOSA>")
    data = b"\n\n" + soap("getEstUp", document, declared="utf-8").decode().encode("iso-8859-1")
    assert sii_answers.read_envelope_status(sii_answers.unwrap(data, "getEstUp")).text == "Envío Recibido"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "xml_empty"),
        (b"  \r\n", "xml_empty"),
        (b"Error 500", "xml_malformed"),
        (HTML_501, "xml_malformed"),
        (HTML_UPLOAD, "xml_malformed"),
        (b"<!DOCTYPE html><html></html>", "xml_doctype"),
        (soap("getSeed", inner("<ESTADO>00</ESTADO>"))[:-30], "xml_malformed"),
        (soap("getSeed", inner("<ESTADO>00</ESTADO>")[:-30]), "xml_malformed"),
        (soap("getSeed", ""), "answer_without_return"),
        (soap("getToken", inner("<ESTADO>00</ESTADO>")), "answer_without_return"),
        (FAULT, "answer_without_return"),
    ],
)
def test_what_is_no_answer(data, code):
    with pytest.raises(XmlError) as caught:
        sii_answers.unwrap(data, "getSeed")
    assert caught.value.code == code


def test_the_text_of_a_fault_is_kept():
    with pytest.raises(XmlError) as caught:
        sii_answers.unwrap(FAULT, "getSeed")
    assert caught.value.params["detail"] == "No such operation 'getEstUp'"


@pytest.mark.parametrize("data", [HTML_501, HTML_UPLOAD, b"<!doctype html>", b"< HTML >", b"\n\n<html lang='es'>"])
def test_pages_for_people(data):
    assert sii_answers.is_web_page(data)


@pytest.mark.parametrize("data", [b"", b"Error 500", soap("getSeed", inner("<ESTADO>00</ESTADO>"))])
def test_what_is_no_page(data):
    assert not sii_answers.is_web_page(data)


def test_the_page_that_means_not_authenticated():
    assert sii_answers.is_no_session_page(HTML_501)
    assert sii_answers.is_no_session_page(b"<html><title> error  501 </title>")
    assert not sii_answers.is_no_session_page(HTML_UPLOAD)
    assert not sii_answers.is_no_session_page(b"<TITLE>Error 503</TITLE>")


def upload(status, rest=""):
    return (
        '<?xml version="1.0"?>\n<RECEPCIONDTE>\n <RUTSENDER>22222222-2</RUTSENDER>\n'
        " <RUTCOMPANY>76543210-3</RUTCOMPANY>\n"
        f" <FILE>envio.xml</FILE>\n <TIMESTAMP>2026-06-12 14:56:57</TIMESTAMP>\n <STATUS>{status}</STATUS>\n{rest}\n"
        "</RECEPCIONDTE>\n"
    ).encode("iso-8859-1")


def test_an_upload_that_was_received():
    answer = sii_answers.read_upload_answer(upload("0", "\n\n <TRACKID>0251552460</TRACKID>\n"))
    assert answer == UploadAnswer("0", "0251552460", "")
    assert answer.meaning.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("written", "track_id"),
    [
        ("251552460", "0251552460"),
        ("0251552460", "0251552460"),
        ("251552460123456", "251552460123456"),
        ("7", "0000000007"),
    ],
)
def test_track_ids_have_at_least_ten_digits(written, track_id):
    answer = sii_answers.read_upload_answer(upload("0", f"<TRACKID>{written}</TRACKID>"))
    assert answer.track_id == track_id


@pytest.mark.parametrize(
    "text",
    [
        "<DETAIL><ERROR>LSX-00204: extra data</ERROR><ERROR>linea 5</ERROR></DETAIL>",
        "<GLOSA>LSX-00204: extra data</GLOSA><GLOSA>linea 5</GLOSA>",
        "LSX-00204: extra data\r\nlinea 5",
    ],
)
def test_what_the_sii_says_beside_the_status(text):
    answer = sii_answers.read_upload_answer(upload("7", text))
    assert (answer.status, answer.track_id) == ("7", "")
    assert answer.text.split() == ["LSX-00204:", "extra", "data", "linea", "5"]


@pytest.mark.parametrize("place", ["<GLOSA>{}</GLOSA>", "<DETAIL><ERROR>{}</ERROR></DETAIL>", "{}"])
def test_a_repeated_upload_quotes_the_first_track_id(place):
    text = "Archivo ya fue enviado 2 veces con Trackid 251550580. Debe esperar 900 segundos antes de reintentar"
    answer = sii_answers.read_upload_answer(upload("99", place.format(text)))
    assert (answer.status, answer.track_id, answer.text) == ("99", "0251550580", text)
    assert answer.meaning.outcome is Outcome.REPEATED


@pytest.mark.parametrize("text", ["TRACKID: 0251550580", "track id 251550580", "TrackId=251550580"])
def test_other_spellings_of_the_quote(text):
    assert sii_answers.read_upload_answer(upload("99", text)).track_id == "0251550580"


@pytest.mark.parametrize(("written", "status"), [("00", "0"), (" 5 ", "5"), ("099", "99"), ("-1", "-1"), ("X", "X")])
def test_the_status_as_a_number(written, status):
    assert sii_answers.read_upload_answer(upload(written)).status == status


@pytest.mark.parametrize("status", ["106", "4", "-1", "X"])
def test_a_status_that_no_manual_lists(status):
    assert sii_answers.read_upload_answer(upload(status)).meaning is None


@pytest.mark.parametrize(
    "data", [b"", b"ok", HTML_501, upload("0")[:-20], upload(""), b"<RECEPCIONDTE></RECEPCIONDTE>", b"<a/>"]
)
def test_an_upload_answer_that_says_nothing(data):
    with pytest.raises(XmlError):
        sii_answers.read_upload_answer(data)


def test_an_upload_answer_in_the_wrong_charset():
    data = upload("1", "<GLOSA>Sin autorización</GLOSA>").replace(b'"1.0"?>', b'"1.0" encoding="UTF-8"?>')
    assert sii_answers.read_upload_answer(data).text == "Sin autorización"


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("0251550580", "251550580", True), ("1", "01", True), ("1", "2", False), ("", "", False), ("x", "x", False)],
)
def test_track_ids_are_compared_as_numbers(left, right, same):
    assert sii_answers.same_track_id(left, right) is same
