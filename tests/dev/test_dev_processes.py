# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Pid files that outlived their process, and a PostgreSQL that was killed."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from dev import env, postgres, processes


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_remembered_process_is_found_and_ended(monkeypatch, tmp_path, sleeper):
    monkeypatch.setattr(processes, "RUN", tmp_path)
    processes.remember("thing", sleeper)
    assert processes.remembered("thing") == sleeper.pid
    assert processes.stop_all() == ["thing"]
    assert sleeper.wait(5) != 0
    assert processes.stop_all() == []


def test_a_pid_that_somebody_else_has_by_now_is_left_alone(monkeypatch, tmp_path, sleeper):
    monkeypatch.setattr(processes, "RUN", tmp_path)
    (tmp_path / "thing.pid").write_text(json.dumps({"pid": sleeper.pid, "started": "1"}))
    assert processes.remembered("thing") is None
    assert processes.stop_all() == []
    assert sleeper.poll() is None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of its own. Its folder is closed to the server's user when that is not ours."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "RUN", folder)
        patch.setattr(postgres, "LINK", folder / "pg")
        cluster = postgres.Cluster(env.load().pg_bin)
        cluster.ensure()
        yield cluster
        cluster.remove()
        assert not (folder / "pg").is_symlink()


def answer(cluster, statement="SELECT current_user"):
    command = [cluster.bin / "psql", "-Xqt", "-U", "odoo", "-h", cluster.home, "-p", str(cluster.port)]
    done = subprocess.run([*command, "-d", "postgres", "-c", statement], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_runs_and_the_superuser_has_no_door(cluster):
    assert answer(cluster) == "odoo"
    assert answer(cluster, "SELECT rolsuper FROM pg_roles WHERE rolname = 'odoo'") == "f"
    command = [cluster.bin / "psql", "-U", "postgres", "-h", "127.0.0.1", "-p", str(cluster.port), "-c", "SELECT 1"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_it_comes_back_after_a_kill(cluster):
    before = cluster.pid()
    cluster.kill()
    assert cluster.pid() is None
    cluster.ensure()
    assert cluster.pid() != before
    assert answer(cluster) == "odoo"


def test_lock_files_that_name_a_living_stranger_do_not_stop_it(cluster):
    cluster.stop()
    # Of the server's own user: PostgreSQL takes a pid that it may signal for a server.
    with subprocess.Popen(["sleep", "60"], **postgres.as_user(cluster.account)) as stranger:
        (cluster.data / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster.data}\n")
        (cluster.home / f".s.PGSQL.{cluster.port}.lock").write_text(f"{stranger.pid}\n")
        assert cluster.pid() is None
        assert cluster.stop() is False
        cluster.ensure()
        assert answer(cluster) == "odoo"
        assert stranger.poll() is None
        stranger.kill()


def test_it_takes_another_port_when_its_own_is_taken(cluster):
    cluster.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", cluster.port))
        stranger.listen()
        taken = cluster.port
        cluster.ensure()
        assert cluster.port != taken
    kept = cluster.port
    cluster.stop()
    cluster.ensure()
    assert cluster.port == kept


def test_fsync_follows_the_variable_without_a_restart(cluster, monkeypatch):
    pid = cluster.pid()
    monkeypatch.setenv("PG_FSYNC", "on")
    cluster.ensure()
    until = time.monotonic() + 5
    while answer(cluster, "SHOW fsync") != "on" and time.monotonic() < until:
        pass  # a reload is asynchronous; each look is a connection of its own
    assert answer(cluster, "SHOW fsync") == "on"
    assert cluster.pid() == pid


def test_a_vanished_folder_behind_the_link_is_made_anew(cluster):
    if not postgres.LINK.is_symlink():
        pytest.skip("the server's user can enter this folder")
    cluster.stop()
    shutil.rmtree(os.path.realpath(postgres.LINK))
    cluster.ensure()
    assert answer(cluster) == "odoo"
