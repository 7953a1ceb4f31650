# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A second opinion on signatures: element text cut from the bytes, lxml's C14N and `cryptography`, nothing of libs.

Inclusive C14N writes every namespace in scope on its apex, so the element is given the declarations of the place where
it stands and canonicalised as a document of its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

SII = ' xmlns="http://www.sii.cl/SiiDte"'
XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
DSIG = ' xmlns="http://www.w3.org/2000/09/xmldsig#"'
SHA1 = hashes.SHA1()  # noqa: S303


def cut(xml: bytes, tag: str, *, to_last_end: bool = False) -> bytes:
    """The first element `tag` as it stands in the bytes; it may hold others of its name with `to_last_end`."""
    start = re.search(rb"<%s[\s>]" % tag.encode(), xml).start()
    end = b"</%s>" % tag.encode()
    return xml[start : (xml.rfind(end) if to_last_end else xml.find(end, start)) + len(end)]


def canonical(element: bytes, namespaces: str) -> bytes:
    """C14N of an element that stands where `namespaces` are in scope."""
    name = re.match(rb"<\w+", element).group()
    declared = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + name + namespaces.encode() + element[len(name) :]
    out = io.BytesIO()
    etree.fromstring(declared).getroottree().write_c14n(out)
    return out.getvalue()


def decode(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.split()), validate=True)


def text_of(xml: bytes, tag: str) -> bytes:
    return re.search(rb"<%s(?:\s[^>]*)?>([^<]*)<" % tag.encode(), xml)[1]


def check_signature(holder: bytes, tag: str, namespaces: str, signed_info_namespaces: str = DSIG):
    """Assert that the last Signature of `holder` covers its element `tag`, and that KeyValue is the certificate's."""
    signature = holder[holder.rfind(b"<Signature ") : holder.rfind(b"</Signature>")]
    element = cut(holder, tag, to_last_end=True)
    digest = hashlib.sha1(canonical(element, namespaces), usedforsecurity=False).digest()
    assert digest == decode(text_of(signature, "DigestValue"))
    identity = re.search(rb'^<\w+[^>]* ID="([^"]+)"', element)[1]
    assert re.search(rb'<Reference URI="([^"]*)">', signature)[1] == b"#" + identity
    certificate = x509.load_der_x509_certificate(decode(text_of(signature, "X509Certificate")))
    certificate.public_key().verify(
        decode(text_of(signature, "SignatureValue")),
        canonical(cut(signature, "SignedInfo"), signed_info_namespaces),
        padding.PKCS1v15(),
        SHA1,
    )
    numbers = certificate.public_key().public_numbers()
    assert int.from_bytes(decode(text_of(signature, "Modulus")), "big") == numbers.n
    assert int.from_bytes(decode(text_of(signature, "Exponent")), "big") == numbers.e
    return certificate


def check_dte(dte: bytes):
    """Assert the signature of a DTE as the SII sees it: an isolated fragment with one namespace."""
    return check_signature(dte, "Documento", SII)


def check_envio(xml: bytes):
    """Assert the signature of the envelope and of each DTE in it, and return the DTEs."""
    check_signature(xml, "SetDTE", SII + XSI, DSIG + XSI)
    documents = re.findall(rb"<DTE .*?</DTE>", xml, re.DOTALL)
    for document in documents:
        check_dte(document)
    return documents


def flatten(xml: bytes) -> bytes:
    return re.sub(rb">\s+<", b"><", xml)


def public_key_of(caf: bytes) -> rsa.RSAPublicKey:
    numbers = [int.from_bytes(decode(text_of(cut(caf, "RSAPK"), tag)), "big") for tag in ("E", "M")]
    return rsa.RSAPublicNumbers(*numbers).public_key()


def check_timbre(dte: bytes, ca_key: rsa.RSAPublicKey):
    """Assert FRMT with the CAF's key and FRMA with the authority's, on the flattened bytes."""
    ted = cut(dte, "TED")
    caf = cut(ted, "CAF")
    public_key_of(caf).verify(decode(text_of(ted, "FRMT")), flatten(cut(ted, "DD")), padding.PKCS1v15(), SHA1)
    ca_key.verify(decode(text_of(caf, "FRMA")), flatten(cut(caf, "DA")), padding.PKCS1v15(), SHA1)
