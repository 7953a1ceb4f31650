# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Names and companion files of archived documents in the archive folder.

A document of production is `YYYY/MM/RUT/type-folio.xml`, a corrected version `type-folio-v2.xml`; what was issued in
another environment lies under `_certification/` or `_simulator/`, so that test documents never meet real ones. Year and
month are those of the document's date. The `.json` beside each holds what the document itself does not say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime

from . import xml_parser
from .exceptions import DocumentError, Problem, XmlError

PRODUCTION = "production"
SIDECAR = ".json"
_KEY = re.compile(
    r"^(?:_(?P<environment>[a-z]+)/)?(?P<year>\d{4})/(?P<month>\d{2})/(?P<rut>\d+-[\dK])/"
    r"(?P<type>\d{2,3})-(?P<folio>\d{1,10})(?:-v(?P<version>\d+))?\.xml$"
)
DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>'


@dataclass(frozen=True)
class Place:
    """Which document a file of the archive folder is, and the month of its date."""

    environment: str
    issuer_rut: str
    dte_type: int
    folio: int
    version: int
    year: int
    month: int

    @property
    def key(self) -> str:
        """Path of the document below the archive target, with slashes."""
        top = "" if self.environment == PRODUCTION else f"_{self.environment}/"
        version = f"-v{self.version}" if self.version > 1 else ""
        name = f"{self.dte_type}-{self.folio}{version}.xml"
        return f"{top}{self.year:04d}/{self.month:02d}/{self.issuer_rut}/{name}"

    @property
    def sidecar_key(self) -> str:
        """Path of the companion file."""
        return sidecar_of(self.key)


@dataclass(frozen=True)
class Facts:
    """What a signed document says about itself; `signed_at` naive Santiago time, None when it is not readable."""

    issuer_rut: str
    dte_type: int
    folio: int
    issue_date: date
    receiver_rut: str
    receiver_name: str
    total: int
    signed_at: datetime | None


def sidecar_of(key: str) -> str:
    """Return the path of the companion file of a document."""
    return key.removesuffix(".xml") + SIDECAR


def parse_key(key: str) -> Place | None:
    """Return which document a path belongs to, None when it is not one of ours."""
    found = _KEY.match(key)
    if not found:
        return None
    return Place(
        found["environment"] or PRODUCTION,
        found["rut"],
        int(found["type"]),
        int(found["folio"]),
        int(found["version"] or 1),
        int(found["year"]),
        int(found["month"]),
    )


def read_facts(xml: bytes) -> Facts:
    """Return what a signed `<DTE>` says about itself.

    :param xml: as archived, ISO-8859-1 without XML declaration
    :raises DocumentError: `dte_bytes_unreadable`
    """
    try:
        root = xml_parser.parse(DECLARATION + xml)
        if xml_parser.local_name(root) != "DTE":
            raise ValueError(root.tag)
        document = next(child for child in root if isinstance(child.tag, str))

        def header(*names):
            return xml_parser.text_of(document, "Encabezado", *names)

        signed = xml_parser.text_of(document, "TmstFirma")
        return Facts(
            issuer_rut=header("Emisor", "RUTEmisor"),
            dte_type=int(header("IdDoc", "TipoDTE")),
            folio=int(header("IdDoc", "Folio")),
            issue_date=date.fromisoformat(header("IdDoc", "FchEmis")),
            receiver_rut=header("Receptor", "RUTRecep"),
            receiver_name=header("Receptor", "RznSocRecep"),
            total=int(header("Totales", "MntTotal")),
            signed_at=datetime.fromisoformat(signed) if signed else None,
        )
    except (XmlError, ValueError, StopIteration) as error:
        raise DocumentError([Problem("dte_bytes_unreadable")]) from error


def write_sidecar(data: dict) -> bytes:
    """Return the companion file: JSON, UTF-8, one value a line."""
    return json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True).encode("utf-8") + b"\n"


def read_sidecar(content: bytes) -> dict:
    """Return what a companion file holds, {} when it is not readable: nearly all of it stands in the document too."""
    try:
        data = json.loads(content)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
