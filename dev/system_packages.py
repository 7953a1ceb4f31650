# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Programs that come from the system: PostgreSQL, a browser, wkhtmltopdf."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from dev.common import LOG, Stop, run_logged, say

POSTGRES_MIN = 13
# The names and the order in which Odoo's test framework looks for its browser.
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")


def find_postgres() -> str | None:
    """Folder of the newest PostgreSQL server's programs."""
    folders = sorted(
        (folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()),
        key=lambda folder: int(folder.parent.name),
        reverse=True,
    )
    on_path = shutil.which("pg_ctl")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres", "psql")):
            answer = subprocess.run([folder / "postgres", "-V"], capture_output=True, text=True, check=False)
            version = re.search(r"PostgreSQL\) (\d+)", answer.stdout)
            if version and int(version.group(1)) >= POSTGRES_MIN:
                return str(folder)
    return None


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


PROGRAMS = {
    # program: (how to find it, Debian packages)
    "postgres": (find_postgres, ["postgresql"]),
    "browser": (find_browser, ["chromium", "fonts-liberation"]),
    "wkhtmltopdf": (lambda: shutil.which("wkhtmltopdf"), ["wkhtmltopdf", "fonts-liberation"]),
}


def find_programs() -> dict[str, str]:
    """Where each program is; installs what is missing when it can. Raises Stop when it cannot."""
    found = {name: find() for name, (find, _packages) in PROGRAMS.items()}
    missing = [name for name in found if not found[name]]
    if missing:
        install(sorted({package for name in missing for package in PROGRAMS[name][1]}))
        found = {name: find() for name, (find, _packages) in PROGRAMS.items()}
        still = [name for name in found if not found[name]]
        if still:
            raise Stop(f"Installed, but not found: {', '.join(still)} (PostgreSQL must be {POSTGRES_MIN} or later).")
    return found


def install(packages: list[str]) -> None:
    """apt-get install. Raises Stop with the command to type when this user or system cannot do it."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages]
    if not shutil.which("apt-get"):
        raise Stop(f"Missing: {' '.join(packages)} (Debian's names). Install them with this system's package manager.")
    if os.geteuid() != 0:
        raise Stop(f"Missing: {' '.join(packages)}. Install them:\n  sudo apt-get install {' '.join(packages)}")
    say(f"  installing {' '.join(packages)} with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = LOG / "apt-install.log"
    try:
        run_logged("apt-get install", command, log, env=environment)
    except Stop:
        # Package lists that are empty or too old; on any other cause the second try fails in the same way.
        run_logged("apt-get update", ["apt-get", "update"], LOG / "apt-update.log", env=environment)
        run_logged("apt-get install", command, log, env=environment)
