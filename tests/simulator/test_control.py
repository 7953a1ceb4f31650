# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The control API and the command line."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import pkcs12

from sii_simulator import control

from . import factory
from .conftest import Server, fresh_world

ROOT = Path(__file__).resolve().parents[2]


def command(folder, *arguments):
    line = [sys.executable, "-m", "sii_simulator", *arguments, "--data", str(folder)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, check=False)


def test_questions_are_kept(world):
    draft = world.draft()
    track = world.send(draft)
    world.control.ok("reset")
    world.register()
    world.sii.est_up(world.issuer, track)
    world.sii.est_dte(draft)
    world.sii.resend(world.issuer, track)
    asked = world.control.get(f"questions?issuer={world.issuer}").json()["questions"]
    told = [(question["operation"], question["track_id"], question["type"], question["folio"]) for question in asked]
    assert told == [
        ("getEstUp", track, None, None),
        ("getEstDte", None, draft.kind, draft.folio),
        ("reenvioCorreo", track, None, None),
    ]
    assert world.control.get("questions?issuer=96790240-3").json() == {"questions": []}


def test_ledger_lists_uploads_and_documents(world):
    draft = world.draft()
    document = world.dte(draft)
    data = world.envelope(document)
    before = world.now()
    track = world.send_bytes(data)
    ledger = world.control.ledger()
    (upload,) = ledger["uploads"]
    assert upload["track_id"] == track
    assert upload["sha256"] == hashlib.sha256(data).hexdigest()
    assert (upload["size"], upload["status"], upload["state"]) == (len(data), 0, "EPR")
    assert (upload["sender"], upload["company"]) == ("11111111-1", world.issuer)
    assert upload["documents"] == [{"type": 33, "folio": draft.folio, "state": "accepted"}]
    assert upload["at"] >= before.isoformat()
    (shown,) = ledger["documents"]
    assert shown["sha256"] == hashlib.sha256(document).hexdigest()
    assert (shown["total"], shown["receiver"], shown["date"]) == (3570, draft.receiver, draft.date)
    assert (shown["track_id"], shown["codes"]) == (track, [])


def test_ledger_filters(world):
    world.send(world.draft())
    assert world.control.ledger("?issuer=96790240-3") == {"uploads": [], "documents": []}
    assert len(world.control.ledger(f"?issuer={world.issuer}")["documents"]) == 1
    world.control.ok("clock", advance_seconds=60)
    assert world.control.ledger(f"?since={world.now().isoformat()}") == {"uploads": [], "documents": []}


def test_reset_forgets_all_but_the_authority(world):
    authority = world.control.get("ca").json()
    first = world.send(world.draft())
    world.control.ok("clock", advance_seconds=86400)
    world.control.ok("settings", blocked=True)
    world.control.faults({"kind": "empty"})
    world.control.ok("reset")
    assert world.control.ledger() == {"uploads": [], "documents": []}
    assert world.control.get("clock").json()["offset_seconds"] == 0
    assert world.control.get("settings").json()["blocked"] is False
    assert world.control.get("faults").json() == {"faults": [], "fired": {}}
    assert world.control.get("mailbox").json() == {"mails": []}
    assert world.control.get("ca").json() == authority
    assert world.sii.est_up(world.issuer, first)["ESTADO"] == "001"
    fresh = fresh_world(world.server, world.people)
    assert int(fresh.send(fresh.draft())) > int(first)


@pytest.mark.parametrize(
    ("outcome", "codes", "state"),
    [
        ("object", ["HED-2-260"], "objected"),
        ("reject", ["REF-3-750", "DTE-3-505"], "rejected"),
        ("accept", [], "accepted"),
    ],
)
def test_a_scripted_verdict(world, outcome, codes, state):
    draft = world.draft()
    world.control.ok("verdict", issuer=world.issuer, type=33, folio=draft.folio, outcome=outcome, codes=codes)
    assert world.judge(draft, stamp={"total": 1}) == (state, codes)
    assert world.outcome(draft)[0] == state


def test_a_scripted_verdict_by_receiver_serves_once(world):
    world.control.ok("verdict", issuer=world.issuer, regex="O'Higgins", outcome="reject")
    other, first, second = world.draft(receiver_name="Otra"), world.draft(), world.draft()
    world.send(other, first, second)
    assert [world.outcome(draft)[0] for draft in (other, first, second)] == ["accepted", "rejected", "accepted"]


def test_clock_moves_and_knows_summer_time(world):
    world.control.ok("clock", now="2026-07-01T23:59:30")
    assert world.now().isoformat().startswith("2026-07-01T23:59")
    world.control.ok("clock", advance_seconds=60)
    assert world.now().isoformat().startswith("2026-07-02T00:00")
    winter = world.control.get("clock").json()["offset_seconds"]
    world.control.ok("clock", now="2026-12-01T00:00:30")
    summer = world.control.get("clock").json()["offset_seconds"]
    hours = (summer - winter) / 3600 - 24 * 152
    assert round(hours, 1) == -1.0
    world.control.ok("clock", reset=True)
    assert world.control.get("clock").json()["offset_seconds"] == 0


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("company", {"rut": "76543210-9"}),
        ("company", {"rut": "76543210-3", "resolution_number": 0, "resolution_date": "ayer"}),
        ("caf", {"rut": "76543210-3", "type": 35, "from": 1, "to": 2, "name": "x"}),
        ("caf", {"rut": "76543210-3", "type": 33, "from": 5, "to": 2, "name": "x"}),
        ("settings", {"no_such": 1}),
        ("settings", {"soap_form": "C"}),
        ("settings", {"token_ttl": -1}),
        ("settings", {"delays": {"nothing": 1}}),
        ("faults", {"faults": [{"kind": "no_such"}]}),
        ("faults", {"faults": [{"kind": "empty", "nothing": 1}]}),
        ("faults", {"faults": [{"kind": "refuse"}]}),
        ("faults", {"faults": [{"kind": "hang", "step": "answered"}]}),
        ("clock", {}),
        ("clock", {"now": "luego"}),
        ("verdict", {"issuer": "76543210-3", "outcome": "perhaps"}),
        ("verdict", {"issuer": "76543210-3", "outcome": "reject", "codes": ["XXX-1-1"]}),
        ("certificate", {"rut": "11111111-1", "name": "x"}),
        ("certificate", {"rut": "1", "name": "x", "passphrase": "y"}),
        ("annul", {"rut": "76543210-3", "type": 33, "from": 2, "to": 1}),
    ],
)
def test_wrong_requests_say_why(world, path, data):
    reply = world.control.post(path, **data)
    assert reply.status == 400
    assert reply.json()["error"]


def test_unknown_actions(world):
    assert world.control.get("nothing").status == 404
    assert world.control.get("upload/1").status == 404
    assert world.control.get("document/76543210-3/33/1").status == 404


def test_folios_cannot_be_authorised_twice_nor_annulled_once_received(world):
    draft = world.draft()
    world.send(draft)
    again = world.control.post("caf", rut=world.issuer, type=33, **{"from": 3000, "to": 4000})
    assert "already authorised" in again.json()["error"]
    annul = world.control.post("annul", rut=world.issuer, type=33, **{"from": 1, "to": 9})
    assert "was received" in annul.json()["error"]


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_the_control_api_answers_this_machine_only(address):
    assert control.answer(None, address, "POST", urlsplit("/control/reset"), b"").status == 403


def test_ca_command_prints_the_key_of_the_cafs(world):
    printed = command(world.server.folder, "ca").stdout.decode()
    assert printed == world.control.get("ca").json()["caf_key"]


def test_caf_command_signs_and_authorises(world):
    output = world.server.folder / "caf.xml"
    options = ("--rut", world.issuer, "--name", "Ñandú & Cía", "--type", "34", "--from", "50", "--to", "60")
    done = command(world.server.folder, "caf", *options, "--date", "2026-06-02", "-o", str(output))
    assert done.returncode == 0, done.stderr
    data = output.read_bytes()
    assert b"<RS>\xd1and\xfa &amp; C\xeda</RS>" in data
    assert b"<FA>2026-06-02</FA>" in data
    assert b"<E>Aw==</E>" in data
    key = serialization.load_pem_public_key(world.control.get("ca").json()["caf_key"].encode())
    flat = re.sub(rb">\s+<", b"><", re.search(rb"<DA>.*</DA>", data, re.DOTALL)[0])
    mark = base64.b64decode(re.search(rb"<FRMA[^>]*>(.*)</FRMA>", data)[1])
    key.verify(mark, flat, padding.PKCS1v15(), factory.SHA1)
    caf = factory.Caf.read(data)
    assert caf.key.key_size == 512
    modulus = base64.b64decode(re.search(rb"<M>(.*)</M>", data)[1])
    assert int.from_bytes(modulus, "big") == caf.key.private_numbers().public_numbers.n
    assert world.judge(world.draft(34, folio=55), caf=caf) == ("accepted", [])


def test_caf_of_1024_bits(world):
    caf = world.caf(33, first=9001, last=9002, bits=1024)
    assert caf.key.key_size == 1024
    assert world.judge(world.draft(folio=9001), caf=caf) == ("accepted", [])


def test_certificate_command(world, tmp_path):
    output = tmp_path / "c.p12"
    options = ("--rut", "11111111-1", "--name", "Ana Soto", "--email", "ana@soto.example", "--rut-in", "san")
    done = command(world.server.folder, "certificate", *options, "--passphrase", "clave larga", "-o", str(output))
    assert done.returncode == 0, done.stderr
    key, certificate, _others = pkcs12.load_key_and_certificates(output.read_bytes(), b"clave larga")
    assert key.key_size == 2048
    assert certificate.subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER) == []
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (other,) = [name for name in names if isinstance(name, x509.OtherName)]
    assert (other.type_id.dotted_string, other.value) == ("1.3.6.1.4.1.8321.1", b"\x16\n11111111-1")
    world.sii.person = factory.Person("11111111-1", key, certificate)
    assert world.sii.login()


def test_a_passphrase_is_demanded(world):
    done = command(world.server.folder, "certificate", "--rut", "11111111-1", "--name", "x", "-o", os.devnull)
    assert done.returncode == 2
    assert b"--passphrase" in done.stderr


def test_pkcs12_over_the_control_api(world):
    answer = world.control.ok("certificate", rut="11111111-1", name="Ana Soto", passphrase="clave")
    key, certificate, _others = pkcs12.load_key_and_certificates(base64.b64decode(answer["pkcs12"]), b"clave")
    authority = x509.load_pem_x509_certificate(answer["ca"].encode())
    certificate.verify_directly_issued_by(authority)
    assert key.public_key() == certificate.public_key()


def test_serve_says_when_schemas_are_missing(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "DTE_SCHEMAS"}
    line = [sys.executable, "-m", "sii_simulator", "serve", "--data", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "DTE_SCHEMAS" in done.stderr
    done = subprocess.run([*line, "--schemas", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "EnvioDTE_v10.xsd does not exist" in done.stderr


def test_one_server_a_folder(world):
    done = command(world.server.folder, "serve")
    assert done.returncode == 2
    assert b"another simulator serves" in done.stderr


def test_logs_carry_no_token(logged):
    logged.send(logged.draft())
    log = (logged.server.folder / "server.log").read_text()
    assert "event=request service=upload" in log
    assert logged.sii.token not in log


def test_delay_option(tmp_path):
    server = Server(tmp_path, "--delay", "5", "--delay", "mail=7")
    try:
        delays = server.control.get("settings").json()["delays"]
        assert (delays["final"], delays["mail"], delays["schema"]) == (5, 7, 0)
    finally:
        server.stop()
