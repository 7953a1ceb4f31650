# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from . import factory
from .client import Control, Sii, reception

ISSUER = "76543210-3"
SENDER = "11111111-1"
RESOLUTION = (0, "2026-01-15")
TODAY = "2026-06-15T10:00:00"
READY_SECONDS = 30


class Server:
    """A simulator in its own process."""

    def __init__(self, folder, *arguments):
        schemas = os.environ.get("DTE_SCHEMAS")
        if not schemas:
            pytest.exit("set DTE_SCHEMAS to the folder with the official XSDs (EnvioDTE_v10.xsd ...)", returncode=4)
        self.folder = Path(folder)
        command = [sys.executable, "-m", "sii_simulator", "serve", "--data", str(folder), "--seed", "1", *arguments]
        root = Path(__file__).resolve().parents[2]
        self.log = (self.folder / "server.log").open("a")
        self.process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("url="), (self.folder / "server.log").read_text()
        self.urls = json.loads((self.folder / "server.json").read_text())
        self.control = Control(self.urls["control"])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(READY_SECONDS)
        self._close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait(READY_SECONDS)
        self._close()

    def _close(self):
        self.process.stdout.close()
        self.log.close()


class World:
    """A company, its user and its folios in a simulator that was just reset."""

    def __init__(self, server, people):
        self.server = server
        self.control = server.control
        self.people = people
        self.issuer = ISSUER
        self.person = people(SENDER)
        self.sii = Sii(server.urls["url"], self.person)
        self._cafs = {}
        self._folios = {}
        self.register()

    def register(self, **changes):
        users = [{"rut": SENDER, "sign": True, "send": True, "query": True}]
        company = {
            "rut": ISSUER,
            "name": "Empresa de Prueba SpA",
            "resolution_number": RESOLUTION[0],
            "resolution_date": RESOLUTION[1],
            "acteco": ["620200"],
            "users": users,
        }
        self.control.ok("company", **(company | changes))

    def now(self):
        return datetime.fromisoformat(self.control.get("clock").json()["now"])

    def caf(self, kind, *, first=1, last=3000, **options):
        """The CAF of a type; issued the first time, or each time there are options."""
        if options or first != 1 or kind not in self._cafs:
            data = {"rut": ISSUER, "type": kind, "from": first, "to": last, **options}
            reply = self.control.post("caf", **data)
            assert reply.status == 200, reply.text
            caf = factory.Caf.read(reply.body)
            if options or first != 1:
                return caf
            self._cafs[kind] = caf
        return self._cafs[kind]

    def draft(self, kind=33, **values):
        """A draft with the next folio and the date of today."""
        if "folio" not in values:
            self._folios[kind] = values["folio"] = self._folios.get(kind, 0) + 1
        if not {"date", "signed"} <= set(values):
            now = self.now()
            values = {"date": now.date().isoformat(), "signed": now} | values
        return factory.Draft(kind, issuer=ISSUER, **values)

    def note(self, kind, draft, code, **values):
        """A draft of a note about another draft, by default with the same lines."""
        row = (draft.kind, draft.folio, draft.date, code, "motivo")
        values = {"lines": draft.lines, "references": [row], "receiver": draft.receiver} | values
        return self.draft(kind, **values)

    def dte(self, draft, **options):
        caf = options.pop("caf", None) or self.caf(draft.kind)
        return factory.dte(draft, caf, options.pop("person", self.person), **options)

    def envelope(self, *documents, **options):
        """An envelope of drafts or DTE bytes."""
        signed = [one if isinstance(one, bytes) else self.dte(one) for one in documents]
        options = {"moment": self.now(), **options}
        return factory.envelope(signed, ISSUER, options.pop("person", self.person), RESOLUTION, **options)

    def send(self, *documents, **options):
        """Uploads an envelope, has it processed; returns its track id."""
        return self.send_bytes(self.envelope(*documents, **options))

    def send_bytes(self, data):
        if self.sii.token is None:
            self.sii.login()
        answer = reception(self.sii.upload(data, ISSUER))
        assert answer["STATUS"] == "0", answer
        self.control.ok("process")
        return answer["TRACKID"]

    def state(self, track):
        return self.sii.est_up(ISSUER, track)["ESTADO"]

    def outcome(self, draft):
        """(state, codes) of the newest verdict on the folio of a draft."""
        shown = self.control.get(f"document/{draft.issuer}/{draft.kind}/{draft.folio}").json()
        newest = shown["versions"][0] if len(shown["versions"]) == 1 else max(shown["versions"], key=_track)
        return newest["state"], [finding["code"] for finding in newest["codes"]]

    def judge(self, draft, **options):
        """Sends one document; returns (state, codes)."""
        self.send(self.dte(draft, **options))
        return self.outcome(draft)

    def errors(self, track):
        """What the ledger says about an envelope that was rejected whole."""
        return next(row for row in self.control.ledger()["uploads"] if row["track_id"] == track)["errors"]


def _track(version):
    return version["track_id"]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("sii"), "--tls-port", "0")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def people(server):
    """Function that gives the Person of a RUT; certificates are made once a session."""
    made = {}

    def person(rut, **options):
        key = (rut, *sorted(options.items()))
        if key not in made:
            made[key] = issue_person(server.control, rut, **options)
        return made[key]

    return person


def issue_person(control, rut, **options):
    pair = control.ok("certificate", rut=rut, name="Persona de Prueba", format="pem", **options)
    return factory.Person.from_pem(rut, pair["key"], pair["certificate"])


@pytest.fixture
def world(server, people):
    return fresh_world(server, people)


def fresh_world(server, people):
    """A world in a simulator that was just reset and lives on a fixed day, so that no test depends on today."""
    server.control.ok("reset")
    server.control.ok("clock", now=TODAY)
    return World(server, people)


@pytest.fixture
def logged(world):
    world.sii.login()
    return world
