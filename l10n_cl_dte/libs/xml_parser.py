# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The only place where XML of others becomes a tree: no DTD, entities or network; bounded in size, number and depth."""

from __future__ import annotations

import io
import re

from lxml import etree

from .exceptions import XmlError

MAX_BYTES = 20 * 1024 * 1024
MAX_DEPTH = 64
# Each takes more than a hundred bytes of memory, however few it takes in the file. An envelope of 2,000 documents has
# half as many tags.
MAX_TAGS = 1_000_000
MAX_ATTRIBUTES = 200_000

# Refused before parsing, wherever it stands. Input in UTF-16 hides it from this: the parsed document is asked too.
_DOCTYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)
# In these each tag has a byte of "<", so that it can be counted before parsing.
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_COUNTABLE = re.compile(
    rb"utf-?(8|16|32)(le|be|-le|-be)?|iso[-_]?8859[-_].*|latin-?\d|(us-)?ascii|(cp|windows-)125\d", re.I
)


def parse(data: bytes, *, max_bytes: int = MAX_BYTES):
    """Parse XML that may come from anybody and return its root element.

    :param data: the bytes of the document; its declaration decides the encoding
    :raises XmlError: `xml_empty`, `xml_too_big`, `xml_too_many`, `xml_doctype`, `xml_too_deep` or `xml_malformed`
    """
    if not data or not data.strip():
        raise XmlError("xml_empty")
    if len(data) > max_bytes:
        raise XmlError("xml_too_big", size=len(data), limit=max_bytes)
    if _DOCTYPE.search(data):
        raise XmlError("xml_doctype")
    data = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    _refuse_number(data)
    # Comments are not signed: left in the tree, one would end an element's text where it stands.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise XmlError("xml_malformed", detail=str(error)[:200]) from error
    if root.getroottree().docinfo.doctype:
        raise XmlError("xml_doctype")
    _refuse_depth(root)
    return root


def _refuse_number(data: bytes):
    """Refuse what would fill the memory, before it does."""
    declared = _DECLARED.match(data)
    if b"<" not in data or (declared and not _COUNTABLE.fullmatch(declared[1])):
        raise XmlError("xml_malformed", detail="encoding")
    if data.count(b"<") > MAX_TAGS or data.count(b"=") > MAX_ATTRIBUTES:
        raise XmlError("xml_too_many", limit=MAX_TAGS)


def _refuse_depth(root):
    depth = 0
    for event, _element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise XmlError("xml_too_deep", limit=MAX_DEPTH)


def local_name(element) -> str:
    """Return the tag without its namespace; "" for comments and processing instructions."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def find_local(element, *names: str):
    """Return the first descendant along `names` compared by local name, or None."""
    for name in names:
        element = next((child for child in element if local_name(child) == name), None)
        if element is None:
            return None
    return element


def text_of(element, *names: str) -> str:
    """Return the stripped text of the child path `names`, "" when it is absent."""
    found = find_local(element, *names)
    return (found.text or "").strip() if found is not None else ""


def first_text(root, name: str) -> str:
    """Return the stripped text of the first element called `name` anywhere below `root`, "" when absent.

    The SII moves its header before or after the body and prefixes it or not, so answers are addressed by name only.
    """
    for element in root.iter():
        if local_name(element) == name:
            return (element.text or "").strip()
    return ""


def canonical(root) -> bytes:
    """Return Canonical XML 1.0 (inclusive, without comments) of a whole document, in UTF-8.

    Only for a root element: on a part of a tree lxml would invent or lose namespace declarations.
    """
    out = io.BytesIO()
    root.getroottree().write_c14n(out, exclusive=False, with_comments=False)
    return out.getvalue()
