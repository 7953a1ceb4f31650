# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Finds and kills the process at the other end of a local connection, through /proc."""

import logging
import os
import signal
import time
from pathlib import Path

_logger = logging.getLogger(__name__)
PROC = Path("/proc")
# A long /proc/net/tcp is read in pieces, and an entry can be missed while the table changes.
ATTEMPTS, PAUSE = 20, 0.005


def kill(pid):
    """SIGKILL to `pid`, unless it is this process or nobody."""
    if pid <= 1 or pid == os.getpid():
        _logger.warning("event=kill_refused pid=%d", pid)
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        _logger.info("event=kill pid=%d found=no", pid)
        return
    _logger.info("event=kill pid=%d found=yes", pid)


def owner(peer_port, server_port):
    """Process id that owns the local TCP socket peer_port -> server_port, or 0.

    When several processes share the socket (a fork), the youngest number is taken.
    """
    for _attempt in range(ATTEMPTS):
        inode = _inode(peer_port, server_port)
        if inode is not None:
            return _holder(f"socket:[{inode}]")
        time.sleep(PAUSE)
    return 0


def _holder(target):
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and _holds(entry, target)]
    return max((pid for pid in pids if pid != os.getpid()), default=0)


def _inode(peer_port, server_port):
    """Inode of the client's socket in /proc/net/tcp and tcp6 (proc(5))."""
    for name in ("tcp", "tcp6"):
        path = PROC / "net" / name
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            local, remote = (int(fields[column].rpartition(":")[2], 16) for column in (1, 2))
            if (local, remote) == (peer_port, server_port) and fields[9] != "0":
                return fields[9]
    return None


def _holds(entry, target):
    try:
        return any(os.readlink(link) == target for link in (entry / "fd").iterdir())
    except OSError:
        # The process ended while it was looked at, or belongs to somebody else.
        return False
