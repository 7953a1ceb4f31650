# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What was answered survives a kill -9; a clean stop leaves nothing running."""

import pytest

from .client import Sii, reception
from .conftest import Server, World, issue_person


@pytest.fixture
def own(tmp_path):
    """Function that starts a server on one folder, as often as it is called."""
    servers = []

    def start(*arguments):
        servers.append(Server(tmp_path, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def new_world(server):
    return World(server, lambda rut: issue_person(server.control, rut))


def test_kill_and_restart(own):
    first = own()
    world = new_world(first)
    first.control.ok("clock", advance_seconds=86400)
    done, waiting = world.draft(), world.draft()
    done_track = world.send(done)
    first.control.ok("settings", delays={"final": 600})
    data = world.envelope(waiting)
    waiting_track = reception(world.sii.upload(data, world.issuer))["TRACKID"]
    first.kill()

    second = own()
    sii = Sii(second.urls["url"], world.person)
    sii.token = world.sii.token
    assert second.control.get("clock").json()["offset_seconds"] == 86400
    assert sii.est_up(world.issuer, done_track)["ESTADO"] == "EPR"
    assert sii.est_dte(done)["ESTADO"] == "DOK"
    assert second.control.get(f"upload/{waiting_track}").body == data
    assert reception(sii.upload(data, world.issuer))["STATUS"] == "99"
    second.control.ok("process")
    assert sii.est_up(world.issuer, waiting_track)["ESTADO"] == "EPR"
    assert sii.est_dte(waiting)["ESTADO"] == "DOK"
    assert len(second.control.get("mailbox").json()["mails"]) == 2


def test_an_upload_that_was_answered_is_in_the_ledger_after_kill(own):
    """Answers are read while the server may die at any moment: those read count."""
    server = own()
    world = new_world(server)
    world.sii.login()
    server.control.ok("settings", delays={"final": 3600})
    answered = [reception(world.sii.upload(world.envelope(world.draft()), world.issuer))["TRACKID"] for _ in range(20)]
    server.kill()
    ledger = own().control.ledger()
    assert [row["track_id"] for row in ledger["uploads"]] == answered


def test_clean_stop(own):
    server = own()
    assert (server.folder / "server.json").exists()
    assert server.stop() == 0
    assert not (server.folder / "server.json").exists()
