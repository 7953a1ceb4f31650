# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the set-up found, for the other scripts: `env.load()` gives it, `.variables()` is for child processes."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.common import ROOT, RUN, Stop, write_json

FILE = RUN / "env.json"
ODOO_CONF = RUN / "odoo.conf"
ODOO_BIN = RUN / "odoo-bin"


@dataclass(frozen=True)
class Env:
    """Paths are absolute texts; `pg_host` is the folder of the socket (TCP on 127.0.0.1 works as well)."""

    cache: str
    python: str
    venv: str
    odoo_version: str
    odoo_pythonpath: str
    odoo_addons: list[str]
    pg_bin: str
    pg_host: str
    pg_port: int
    pg_user: str
    schemas: str
    browser: str
    wkhtmltopdf: str

    @property
    def odoo(self) -> list[str]:
        """The command `odoo`, to be followed by a subcommand or by `-c`, str(ODOO_CONF)."""
        return [self.python, str(ODOO_BIN)]

    def exports(self) -> dict[str, str]:
        """The variables that the set-up adds for every program."""
        return {
            "PYTHONPATH": self.odoo_pythonpath,
            "VIRTUAL_ENV": self.venv,
            "ODOO": shlex.join(self.odoo),
            "ODOO_RC": str(ODOO_CONF),
            "PGHOST": self.pg_host,
            "PGPORT": str(self.pg_port),
            "PGUSER": self.pg_user,
            "DTE_SCHEMAS": self.schemas,
            "CHROMIUM": self.browser,
            "WKHTMLTOPDF": self.wkhtmltopdf,
        }

    def variables(self, odoo: bool = True, **more: str) -> dict[str, str]:
        """Environment for a child process: the caller's without what would lead it elsewhere, and `exports`.

        :param odoo: whether `import odoo` shall work; the pure parts are tested without
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            # Odoo reads PGDATABASE and the like; without .pyc files each of its starts takes seconds longer.
            if not name.startswith(("PG", "PYTHON", "MAKE", "MFLAGS"))
        }
        home = kept.get("HOME")
        if not home or not os.access(home, os.W_OK):
            kept["HOME"] = str(RUN / "home")
        path = os.pathsep.join((f"{self.venv}/bin", self.pg_bin, kept.get("PATH", os.defpath)))
        ours = {**kept, **self.exports(), "PATH": path, "PYTHONUNBUFFERED": "1"}
        if not odoo:
            for name in ("PYTHONPATH", "ODOO", "ODOO_RC"):
                del ours[name]
        return {**ours, **more}


def save(env: Env) -> None:
    """Write .run/env.json, .run/env.sh (to be sourced by a shell) and .run/odoo-bin."""
    (RUN / "home").mkdir(parents=True, exist_ok=True)
    write_json(FILE, asdict(env))
    lines = [f"export {name}={shlex.quote(value)}" for name, value in env.exports().items()]
    lines += [
        f'export PATH={shlex.quote(env.venv + "/bin")}:{shlex.quote(env.pg_bin)}:"$PATH"',
        "unset PGDATABASE",
    ]
    (RUN / "env.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # As the checkout's odoo-bin: a script, because `-m odoo` would put the working folder on Python's path.
    ODOO_BIN.write_text("import odoo.cli\n\nodoo.cli.main()\n", encoding="utf-8")


def load() -> Env:
    """Raises Stop when the set-up has not run in this clone."""
    if not FILE.exists():
        raise Stop(f"{FILE.relative_to(ROOT)} is missing: run `make setup`.")
    return Env(**json.loads(FILE.read_text(encoding="utf-8")))


def cache_folder() -> tuple[Path, str]:
    """(folder, remark). The remark is empty, or says why the folder is not the usual one."""
    usual = os.environ.get("L10N_CL_DTE_CACHE")
    if not usual:
        base = os.environ.get("XDG_CACHE_HOME") or (f"{os.environ['HOME']}/.cache" if os.environ.get("HOME") else "")
        usual = f"{base}/l10n_cl_dte" if base else ""
    reason = "HOME is not set"
    if usual:
        folder = Path(usual).expanduser().absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder, ""
            reason = f"{folder} cannot be written"
        except OSError as problem:
            reason = f"{folder}: {problem.strerror}"
    if os.environ.get("L10N_CL_DTE_CACHE"):
        raise Stop(f"L10N_CL_DTE_CACHE={usual} cannot be used: {reason}.")
    folder = RUN / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder, f"the cache is in {folder}, because {reason}"
