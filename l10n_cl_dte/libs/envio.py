# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""EnvioDTE: signed documents put byte for byte into a signed envelope.

The documents are never parsed and written again: the SII verifies each of them as the fragment that it is, and a
serialiser would drop the inner `xmlns` (DTE-3-505). The envelope's own digest is fed piece by piece, so its cost grows
with its size only.
Source: EnvioDTE_v10.xsd; Manual del desarrollador externo, envío de documentos.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from . import xml_parser
from .credentials import Credentials
from .exceptions import DocumentError, Problem
from .issue import DTE_CLOSE, DTE_OPEN
from .text import ENCODING, timestamp
from .xml_signer import IN_ENVIO, SII_NS, XSI_NS, digest_text, signature_element

SII_RUT = "60803000-K"
SET_ID = "SetDoc"
MAX_DOCUMENTS = 2000

_HEADER = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    f'<EnvioDTE xmlns="{SII_NS}" xmlns:xsi="{XSI_NS}" xsi:schemaLocation="{SII_NS} EnvioDTE_v10.xsd" version="1.0">\n'
)
_INHERITED = f' xmlns:xsi="{XSI_NS}"'
_OPEN_BYTES = DTE_OPEN.encode(ENCODING)
_CLOSE_BYTES = DTE_CLOSE.encode(ENCODING)
_KEY = re.compile(
    rb"<TipoDTE>([0-9]{2,3})</TipoDTE>\s*<Folio>([0-9]{1,10})</Folio>.*?<RUTEmisor>([0-9]+-[0-9K])</RUTEmisor>",
    re.DOTALL,
)
# A tag that Canonical XML would write otherwise; ours have at most one attribute.
_ODD_TAG = re.compile(rb'<(?!/?\w+>|\w+ [\w:]+="[^"&]*">)')
# A note must find the document that it refers to already read.
_ORDER = {61: 1, 56: 2}


@dataclass(frozen=True)
class Caratula:
    """Cover of an envelope. RUTs like 76543210-3; `signed_at` naive Santiago time.

    `receiver_rut` is the SII's, or the customer's in the copy for the customer; the resolution is the issuer's in the
    environment where the envelope goes (number 0 in certification).
    """

    issuer_rut: str
    sender_rut: str
    resolution_date: date
    resolution_number: int
    signed_at: datetime
    receiver_rut: str = SII_RUT


@dataclass(frozen=True)
class DocumentKey:
    """What identifies a document inside an envelope."""

    dte_type: int
    folio: int
    issuer_rut: str


def read_key(xml: bytes) -> DocumentKey:
    """Return type, folio and issuer of a signed `<DTE>`.

    :raises DocumentError: `dte_bytes_unreadable`
    """
    found = _KEY.search(xml)
    if not found or not xml.startswith(_OPEN_BYTES) or not xml.endswith(_CLOSE_BYTES):
        raise DocumentError([Problem("dte_bytes_unreadable")])
    return DocumentKey(int(found[1]), int(found[2]), found[3].decode("ascii"))


def build_envio(
    caratula: Caratula, documents: Iterable[bytes], credentials: Credentials, number: int | None = None
) -> bytes:
    """Return a signed EnvioDTE in ISO-8859-1 with 1 to 2000 documents.

    Invoices and guides come first, then credit notes, then debit notes; otherwise the given order is kept.

    :param documents: signed `<DTE>` elements as :func:`issue.issue` returns them
    :param number: tells two envelopes apart that hold the same documents and were signed in the same second; the SII
        would take the second one for a copy of the first (STATUS 99)
    :raises DocumentError: `envio_empty`, `envio_too_many`, `envio_repeated`, `envio_other_issuer` or
        `dte_bytes_unreadable`
    """
    pairs = sorted(
        ((read_key(document), document) for document in documents), key=lambda pair: _ORDER.get(pair[0].dte_type, 0)
    )
    _check([key for key, _document in pairs], caratula)
    set_id = SET_ID if number is None else f"{SET_ID}{number}"
    opening = _set_opening(caratula, [key for key, _document in pairs], set_id)
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(f"<SetDTE{IN_ENVIO}{opening}".encode())
    pieces = [_HEADER.encode(ENCODING), f"<SetDTE{opening}".encode(ENCODING)]
    for _key, document in pairs:
        digest.update(_canonical_in_envio(document))
        digest.update(b"\n")
        pieces += (document, b"\n")
    digest.update(b"</SetDTE>")
    signature = signature_element(credentials, digest_text(digest), set_id, inherited=_INHERITED)
    pieces.append(f"</SetDTE>\n{signature}\n</EnvioDTE>\n".encode(ENCODING))
    return b"".join(pieces)


def _check(keys: Sequence[DocumentKey], caratula: Caratula):
    if not keys:
        raise DocumentError([Problem("envio_empty")])
    if len(keys) > MAX_DOCUMENTS:
        raise DocumentError([Problem("envio_too_many", params={"count": len(keys), "limit": MAX_DOCUMENTS})])
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    problems = [Problem("envio_repeated", params={"type": key.dte_type, "folio": key.folio}) for key in repeated]
    problems += [
        Problem("envio_other_issuer", params={"type": key.dte_type, "folio": key.folio})
        for key in keys
        if key.issuer_rut != caratula.issuer_rut
    ]
    if problems:
        raise DocumentError(problems)


def _set_opening(caratula: Caratula, keys: Sequence[DocumentKey], set_id: str) -> str:
    """Return what follows `<SetDTE` and its namespaces, up to the first document."""
    counts = Counter(key.dte_type for key in keys)
    subtotals = "".join(
        f"<SubTotDTE>\n<TpoDTE>{dte_type}</TpoDTE>\n<NroDTE>{count}</NroDTE>\n</SubTotDTE>\n"
        for dte_type, count in counts.items()
    )
    return (
        f' ID="{set_id}">\n<Caratula version="1.0">\n<RutEmisor>{caratula.issuer_rut}</RutEmisor>\n'
        f"<RutEnvia>{caratula.sender_rut}</RutEnvia>\n<RutReceptor>{caratula.receiver_rut}</RutReceptor>\n"
        f"<FchResol>{caratula.resolution_date}</FchResol>\n<NroResol>{caratula.resolution_number}</NroResol>\n"
        f"<TmstFirmaEnv>{timestamp(caratula.signed_at)}</TmstFirmaEnv>\n{subtotals}</Caratula>\n"
    )


def _canonical_in_envio(document: bytes) -> bytes:
    """Return the canonical form of a document inside an envelope, where its `xmlns` is redundant, in UTF-8."""
    if _is_canonical(document):
        canonical = document.decode(ENCODING).encode("utf-8")
    else:
        declared = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + document
        canonical = xml_parser.canonical(xml_parser.parse(declared))
    return b'<DTE version="1.0">' + canonical[len(_OPEN_BYTES) :]


def _is_canonical(document: bytes) -> bool:
    """Tell whether a signed document is its own canonical form, as ours are but for what the SII wrote in the CAF.

    Tags are looked at from the timbre on: there stand the CAF and the signature, which shows another writer's hand.
    """
    entities = document.count(b"&") - document.count(b"&amp;")
    if entities:
        entities -= document.count(b"&lt;") + document.count(b"&gt;")
    return not entities and b"\r" not in document and not _ODD_TAG.search(document, document.rfind(b"<TED"))
