# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""QueryEstUp, QueryEstDte, QueryEstDteAv and wsDTECorreo."""

import re

import pytest

from .client import eventually, reception


@pytest.fixture
def sent(world):
    """(world, accepted draft, its track id)."""
    draft = world.draft()
    track = world.send(draft)
    return world, draft, track


def signature_of(world, draft):
    shown = world.control.get(f"document/{draft.issuer}/{draft.kind}/{draft.folio}?raw=1").text
    return re.search("<SignatureValue>(.*?)</SignatureValue>", shown, re.DOTALL)[1]


def test_est_up_of_another_company(sent):
    world, _draft, track = sent
    other = "96790240-3"
    users = [{"rut": "11111111-1"}]
    world.control.ok("company", rut=other, resolution_number=0, resolution_date="2026-01-01", users=users)
    answer = world.sii.est_up(other, track)
    assert (answer["ESTADO"], answer["ERR_CODE"], answer["SRV_CODE"]) == ("-11", "1", "1")


def test_est_up_takes_the_track_without_zeros(sent):
    world, _draft, track = sent
    assert world.sii.est_up(world.issuer, int(track))["ESTADO"] == "EPR"


def test_106_without_permission_to_query(sent):
    world, draft, track = sent
    world.register(users=[{"rut": "11111111-1", "query": False}])
    assert world.sii.est_up(world.issuer, track)["ESTADO"] == "106"
    assert world.sii.est_dte(draft)["ESTADO"] == "106"
    answer = world.sii.est_dte_av(draft, "x")
    assert (answer["ESTADO"], answer["ERR_CODE"]) == ("106", "9")
    assert world.sii.resend(world.issuer, track)["ESTADO"] == "106"


def test_the_setting_drops_types_from_the_counters(world):
    factura = world.draft()
    track = world.send(factura, world.note(61, factura, 1))
    world.control.ok("settings", drop_types=[61])
    assert world.sii.est_up(world.issuer, track)["TIPO_DOCTO"] == "33"


def test_the_state_of_a_processing_envelope_may_be_spelt_prd(logged):
    logged.control.ok("settings", delays={"final": 600}, processing_state="PRD")
    track = reception(logged.sii.upload(logged.envelope(logged.draft()), logged.issuer))["TRACKID"]
    assert eventually(lambda: logged.state(track) == "PRD")


@pytest.mark.parametrize(
    "change",
    [
        {"MontoDte": "1"},
        {"FechaEmisionDte": "01012026"},
        {"RutReceptor": "77777777", "DvReceptor": "7"},
    ],
)
def test_dnk_when_the_data_differ(sent, change):
    world, draft, _track = sent
    answer = world.sii.est_dte(draft, **change)
    assert (answer["ESTADO"], answer["ERR_CODE"]) == ("DNK", "1")


def test_est_dte_takes_a_date_with_hyphens(sent):
    world, draft, _track = sent
    year, month, day = draft.date.split("-")
    assert world.sii.est_dte(draft, FechaEmisionDte=f"{day}-{month}-{year}")["ESTADO"] == "DOK"


def test_fau_fna_fan_emp(world):
    draft = world.draft()
    world.caf(33)
    world.sii.login()
    assert world.sii.est_dte(draft)["ESTADO"] == "FAU"
    assert world.sii.est_dte(draft, FolioDte="99999")["ESTADO"] == "FNA"
    world.control.ok("annul", rut=world.issuer, type=33, **{"from": draft.folio, "to": draft.folio})
    assert world.sii.est_dte(draft)["ESTADO"] == "FAN"
    assert world.sii.est_dte(draft, RutCompania="96790240", DvCompania="3")["ESTADO"] == "EMP"


def test_a_rejected_document_is_fau(world):
    draft = world.draft()
    assert world.judge(draft, stamp={"total": 1})[0] == "rejected"
    assert world.sii.est_dte(draft)["ESTADO"] == "FAU"


def test_av_compares_the_signature(sent):
    world, draft, _track = sent
    signature = signature_of(world, draft)
    answer = world.sii.est_dte_av(draft, signature)
    assert (answer["ESTADO"], answer["RECIBIDO"]) == ("DOK", "SI")
    answer = world.sii.est_dte_av(draft, signature[:-8] + "AAAAAAA=")
    assert (answer["ESTADO"], answer["RECIBIDO"]) == ("DNK", "SI")
    answer = world.sii.est_dte_av(world.draft(), signature)
    assert (answer["ESTADO"], answer["RECIBIDO"]) == ("FAU", "NO")


def test_av_errors(sent):
    world, draft, _track = sent
    assert world.sii.est_dte_av(draft, "")["ERR_CODE"] == "5"
    assert world.sii.est_dte_av(draft, "x", Token="nothing")["ERR_CODE"] == "2"
    world.control.ok("clock", advance_seconds=3601)
    answer = world.sii.est_dte_av(draft, "x")
    assert (answer["ESTADO"], answer["ERR_CODE"]) == ("001", "1")


def test_the_mail_can_be_asked_for_again(sent):
    world, _draft, track = sent
    assert len(mails(world)) == 1
    assert world.sii.resend(world.issuer, track)["ESTADO"] == "0"
    assert len(mails(world)) == 2


def test_resend_refusals(sent):
    world, _draft, track = sent
    assert world.sii.resend(world.issuer, track, DvEmpresa="9")["ESTADO"] == "101"
    assert world.sii.resend(world.issuer, "")["ESTADO"] == "102"
    assert world.sii.resend(world.issuer, track, Token="nothing")["ESTADO"] == "104"
    assert world.sii.resend(world.issuer, "1")["ESTADO"] == "105"
    world.control.ok("settings", delays={"final": 600})
    waiting = reception(world.sii.upload(world.envelope(world.draft()), world.issuer))["TRACKID"]
    assert world.sii.resend(world.issuer, waiting)["ESTADO"] == "114"


def mails(world):
    return world.control.get("mailbox").json()["mails"]
