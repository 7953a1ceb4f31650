# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The file in the mail with which the SII tells the result of an envelope: RESULTADO_ENVIO, with reasons per document.

Anybody can write such a mail: what stands in it is a hint and no verdict. Source: RespSII_v10.xsd, OIFE2005.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import xml_parser
from .exceptions import XmlError
from .sii_answers import TypeCount, parse_tolerant

ROOT = "RESULTADO_ENVIO"

# An envelope holds 2,000 documents at most, and a document of 60 lines has few faults that are worth reading.
MAX_BYTES = 4 * 1024 * 1024
MAX_DOCUMENTS = 2000
MAX_DETAILS = 50
MAX_TEXT = 500

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_CODE = re.compile(r"\s*([A-Z]{3})\b")


@dataclass(frozen=True)
class ReviewedDocument:
    """A document that was rejected or objected to, with the SII's sentences, such as "(HED-3-305) ..."."""

    dte_type: int
    folio: int
    code: str  # RCH, RPR or RLV; empty when it begins with no code
    details: tuple[str, ...]


@dataclass(frozen=True)
class EnvelopeResult:
    """What the mail says about an envelope.

    :ivar track_id: ten digits
    :ivar errors: sentences about the envelope as a whole
    :ivar documents: only those with something to say about
    """

    issuer_rut: str
    sender_rut: str
    track_id: str
    state: str
    counts: tuple[TypeCount, ...]
    errors: tuple[str, ...]
    documents: tuple[ReviewedDocument, ...]


def read_result(data: bytes | str) -> EnvelopeResult:
    """Read the attached file, from anybody.

    :param data: bytes, or text where the mail has been decoded already
    :raises XmlError: `result_other_file` for a file of another kind, `result_incomplete`, or a code of parsing
    """
    if isinstance(data, str):
        # Its declaration names the encoding that it had in the mail.
        data = _DECLARATION.sub("", data).encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        raise XmlError("xml_too_big", size=len(data), limit=MAX_BYTES)
    root = parse_tolerant(data)
    if xml_parser.local_name(root) != ROOT:
        raise XmlError("result_other_file")
    track_id = xml_parser.text_of(root, "IDENTIFICACION", "TRACKID")
    issuer_rut = xml_parser.text_of(root, "IDENTIFICACION", "RUTEMISOR").upper()
    if not issuer_rut or not _is_number(track_id):
        raise XmlError("result_incomplete")
    return EnvelopeResult(
        issuer_rut=issuer_rut,
        sender_rut=xml_parser.text_of(root, "IDENTIFICACION", "RUTENVIA").upper(),
        track_id=track_id.lstrip("0").zfill(10),
        state=_code(xml_parser.text_of(root, "IDENTIFICACION", "ESTADO")),
        counts=tuple(_counts(root)),
        errors=_sentences(xml_parser.find_local(root, "ERRORENVIO"), "DETERRENVIO"),
        documents=tuple(_documents(root)),
    )


def _counts(root):
    names = {"informed": "INFORMADO", "accepted": "ACEPTA", "rejected": "RECHAZO", "objected": "REPARO"}
    for row in _children(xml_parser.find_local(root, "ESTADISTICA"), "SUBTOTAL"):
        dte_type = xml_parser.text_of(row, "TIPODOC")
        if _is_number(dte_type):
            values = {key: xml_parser.text_of(row, name) for key, name in names.items()}
            yield TypeCount(
                int(dte_type), **{key: int(text) if _is_number(text) else 0 for key, text in values.items()}
            )


def _documents(root):
    rows = _children(xml_parser.find_local(root, "REVISIONENVIO"), "REVISIONDTE")
    for row in rows[:MAX_DOCUMENTS]:
        dte_type, folio = xml_parser.text_of(row, "TIPODTE"), xml_parser.text_of(row, "FOLIO")
        if _is_number(dte_type) and _is_number(folio):
            code = _code(xml_parser.text_of(row, "ESTADO"))
            yield ReviewedDocument(int(dte_type), int(folio), code, _sentences(row, "DETALLE"))


def _sentences(parent, name: str) -> tuple[str, ...]:
    texts = (" ".join((child.text or "").split())[:MAX_TEXT] for child in _children(parent, name)[:MAX_DETAILS])
    return tuple(text for text in texts if text)


def _children(parent, name: str) -> list:
    return [] if parent is None else [child for child in parent if xml_parser.local_name(child) == name]


def _is_number(text: str) -> bool:
    # Ten digits by the schema; a little more is read, so that no number is too big for the database.
    return text.isascii() and text.isdigit() and len(text) <= 15


def _code(text: str) -> str:
    found = _CODE.match(text)
    return found[1] if found else ""
