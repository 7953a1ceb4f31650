# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Each kind of fault does what it says, as often as it was told, and is counted."""

import http.client
import socket
import ssl
import subprocess
import sys
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from lxml import etree

from sii_simulator.faults import KINDS

from .client import eventually, flat, inner, reception, request, soap_body

PROBED = set()


@pytest.fixture
def inject(logged):
    """Function that switches faults on and notes their kinds."""

    def switch(*faults):
        PROBED.update(fault["kind"] for fault in faults)
        return logged.control.faults(*faults)

    return switch


def fired(world):
    return world.control.get("faults").json()["fired"]


def seed(world, **options):
    headers = {"Content-Type": "text/xml"}
    return request(f"{world.sii.url}/DTEWS/CrSeed.jws", "POST", soap_body("getSeed", {}), headers, **options)


def upload(world, data=None, **options):
    return world.sii.upload(data or world.envelope(world.draft()), world.issuer, **options)


def stored(world):
    return [row for row in world.control.ledger()["uploads"] if row["status"] == 0]


# When a fault fires


def test_count_and_after(logged, inject):
    inject({"kind": "http_status", "count": 2, "after": 1})
    assert [seed(logged).status for _ in range(5)] == [200, 503, 503, 200, 200]
    report = logged.control.get("faults").json()
    assert report["fired"] == {"http_status": 2}
    assert (report["faults"][0]["fired"], report["faults"][0]["left"]) == (2, 0)


def test_probability_repeats_with_the_seed(logged, inject):
    def run():
        request(f"{logged.control.url}/faults", "DELETE")
        inject({"kind": "http_status", "probability": 0.5})
        return [seed(logged).status for _ in range(40)]

    first = run()
    assert first == run()
    assert {200, 503} == set(first)


def test_window_of_simulated_time(logged, inject):
    now = logged.now()
    inject({"kind": "http_status", "from": (now + timedelta(hours=1)).isoformat(), "for_seconds": 600})
    assert seed(logged).status == 200
    logged.control.ok("clock", advance_seconds=3660)
    assert [seed(logged).status for _ in range(3)] == [503] * 3
    logged.control.ok("clock", advance_seconds=600)
    assert seed(logged).status == 200


def test_service_limits_the_fault(logged, inject):
    inject({"kind": "http_status", "service": "upload"})
    assert seed(logged).status == 200
    assert upload(logged).status == 503


# Connections


def test_refuse_closes_the_port_for_a_while(logged, inject):
    inject({"kind": "refuse", "for_seconds": 3600})
    assert eventually(lambda: is_refused(logged))
    assert logged.control.get("health").status == 200
    logged.control.ok("clock", advance_seconds=3600)
    assert eventually(lambda: not is_refused(logged))
    assert seed(logged).status == 200
    assert fired(logged) == {"refuse": 1}


@pytest.mark.parametrize("step", ["connected", "body_received", "stored"])
def test_hang_never_answers(logged, inject, step):
    data = logged.envelope(logged.draft())
    inject({"kind": "hang", "step": step})
    with pytest.raises(TimeoutError):
        upload(logged, data, timeout=0.3)
    assert len(stored(logged)) == (1 if step == "stored" else 0)
    assert fired(logged) == {"hang": 1}


@pytest.mark.parametrize("step", ["connected", "body_received", "stored", "answering"])
@pytest.mark.parametrize("reset", [True, False])
def test_cut_closes_the_connection(logged, inject, step, reset):
    data = logged.envelope(logged.draft())
    inject({"kind": "cut", "step": step, "reset": reset})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        upload(logged, data)
    assert len(stored(logged)) == (1 if step in ("stored", "answering") else 0)


def test_a_file_stored_before_the_cut_is_known_by_its_repetition(logged, inject):
    data = logged.envelope(logged.draft())
    inject({"kind": "cut"})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        upload(logged, data)
    assert eventually(lambda: stored(logged)[0]["state"] == "EPR")
    answer = reception(upload(logged, data))
    assert answer["STATUS"] == "99"
    assert str(int(stored(logged)[0]["track_id"])) in answer["ERROR"]


def test_tls_failure(logged, inject):
    inject({"kind": "tls_failure"})
    urls = logged.server.urls
    address = f"{urls['tls_url']}/DTEWS/CrSeed.jws"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request(address, "POST", soap_body("getSeed", {}), ca=urls["tls_ca"])
    assert request(address, "POST", soap_body("getSeed", {}), ca=urls["tls_ca"]).status == 200


CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(sys.stdin.buffer.read())
while True:
    connection.recv(65536)
"""


@pytest.mark.parametrize("step", ["body_received", "stored", "answered"])
def test_kill_the_process_at_the_other_end(logged, inject, step):
    inject({"kind": "kill", "step": step, "service": "seed"})
    body = soap_body("getSeed", {}).encode()
    head = f"POST /DTEWS/CrSeed.jws HTTP/1.1\r\nHost: sii\r\nContent-Length: {len(body)}\r\n\r\n"
    client = start_client(logged)
    client.communicate(head.encode() + body, timeout=10)
    assert client.returncode == -9
    assert fired(logged) == {"kill": 1}


def test_kill_at_the_connection(logged, inject):
    inject({"kind": "kill", "step": "connected"})
    client = start_client(logged)
    assert client.wait(10) == -9
    client.stdin.close()


def test_kill_a_given_process(logged, inject):
    victim = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    inject({"kind": "kill", "step": "stored", "pid": victim.pid, "service": "upload"})
    assert reception(upload(logged))["STATUS"] == "0"
    assert victim.wait(10) == -9


def start_client(world):
    port = str(urlsplit(world.sii.url).port)
    return subprocess.Popen([sys.executable, "-c", CLIENT, port], stdin=subprocess.PIPE)


# Answers


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"kind": "http_status", "status": 502}, 502, "502"),
        ({"kind": "html"}, 200, "<HTML>"),
        ({"kind": "text"}, 200, "Error 500"),
        ({"kind": "soap_fault"}, 500, "soapenv:Fault"),
        ({"kind": "upload_error_page"}, 200, "HA OCURRIDO UN ERROR EN EL UPLOAD"),
        ({"kind": "no_session"}, 200, "<TITLE>Error 501</TITLE>"),
    ],
)
def test_another_answer_than_expected(logged, inject, fault, status, text):
    inject(fault)
    reply = upload(logged)
    assert (reply.status, text in reply.text) == (status, True)
    assert stored(logged) == []


def test_empty_answer_after_the_file_was_stored(logged, inject):
    inject({"kind": "empty", "processed": True})
    reply = upload(logged)
    assert (reply.status, reply.body) == (200, b"")
    assert len(stored(logged)) == 1


def test_truncated_xml(logged, inject):
    inject({"kind": "truncate"})
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(seed(logged).body)


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_slow_answers(logged, inject, kind):
    inject({"kind": kind, "seconds": 0.4})
    started = time.monotonic()
    assert flat(inner(seed(logged)))["ESTADO"] == "00"
    assert time.monotonic() - started >= 0.4


def test_dripped_answers_come_in_pieces(logged, inject):
    inject({"kind": "drip", "seconds": 0.4})
    parts = urlsplit(logged.sii.url)
    body = soap_body("getSeed", {})
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        head = f"POST /DTEWS/CrSeed.jws HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        pieces = list(iter(lambda: connection.recv(65536), b""))
    assert len(pieces) > 5


def test_charset_that_is_not_the_declared_one(logged, inject):
    track = logged.send(logged.draft())
    inject({"kind": "charset"})
    parts = {"RutCompania": "76543210", "DvCompania": "3", "TrackId": track, "Token": logged.sii.token}
    body = soap_body("getEstUp", parts)
    reply = request(f"{logged.sii.url}/DTEWS/QueryEstUp.jws", "POST", body)
    assert reply.body.startswith(b"\r\n\r\n<?xml")
    assert b'encoding="utf-8"' in reply.body
    assert "Envío Procesado".encode("iso-8859-1") in reply.body


def test_order_of_the_parts(logged, inject):
    inject({"kind": "order"})
    root = inner(seed(logged))
    assert [etree.QName(child).localname for child in root] == ["RESP_HDR", "RESP_BODY"]
    assert etree.QName(root[0][0]).namespace == "http://www.sii.cl/XMLSchema"


# Services


def test_a_valid_token_is_refused_once(logged, inject):
    inject({"kind": "token_refused", "count": 2})
    assert reception(upload(logged))["STATUS"] == "5"
    assert logged.state("1") == "001"
    assert logged.state("1") == "-11"


def test_upload_status(logged, inject):
    inject({"kind": "upload_status", "status": 106, "detail": "ORA-00001"})
    answer = reception(upload(logged))
    assert (answer["STATUS"], answer["ERROR"]) == ("106", "ORA-00001")


def test_track_format(logged, inject):
    inject({"kind": "track_format"}, {"kind": "track_format", "digits": 15})
    lengths = [len(reception(upload(logged))["TRACKID"]) for _ in range(3)]
    assert lengths == [9, 15, 10]


def test_query_faults(logged, inject):
    draft = logged.draft()
    track = logged.send(draft)
    inject(
        {"kind": "not_registered"},
        {"kind": "query_error", "service": "query_up"},
        {"kind": "query_error", "estado": "-7", "service": "query_dte"},
        {"kind": "stuck", "estado": "SOK"},
        {"kind": "no_query_permission", "after": 1},
        {"kind": "dnk"},
    )
    assert [logged.state(track) for _ in range(4)] == ["-8", "-11", "SOK", "106"]
    assert logged.state(track) == "EPR"
    assert [logged.sii.est_dte(draft)["ESTADO"] for _ in range(3)] == ["-7", "DNK", "DOK"]


def test_drop_type(logged, inject):
    factura = logged.draft()
    track = logged.send(factura, logged.note(61, factura, 1))
    inject({"kind": "drop_type"})
    assert logged.sii.est_up(logged.issuer, track)["TIPO_DOCTO"] == "33"
    assert logged.sii.est_up(logged.issuer, track)["TIPO_DOCTO"] == ["33", "61"]


def test_reject_documents_and_rfr(logged, inject):
    inject({"kind": "reject_documents"}, {"kind": "rfr", "after": 1})
    draft, other = logged.draft(), logged.draft()
    assert logged.judge(draft)[0] == "rejected"
    assert logged.state(logged.send(other)) == "RFR"


def test_mails_lost_and_doubled(logged, inject):
    inject({"kind": "lose_mail"}, {"kind": "duplicate_mail", "after": 0})
    logged.send(logged.draft())
    assert logged.control.get("mailbox").json()["mails"] == []
    logged.send(logged.draft())
    assert len(logged.control.get("mailbox").json()["mails"]) == 2


def test_every_kind_was_probed():
    """Runs last in this file: a new kind needs a test."""
    assert set(KINDS) == PROBED


def is_refused(world):
    """True when nobody listens; what was waiting when the port closed is reset, and does not count."""
    try:
        seed(world)
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False
