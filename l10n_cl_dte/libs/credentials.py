# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The digital certificate of a person who signs for a company.

Source: Manual de autenticación; the holder's RUT stands in the subject alternative name (OID 1.3.6.1.4.1.8321.1) or in
the serialNumber of the subject.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from stdnum.cl import rut as stdnum_rut

from .exceptions import ConfigurationError

HOLDER_RUT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.8321.1")
# What an odd certificate raises: several are no ValueError, and most come only when the part in question is read.
CERTIFICATE_ERRORS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_MIN_KEY_BITS = 1024


@dataclass(frozen=True)
class Credentials:
    """A certificate and its private key, parsed once and used for many signatures.

    :ivar holder_rut: RUT of the person, like 11111111-1; "" when the certificate does not say it
    """

    certificate: x509.Certificate
    private_key: rsa.RSAPrivateKey = field(repr=False)
    holder_rut: str = ""

    @cached_property
    def certificate_text(self) -> str:
        """Base64 of the DER certificate in lines of 76 characters, as it stands in X509Certificate."""
        return _wrapped(self.certificate.public_bytes(serialization.Encoding.DER))

    @cached_property
    def modulus_text(self) -> str:
        """Base64 of the modulus, wrapped."""
        return _wrapped(_integer_bytes(self._numbers.n))

    @cached_property
    def exponent_text(self) -> str:
        """Base64 of the public exponent."""
        return _wrapped(_integer_bytes(self._numbers.e))

    @property
    def _numbers(self):
        return self.private_key.public_key().public_numbers()

    def find_validity_problem(self, when: datetime) -> str:
        """Return `certificate_expired`, `certificate_not_yet_valid` or "".

        :param when: aware datetime
        """
        if when > self.certificate.not_valid_after_utc:
            return "certificate_expired"
        if when < self.certificate.not_valid_before_utc:
            return "certificate_not_yet_valid"
        return ""


def _integer_bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _wrapped(data: bytes) -> str:
    return base64.encodebytes(data).decode("ascii").strip()


def load_pkcs12(data: bytes, passphrase: str) -> Credentials:
    """Read a .pfx or .p12 file.

    :raises ConfigurationError: `certificate_passphrase_wrong`, `certificate_unreadable`, `certificate_without_key` or
        `certificate_key_unsupported`
    """
    try:
        key, certificate, _chain = pkcs12.load_key_and_certificates(data, passphrase.encode("utf-8"))
    except CERTIFICATE_ERRORS as error:
        code = "certificate_passphrase_wrong" if _looks_like_pkcs12(data) else "certificate_unreadable"
        raise ConfigurationError(code) from error
    if key is None or certificate is None:
        raise ConfigurationError("certificate_without_key")
    return _credentials(certificate, key)


def _looks_like_pkcs12(data: bytes) -> bool:
    """Tell a whole file that does not open from a file of another kind or cut short: DER states its own length."""
    if data[:1] != b"\x30" or b"\x2a\x86\x48\x86\xf7\x0d\x01\x07" not in data[:100]:
        return False
    length_bytes = data[1] & 0x7F if data[1] & 0x80 else 0
    return len(data) >= 2 + length_bytes + int.from_bytes(data[2 : 2 + length_bytes], "big")


def load_pem(
    certificate_pem: bytes,
    key_pem: bytes,
    *,
    passphrase: str | None = None,
    holder_rut: str = "",
    trusted: bool = False,
) -> Credentials:
    """Read a certificate and its private key.

    :param passphrase: of the key, when it is encrypted
    :param holder_rut: for a certificate that does not say it, the RUT that a person stated
    :param trusted: skip the arithmetic check of a key that passed it when it was loaded (it costs some 100 signatures)
    :raises ConfigurationError: `certificate_unreadable`, `certificate_without_key` or `certificate_key_unsupported`
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        secret = passphrase.encode("utf-8") if passphrase else None
        key = serialization.load_pem_private_key(key_pem, secret, unsafe_skip_rsa_key_validation=trusted)
    except CERTIFICATE_ERRORS as error:
        raise ConfigurationError("certificate_unreadable") from error
    return _credentials(certificate, key, holder_rut)


def _credentials(certificate, key, holder_rut="") -> Credentials:
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _MIN_KEY_BITS:
        raise ConfigurationError("certificate_key_unsupported")
    try:
        fits = key.public_key().public_numbers() == certificate.public_key().public_numbers()
        holder_rut = read_holder_rut(certificate) or holder_rut
    except CERTIFICATE_ERRORS as error:
        raise ConfigurationError("certificate_unreadable") from error
    if not fits:
        raise ConfigurationError("certificate_without_key")
    return Credentials(certificate, key, holder_rut)


def read_holder_rut(certificate: x509.Certificate) -> str:
    """Return the RUT of the certificate's holder, without leading zeros and with a capital K, or "".

    The RUT in issuerAltName (OID ...8321.2) is the certification authority's and is not looked at.

    :raises ValueError: when the subject cannot be read; extensions that cannot be are passed over
    """
    for text in (*_alternative_names(certificate), *_serial_numbers(certificate)):
        found = re.fullmatch(r"0*([1-9][0-9]{0,7})-([0-9K])", text.strip().upper().replace(".", ""))
        if found and stdnum_rut.is_valid("".join(found.groups())):
            return "-".join(found.groups())
    return ""


def _alternative_names(certificate):
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *CERTIFICATE_ERRORS):
        return
    for name in names.get_values_for_type(x509.OtherName):
        if name.type_id == HOLDER_RUT_OID:
            # DER: one tag byte (IA5String or another string type), one length byte, the text
            yield name.value[2:].decode("latin-1")


def _serial_numbers(certificate):
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER):
        yield str(attribute.value)
