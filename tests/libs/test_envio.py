# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libs import caf, checks, envio, issue, xml_verifier
from libs.dte import Installment, Payment
from libs.envio import Caratula, DocumentKey
from libs.exceptions import DocumentError
from libs.xsd_validator import DTE_SCHEMA, ENVIO_SCHEMA
from lxml import etree

from tests import authority
from tests.libs import verifier
from tests.libs.documents import ISSUE_DATE, SIGNED_AT, make_dte, make_issuer, make_line, make_receiver
from tests.libs.strategies import documents

SII = "{http://www.sii.cl/SiiDte}"
CARATULA = Caratula(
    issuer_rut=authority.ISSUER,
    sender_rut=authority.HOLDER,
    resolution_date=date(2014, 8, 22),
    resolution_number=80,
    signed_at=datetime.fromisoformat("2026-10-05T12:01:02"),
)


@pytest.fixture(scope="session")
def signed(cafs, signer):
    """Make a signed document of a type and folio."""

    def make(dte_type=33, folio=7, **changes):
        return issue.issue(make_dte(dte_type, folio=folio, **changes), cafs[dte_type], signer, SIGNED_AT).xml

    return make


def problems_of(documents, credentials):
    with pytest.raises(DocumentError) as caught:
        envio.build_envio(CARATULA, documents, credentials)
    return [problem.code for problem in caught.value.problems]


def test_the_envelope_of_each_type_is_valid_for_everybody(signed, signer, schemas, packaged_schemas):
    documents = [signed(dte_type, folio) for dte_type in (33, 34, 52, 56, 61) for folio in (1, 2)]
    xml = envio.build_envio(CARATULA, documents, signer)
    assert schemas.validate(xml, ENVIO_SCHEMA) == []
    assert packaged_schemas.validate(xml, ENVIO_SCHEMA) == []
    inside = verifier.check_envio(xml)
    assert sorted(inside) == sorted(documents)
    reports = xml_verifier.verify_envio(xml)
    assert [(report.holder, report.valid, report.context) for report in reports] == [
        ("EnvioDTE", True, "as written"),
        *[("DTE", True, "as written")] * 10,
    ]
    assert max(len(line) for line in xml.split(b"\n")) <= 4000


@given(data=st.lists(documents(), min_size=1, max_size=3, unique_by=lambda dte: (dte.dte_type, dte.folio)))
@settings(max_examples=25)
def test_random_documents_keep_their_signature_inside(data, cafs, signer):
    signed = [
        issue.issue(dte, cafs[dte.dte_type], signer, SIGNED_AT).xml for dte in data if not checks.find_problems(dte)
    ]
    if signed:
        xml = envio.build_envio(CARATULA, signed, signer)
        assert sorted(verifier.check_envio(xml)) == sorted(signed)
        assert all(report.valid for report in xml_verifier.verify_envio(xml))


def test_the_bytes_of_each_document_stand_in_the_envelope_with_their_namespace(signed, signer):
    documents = [signed(folio=folio) for folio in (1, 2, 3)]
    xml = envio.build_envio(CARATULA, documents, signer)
    assert all(xml.count(document) == 1 for document in documents)
    assert xml.count(b'<DTE xmlns="http://www.sii.cl/SiiDte" version="1.0">') == 3
    assert xml_verifier.split_documents(xml) == documents


def test_the_cover_says_what_is_inside(signed, signer):
    documents = [signed(61, 1), signed(33, 1), signed(33, 2), signed(52, 1)]
    root = etree.fromstring(envio.build_envio(CARATULA, documents, signer))
    cover = root.find(f"{SII}SetDTE/{SII}Caratula")
    assert {child.tag.removeprefix(SII): child.text for child in cover if not len(child)} == {
        "RutEmisor": authority.ISSUER,
        "RutEnvia": authority.HOLDER,
        "RutReceptor": "60803000-K",
        "FchResol": "2014-08-22",
        "NroResol": "80",
        "TmstFirmaEnv": "2026-10-05T12:01:02",
    }
    counts = {row[0].text: row[1].text for row in cover.iterfind(f"{SII}SubTotDTE")}
    assert counts == {"33": "2", "52": "1", "61": "1"}


def test_the_file_begins_as_the_sii_wants_it(signed, signer):
    xml = envio.build_envio(CARATULA, [signed()], signer)
    assert xml.startswith(
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        b'<EnvioDTE xmlns="http://www.sii.cl/SiiDte" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xsi:schemaLocation="http://www.sii.cl/SiiDte EnvioDTE_v10.xsd" version="1.0">\n<SetDTE ID="SetDoc">\n'
    )


def test_invoices_come_before_the_notes_that_refer_to_them(signed, signer):
    order = [(56, 1), (61, 2), (33, 3), (52, 4), (61, 1), (34, 5), (33, 2)]
    xml = envio.build_envio(CARATULA, [signed(*key) for key in order], signer)
    keys = [envio.read_key(document) for document in xml_verifier.split_documents(xml)]
    assert [(key.dte_type, key.folio) for key in keys] == [
        (33, 3),
        (52, 4),
        (34, 5),
        (33, 2),
        (61, 2),
        (61, 1),
        (56, 1),
    ]


def test_the_number_tells_envelopes_of_the_same_second_apart(signed, signer):
    document = signed()
    first, second = (envio.build_envio(CARATULA, [document], signer, number=number) for number in (1, 2))
    assert b'<SetDTE ID="SetDoc1">' in first
    assert b'<SetDTE ID="SetDoc2">' in second
    for xml in (first, second):
        assert all(report.valid for report in xml_verifier.verify_envio(xml))


def test_an_envelope_is_written_the_same_twice(signed, signer):
    documents = [signed(), signed(34)]
    assert envio.build_envio(CARATULA, documents, signer) == envio.build_envio(CARATULA, iter(documents), signer)


@pytest.mark.parametrize(
    "name", ["PLC&apos;S &quot;TALLER&quot;", "ÑUÑOA &amp; CÍA", "S&#39;A &#225;", "O'Higgins", "A &gt; B"]
)
def test_a_caf_with_quotes_keeps_both_digests_right(name, signer, schemas, ca_key):
    data = authority.make_caf(name=name)
    documents = [issue.issue(make_dte(folio=folio), caf.parse_caf(data), signer, SIGNED_AT).xml for folio in (1, 2)]
    xml = envio.build_envio(CARATULA, documents, signer)
    assert xml.count(verifier.flatten(verifier.cut(data, "CAF"))) == 2
    assert schemas.validate(xml, ENVIO_SCHEMA) == []
    for document in verifier.check_envio(xml):
        verifier.check_timbre(document, ca_key)
        assert xml_verifier.verify_timbre(document, simulator_key=ca_key).problems == ()
    assert all(report.valid for report in xml_verifier.verify_envio(xml))


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ('<CAF version="1.0">', '<CAF  version="1.0">'),
        ('<CAF version="1.0">', '<CAF version = "1.0">'),
        ('<CAF version="1.0">', "<CAF version='1.0' >"),
        ('<FRMA algoritmo="SHA1withRSA">', '<FRMA\nalgoritmo="SHA1withRSA">'),
    ],
)
def test_a_caf_with_odd_white_space_in_its_tags(written, changed, signer):
    data = authority.make_caf().decode("iso-8859-1").replace(written, changed).encode("iso-8859-1")
    document = issue.issue(make_dte(), caf.parse_caf(data), signer, SIGNED_AT).xml
    xml = envio.build_envio(CARATULA, [document], signer)
    verifier.check_dte(document)
    verifier.check_signature(xml, "SetDTE", verifier.SII + verifier.XSI, verifier.DSIG + verifier.XSI)


def test_text_that_looks_like_markup_is_only_text(signed, signer):
    hostile = "</DTE><DTE> ]]> <!-- <RUTEmisor>1-9</RUTEmisor> &amp; /> ='"
    document = signed(lines=[make_line(hostile, description=hostile)], receiver=make_receiver(name=hostile))
    xml = envio.build_envio(CARATULA, [document, signed(folio=8)], signer)
    assert len(verifier.check_envio(xml)) == 2
    assert envio.read_key(document) == DocumentKey(33, 7, authority.ISSUER)


def test_the_key_is_found_behind_thirty_installments(signed):
    payment = Payment(installments=tuple(Installment(ISSUE_DATE, 10**9, "&" * 40) for _ in range(30)))
    assert envio.read_key(signed(payment=payment)) == DocumentKey(33, 7, authority.ISSUER)


def test_no_documents(signer):
    assert problems_of([], signer) == ["envio_empty"]


def test_a_repeated_document(signed, signer):
    assert problems_of([signed(), signed(folio=8), signed()], signer) == ["envio_repeated"]
    assert envio.build_envio(CARATULA, [signed(33), signed(34)], signer)


def test_documents_of_another_issuer(signed, signer):
    other = caf.parse_caf(authority.make_caf(rut="77123456-9"))
    foreign = issue.issue(make_dte(issuer=make_issuer(rut="77123456-9")), other, signer, SIGNED_AT).xml
    assert problems_of([signed(), foreign], signer) == ["envio_other_issuer"]


def test_every_problem_of_an_envelope_comes_at_once(signed, signer):
    other = caf.parse_caf(authority.make_caf(rut="77123456-9"))
    foreign = issue.issue(make_dte(issuer=make_issuer(rut="77123456-9")), other, signer, SIGNED_AT).xml
    assert Counter(problems_of([signed(), foreign, signed()], signer)) == {"envio_repeated": 1, "envio_other_issuer": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda xml: b"",
        lambda xml: b"<DTE></DTE>",
        lambda xml: xml[:-3],
        lambda xml: xml[1:],
        lambda xml: b'<?xml version="1.0"?>' + xml,
        lambda xml: xml.replace(b"<Folio>7</Folio>", b""),
        lambda xml: xml.replace(b' xmlns="http://www.sii.cl/SiiDte"', b"", 1),
    ],
)
def test_bytes_that_are_no_signed_document(damage, signed, signer):
    assert problems_of([damage(signed())], signer) == ["dte_bytes_unreadable"]


def numbered(document, folio):
    """The same document under another folio: its signature is void, its bytes serve to fill an envelope."""
    document = document.replace(b"<Folio>7</Folio>", b"<Folio>%d</Folio>" % folio)
    return document.replace(b"F7T33", b"F%dT33" % folio)


@pytest.fixture(scope="session")
def full_envelope(signed, signer):
    document = signed()
    return envio.build_envio(CARATULA, [numbered(document, folio) for folio in range(1, 2001)], signer)


def test_two_thousand_documents_and_not_one_more(full_envelope, signed, signer, schemas):
    assert schemas.validate(full_envelope, ENVIO_SCHEMA) == []
    assert full_envelope.count(b"<NroDTE>2000</NroDTE>") == 1
    document = signed()
    with pytest.raises(DocumentError) as caught:
        envio.build_envio(CARATULA, [numbered(document, folio) for folio in range(1, 2002)], signer)
    [problem] = caught.value.problems
    assert (problem.code, problem.params) == ("envio_too_many", {"count": 2001, "limit": 2000})


def test_the_digest_of_two_thousand_documents(full_envelope):
    verifier.check_signature(full_envelope, "SetDTE", verifier.SII + verifier.XSI, verifier.DSIG + verifier.XSI)


class CountingHash:
    """SHA-1 that counts the bytes it was fed."""

    fed = 0
    calls = 0
    sha1 = staticmethod(hashlib.sha1)

    def __init__(self, data=b"", **options):
        self._hash = type(self).sha1(usedforsecurity=False)
        if data:
            self.update(data)

    def update(self, data):
        type(self).fed += len(data)
        type(self).calls += 1
        self._hash.update(data)

    def digest(self):
        return self._hash.digest()


@pytest.mark.parametrize("count", [1, 10, 100, 400])
def test_each_byte_is_hashed_once(count, signed, signer, monkeypatch):
    """Work that grows with the square of the documents would hash each byte many times."""
    counting = type("Counting", (CountingHash,), {})
    documents = [numbered(signed(), folio) for folio in range(1, count + 1)]
    monkeypatch.setattr(envio.hashlib, "sha1", counting)
    counting.fed = counting.calls = 0
    xml = envio.build_envio(CARATULA, documents, signer)
    assert counting.fed <= len(xml.decode("iso-8859-1").encode("utf-8"))
    assert counting.calls <= 2 * count + 3


def test_one_document_is_readable_by_schema_as_a_fragment(signed, schemas):
    assert schemas.validate(signed(), DTE_SCHEMA) == []


def test_the_copy_for_the_customer_holds_the_same_bytes(signed, signer):
    document = signed()
    caratula = Caratula(**{**CARATULA.__dict__, "receiver_rut": "77123456-9"})
    xml = envio.build_envio(caratula, [document], signer)
    assert document in xml
    assert re.search(rb"<RutReceptor>77123456-9</RutReceptor>", xml)
    verifier.check_envio(xml)
