# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""From a document as data to its signed bytes: check, compute, stamp, write, sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from . import checks, ted_generator, xml_generator
from .caf import Caf
from .credentials import Credentials
from .dte import Dte, Totals, compute_totals
from .exceptions import ConfigurationError, DocumentError
from .text import ENCODING
from .xml_signer import IN_DTE, SII_NS, digest_of, signature_element

DTE_OPEN = f'<DTE xmlns="{SII_NS}" version="1.0">'
DTE_CLOSE = "</DTE>"
_DOCUMENT_OPEN = "<Documento "


@dataclass(frozen=True)
class SignedDte:
    """A finished document.

    :ivar xml: `<DTE>...</DTE>` in ISO-8859-1 without XML declaration: what is archived, enveloped and sent
    :ivar ted: the `<TED>` element, what the printed barcode holds
    :ivar digest: base64 SHA-1 of the canonical Documento
    """

    xml: bytes
    ted: str
    digest: str
    totals: Totals


def issue(dte: Dte, caf: Caf, credentials: Credentials, signed_at: datetime) -> SignedDte:
    """Check, stamp and sign a document.

    :param caf: the authorisation that covers `dte.folio`
    :param signed_at: naive Santiago time, used for the timbre (TSTED) and the signature (TmstFirma)
    :raises DocumentError: with every problem of the document
    :raises ConfigurationError: `caf_does_not_cover`, `caf_expired`, `caf_from_future` or `caf_later_than_document`
    """
    totals = compute_totals(dte)
    problems = checks.find_problems(dte, totals)
    if problems:
        raise DocumentError(problems)
    check_caf_date(caf, dte.issue_date, signed_at)
    ted = ted_generator.generate(dte, totals, caf, signed_at)
    document = xml_generator.generate(dte, totals, ted, signed_at)
    canonical = f"<Documento{IN_DTE} {document[len(_DOCUMENT_OPEN) :]}"
    if caf.canonical_xml != caf.xml:
        canonical = canonical.replace(caf.xml, caf.canonical_xml)
    digest = digest_of(canonical)
    signature = signature_element(credentials, digest, xml_generator.document_id(dte.dte_type, dte.folio))
    text = f"{DTE_OPEN}\n{document}\n{signature}\n{DTE_CLOSE}"
    return SignedDte(text.encode(ENCODING), ted, digest, totals)


def check_caf_date(caf: Caf, issue_date: date, signed_at: datetime):
    """Refuse a CAF that the SII would refuse for a document of this date, signed at this time.

    Source: FAQ on the expiry of folios: the signature date counts (CAF-3-517); HED-3-305: the CAF may not be younger
    than the document.

    :raises ConfigurationError: `caf_expired`, `caf_from_future` or `caf_later_than_document`
    """
    last_day = caf.last_day()
    if last_day and signed_at.date() > last_day:
        raise ConfigurationError("caf_expired", date=last_day, first=caf.first, last=caf.last)
    if signed_at.date() < caf.authorized_on:
        raise ConfigurationError("caf_from_future", date=caf.authorized_on)
    if issue_date < caf.authorized_on:
        raise ConfigurationError("caf_later_than_document", date=caf.authorized_on)
