# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Find a Python that Odoo 19 runs on and that really starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dev.common import Stop

# Odoo 19 takes 3.10 to 3.13; this is the order of preference.
VERSIONS = ("3.12", "3.11", "3.13", "3.10")
PROBE = "import ensurepip, ssl, sys, venv; print('%d.%d.%d' % sys.version_info[:3]); print(sys._base_executable)"


def probe(executable: str) -> tuple[str, str] | None:
    """(version, real path) of a Python of a wanted version that can make venvs, else None."""
    try:
        answer = subprocess.run(
            [executable, "-c", PROBE], capture_output=True, text=True, timeout=30, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.split("\n")
    if answer.returncode or words[0].rpartition(".")[0] not in VERSIONS:
        return None
    return words[0], words[1]


def candidates(version: str, path: str, home: Path) -> list[str]:
    """Every file that may be a Python of this version: the PATH, then where version managers keep theirs."""
    folders = [Path(folder) for folder in path.split(os.pathsep) if folder]
    folders += [Path("/usr/bin"), Path("/usr/local/bin")]
    managers = (
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        home / ".local/share/uv/python",
    )
    for manager in managers:
        if os.access(manager, os.R_OK | os.X_OK):
            folders += sorted(manager.glob(f"*{version}.*/bin"), reverse=True)
    names = [folder / f"python{version}" for folder in folders]
    return list(dict.fromkeys(str(name) for name in names if os.access(name, os.X_OK)))


def find_python(path: str, home: Path, wanted: str = "") -> tuple[str, str]:
    """(version, real path) of the Python to use.

    :param path: folders to look in, as in the variable PATH
    :param wanted: the caller's own choice (a name or a path); nothing else is tried then
    Raises Stop when there is none.
    """
    if wanted:
        if found := probe(wanted):
            return found
        raise Stop(f"PYTHON={wanted} does not start, cannot make venvs, or is not one of {', '.join(VERSIONS)}.")
    for version in VERSIONS:
        for candidate in candidates(version, path, home):
            found = probe(candidate)
            if found and found[0].startswith(f"{version}."):
                return found
    if found := probe(sys.executable):
        return found
    raise Stop(
        f"No Python {', '.join(VERSIONS)} that starts and has the module venv was found.\n"
        "On Debian: apt-get install python3 python3-venv. Elsewhere: make setup PYTHON=/path/to/python3.12"
    )
