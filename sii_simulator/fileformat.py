# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the reader of DTEUpload demands of the bytes of a file before any schema."""

import re

ROOT = re.compile(
    rb"""\A<\?xml\s+version=["']1\.0["']\s+encoding=["'](?i:ISO-8859-1)["'](?:\s+standalone=["']yes["'])?\s*\?>\s*"""
    rb"""<EnvioDTE\s+xmlns=["']http://www\.sii\.cl/SiiDte["']\s+"""
    rb"""xmlns:xsi=["']http://www\.w3\.org/2001/XMLSchema-instance["']\s+"""
    rb"""xsi:schemaLocation=["']http://www\.sii\.cl/SiiDte EnvioDTE_v10\.xsd["']\s+"""
    rb"""version=["']1\.0["']\s*>"""
)
DTE = re.compile(rb"<DTE[\s>].*?</DTE\s*>", re.DOTALL)
SIGNATURE = re.compile(rb"<Signature[\s>].*?</Signature\s*>", re.DOTALL)
BLANK_IN_SIGNATURE = re.compile(
    rb"<Signature(?:\s[^>]*)?>\s+<|</SignedInfo>\s+<|</SignatureValue>\s+<|</KeyInfo>\s+</Signature"
)
NOT_LATIN_TEXT = re.compile(rb"[\x80-\x9f]")

SCHEMA_NAME = "SCH-00001: Invalid Schema Name"
END_OF_FILE = "LPX-00007: unexpected end-of-file encountered"


def problem(data, settings):
    """The error text for a file the reader cannot take, or None.

    Lines longer than the limit, a declaration or root element other than the expected one, markup that is
    not plain elements (DOCTYPE, comments, CDATA), bytes 0x80-0x9F (UTF-8 or cp1252 text), blanks
    between the children of a Signature.
    """
    limit = settings["line_limit"]
    long_line = next((number for number, line in enumerate(data.split(b"\n")) if len(line) > limit), None)
    if not ROOT.match(data) or _has_other_markup(data) or long_line == 0 or NOT_LATIN_TEXT.search(data):
        return SCHEMA_NAME
    if long_line is not None:
        return f"CHR-00002: Line too long ({limit})"
    if not data.rstrip().endswith(b"</EnvioDTE>"):
        return END_OF_FILE
    if settings["signature_whitespace"] == "refuse" and _has_blank_signature(data):
        return END_OF_FILE
    return None


def cut_documents(data):
    """(start, length) of every <DTE ...>...</DTE> in the bytes of an envelope."""
    return [(match.start(), match.end() - match.start()) for match in DTE.finditer(data)]


def _has_other_markup(data):
    return b"<!" in data or data.count(b"<?") > 1


def _has_blank_signature(data):
    return any(BLANK_IN_SIGNATURE.search(match[0]) for match in SIGNATURE.finditer(data))
