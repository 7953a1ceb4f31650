# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents that are accepted, and one test for each reason to reject one."""

import re
from datetime import date, timedelta

import pytest

from sii_simulator.timbre import months_later

from . import factory


def test_accepts_each_type(world):
    factura = world.draft(33)
    exenta = world.draft(34)
    guia = world.draft(52)
    credito = world.note(61, factura, 1)
    debito = world.note(56, credito, 1)
    drafts = [factura, exenta, guia, credito, debito]
    track = world.send(*drafts)
    assert [world.outcome(draft) for draft in drafts] == [("accepted", [])] * 5
    answer = world.sii.est_up(world.issuer, track)
    assert answer["ESTADO"] == "EPR"
    assert answer["TIPO_DOCTO"] == ["33", "34", "52", "56", "61"]
    assert answer["ACEPTADOS"] == ["1"] * 5
    assert answer["RECHAZADOS"] == answer["REPAROS"] == ["0"] * 5


def test_keeps_the_exact_bytes(world):
    draft = world.draft(33)
    document = world.dte(draft)
    data = world.envelope(document)
    track = world.send_bytes(data)
    assert world.control.get(f"upload/{track}").body == data
    assert world.control.get(f"document/{draft.issuer}/33/{draft.folio}?raw=1").body == document


@pytest.mark.parametrize("namespaces", [factory.DTE_NS, f"{factory.DTE_NS} {factory.XSI_NS}"])
def test_accepts_the_digest_of_the_namespaces_the_fragment_declares(world, namespaces):
    assert world.judge(world.draft(), namespaces=namespaces) == ("accepted", [])


def test_accepts_a_digest_without_namespaces(world):
    """Two large issuers and the official sample sign so."""
    assert world.judge(world.draft(), digest_namespaces="") == ("accepted", [])
    assert world.judge(world.draft(), namespaces="", digest_namespaces="") == ("accepted", [])


def test_rejects_a_wrong_digest(world):
    document = world.dte(world.draft())
    changed = document.replace(b"Servicios inform", b"Otros     inform")
    assert changed != document
    world.send(changed)
    assert rejected_codes(world) == ["DTE-3-505"]


def test_rejects_a_dte_signed_in_the_namespaces_of_the_envelope(world):
    scope = f"{factory.DTE_NS} {factory.XSI_NS}"
    assert world.judge(world.draft(), digest_namespaces=scope) == ("rejected", ["DTE-3-505"])


def test_rejects_a_dte_serialised_again_inside_the_envelope(world):
    """What lxml does when a DTE element is moved into SetDTE: the inner xmlns is gone."""
    document = world.dte(world.draft())
    world.send(document.replace(b"<DTE " + factory.DTE_NS.encode() + b" ", b"<DTE "))
    assert rejected_codes(world) == ["DTE-3-505"]


def test_rejects_sha256_by_schema(logged):
    document = logged.dte(logged.draft(), sha="sha256")
    answer = logged.sii.upload(logged.envelope(document), logged.issuer)
    assert "<STATUS>7</STATUS>" in answer.text
    assert "LSX-00265" in answer.text


def test_rejects_a_fragment_that_needs_its_envelope(world):
    document = world.dte(world.draft())
    scheme = b'<DTE xsi:schemaLocation="http://www.sii.cl/SiiDte DTE_v10.xsd" '
    world.send(document.replace(b"<DTE ", scheme))
    assert rejected_codes(world) == ["DTE-3-505"]


def test_rejects_a_reference_to_something_else(world):
    assert world.judge(world.draft(), uri="#SetDoc") == ("rejected", ["DTE-3-505"])


def test_rejects_a_changed_signature(world):
    document = world.dte(world.draft())
    value = re.search(rb"<SignatureValue>(....)", document)[1]
    world.send(document.replace(value, b"AAAA" if value != b"AAAA" else b"BBBB", 1))
    assert rejected_codes(world) == ["DTE-3-505"]


def test_rejects_a_certificate_of_another_key(world, people):
    other = people("11111111-1", rut_in="subject")
    mixed = factory.Person(world.person.rut, world.person.key, other.certificate)
    assert world.judge(world.draft(), person=mixed) == ("rejected", ["DTE-3-505"])


def test_rejects_a_certificate_that_had_expired(world, people):
    yesterday = world.now().replace(hour=0, minute=0, second=0) - timedelta(days=1)
    old = people("11111111-1", **{"from": "2026-01-01T00:00:00", "to": yesterday.isoformat()})
    assert world.judge(world.draft(), person=old) == ("rejected", ["DTE-3-505"])


def test_rejects_a_certificate_of_another_authority(world):
    stranger = factory.self_signed(world.person.rut)
    assert world.judge(world.draft(), person=stranger) == ("rejected", ["DTE-3-505"])


def test_rejects_a_signer_without_permission(world, people):
    stranger = people("12345678-5")
    draft = world.draft()
    assert world.judge(draft, person=stranger)[0] == "rejected"
    assert "Rut No Autorizado a Firmar" in world.control.get(f"document/{draft.issuer}/33/{draft.folio}").text


def test_rejects_a_timbre_made_with_the_key_of_another_caf(world):
    other = world.caf(33, first=5001, last=5002)
    assert world.judge(world.draft(), stamp={"key": other.key}) == ("rejected", ["TED-2-510"])


def test_can_be_told_to_object_to_a_wrong_timbre(world):
    world.control.ok("settings", timbre_errors="repair")
    other = world.caf(33, first=5001, last=5002)
    assert world.judge(world.draft(), stamp={"key": other.key}) == ("objected", ["TED-2-510"])


def test_rejects_a_folio_outside_the_caf_in_the_timbre(world):
    world.caf(33)
    other = world.caf(33, first=5001, last=5002)
    assert world.judge(world.draft(), caf=other) == ("rejected", ["CAF-3"])


def test_rejects_a_changed_amount(world):
    assert world.judge(world.draft(), stamp={"total": 1}) == ("rejected", ["TED-3-640"])


@pytest.mark.parametrize("tag", ["RE", "TD", "F", "FE", "RR"])
def test_rejects_a_timbre_about_another_document(world, tag):
    values = {"RE": "96790240-3", "TD": "34", "F": "77", "FE": "2026-01-02", "RR": "77777777-7"}

    def change(text):
        return re.sub(rf"<{tag}>[^<]*</{tag}>", f"<{tag}>{values[tag]}</{tag}>", text, count=1)

    assert world.judge(world.draft(), stamp={"change": change}) == ("rejected", ["TED-3"])


def test_objects_another_receiver_name_in_the_timbre(world):
    def change(text):
        return re.sub("<RSR>[^<]*</RSR>", "<RSR>Otro</RSR>", text)

    assert world.judge(world.draft(), stamp={"change": change}) == ("objected", ["TED-2"])


def test_accepts_folded_accents_in_the_timbre(world):
    def change(text):
        return text.replace("Cía", "Cia").replace("Cajón", "Cajon")

    assert world.judge(world.draft(), stamp={"change": change}) == ("accepted", [])


def test_rejects_a_folio_that_was_never_authorised(world):
    ghost = world.caf(33, first=7001, last=7002, authorise=False)
    assert world.judge(world.draft(folio=7001), caf=ghost) == ("rejected", ["CAF-3"])


def test_rejects_a_caf_of_another_type(world):
    assert world.judge(world.draft(33), caf=world.caf(34)) == ("rejected", ["CAF-3"])


def test_rejects_a_caf_that_was_changed(world):
    caf = world.caf(33)
    caf.element = caf.element.replace("<H>3000</H>", "<H>4000</H>")
    assert world.judge(world.draft(), caf=caf) == ("rejected", ["CAF-3"])


def test_rejects_a_caf_of_another_environment(world):
    foreign = world.caf(33, first=8001, last=8002, idk=300)
    assert world.judge(world.draft(folio=8001), caf=foreign) == ("rejected", ["CAF-3-516"])


def test_an_expired_caf_counts_calendar_months_from_its_date(world):
    assert world.now().date() == date(2026, 6, 15)
    caf = world.caf(33, first=100001, last=100002, date="2025-12-15")
    assert world.judge(world.draft(folio=100001), caf=caf) == ("accepted", [])
    old = world.caf(33, first=100011, last=100012, date="2025-12-14")
    assert world.judge(world.draft(folio=100011), caf=old) == ("rejected", ["CAF-3-517"])


@pytest.mark.parametrize(
    ("day", "later"), [("2026-08-31", "2027-02-28"), ("2026-06-15", "2026-12-15"), ("2027-08-29", "2028-02-29")]
)
def test_six_months_later(day, later):
    assert months_later(date.fromisoformat(day), 6) == date.fromisoformat(later)


def test_the_caf_of_a_guia_does_not_expire(world):
    caf = world.caf(52, first=100001, last=100002, date="2025-01-01")
    assert world.judge(world.draft(52, folio=100001), caf=caf) == ("accepted", [])


def test_rejects_a_folio_sent_twice(world):
    draft = world.draft()
    document = world.dte(draft)
    world.send(document)
    world.send(document, world.dte(world.draft()))
    assert rejected_codes(world) == ["DTE-3-100"]
    world.send(world.dte(world.draft(folio=draft.folio, lines=[("Otra cosa", 1, 5, "")])))
    assert rejected_codes(world) == ["DTE-3-100", "DTE-3-101"]
    assert world.sii.est_dte(draft)["ESTADO"] == "DOK"


def test_rejects_a_folio_twice_in_one_envelope(world):
    first = world.draft()
    world.send(first, world.draft(folio=first.folio, ident="again"))
    assert rejected_codes(world) == ["DTE-3-101"]


def test_a_rejected_folio_can_be_used_again(world):
    draft = world.draft()
    assert world.judge(draft, stamp={"total": 1})[0] == "rejected"
    assert world.judge(draft) == ("accepted", [])


def test_a_rejected_folio_is_spent_when_the_setting_says_so(world):
    world.control.ok("settings", rejected_folio_reuse=False)
    draft = world.draft()
    assert world.judge(draft, stamp={"total": 1})[0] == "rejected"
    assert world.judge(draft) == ("rejected", ["DTE-3-101"])


def test_an_objected_folio_is_spent(world):
    draft = world.draft(date=(world.now() - timedelta(days=5)).date().isoformat())
    caf = world.caf(33, first=100001, last=100002, date="2026-06-01")
    draft.folio = 100001
    assert world.judge(draft, caf=caf) == ("objected", ["DTE-1-650"])
    assert world.judge(draft, caf=caf, stamp={"total": 1}) == ("rejected", ["DTE-3-101"])


def test_rejects_an_annulled_folio(world):
    draft = world.draft()
    world.caf(33)
    world.control.ok("annul", rut=world.issuer, type=33, **{"from": draft.folio, "to": draft.folio})
    assert world.judge(draft) == ("rejected", ["DTE-3-601"])


def test_an_early_error_hides_the_later_ones(world):
    draft = world.draft(acteco="111111")
    caf = world.caf(33, first=8001, last=8002, idk=300)
    assert world.judge(draft, caf=caf, stamp={"total": 1}) == ("rejected", ["CAF-3-516"])


def rejected_codes(world):
    documents = world.control.ledger()["documents"]
    return [code["code"] for document in documents if document["state"] == "rejected" for code in document["codes"]]
