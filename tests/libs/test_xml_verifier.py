# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What is intact is said to be intact; what was touched anywhere is refused with the right problem."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from datetime import date, datetime, timezone
from types import SimpleNamespace

import pytest
import xmlsec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from libs import caf, credentials, envio, issue, ted_generator, xml_verifier
from libs.dte import compute_totals
from libs.exceptions import XmlError
from libs.xml_generator import generate
from libs.xml_signer import DS_NS, SII_NS, XSI_NS

from tests import authority
from tests.libs import verifier
from tests.libs.documents import SIGNED_AT, make_dte, make_line, make_receiver

SHA1 = hashes.SHA1()  # noqa: S303
DTE_OPEN = b'<DTE xmlns="http://www.sii.cl/SiiDte" version="1.0">'
CARATULA = envio.Caratula(authority.ISSUER, authority.HOLDER, date(2014, 8, 22), 80, SIGNED_AT)


@pytest.fixture(scope="module")
def dte(cafs, signer):
    """A document with quotes of both kinds."""
    name = 'O\'Higgins & "Cía"'
    return issue.issue(
        make_dte(lines=[make_line(name)], receiver=make_receiver(name=name)), cafs[33], signer, SIGNED_AT
    ).xml


@pytest.fixture(scope="module")
def other_dte(cafs, signer):
    return issue.issue(make_dte(folio=8, lines=[make_line("Otro", "9")]), cafs[33], signer, SIGNED_AT).xml


@pytest.fixture(scope="module")
def envelope(dte, other_dte, signer):
    return envio.build_envio(CARATULA, [dte, other_dte], signer)


def problem_of(xml):
    return xml_verifier.verify_dte(xml).problem


def sign(
    document: bytes,
    credentials,
    *,
    namespaces=verifier.SII,
    algorithm="rsa-sha1",
    digest="sha1",
    transforms="",
    key_value=True,
):
    """A DTE signed as other issuers do, with any algorithm, written by hand."""
    digest_of = hashlib.new(digest, verifier.canonical(document, namespaces)).digest()
    digest_uri = f"{DS_NS}sha1" if digest == "sha1" else "http://www.w3.org/2001/04/xmlenc#sha256"
    method = f"{DS_NS}rsa-sha1" if algorithm == "rsa-sha1" else "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    identity = re.search(rb' ID="([^"]+)"', document)[1].decode()
    signed_info = (
        '<SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'
        f'<SignatureMethod Algorithm="{method}"/><Reference URI="#{identity}">{transforms}'
        f'<DigestMethod Algorithm="{digest_uri}"/><DigestValue>{base64.b64encode(digest_of).decode()}</DigestValue>'
        "</Reference></SignedInfo>"
    ).encode()
    extra = namespaces.removeprefix(verifier.SII)
    value = credentials.private_key.sign(
        verifier.canonical(signed_info, verifier.DSIG + extra),
        padding.PKCS1v15(),
        SHA1 if algorithm == "rsa-sha1" else hashes.SHA256(),
    )
    key = (
        f"<KeyValue><RSAKeyValue><Modulus>{credentials.modulus_text}</Modulus>"
        f"<Exponent>{credentials.exponent_text}</Exponent></RSAKeyValue></KeyValue>"
    )
    return (
        b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">%s<SignatureValue>%s</SignatureValue><KeyInfo>%s'
        b"<X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></Signature>"
        % (
            signed_info,
            base64.b64encode(value),
            key.encode() if key_value else b"",
            credentials.certificate_text.encode(),
        )
    )


def with_signature(document, signature, opening=DTE_OPEN):
    return opening + document + signature + b"</DTE>"


def test_an_intact_document(dte):
    report = xml_verifier.verify_dte(dte)
    assert report.valid
    assert (report.holder, report.reference, report.signer_rut) == ("DTE", "F7T33", authority.HOLDER)
    assert (report.valid_from, report.valid_to) == (
        datetime(2026, 1, 1, tzinfo=timezone.utc),
        datetime(2028, 1, 1, tzinfo=timezone.utc),
    )
    declared = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + dte
    assert xml_verifier.verify_dte(declared).valid


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<MntTotal>3570</MntTotal>", b"<MntTotal>3571</MntTotal>"),
        (b"<RUTRecep>77123456-9<", b"<RUTRecep>15000005-K<"),
        (b"<NroLinDet>1</NroLinDet>", b"<NroLinDet>1</NroLinDet> "),
        (b"<TmstFirma>2026-10-05T11:30:45<", b"<TmstFirma>2026-10-05T11:30:46<"),
        (b"<Encabezado>\n", b"<Encabezado>"),
        ("Cía".encode("iso-8859-1"), b"Cia"),
        (b'"Cia', b"'Cia"),
        (b"<TED ", b'<TED a="1" '),
        (b"SignatureValue>", b"SignatureValue> "),
    ],
)
def test_a_change_in_what_is_signed(old, new, dte):
    changed = dte.replace(old, new)
    if old.startswith(b"SignatureValue"):
        assert problem_of(changed) == ""  # white space in base64 is nothing
    elif changed != dte:
        assert problem_of(changed) == "signature_invalid"


def flip(xml, tag):
    """Change one letter of the last element `tag`."""
    found = list(re.finditer(rb"<" + tag + rb">([^<])", xml))[-1]
    letter = b"B" if found[1] == b"A" else b"A"
    return xml[: found.start(1)] + letter + xml[found.end(1) :]


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        (b"DigestValue", "signature_invalid"),
        (b"SignatureValue", "signature_invalid"),
        (b"Modulus", "signature_key_mismatch"),
        (b"Exponent", "signature_key_mismatch"),
        (b"X509Certificate", "signature_malformed"),
    ],
)
def test_a_change_in_the_signature(tag, problem, dte):
    assert problem_of(flip(dte, tag)) == problem


@pytest.mark.parametrize(
    ("pattern", "new", "problem"),
    [
        (rb"<Signature .*</Signature>", b"", "signature_missing"),
        (rb"(<Documento .*</Documento>)\n(<Signature .*</Signature>)", rb"\2\1", "signature_missing"),
        (rb"(<Documento .*</Documento>)", rb"<a>\1</a>", "signature_wrong_reference"),
        (rb"(<Documento .*</Documento>)", rb"\1<a></a>", "signature_malformed"),
        (rb"(<Documento .*</Documento>)", rb'<Documento ID="F7T33"></Documento>\1', "signature_malformed"),
        (rb"(<Signature .*</Signature>)", rb"\1\1", "signature_malformed"),
        (rb"(<SignedInfo>.*</SignedInfo>)", rb"\1\1", "signature_malformed"),
        (rb"(<Reference .*</Reference>)", rb"\1\1", "signature_malformed"),
        (rb'URI="#F7T33"', b'URI="#F8T33"', "signature_wrong_reference"),
        (rb'URI="#F7T33"', b'URI=""', "signature_wrong_reference"),
        (rb' ID="F7T33"', b"", "signature_wrong_reference"),
        (rb"<TED ", b'<TED ID="F7T33" ', "signature_wrong_reference"),
        (rb"<TED ", b'<TED ID="other" ', "signature_invalid"),
        (rb"#rsa-sha1", b"#dsa-sha1", "signature_algorithm"),
        (rb"REC-xml-c14n-20010315\"></Can", b'REC-xml-c14n-20010315#WithComments"></Can', "signature_algorithm"),
        (rb'<Transform Algorithm="[^"]*">', b'<Transform Algorithm="urn:x">', "signature_algorithm"),
        (rb"xmldsig#sha1", b"xmldsig#sha256", "signature_algorithm"),
        (rb"<X509Certificate>.*</X509Certificate>", b"", "signature_malformed"),
        (rb"<Modulus>.*</Modulus>", b"<Modulus>?</Modulus>", "signature_key_mismatch"),
        (rb"<Modulus>.*</Modulus>", b"<Modulus>A</Modulus>", "signature_key_mismatch"),
        (rb'<Signature xmlns="[^"]*">', b"<Signature>", "signature_missing"),
    ],
)
def test_a_signature_that_does_not_stand_as_it_must(pattern, new, problem, dte):
    changed, count = re.subn(pattern, new, dte, count=1, flags=re.DOTALL)
    assert count == 1
    assert problem_of(changed) == problem


def test_the_signed_element_moved_away_and_another_in_its_place(dte):
    """The reference still finds the genuine element, but not where documents are read."""
    genuine = verifier.cut(dte, "Documento")
    forged = genuine.replace(b"<MntTotal>3570<", b"<MntTotal>1<")
    inside_signature = dte.replace(genuine, forged.replace(b"F7T33", b"F7T34")).replace(
        b"</Signature>", b"<Object>" + genuine + b"</Object></Signature>"
    )
    assert problem_of(inside_signature) == "signature_wrong_reference"
    same_id = dte.replace(genuine, forged).replace(b"</Signature>", b"<Object>" + genuine + b"</Object></Signature>")
    assert problem_of(same_id) == "signature_wrong_reference"
    wrapped = dte.replace(genuine, b'<Documento ID="F7T34">' + genuine + b"</Documento>")
    assert problem_of(wrapped) == "signature_wrong_reference"
    by_xml_id = dte.replace(genuine, forged).replace(
        b"</Signature>", b"<Object>" + genuine.replace(b" ID=", b" xml:id=") + b"</Object></Signature>"
    )
    assert problem_of(by_xml_id) == "signature_invalid"


def test_a_comment_does_not_hide_a_part_of_a_value(dte, ca_key):
    """Canonical XML leaves comments out: the signature stays good, so the value read must stay whole."""
    commented = dte.replace(b"<MntTotal>3570<", b"<MntTotal>3<!-- -->570<")
    assert problem_of(commented) == ""
    assert xml_verifier.verify_timbre(commented, simulator_key=ca_key).problems == ()


@pytest.mark.parametrize("algorithm", ["rsa-sha1", "rsa-sha256"])
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_only_sha1_is_accepted(algorithm, digest, dte, signer):
    document = verifier.cut(dte, "Documento")
    signed = with_signature(document, sign(document, signer, algorithm=algorithm, digest=digest))
    good = (algorithm, digest) == ("rsa-sha1", "sha1")
    assert problem_of(signed) == ("" if good else "signature_algorithm")


ENVELOPED = f'<Transforms><Transform Algorithm="{DS_NS}enveloped-signature"/></Transforms>'


@pytest.mark.parametrize("transforms", ["", ENVELOPED], ids=["no transform", "enveloped"])
@pytest.mark.parametrize(
    ("namespaces", "context"),
    [("", "none"), (verifier.SII, "as written"), (verifier.SII + verifier.XSI, "SiiDte and xsi")],
)
def test_the_contexts_in_which_other_issuers_sign(namespaces, context, transforms, dte, signer):
    document = verifier.cut(dte, "Documento")
    report = xml_verifier.verify_dte(
        with_signature(document, sign(document, signer, namespaces=namespaces, transforms=transforms))
    )
    assert (report.problem, report.context, report.signer_rut) == ("", context, authority.HOLDER)


def test_a_document_that_declares_xsi_itself(dte, signer):
    document = verifier.cut(dte, "Documento")
    signature = sign(document, signer, namespaces=verifier.SII + verifier.XSI)
    opening = f'<DTE xmlns="{SII_NS}" xmlns:xsi="{XSI_NS}" version="1.0">'.encode()
    assert xml_verifier.verify_dte(with_signature(document, signature, opening)).context == "as written"


def test_a_document_without_its_namespace_is_verified_with_it(dte):
    bare = dte.replace(f' xmlns="{SII_NS}"'.encode(), b"", 1)
    assert xml_verifier.verify_dte(bare).context == "SiiDte"


def test_other_contexts_are_refused(dte, signer):
    document = verifier.cut(dte, "Documento")
    signature = sign(document, signer, namespaces=verifier.SII + ' xmlns:zz="urn:zz"')
    assert problem_of(with_signature(document, signature)) == "signature_invalid"


def test_a_signature_without_key_value_is_taken_from_others(dte, signer):
    document = verifier.cut(dte, "Documento")
    assert problem_of(with_signature(document, sign(document, signer, key_value=False))) == ""


def test_the_key_beside_the_certificate_does_not_count(dte, signer):
    """Signed with a key of one's own, KeyValue of that key, certificate of somebody else."""
    document = verifier.cut(dte, "Documento")
    mine = replace(signer, private_key=authority.rsa_key("mine"))
    assert problem_of(with_signature(document, sign(document, mine))) == "signature_key_mismatch"
    assert problem_of(with_signature(document, sign(document, mine, key_value=False))) == "signature_invalid"


def weak_signer():
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    return credentials.Credentials(*authority.make_certificate(key=key))


def test_a_key_of_1024_bits_is_good_enough(dte):
    document = verifier.cut(dte, "Documento")
    assert problem_of(with_signature(document, sign(document, weak_signer()))) == ""


@pytest.mark.parametrize("key", [authority.caf_key(), ec.generate_private_key(ec.SECP256R1())], ids=["512", "ec"])
def test_weak_and_strange_keys_are_refused(key, dte, signer):
    certificate = authority.make_certificate(subject_key=key.public_key())[0]
    text = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER))
    changed = re.sub(rb"<X509Certificate>[^<]*", b"<X509Certificate>" + text, dte)
    assert problem_of(changed) == "signature_weak_key"


@pytest.mark.parametrize(
    ("kind", "problem"), [("version", "signature_malformed"), ("general name", ""), ("extension twice", "")]
)
def test_an_odd_certificate_is_no_crash(kind, problem, dte):
    text = base64.b64encode(authority.make_odd_der(kind))
    report = xml_verifier.verify_dte(re.sub(rb"<X509Certificate>[^<]*", b"<X509Certificate>" + text, dte))
    assert (report.problem, report.signer_rut) == (problem, "")


def test_a_certificate_that_xmlsec_does_not_read_is_no_crash(dte, monkeypatch):
    def broken(*_args):
        raise xmlsec.Error("cannot read certificate")

    # Its classes cannot be changed.
    names = {name: getattr(xmlsec, name) for name in ("Error", "SignatureContext", "constants", "tree")}
    stand_in = SimpleNamespace(**names, Key=SimpleNamespace(from_memory=broken))
    monkeypatch.setattr(xml_verifier, "xmlsec", stand_in)
    assert problem_of(dte) == "signature_invalid"


def test_a_document_of_another_name_with_a_prefix_is_no_crash(dte):
    prefixed = dte.replace(b"<DTE xmlns=", b"<x:DTE xmlns:x=").replace(b"</DTE>", b"</x:DTE>")
    assert problem_of(prefixed) in ("signature_invalid", "signature_wrong_reference")


@pytest.mark.parametrize("xml", [b"", b"<DTE", b"<!DOCTYPE a><DTE></DTE>"])
def test_what_is_not_xml_is_an_error(xml):
    with pytest.raises(XmlError):
        xml_verifier.verify_dte(xml)


def test_the_envelope_and_each_document_have_a_report(envelope):
    reports = xml_verifier.verify_envio(envelope)
    assert [(report.holder, report.reference, report.problem) for report in reports] == [
        ("EnvioDTE", "SetDoc", ""),
        ("DTE", "F7T33", ""),
        ("DTE", "F8T33", ""),
    ]


def test_a_change_in_one_document_spoils_it_and_the_envelope(envelope):
    changed = envelope.replace(b"<Folio>8<", b"<Folio>9<")
    assert [report.problem for report in xml_verifier.verify_envio(changed)] == [
        "signature_invalid",
        "",
        "signature_invalid",
    ]


def test_a_document_taken_out_or_put_in_spoils_the_envelope_only(envelope, other_dte):
    without = envelope.replace(other_dte, b"")
    assert [report.problem for report in xml_verifier.verify_envio(without)] == ["signature_invalid", ""]
    twice = envelope.replace(other_dte, other_dte + other_dte)
    assert xml_verifier.verify_envio(twice)[0].problem == "signature_invalid"


def test_a_changed_cover_spoils_the_envelope(envelope):
    changed = envelope.replace(b"<NroResol>80<", b"<NroResol>81<")
    assert [report.problem for report in xml_verifier.verify_envio(changed)] == ["signature_invalid", "", ""]


def test_inner_documents_that_lost_their_namespace_are_seen_as_such(envelope):
    """What a serialiser does to them: good for a verifier of the whole envelope, DTE-3-505 for the SII."""
    stripped = envelope.replace(DTE_OPEN, b'<DTE version="1.0">')
    reports = xml_verifier.verify_envio(stripped)
    assert [(report.valid, report.context) for report in reports] == [
        (True, "as written"),
        (True, "SiiDte"),
        (True, "SiiDte"),
    ]


def test_documents_hidden_from_one_of_two_readers(envelope, other_dte):
    """A DTE that only a text search or only a parser sees must not pass for verified."""
    prefixed = other_dte.replace(b"<DTE xmlns=", b'<x:DTE xmlns:x="http://www.sii.cl/SiiDte" xmlns=').replace(
        b"</DTE>", b"</x:DTE>"
    )
    for changed in (
        envelope.replace(other_dte, b"<!--" + other_dte + b"-->"),
        envelope.replace(other_dte, b"<![CDATA[" + other_dte + b"]]>"),
        envelope.replace(other_dte, prefixed),
    ):
        assert not xml_verifier.verify_envio(changed)[0].valid
    hidden = envelope.replace(b"</SetDTE>", b"<!--" + other_dte + b"--></SetDTE>")
    assert xml_verifier.verify_envio(hidden)[0].problem == "signature_malformed"


def test_an_envelope_in_utf_8_is_read_in_utf_8(envelope):
    recoded = envelope.decode("iso-8859-1").encode("utf-8").replace(b'"ISO-8859-1"', b'"UTF-8"')
    assert all(report.valid for report in xml_verifier.verify_envio(recoded))


def test_an_unsigned_envelope(envelope):
    unsigned = re.sub(rb"</SetDTE>.*</EnvioDTE>", b"</SetDTE></EnvioDTE>", envelope, flags=re.DOTALL)
    assert xml_verifier.verify_envio(unsigned)[0].problem == "signature_missing"


# The timbre


def timbre_problems(xml, key):
    return xml_verifier.verify_timbre(xml, simulator_key=key).problems


def test_an_intact_timbre(dte, ca_key):
    report = xml_verifier.verify_timbre(dte, simulator_key=ca_key)
    assert report.problems == ()
    assert (report.caf.issuer_rut, report.caf.dte_type, report.caf.first, report.caf.last) == (
        authority.ISSUER,
        33,
        1,
        1000,
    )
    assert report.caf.private_key is None


def test_a_timbre_with_line_breaks_is_flattened(dte, ca_key):
    ted = verifier.cut(dte, "TED")
    broken = dte.replace(ted, ted.replace(b"><", b">\r\n  <"))
    assert timbre_problems(broken, ca_key) == ()


def test_white_space_inside_a_value_counts(dte, ca_key):
    assert timbre_problems(dte.replace(b"<TD>33</TD><F>", b"<TD>33 </TD><F>"), ca_key) == ("timbre_signature_invalid",)


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        (b"<MNT>3570<", b"<MNT>3571<", ("timbre_signature_invalid", "timbre_differs")),
        (b"<MntTotal>3570<", b"<MntTotal>3571<", ("timbre_differs",)),
        (b"<RR>77123456-9<", b"<RR>15000005-K<", ("timbre_signature_invalid", "timbre_differs")),
        (b"<RUTRecep>77123456-9<", b"<RUTRecep>15000005-K<", ("timbre_differs",)),
        (b"<FchEmis>2026-10-05<", b"<FchEmis>2026-10-06<", ("timbre_differs",)),
        (b"<Folio>7<", b"<Folio>8<", ("timbre_differs",)),
        (b"<Folio>7<", b"<Folio>1001<", ("timbre_differs", "caf_does_not_cover")),
        (b"<TipoDTE>33<", b"<TipoDTE>34<", ("timbre_differs", "caf_does_not_cover")),
        (b"<Folio>7<", b"<Folio>x<", ("timbre_differs", "caf_does_not_cover")),
        (b"<RUTEmisor>76543210-3<", b"<RUTEmisor>77123456-9<", ("timbre_differs", "caf_other_company")),
        (b"<H>1000<", b"<H>2000<", ("timbre_signature_invalid", "caf_forged")),
        (b"<IDK>666<", b"<IDK>667<", ("timbre_signature_invalid", "caf_forged")),
    ],
)
def test_a_changed_timbre(old, new, problems, dte, ca_key):
    assert old in dte
    assert timbre_problems(dte.replace(old, new, 1), ca_key) == problems


@pytest.mark.parametrize(
    ("tag", "problem"),
    [("TED", "timbre_missing"), ("DD", "timbre_malformed"), ("FRMT", "timbre_malformed")]
    + [("CAF", "timbre_malformed"), ("DA", "timbre_malformed"), ("RSAPK", "timbre_malformed")],
)
def test_a_timbre_without_a_part(tag, problem, dte, ca_key):
    renamed = re.sub(rf"(</?){tag}([ >])".encode(), rb"\1Other\2", dte)
    assert timbre_problems(renamed, ca_key) == (problem,)


@pytest.mark.parametrize("tag", [b'FRMT algoritmo="SHA1withRSA"', b'FRMA algoritmo="SHA1withRSA"'])
def test_a_forged_signature_in_the_timbre(tag, dte, ca_key):
    found = re.search(rb"<" + tag + rb">([^<])", dte)
    letter = b"B" if found[1] == b"A" else b"A"
    changed = dte[: found.start(1)] + letter + dte[found.end(1) :]
    expected = {b"FRMT": ("timbre_signature_invalid",), b"FRMA": ("timbre_signature_invalid", "caf_forged")}[tag[:4]]
    assert timbre_problems(changed, ca_key) == expected


@pytest.mark.parametrize("garbage", [b"", b"====", b"\xf1", b"AAAA"])
def test_garbage_for_a_signature(garbage, dte, ca_key):
    changed = re.sub(rb"(<FRMT[^>]*>)[^<]*", rb"\g<1>" + garbage, dte)
    assert timbre_problems(changed, ca_key) == ("timbre_signature_invalid",)


def stamp_with(caf_data, key=None):
    """A document whose timbre holds `caf_data` and is signed with `key`."""
    parsed = caf.parse_caf(caf_data)
    if key:
        parsed = replace(parsed, private_key=key)
    document = make_dte()
    totals = compute_totals(document)
    ted = ted_generator.generate(document, totals, parsed, SIGNED_AT)
    return DTE_OPEN + generate(document, totals, ted, SIGNED_AT).encode("iso-8859-1") + b"</DTE>"


def test_a_timbre_signed_with_the_key_of_another_caf(ca_key):
    xml = stamp_with(authority.make_caf(), authority.caf_key(1))
    assert timbre_problems(xml, ca_key) == ("timbre_signature_invalid",)


def test_a_caf_that_nobody_authorised(ca_key):
    xml = stamp_with(authority.make_caf(signer=authority.rsa_key("forger")))
    assert timbre_problems(xml, ca_key) == ("caf_forged",)


def test_without_the_key_of_the_simulator_its_cafs_are_not_authentic(dte):
    assert timbre_problems(dte, None) == ("caf_forged",)
    assert timbre_problems(stamp_with(authority.make_caf(idk=300)), authority.ca_key().public_key()) == ("caf_forged",)


def test_two_timbres(dte, ca_key):
    ted = verifier.cut(dte, "TED")
    assert timbre_problems(dte.replace(ted, ted + ted), ca_key) == ("timbre_missing",)


def test_a_genuine_authorisation_does_not_cover_for_a_forged_one(ca_key):
    """FRMA must be checked over the very DA whose key stamps the document."""
    genuine = verifier.cut(authority.make_caf(), "DA")
    forged_data = authority.make_caf(key=authority.caf_key(1), last=9999)
    frma = verifier.text_of(authority.make_caf(), "FRMA")
    forged_data = forged_data.replace(verifier.text_of(forged_data, "FRMA"), frma)
    before = forged_data.replace(b"<DA>", b"<X>" + genuine + b"</X><DA>", 1)
    outside = forged_data.replace(b"<CAF ", genuine + b"<CAF ", 1)
    for data in (forged_data, before, outside):
        parsed = caf.parse_caf(data)
        assert not (caf.is_authentic(parsed, ca_key) and parsed.last == 9999)
        assert not (caf.is_authentic(parsed, ca_key) and parsed.public_key == authority.caf_key(1).public_key())
        assert parsed.signed_text in parsed.xml
        assert timbre_problems(stamp_with(data), ca_key)


def test_a_second_authorisation_beside_the_stamped_data_does_not_count(ca_key):
    """FRMT must be checked with the key of the CAF inside the data, also when another one is just as genuine."""
    other = caf.parse_caf(authority.make_caf(key=authority.caf_key(1)))
    xml = stamp_with(authority.make_caf(), authority.caf_key(1))
    beside = xml.replace(b"<DD>", other.xml.encode("iso-8859-1") + b"<DD>")
    assert timbre_problems(beside, ca_key) == ("timbre_signature_invalid",)


def test_genuine_data_do_not_cover_for_other_data(dte, ca_key):
    """FRMT must be checked over the very DD that is compared with the document."""
    data = verifier.cut(dte, "DD")
    forged = dte.replace(data, b"<X>" + data + b"</X>" + data.replace(b"<MNT>3570<", b"<MNT>1<"))
    forged = forged.replace(b"<MntTotal>3570<", b"<MntTotal>1<")
    assert "timbre_differs" in timbre_problems(forged, ca_key)


def in_time(action, seconds=2.0):
    """Run what took minutes on a file that was made for it."""
    began = time.perf_counter()
    result = action()
    assert time.perf_counter() - began < seconds
    return result


@pytest.mark.parametrize("name", [b"DTE", b"Recibo", b"TED"])
def test_elements_that_are_not_closed_take_no_time(name):
    opening, whole = b"<%s>" % name, b"<%s a='1'>x</%s>" % (name, name)
    assert in_time(lambda: xml_verifier.cut_elements(whole + opening * 60_000, name)) == [whole]


def test_elements_are_cut_as_they_stand():
    xml = b"<a><TED>1</TED><TEDx>2</TEDx><TED\n b='>'>3</TED>4</TED><TED>5"
    assert xml_verifier.cut_elements(xml, b"TED") == [b"<TED>1</TED>", b"<TED\n b='>'>3</TED>"]


def test_white_space_in_a_tag_takes_no_time(dte):
    wide = dte.replace(b"<DTE", b"<DTE" + b" " * 60_000, 1)
    assert in_time(lambda: xml_verifier.verify_dte(wide)).valid
    assert in_time(lambda: xml_verifier.verify_dte(wide.replace(b"<MntTotal>", b"<MntTotal>1"))).problem


def test_a_huge_timbre_is_none(dte, ca_key):
    huge = dte.replace(b"<TED ", b"<TED " + b" " * 20_000, 1).replace(
        b"</TED>", b"<!--" + b"<FRMT" * 60_000 + b"--></TED>"
    )
    assert in_time(lambda: timbre_problems(huge, ca_key)) == ("timbre_malformed",)


def test_a_signature_of_many_transforms_is_refused(dte):
    transform = f'<Transform Algorithm="{xml_verifier.C14N}"></Transform>'.encode()
    many = dte.replace(b"<Transforms>", b"<Transforms>" + transform * 3)
    assert problem_of(many) == "signature_malformed"
