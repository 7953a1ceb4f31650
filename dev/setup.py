# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make setup`: bring a machine from nothing to where every command works. Safe to repeat and to interrupt."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dev import databases, env, odoo_source, python_env, schemas, system_packages
from dev.common import RUN, locked, remove_parts, say, step, write_json
from dev.interpreter import find_python
from dev.postgres import ROLE, Cluster


def set_up() -> env.Env:
    """Do what is missing, print one line per step, write .run/env.json and .run/setup.json."""
    began = time.monotonic()
    say("Set-up")
    RUN.mkdir(exist_ok=True)
    cache, remark = env.cache_folder()
    if remark:
        say(f"  {remark}")
    seconds = {}
    with locked(RUN / "setup.lock"), locked(cache / "lock"):
        remove_parts(cache)
        found = tools_and_packages(cache, seconds)
        with step("PostgreSQL", seconds) as line:
            cluster = Cluster(found["pg_bin"])
            cluster.ensure()
            line["detail"] = f"port {cluster.port}"
        result = env.Env(cache=str(cache), pg_host=str(cluster.home), pg_port=cluster.port, pg_user=ROLE, **found)
        env.save(result)
        databases.write_conf(result)
    total = round(time.monotonic() - began, 1)
    write_json(RUN / "setup.json", {"seconds": total, "steps": seconds})
    say(f"Set-up done ({total:.1f} s)")
    return result


def tools_and_packages(cache: Path, seconds: dict) -> dict:
    """Everything of Env that does not depend on the cluster."""
    with step("programs", seconds) as line:
        programs = system_packages.find_programs()
        line["detail"] = ", ".join(programs.values())
    with step("Python", seconds) as line:
        home = Path(os.environ.get("HOME") or "/nonexistent")
        version, python = find_python(os.environ.get("PATH", os.defpath), home, os.environ.get("PYTHON", ""))
        line["detail"] = f"{version} {python}"
    with step("Odoo", seconds) as line:
        odoo = odoo_source.ensure_odoo(cache)
        line["detail"] = odoo["version"]
    with step("packages", seconds) as line:
        requirements = Path(odoo["requirements"]) if odoo["requirements"] else None
        venv = python_env.ensure_venv(cache / "venvs", python, version, requirements)
        line["detail"] = str(venv)
    with step("SII schemas", seconds) as line:
        folder = cache / f"schemas-{schemas.VERSION}"
        if not folder.exists():
            schemas.fetch_schemas(f"{venv}/bin/python", folder)
        line["detail"] = str(folder)
    return {
        "python": f"{venv}/bin/python",
        "venv": str(venv),
        "odoo_version": odoo["version"],
        "odoo_pythonpath": odoo["pythonpath"],
        "odoo_addons": odoo["addons"],
        "pg_bin": programs["postgres"],
        "schemas": str(folder),
        "browser": programs["browser"],
        "wkhtmltopdf": programs["wkhtmltopdf"],
    }
