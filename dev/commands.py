# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The commands that need what the set-up made; they run with the venv's Python (see __main__)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from dev import databases, demo, env, lint, run_tests, translations
from dev.common import ROOT, RUN, Stop, flag, guarded, say


def samples(found: env.Env) -> int:
    """tests/samples/make_samples.py FOLDER"""
    out = os.environ.get("OUT")
    if not out:
        raise Stop("Say where the samples go: make samples OUT=folder")
    return run_file(found, "tests/samples/make_samples.py", os.path.abspath(out))


def bench(found: env.Env) -> int:
    """tests/bench/run.py .run/bench.json [--short]"""
    return run_file(found, "tests/bench/run.py", str(RUN / "bench.json"), *(["--short"] if flag("SHORT") else []))


def chaos(found: env.Env) -> int:
    """tests/chaos, in this process: it ends what it started also when it is interrupted"""
    from tests.chaos import run  # noqa: PLC0415 (needs packages that other commands do without)

    return run.chaos(found, RUN / "chaos.json")


def load(found: env.Env) -> int:
    """tests/load, in this process: it ends what it started also when it is interrupted"""
    from tests.load import run  # noqa: PLC0415 (needs packages that other commands do without)

    return run.load(found, RUN / "load.json")


def screenshots(found: env.Env) -> int:
    """dev/screenshots.py"""
    from dev import screenshots as command  # noqa: PLC0415 (needs packages that other commands do without)

    return command.screenshots(found)


def run_file(found: env.Env, script: str, *options: str) -> int:
    """Run a script of the clone; it can import what the tests can (see pythonpath in pyproject.toml) and Odoo."""
    if not (ROOT / script).exists():
        raise Stop(f"{script} does not exist.")
    path = os.pathsep.join((str(ROOT), str(ROOT / databases.ADDON), found.odoo_pythonpath))
    command = [found.python, script, *options]
    return subprocess.run(command, cwd=ROOT, env=found.variables(PYTHONPATH=path), check=False).returncode


def shell(found: env.Env) -> int:
    """On the database DB, else on `demo`, else on a fresh one called `shell`."""
    existing = databases.names(found)
    name = os.environ.get("DB") or ("demo" if "demo" in existing else "shell")
    if name == "shell":
        databases.create(found, name)
    elif name not in existing:
        raise Stop(f"There is no database {name}. There are: {', '.join(existing)}.")
    command = [*found.odoo, "shell", "-c", str(env.ODOO_CONF), "-d", name, "--no-http"]
    return subprocess.run(command, env=found.variables(), check=False).returncode


COMMANDS = {
    "lint": lint.lint,
    "i18n": translations.update,
    "test": lambda found: run_tests.run_tests(found, os.environ.get("PART", "")),
    "demo": demo.demo,
    "samples": samples,
    "screenshots": screenshots,
    "bench": bench,
    "chaos": chaos,
    "load": load,
    "shell": shell,
}


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    code = COMMANDS[sys.argv[1]](env.load())
    say(f"make {sys.argv[1]}: {'done' if code == 0 else 'FAILED'} ({time.monotonic() - began:.1f} s)")
    return code


if __name__ == "__main__":
    sys.exit(guarded(main))
