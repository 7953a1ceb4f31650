# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""States of the envelope: the progress with time, and each rejection of the whole."""

import pytest

from . import factory
from .client import eventually, reception


def upload(world, data):
    answer = reception(world.sii.upload(data, world.issuer))
    assert answer["STATUS"] == "0", answer
    return answer["TRACKID"]


def test_states_come_with_simulated_time(logged):
    stages = ("registered", "schema", "caratula", "firma", "process", "final")
    logged.control.ok("settings", delays=dict.fromkeys(stages, 600))
    draft = logged.draft()
    track = upload(logged, logged.envelope(draft))
    answer = logged.sii.est_up(logged.issuer, track)
    assert (answer["ESTADO"], answer["ERR_CODE"], answer["SQL_CODE"]) == ("-11", "2", "0")
    seen = []
    for _stage in stages:
        logged.control.ok("clock", advance_seconds=601)
        logged.sii.login()
        assert eventually(lambda: logged.state(track) not in seen)
        seen.append(logged.state(track))
    assert seen == ["REC", "SOK", "CRT", "FOK", "PDR", "EPR"]
    assert logged.sii.est_dte(draft)["ESTADO"] == "DOK"


def test_a_document_is_not_received_before_its_envelope_is_processed(logged):
    logged.control.ok("settings", delays={"final": 600})
    draft = logged.draft()
    track = upload(logged, logged.envelope(draft))
    assert logged.sii.est_dte(draft)["ESTADO"] == "FAU"
    logged.control.ok("process")
    assert logged.state(track) == "EPR"
    assert logged.sii.est_dte(draft)["ESTADO"] == "DOK"


def test_without_delays_the_verdict_comes_by_itself(logged):
    track = upload(logged, logged.envelope(logged.draft()))
    assert eventually(lambda: logged.state(track) == "EPR")


def test_rsc_when_the_schema_is_checked_later(logged):
    logged.control.ok("settings", schema_errors="rsc")
    draft = logged.draft(id_doc="<FmaPago></FmaPago>")
    track = logged.send(draft)
    answer = logged.sii.est_up(logged.issuer, track)
    assert (answer["ESTADO"], answer["GLOSA"]) == ("RSC", "Rechazado por Error en Schema")
    assert "TIPO_DOCTO" not in answer
    assert logged.errors(track)[0].startswith("(ENV-3-0) Error en Schema: [0] LSX-00009")
    assert logged.sii.est_dte(draft)["ESTADO"] == "FAU"


def test_rsc_for_what_is_not_xml(logged):
    logged.control.ok("settings", schema_errors="rsc")
    data = logged.envelope(logged.draft())
    assert logged.state(logged.send_bytes(data.replace(b"</Emisor>", b"</Emisr>"))) == "RSC"


def test_rfr_for_a_changed_set(world):
    data = world.envelope(world.draft())
    track = world.send_bytes(data.replace(b"<FchResol>2026-01-15", b"<FchResol>2026-01-16"))
    assert world.state(track) == "RFR"
    assert "Firma de Envio Incorrecta" in world.errors(track)[0]


def test_rfr_for_what_has_no_canonical_form(world):
    data = world.envelope(world.draft())
    track = world.send_bytes(data.replace(b"<Documento ", b'<Documento xmlns:a="relative" '))
    assert world.state(track) == "RFR"


def test_rfr_for_a_signature_by_somebody_else(world, people):
    world.register(users=[{"rut": "11111111-1"}, {"rut": "12345678-5"}])
    track = world.send(world.draft(), signer=people("12345678-5"))
    assert world.state(track) == "RFR"


def test_rfr_for_a_certificate_of_another_authority(world):
    track = world.send(world.draft(), signer=factory.self_signed(world.person.rut))
    assert world.state(track) == "RFR"


def test_rfr_without_permission_to_sign(world):
    world.register(users=[{"rut": "11111111-1", "sign": False}])
    track = world.send(world.draft())
    assert world.state(track) == "RFR"
    assert world.errors(track) == ["(ENV-3-6) Usuario no tiene permiso para firmar o enviar"]


def test_the_signature_is_checked_before_the_caratula(world):
    data = world.envelope(world.draft(), caratula={"NroResol": 99})
    assert world.state(world.send_bytes(data.replace(b"<RutReceptor>6", b"<RutReceptor>7"))) == "RFR"


@pytest.mark.parametrize(
    ("caratula", "text"),
    [
        ({"RutEmisor": "96790240-3"}, "Rut Emisor"),
        ({"RutEnvia": "12345678-5"}, "CRT-3-11"),
        ({"NroResol": 80}, "CRT-3-19"),
        ({"FchResol": "2014-08-22"}, "CRT-3-19"),
        ({"RutReceptor": "96790240-3"}, "Rut Receptor"),
        ({"SubTotDTE": "<SubTotDTE><TpoDTE>33</TpoDTE><NroDTE>2</NroDTE></SubTotDTE>"}, "Subtotales"),
        ({"SubTotDTE": "<SubTotDTE><TpoDTE>34</TpoDTE><NroDTE>1</NroDTE></SubTotDTE>"}, "Subtotales"),
    ],
)
def test_rct_for_each_field_of_the_caratula(world, caratula, text):
    track = world.send(world.draft(), caratula=caratula)
    assert world.state(track) == "RCT"
    assert text in world.errors(track)[0]


def test_rct_for_a_document_of_another_issuer(world):
    stranger = world.draft()
    stranger.issuer = "96790240-3"
    assert world.state(world.send(stranger, world.draft())) == "RCT"


def test_a_refused_envelope_burns_no_folio(world):
    draft = world.draft()
    document = world.dte(draft)
    assert world.state(world.send(document, caratula={"NroResol": 80})) == "RCT"
    assert world.state(world.send(document)) == "EPR"
    assert world.outcome(draft) == ("accepted", [])


def test_epr_with_everything_rejected(world):
    track = world.send(world.dte(world.draft(), stamp={"total": 1}))
    answer = world.sii.est_up(world.issuer, track)
    assert (answer["ESTADO"], answer["ACEPTADOS"], answer["RECHAZADOS"]) == ("EPR", "0", "1")
