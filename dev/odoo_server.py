# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo as a server, for the demo and for what is measured or disturbed while it serves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev import databases, processes
from dev.common import LOG, RUN, Stop, tail
from dev.env import Env
from dev.postgres import free_port


@dataclass(frozen=True)
class Server:
    """A running Odoo: its first process, where it listens, and where it writes."""

    process: subprocess.Popen
    url: str
    log: Path


@contextlib.contextmanager
def running(env: Env, name: str, database: str, simulator_url: str, *options: str, port: int = 0) -> Iterator[Server]:
    """Odoo with its scheduled jobs for one database, for the time of the block.

    :param name: for its log (.run/log/NAME.log) and for `make stop`
    :param options: further options of Odoo's command line
    :param port: a free one when 0
    Raises Stop with the end of its log when it does not come up.
    """
    processes.stop(name)
    LOG.mkdir(parents=True, exist_ok=True)
    log, port = LOG / f"{name}.log", port or free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            databases.serve_command(env, database, port, *options),
            cwd=RUN,
            env=env.variables(DTE_SIMULATOR_URL=simulator_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    processes.remember(name, process)
    try:
        wait_until_served(process, f"http://127.0.0.1:{port}/web/login", log)
        yield Server(process, f"http://127.0.0.1:{port}", log)
    finally:
        processes.end(process.pid)
        # With workers it is a group of processes; none of them outlives the first one for long, but nobody waits.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        processes.stop(name)


def wait_until_served(process: subprocess.Popen, url: str, log: Path) -> None:
    """Return when Odoo answers. Raises Stop with the end of its log when it does not."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=60).close()  # noqa: S310 (our own http address)
            return
        except OSError:
            time.sleep(0.2)
    raise Stop(f"Odoo did not come up.\n{tail(log)}\nLog: {log}")
