# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SII's answers as data, read by local name: both live forms of its SOAP, either order of header and body.

Source: Manual del desarrollador externo (OI2003, OI2004, OIFE2006), answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import xml_parser
from .exceptions import XmlError
from .sii_status import UPLOAD_STATUSES, Meaning, document_meaning, envelope_meaning

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>\s*")
_QUOTED_TRACK_ID = re.compile(r"track\s*id\D{0,3}(\d{1,15})", re.IGNORECASE)
_HTML = re.compile(rb"<\s*html|<!doctype html", re.IGNORECASE)
_NO_SESSION = re.compile(rb"<\s*title\s*>\s*error\s*501", re.IGNORECASE)


@dataclass(frozen=True)
class TypeCount:
    """What the SII counted for one document type of an envelope."""

    dte_type: int
    informed: int
    accepted: int
    rejected: int
    objected: int


@dataclass(frozen=True)
class EnvelopeStatus:
    """Answer of QueryEstUp. `counts` is empty until the envelope is processed and may lack a type."""

    state: str
    text: str
    err_code: str
    counts: tuple[TypeCount, ...]

    @property
    def meaning(self) -> Meaning:
        """Return the class of the state."""
        return envelope_meaning(self.state, self.err_code)


@dataclass(frozen=True)
class DocumentStatus:
    """Answer of QueryEstDte or QueryEstDteAv. `received` is None where the service does not say it."""

    state: str
    text: str
    err_code: str
    err_text: str
    received: bool | None = None

    @property
    def meaning(self) -> Meaning:
        """Return the class of the state."""
        return document_meaning(self.state)


@dataclass(frozen=True)
class UploadAnswer:
    """Answer of DTEUpload. `track_id` has ten digits or is ""; `text` collects what the SII says beside the status."""

    status: str
    track_id: str
    text: str

    @property
    def meaning(self) -> Meaning | None:
        """Return the class of the status, None for a status that the manual does not list."""
        return UPLOAD_STATUSES.get(self.status)


def same_track_id(left: str, right: str) -> bool:
    """Compare track ids as numbers: the SII writes them with and without leading zeros."""
    return left.isdigit() and right.isdigit() and int(left) == int(right)


def parse_tolerant(data: bytes):
    """Parse an answer that may declare UTF-8 and hold ISO-8859-1, or begin with blank lines.

    :raises XmlError: when it is not XML either way
    """
    try:
        return xml_parser.parse(data)
    except XmlError:
        text = _DECLARATION.sub("", data.decode("iso-8859-1"))
        return xml_parser.parse(text.encode("utf-8"))


def is_web_page(data: bytes) -> bool:
    """Tell whether the SII answered with a page for people."""
    return bool(_HTML.search(data[:2000]))


def is_no_session_page(data: bytes) -> bool:
    """Tell whether it is the page that stands for "not authenticated"."""
    return bool(_NO_SESSION.search(data))


def unwrap(data: bytes, operation: str):
    """Return the root of the document inside a SOAP answer.

    :raises XmlError: `answer_without_return` (a Fault, for example) or a parsing code
    """
    root = parse_tolerant(data)
    inner = xml_parser.first_text(root, f"{operation}Return")
    if not inner:
        fault = xml_parser.first_text(root, "faultstring")
        raise XmlError("answer_without_return", detail=fault[:200])
    return xml_parser.parse(_DECLARATION.sub("", inner).encode("utf-8"))


def read_envelope_status(root) -> EnvelopeStatus:
    """Read the answer of getEstUp. Type counters are flat siblings, or wrapped in ESTADISTICA as the manual shows."""
    return EnvelopeStatus(
        state=xml_parser.first_text(root, "ESTADO"),
        text=xml_parser.first_text(root, "GLOSA"),
        err_code=xml_parser.first_text(root, "ERR_CODE"),
        counts=tuple(_read_counts(root)),
    )


def _read_counts(root):
    names = {"INFORMADOS": "informed", "ACEPTADOS": "accepted", "RECHAZADOS": "rejected", "REPAROS": "objected"}
    current = None
    for element in root.iter():
        name, text = xml_parser.local_name(element), (element.text or "").strip()
        if name == "TIPO_DOCTO" and text.isdigit():
            if current:
                yield TypeCount(**current)
            current = {"dte_type": int(text), "informed": 0, "accepted": 0, "rejected": 0, "objected": 0}
        elif current and name in names and text.isdigit():
            current[names[name]] = int(text)
    if current:
        yield TypeCount(**current)


def read_document_status(root) -> DocumentStatus:
    """Read the answer of getEstDte or getEstDteAv."""
    received = xml_parser.first_text(root, "RECIBIDO").upper()
    return DocumentStatus(
        state=xml_parser.first_text(root, "ESTADO"),
        text=xml_parser.first_text(root, "GLOSA_ESTADO") or xml_parser.first_text(root, "GLOSA"),
        err_code=xml_parser.first_text(root, "ERR_CODE"),
        err_text=xml_parser.first_text(root, "GLOSA_ERR"),
        received={"SI": True, "NO": False}.get(received),
    )


def read_upload_answer(data: bytes) -> UploadAnswer:
    """Read the answer of DTEUpload; STATUS 99 quotes the track id of the first upload in its text.

    :raises XmlError: when it is not XML or has no STATUS
    """
    root = parse_tolerant(data)
    status = xml_parser.first_text(root, "STATUS")
    if not status:
        raise XmlError("answer_without_status")
    status = str(int(status)) if status.isdigit() else status
    known = {"STATUS", "TRACKID", "RUTSENDER", "RUTCOMPANY", "FILE", "TIMESTAMP"}
    texts = [
        part.strip()
        for element in root.iter()
        for part in ((element.text if xml_parser.local_name(element) not in known else "") or "", element.tail or "")
    ]
    text = " ".join(part for part in texts if part)
    track_id = xml_parser.first_text(root, "TRACKID")
    if not track_id and (quoted := _QUOTED_TRACK_ID.search(text)):
        track_id = quoted[1]
    return UploadAnswer(status, track_id.zfill(10) if track_id else "", text[:2000])
