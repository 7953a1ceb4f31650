# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Databases of the private cluster, with their filestores, and Odoo's configuration.

Three templates: `base_HASH` (Odoo with the modules that the addon stands on), `addon_HASH` (the same with the addon
installed) and `queue_HASH` (the same with OCA's queue_job and the addon that glues the two). The hash names what they
were made of; what no longer fits is made again and the old one dropped. A copy of a template takes a fraction of a
second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from dev.common import LOG, ROOT, RUN, Stop, locked, run_logged, say, tail
from dev.env import ODOO_CONF, Env
from dev.postgres import free_port

ADDON = "l10n_cl_dte"
# Stands on ADDON and on queue_job, which the set-up installs among the Python packages: Odoo finds it there.
QUEUE_ADDON = "l10n_cl_dte_queue_job"
ADDONS = (ADDON, QUEUE_ADDON)
BASE_MODULES = "l10n_cl,certificate,account_debit_note"
# The first becomes the language of the users that are there from the start.
LANGUAGES = "en_US,es_419,es_CL"
DATA = RUN / "odoo-data"
LOCK = RUN / "databases.lock"
# Change it when the way templates are made changes.
RECIPE = 1


def write_conf(env: Env) -> None:
    """Write .run/odoo.conf: the one configuration of every Odoo that is started here."""
    secret = RUN / "odoo-admin-password"
    if not secret.exists() or not secret.read_text(encoding="ascii"):
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(18), encoding="ascii")
    settings = {
        "addons_path": ",".join([*env.odoo_addons, str(ROOT)]),
        "data_dir": DATA,
        "db_host": env.pg_host,
        "db_port": env.pg_port,
        "db_user": env.pg_user,
        "admin_passwd": secret.read_text(encoding="ascii"),
        "list_db": False,
        "with_demo": False,
        "http_interface": "127.0.0.1",
        # A call to the SII may take 75 s, so Odoo's own limit of 120 s leaves too little room.
        "limit_time_real": 180,
        "limit_time_real_cron": 180,
    }
    text = "[options]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    ODOO_CONF.touch(mode=0o600)
    ODOO_CONF.write_text(text, encoding="utf-8")


def sql(env: Env, statement: str, database: str = "postgres", **values: str) -> list[str]:
    """Run one statement; rows as lines, columns separated by |. Raises Stop with PostgreSQL's words.

    :param values: for :'name' (a text) and :"name" (an identifier) in the statement
    """
    command = [f"{env.pg_bin}/psql", "-X", "-q", "-A", "-t", "-d", database, "-v", "ON_ERROR_STOP=1"]
    for name, value in values.items():
        command += ["-v", f"{name}={value}"]
    done = subprocess.run(command, input=statement, capture_output=True, text=True, check=False, env=env.variables())
    if done.returncode:
        raise Stop(f"PostgreSQL refused: {statement} {values or ''}\n{done.stderr.strip()}")
    return done.stdout.splitlines()


def names(env: Env) -> list[str]:
    return sql(env, "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")


def drop(env: Env, name: str) -> None:
    """Drop a database, whoever is connected, and its filestore; nothing happens when there is none."""
    # Not WITH (FORCE): that is refused while the server's own vacuum is in there, which a plain DROP waits for.
    sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name' AND usename = user"
    sql(env, sessions, name=name)
    sql(env, 'DROP DATABASE IF EXISTS :"name"', name=name)
    shutil.rmtree(filestore(name), ignore_errors=True)


def filestore(name: str) -> Path:
    return DATA / "filestore" / name


def copy(env: Env, template: str, name: str) -> None:
    """Make the database `name` as a copy of `template`; filestore files, which never change, are linked."""
    drop(env, name)
    sql(env, 'CREATE DATABASE :"name" TEMPLATE :"template"', name=name, template=template)
    if filestore(template).exists():
        shutil.copytree(filestore(template), filestore(name), copy_function=os.link)


def base_template(env: Env) -> str:
    """Name of the database with Odoo and the modules we depend on; made now if need be (about a minute)."""
    with locked(LOCK):
        return ensure_base(env)


def addon_template(env: Env) -> str:
    """Name of the database with the addon installed as it is in the work tree; made now if need be."""
    with locked(LOCK):
        return ensure_addon(env)


def create(env: Env, name: str, addon: str = ADDON) -> None:
    """A fresh database with one of ADDONS as it is in the work tree; one of that name is dropped first."""
    with locked(LOCK):
        copy(env, ensure_queue(env) if addon == QUEUE_ADDON else ensure_addon(env), name)


def ensure_base(env: Env) -> str:
    made_of = [RECIPE, env.odoo_version, Path(env.venv).name, BASE_MODULES, LANGUAGES]
    name = f"base_{digest(json.dumps(made_of).encode())}"

    def fill(building: str) -> None:
        install(env, building, BASE_MODULES, "--load-language", LANGUAGES)

    return make_template(env, name, fill)


def ensure_addon(env: Env) -> str:
    base = ensure_base(env)

    def fill(building: str) -> None:
        copy(env, base, building)
        install(env, building, ADDON)

    return make_template(env, f"addon_{digest(base.encode(), *addon_content(ADDON))}", fill)


def ensure_queue(env: Env) -> str:
    addon = ensure_addon(env)

    def fill(building: str) -> None:
        copy(env, addon, building)
        install(env, building, QUEUE_ADDON)

    return make_template(env, f"queue_{digest(addon.encode(), *addon_content(QUEUE_ADDON))}", fill)


def make_template(env: Env, name: str, fill) -> str:
    """Fill a database under another name and rename it when it is whole; drop the templates it replaces.

    The caller holds LOCK.
    """
    existing = names(env)
    if name in existing:
        return name
    kind = name.partition("_")[0]
    say(f"  making the database {name}")
    began = time.monotonic()
    building = f"{kind}_building"
    drop(env, building)
    fill(building)
    shutil.rmtree(filestore(name), ignore_errors=True)
    if filestore(building).exists():
        filestore(building).rename(filestore(name))
    sql(env, 'ALTER DATABASE :"building" RENAME TO :"name"', building=building, name=name)
    for old in existing:
        if old.startswith(f"{kind}_") and old != building:
            drop(env, old)
    say(f"  made the database {name}  ({time.monotonic() - began:.1f} s)")
    return name


def install(env: Env, database: str, modules: str, *options: str) -> None:
    """Install modules with Odoo.

    Raises Stop when that fails, logs an error, or leaves a module not installed.
    """
    log = LOG / f"install-{modules.partition(',')[0]}.log"
    command = [*env.odoo, "-c", str(ODOO_CONF), "-d", database, "-i", modules, *options]
    command += ["--skip-auto-install", "--stop-after-init", "--no-http"]
    run_logged(f"Installing {modules}", command, log, env=env.variables(), cwd=RUN)
    errors = [line for line in log.read_text(encoding="utf-8").splitlines() if re.search(r" (ERROR|CRITICAL) ", line)]
    installed = sql(env, "SELECT name FROM ir_module_module WHERE state = 'installed'", database)
    missing = set(modules.split(",")) - set(installed)
    if errors or missing:
        found = "\n".join(errors) or f"Not installed after it: {', '.join(missing)}\n{tail(log)}"
        raise Stop(f"Installing {modules} failed.\n{found}\nFull log: {log}")


def digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:10]


def addon_content(addon: str) -> Iterator[bytes]:
    """Name and content of every file of an addon that can change what an installation writes."""
    folder = ROOT / addon
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] not in ("tests", "static", "readme") and path.suffix != ".pyc":
            yield str(inner).encode()
            yield path.read_bytes()


@contextlib.contextmanager
def scratch(env: Env, label: str, addon: str = ADDON) -> Iterator[str]:
    """A database with one of ADDONS for the time of the block; gives its name, test_LABEL_PID."""
    drop_abandoned(env)
    name = f"test_{label}_{os.getpid()}"
    create(env, name, addon)
    try:
        yield name
    finally:
        drop(env, name)


@contextlib.contextmanager
def new(env: Env, label: str, language: str, login: str, password: str) -> Iterator[str]:
    """A database as Odoo makes it for whoever begins, without any addon of ours, for the time of the block."""
    drop_abandoned(env)
    name = f"test_{label}_{os.getpid()}"
    command = [*env.odoo, "db", "-c", str(ODOO_CONF), "init", "--language", language, "--username", login]
    try:
        log = LOG / f"new-{label}.log"
        run_logged("Making a database", [*command, f"--password={password}", name], log, env=env.variables(), cwd=RUN)
        yield name
    finally:
        drop(env, name)


def drop_abandoned(env: Env) -> None:
    """Drop the test databases whose process was killed before it could."""
    for name in names(env):
        owner = re.fullmatch(r"test_\w+_(\d+)", name)
        if owner and not Path(f"/proc/{owner.group(1)}").exists():
            drop(env, name)


def run_code(env: Env, database: str, code: str, log: Path | None = None, **more: str) -> int:
    """Run Python with `env` and `self` of that database (user root), as `odoo shell` gives them.

    What it does is kept only where it calls env.cr.commit(). Returns its exit code: that of sys.exit, 1 after
    an exception.

    :param log: where Odoo's log and a traceback go; the caller's error stream when None
    :param more: further environment variables
    """
    command = [*env.odoo, "shell", "-c", str(ODOO_CONF), "-d", database, "--no-http", "--log-level", "warn"]
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("w")) if log else None
        return subprocess.run(
            command, input=code, text=True, check=False, cwd=RUN, env=env.variables(**more), stderr=errors
        ).returncode


def run_script(env: Env, database: str, script: Path, log: Path | None = None, **more: str) -> int:
    """run_code for a file; its tracebacks name the file."""
    arguments = "init_globals=dict(env=env, self=self, odoo=odoo), run_name='__main__'"
    return run_code(env, database, f"import runpy; runpy.run_path({str(script)!r}, {arguments})\n", log, **more)


def serve_command(env: Env, database: str, port: int | None = None, *options: str) -> list[str]:
    """Command line of an Odoo server for one database at 127.0.0.1:port (a free one when None)."""
    return [
        *env.odoo,
        "-c",
        str(ODOO_CONF),
        "-d",
        database,
        "--db-filter",
        f"^{re.escape(database)}$",
        "--http-port",
        str(port or free_port()),
        *options,
    ]
