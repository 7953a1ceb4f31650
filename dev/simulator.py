# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Start the local SII (`python -m sii_simulator serve`)."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from dev import processes
from dev.common import LOG, ROOT, Stop, tail
from dev.env import Env

READY_SECONDS = 60


def exists() -> bool:
    return (ROOT / "sii_simulator" / "__main__.py").exists()


@contextlib.contextmanager
def running(env: Env, name: str, data: Path, keep: bool = False) -> Iterator[str]:
    """A simulator on a free port for the time of the block; gives its URL.

    :param name: for its log (.run/log/NAME.log) and for `make stop`
    :param data: its folder; deleted first unless `keep`
    Raises Stop with the end of its log when it does not come up.
    """
    processes.stop(name)
    if not keep:
        shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, exist_ok=True)
    (data / "server.json").unlink(missing_ok=True)
    LOG.mkdir(parents=True, exist_ok=True)
    log = LOG / f"{name}.log"
    command = [env.python, "-m", "sii_simulator", "serve", "--port", "0", "--data", str(data)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--schemas", env.schemas],
            cwd=ROOT,
            env=env.variables(odoo=False),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    processes.remember(name, process)
    try:
        yield wait_for_url(process, data / "server.json", log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.stop(name)


def wait_for_url(process: subprocess.Popen, ready: Path, log: Path) -> str:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if ready.exists():
            return json.loads(ready.read_text(encoding="utf-8"))["url"]
        time.sleep(0.05)
    raise Stop(f"The simulator did not come up.\n{tail(log)}\nLog: {log}")
