# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The manual says the same in both languages, its links lead somewhere, and it names what is on the screen."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import polib
import pytest

from dev.common import ROOT

DOCS = ROOT / "docs"
LANGUAGES = ("en", "es")
NAMES = sorted({path.name for language in LANGUAGES for path in (DOCS / language).glob("*.md")})
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# What the addons do not translate because it is Odoo's, as Odoo 19 shows it: in English, in es_419, and in es_CL where
# that differs.
ODOO_TERMS = {
    "en": {
        "Invoicing", "Accounting", "Configuration", "Settings", "Customers", "Invoices", "Products", "Journals",
        "Taxes", "General Settings", "Users & Companies", "Users", "Companies", "Apps", "Technical", "Email",
        "Automation", "Outgoing Mail Servers", "Incoming Mail Servers", "Scheduled Actions", "Actions", "Print",
        "Translations", "Languages", "Alias Domains", "Invoice PDF",
    },
    "es": {
        "Facturando", "Contabilidad", "Configuración", "Ajustes", "Clientes", "Facturas", "Productos",
        "Diarios", "Impuestos", "Ajustes generales", "Usuarios y empresas", "Usuarios", "Empresas", "Compañías",
        "Aplicaciones", "Técnico", "Correo electrónico", "Automatización", "Servidores de correo saliente",
        "Servidores de correo entrante", "Acciones planificadas", "Acciones", "Imprimir", "Traducciones",
        "Idiomas", "Dominios del alias", "PDF de la factura",
    },
}  # fmt: skip
FENCE = re.compile(r"^ *(```+|~~~+)(.*)$")
HEADING = re.compile(r"^(#{1,6}) +(.*?) *#*$")
# The text of a link may go on in the next line, and hold an image.
LINK = re.compile(r"!?\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
ITALICS = re.compile(r"(?<![*\\\w])\*(?![*\s])([^*]+?)(?<![\s\\])\*(?![*\w])")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
PLACEHOLDER = re.compile(r"%\(\w+\)s|%s")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def language_of(path: Path) -> str:
    return "es" if path.parent == DOCS / "es" else "en"


@cache
def read(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the lines of a page without those of code blocks, and its code blocks as (language, text)."""
    lines: list[str] = []
    blocks: list[tuple[str, str]] = []
    fence, language, inside = "", "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        found = FENCE.match(line)
        if not fence and found:
            fence, language, inside = found[1], found[2].strip(), []
        elif fence and found and found[1].startswith(fence) and not found[2].strip():
            blocks.append((language, "\n".join(inside)))
            fence = ""
        elif fence:
            inside.append(line)
        else:
            lines.append(line)
    assert not fence, f"{name_of(path)}: a code block has no end"
    return lines, blocks


def headings(path: Path) -> list[tuple[int, str]]:
    return [(len(found[1]), found[2]) for line in read(path)[0] if (found := HEADING.match(line))]


def anchor(heading: str) -> str:
    """Return what GitHub makes of a heading: letters of any language, digits, hyphens and underscores stay."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    text = re.sub(r"\*+", "", text)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    seen: Counter = Counter()
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', "\n".join(read(path)[0])))
    for _level, heading in headings(path):
        name = anchor(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return frozenset(found)


@cache
def prose(path: Path) -> str:
    """Return the page without code, neither blocks nor spans."""
    return CODE.sub("", "\n".join(read(path)[0]))


@cache
def translations() -> list:
    return [entry for path in sorted(ROOT.glob("*/i18n/es_419.po")) for entry in polib.pofile(str(path))]


@cache
def terms(language: str) -> frozenset[str]:
    own = {entry.msgid if language == "en" else entry.msgstr for entry in translations()}
    return frozenset(own | ODOO_TERMS[language])


@cache
def messages(language: str) -> tuple[str, ...]:
    texts = {entry.msgid if language == "en" else entry.msgstr for entry in translations()}
    return tuple(" ".join(PLACEHOLDER.sub("...", text).split()) for text in sorted(texts))


def rows(path: Path) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in read(path)[0]
        if line.lstrip().startswith("|")
    ]


def menu_paths(path: Path) -> list[str]:
    # A menu path ends with its line of a table or its paragraph.
    parts = re.split(r"\n\s*\n|\||\n(?= *[*-] | *\d+\. )", prose(path))
    texts = (" ".join(text.split()) for part in parts for text in ITALICS.findall(part.replace("**", "")))
    return [text for text in texts if " > " in text]


def is_message(cell: str, language: str) -> bool:
    """Tell whether Odoo can show this: its pieces between dots stand in one message, in this order."""
    pieces = [piece.strip() for piece in cell.split("...") if piece.strip()]
    pattern = re.compile(".*".join(map(re.escape, pieces)))
    return any(pattern.search(message) for message in messages(language))


@pytest.mark.parametrize("name", NAMES)
def test_each_page_is_there_in_both_languages(name):
    missing = [language for language in LANGUAGES if not (DOCS / language / name).is_file()]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_are_built_the_same(name):
    pages = [DOCS / language / name for language in LANGUAGES]
    if not all(page.is_file() for page in pages):
        pytest.skip("there is one of them only, which is another test's business")
    english, spanish = (
        {
            "levels of headings": [level for level, _text in headings(page)],
            "columns of table rows": [len(row) for row in rows(page)],
            "code blocks": [language for language, _text in read(page)[1]],
        }
        for page in pages
    )
    assert english == spanish


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path):
    broken = []
    for target in LINK.findall(prose(path)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, fragment = unquote(target).partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (fragment and there.suffix == ".md" and fragment not in anchors(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_menus_are_called_as_on_the_screen(path):
    known = terms(language_of(path))
    unknown = [(term, menu) for menu in menu_paths(path) for term in menu.split(" > ") if term not in known]
    assert not unknown


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_are_those_of_the_screen(language):
    """In tables whose first column is headed as messages; `/` stands between two of them."""
    unknown, is_of_messages = [], False
    for cell, *_others in rows(DOCS / language / "troubleshooting.md"):
        if cell in ("message", "mensaje"):
            is_of_messages = True
        elif cell in ("symptom", "síntoma", "state", "estado", "reason", "motivo", "code", "código"):
            is_of_messages = False
        elif is_of_messages and not cell.startswith("---"):
            unknown += [text for text in cell.split(" / ") if not is_message(text, language)]
    assert not unknown


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_command_is_named_that_does_not_exist(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = {"help", *re.search(r"^COMMANDS := (.*)$", makefile, re.MULTILINE)[1].split()}
    code = [text for _language, text in read(path)[1]]
    code += [span[1] for span in CODE.findall("\n".join(read(path)[0]))]
    named = {name for text in code for name in re.findall(r"(?:^|[\s;&|$])make +([a-z][\w-]*)", text)}
    assert named <= commands
