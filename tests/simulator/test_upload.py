# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""DTEUpload: each STATUS, and what the reader of the file demands."""

import re
import socket
from urllib.parse import urlsplit

import pytest

from .client import BOUNDARY, USER_AGENT, Sii, multipart, reception, request


def upload(world, data, **options):
    return reception(world.sii.upload(data, world.issuer, **options))


def test_status_0_gives_ten_digits(logged):
    answer = upload(logged, logged.envelope(logged.draft()))
    assert answer["STATUS"] == "0"
    assert re.fullmatch(r"0\d{9}", answer["TRACKID"])
    assert (answer["RUTSENDER"], answer["RUTCOMPANY"], answer["FILE"]) == ("11111111-1", "76543210-3", "envio.xml")


def test_fields_in_any_order(logged):
    data = logged.envelope(logged.draft())
    fields = {"dvCompany": "3", "rutCompany": "76543210", "dvSender": "1", "rutSender": "11111111"}
    headers = {
        "User-Agent": USER_AGENT,
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Cookie": f"TOKEN={logged.sii.token}",
    }
    reply = request(f"{logged.sii.url}/cgi_dte/UPL/DTEUpload", "POST", multipart(fields, data), headers)
    assert reception(reply)["STATUS"] == "0"


def test_without_prog_the_answer_is_html(logged):
    reply = logged.sii.upload(logged.envelope(logged.draft()), logged.issuer, headers={"User-Agent": "python"})
    assert reply.status == 200
    assert "HA OCURRIDO UN ERROR EN EL UPLOAD" in reply.text
    assert logged.control.ledger()["uploads"] == []


def test_status_1_without_permission_to_send(logged):
    logged.register(users=[{"rut": "11111111-1", "send": False}])
    assert upload(logged, logged.envelope(logged.draft()))["STATUS"] == "1"
    logged.register(users=[])
    assert upload(logged, logged.envelope(logged.draft()))["STATUS"] == "1"


def test_status_2_for_the_size(logged):
    assert upload(logged, b"")["STATUS"] == "2"
    data = logged.envelope(logged.draft())
    logged.control.ok("settings", max_upload_bytes=len(data) - 1)
    assert upload(logged, data)["STATUS"] == "2"


def test_status_3_for_a_cut_file(logged):
    """The client announces more bytes than it sends."""
    body = multipart({"rutSender": "1", "dvSender": "9", "rutCompany": "3", "dvCompany": "5"}, b"<x/>")
    reply = raw_upload(logged, body[:-30], f"Content-Length: {len(body)}")
    assert b"<STATUS>3</STATUS>" in reply


@pytest.mark.parametrize("token", ["", "abcdefghijklm"])
def test_status_5_without_a_good_token(logged, token):
    logged.sii.token = token
    assert upload(logged, logged.envelope(logged.draft()))["STATUS"] == "5"


def test_status_5_or_html_when_the_token_expired(logged):
    data = logged.envelope(logged.draft())
    logged.control.ok("clock", advance_seconds=3601)
    assert upload(logged, data)["STATUS"] == "5"
    logged.control.ok("settings", unauthenticated_upload="html")
    reply = logged.sii.upload(data, logged.issuer)
    assert reply.status == 200
    assert "<TITLE>Error 501</TITLE>" in reply.text


def test_status_5_with_the_token_of_somebody_else(logged, people):
    other = Sii(logged.sii.url, people("12345678-5"))
    other.login()
    logged.sii.token = other.token
    assert upload(logged, logged.envelope(logged.draft()))["STATUS"] == "5"


def test_status_6_for_an_unknown_company(logged):
    reply = logged.sii.upload(logged.envelope(logged.draft()), "96790240-3")
    assert reception(reply)["STATUS"] == "6"


def test_status_7_names_the_schema_error(logged):
    draft = logged.draft(id_doc="<FmaPago></FmaPago>")
    answer = upload(logged, logged.envelope(draft))
    assert answer["STATUS"] == "7"
    assert "LSX-00009" in "".join(answer["ERROR"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("<GiroEmis>", "<Nada>1</Nada><GiroEmis>"), "LSX-00213"),
        (lambda text: text.replace("</TmstFirma>", "</TmstFirma><Nada/>"), "LSX-00204"),
        (lambda text: text.replace("<TipoDTE>33", "<TipoDTE>39"), "LSX-00290"),
        (lambda text: text.replace("<RUTRecep>9", "<RUTRecep>x"), "LSX-00333"),
        (lambda text: text.replace("</FchEmis>", "Z</FchEmis>"), "LSX-00333"),
        (lambda text: text.replace("</TmstFirma>", "-04:00</TmstFirma>"), "LSX-00333"),
    ],
)
def test_schema_errors_in_the_words_of_the_sii(logged, change, code):
    document = logged.dte(logged.draft(), change=change)
    answer = logged.sii.upload(logged.envelope(document, caratula={}), logged.issuer).text
    assert "<STATUS>7</STATUS>" in answer
    assert code in answer


def test_status_8_for_the_signature_when_checked_at_once(logged, people):
    logged.control.ok("settings", signature_errors="upload")
    data = logged.envelope(logged.draft())
    assert upload(logged, data.replace(b"<NroResol>0", b"<NroResol>1"))["STATUS"] == "8"
    assert upload(logged, data)["STATUS"] == "0"


def test_status_9_when_blocked(logged):
    logged.control.ok("settings", blocked=True)
    assert upload(logged, logged.envelope(logged.draft()))["STATUS"] == "9"


def test_status_99_gives_the_first_track_id(logged):
    data = logged.envelope(logged.draft())
    first = upload(logged, data)["TRACKID"]
    logged.control.ok("process")
    answer = upload(logged, data)
    assert answer["STATUS"] == "99"
    assert f"enviado 2 veces con Trackid {int(first)}. Debe esperar 900 segundos" in answer["ERROR"]
    assert "enviado 3 veces" in upload(logged, data)["ERROR"]
    assert [row["status"] for row in logged.control.ledger()["uploads"]] == [0, 99, 99]


def test_the_same_bytes_pass_after_the_window_and_are_rejected_as_repeated(logged):
    data = logged.envelope(logged.draft())
    first = logged.send_bytes(data)
    logged.control.ok("clock", advance_seconds=901)
    second = logged.send_bytes(data)
    assert second != first
    assert (logged.state(first), logged.state(second)) == ("EPR", "RPT")


def test_bytes_of_an_envelope_that_was_refused_whole_are_no_repetition(logged):
    data = logged.envelope(logged.draft())
    logged.register(resolution_number=9)
    assert logged.state(logged.send_bytes(data)) == "RCT"
    logged.register()
    logged.control.ok("clock", advance_seconds=901)
    assert logged.state(logged.send_bytes(data)) == "EPR"


def status_7(world, data, code):
    answer = upload(world, data)
    assert answer["STATUS"] == "7", answer
    assert answer["ERROR"].startswith(code), answer


def test_refuses_a_file_of_one_line(logged):
    data = logged.envelope(logged.draft())
    status_7(logged, data.replace(b"\n", b""), "SCH-00001")


def test_refuses_a_long_line(logged):
    draft = logged.draft(tail="")
    status_7(logged, logged.envelope(draft).replace(b"</Emisor>", b" " * 4090 + b"</Emisor>"), "CHR-00002")


@pytest.mark.parametrize(
    "declaration",
    [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<?xml version="1.0"?>',
        '<?xml version="1.0" encoding="ISO-8859-1" standalone="no"?>',
        "",
    ],
)
def test_refuses_another_declaration(logged, declaration):
    data = logged.envelope(logged.draft())
    status_7(logged, declaration.encode() + data[data.index(b"?>") + 2 :], "SCH-00001")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b' xsi:schemaLocation="http://www.sii.cl/SiiDte EnvioDTE_v10.xsd"', b""),
        (b"http://www.sii.cl/SiiDte EnvioDTE_v10.xsd", b"EnvioDTE_v10.xsd http://www.sii.cl/SiiDte"),
        (b'EnvioDTE_v10.xsd" version="1.0"', b'EnvioDTE_v10.xsd" version="1.0" ID="a"'),
        (b"<SetDTE ", b"<!-- nota --><SetDTE "),
        (b"\xed", "í".encode()[:1] + b"\x80"),
    ],
)
def test_refuses_another_root(logged, old, new):
    data = logged.envelope(logged.draft())
    assert old in data
    status_7(logged, data.replace(old, new, 1), "SCH-00001")


def test_refuses_blanks_inside_signature_unless_allowed(logged):
    data = logged.envelope(logged.draft()).replace(b"</SignedInfo><", b"</SignedInfo>\n<")
    status_7(logged, data, "LPX-00007")
    logged.control.ok("settings", signature_whitespace="accept")
    assert upload(logged, data)["STATUS"] == "0"


def test_refuses_a_file_without_end(logged):
    status_7(logged, logged.envelope(logged.draft())[:-20], "LPX-00007")


def test_a_chunked_body_is_refused(logged):
    assert b" 400 " in raw_upload(logged, b"", "Transfer-Encoding: chunked").split(b"\r\n")[0]
    logged.control.ok("settings", chunked="first_chunk")
    assert b"LPX-00007" in raw_upload(logged, b"", "Transfer-Encoding: chunked")


def test_a_body_without_length_is_refused(logged):
    assert b" 411 " in raw_upload(logged, b"", "X-Nothing: 1").split(b"\r\n")[0]


def raw_upload(world, body, length_header):
    """Sends bytes through a bare socket; returns everything that comes back."""
    parts = urlsplit(world.sii.url)
    head = (
        f"POST /cgi_dte/UPL/DTEUpload HTTP/1.1\r\nHost: sii\r\nUser-Agent: {USER_AGENT}\r\n"
        f"Cookie: TOKEN={world.sii.token}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"{length_header}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))
