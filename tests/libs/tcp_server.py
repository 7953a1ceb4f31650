# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A TCP server that answers each connection with the next behaviour of a script, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

Behaviour = Callable[["Connection"], None]


@dataclass
class Request:
    """What arrived on one connection: head as text, body as bytes."""

    head: str
    body: bytes

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.head.split("\r\n")[1:] if line)


class Connection:
    """One accepted connection; behaviours read and write on it."""

    def __init__(self, server: Server, sock: socket.socket):
        self.server = server
        self.sock = sock

    def read(self) -> Request:
        """Read one whole request by its Content-Length and keep it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _separator, body = data.partition(b"\r\n\r\n")
        request = Request(head.decode("ascii"), body)
        length = int(request.headers.get("Content-Length", 0))
        pieces, size = [body], len(body)
        while size < length:
            pieces.append(self._receive())
            size += len(pieces[-1])
        request.body = b"".join(pieces)
        self.server.requests.append(request)
        return request

    def _receive(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client went away")
        return data

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hold(self):
        """Do nothing until the test is over or the client goes away."""
        self.sock.settimeout(0.05)
        while not self.server.over.is_set():
            try:
                if not self.sock.recv(1):
                    return
            except TimeoutError:
                continue


class Server:
    """Use as a context manager. Connections beyond the script are refused with a note in `unexpected`."""

    def __init__(self, *behaviours: Behaviour, port: int = 0):
        self.requests: list[Request] = []
        self.unexpected = 0
        self.over = threading.Event()
        # Released once for each connection that a behaviour is done with.
        self.done = threading.Semaphore(0)
        self._script = list(behaviours)
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in [self._accepting, *self._threads]:
            thread.join(10)

    @property
    def unused(self) -> int:
        """Behaviours that no connection asked for."""
        return len(self._script)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _address = self._listener.accept()
                if not self._script:
                    self.unexpected += 1
                    sock.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(self._script.pop(0), sock), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, behaviour, sock):
        with sock, contextlib.suppress(OSError):
            behaviour(Connection(self, sock))
        self.done.release()


def response(body: bytes, status: str = "200 OK", content_type: str = "text/xml", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def answer(body: bytes, status: str = "200 OK") -> Behaviour:
    """Read the request, answer, close."""

    def behave(connection):
        connection.read()
        connection.sock.sendall(response(body, status))

    return behave


def raw(data: bytes) -> Behaviour:
    """Read the request and answer with exactly these bytes."""

    def behave(connection):
        connection.read()
        connection.sock.sendall(data)

    return behave


def close_at_once(connection):
    """Close before anything is read."""
    connection.reset()


def close_after_head(connection):
    """Read the first bytes only and reset."""
    connection.sock.recv(10)
    connection.reset()


def close_after_body(connection):
    """Take everything, answer nothing."""
    connection.read()


def reset_after_body(connection):
    connection.read()
    connection.reset()


def never_answer(connection):
    connection.read()
    connection.hold()


def never_read(connection):
    """Swallow: the client's bytes pile up in the buffers."""
    connection.server.over.wait(20)


def cut_answer(data: bytes) -> Behaviour:
    """Send the beginning of an answer and reset."""

    def behave(connection):
        connection.read()
        connection.sock.sendall(data)
        connection.server.over.wait(0.05)
        connection.reset()

    return behave


def drip(before: bytes, drops: bytes, pause: float, seconds: float = 5.0) -> Behaviour:
    """Send `before`, then one byte of `drops` again and again for some seconds."""

    def behave(connection):
        connection.read()
        connection.sock.sendall(before)
        for number in range(int(seconds / pause)):
            if connection.server.over.wait(pause):
                return
            connection.sock.sendall(drops[number % len(drops) :][:1])

    return behave


def read_slowly(pause: float) -> Behaviour:
    """Take the request a little at a time."""

    def behave(connection):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not connection.server.over.wait(pause) and connection.sock.recv(4096):
            pass

    return behave


@contextlib.contextmanager
def closed_port():
    """A port where nobody listens, held so that nobody else takes it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextlib.contextmanager
def full_port():
    """A port whose queue is full: a new connection gets no answer at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
