# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The client over a real socket: what each answer or silence allows the caller to do next."""

from __future__ import annotations

import re
from datetime import date

import pytest
from libs import sii_soap_client, transport
from libs.exceptions import (
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknown,
    NotDelivered,
    PermanentError,
    RemoteError,
)
from libs.sii_soap_client import DocumentQuestion, SiiClient, UploadReceipt
from libs.sii_status import Outcome
from lxml import etree

from tests.libs import tcp_server
from tests.libs.answers import FAULT, HTML_501, HTML_503, HTML_UPLOAD, inner, soap
from tests.libs.tcp_server import Server, answer, closed_port, full_port

ENVELOPE = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<EnvioDTE>ñ\r\n</EnvioDTE>\n'.encode("iso-8859-1")
SENDER, COMPANY = "11111111-1", "76543210-3"
QUESTION = DocumentQuestion(COMPANY, "15000005-K", 33, 7, date(2026, 10, 5), 3570)
LIMIT = 0.6


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


class Tokens:
    """A token source that counts how often it was asked, and whether for a new token."""

    def __init__(self):
        self.asked = []

    def __call__(self, renew):
        self.asked.append(renew)
        return f"TOKEN{len(self.asked)}"


def client_of(url, tokens=None, *, seconds=20.0, pauses=None):
    pauses = pauses if pauses is not None else []
    return SiiClient(url, tokens or Tokens(), upload_seconds=seconds, query_seconds=seconds, sleep=pauses.append)


def upload_answer(status, rest=""):
    return answer(
        f'<?xml version="1.0"?><RECEPCIONDTE><RUTSENDER>{SENDER}</RUTSENDER><STATUS>{status}</STATUS>{rest}'
        "</RECEPCIONDTE>".encode("iso-8859-1")
    )


RECEIVED = upload_answer("0", "<TRACKID>0251552460</TRACKID>")


def upload(*behaviours, tokens=None, seconds=20.0):
    """Upload against a script; return the receipt or the error, and the server."""
    with Server(*behaviours) as server:
        try:
            result = client_of(server.url, tokens, seconds=seconds).upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
        except (RemoteError, ConfigurationError) as error:
            result = error
    assert server.unused == server.unexpected == 0
    return result, server


def test_an_upload_that_is_received():
    tokens = Tokens()
    receipt, server = upload(RECEIVED, tokens=tokens)
    assert receipt == UploadReceipt("0251552460", False)
    assert tokens.asked == [False]
    assert len(server.requests) == 1


def test_the_request_of_an_upload_byte_by_byte():
    _receipt, server = upload(RECEIVED)
    [request] = server.requests
    assert request.head.split("\r\n")[0] == "POST /cgi_dte/UPL/DTEUpload HTTP/1.1"
    assert request.headers["Cookie"] == "TOKEN=TOKEN1"
    assert "PROG 1.0" in request.headers["User-Agent"]
    assert request.headers["Content-Length"] == str(len(request.body))
    assert "Transfer-Encoding" not in request.headers
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", request.headers["Content-Type"])[1]
    parts = (
        ("rutSender", "11111111"),
        ("dvSender", "1"),
        ("rutCompany", "76543210"),
        ("dvCompany", "3"),
    )
    expected = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts
    )
    expected += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="archivo"; filename="envio.xml"\r\n'
        "Content-Type: text/xml\r\n\r\n"
    )
    assert request.body == expected.encode() + ENVELOPE + f"\r\n--{boundary}--\r\n".encode()


def test_bytes_sent_before_give_the_first_track_id():
    text = "Archivo ya fue enviado 2 veces con Trackid 251550580. Debe esperar 900 segundos antes de reintentar"
    receipt, _server = upload(upload_answer("99", text))
    assert receipt == UploadReceipt("0251550580", True)


@pytest.mark.parametrize(
    ("status", "error", "error_type"),
    [
        ("1", ConfigurationError, "certificate"),
        ("2", PermanentError, "validation"),
        ("3", NotDelivered, "unavailable"),
        ("6", ConfigurationError, "certificate"),
        ("7", PermanentError, "validation"),
        ("8", PermanentError, "validation"),
        ("9", NotDelivered, "unavailable"),
        ("106", DeliveryUnknown, "unknown"),
        ("99", DeliveryUnknown, "unknown"),
        ("0", DeliveryUnknown, "unknown"),
        ("X", DeliveryUnknown, "unknown"),
    ],
)
def test_each_status_without_track_id(status, error, error_type):
    result, _server = upload(upload_answer(status, "<GLOSA>LSX-00204</GLOSA>"))
    assert type(result) is error
    assert result.error_type == error_type
    assert (result.params["sii_code"], result.params["sii_text"]) == (status, "LSX-00204")


@pytest.mark.parametrize("refusal", [upload_answer("5"), answer(HTML_501)], ids=["STATUS 5", "page 501"])
def test_a_refused_token_is_renewed_once(refusal):
    tokens = Tokens()
    receipt, server = upload(refusal, RECEIVED, tokens=tokens)
    assert receipt.track_id == "0251552460"
    assert tokens.asked == [False, True]
    assert [request.headers["Cookie"] for request in server.requests] == ["TOKEN=TOKEN1", "TOKEN=TOKEN2"]
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("refusal", [upload_answer("5"), answer(HTML_501)], ids=["STATUS 5", "page 501"])
def test_a_refused_token_is_renewed_no_more_than_once(refusal):
    tokens = Tokens()
    error, _server = upload(refusal, refusal, tokens=tokens)
    assert type(error) is AuthenticationError
    assert isinstance(error, NotDelivered)
    assert tokens.asked == [False, True]


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(HTML_UPLOAD),
        answer(b"<html></html>"),
        answer(b""),
        answer(b"Error 500"),
        answer(b"<RECEPCIONDTE><STATUS>0</STA"),
        answer(b"<a/>"),
        answer(HTML_503, "503 Service Unavailable"),
        answer(b"", "500 Internal Server Error"),
        answer(b"", "502 Bad Gateway"),
        answer(HTML_503, "504 Gateway Timeout"),
        answer(b"", "302 Found"),
        answer(FAULT, "500 Internal Server Error"),
        tcp_server.close_after_body,
        tcp_server.reset_after_body,
        tcp_server.cut_answer(b"HTTP/1.1 200 OK\r\n"),
        tcp_server.cut_answer(tcp_server.response(b"<RECEPCIONDTE>", length=400)),
        tcp_server.raw(b"not http\r\n\r\n"),
    ],
)
def test_after_the_body_left_only_a_clear_answer_settles_it(behaviour):
    """One connection, one request: the body does not leave a second time."""
    error, server = upload(behaviour)
    assert type(error) is DeliveryUnknown
    assert error.error_type in ("connection", "unavailable")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        tcp_server.never_answer,
        tcp_server.never_read,
        tcp_server.drip(tcp_server.response(b"", length=1000), b"<", 0.02),
        tcp_server.drip(b"", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000, 0.02),
    ],
)
def test_silence_after_the_body_left(behaviour):
    error, _server = upload(behaviour, seconds=LIMIT)
    assert type(error) is DeliveryUnknown
    assert error.error_type == "timeout"


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "413 Too Large"]
)
def test_a_gateway_that_refuses_did_not_take_it(status):
    error, _server = upload(answer(b"no", status))
    assert type(error) is NotDelivered
    assert error.params["http_status"] == int(status[:3])


def test_a_refused_connection_is_tried_three_times_with_pauses():
    pauses = []
    with closed_port() as url, pytest.raises(NotDelivered) as caught:
        client_of(url, pauses=pauses).upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
    assert (caught.value.code, caught.value.error_type) == ("sii_unreachable", "connection")
    assert len(pauses) == 2
    assert 0.5 <= pauses[0] <= 1.0 <= pauses[1] <= 2.0


def test_a_connection_that_is_never_made():
    with full_port() as url, pytest.raises(NotDelivered) as caught:
        client_of(url, seconds=LIMIT).upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
    assert caught.value.error_type == "timeout"


def test_quick_tries_end_with_the_deadline():
    pauses = []
    with closed_port() as url, pytest.raises(NotDelivered):
        client_of(url, seconds=0.4, pauses=pauses).upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
    assert pauses == []


def test_the_sii_comes_back_between_two_tries():
    """What was refused while nothing had left is sent again within the call."""
    with closed_port() as url:
        port = int(url.rsplit(":", 1)[1])
    servers = []

    def open_the_port(_seconds):
        servers.append(Server(RECEIVED, port=port).__enter__())

    receipt = SiiClient(url, Tokens(), sleep=open_the_port).upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
    servers[0].__exit__()
    assert receipt.track_id == "0251552460"
    assert len(servers[0].requests) == 1


def test_no_error_shows_the_token():
    shown = []
    with Server(tcp_server.reset_after_body) as server, pytest.raises(DeliveryUnknown) as caught:
        client_of(server.url, lambda renew: "SECRETTOKEN").upload(SENDER, COMPANY, "envio.xml", ENVELOPE)
    current = caught.value
    while current:
        shown.append(f"{current} {current!r} {getattr(current, 'params', '')}")
        current = current.__cause__ or current.__context__
    assert len(shown) > 1
    assert "SECRETTOKEN" not in "".join(shown)


# Questions


def parts_of(request, operation):
    """Names and values of the parts of a SOAP request, in order."""
    root = etree.fromstring(request.body)
    [body] = root
    [call] = body
    assert call.tag == f"{{http://DefaultNamespace}}{operation}"
    assert etree.QName(body).namespace == "http://schemas.xmlsoap.org/soap/envelope/"
    return [(child.tag, child.text) for child in call]


def ask(action, *behaviours, tokens=None, seconds=20.0, pauses=None):
    with Server(*behaviours) as server:
        try:
            result = action(client_of(server.url, tokens, seconds=seconds, pauses=pauses))
        except (RemoteError, ConfigurationError) as error:
            result = error
    assert server.unused == server.unexpected == 0
    return result, server


def state(operation, code, **texts):
    header = f"<ESTADO>{code}</ESTADO>" + "".join(f"<{tag}>{text}</{tag}>" for tag, text in texts.items())
    return answer(soap(operation, inner(header)))


def envelope_status(client):
    return client.envelope_status(COMPANY, "0260003916")


def test_the_question_for_an_envelope():
    status, server = ask(envelope_status, state("getEstUp", "REC", GLOSA="Envio Recibido"))
    assert (status.state, status.meaning.outcome) == ("REC", Outcome.TRANSIENT)
    [request] = server.requests
    assert request.path == "/DTEWS/QueryEstUp.jws"
    assert request.headers["SOAPAction"] == '""'
    assert request.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert "PROG 1.0" in request.headers["User-Agent"]
    assert parts_of(request, "getEstUp") == [
        ("RutCompania", "76543210"),
        ("DvCompania", "3"),
        ("TrackId", "260003916"),
        ("Token", "TOKEN1"),
    ]


def test_the_question_for_a_document():
    status, server = ask(
        lambda client: client.document_status(SENDER, QUESTION),
        state("getEstDte", "DOK", GLOSA_ESTADO="Documento Recibido", ERR_CODE="0"),
    )
    assert (status.state, status.err_code) == ("DOK", "0")
    assert server.requests[0].path == "/DTEWS/QueryEstDte.jws"
    assert parts_of(server.requests[0], "getEstDte") == [
        ("RutConsultante", "11111111"),
        ("DvConsultante", "1"),
        ("RutCompania", "76543210"),
        ("DvCompania", "3"),
        ("RutReceptor", "15000005"),
        ("DvReceptor", "K"),
        ("TipoDte", "33"),
        ("FolioDte", "7"),
        ("FechaEmisionDte", "05102026"),
        ("MontoDte", "3570"),
        ("Token", "TOKEN1"),
    ]


def test_the_question_for_a_document_with_its_signature():
    status, server = ask(
        lambda client: client.document_status_signed(QUESTION, "AAAA\nBBBB\n"),
        answer(soap("getEstDteAv", inner("<ESTADO>DOK</ESTADO>", "<RECIBIDO>SI</RECIBIDO>"))),
    )
    assert (status.state, status.received) == ("DOK", True)
    assert server.requests[0].path == "/DTEWS/services/QueryEstDteAv"
    assert parts_of(server.requests[0], "getEstDteAv") == [
        ("RutEmpresa", "76543210"),
        ("DvEmpresa", "3"),
        ("RutReceptor", "15000005"),
        ("DvReceptor", "K"),
        ("TipoDte", "33"),
        ("FolioDte", "7"),
        ("FechaEmisionDte", "05102026"),
        ("MontoDte", "3570"),
        ("FirmaDte", "AAAABBBB"),
        ("Token", "TOKEN1"),
    ]


def test_the_request_for_the_result_mail():
    code, server = ask(lambda client: client.resend_result_mail(COMPANY, "0260003916"), state("reenvioCorreo", "0"))
    assert code == "0"
    assert server.requests[0].path == "/DTEWS/services/wsDTECorreo"
    assert parts_of(server.requests[0], "reenvioCorreo") == [
        ("Token", "TOKEN1"),
        ("RutEmpresa", "76543210"),
        ("DvEmpresa", "3"),
        ("TrackId", "260003916"),
    ]


def test_the_result_mail_with_an_old_token():
    tokens = Tokens()
    code, _server = ask(
        lambda client: client.resend_result_mail(COMPANY, "1"),
        state("reenvioCorreo", "104"),
        state("reenvioCorreo", "114"),
        tokens=tokens,
    )
    assert (code, tokens.asked) == ("114", [False, True])


@pytest.mark.parametrize("code", ["001", "002", "003", "1", "2", "3"])
def test_a_question_with_an_old_token_is_asked_again_with_a_new_one(code):
    tokens = Tokens()
    refused = state("getEstUp", code, GLOSA="TOKEN NO EXISTE")
    status, server = ask(envelope_status, refused, state("getEstUp", "REC"), tokens=tokens)
    assert status.state == "REC"
    assert tokens.asked == [False, True]
    assert parts_of(server.requests[1], "getEstUp")[3] == ("Token", "TOKEN2")
    error, _server = ask(envelope_status, refused, refused)
    assert type(error) is AuthenticationError
    assert error.params["sii_code"] == code


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(b""),
        answer(b"", "503 Service Unavailable"),
        answer(HTML_503, "503 Service Unavailable"),
        answer(HTML_501),
        answer(b"<html>"),
        answer(b"Error 500"),
        answer(FAULT, "500 Internal Server Error"),
        answer(soap("getEstUp", inner("<ESTADO>REC</ESTADO>"))[:-40]),
        answer(soap("getEstUp", inner("<ESTADO>REC</ESTADO>")[:-10])),
        answer(soap("getEstDte", inner("<ESTADO>REC</ESTADO>"))),
        tcp_server.close_after_body,
        tcp_server.reset_after_body,
        tcp_server.cut_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<"),
    ],
)
def test_a_question_is_repeated_until_it_is_answered(behaviour):
    pauses = []
    status, server = ask(envelope_status, behaviour, behaviour, state("getEstUp", "REC"), pauses=pauses)
    assert status.state == "REC"
    assert len(server.requests) == 3
    assert len(pauses) == 2
    error, _server = ask(envelope_status, behaviour, behaviour, behaviour)
    assert type(error) is NotDelivered


def test_the_text_of_a_fault_reaches_the_log():
    error, _server = ask(envelope_status, *[answer(FAULT, "500 Internal Server Error")] * 3)
    assert (error.code, error.error_type) == ("sii_answer_unreadable", "unavailable")
    assert error.params["sii_text"] == "No such operation 'getEstUp'"
    assert error.params["http_status"] == 500


@pytest.mark.parametrize("behaviour", [tcp_server.never_answer, tcp_server.never_read])
def test_a_question_has_a_deadline(behaviour):
    error, _server = ask(envelope_status, behaviour, seconds=LIMIT)
    assert type(error) is NotDelivered
    assert error.error_type == "timeout"


@pytest.mark.parametrize("form", ["A", "B", "cdata"])
def test_either_form_of_soap(form):
    document = inner("<ESTADO>REC</ESTADO>", line_end="\r\n")
    status, _server = ask(envelope_status, answer(soap("getEstUp", document, form)))
    assert status.state == "REC"


# Login

SEED = answer(soap("getSeed", inner("<ESTADO>00</ESTADO>", "<SEMILLA>043871953686</SEMILLA>")))
TOKEN = answer(
    soap("getToken", inner("<ESTADO>00</ESTADO><GLOSA>Token Creado</GLOSA>", "<TOKEN>AB12CD34EF56G</TOKEN>"))
)


def login(signer):
    return lambda client: client.login(signer)


def test_a_login(signer):
    token, server = ask(login(signer), SEED, TOKEN)
    assert token == "AB12CD34EF56G"
    assert [request.path for request in server.requests] == [
        "/DTEWS/CrSeed.jws",
        "/DTEWS/GetTokenFromSeed.jws",
    ]
    assert parts_of(server.requests[0], "getSeed") == []
    [(name, request)] = parts_of(server.requests[1], "getToken")
    assert name == "pszXml"
    assert "<Semilla>043871953686</Semilla>" in request
    assert "\n" not in request
    assert request.startswith('<?xml version="1.0"?><getToken>')


@pytest.mark.parametrize("code", ["01", "02", "03", "04", "05", "10", "11", "21", "-3", "-07"])
def test_a_certificate_that_is_refused(code, signer):
    error, _server = ask(login(signer), SEED, state("getToken", code, GLOSA="Error Interno"))
    assert type(error) is ConfigurationError
    assert (error.code, error.params["sii_code"], error.params["sii_text"]) == (
        "sii_login_refused",
        code,
        "Error Interno",
    )


@pytest.mark.parametrize("code", ["06", "07", "08", "09", "12", "77", "00"])
def test_a_login_that_fails_is_repeated_with_another_seed(code, signer):
    token, _server = ask(login(signer), SEED, state("getToken", code), SEED, TOKEN)
    assert token == "AB12CD34EF56G"
    error, _server = ask(login(signer), *[SEED, state("getToken", code)] * 2)
    assert type(error) is NotDelivered
    assert (error.code, error.params["sii_code"]) == ("sii_login_failed", code)


def test_a_login_has_a_shorter_limit_than_a_question(signer, monkeypatch):
    """Everybody who sends waits for it."""
    monkeypatch.setattr(sii_soap_client, "LOGIN_SECONDS", 0.0)
    error, _server = ask(login(signer))
    assert (type(error), error.error_type) == (NotDelivered, "timeout")


def test_no_seed(signer):
    error, _server = ask(login(signer), state("getSeed", "-1"))
    assert type(error) is NotDelivered
    assert (error.code, error.params["sii_code"]) == ("sii_no_seed", "-1")


def test_authentication_is_left_to_the_token_source():
    tokens = Tokens()
    with Server() as server:
        client_of(server.url, tokens).authenticate()
    assert tokens.asked == [False]
    assert server.unexpected == 0


def test_a_probe_asks_for_a_seed_only():
    result, server = ask(lambda client: client.probe(), SEED)
    assert result is None
    assert [request.path for request in server.requests] == ["/DTEWS/CrSeed.jws"]
    with closed_port() as url, pytest.raises(NotDelivered):
        client_of(url).probe()


def test_the_hosts_of_the_sii():
    assert sii_soap_client.BASE_URLS == {
        "certification": "https://maullin.sii.cl",
        "production": "https://palena.sii.cl",
    }


def test_no_description_is_fetched(monkeypatch):
    """The requests are built from the file beside the client, also the first time."""
    monkeypatch.setattr(transport.requests.Session, "send", lambda *_args, **_options: pytest.fail("network"))
    sii_soap_client._wsdl.cache_clear()
    assert b"http://DefaultNamespace" in sii_soap_client._soap_request("CrSeed", {}, "getSeed")
