# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make lint`: every check that needs no test."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from dev import check_translations, simulator, translations
from dev.common import ROOT, RUN, Stop, say, write_json
from dev.databases import ADDONS
from dev.env import Env


def lint(env: Env) -> int:
    """Run all checks, print what they found and a table, write .run/lint.json. 1 when any failed."""
    rows = []
    for name, check in CHECKS.items():
        began = time.monotonic()
        try:
            found = check(env)
        except Stop as problem:
            found = str(problem)
        rows.append({"check": name, "ok": not found, "seconds": round(time.monotonic() - began, 1)})
        if found:
            say(f"--- {name}\n{found}\n")
    for row in rows:
        say(f"{row['check']:<20}{row['seconds']:>7.1f} s  {'ok' if row['ok'] else 'FAILED'}")
    write_json(RUN / "lint.json", {"checks": rows})
    return 0 if all(row["ok"] for row in rows) else 1


def tool(*command: str, cwd: Path = ROOT, odoo: bool = True) -> Callable[[Env], str]:
    """A check that passes when `python ...` ends with 0; what it printed otherwise."""

    def check(env: Env) -> str:
        done = subprocess.run(
            [env.python, *command],
            cwd=cwd,
            env=env.variables(odoo=odoo),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return (done.stdout.strip() or f"exit code {done.returncode}") if done.returncode else ""

    return check


def imports(env: Env) -> str:
    if not simulator.exists():
        return "There is no package sii_simulator, which the import contracts name."
    return tool("-c", "from importlinter.cli import lint_imports_command as main; main()", odoo=False)(env)


def old_odoo_code(env: Env) -> str:
    """Odoo's own rewriting scripts find nothing that is still written as in 17.0 (dry run: they write nothing)."""
    options = ["upgrade_code", "--from", "17.0", "--dry-run", "--glob"]
    return "\n".join(filter(None, (tool(*env.odoo[1:], *options, f"{addon}/**/*", cwd=RUN)(env) for addon in ADDONS)))


def complete_translations(env: Env) -> str:
    return "\n".join(
        line
        for addon in ADDONS
        for line in check_translations.check(translations.export(env, addon), translations.folder(addon), addon)
    )


CHECKS = {
    "ruff check": tool("-m", "ruff", "check", "--quiet", "."),
    "ruff format": tool("-m", "ruff", "format", "--check", "."),
    "import contracts": imports,
    "pylint-odoo": tool(
        "-m",
        "pylint",
        "--rcfile=/dev/null",
        "--load-plugins=pylint_odoo",
        "--disable=all",
        "--enable=odoolint",
        # The README is at the top of the repository; models that are more than one subject have a file for each.
        "--disable=missing-readme,consider-merging-classes-inherited",
        "--manifest-required-authors=l10n_cl_dte maintainers",
        "--valid-odoo-versions=19.0",
        "--score=n",
        *ADDONS,
    ),
    "upgrade_code": old_odoo_code,
    "translations": complete_translations,
}
