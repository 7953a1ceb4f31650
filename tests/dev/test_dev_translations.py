# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The translation check catches each thing that would show English, or fail, in front of a Chilean user."""

import polib
import pytest

from dev.check_translations import check
from dev.translations import merge

TERMS = {"Folio %(number)s": "Folio %(number)s", "Sent to %s": "Enviado a %s", "19% of VAT": "19 % de IVA"}


def write(path, terms, flags=()):
    file = polib.POFile()
    file.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for source, text in terms.items():
        file.append(polib.POEntry(msgid=source, msgstr=text, flags=list(flags)))
    file.save(str(path))
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "dte.pot", dict.fromkeys(TERMS, ""))
    write(tmp_path / "es_419.po", TERMS)
    return tmp_path


def found(folder):
    fresh = write(folder / "fresh.pot", dict.fromkeys(TERMS, ""))
    return check(fresh, folder, "dte")


def test_complete_translations_pass(folder):
    assert found(folder) == []
    write(folder / "es_CL.po", {"Sent to %s": "Despachado a %s"})
    assert found(folder) == []


def test_a_term_without_translation(folder):
    write(folder / "es_419.po", {**TERMS, "Sent to %s": ""})
    assert found(folder) == ["es_419.po: not translated: 'Sent to %s'"]
    write(folder / "es_419.po", {"Sent to %s": "Enviado a %s"})
    assert len(found(folder)) == 2


def test_a_fuzzy_translation(folder):
    write(folder / "es_419.po", TERMS, flags=["fuzzy"])
    assert [line.split(": ")[1] for line in found(folder)] == ["fuzzy"] * 3


@pytest.mark.parametrize("text", ["Enviado", "Enviado a %(name)s", "Enviado a %s %s", "Enviado a %d"])
def test_placeholders_that_differ(folder, text):
    write(folder / "es_419.po", {**TERMS, "Sent to %s": text})
    assert len(found(folder)) == 1
    assert "placeholders differ" in found(folder)[0]


def test_the_regional_file_is_checked_too(folder):
    write(folder / "es_CL.po", {"Sent to %s": "Despachado", "No such term": "x"})
    assert len(found(folder)) == 2


def test_a_template_that_is_not_what_the_addon_says_now(folder):
    write(folder / "dte.pot", {"Other": ""})
    assert found(folder) == ["dte.pot is not what the addon says now: run `make i18n`"]


def test_missing_files(folder):
    (folder / "es_419.po").unlink()
    assert found(folder) == ["es_419.po is missing: run `make i18n`"]
    (folder / "dte.pot").unlink()
    assert found(folder) == ["dte.pot is missing: run `make i18n`"]


def test_merging_keeps_translations_and_adds_and_drops_terms(folder):
    old = polib.pofile(str(folder / "es_419.po"))
    fresh = polib.pofile(str(write(folder / "fresh.pot", {"New": "", "Sent to %s": ""})))
    merged = merge(old, fresh, only_existing=False)
    assert [(entry.msgid, entry.msgstr) for entry in merged] == [("New", ""), ("Sent to %s", "Enviado a %s")]
    regional = merge(polib.POFile(), fresh, only_existing=True)
    assert len(regional) == 0
