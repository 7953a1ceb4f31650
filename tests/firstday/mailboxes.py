# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The two sides of a mail server, on this machine: one that takes every mail, and an empty mailbox to look into."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from dev.postgres import free_port

PATIENCE_SECONDS = 120


class Sink:
    """An SMTP server that keeps what it is given."""

    def __init__(self):
        self.mails: list[EmailMessage] = []
        self.arrived = threading.Condition()
        self.port = free_port()

    async def handle_DATA(self, _server, _session, envelope) -> str:
        with self.arrived:
            mail = message_from_bytes(envelope.content, policy=policy.default)
            mail["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
            self.mails.append(mail)
            self.arrived.notify_all()
        return "250 OK"

    def await_mail(self, address: str) -> EmailMessage:
        """Return the first mail to an address as soon as it is there."""

        def found():
            return next((mail for mail in self.mails if address in mail["X-Envelope-To"]), None)

        with self.arrived:
            assert self.arrived.wait_for(found, PATIENCE_SECONDS), f"no mail to {address}: {self.mails}"
            return found()


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    handler = Sink()
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


class _Mailbox(socketserver.StreamRequestHandler):
    """POP3 (RFC 1939) for whoever logs in, without a mail in it."""

    ANSWERS = {b"STAT": b"+OK 0 0", b"LIST": b"+OK\r\n.", b"QUIT": b"+OK"}

    def handle(self):
        self.wfile.write(b"+OK\r\n")
        for line in self.rfile:
            command = line.split()[0].upper()
            self.wfile.write(self.ANSWERS.get(command, b"+OK") + b"\r\n")
            if command == b"QUIT":
                return


@contextlib.contextmanager
def mailbox() -> Iterator[int]:
    """Give the port of an empty mailbox."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
