# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Verification of signatures and timbres, ours and those of other issuers, with xmlsec.

An inner DTE is verified as the fragment that it is, cut out of the bytes. Real issuers digest it with different
namespaces in scope (the SII's own sample with none), so each known context is tried; everything else is refused. What a
signature covers is bound to its place: it must be the last child of its holder and refer to the first one.
Source: xmldsignature_v10.xsd; Manual del desarrollador externo, firma; FAQ on the timbre.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from datetime import datetime

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import xml_parser
from .caf import Caf, is_authentic, parse_embedded
from .credentials import CERTIFICATE_ERRORS, read_holder_rut
from .exceptions import ConfigurationError, SignatureError, XmlError
from .text import ENCODING
from .xml_signer import C14N, DS_NS, SII_NS, XSI_NS

_DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>'
_DD = re.compile(rb"<DD(?:\s[^>]*)?>(.*?</DD>)", re.DOTALL)
_FRMT = re.compile(rb"<FRMT[^>]*>([^<]*)</FRMT>")
_BETWEEN_TAGS = re.compile(rb">\s+<")
_PART_TAG = re.compile(rb"<(DTE|Recibo)((?:\s[^>]*)?)>")
_NAMESPACES = re.compile(rb"""(?<!\s)\s+xmlns(?::\w+)?\s*=\s*(?:"[^"]*"|'[^']*')""")
_ALLOWED_TRANSFORMS = frozenset((C14N, f"{DS_NS}enveloped-signature"))
_MIN_KEY_BITS = 1024
# Each one takes another pass over what is signed; nobody needs more than C14N and the enveloped signature.
_MAX_TRANSFORMS = 2
# A timbre takes some 1,100 bytes; from others it may be written with white space.
_MAX_TED_BYTES = 16 * 1024

# The namespace declarations that issuers had in scope when they signed a document.
_CONTEXTS = {
    "as written": None,
    "SiiDte": f' xmlns="{SII_NS}"',
    "SiiDte and xsi": f' xmlns="{SII_NS}" xmlns:xsi="{XSI_NS}"',
    "none": "",
}


@dataclass(frozen=True)
class SignatureReport:
    """What is known of one signature.

    :ivar holder: local name of the element that carries the signature (DTE, EnvioDTE ...)
    :ivar reference: ID of the signed element
    :ivar problem: "" when valid, else `signature_missing`, `signature_malformed`, `signature_wrong_reference`,
        `signature_algorithm`, `signature_key_mismatch`, `signature_weak_key` or `signature_invalid`
    :ivar signer_rut: RUT in the certificate, "" when it has none
    :ivar context: which namespaces the signed digest was made with
    :ivar issuer: whom the certificate names as its authority, RFC 4514; nobody verified that
    :ivar self_signed: the certificate names its holder as its authority
    """

    holder: str
    reference: str = ""
    problem: str = ""
    signer_rut: str = ""
    context: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    issuer: str = ""
    self_signed: bool = False

    @property
    def valid(self) -> bool:
        """Tell whether the signature is intact and covers what it stands beside."""
        return not self.problem


@dataclass(frozen=True)
class TimbreReport:
    """What is known of a timbre: `problems` holds the codes of everything wrong, empty when it is good."""

    problems: tuple[str, ...]
    caf: Caf | None = None


def split_documents(xml: bytes) -> list[bytes]:
    """Return the `<DTE>` elements of an envelope exactly as they stand in its bytes."""
    return cut_elements(xml, b"DTE")


def cut_elements(xml: bytes, name: bytes) -> list[bytes]:
    """Return the elements of a name without prefix exactly as they stand in the bytes.

    Each byte is looked at once, whatever anybody writes: a lazy expression would search the rest of the file again for
    each element that is not closed.

    :param name: of an element that does not hold itself, such as `DTE` or `TED`
    """
    opening, closing = re.compile(rb"<%s[\s>]" % name), b"</%s>" % name
    found, position = [], 0
    while start := opening.search(xml, position):
        end = xml.find(closing, start.end())
        if end < 0:
            break
        position = end + len(closing)
        found.append(xml[start.start() : position])
    return found


def verify_envio(xml: bytes) -> list[SignatureReport]:
    """Verify the signature of an envelope (first report) and of each DTE in it.

    :param xml: the whole file as received
    :raises XmlError: when it cannot be parsed
    """
    whole, parts = _verify_set(xml, b"DTE")
    return [whole, *(verify_dte(part) for part in parts)]


def verify_answer(xml: bytes) -> list[SignatureReport]:
    """Verify the signature of a customer's answer (first report) and, if that is good, of each Recibo in it.

    :param xml: a RespuestaDTE or EnvioRecibos, the whole file as received
    :raises XmlError: when it cannot be parsed
    """
    whole, parts = _verify_set(xml, b"Recibo")
    # What nobody answers for is not worth the time that it may take.
    return [whole, *(verify_dte(part) for part in parts if whole.valid)]


def _verify_set(xml: bytes, part: bytes) -> tuple[SignatureReport, list[bytes]]:
    """Return the report of the whole file, and its parts; none when text and tree do not agree on them."""
    root = xml_parser.parse(xml)
    whole, parts = _verify(root, "as written"), cut_elements(xml, part)
    if len(parts) != sum(xml_parser.local_name(element) == part.decode() for element in root.iter()):
        return replace(whole, problem="signature_malformed"), []
    declaration = f'<?xml version="1.0" encoding="{root.getroottree().docinfo.encoding or "UTF-8"}"?>'.encode()
    return whole, [declaration + fragment for fragment in parts]


def verify_dte(xml: bytes) -> SignatureReport:
    """Verify the signature of one `<DTE>`, or one `<Recibo>` of a customer, standing alone.

    :param xml: the element, with or without XML declaration, in ISO-8859-1 unless it declares otherwise
    :raises XmlError: when it cannot be parsed
    """
    report = None
    for name, namespaces in _CONTEXTS.items():
        attempt = _verify(xml_parser.parse(_in_context(xml, namespaces)), name)
        if attempt.valid or attempt.problem != "signature_invalid":
            return attempt
        report = report or attempt
    return report


def _in_context(xml: bytes, namespaces: str | None) -> bytes:
    if not xml.lstrip().startswith(b"<?xml"):
        xml = _DECLARATION + xml
    if namespaces is None:
        return xml
    tag = _PART_TAG.search(xml)
    if not tag:
        return xml
    attributes = namespaces.encode() + _NAMESPACES.sub(b"", tag[2])
    return xml[: tag.start()] + b"<" + tag[1] + attributes + b">" + xml[tag.end() :]


def _verify(root, context: str) -> SignatureReport:
    holder = xml_parser.local_name(root)
    children = [child for child in root if isinstance(child.tag, str)]
    if len(children) < 2 or children[-1].tag != f"{{{DS_NS}}}Signature":
        return SignatureReport(holder, problem="signature_missing")
    signed, signature = children[0], children[-1]
    reference = signed.get("ID") or ""
    problem = _form_problem(root, children, signature, reference)
    if problem:
        return SignatureReport(holder, reference, problem)
    try:
        certificate = _certificate(signature)
        return SignatureReport(
            holder,
            reference,
            _cryptographic_problem(root, signature, certificate),
            read_holder_rut(certificate),
            context,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.issuer.rfc4514_string(),
            certificate.issuer == certificate.subject,
        )
    except SignatureError as error:
        return SignatureReport(holder, reference, error.code)
    except CERTIFICATE_ERRORS:
        return SignatureReport(holder, reference, "signature_malformed")


def _form_problem(root, children, signature, reference: str) -> str:
    references = signature.findall(f"./{{{DS_NS}}}SignedInfo/{{{DS_NS}}}Reference")
    if len(children) != 2 or len(references) != 1:
        return "signature_malformed"
    same_id = [element for element in root.iter() if isinstance(element.tag, str) and element.get("ID") == reference]
    if not reference or references[0].get("URI") != f"#{reference}" or len(same_id) != 1:
        return "signature_wrong_reference"
    algorithms = {
        "CanonicalizationMethod": {C14N},
        "SignatureMethod": {f"{DS_NS}rsa-sha1"},
        "DigestMethod": {f"{DS_NS}sha1"},
        "Transform": _ALLOWED_TRANSFORMS,
    }
    if sum(1 for _transform in signature.iter(f"{{{DS_NS}}}Transform")) > _MAX_TRANSFORMS:
        return "signature_malformed"
    for name, allowed in algorithms.items():
        if any(element.get("Algorithm") not in allowed for element in signature.iter(f"{{{DS_NS}}}{name}")):
            return "signature_algorithm"
    return ""


def _certificate(signature) -> x509.Certificate:
    text = signature.findtext(f"./{{{DS_NS}}}KeyInfo/{{{DS_NS}}}X509Data/{{{DS_NS}}}X509Certificate") or ""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
        key = certificate.public_key()
    except CERTIFICATE_ERRORS as error:
        raise SignatureError("signature_malformed") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        raise SignatureError("signature_weak_key")
    return certificate


def _cryptographic_problem(root, signature, certificate) -> str:
    if not _key_value_matches(signature, certificate):
        return "signature_key_mismatch"
    xmlsec.tree.add_ids(root, ["ID"])
    context = xmlsec.SignatureContext()
    try:
        context.key = xmlsec.Key.from_memory(
            certificate.public_bytes(serialization.Encoding.DER), xmlsec.constants.KeyDataFormatCertDer
        )
        context.verify(signature)
    except xmlsec.Error:
        return "signature_invalid"
    return ""


def _key_value_matches(signature, certificate) -> bool:
    """Compare KeyValue with the certificate's key; absent is tolerated, as other issuers leave it out."""
    value = signature.find(f"./{{{DS_NS}}}KeyInfo/{{{DS_NS}}}KeyValue/{{{DS_NS}}}RSAKeyValue")
    if value is None:
        return True
    numbers = certificate.public_key().public_numbers()
    try:
        modulus, exponent = (
            int.from_bytes(base64.b64decode("".join((value.findtext(f"{{{DS_NS}}}{name}") or "").split())), "big")
            for name in ("Modulus", "Exponent")
        )
    except (ValueError, binascii.Error):
        return False
    return (modulus, exponent) == (numbers.n, numbers.e)


def verify_timbre(dte_xml: bytes, *, simulator_key: rsa.RSAPublicKey | None = None) -> TimbreReport:
    """Verify the timbre of a `<DTE>`: FRMT with the CAF's key, FRMA with the SII's, and that it tells the same story.

    :param simulator_key: public key of the simulator's CAF authority, for its documents only
    :raises XmlError: when the document cannot be parsed
    """
    root = xml_parser.parse(_in_context(dte_xml, None))
    document = next((child for child in root if isinstance(child.tag, str)), None)
    found = cut_elements(dte_xml, b"TED")
    if document is None or len(found) != 1:
        return TimbreReport(("timbre_missing",))
    if len(found[0]) > _MAX_TED_BYTES:
        return TimbreReport(("timbre_malformed",))
    ted = _BETWEEN_TAGS.sub(b"><", found[0])
    data, signature = _DD.search(ted), _FRMT.search(ted)
    if not data or not signature:
        return TimbreReport(("timbre_malformed",))
    signed = b"<DD>" + data[1]
    try:
        caf = parse_embedded(signed.decode(ENCODING))
        stamped = xml_parser.parse(_DECLARATION + signed)
    except (ConfigurationError, XmlError):
        return TimbreReport(("timbre_malformed",))
    problems = []
    if not _frmt_is_valid(signed, signature[1], caf):
        problems.append("timbre_signature_invalid")
    if not is_authentic(caf, simulator_key):
        problems.append("caf_forged")
    problems += _mismatches(document, stamped, caf)
    return TimbreReport(tuple(problems), caf)


def _frmt_is_valid(signed: bytes, signature: bytes, caf: Caf) -> bool:
    try:
        caf.public_key.verify(
            base64.b64decode(b"".join(signature.split()), validate=True),
            signed,
            padding.PKCS1v15(),
            hashes.SHA1(),  # noqa: S303 - the format fixes SHA1withRSA
        )
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _mismatches(document, data, caf: Caf) -> list[str]:
    """Compare with the data that FRMT signs, not with whatever else the timbre may hold."""

    def header(*names):
        return xml_parser.text_of(document, "Encabezado", *names)

    def stamped(name):
        return xml_parser.text_of(data, name)

    pairs = (
        (stamped("RE"), header("Emisor", "RUTEmisor")),
        (stamped("TD"), header("IdDoc", "TipoDTE")),
        (stamped("F"), header("IdDoc", "Folio")),
        (stamped("FE"), header("IdDoc", "FchEmis")),
        (stamped("RR"), header("Receptor", "RUTRecep")),
        (stamped("MNT"), header("Totales", "MntTotal")),
    )
    problems = ["timbre_differs"] if any(left != right for left, right in pairs) else []
    folio, dte_type = header("IdDoc", "Folio"), header("IdDoc", "TipoDTE")
    if not (folio.isdigit() and dte_type.isdigit() and caf.covers(int(dte_type), int(folio))):
        problems.append("caf_does_not_cover")
    elif caf.issuer_rut != header("Emisor", "RUTEmisor"):
        problems.append("caf_other_company")
    return problems
