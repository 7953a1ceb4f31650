# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Text as the SII accepts it: ISO-8859-1, one line, escaped once.

Source: Formato DTE v2.2, chapter 1 (encoding and reserved characters); dossier of the envelope reader's line limit.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

ENCODING = "iso-8859-1"

# The SII's reader works line by line and breaks near 4,090 bytes; one value must leave room for its tags.
MAX_ESCAPED_VALUE = 3900

_REPLACEMENTS = str.maketrans(
    {
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
        "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u2032": "'", "\u02bc": "'", "\u201a": "'", "\u2039": "'",
        "\u203a": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"',
        "\u2026": "...", "\u2022": "-", "\u25cf": "-", "\u20ac": "EUR", "\u2122": "(TM)",
        "\u200b": None, "\u200c": None, "\u200d": None, "\u2060": None, "\ufeff": None, "\ufe0f": None,
        "\u00ad": None,
        "\t": " ", "\n": " ", "\v": " ", "\f": " ", "\u0085": " ", "\u2028": " ", "\u2029": " ",
        "\r": None,
    }
)  # fmt: skip


# Text that needs no work: ISO-8859-1 without control characters and without the soft hyphen.
_is_plain = re.compile("[ -~\xa0-\xac\xae-\xff]*").fullmatch
# The same without what must be escaped, and short enough for any line.
_needs_nothing = re.compile(f"[ -%'-;=?-~\xa0-\xac\xae-\xff]{{0,{MAX_ESCAPED_VALUE}}}").fullmatch


def unwritable(text: str) -> str:
    """Return the characters of `text` that ISO-8859-1 cannot hold even after transliteration, each once."""
    if _is_plain(text):
        return ""
    return "".join(dict.fromkeys(char for char in _transliterate(text) if char > "\xff"))


def clean(text: str) -> str:
    """Return `text` as it will stand in the document: transliterated, without control characters, trimmed.

    Inner spaces are kept, they are part of the signed text. Characters that ISO-8859-1 cannot hold are left in place
    for :func:`unwritable` to report.
    """
    return text.strip() if _is_plain(text) else _transliterate(text).strip()


def _transliterate(text: str) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).translate(_REPLACEMENTS)
    return "".join(
        char if ord(char) <= 0xFF else _base_letters(char)
        for char in text
        if not (ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F)
    )


def _base_letters(char: str) -> str:
    """Return what a letter or symbol decomposes to ("Š" gives "S", "ﬁ" gives "fi"), or itself if nothing Latin."""
    letters = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    return letters if letters and max(letters) <= "\xff" else char


def written(text: str, limit: int) -> str:
    """Return `text` as it stands between its tags: cleaned, cut to `limit` characters and escaped."""
    if _needs_nothing(text):
        text = text.strip()
        return text if len(text) <= limit else text[:limit].rstrip()
    return escape(cut(clean(text), limit))


def escape(text: str) -> str:
    """Escape for element content exactly as Canonical XML writes it: quotes stay literal."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def timestamp(moment: datetime) -> str:
    """Return a naive Santiago time as the format wants it: AAAA-MM-DDTHH:MM:SS, without zone or fraction."""
    return moment.isoformat(timespec="seconds")


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters, without the spaces that the cut may leave at the end."""
    text = text if len(text) <= limit else text[:limit].rstrip()
    while len(text) * 5 > MAX_ESCAPED_VALUE and len(escape(text)) > MAX_ESCAPED_VALUE:
        text = text[:-50].rstrip()
    return text
