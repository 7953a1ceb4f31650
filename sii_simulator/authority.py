# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The authorities of this small world: the key that signs CAFs and the CA of the test certificates."""

import fcntl
import ipaddress
import json
import os
from contextlib import contextmanager
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa as crypto_rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import rsa
from .clock import SANTIAGO
from .errors import UsageError
from .rut import SII, normalise

IDK = 666
HOLDER_RUT = x509.ObjectIdentifier("1.3.6.1.4.1.8321.1")
ISSUER_RUT = x509.ObjectIdentifier("1.3.6.1.4.1.8321.2")
IA5_STRING = 0x16
KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SII simulator test CA")])


class Authority:
    """Keys kept in `folder`, made at random the first time."""

    def __init__(self, folder, clock):
        self._folder = folder
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            self.caf_key = self._load_caf_key()
            self._ca_key, self.ca_certificate = self._load_ca()

    def ca_pem(self):
        return self.ca_certificate.public_bytes(serialization.Encoding.PEM).decode()

    def caf_public_pem(self):
        return rsa.public_pem(self.caf_key.public)

    def issue_person(self, rut, name, *, email=None, first=None, last=None, rut_in="both"):
        """A personal certificate with a new RSA key of 2048 bits; returns (private key, certificate).

        `first` and `last` are naive Santiago times; by default from yesterday for three years.
        `rut_in` is "san" (otherName 1.3.6.1.4.1.8321.1), "subject" (serialNumber), "both" or "none".
        """
        first = first or self._clock.local() - timedelta(days=1)
        last = last or first + timedelta(days=3 * 365)
        attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "CL"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
        others = []
        if rut_in in ("subject", "both"):
            attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, rut))
        if rut_in in ("san", "both"):
            others.append(x509.OtherName(HOLDER_RUT, _ia5(rut)))
        if email:
            others.append(x509.RFC822Name(email))
        key = crypto_rsa.generate_private_key(public_exponent=65537, key_size=2048)
        builder = self._builder(x509.Name(attributes), key, first, last)
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        issuer = x509.IssuerAlternativeName([x509.OtherName(ISSUER_RUT, _ia5(SII))])
        certificate = builder.add_extension(issuer, critical=False).sign(self._ca_key, hashes.SHA256())
        return key, certificate

    def issue_server(self, host):
        """A TLS certificate for `host` and localhost; returns the path of a PEM file with key and certificate."""
        key = crypto_rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now = self._clock.local()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        builder = self._builder(name, key, now - timedelta(days=366), now + timedelta(days=3660))
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        alternative = x509.SubjectAlternativeName(list(dict.fromkeys(names)))
        builder = builder.add_extension(alternative, critical=False).add_extension(usage, critical=False)
        certificate = builder.sign(self._ca_key, hashes.SHA256())
        path = self._folder / "tls.pem"
        _write_private(path, key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def vouches_for(self, certificate):
        """True when the CA of this simulator issued `certificate`."""
        try:
            certificate.verify_directly_issued_by(self.ca_certificate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def _builder(self, subject, key, first, last):
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(CA_NAME)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_aware(first))
            .not_valid_after(_aware(last))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority_key, critical=False)
        )

    def _load_caf_key(self):
        path = self._folder / "caf_key.json"
        if not path.exists():
            key = rsa.generate(512, 65537)
            _write_private(path, json.dumps({"p": key.p, "q": key.q, "exponent": key.exponent}).encode())
        return rsa.PrivateKey(**json.loads(path.read_text()))

    def _load_ca(self):
        path = self._folder / "ca.pem"
        if not path.exists():
            key = crypto_rsa.generate_private_key(public_exponent=65537, key_size=2048)
            certificate = _self_signed(key, self._clock.local())
            _write_private(path, key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        pem = path.read_bytes()
        return serialization.load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)


def holder_rut(certificate):
    """RUT of the holder: SubjectAltName otherName 1.3.6.1.4.1.8321.1, else serialNumber of the subject, else None."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = ()
    for name in names:
        if isinstance(name, x509.OtherName) and name.type_id == HOLDER_RUT and name.value[:1] == bytes((IA5_STRING,)):
            return normalise(name.value[2:].decode("ascii", "replace"))
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER):
        return normalise(attribute.value)
    return None


def is_valid_at(certificate, moment):
    """True when `moment` (naive Santiago time) is inside the validity of the certificate."""
    return certificate.not_valid_before_utc <= _aware(moment) <= certificate.not_valid_after_utc


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def to_pkcs12(key, certificate, ca_certificate, passphrase):
    """PKCS#12 bytes with the key, its certificate and the CA's. Raises UsageError without a passphrase."""
    if not passphrase:
        raise UsageError("give the passphrase of the PKCS#12 file: it has no default")
    protection = serialization.BestAvailableEncryption(passphrase.encode())
    return pkcs12.serialize_key_and_certificates(b"certificate", key, certificate, [ca_certificate], protection)


def _self_signed(key, now):
    builder = x509.CertificateBuilder().subject_name(CA_NAME).issuer_name(CA_NAME).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(_aware(now - timedelta(days=3650)))
    builder = builder.not_valid_after(_aware(now + timedelta(days=7300)))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(**{name: name in ("key_cert_sign", "crl_sign") for name in KEY_USAGES})
    builder = builder.add_extension(identifier, critical=False).add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256())


def _aware(moment):
    return moment.replace(tzinfo=SANTIAGO)


def _ia5(text):
    return bytes((IA5_STRING, len(text))) + text.encode("ascii")


def _write_private(path, content):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


@contextmanager
def _locked(folder):
    """Two processes that start together must not make two different authorities."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
