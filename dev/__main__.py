# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`python -m dev COMMAND`: what the Makefile calls. Options come as variables (PART, ONCE, OUT...)."""

from __future__ import annotations

import os
import shutil
import signal
import sys

from dev import processes
from dev.common import ROOT, RUN, Stop, guarded, say
from dev.postgres import LINK, Cluster
from dev.setup import set_up
from dev.system_packages import find_postgres

COMMANDS = {
    "setup": "bring this machine to where every other command works",
    "stop": "stop what was started here (PostgreSQL, simulator, Odoo)",
    "clean": "stop, and delete .run (databases, logs, results); the cache folder stays",
    "lint": "ruff, import contracts, pylint-odoo, upgrade_code, translations",
    "i18n": "export the .pot and merge it into the .po files",
    "test": "run the suite; PART=libs|simulator|odoo|queue|browser|concurrency|dev|volume runs one part",
    "demo": "issue one document of each type and serve Odoo; ONCE=1 stops after the table, PORT=8069, KEEP=1",
    "samples": "write sample envelopes to OUT=folder",
    "screenshots": "take the pictures of the documentation, into docs/images",
    "chaos": "issue N=200 documents while everything goes wrong, compare the books; SEED=1 or random, QUEUE=queue_job",
    "bench": "measure; SHORT=1 for the short run",
    "load": "8 users send in the background while N=1000 documents are in flight; SECONDS=60, USERS=8, SHORT=1",
    "shell": "Odoo's Python shell; DB=name (default: demo, else a fresh database)",
}


def main() -> int:
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    # So that `finally` runs and no child outlives us when we are asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if command == "help":
        for name, text in COMMANDS.items():
            say(f"  make {name:<11} {text}")
        return 0
    if command not in COMMANDS:
        raise Stop(f"There is no command {command}. `make help` lists them.")
    if command == "stop":
        return stop()
    if command == "clean":
        return clean()
    env = set_up()
    if command == "setup":
        return 0
    os.chdir(ROOT)
    child = [env.python, "-m", "dev.commands", command]
    os.execve(env.python, child, {**os.environ, "PYTHONPATH": ""})  # noqa: S606 (does not return)


def stop() -> int:
    stopped = processes.stop_all()
    if cluster := existing_cluster():
        stopped += ["PostgreSQL"] if cluster.stop() else []
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def clean() -> int:
    stop()
    if cluster := existing_cluster():
        cluster.remove()
    if RUN.exists():
        shutil.rmtree(RUN)
    say(f"deleted {RUN.relative_to(ROOT)}")
    return 0


def existing_cluster() -> Cluster | None:
    folder = find_postgres()
    return Cluster(folder) if folder and (LINK.exists() or LINK.is_symlink()) else None


if __name__ == "__main__":
    sys.exit(guarded(main))
