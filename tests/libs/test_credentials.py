# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import base64
import ssl
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID
from libs import credentials
from libs.exceptions import ConfigurationError

from tests import authority

PASSPHRASE = "clave con ñ y espacio"


def code_of(load, *args, **options):
    with pytest.raises(ConfigurationError) as caught:
        load(*args, **options)
    assert caught.value.error_type == "certificate"
    return caught.value.code


def pem(key, encryption=None):
    return key.private_bytes(
        serialization.Encoding.PEM, PrivateFormat.PKCS8, encryption or serialization.NoEncryption()
    )


def certificate_of(key, signer=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "X")])
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=9))
    return builder.sign(signer or key, hashes.SHA256())


def packed(key, certificate):
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    return pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, encryption)


def legacy():
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303
        .build(PASSPHRASE.encode())
    )


@pytest.mark.parametrize("encryption", [None, legacy()], ids=["modern", "3DES"])
def test_a_pfx_file(encryption):
    loaded = credentials.load_pkcs12(authority.make_pkcs12(PASSPHRASE, encryption=encryption), PASSPHRASE)
    assert loaded.holder_rut == authority.HOLDER
    assert loaded.private_key.private_numbers() == authority.rsa_key(authority.HOLDER).private_numbers()


@pytest.mark.parametrize("passphrase", ["", "otra", PASSPHRASE + " "])
def test_a_wrong_passphrase(passphrase):
    data = authority.make_pkcs12(PASSPHRASE)
    assert code_of(credentials.load_pkcs12, data, passphrase) == "certificate_passphrase_wrong"


@pytest.mark.parametrize("data", [b"", b"0", b"0\x82", b"not a certificate", b"\x30\x82" + b"x" * 200])
def test_what_is_not_a_pfx_file(data):
    assert code_of(credentials.load_pkcs12, data, PASSPHRASE) == "certificate_unreadable"


@pytest.mark.parametrize("size", [0.1, 0.5, 0.99])
def test_a_pfx_file_cut_short_does_not_blame_the_passphrase(size):
    data = authority.make_pkcs12(PASSPHRASE)
    assert code_of(credentials.load_pkcs12, data[: int(len(data) * size)], PASSPHRASE) == "certificate_unreadable"


def test_a_pfx_file_without_key():
    certificate, _key = authority.make_certificate()
    assert code_of(credentials.load_pkcs12, packed(None, certificate), PASSPHRASE) == "certificate_without_key"


def test_keys_that_the_sii_does_not_take():
    elliptic = ec.generate_private_key(ec.SECP256R1())
    data = packed(elliptic, certificate_of(elliptic))
    assert code_of(credentials.load_pkcs12, data, PASSPHRASE) == "certificate_key_unsupported"
    small = authority.caf_key()
    certificate = certificate_of(small, signer=authority.rsa_key()).public_bytes(serialization.Encoding.PEM)
    assert code_of(credentials.load_pem, certificate, pem(small)) == "certificate_key_unsupported"


def test_a_key_of_1024_bits():
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    certificate, _key = authority.make_certificate(key=key)
    assert credentials.load_pem(certificate.public_bytes(serialization.Encoding.PEM), pem(key)).private_key


def test_the_key_of_another_certificate():
    certificate, _key = authority.make_pem()
    assert code_of(credentials.load_pem, certificate, pem(authority.rsa_key("other"))) == "certificate_without_key"


@pytest.mark.parametrize("trusted", [False, True])
def test_a_pem_pair(trusted):
    loaded = credentials.load_pem(*authority.make_pem(), trusted=trusted)
    assert (loaded.holder_rut, loaded.private_key.key_size) == (authority.HOLDER, 2048)


def test_an_encrypted_pem_key():
    certificate, _key = authority.make_pem()
    key = pem(authority.rsa_key(authority.HOLDER), serialization.BestAvailableEncryption(PASSPHRASE.encode()))
    assert credentials.load_pem(certificate, key, passphrase=PASSPHRASE).holder_rut == authority.HOLDER
    for passphrase in (None, "", "otra"):
        assert code_of(credentials.load_pem, certificate, key, passphrase=passphrase) == "certificate_unreadable"


def test_damaged_pem():
    certificate, key = authority.make_pem()
    assert code_of(credentials.load_pem, certificate[:-60], key) == "certificate_unreadable"
    assert code_of(credentials.load_pem, certificate, key[:-60]) == "certificate_unreadable"
    assert code_of(credentials.load_pem, b"", b"") == "certificate_unreadable"


def holder(rut, **options):
    return credentials.read_holder_rut(authority.make_certificate(rut, **options)[0])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("11111111-1", "11111111-1"),
        ("07880442-4", "7880442-4"),
        ("007880442-4", "7880442-4"),
        ("15000005-k", "15000005-K"),
        ("15000005-K", "15000005-K"),
        (" 11.111.111-1 ", "11111111-1"),
        ("11111111-2", ""),
        ("111111111", ""),
        ("", ""),
        ("0-0", ""),
        ("ABC", ""),
    ],
)
@pytest.mark.parametrize("place", [{"in_san": True}, {"in_san": False, "in_subject": True}], ids=["san", "subject"])
def test_the_holders_rut_is_read_as_the_sii_writes_it(written, read, place):
    if written or "in_subject" not in place:
        assert holder(written, **place) == read


def test_the_alternative_name_goes_before_the_subject():
    certificate = authority.make_certificate("11111111-1", in_subject=True)[0]
    assert credentials.read_holder_rut(certificate) == "11111111-1"


def test_the_rut_of_the_certification_authority_is_not_the_holders():
    assert holder("11111111-1", in_san=False, in_issuer="96790240-3") == ""
    assert holder("11111111-1", in_san=False, in_subject=True, in_issuer="96790240-3") == "11111111-1"


def test_other_names_of_other_kinds_are_passed_over():
    certificate = authority.make_certificate("11111111-1", san_arc="9")[0]
    assert credentials.read_holder_rut(certificate) == ""


def test_a_stated_rut_serves_only_when_the_certificate_is_silent():
    silent = authority.make_pem(in_san=False)
    assert credentials.load_pem(*silent).holder_rut == ""
    assert credentials.load_pem(*silent, holder_rut="15000005-K").holder_rut == "15000005-K"
    assert credentials.load_pem(*authority.make_pem(), holder_rut="15000005-K").holder_rut == authority.HOLDER


def test_validity_has_both_ends(signer):
    first, last = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
    second = timedelta(seconds=1)
    assert signer.find_validity_problem(first) == signer.find_validity_problem(last) == ""
    assert signer.find_validity_problem(first - second) == "certificate_not_yet_valid"
    assert signer.find_validity_problem(last + second) == "certificate_expired"


def test_texts_of_the_signature_are_wrapped_base64(signer):
    for text in (signer.certificate_text, signer.modulus_text, signer.exponent_text):
        assert max(len(line) for line in text.split("\n")) <= 76
        assert text == text.strip()
    numbers = signer.private_key.public_key().public_numbers()
    assert int.from_bytes(base64.b64decode(signer.modulus_text), "big") == numbers.n
    assert base64.b64decode(signer.exponent_text) == b"\x01\x00\x01"
    assert x509.load_der_x509_certificate(base64.b64decode(signer.certificate_text)) == signer.certificate


def test_the_private_key_is_not_shown(signer):
    assert "private_key" not in repr(signer)


@pytest.mark.parametrize(
    ("kind", "code"), [("version", "certificate_unreadable"), ("general name", ""), ("extension twice", "")]
)
def test_an_odd_certificate_is_no_crash(kind, code):
    data = ssl.DER_cert_to_PEM_cert(authority.make_odd_der(kind)).encode()
    if code:
        assert code_of(credentials.load_pem, data, pem(authority.rsa_key(authority.HOLDER))) == code
    else:
        assert credentials.load_pem(data, pem(authority.rsa_key(authority.HOLDER))).holder_rut == ""
