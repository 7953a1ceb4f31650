# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The venv with our packages and Odoo's."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from dev.common import LOG, ROOT, Stop, need_space, run_logged, say

OURS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
# Odoo addons. Their metadata names Odoo as a package, which pip could not find: installed without dependencies.
ADDONS = ROOT / "requirements-addons.txt"
ODOO_LIST = ROOT / "dev" / "requirements-odoo.txt"
# In Odoo's own list but not wanted: needs a compiler and headers, and only auth_ldap uses it.
UNWANTED = {"python-ldap"}
# One distribution under two names: ours is the one without a compiler.
SAME = {"psycopg2": "psycopg2-binary"}
CHECK = "import lxml.etree, xmlsec, psycopg2, zeep; xmlsec.SignatureContext()"


def package_name(line: str) -> str:
    """Normalised name of the package in a line of a requirement file, or an empty text."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def odoo_requirements(listed: str, ours: str) -> str:
    """Odoo's requirement lines without those of packages that our files name: our bounds decide for them."""
    named = {package_name(line) for line in ours.splitlines()} - {""}
    kept = []
    for line in listed.splitlines():
        name = package_name(line)
        if name and SAME.get(name, name) not in named and name not in UNWANTED:
            kept.append(line.strip())
    return "\n".join(kept) + "\n"


def ensure_venv(folder: Path, python: str, version: str, odoo_list: Path | None) -> Path:
    """The venv for these requirement files, made now if need be.

    :param odoo_list: requirements.txt of an Odoo checkout; our own list when None
    A venv cannot be renamed (its scripts hold its path), so a file written last says that it is whole.
    """
    ours = "\n".join(path.read_text(encoding="utf-8") for path in OURS)
    odoo = odoo_requirements((odoo_list or ODOO_LIST).read_text(encoding="utf-8"), ours)
    parts = (ours, ADDONS.read_text(encoding="utf-8"), odoo, version, python)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    venv = folder / f"{version.rpartition('.')[0]}-{digest}"
    if not is_whole(venv):
        need_space(folder.parent, 2)
        say("  installing Python packages (a minute or two)")
        shutil.rmtree(venv, ignore_errors=True)
        build(venv, python, odoo)
    return venv


def is_whole(venv: Path) -> bool:
    """The mark is there and the Python it was made from still starts."""
    if not (venv / "complete").exists():
        return False
    try:
        return subprocess.run([venv / "bin" / "python", "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def build(venv: Path, python: str, odoo_lines: str) -> None:
    run_logged("Making the venv", [python, "-m", "venv", str(venv)], LOG / "venv.log")
    listed = venv / "requirements-odoo.txt"
    listed.write_text(odoo_lines, encoding="utf-8")
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", "--prefer-binary"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    files = [part for path in (*OURS, listed) for part in ("-r", str(path))]
    run_logged("pip install", [*command, *files], LOG / "pip.log", env=environment)
    run_logged("pip install", [*command, "--no-deps", "-r", str(ADDONS)], LOG / "pip-addons.log", env=environment)
    check = subprocess.run([venv / "bin" / "python", "-c", CHECK], capture_output=True, text=True, check=False, cwd="/")
    if check.returncode:
        raise Stop(f"The installed packages do not work together.\n{check.stderr.strip()}\nLog: {LOG / 'pip.log'}")
    (venv / "complete").write_text("", encoding="utf-8")
