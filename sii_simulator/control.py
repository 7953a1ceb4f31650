# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The control API: JSON under /control/, for tests, demos and chaos runs on this machine."""

import base64
import ipaddress
import json
import logging
import re
from email import message_from_bytes, policy
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import serialization

from . import caf
from .answers import Answer
from .authority import IDK, key_pem, to_pkcs12
from .clock import epoch_of, read_moment
from .codes import TEXTS
from .errors import UsageError
from .ledger import document_dict
from .result_mail import open_box
from .review import OUTCOMES
from .rut import checked

_logger = logging.getLogger(__name__)

JSON = "application/json"


def answer(simulator, address, method, target, body):
    """Answer to a request under /control/ from the client `address`."""
    if not _is_loopback(address):
        return _json({"error": "the control API answers to this machine only"}, 403)
    name, *rest = target.path.removeprefix("/control/").strip("/").split("/")
    action = ACTIONS.get((method, name))
    if action is None:
        return _json({"error": f"no {method} {name}; see docs/simulator.md", "actions": _names()}, 404)
    try:
        data = json.loads(body) if body else dict(parse_qsl(target.query))
        if not isinstance(data, dict):
            raise UsageError("send a JSON object")
        result = action(simulator, data, *rest)
    except (UsageError, json.JSONDecodeError) as error:
        return _json({"error": str(error)}, 400)
    except (TypeError, AttributeError) as error:
        _logger.exception("event=control_error action=%s", name)
        return _json({"error": f"a value has the wrong shape: {error}"}, 400)
    return result if isinstance(result, Answer) else _json(result)


def health(simulator, data):
    return {
        "status": "ok",
        "clock": simulator.clock.local().isoformat(),
        "open_uploads": len(simulator.ledger.open_uploads()),
    }


def reset(simulator, data):
    simulator.reset()
    return {"status": "ok"}


def company(simulator, data):
    simulator.registry.save_company(data)
    return {"status": "ok", "rut": data["rut"]}


def issue_caf(simulator, data):
    file = caf.issue(simulator.authority, simulator.registry, data, simulator.clock.local().date())
    return Answer(file, "text/xml;charset=ISO-8859-1")


def annul(simulator, data):
    simulator.registry.annul(data.get("rut"), data.get("type"), data.get("from"), data.get("to"))
    return {"status": "ok"}


def certificate(simulator, data):
    """{rut, name, email?, from?, to?, rut_in?, format?, passphrase?}: a PKCS#12 in base64, or a PEM pair."""
    rut = checked(data.get("rut"))
    if not data.get("name"):
        raise UsageError("give the name of the holder")
    key, issued = simulator.authority.issue_person(
        rut,
        data["name"],
        email=data.get("email"),
        first=read_moment(data.get("from")),
        last=read_moment(data.get("to")),
        rut_in=_place(data),
    )
    if data.get("format") == "pem":
        pem = issued.public_bytes(serialization.Encoding.PEM).decode()
        return {"certificate": pem, "key": key_pem(key).decode(), "ca": simulator.authority.ca_pem()}
    file = to_pkcs12(key, issued, simulator.authority.ca_certificate, data.get("passphrase"))
    return {"pkcs12": base64.b64encode(file).decode(), "ca": simulator.authority.ca_pem()}


def authority(simulator, data):
    return {"idk": IDK, "caf_key": simulator.authority.caf_public_pem(), "ca": simulator.authority.ca_pem()}


def read_clock(simulator, data):
    return {"now": simulator.clock.local().isoformat(), "offset_seconds": simulator.clock.offset()}


def set_clock(simulator, data):
    """One of {now: "2026-05-31T10:00:00"}, {advance_seconds: n}, {reset: true}."""
    if "now" in data:
        simulator.clock.set_local(read_moment(data["now"]))
    elif isinstance(data.get("advance_seconds"), (int, float)):
        simulator.clock.advance(data["advance_seconds"])
    elif data.get("reset") is True:
        simulator.clock.reset()
    else:
        raise UsageError("send now, advance_seconds or reset")
    simulator.engine.wake()
    return read_clock(simulator, data)


def read_settings(simulator, data):
    return simulator.settings.as_dict()


def change_settings(simulator, data):
    simulator.settings.update(data)
    simulator.engine.wake()
    return simulator.settings.as_dict()


def add_faults(simulator, data):
    simulator.faults.add(data.get("faults"))
    return simulator.faults.report()


def read_faults(simulator, data):
    return simulator.faults.report()


def clear_faults(simulator, data):
    simulator.faults.clear()
    return simulator.faults.report()


def ledger(simulator, data):
    """Filters: issuer (RUT) and since (simulated Santiago time)."""
    since = read_moment(data.get("since"))
    return simulator.ledger.listing(simulator.clock, data.get("issuer"), epoch_of(since) if since else 0.0)


def questions(simulator, data):
    """Filters: issuer (RUT) and since (simulated Santiago time)."""
    since = read_moment(data.get("since"))
    asked = simulator.ledger.questions(simulator.clock, data.get("issuer"), epoch_of(since) if since else 0.0)
    return {"questions": asked}


def uploaded(simulator, data, track):
    body = simulator.ledger.body(int(track) if track.isdecimal() else 0)
    if body is None:
        return _json({"error": f"no upload with track id {track}"}, 404)
    return Answer(body, "application/octet-stream")


def document(simulator, data, issuer, kind, folio):
    """The valid document with that folio, else the newest one, and what else came with it."""
    rows = simulator.ledger.versions(issuer, kind, folio)
    if not rows:
        return _json({"error": f"no document of {issuer}, type {kind}, folio {folio}"}, 404)
    row = rows[0]
    body = simulator.ledger.body(row["track_id"])
    raw = body[row["start"] : row["start"] + row["length"]]
    if data.get("raw"):
        return Answer(raw, "application/octet-stream")
    shown = {**document_dict(row), "xml_base64": base64.b64encode(raw).decode()}
    return {**shown, "versions": [document_dict(other) for other in rows]}


def process(simulator, data):
    simulator.engine.process_all()
    return {"status": "ok"}


def verdict(simulator, data):
    """{issuer, outcome, type?, folio?, receiver?, regex?, codes?, count?}: scripts the verdict of a coming document."""
    _check_verdict(data)
    sql = "INSERT INTO verdict (spec, uses) VALUES (?, ?)"
    simulator.database.run(sql, json.dumps(data), data.get("count", 1))
    return {"status": "ok"}


def mails(simulator, data):
    """The delivered mails, oldest first."""
    box = open_box(simulator)
    return {"mails": [_mail(key, box.get_bytes(key)) for key in sorted(box.keys(), key=_delivery)]}


ACTIONS = {
    ("GET", "health"): health,
    ("POST", "reset"): reset,
    ("POST", "company"): company,
    ("POST", "caf"): issue_caf,
    ("POST", "annul"): annul,
    ("POST", "certificate"): certificate,
    ("GET", "ca"): authority,
    ("GET", "clock"): read_clock,
    ("POST", "clock"): set_clock,
    ("GET", "settings"): read_settings,
    ("POST", "settings"): change_settings,
    ("GET", "faults"): read_faults,
    ("POST", "faults"): add_faults,
    ("DELETE", "faults"): clear_faults,
    ("GET", "ledger"): ledger,
    ("GET", "questions"): questions,
    ("GET", "upload"): uploaded,
    ("GET", "document"): document,
    ("POST", "process"): process,
    ("POST", "verdict"): verdict,
    ("GET", "mailbox"): mails,
}


def _check_verdict(data):
    unknown = set(data) - {"issuer", "outcome", "type", "folio", "receiver", "regex", "codes", "count"}
    if unknown:
        raise UsageError(f"a verdict does not know {', '.join(sorted(unknown))}")
    checked(data.get("issuer"))
    if data.get("outcome") not in OUTCOMES:
        raise UsageError(f"give outcome: {', '.join(OUTCOMES)}")
    strange = [code for code in data.get("codes", []) if code not in TEXTS]
    if strange:
        raise UsageError(f"unknown codes {strange}; known: {', '.join(TEXTS)}")
    try:
        re.compile(data.get("regex", ""))
    except re.error as error:
        raise UsageError(f"regex: {error}") from error


def _mail(key, raw):
    message = message_from_bytes(raw, policy=policy.default)
    attachment = next(message.iter_attachments())
    return {
        "key": key,
        "to": message["To"],
        "subject": message["Subject"],
        "text": message.get_body().get_content(),
        "filename": attachment.get_filename(),
        "xml": attachment.get_content(),
        "raw_base64": base64.b64encode(raw).decode(),
    }


def _delivery(key):
    """Maildir names begin with the second and the microsecond of the delivery."""
    second, detail = key.split(".")[:2]
    return int(second), int(re.search(r"M(\d+)", detail)[1]), key


def _place(data):
    if data.get("no_rut"):
        return "none"
    place = data.get("rut_in", "both")
    if place not in ("san", "subject", "both"):
        raise UsageError("rut_in must be san, subject or both")
    return place


def _is_loopback(address):
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _names():
    return [f"{method} {name}" for method, name in ACTIONS]


def _json(value, status=200):
    return Answer(json.dumps(value, ensure_ascii=False).encode(), JSON, status)
