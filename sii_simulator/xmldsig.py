# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""XML signatures in the SII's profile (xmldsignature_v10.xsd): RSA-SHA1, inclusive C14N, KeyValue before X509Data."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from . import rsa, xmltools

NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
TAG = "{" + NAMESPACE + "}"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = NAMESPACE + "enveloped-signature"
RSA_SHA1 = NAMESPACE + "rsa-sha1"
SHA1 = NAMESPACE + "sha1"


class BadSignature(Exception):
    """The signature is not acceptable; `reason` is "form", "digest", "value", "certificate" or "key"."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Signature:
    element: etree._Element
    uri: str
    digest: bytes
    value: bytes
    key: rsa.PublicKey
    certificate: x509.Certificate


def read(element):
    """The parts of a Signature element. Raises BadSignature when the form is not the SII's profile."""
    info, value, key_info = _children(element, "SignedInfo", "SignatureValue", "KeyInfo")
    canonicalization, method, reference = _children(info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    _algorithm(canonicalization, C14N)
    _algorithm(method, RSA_SHA1)
    if len(reference) == 3:
        transforms, digest_method, digest = _children(reference, "Transforms", "DigestMethod", "DigestValue")
        (transform,) = _children(transforms, "Transform")
        _algorithm(transform, C14N, ENVELOPED)
    else:
        digest_method, digest = _children(reference, "DigestMethod", "DigestValue")
    _algorithm(digest_method, SHA1)
    key_value, x509_data = _children(key_info, "KeyValue", "X509Data")
    (rsa_value,) = _children(key_value, "RSAKeyValue")
    modulus, exponent = (int.from_bytes(_base64(part), "big") for part in _children(rsa_value, "Modulus", "Exponent"))
    (certificate,) = _children(x509_data, "X509Certificate")
    return Signature(
        element=element,
        uri=reference.get("URI", ""),
        digest=_base64(digest),
        value=_base64(value),
        key=rsa.PublicKey(modulus, exponent),
        certificate=load_certificate(_base64(certificate)),
    )


def canonical(root):
    """Canonical bytes of the document whose root element is `root`. Raises BadSignature when it has no such form."""
    try:
        return etree.tostring(root, method="c14n", with_comments=False)
    except etree.C14NError as error:
        raise BadSignature("form", f"no canonical form: {error}") from error


def verify(signature, document, candidates):
    """Checks digest, value and keys.

    `document`: canonical bytes of the whole document that holds the signature; `candidates`: the canonical
    bytes that may have been digested. Raises BadSignature.
    """
    digests = [hashlib.sha1(candidate, usedforsecurity=False).digest() for candidate in candidates]
    if signature.digest not in digests:
        raise BadSignature("digest", "the digest is not that of the signed element")
    signed_info = xmltools.subtree(document, signature.element.find(TAG + "SignedInfo"))
    if not rsa.verify_sha1(signature.key, signed_info, signature.value):
        raise BadSignature("value", "SignatureValue was not made with the key of KeyValue over SignedInfo")
    if certificate_key(signature.certificate) != signature.key:
        raise BadSignature("key", "the key of KeyValue is not that of the certificate")


@lru_cache(maxsize=256)
def load_certificate(der):
    """Certificate from DER bytes. Raises BadSignature."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise BadSignature("certificate", "X509Certificate is not a certificate") from error


def certificate_key(certificate):
    """The PublicKey of a certificate, or None when it is not RSA."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey):
        return None
    numbers = key.public_numbers()
    return rsa.PublicKey(numbers.n, numbers.e)


def _children(element, *names):
    if [child.tag for child in element] != [TAG + name for name in names]:
        raise BadSignature("form", f"{xmltools.local_name(element)} must hold {', '.join(names)}, in this order")
    return list(element)


def _algorithm(element, *accepted):
    if element.get("Algorithm") not in accepted:
        raise BadSignature("form", f"algorithm of {xmltools.local_name(element)} must be {' or '.join(accepted)}")


def _base64(element):
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("form", f"{xmltools.local_name(element)} is not base64") from error
