# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import base64
import hashlib
import re

import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from libs import xml_signer
from lxml import etree

from tests.libs import verifier

SEED = "043871953686"


def test_the_order_and_the_algorithms_of_the_schema(signer):
    root = etree.fromstring(xml_signer.signature_element(signer, "AAAA", "F1T33"))
    names = [etree.QName(element).localname for element in root.iter()]
    assert names == [
        *("Signature", "SignedInfo", "CanonicalizationMethod", "SignatureMethod", "Reference", "Transforms"),
        *("Transform", "DigestMethod", "DigestValue", "SignatureValue", "KeyInfo", "KeyValue", "RSAKeyValue"),
        *("Modulus", "Exponent", "X509Data", "X509Certificate"),
    ]
    assert {element.get("Algorithm") for element in root.iter() if element.get("Algorithm")} == {
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#sha1",
    }


def test_no_white_space_between_the_elements_of_a_signature(signer):
    text = xml_signer.signature_element(signer, "AAAA", "F1T33")
    assert not re.search(r">\s+<", text)
    assert max(len(line) for line in text.split("\n")) < 1500


def test_the_seed_is_signed_on_one_line(signer):
    request = xml_signer.sign_seed(signer, SEED)
    assert "\n" not in request
    assert "\r" not in request
    assert request.startswith(f'<?xml version="1.0"?><getToken><item><Semilla>{SEED}</Semilla></item><Signature xmlns=')
    assert "<ds:" not in request


def test_the_signature_of_the_seed_is_good_for_xmlsec(signer):
    root = etree.fromstring(xml_signer.sign_seed(signer, SEED))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        base64.b64decode(signer.certificate_text), xmlsec.constants.KeyDataFormatCertDer
    )
    context.verify(root.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))


def test_the_signature_of_the_seed_is_good_by_hand(signer):
    request = xml_signer.sign_seed(signer, SEED).encode()
    body = f"<getToken><item><Semilla>{SEED}</Semilla></item></getToken>".encode()
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    assert verifier.decode(verifier.text_of(request, "DigestValue")) == digest
    signer.certificate.public_key().verify(
        verifier.decode(verifier.text_of(request, "SignatureValue")),
        verifier.canonical(verifier.cut(request, "SignedInfo"), verifier.DSIG),
        padding.PKCS1v15(),
        hashes.SHA1(),  # noqa: S303
    )
    assert b'<Reference URI="">' in request
    assert b"#enveloped-signature" in request


def test_the_digest_of_text_beyond_ascii_is_taken_in_utf_8():
    assert xml_signer.digest_of("ñ") == base64.b64encode(hashlib.sha1("ñ".encode()).digest()).decode()  # noqa: S324
