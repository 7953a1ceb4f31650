# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""One POST over a real socket: what arrives, what comes back, and what is known when nothing does."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from libs import transport
from libs.transport import Deadline, TransportError

from tests import authority
from tests.libs import tcp_server
from tests.libs.tcp_server import Server, closed_port, full_port, response

BIG = b"x" * (8 * 1024 * 1024)
LIMIT = 0.6  # seconds a call may take in these tests
LATENESS = 2.0  # what a busy machine may add; without a deadline each of them takes 5 seconds or more


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


def post(server, body=b"hello", seconds=20.0, **options):
    return transport.post(
        f"{server.url}/path",
        body,
        {"Content-Type": "text/plain", "Cookie": "TOKEN=secret"},
        Deadline(seconds),
        **options,
    )


def failure(server, body=b"hello", seconds=20.0):
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        post(server, body, seconds)
    assert "secret" not in str(caught.value)
    assert caught.value.error_type in ("timeout", "connection", "unavailable")
    return caught.value.sent, caught.value.error_type, time.monotonic() - started


def test_what_is_sent():
    with Server(tcp_server.answer(b"<a/>")) as server:
        answer = post(server, b"hel\x00\xfflo")
    [request] = server.requests
    assert (answer.status, answer.content) == (200, b"<a/>")
    assert request.head.split("\r\n")[0] == "POST /path HTTP/1.1"
    assert request.body == b"hel\x00\xfflo"
    assert request.headers["Content-Length"] == "7"
    assert "Transfer-Encoding" not in request.headers
    assert "PROG 1.0" in request.headers["User-Agent"]
    assert request.headers["Connection"] == "close"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Cookie"] == "TOKEN=secret"
    assert request.headers["Content-Type"] == "text/plain"


def test_a_large_body_arrives_whole_and_unchunked():
    with Server(tcp_server.answer(b"ok")) as server:
        post(server, BIG)
    assert server.requests[0].body == BIG
    assert server.requests[0].headers["Content-Length"] == str(len(BIG))


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "500 Error", "503 Unavailable"])
def test_every_http_status_is_an_answer(status):
    with Server(tcp_server.answer(b"body", status)) as server:
        answer = post(server)
    assert (answer.status, answer.content) == (int(status.split()[0]), b"body")
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed():
    data = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with Server(tcp_server.raw(data)) as server:
        assert post(server).status == 302


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde",
        b"HTTP/1.0 200 OK\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdefgh",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    ],
)
def test_the_ways_to_frame_an_answer(data):
    with Server(tcp_server.raw(data)) as server:
        assert post(server).content == b"abcde"


def test_an_answer_has_a_limit():
    with Server(tcp_server.answer(b"x" * transport.MAX_ANSWER_BYTES)) as server:
        assert len(post(server).content) == transport.MAX_ANSWER_BYTES
    with Server(tcp_server.answer(b"x" * (transport.MAX_ANSWER_BYTES + 1))) as server:
        assert failure(server)[:2] == (True, "unavailable")


class At:
    """Stands for a server of which only the address is known."""

    def __init__(self, url):
        self.url = url


def test_refused():
    with closed_port() as url:
        assert failure(At(url))[:2] == (False, "connection")


def test_a_host_that_does_not_exist():
    assert failure(At("http://host.invalid"))[:2] == (False, "connection")


def test_no_connection_in_time():
    with full_port() as url:
        sent, error_type, seconds = failure(At(url), seconds=LIMIT)
    assert (sent, error_type) == (False, "timeout")
    assert seconds < LIMIT + LATENESS


def test_a_deadline_that_is_over_sends_nothing():
    with Server(tcp_server.answer(b"ok")) as server, pytest.raises(TransportError) as caught:
        transport.post(server.url, b"x", {}, Deadline(0))
    assert not caught.value.sent
    assert server.requests == []


def test_closed_while_the_body_is_on_its_way():
    """Nobody can tell how much of it was read."""
    with Server(tcp_server.close_after_head) as server:
        assert failure(server, BIG)[:2] == (True, "connection")


def test_closed_before_anything_is_read():
    """The reset comes before or after the first byte has left, as it happens."""
    with Server(tcp_server.close_at_once) as server:
        assert failure(server, BIG)[1] == "connection"


@pytest.mark.parametrize("behaviour", [tcp_server.close_after_body, tcp_server.reset_after_body])
def test_closed_after_the_body_was_read(behaviour):
    with Server(behaviour) as server:
        assert failure(server)[:2] == (True, "connection")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "data", [b"HT", b"HTTP/1.1 200 OK\r\nContent-Le", response(b"", length=10), response(b"abc", length=10)]
)
def test_reset_in_the_middle_of_the_answer(data):
    with Server(tcp_server.cut_answer(data)) as server:
        assert failure(server)[:2] == (True, "connection")


def test_an_answer_shorter_than_it_said():
    with Server(tcp_server.raw(response(b"abc", length=10))) as server:
        assert failure(server)[:2] == (True, "connection")


def test_what_is_not_http():
    with Server(tcp_server.raw(b"220 smtp ready\r\n")) as server:
        assert failure(server)[:2] == (True, "connection")


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [
        (tcp_server.never_answer, b"x"),
        (tcp_server.never_read, b"x"),
        (tcp_server.never_read, BIG),
        (tcp_server.read_slowly(0.02), BIG),
        (tcp_server.drip(b"", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000, 0.02), b"x"),
        (tcp_server.drip(response(b"", length=1000), b"a", 0.02), b"x"),
        (tcp_server.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.02), b"x"),
    ],
    ids=[
        "no answer",
        "swallow",
        "swallow a big one",
        "slow reader",
        "drip head",
        "drip body",
        "drip chunks",
    ],
)
def test_the_deadline_ends_everything(behaviour, body):
    with Server(behaviour) as server:
        sent, error_type, seconds = failure(server, body, seconds=LIMIT)
    assert (sent, error_type) == (True, "timeout")
    assert LIMIT * 0.9 <= seconds < LIMIT + LATENESS


def test_a_late_drop_does_not_begin_the_wait_anew():
    with Server(tcp_server.drip(response(b"", length=1000), b"a", 1.6)) as server:
        _sent, error_type, seconds = failure(server, seconds=2.0)
    assert error_type == "timeout"
    assert seconds < 3.2


def test_a_slow_answer_within_the_deadline_is_an_answer():
    with Server(tcp_server.drip(response(b"", length=5), b"abcde", 0.02)) as server:
        assert post(server).content == b"abcde"


def test_time_left_never_goes_below_zero():
    now = [100.0]
    deadline = Deadline(5, lambda: now[0])
    assert deadline.left() == 5
    now[0] = 104.0
    assert deadline.left() == 1
    now[0] = 200.0
    assert deadline.left() == 0


def tls_files(folder):
    """A certificate for 127.0.0.1 and its key."""
    key = authority.rsa_key("tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def over_tls(behaviour, path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def behave(connection):
        with contextlib.suppress(ssl.SSLError):
            connection.sock = context.wrap_socket(connection.sock, server_side=True)
            behaviour(connection)

    return behave


def test_tls_is_verified(tmp_path):
    path = tls_files(tmp_path)
    with Server(*[over_tls(tcp_server.answer(b"ok"), path)] * 2) as server:
        server.url = server.url.replace("http", "https")
        with pytest.raises(TransportError) as caught:
            post(server)
        assert not caught.value.sent
        assert post(server, verify=str(path)).content == b"ok"


@pytest.mark.parametrize(
    "behaviour", [tcp_server.never_answer, tcp_server.drip(b"", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000, 0.02)]
)
def test_the_deadline_holds_inside_tls(behaviour, tmp_path):
    path = tls_files(tmp_path)
    with Server(over_tls(behaviour, path)) as server:
        server.url = server.url.replace("http", "https")
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            post(server, seconds=LIMIT, verify=str(path))
    assert (caught.value.sent, caught.value.error_type) == (True, "timeout")
    assert time.monotonic() - started < LIMIT + LATENESS


def test_a_server_that_does_not_speak_tls_has_no_body():
    with Server(tcp_server.never_read) as server:
        server.url = server.url.replace("http", "https")
        sent, error_type, _seconds = failure(server, seconds=LIMIT)
    assert (sent, error_type) == (False, "timeout")


def listen(connection):
    """Keep what arrives until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.sock.recv(65536):
            data += piece
    connection.server.requests.append(data)


def refuse(_address):
    raise OSError("not that one")


def test_who_is_at_the_other_end_is_looked_at():
    seen = []
    with Server(tcp_server.answer(b"ok")) as server:
        assert post(server, check_peer=seen.append).content == b"ok"
    assert seen == ["127.0.0.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whoever_is_refused_hears_nothing(scheme):
    """Not the body, not the headers, and no greeting of TLS."""
    with Server(listen) as server:
        server.url = server.url.replace("http", scheme)
        with pytest.raises(TransportError) as caught:
            post(server, check_peer=refuse)
        assert server.done.acquire(timeout=10)
    assert (caught.value.sent, caught.value.error_type) == (False, "connection")
    assert server.requests == [b""]


def test_a_proxy_is_who_is_at_the_other_end(monkeypatch):
    with Server(listen) as server:
        through_proxy(monkeypatch, server)
        with pytest.raises(TransportError) as caught:
            post(At("http://sii.invalid"), check_peer=refuse)
        assert server.done.acquire(timeout=10)
    assert not caught.value.sent
    assert server.requests == [b""]


def through_proxy(monkeypatch, server):
    monkeypatch.delenv("NO_PROXY")
    for name in ("no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)


def test_the_proxy_of_the_machine_is_used(monkeypatch):
    with Server(tcp_server.answer(b"ok")) as server:
        through_proxy(monkeypatch, server)
        assert post(At("http://sii.invalid")).content == b"ok"
    assert server.requests[0].head.startswith("POST http://sii.invalid/path HTTP/1.1\r\n")


def test_the_deadline_holds_through_a_proxy(monkeypatch):
    with Server(tcp_server.drip(b"", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000, 0.02)) as server:
        through_proxy(monkeypatch, server)
        sent, error_type, seconds = failure(At("http://sii.invalid"), seconds=LIMIT)
    assert (sent, error_type) == (True, "timeout")
    assert seconds < LIMIT + LATENESS


def test_connections_are_not_shared_between_calls():
    with Server(*[tcp_server.answer(b"ok")] * 3) as server:
        threads = [threading.Thread(target=post, args=(server,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == 3
    assert server.unused == server.unexpected == 0
