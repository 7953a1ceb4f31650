# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Whether every term of the addon has a Spanish translation that can be shown.

python -m dev.check_translations FRESH.pot I18N_FOLDER ADDON
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import polib

# Placeholders that the program fills in: %(name)s, %s, {{ expression }}, t-out="expression".
# A blank after % is a legal flag, but here it is always a percentage ("19 % de IVA").
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+0#]*\d*(?:\.\d+)?[diouxXeEfFgGcrs%](?!\w)|\{\{.*?\}\}|t-out=\"[^\"]*\"")


def regional(path: Path) -> bool:
    """Whether the file only holds what differs from es_419."""
    return path.stem != "es_419"


def key(entry: polib.POEntry) -> tuple:
    return entry.msgctxt, entry.msgid


def check(fresh: Path, folder: Path, addon: str) -> list[str]:
    """What is wrong, one line each.

    :param fresh: .pot exported just now
    :param folder: the addon's i18n folder with its .pot, es_419.po and maybe es_CL.po
    """
    terms = {key(entry): entry for entry in polib.pofile(str(fresh))}
    template = folder / f"{addon}.pot"
    if not terms and not template.exists():
        return []
    if not template.exists():
        return [f"{template.name} is missing: run `make i18n`"]
    found = []
    if {key(entry) for entry in polib.pofile(str(template))} != set(terms):
        found.append(f"{template.name} is not what the addon says now: run `make i18n`")
    for path in (folder / "es_419.po", folder / "es_CL.po"):
        if path.exists():
            found += check_file(path, terms)
        elif not regional(path):
            found.append(f"{path.name} is missing: run `make i18n`")
    return found


def check_file(path: Path, terms: dict) -> list[str]:
    entries = {key(entry): entry for entry in polib.pofile(str(path)) if not entry.obsolete}
    found = [f"{path.name}: no longer a term: {short(msgid)}" for _, msgid in entries.keys() - terms.keys()]
    if not regional(path):
        found += [f"{path.name}: not translated: {short(msgid)}" for _, msgid in terms.keys() - entries.keys()]
    for _, entry in sorted(entries.items(), key=lambda item: item[0][1]):
        if problem := problem_of(entry):
            found.append(f"{path.name}: {problem}: {short(entry.msgid)}")
    return sorted(found)


def problem_of(entry: polib.POEntry) -> str:
    if "fuzzy" in entry.flags:
        return "fuzzy"
    if not entry.msgstr.strip():
        return "not translated"
    wanted, given = Counter(PLACEHOLDER.findall(entry.msgid)), Counter(PLACEHOLDER.findall(entry.msgstr))
    if wanted != given:
        return f"placeholders differ ({' '.join((wanted - given) + (given - wanted))})"
    return ""


def short(text: str) -> str:
    return repr(text if len(text) <= 70 else f"{text[:67]}...")


if __name__ == "__main__":
    problems = check(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    for line in problems:
        print(line)
    sys.exit(bool(problems))
