# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Seed and token: each ESTADO of getToken."""

import re

import pytest

from . import factory
from .conftest import SENDER, issue_person


def test_seed_is_twelve_digits_and_the_token_thirteen_characters(world):
    assert re.fullmatch(r"\d{12}", world.sii.seed())
    assert re.fullmatch(r"[A-Za-z0-9]{13}", world.sii.login())


def test_a_token_opens_the_door(logged):
    answer = logged.sii.est_up(logged.issuer, "1")
    assert (answer["ESTADO"], answer["ERR_CODE"]) == ("-11", "1")


def refused(world, xml):
    return world.sii.ask_token(xml)["ESTADO"]


def signed(world, **options):
    return factory.token_request(world.sii.seed(), world.person, **options)


def test_refuses_what_is_not_xml(world):
    assert refused(world, "<getToken>") == "02"
    assert refused(world, "<!DOCTYPE a><getToken><item/></getToken>") == "02"


def test_refuses_a_request_without_signature(world):
    seed = world.sii.seed()
    assert refused(world, f"<getToken><item><Semilla>{seed}</Semilla></item></getToken>") == "04"


def test_refuses_a_changed_seed(world):
    xml = signed(world)
    assert refused(world, re.sub(r"<Semilla>\d+", f"<Semilla>{world.sii.seed()}", xml)) == "05"


def test_refuses_a_changed_signature(world):
    xml = signed(world)
    value = re.search("<SignatureValue>(..)", xml)[1]
    other = "AA" if value != "AA" else "BB"
    assert refused(world, xml.replace(f"<SignatureValue>{value}", f"<SignatureValue>{other}")) == "05"


def test_refuses_x509_data_before_key_value(world):
    xml = re.sub(r"(<KeyValue>.*</KeyValue>)(<X509Data>.*</X509Data>)", r"\2\1", signed(world), flags=re.DOTALL)
    assert refused(world, xml) == "05"


def test_refuses_sha256(world):
    item = f"<item><Semilla>{world.sii.seed()}</Semilla></item>"
    signature = factory.sign(
        f"<getToken>{item}</getToken>", "", world.person, sha="sha256", transform=factory.W3 + "enveloped-signature"
    )
    assert refused(world, f"<getToken>{item}{signature}</getToken>") == "05"


def test_refuses_a_request_without_seed(world):
    xml = signed(world)
    assert refused(world, re.sub("<Semilla>.*</Semilla>", "", xml)) == "06"


def test_refuses_a_prefixed_signature(world):
    xml = signed(world)
    xml = re.sub(r"<(/?)(Signature|SignedInfo|KeyInfo)([ >])", r"<\1ds:\2\3", xml).replace("xmlns=", "xmlns:ds=")
    assert refused(world, xml) == "10"


def test_refuses_an_indented_request(world):
    xml = signed(world)
    assert refused(world, xml.replace("<item>", "\n <item>")) == "11"


def test_refuses_a_request_without_certificate(world):
    xml = re.sub("<X509Data>.*</X509Data>", "", signed(world), flags=re.DOTALL)
    assert refused(world, xml) == "11"


def test_refuses_a_key_that_is_not_the_certificates(world, people):
    stranger = people("12345678-5")
    mixed = factory.Person(world.person.rut, stranger.key, world.person.certificate)
    assert refused(world, factory.token_request(world.sii.seed(), mixed)) == "21"


def test_refuses_a_certificate_of_another_authority(world):
    assert refused(world, factory.token_request(world.sii.seed(), factory.self_signed(SENDER))) == "10"


def test_refuses_an_expired_certificate(world, people):
    old = people(SENDER, **{"from": "2025-01-01T00:00:00", "to": "2025-02-01T00:00:00"})
    assert refused(world, factory.token_request(world.sii.seed(), old)) == "10"


def test_refuses_a_certificate_without_rut(world):
    person = issue_person(world.control, SENDER, no_rut=True)
    assert refused(world, factory.token_request(world.sii.seed(), person)) == "-07"


@pytest.mark.parametrize("place", ["san", "subject"])
def test_finds_the_rut_in_either_place(world, people, place):
    person = people(SENDER, rut_in=place)
    assert refused(world, factory.token_request(world.sii.seed(), person)) == "00"


def test_a_seed_serves_once(world):
    xml = signed(world)
    assert refused(world, xml) == "00"
    assert refused(world, xml) == "08"


def test_a_seed_lives_two_minutes(world):
    xml = signed(world)
    world.control.ok("clock", advance_seconds=121)
    answer = world.sii.ask_token(xml)
    assert (answer["ESTADO"], answer["GLOSA"]) == ("08", "TIME-OUT DEL SEED")


def test_an_unknown_seed(world):
    assert refused(world, factory.token_request("000000000000", world.person)) == "08"


def test_a_token_lives_an_hour(logged):
    logged.control.ok("clock", advance_seconds=3590)
    assert logged.sii.est_up(logged.issuer, "1")["ESTADO"] == "-11"
    logged.control.ok("clock", advance_seconds=20)
    answer = logged.sii.est_up(logged.issuer, "1")
    assert (answer["ESTADO"], answer["GLOSA"]) == ("001", "TOKEN NO EXISTE")


def test_an_unknown_token(logged):
    logged.sii.token = "x" * 13
    assert logged.sii.est_up(logged.issuer, "1")["ESTADO"] == "001"
