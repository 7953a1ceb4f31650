# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo 19 Community: from ODOO_PATH, else Debian's package, else the official repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from dev.common import LOG, Stop, made_whole, need_space, run_logged, say

SERIES = (19, 0)
REPOSITORY = "https://github.com/odoo/odoo.git"
PACKAGE = "odoo-19"
# Odoo's files link into these. Where the suites differ, the one whose file names odoo-19 expects.
LINKED = (
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-font-awesome/stable",
    "fonts-inconsolata/stable",
    "fonts-glyphicons-halflings",
    "fonts-montserrat",
    "fonts-ocr-b",
    "fonts-roboto-unhinted",
    "fonts-dejavu-core",
    "gsfonts",
)
# Debian leaves this script out, but the web client's bundle still loads it: without a file each page logs an
# error and each browser test fails. With an empty one only the background blur in video calls is missing.
LEFT_OUT = "odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"


def describe(tree: Path) -> dict | None:
    """What the commands need to know of an Odoo in `tree`, or None when there is none.

    `tree` may be a checkout (odoo-bin, addons/), a folder that holds the package `odoo`, or Debian's package,
    unpacked. Raises Stop when it is not version 19.0.
    """
    for folder in (tree, tree / "usr/lib/python3/dist-packages"):
        release = folder / "odoo" / "release.py"
        if release.exists():
            break
    else:
        return None
    numbers = re.search(r"^version_info = \((\d+), (\d+),", release.read_text(encoding="utf-8"), re.M)
    if not numbers or tuple(map(int, numbers.groups())) != SERIES:
        raise Stop(f"The Odoo in {tree} is not version {SERIES[0]}.{SERIES[1]}.")
    addons = [folder / "odoo" / "addons"]
    if not (addons[0] / "web").exists():
        # A checkout. Debian's package has a folder addons/ too, but only a torso of what is in odoo/addons.
        addons.append(folder / "addons")
    requirements = folder / "requirements.txt"
    return {
        "pythonpath": str(folder),
        "addons": [str(path) for path in addons],
        "requirements": str(requirements) if requirements.exists() else None,
        "version": identity(tree, folder),
    }


def identity(tree: Path, folder: Path) -> str:
    """Text that changes when this Odoo does: the package's version, the commit, or its path and date."""
    mark = tree / "l10n_cl_dte-source"
    if mark.exists():
        return mark.read_text(encoding="utf-8").strip()
    if (folder / ".git").exists():
        head = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        return f"git {head.stdout.strip()}"
    return f"{folder} {int((folder / 'odoo' / 'release.py').stat().st_mtime)}"


def ensure_odoo(cache: Path) -> dict:
    """See `describe`. Raises Stop with the reason of each way that failed."""
    given = os.environ.get("ODOO_PATH")
    if given:
        found = describe(Path(given).expanduser().resolve())
        if not found:
            raise Stop(f"ODOO_PATH={given} holds no Odoo: no odoo/release.py in it.")
        return found
    reasons = []
    for name, fetch in (("odoo-debian", fetch_from_debian), ("odoo-git", fetch_from_git)):
        target = cache / name
        if not target.exists():
            need_space(cache, 2)
            try:
                fetch(target)
            except Stop as reason:
                reasons.append(str(reason))
                continue
        return describe(target)
    raise Stop(
        "\n\n".join(reasons) + "\n\nOdoo 19 could not be had. With a checkout of Odoo 19.0 on this machine: "
        "make setup ODOO_PATH=/path/to/odoo"
    )


def fetch_from_debian(target: Path) -> None:
    """Unpack Debian's package and what it links to. The archive's signature is checked by apt."""
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Stop(f"Debian's package {PACKAGE}: this system has no {tool}.")
    say(f"  fetching Debian's package {PACKAGE} (about 130 MB)")
    with made_whole(target) as folder:
        apt = folder / "apt"
        environment = private_apt(apt)
        log = LOG / "odoo-debian.log"
        run_logged(f"Reading the package lists for {PACKAGE}", ["apt-get", "update"], log, env=environment)
        downloads = apt / "downloads"
        downloads.mkdir()
        for package in (PACKAGE, *LINKED):
            command = ["apt-get", "download", package]
            run_logged(f"Fetching the package {package}", command, log, env=environment, cwd=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            run_logged(f"Unpacking {archive.name}", ["dpkg-deb", "-x", str(archive), str(folder)], log)
        left_out = folder / "usr/lib/python3/dist-packages" / LEFT_OUT
        if not left_out.exists():
            left_out.parent.mkdir(parents=True, exist_ok=True)
            left_out.write_text("// Left out of Debian's package of Odoo.\n", encoding="utf-8")
        (folder / "l10n_cl_dte-source").write_text(next(downloads.glob(f"{PACKAGE}_*.deb")).name, encoding="utf-8")
        shutil.rmtree(apt)
        if not describe(folder):
            raise Stop(f"Debian's package {PACKAGE} has no odoo/release.py where it was expected.")


def private_apt(folder: Path) -> dict[str, str]:
    """Environment for apt-get with lists, cache and sources of its own: the system's are not touched."""
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    mirror, keyring = debian_mirror(folder), debian_keyring()
    (folder / "sources.list").write_text(
        "".join(f"deb [signed-by={keyring}] {mirror} {suite} main\n" for suite in ("sid", "stable")),
        encoding="utf-8",
    )
    settings = {
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::Etc::preferencesparts": folder / "parts",
        "Acquire::Languages": "none",
        "APT::Update::Error-Mode": "any",
        # apt's own user could not write below a folder that only this user enters.
        "APT::Sandbox::User": "root",
    }
    config = folder / "apt.conf"
    config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()), encoding="utf-8")
    return {**os.environ, "APT_CONFIG": str(config)}


def debian_keyring() -> Path:
    for suffix in ("gpg", "pgp"):
        keyring = Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}")
        if keyring.exists():
            return keyring
    raise Stop("Debian's archive keys are missing: apt-get install debian-archive-keyring")


def debian_mirror(folder: Path) -> str:
    """Address of the Debian mirror that this machine's apt is set up with."""
    mirror = mirror_in(index_targets([]))
    if not mirror:
        # It tells only of lists that were read. Read them into a private folder: that needs no rights.
        options = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
        options += ["-o", "APT::Sandbox::User=root"]
        run_logged("apt-get update", ["apt-get", *options, "update"], LOG / "apt-mirror.log")
        mirror = mirror_in(index_targets(options))
    if not mirror:
        raise Stop(f"Debian's package {PACKAGE}: this machine's apt has no Debian mirror (suite main).")
    return mirror


def index_targets(options: list[str]) -> str:
    wanted = "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"
    command = ["apt-get", *options, "indextargets", "--format", wanted, "Identifier: Packages"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def mirror_in(targets: str) -> str | None:
    """The first mirror of Debian's main archive (security and updates have a dash in their codename)."""
    for line in targets.splitlines():
        words = line.split()
        if len(words) == 4 and words[:2] == ["Debian", "main"] and "-" not in words[2]:
            return words[3]
    return None


def fetch_from_git(target: Path) -> None:
    """Shallow clone of branch 19.0 (about 1 GB)."""
    if not shutil.which("git"):
        raise Stop("The official repository: git is not installed.")
    say("  fetching Odoo's official repository, branch 19.0 (about 1 GB)")
    branch = f"{SERIES[0]}.{SERIES[1]}"
    command = ["git", "clone", "--quiet", "--depth", "1", "--branch", branch, REPOSITORY]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    with made_whole(target) as folder:
        run_logged("git clone of Odoo", [*command, str(folder)], LOG / "odoo-git.log", env=environment)
