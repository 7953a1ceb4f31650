# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from libs import caf
from libs.exceptions import ConfigurationError

from tests import authority

TODAY = date(2026, 10, 5)


def code_of(data):
    with pytest.raises(ConfigurationError) as caught:
        caf.parse_caf(data)
    return caught.value.code


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def with_private_key(pem):
    return re.sub(rb"<RSASK>.*</RSASK>", b"<RSASK>" + pem + b"</RSASK>", authority.make_caf(), flags=re.DOTALL)


def problems_of(data, **changes):
    options = {
        "issuer_rut": authority.ISSUER,
        "environment": "simulator",
        "today": TODAY,
        "simulator_key": authority.ca_key().public_key(),
    }
    parsed = data if isinstance(data, caf.Caf) else caf.parse_caf(data)
    return [problem.code for problem in caf.find_problems(parsed, **options | changes)]


def test_a_file_of_the_sii_is_read(ca_key):
    parsed = caf.parse_caf(authority.make_caf(61, 11, 60, authorized_on=date(2026, 8, 31)))
    assert (parsed.issuer_rut, parsed.issuer_name) == (authority.ISSUER, "SERVICIOS Y CIA ÑUÑOA LIMITADA")
    assert (parsed.dte_type, parsed.first, parsed.last) == (61, 11, 60)
    assert (parsed.authorized_on, parsed.idk) == (date(2026, 8, 31), 666)
    assert parsed.private_key.private_numbers() == authority.caf_key().private_numbers()
    assert parsed.public_key.public_numbers() == authority.caf_key().public_key().public_numbers()
    assert parsed.public_key.key_size == 512
    assert ">\n<" not in parsed.xml
    assert parsed.xml.startswith('<CAF version="1.0"><DA><RE>')
    assert parsed.canonical_xml == parsed.xml
    assert caf.is_authentic(parsed, ca_key)


def test_the_private_key_is_not_shown():
    assert "private_key" not in repr(caf.parse_caf(authority.make_caf()))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b'<?xml version="1.0"?>\n', b""),
        lambda data: data.replace(b'version="1.0"?>', b'version="1.0" encoding="UTF-8"?>'),
        lambda data: data.replace(b">\n<", b"><"),
        lambda data: data.replace(b">\n<", b">\n\t  <"),
        lambda data: b"\n\n" + data + b"\n\n",
    ],
)
def test_files_as_editors_and_browsers_leave_them(change, ca_key):
    parsed = caf.parse_caf(change(authority.make_caf()))
    assert caf.is_authentic(parsed, ca_key)
    assert parsed.issuer_name == "SERVICIOS Y CIA ÑUÑOA LIMITADA"


def test_entities_are_kept_as_written_and_read_as_meant(ca_key):
    parsed = caf.parse_caf(authority.make_caf(name="PLC&apos;S &amp; &quot;CÍA&quot;"))
    assert parsed.issuer_name == 'PLC\'S & "CÍA"'
    assert "PLC&apos;S &amp; &quot;CÍA&quot;" in parsed.xml
    assert 'PLC\'S &amp; "CÍA"' in parsed.canonical_xml
    assert caf.is_authentic(parsed, ca_key)


@pytest.mark.parametrize(
    "tag", ["CAF", "DA", "RE", "RS", "TD", "RNG", "D", "H", "FA", "RSAPK", "M", "E", "IDK", "FRMA"]
)
def test_a_missing_part(tag):
    data = authority.make_caf()
    renamed = re.sub(rf"(</?){tag}([ >])".encode(), rb"\1Other\2", data)
    assert renamed != data
    assert code_of(renamed) == "caf_damaged"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<D>1<", b"<D>one<"),
        (b"<D>1<", b"<D><"),
        (b"<TD>33<", b"<TD><"),
        (b"<FA>2026-09-01<", b"<FA>01-09-2026<"),
        (b"<FA>2026-09-01<", b"<FA>2026-02-30<"),
        (b"<IDK>666<", b"<IDK>x<"),
        (b"<E>Aw==<", b"<E>Aw=<"),
        (b"<E>Aw==<", b"<E>AA==<"),
        (b"<M>", b"<M>!"),
        (b"</RNG>", b""),
        (b"</DA>", b""),
        (b"</CAF>", b""),
        (b"<RSASK>", b"<RSASKX>"),
        (b"BEGIN RSA", b"BEGIN XXX"),
        (b"<RS>", b"<RS>\x00"),
        (b"<RS>", b"<RS>&nada;"),
        (b"<RS>", b"<RS><"),
    ],
)
def test_a_damaged_part(old, new):
    data = authority.make_caf()
    assert old in data
    assert code_of(data.replace(old, new, 1)) == "caf_damaged"


@pytest.mark.parametrize("data", [b"", b" ", b"<AUTORIZACION/>", b"%PDF-1.4", b"\x00\xff" * 50, b"a" * 70000])
def test_other_files(data):
    assert code_of(data) == "caf_damaged"


@pytest.mark.parametrize("part", [0.2, 0.5, 0.75])
def test_a_file_cut_short(part):
    data = authority.make_caf()
    assert code_of(data[: int(len(data) * part)]) == "caf_damaged"


def test_a_file_with_a_dtd_is_not_expanded():
    data = authority.make_caf().replace(b"<DA>", b"<!DOCTYPE a><DA>", 1)
    assert code_of(data) == "caf_damaged"


def test_a_key_that_is_not_the_authorised_one_by_arithmetic():
    pem = pem_of(authority.caf_key())
    body = pem.splitlines()
    body[3] = body[3].swapcase()
    assert code_of(with_private_key(b"\n".join(body))) == "caf_damaged"


def test_a_trusted_file_is_read_without_the_arithmetic_check():
    parsed = caf.parse_caf(authority.make_caf(), trusted=True)
    assert parsed.private_key.private_numbers() == authority.caf_key().private_numbers()


def test_keys_that_are_not_rsa():
    elliptic = ec.generate_private_key(ec.SECP256R1())
    assert code_of(with_private_key(pem_of(elliptic))) == "caf_key_unsupported"
    assert code_of(with_private_key(pem_of(dsa.generate_private_key(2048)))) == "caf_key_unsupported"
    data = re.sub(rb"<RSAPK>.*</RSAPK>", b"<DSAPK><P>Aw==</P></DSAPK>", authority.make_caf(), flags=re.DOTALL)
    assert code_of(data) == "caf_key_unsupported"


def test_an_encrypted_key():
    pem = authority.caf_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"x"),
    )
    assert code_of(with_private_key(pem)) == "caf_damaged"


def test_a_key_of_1024_bits_serves_too(ca_key):
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    parsed = caf.parse_caf(authority.make_caf(key=key))
    assert problems_of(parsed) == []


def test_a_good_caf_has_no_problems():
    assert problems_of(authority.make_caf()) == []


def test_each_problem_of_a_caf():
    assert problems_of(authority.make_caf(rut="77123456-9")) == ["caf_other_company"]
    assert problems_of(authority.make_caf(), environment="certification") == ["caf_other_environment"]
    assert problems_of(authority.make_caf(idk=100)) == ["caf_other_environment"]
    assert problems_of(authority.make_caf(signer=authority.rsa_key("forger"))) == ["caf_forged"]
    assert problems_of(authority.make_caf(declared_key=authority.caf_key(1))) == ["caf_key_mismatch"]
    assert problems_of(authority.make_caf(first=5, last=4)) == ["caf_range_invalid"]
    assert problems_of(authority.make_caf(first=0)) == ["caf_range_invalid"]
    assert problems_of(authority.make_caf(last=2**31)) == ["caf_range_invalid"]
    assert problems_of(authority.make_caf(authorized_on=date(2026, 10, 6))) == ["caf_from_future"]


def test_all_problems_come_at_once():
    data = authority.make_caf(
        rut="77123456-9",
        first=9,
        last=1,
        authorized_on=date(2026, 10, 6),
        declared_key=authority.caf_key(1),
        signer=authority.rsa_key("forger"),
    )
    assert problems_of(data) == [
        *("caf_other_company", "caf_forged", "caf_key_mismatch", "caf_range_invalid", "caf_from_future")
    ]


def test_limits_of_the_range_and_of_the_date():
    assert problems_of(authority.make_caf(first=7, last=7)) == []
    assert problems_of(authority.make_caf(last=2**31 - 1)) == []
    assert problems_of(authority.make_caf(authorized_on=TODAY)) == []


def test_an_expired_caf_still_proves_its_documents():
    assert problems_of(authority.make_caf(authorized_on=date(2020, 1, 1))) == []


def test_a_caf_from_a_timbre_has_no_private_key():
    embedded = caf.parse_embedded(caf.parse_caf(authority.make_caf()).xml)
    assert embedded.private_key is None
    assert problems_of(embedded) == []


@pytest.mark.parametrize(
    "change",
    [{"first": 2}, {"issuer_rut": "77123456-9"}, {"idk": 300}],
)
def test_frma_covers_the_text_and_not_the_fields(change, ca_key):
    parsed = caf.parse_caf(authority.make_caf())
    tag, value = {"first": ("D", 2), "issuer_rut": ("RE", "77123456-9"), "idk": ("IDK", 300)}[next(iter(change))]
    text = re.sub(rf"<{tag}>[^<]*", f"<{tag}>{value}", parsed.signed_text)
    assert not caf.is_authentic(replace(parsed, signed_text=text), ca_key)


def test_keys_of_the_sii_are_the_published_ones():
    assert {idk: (key.key_size, key.public_numbers().e) for idk, key in caf.SII_KEYS.items()} == {
        100: (512, 65537),
        300: (512, 65537),
    }
    assert hex(caf.SII_KEYS[100].public_numbers().n)[2:18] == "c8fbf00dcb21a550"
    assert hex(caf.SII_KEYS[300].public_numbers().n)[-16:] == "8f7f011c3585b335"
    assert caf.IDK_BY_ENVIRONMENT == {"simulator": 666, "certification": 100, "production": 300}


def test_the_simulators_key_proves_nothing_outside_the_simulator(ca_key):
    assert not caf.is_authentic(caf.parse_caf(authority.make_caf(idk=300)), ca_key)
    assert not caf.is_authentic(caf.parse_caf(authority.make_caf()), None)


@pytest.mark.parametrize(("folio", "covered"), [(0, False), (1, True), (500, True), (1000, True), (1001, False)])
def test_the_range_has_both_ends(folio, covered):
    parsed = caf.parse_caf(authority.make_caf())
    assert parsed.covers(33, folio) is covered
    assert not parsed.covers(34, folio)


@pytest.mark.parametrize(
    ("authorized_on", "last", "warning"),
    [
        (date(2026, 8, 31), date(2027, 2, 28), date(2027, 2, 27)),
        (date(2027, 8, 31), date(2028, 2, 29), date(2028, 2, 27)),
        (date(2026, 8, 29), date(2027, 2, 28), date(2027, 2, 25)),
        (date(2026, 3, 31), date(2026, 9, 30), date(2026, 9, 27)),
        (date(2026, 10, 31), date(2027, 4, 30), date(2027, 4, 29)),
        (date(2026, 12, 1), date(2027, 6, 1), date(2027, 5, 30)),
        (date(2026, 6, 30), date(2026, 12, 30), date(2026, 12, 27)),
        (date(2026, 7, 1), date(2027, 1, 1), date(2026, 12, 28)),
    ],
)
def test_six_calendar_months_and_a_warning_by_the_stricter_reading(authorized_on, last, warning):
    parsed = caf.parse_caf(authority.make_caf(authorized_on=authorized_on))
    assert (parsed.last_day(), parsed.warning_day()) == (last, warning)
    assert (caf.last_day(33, authorized_on), caf.warning_day(33, authorized_on)) == (last, warning)


def test_the_warning_never_comes_after_the_last_day():
    for ordinal in range(date(2026, 1, 1).toordinal(), date(2028, 12, 31).toordinal()):
        day = date.fromordinal(ordinal)
        assert caf.warning_day(33, day) <= caf.last_day(33, day)


@pytest.mark.parametrize("dte_type", [33, 43, 46, 56, 61])
def test_documents_with_vat_credit_expire(dte_type):
    assert caf.last_day(dte_type, TODAY)


@pytest.mark.parametrize("dte_type", [34, 39, 41, 52, 110, 111, 112])
def test_other_documents_do_not(dte_type):
    assert caf.last_day(dte_type, TODAY) is None
    assert caf.warning_day(dte_type, TODAY) is None


def test_the_public_key_of_the_simulator():
    public = authority.ca_key().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert caf.load_public_key(pem).public_numbers() == public.public_numbers()
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = elliptic.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for bad in (b"", b"-----BEGIN PUBLIC KEY-----", other):
        with pytest.raises(ConfigurationError) as caught:
            caf.load_public_key(bad)
        assert caught.value.code == "public_key_unreadable"
