# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""CAF: the SII's authorisation of a folio range, with the key that stamps its documents.

Source: Instructivo técnico de factura electrónica, CAF; FAQ on the expiry of folios (six months, since 2018-07-01).
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import xml_parser
from .exceptions import ConfigurationError, Problem, XmlError
from .text import ENCODING

# IDK: which key of the SII signed the authorisation, and so for which environment it is.
IDK_BY_ENVIRONMENT = {"simulator": 666, "certification": 100, "production": 300}

# The SII's certificates of these keys expired in 2004 and modern parsers refuse them; the moduli are what counts.
_SII_MODULI = {
    100: "c8fbf00dcb21a55000a585522c5de528a73e0ce16cc03ab1e5ea7de4b2a28111"
    "e352faef8dcb7d51e349abd4b105dcd4f67cf9e13115058c9f0154291b8c7153",
    300: "9deebfc5eebd96df4c7cf53f1bfa15d85d73ef04c6718f8c07b3f785efee75e7"
    "b4ef5a3ae079c3265a900e45f602890af6fb4fafa2b8d6938f7f011c3585b335",
}
SII_KEYS = {idk: rsa.RSAPublicNumbers(65537, int(modulus, 16)).public_key() for idk, modulus in _SII_MODULI.items()}

# Documents that give a right to VAT credit expire with their CAF; the others do not.
EXPIRING_TYPES = frozenset((33, 43, 46, 56, 61))
LIFE_MONTHS = 6
# Six months are read as 180 days by some: warn by the earlier reading, refuse by the calendar.
LIFE_DAYS_FOR_WARNING = 180

MAX_FOLIO = 2**31 - 1
_MAX_BYTES = 64 * 1024
_BETWEEN_TAGS = re.compile(r">\s+<")


@dataclass(frozen=True)
class Caf:
    """One authorised range.

    :ivar xml: the `<CAF>` element as the SII wrote it, without white space between tags; it goes into each timbre
    :ivar canonical_xml: the same in canonical form; differs only if the SII escaped a quote
    :ivar signed_text: the flattened `<DA>`, what FRMA signs
    :ivar private_key: None for a CAF read from somebody's timbre
    """

    issuer_rut: str
    issuer_name: str
    dte_type: int
    first: int
    last: int
    authorized_on: date
    idk: int
    xml: str
    canonical_xml: str
    signed_text: str
    signature: bytes
    public_key: rsa.RSAPublicKey
    private_key: rsa.RSAPrivateKey | None = field(default=None, repr=False)

    def covers(self, dte_type: int, folio: int) -> bool:
        """Tell whether the folio of this type was authorised by this CAF."""
        return dte_type == self.dte_type and self.first <= folio <= self.last

    def last_day(self) -> date | None:
        """Return the last day on which a document may be signed with it, None when it does not expire.

        The SII compares the signature date (TmstFirma) with FA and refuses what is over six months.
        """
        return last_day(self.dte_type, self.authorized_on)

    def warning_day(self) -> date | None:
        """Return the day from which it may be taken as expired under the stricter reading (180 days)."""
        return warning_day(self.dte_type, self.authorized_on)


def last_day(dte_type: int, authorized_on: date) -> date | None:
    """See :meth:`Caf.last_day`."""
    if dte_type not in EXPIRING_TYPES:
        return None
    months = authorized_on.month - 1 + LIFE_MONTHS
    year, month = authorized_on.year + months // 12, months % 12 + 1
    return date(year, month, min(authorized_on.day, calendar.monthrange(year, month)[1]))


def warning_day(dte_type: int, authorized_on: date) -> date | None:
    """See :meth:`Caf.warning_day`."""
    calendar_day = last_day(dte_type, authorized_on)
    return calendar_day and min(calendar_day, authorized_on + timedelta(days=LIFE_DAYS_FOR_WARNING))


def parse_caf(data: bytes, *, trusted: bool = False) -> Caf:
    """Read an AUTORIZACION file as downloaded from the SII.

    :param data: the file; it is read as ISO-8859-1 whatever it declares, as the SII writes it
    :param trusted: skip the arithmetic check of the private key, for a file that passed it when it was loaded
    :raises ConfigurationError: `caf_damaged` or `caf_key_unsupported`
    """
    text = _decode(data)
    _cut(text, "AUTORIZACION")
    return replace(parse_embedded(text), private_key=_private_key(_cut(text, "RSASK"), trusted))


def parse_embedded(text: str) -> Caf:
    """Read the `<CAF>` element inside `text`, as it stands in a timbre: without the private key.

    :raises ConfigurationError: `caf_damaged` or `caf_key_unsupported`
    """
    text = _BETWEEN_TAGS.sub("><", text)
    caf_xml = _cut(text, "CAF")
    signed_text = _cut(caf_xml, "DA")
    try:
        root = xml_parser.parse(caf_xml.encode("utf-8"), max_bytes=_MAX_BYTES)
        # Read from the very text that FRMA signs: elsewhere in the file another DA could stand.
        authorization = xml_parser.parse(signed_text.encode("utf-8"))
        if xml_parser.find_local(authorization, "DSAPK") is not None:
            raise ConfigurationError("caf_key_unsupported")
        return _read(root, authorization, caf_xml, signed_text)
    except (XmlError, ValueError) as error:
        raise ConfigurationError("caf_damaged", detail=str(error)[:200]) from error


def _read(root, authorization, caf_xml: str, signed_text: str) -> Caf:
    def value(*names, source=authorization):
        text = xml_parser.text_of(source, *names)
        if not text:
            raise ConfigurationError("caf_damaged", detail=names[-1])
        return text

    numbers = rsa.RSAPublicNumbers(_integer(value("RSAPK", "E")), _integer(value("RSAPK", "M")))
    return Caf(
        issuer_rut=value("RE"),
        issuer_name=value("RS"),
        dte_type=int(value("TD")),
        first=int(value("RNG", "D")),
        last=int(value("RNG", "H")),
        authorized_on=date.fromisoformat(value("FA")),
        idk=int(value("IDK")),
        xml=caf_xml,
        canonical_xml=xml_parser.canonical(root).decode("utf-8"),
        signed_text=signed_text,
        signature=_base64(value("FRMA", source=root)),
        public_key=numbers.public_key(),
    )


def _decode(data: bytes) -> str:
    if len(data) > _MAX_BYTES:
        raise ConfigurationError("caf_damaged", detail="size")
    return data.decode(ENCODING)


def _cut(text: str, tag: str) -> str:
    """Return the element `tag` as written: what the SII signed must not pass through a serialiser."""
    found = re.search(rf"<{tag}(?:\s[^>]*)?>.*?</{tag}>", text, re.DOTALL)
    if not found:
        raise ConfigurationError("caf_damaged", detail=tag)
    return found.group()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ConfigurationError("caf_damaged", detail="base64") from error


def _integer(text: str) -> int:
    return int.from_bytes(_base64(text), "big")


def _private_key(element: str, trusted: bool) -> rsa.RSAPrivateKey:
    pem = re.sub(r"</?RSASK[^>]*>", "", element).strip().encode("ascii", "replace")
    try:
        key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=trusted)
    except (ValueError, TypeError) as error:
        raise ConfigurationError("caf_damaged", detail="RSASK") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError("caf_key_unsupported")
    return key


def find_problems(
    caf: Caf, *, issuer_rut: str, environment: str, today: date, simulator_key: rsa.RSAPublicKey | None = None
) -> list[Problem]:
    """Return everything that makes a CAF unusable for a company in an environment.

    Expiry is not looked at: an expired CAF still proves documents that were signed with it.

    :param today: date in Santiago
    :param simulator_key: public key that signs the CAFs of the simulator, needed in that environment only
    """
    problems = []
    if caf.issuer_rut != issuer_rut:
        problems.append(Problem("caf_other_company", "issuer_rut", {"caf": caf.issuer_rut, "company": issuer_rut}))
    if caf.idk != IDK_BY_ENVIRONMENT[environment]:
        problems.append(Problem("caf_other_environment", "idk", {"idk": caf.idk, "environment": environment}))
    elif not is_authentic(caf, simulator_key):
        problems.append(Problem("caf_forged", "signature"))
    if caf.private_key and caf.public_key.public_numbers() != caf.private_key.public_key().public_numbers():
        problems.append(Problem("caf_key_mismatch", "private_key"))
    if not 1 <= caf.first <= caf.last <= MAX_FOLIO:
        problems.append(Problem("caf_range_invalid", "first", {"first": caf.first, "last": caf.last}))
    if caf.authorized_on > today:
        problems.append(Problem("caf_from_future", "authorized_on", {"date": caf.authorized_on}))
    return problems


def is_authentic(caf: Caf, simulator_key: rsa.RSAPublicKey | None = None) -> bool:
    """Verify FRMA, the SII's signature over the authorisation."""
    key = simulator_key if caf.idk == IDK_BY_ENVIRONMENT["simulator"] else SII_KEYS.get(caf.idk)
    if key is None:
        return False
    try:
        key.verify(
            caf.signature,
            caf.signed_text.encode(ENCODING),
            padding.PKCS1v15(),
            hashes.SHA1(),  # noqa: S303 - the SII signs authorisations with SHA-1
        )
    except InvalidSignature:
        return False
    return True


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """Read a PEM public key, as the simulator publishes the one that signs its CAFs.

    :raises ConfigurationError: `public_key_unreadable`
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise ConfigurationError("public_key_unreadable") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError("public_key_unreadable")
    return key
