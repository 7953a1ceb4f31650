# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The only place that opens sockets: one POST under one deadline, and whether its body can have left."""

# What is overridden here returns nothing; the check means methods of Odoo.
# pylint: disable=missing-return

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
MAX_ANSWER_BYTES = 256 * 1024

# The SII demands "PROG 1.0" here and answers with a web page otherwise (Manual de envío, headers).
USER_AGENT = "Mozilla/4.0 (compatible; PROG 1.0; l10n_cl_dte)"


class Deadline:
    """Seconds that a call with all its parts may take, on a clock that nobody sets."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - self._monotonic())


@dataclass(frozen=True)
class HttpAnswer:
    """What came back: HTTP status and body bytes."""

    status: int
    content: bytes


class TransportError(Exception):
    """No complete answer came.

    :ivar sent: whether any byte of the body was handed to the connection; when False the other side cannot have it
    :ivar error_type: timeout, connection or unavailable
    """

    def __init__(self, reason: str, *, sent: bool, error_type: str):
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.error_type = error_type


class _Body(io.BytesIO):
    """Request body that knows whether anybody began to read it."""

    started = False

    def read(self, *args):
        self.started = True
        return super().read(*args)


class _DeadlineReader(io.RawIOBase):
    """Reads what is there, waiting no longer than the deadline: between two pieces nobody else looks at the clock."""

    def __init__(self, raw: io.RawIOBase, limit: Callable[[], None]):
        super().__init__()
        self._raw = raw
        self._limit = limit

    def readable(self):
        return True

    def readinto(self, buffer):
        self._limit()
        return self._raw.readinto(buffer)

    def close(self):
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """A connected socket whose every wait ends with the deadline, also when the other side moves a byte at a time."""

    def __init__(self, sock, deadline: Deadline):
        self._sock = sock
        self._deadline = deadline

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def sendall(self, data):
        self._limit()
        return self._sock.sendall(data)

    def makefile(self, _mode):
        return io.BufferedReader(_DeadlineReader(self._sock.makefile("rb", buffering=0), self._limit))

    def _limit(self):
        left = self._deadline.left()
        if not left:
            raise TimeoutError("deadline")
        self._sock.settimeout(min(READ_TIMEOUT, left))


def _pools(deadline: Deadline, check_peer: Callable[[str], None] | None) -> dict[str, type]:
    """Return urllib3's pools for connections under this deadline, by scheme."""

    class Limited:
        def _new_conn(self):
            sock = super()._new_conn()
            if check_peer:
                try:
                    check_peer(sock.getpeername()[0])
                except OSError:
                    sock.close()
                    raise
            return sock

        def connect(self):
            super().connect()
            self.sock = _DeadlineSocket(self.sock, deadline)

    def pool_of(pool, connection):
        limited = type(connection.__name__, (Limited, connection), {})
        return type(pool.__name__, (pool,), {"ConnectionCls": limited})

    return {
        "http": pool_of(HTTPConnectionPool, HTTPConnection),
        "https": pool_of(HTTPSConnectionPool, HTTPSConnection),
    }


class _DeadlineAdapter(HTTPAdapter):
    """Puts each connection under a deadline, whatever the caller of the session says."""

    def __init__(self, deadline: Deadline, check_peer: Callable[[str], None] | None = None):
        self._deadline = deadline
        self._check_peer = check_peer
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._deadline, self._check_peer)

    def proxy_manager_for(self, proxy, **options):
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _pools(self._deadline, self._check_peer)
        return manager

    def send(self, request, **options):
        left = max(self._deadline.left(), 0.001)
        options["timeout"] = (min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left))
        return super().send(request, **options)


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    deadline: Deadline,
    *,
    verify: bool | str = True,
    check_peer: Callable[[str], None] | None = None,
) -> HttpAnswer:
    """Send one request over a connection of its own and read the whole answer before the deadline.

    A kept-alive connection is not used: if the other side had closed it meanwhile, nobody could tell whether the body
    arrived.

    :param verify: False is not for production; a path names the certificate authority to trust
    :param check_peer: called with the address of the other side before anything is sent, TLS included; an OSError
        ends it
    :raises TransportError: when there is no complete answer
    """
    tracked = _Body(body)
    headers = {"User-Agent": USER_AGENT, "Connection": "close", "Accept-Encoding": "identity", **headers}
    if not deadline.left():
        raise TransportError("deadline before sending", sent=False, error_type="timeout")
    try:
        with requests.Session() as session:
            session.mount(url, _DeadlineAdapter(deadline, check_peer))
            with session.post(
                url, data=tracked, headers=headers, verify=verify, stream=True, allow_redirects=False
            ) as response:
                return HttpAnswer(response.status_code, _read(response))
    except requests.exceptions.RequestException as error:
        late = isinstance(error, requests.exceptions.Timeout) or not deadline.left()
        error_type = "timeout" if late else "connection"
        raise TransportError(_reason(error), sent=tracked.started, error_type=error_type) from error


def _read(response) -> bytes:
    content = bytearray()
    for piece in response.iter_content(16 * 1024):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise TransportError("answer too long", sent=True, error_type="unavailable")
    return bytes(content)


def _reason(error: Exception) -> str:
    """Return a short cause without addresses or objects; request headers (the token) never stand in it."""
    cause = error
    while getattr(cause, "reason", None) and isinstance(cause.reason, Exception):
        cause = cause.reason
    if cause.args and isinstance(cause.args[0], Exception):
        cause = getattr(cause.args[0], "reason", None) or cause.args[0]
    return type(cause).__name__
