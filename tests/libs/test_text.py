# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libs import text, xml_parser

LATIN = "".join(chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100)) if code != 0xAD)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('O\'Higgins & Cía <"S.A.">', 'O\'Higgins & Cía <"S.A.">'),
        ("ñandú Ñ ü ° « »", "ñandú Ñ ü ° « »"),
        ("uno – dos — tres ‑ cuatro", "uno - dos - tres - cuatro"),
        ("cinco − seis ‐ siete ‒ ocho ― nueve", "cinco - seis - siete - ocho - nueve"),
        ("‘a’ ʼb′ ‛c‚ ‹d›", "'a' 'b' 'c' 'd'"),
        ("“a” „b″ ‟c", '"a" "b" "c'),
        ("espere… • punto ● otro", "espere... - punto - otro"),
        ("10 € Marca™", "10 EUR Marca(TM)"),
        ("ce\u200bro\u200can\u200dcho\ufeff\u2060\u00ad\ufe0f", "ceroancho"),
        ("co\u00adnejo", "conejo"),
        ("línea\u2028otra\u2029más\u0085fin", "línea otra más fin"),
        ("tab\tfin\nlínea\r\nwin\rsolo\vv\ff", "tab fin línea winsolo v f"),
        ("control \x00\x01\x1f\x7f\x80\x9f fin", "control  fin"),
        ("  adentro  dos  ", "adentro  dos"),
        ("\xa0 no separable\xa0dentro \xa0", "no separable\xa0dentro"),
        ("n\u0303andu\u0301", "ñandú"),
        ("Škoda Žižka ﬁn ① ½", "Skoda Zizka fin 1 ½"),
        ("", ""),
        (" \t\n\xa0", ""),
    ],
)
def test_clean_gives_what_the_document_will_hold(written, expected):
    assert text.clean(written) == expected
    assert text.unwritable(written) == ""


@pytest.mark.parametrize(
    ("written", "characters"),
    [
        ("Fiesta 🎉", "🎉"),
        ("漢字 y 漢", "漢字"),
        ("alfa α", "α"),
        ("keycap 1\ufe0f\u20e3", "\u20e3"),
        ("\ud800", "\ud800"),
        ("x\u0308\u0303", "\u0303"),
        ("\ufffe\uffff", "\ufffe\uffff"),
    ],
)
def test_what_iso_8859_1_cannot_hold_is_named_once(written, characters):
    assert text.unwritable(written) == characters


@given(st.text(max_size=60))
def test_cleaned_text_is_writable_or_its_characters_are_named(written):
    cleaned, characters = text.clean(written), text.unwritable(written)
    assert set(characters) == {char for char in cleaned if char > "\xff"}
    for char in characters:
        cleaned = cleaned.replace(char, "")
    assert cleaned.strip() == cleaned or characters
    assert set(cleaned) <= set(LATIN)


@given(st.text(alphabet=LATIN, max_size=60))
def test_latin_text_is_only_trimmed(written):
    assert text.clean(written) == written.strip()


@given(st.text(alphabet=LATIN, max_size=60))
def test_escaped_text_is_the_canonical_form(written):
    document = f"<a>{text.escape(written)}</a>".encode()
    root = xml_parser.parse(document)
    assert (root.text or "") == written
    assert xml_parser.canonical(root) == document


@pytest.mark.parametrize("limit", [40, 80, 100])
@pytest.mark.parametrize("char", ["&", "ñ", "<", '"'])
def test_cut_counts_characters_before_escaping(limit, char):
    at_limit = "a" * (limit - 1) + char
    assert text.cut(at_limit, limit) == at_limit
    assert text.cut(at_limit + "b", limit) == at_limit
    assert text.cut(char * (limit + 1), limit) == char * limit
    assert len(text.cut("b" * limit + char, limit)) == limit


def test_cut_leaves_no_space_at_the_end():
    assert text.cut("a" * 38 + "  bc", 40) == "a" * 38
    assert text.cut("a" * 39 + "\xa0bc", 40) == "a" * 39


@given(st.text(alphabet=LATIN, max_size=1200), st.sampled_from([40, 80, 100, 1000]))
def test_cut_is_a_prefix_that_fits(written, limit):
    shortened = text.cut(written, limit)
    assert written.startswith(shortened)
    assert len(shortened) <= limit
    assert len(text.escape(shortened)) <= text.MAX_ESCAPED_VALUE
    if len(written) <= limit and len(text.escape(written)) <= text.MAX_ESCAPED_VALUE:
        assert shortened == written


def test_a_thousand_ampersands_stay_under_the_line_limit():
    shortened = text.cut("&" * 1000, 1000)
    assert 700 <= len(shortened) < 1000
    assert len(text.escape(shortened)) <= text.MAX_ESCAPED_VALUE
    assert not re.search(r"&(?!amp;)", text.escape(shortened))
