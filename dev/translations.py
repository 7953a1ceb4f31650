# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make i18n`: the terms of each addon into its .pot, and from there into its .po files."""

from __future__ import annotations

from pathlib import Path

import polib

from dev import databases
from dev.check_translations import key, regional
from dev.common import LOG, ROOT, run_logged, say
from dev.env import ODOO_CONF, Env

# es_419 holds every term; es_CL only those that are said otherwise in Chile, so nothing is added to it.
LANGUAGES = ("es_419", "es_CL")


def folder(addon: str) -> Path:
    return ROOT / addon / "i18n"


def export(env: Env, addon: str) -> Path:
    """Write all terms of an addon, as installed from the work tree, to a .pot file."""
    target = LOG / f"{addon}.pot"
    with databases.scratch(env, "i18n", addon) as database:
        command = [*env.odoo, "i18n", "export", "-c", str(ODOO_CONF), "-d", database]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        # Odoo writes no file at all when the addon has no terms.
        target.write_text('msgid ""\nmsgstr ""\n', encoding="utf-8")
        run_logged(
            "Exporting the terms",
            [*command, "-o", str(target), "-l", "pot", "--", addon],
            LOG / "i18n.log",
            env=env.variables(),
        )
    return target


def update(env: Env) -> int:
    """Write the .pot of each addon and merge it into the .po files. What was translated stays."""
    for addon in databases.ADDONS:
        update_addon(env, addon)
    return 0


def update_addon(env: Env, addon: str) -> None:
    exported = polib.pofile(str(export(env, addon)))
    template = folder(addon) / f"{addon}.pot"
    if not exported and not template.exists():
        say(f"{addon} has no terms")
        return
    template.parent.mkdir(exist_ok=True)
    if not template.exists() or not same_terms(polib.pofile(str(template)), exported):
        exported.save(str(template))
        say(f"wrote {template.relative_to(ROOT)}: {len(exported)} terms")
    for language in LANGUAGES:
        path = folder(addon) / f"{language}.po"
        if path.exists() or not regional(path):
            merged = merge(polib.pofile(str(path)) if path.exists() else polib.POFile(), exported, regional(path))
            merged.metadata["Language"] = language
            merged.save(str(path))
            open_terms = len(merged.untranslated_entries()) + len(merged.fuzzy_entries())
            done = len(merged.translated_entries())
            say(f"wrote {path.relative_to(ROOT)}: {done} translated, {open_terms} open")


def same_terms(one: polib.POFile, other: polib.POFile) -> bool:
    """Whether two files differ in nothing but their header (Odoo writes the date into it)."""
    return [str(entry) for entry in one] == [str(entry) for entry in other]


def merge(old: polib.POFile, template: polib.POFile, only_existing: bool) -> polib.POFile:
    """The template's entries in its order with the old translations; terms that are gone leave the file."""
    known = {key(entry): entry for entry in old}
    merged = polib.POFile(wrapwidth=78)
    merged.metadata = dict(template.metadata) | dict(old.metadata)
    for entry in template:
        before = known.get(key(entry))
        if before:
            entry.msgstr, entry.msgstr_plural = before.msgstr, before.msgstr_plural
            entry.flags = before.flags
        elif only_existing:
            continue
        merged.append(entry)
    return merged
