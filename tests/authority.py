# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Keys, certificates and CAFs for tests, made anew in each run: no key is ever in the repository."""

from __future__ import annotations

import base64
import random
import secrets
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

ISSUER = "76543210-3"
HOLDER = "11111111-1"
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Autoridad de Prueba")])
SHA1 = hashes.SHA1()  # noqa: S303


def _is_prime(candidate: int) -> bool:
    return all(pow(random.randrange(2, candidate - 1), candidate - 1, candidate) == 1 for _ in range(20))


def _prime(bits: int) -> int:
    while True:
        candidate = secrets.randbits(bits) | (3 << (bits - 2)) | 1
        if candidate % 3 == 2 and _is_prime(candidate):
            return candidate


@lru_cache
def caf_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A 512-bit key with exponent 3, as the SII's CAFs have; `cryptography` uses but no longer makes them."""
    p, q = _prime(256), _prime(256)
    d = pow(3, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(3, p * q))
    return numbers.private_key()


@lru_cache
def rsa_key(name: str = "") -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def ca_key() -> rsa.RSAPrivateKey:
    """The key that signs CAFs here, in the place of the SII's."""
    return rsa_key("caf authority")


def _number(value: int) -> str:
    return base64.b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def make_caf(
    dte_type: int = 33,
    first: int = 1,
    last: int = 1000,
    *,
    rut: str = ISSUER,
    name: str = "SERVICIOS Y CIA ÑUÑOA LIMITADA",
    authorized_on: date = date(2026, 9, 1),
    idk: int = 666,
    key: rsa.RSAPrivateKey | None = None,
    signer: rsa.RSAPrivateKey | None = None,
    declared_key: rsa.RSAPrivateKey | None = None,
) -> bytes:
    """An AUTORIZACION file as the SII writes it: with line breaks, in ISO-8859-1."""
    key = key or caf_key()
    numbers = (declared_key or key).public_key().public_numbers()
    da = (
        f"<DA><RE>{rut}</RE><RS>{name}</RS><TD>{dte_type}</TD><RNG><D>{first}</D><H>{last}</H></RNG>"
        f"<FA>{authorized_on}</FA><RSAPK><M>{_number(numbers.n)}</M><E>{_number(numbers.e)}</E></RSAPK><IDK>{idk}</IDK></DA>"
    )
    frma = base64.b64encode((signer or ca_key()).sign(da.encode("iso-8859-1"), padding.PKCS1v15(), SHA1)).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    da = da.replace("><", ">\n<")
    return (
        f'<?xml version="1.0"?>\n<AUTORIZACION>\n<CAF version="1.0">\n{da}\n'
        f'<FRMA algoritmo="SHA1withRSA">{frma}</FRMA>\n</CAF>\n'
        f"<RSASK>{private}</RSASK>\n\n<RSAPUBK>{public.decode()}</RSAPUBK>\n</AUTORIZACION>\n"
    ).encode("iso-8859-1")


def _rut_name(arc: str, rut: str) -> x509.OtherName:
    """The SII's otherName: 1 is the holder, 2 the certification authority; an IA5String."""
    return x509.OtherName(x509.ObjectIdentifier(f"1.3.6.1.4.1.8321.{arc}"), bytes([0x16, len(rut)]) + rut.encode())


def make_certificate(
    rut: str = HOLDER,
    *,
    key: rsa.RSAPrivateKey | None = None,
    not_before: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc),
    days: int = 730,
    in_san: bool = True,
    in_subject: bool = False,
    in_issuer: str = "",
    san_arc: str = "1",
    subject_key=None,
    self_signed: bool = False,
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A person's certificate, in the name of an authority; `subject_key` puts a key in it that is not the signer's."""
    key = key or rsa_key(rut)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "Persona de Prueba")]
    if in_subject:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, rut))
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if self_signed else CA_NAME)
        .public_key(subject_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + timedelta(days=days))
    )
    if in_san:
        builder = builder.add_extension(x509.SubjectAlternativeName([_rut_name(san_arc, rut)]), critical=False)
    if in_issuer:
        builder = builder.add_extension(x509.IssuerAlternativeName([_rut_name("2", in_issuer)]), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def make_odd_der(kind: str, rut: str = HOLDER, **options) -> bytes:
    """A certificate that no authority should issue, in DER: "version", "general name" or "extension twice"."""
    certificate, key = make_certificate(rut, **options)
    if kind == "extension twice":
        der = _with_two_extensions(certificate, key)
        return der.replace(b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04")
    der = certificate.public_bytes(serialization.Encoding.DER)
    if kind == "version":
        return der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    # The name that holds the RUT, of type [0], becomes an x400Address, [3].
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.public_bytes()
    at = der.index(names) + 2
    return der[:at] + b"\xa3" + der[at + 1 :]


def _with_two_extensions(certificate, key) -> bytes:
    builder = x509.CertificateBuilder(
        certificate.issuer, certificate.subject, key.public_key(), 1,
        certificate.not_valid_before_utc.replace(tzinfo=None), certificate.not_valid_after_utc.replace(tzinfo=None),
    )  # fmt: skip
    for last in (4, 5):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{last}"), b"\x05\x00")
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def make_pkcs12(passphrase: str, rut: str = HOLDER, *, encryption=None, **options) -> bytes:
    """A .pfx file as a person gets it."""
    certificate, key = make_certificate(rut, **options)
    secret = passphrase.encode()
    encryption = encryption or serialization.BestAvailableEncryption(secret)
    return pkcs12.serialize_key_and_certificates(b"persona", key, certificate, None, encryption)


def make_pem(rut: str = HOLDER, **options) -> tuple[bytes, bytes]:
    """Certificate and unencrypted key in PEM."""
    certificate, key = make_certificate(rut, **options)
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
