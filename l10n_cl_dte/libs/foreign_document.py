# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents that another system signed: cut out of its files and proven, from their own bytes alone.

What proves a document is its signature, and its timbre with the SII's signature over the CAF: that one also says in
which environment it was issued. The signature of an envelope around it says nothing about it and is not looked at.
Source: Manual del desarrollador externo, firma; Instructivo técnico, timbre.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from . import archive_layout, xml_parser, xml_verifier
from .archive_layout import Facts
from .caf import IDK_BY_ENVIRONMENT, MAX_FOLIO
from .exceptions import DocumentError, Problem
from .text import ENCODING

_ENVIRONMENTS = {idk: environment for environment, idk in IDK_BY_ENVIRONMENT.items()}
_SIGNATURE_VALUE = re.compile(rb"<SignatureValue[^>]*>([^<]*)</SignatureValue>")
_MAX_AMOUNT = 10**15
# Source: FechaType in SiiTypes_v10.xsd.
_YEARS = range(2000, 2051)


@dataclass(frozen=True)
class ForeignDocument:
    """A proven document.

    :ivar xml: the `<DTE>` in ISO-8859-1 without XML declaration, as the archive keeps it
    :ivar environment: that of the CAF in its timbre
    """

    xml: bytes = field(repr=False)
    facts: Facts
    environment: str


def cut_documents(content: bytes) -> list[bytes]:
    """Return the `<DTE>` elements of a file, a document or an envelope, as they were signed, in ISO-8859-1.

    Which characters a document has does not depend on how a file writes them: one in UTF-8 is written in ISO-8859-1,
    which the SII prescribes and over which the timbre is signed.

    :raises XmlError: when it cannot be parsed
    :raises DocumentError: `foreign_no_document`, `foreign_encoding` or `foreign_not_cuttable`
    """
    content, encoding = _with_encoding(content)
    root = xml_parser.parse(content)
    count = sum(xml_parser.local_name(element) == "DTE" for element in root.iter())
    if not count:
        raise DocumentError([Problem("foreign_no_document")], "foreign_no_document")
    try:
        latin = content if encoding == ENCODING else content.decode(encoding).encode(ENCODING)
    except (UnicodeError, LookupError) as error:
        raise DocumentError([Problem("foreign_encoding")], "foreign_encoding") from error
    documents = xml_verifier.split_documents(latin)
    # Comments, CDATA or prefixes make text and tree differ.
    if len(documents) != count:
        raise DocumentError([Problem("foreign_not_cuttable")], "foreign_not_cuttable")
    return documents


def _with_encoding(content: bytes) -> tuple[bytes, str]:
    """Return the bytes with their encoding; without XML declaration it is UTF-8, else ISO-8859-1, as our archive."""
    content = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if content.startswith(b"<?xml") or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        found = re.match(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""", content)
        encoding = found[1].decode("ascii").lower() if found else "utf-8"
        return content, ENCODING if encoding in ("iso-8859-1", "latin1", "latin-1") else encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return archive_layout.DECLARATION + content, ENCODING
    return content, "utf-8"


def read_facts(xml: bytes, issuer_rut: str) -> Facts:
    """Return what a document says about itself, if it is one of this issuer.

    :raises DocumentError: `dte_bytes_unreadable` or `foreign_issuer`
    """
    facts = archive_layout.read_facts(xml)
    years = {facts.issue_date.year, (facts.signed_at or facts.issue_date).year}
    is_sane = 1 <= facts.folio <= MAX_FOLIO and 0 <= facts.total < _MAX_AMOUNT and years <= set(_YEARS)
    if not is_sane or not facts.receiver_rut:
        raise DocumentError([Problem("dte_bytes_unreadable")], "dte_bytes_unreadable")
    if facts.issuer_rut.upper() != issuer_rut:
        raise DocumentError([Problem("foreign_issuer", params={"rut": facts.issuer_rut})], "foreign_issuer")
    return facts


def prove(xml: bytes, facts: Facts, simulator_key=None) -> ForeignDocument:
    """Verify signature and timbre of a document.

    :param simulator_key: public key of the simulator's CAF authority, in that environment only
    :raises XmlError: when it cannot be parsed
    :raises DocumentError: with a problem for everything that is wrong, codes of `xml_verifier`
    """
    report = xml_verifier.verify_dte(xml)
    codes = [report.problem] if report.problem else []
    timbre = xml_verifier.verify_timbre(xml, simulator_key=simulator_key)
    codes += timbre.problems
    if codes:
        raise DocumentError([Problem(code) for code in codes], codes[0])
    return ForeignDocument(xml, facts, _ENVIRONMENTS[timbre.caf.idk])


def signature_value(xml: bytes) -> bytes:
    """Return the SignatureValue of a document: the same in every file that holds it, b"" without one."""
    found = _SIGNATURE_VALUE.findall(xml)
    return b"".join(found[-1].split()) if found else b""
