# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A listening port: accepts connections, one thread each, and closes itself while a fault refuses them."""

import logging
import select
import socket
import ssl
import threading

from .connection import Connection
from .disturb import disturb, reset_on_close
from .errors import Dropped, UsageError

_logger = logging.getLogger(__name__)

BACKLOG = 1024
TICK = 0.05
HANDSHAKE_SECONDS = 10


class Listener:
    """Serves one port. `context` is the TLS context, or None; faults do not reach a `control_only` port."""

    def __init__(self, simulator, host, port, *, context=None, control_only=False):
        self.simulator = simulator
        self.is_tls = context is not None
        self._context = context
        self.control_only = control_only
        self._socket = _bound(host, port)
        self._address = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._run, name=f"listener-{self.port}", daemon=True)

    @property
    def port(self):
        return self._address[1]

    def url(self):
        host = "127.0.0.1" if self._address[0] == "0.0.0.0" else self._address[0]  # noqa: S104  a comparison
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}"

    def start(self):
        self._thread.start()

    def join(self):
        self._thread.join()

    def _run(self):
        while not self.simulator.stopping.is_set():
            if not self.control_only and self.simulator.faults.is_refusing():
                self._close_while_refusing()
                continue
            if select.select([self._socket], [], [], TICK)[0]:
                connection, address = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection, address), daemon=True).start()
        self._socket.close()

    def _close_while_refusing(self):
        self._socket.close()
        while self.simulator.faults.is_refusing() and not self.simulator.stopping.wait(TICK):
            pass
        self._socket = _bound(*self._address)

    def _serve(self, connection, address):
        try:
            with connection:
                if not self.control_only:
                    disturb(self.simulator, connection, "connected")
                if self._context is None:
                    Connection(connection, address, self)
                else:
                    self._serve_tls(connection, address)
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            _logger.info("event=connection_lost error=%s", type(error).__name__)
        except Dropped:
            pass

    def _serve_tls(self, connection, address):
        if self.simulator.faults.take("tls_failure") is not None:
            reset_on_close(connection)
            raise Dropped
        connection.settimeout(HANDSHAKE_SECONDS)
        with self._context.wrap_socket(connection, server_side=True) as secure:
            Connection(secure, address, self)


def tls_context(pem_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pem_path)
    return context


def _bound(host, port):
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}") from error
