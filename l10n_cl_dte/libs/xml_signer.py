# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""XML signatures as the SII's schema wants them, written as canonical text and signed with the key object.

The schema (xmldsignature_v10.xsd) is stricter than the standard: inclusive C14N, SHA-1, RSA, KeyValue before X509Data,
no prefix. Each DTE is signed standing alone, where only `xmlns="http://www.sii.cl/SiiDte"` is in scope, and goes into
an envelope byte for byte.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .credentials import Credentials

SII_NS = "http://www.sii.cl/SiiDte"
DS_NS = "http://www.w3.org/2000/09/xmldsig#"
XSI_NS = "http://www.w3.org/2001/XMLSchema-instance"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"

# Namespaces that canonical XML writes on an element, by where the element stands.
IN_DTE = f' xmlns="{SII_NS}"'
IN_ENVIO = f' xmlns="{SII_NS}" xmlns:xsi="{XSI_NS}"'

_PADDING = padding.PKCS1v15()
_SHA1 = hashes.SHA1()  # noqa: S303 - the schema fixes rsa-sha1
_ENVELOPED = f"{DS_NS}enveloped-signature"


def digest_of(canonical: str) -> str:
    """Return the base64 SHA-1 of canonical XML."""
    return digest_text(hashlib.sha1(canonical.encode("utf-8"), usedforsecurity=False))


def digest_text(digest) -> str:
    """Return the base64 text of a finished `hashlib` object."""
    return base64.b64encode(digest.digest()).decode("ascii")


def signature_element(credentials: Credentials, digest: str, reference: str, *, inherited: str = "") -> str:
    """Return a `<Signature>` on as few lines as base64 needs: the SII refuses white space between its children.

    :param digest: base64 SHA-1 of the canonical form of what is signed
    :param reference: ID of the signed element; "" for the whole document (getToken)
    :param inherited: namespace declarations, beside the default one, in scope where the signature will stand, as
        canonical XML writes them on SignedInfo
    """
    transform = C14N if reference else _ENVELOPED
    uri = f"#{reference}" if reference else ""
    content = (
        f'<CanonicalizationMethod Algorithm="{C14N}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{DS_NS}rsa-sha1"></SignatureMethod>'
        f'<Reference URI="{uri}"><Transforms><Transform Algorithm="{transform}"></Transform></Transforms>'
        f'<DigestMethod Algorithm="{DS_NS}sha1"></DigestMethod><DigestValue>{digest}</DigestValue>'
        "</Reference></SignedInfo>"
    )
    signed = f'<SignedInfo xmlns="{DS_NS}"{inherited}>{content}'
    value = base64.encodebytes(credentials.private_key.sign(signed.encode("utf-8"), _PADDING, _SHA1))
    return (
        f'<Signature xmlns="{DS_NS}"><SignedInfo>{content}'
        f"<SignatureValue>{value.decode('ascii').strip()}</SignatureValue>"
        f"<KeyInfo><KeyValue><RSAKeyValue><Modulus>{credentials.modulus_text}</Modulus>"
        f"<Exponent>{credentials.exponent_text}</Exponent></RSAKeyValue></KeyValue>"
        f"<X509Data><X509Certificate>{credentials.certificate_text}</X509Certificate></X509Data></KeyInfo></Signature>"
    )


def sign_seed(credentials: Credentials, seed: str) -> str:
    """Return the signed getToken request on one single line: the SII refuses an indented one.

    Source: Manual de autenticación automática (OI2007), request of getToken.
    """
    body = f"<getToken><item><Semilla>{seed}</Semilla></item>"
    signature = signature_element(credentials, digest_of(f"{body}</getToken>"), "")
    flat_signature = signature.replace("\n", "")
    return f'<?xml version="1.0"?>{body}{flat_signature}</getToken>'
