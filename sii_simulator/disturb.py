# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The faults that act on a connection at a step: kill its other end, never answer, cut it."""

import select
import socket
import struct
import time

from . import peers
from .errors import Dropped
from .faults import STEPS


def disturb(simulator, connection, step, service=None):
    """Lets the faults of `step` act on a connected socket. Raises Dropped when it must be closed without an answer."""
    faults = simulator.faults
    killing = faults.take("kill", service, step) if step in STEPS["kill"] else None
    if killing is not None:
        peers.kill(killing["pid"] or peers.owner(connection.getpeername()[1], connection.getsockname()[1]))
    hanging = faults.take("hang", service, step) if step in STEPS["hang"] else None
    if hanging is not None:
        hold(connection, hanging["seconds"], simulator.stopping)
        raise Dropped
    cutting = faults.take("cut", service, step) if step in STEPS["cut"] else None
    if cutting is not None:
        if cutting["reset"]:
            reset_on_close(connection)
        raise Dropped


def hold(connection, seconds, stopping):
    """Does nothing with a connection until its client closes it, the time is over or the server stops."""
    poller = select.poll()
    poller.register(connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    end = time.monotonic() + seconds
    while not stopping.is_set() and time.monotonic() < end:
        if poller.poll(100):
            return


def reset_on_close(connection):
    """Makes the close of a socket send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
