# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Background programs that outlive the command that started them, remembered in .run/NAME.pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from dev.common import RUN, write_json


def started(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None when it is gone. With the pid it names one."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields[18]


def remember(name: str, process: subprocess.Popen) -> None:
    write_json(RUN / f"{name}.pid", {"pid": process.pid, "started": started(process.pid)})


def remembered(name: str) -> int | None:
    """Pid of that program when it still runs; a pid that somebody else has by now does not count."""
    try:
        noted = json.loads((RUN / f"{name}.pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return noted["pid"] if noted["started"] and started(noted["pid"]) == noted["started"] else None


def stop(name: str) -> bool:
    """End that program, first kindly; False when it did not run."""
    pid = remembered(name)
    if pid:
        end(pid)
    (RUN / f"{name}.pid").unlink(missing_ok=True)
    return bool(pid)


def end(pid: int, patience: float = 15) -> None:
    """SIGTERM, and SIGKILL when that did not help within `patience` seconds."""
    mark = started(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + patience
        while mark and started(pid) == mark and time.monotonic() < until:
            time.sleep(0.05)


def stop_all() -> list[str]:
    """End every remembered program; their names."""
    return [path.stem for path in sorted(RUN.glob("*.pid")) if stop(path.stem)]
