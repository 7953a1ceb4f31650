# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What every command here uses. Standard library only, Python 3.9+: it runs before Odoo's Python is found."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / ".run"
LOG = RUN / "log"

# What a failed tool prints, and what to do about it.
HINTS = (
    (r"No space left on device|Disk quota exceeded", "The disk is full: free some space and run it again."),
    (
        r"Temporary failure (in name )?resolution|Could not resolve|Name or service not known|"
        r"Network is unreachable|Failed to establish a new connection|Connection timed out",
        "The network cannot be reached; set-up needs it once. Check the connection or proxy and run it again.",
    ),
    (r"Could not get lock|is another process using it", "Another package manager is running: wait for it."),
)


class Stop(Exception):
    """The command cannot go on. The text says what is missing and how to get it."""


def say(text: str) -> None:
    print(text, flush=True)


def flag(name: str) -> bool:
    """Whether an option such as ONCE=1 was given to make."""
    return os.environ.get(name, "") not in ("", "0")


@contextlib.contextmanager
def step(name: str, seconds: dict[str, float]):
    """Print one line `name  detail  (seconds)` when the block ends, and note the time in `seconds[name]`.

    The block says what came out: `line["detail"] = ...`.
    """
    began = time.monotonic()
    line = {"detail": ""}
    yield line
    seconds[name] = round(time.monotonic() - began, 1)
    say(f"  {name:<11} {line['detail']}  ({seconds[name]:.1f} s)")


def write_json(path: Path, content: dict) -> None:
    """Write a result file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def run_logged(what: str, command: list, log: Path, **options) -> None:
    """Run a tool with its output in `log`.

    Raises Stop with the end of that output, and a hint when the cause is a usual one.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        output.write(f"$ {' '.join(map(str, command))}\n")
        output.flush()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, **options
        )
    if done.returncode:
        raise Stop(f"{what} failed (exit code {done.returncode}).\n{tail(log)}\n{hint(log)}Full log: {log}")


def hint(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    return "".join(f"{advice}\n" for pattern, advice in HINTS if re.search(pattern, text))


@contextlib.contextmanager
def locked(path: Path):
    """One process at a time inside the block. The lock ends with the process, also when it is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  waiting for another command that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def made_whole(target: Path):
    """A folder to fill that gets its name `target` only when the block ends well.

    What a killed process leaves has another name (see remove_parts) and is never taken for the whole thing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".part-{target.name}-", dir=target.parent))
    try:
        yield part
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left; call it with the lock of that folder."""
    for part in folder.glob(".part-*"):
        shutil.rmtree(part, ignore_errors=True)


def need_space(folder: Path, gigabytes: float) -> None:
    """Raises Stop when less than that is free where `folder` is."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Stop(f"{folder} has {free:.1f} GB free; about {gigabytes} GB are needed. Free some space.")


def guarded(main) -> int:
    """Run `main` and turn what a person can repair into plain words: no traceback, exit code 1."""
    try:
        return main() or 0
    except Stop as problem:
        sys.stdout.flush()
        print(f"\n{problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted. Running it again goes on from here.", file=sys.stderr)
        return 130
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        print(f"\n{problem.strerror}: {problem.filename or ''}", file=sys.stderr)
    return 1
