# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""While the SII takes its time, a sender keeps a lock that shows that it lives and no transaction."""

import os
import threading
import time
from pathlib import Path

import psycopg2
import pytest
import requests
from const import GUARD_ENVIO

from dev import databases
from dev import env as environment

HERE = Path(__file__).parent
RUT = "77654321-7"
SLOW_SECONDS = 6
LOOKS = 10
PATIENCE = 120


@pytest.fixture
def database():
    with databases.scratch(environment.load(), "uploading") as name:
        yield name


def control(method, action, **data):
    answer = requests.request(
        method, f"{os.environ['DTE_SIMULATOR_URL']}/control/{action}", json=data or None, timeout=30
    )
    answer.raise_for_status()
    return answer.json()


def wait_for(what, look, thread):
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        assert thread.is_alive(), f"the sender ended before {what}"
        assert time.monotonic() < until, f"no {what}"
        time.sleep(0.05)
    return found


def test_no_transaction_is_open_during_an_upload(tmp_path, database):
    env, log = environment.load(), tmp_path / "send.log"
    pid_file, result = tmp_path / "pid", tmp_path / "state"
    variables = {
        "RUT": RUT,
        "DTE_SIMULATOR_URL": os.environ["DTE_SIMULATOR_URL"],
        "PID_FILE": str(pid_file),
        "RESULT_FILE": str(result),
    }
    control("POST", "faults", faults=[{"kind": "slow", "service": "upload", "seconds": SLOW_SECONDS}])
    thread = threading.Thread(
        target=databases.run_script, args=[env, database, HERE / "send_invoice.py", log], kwargs=variables
    )
    thread.start()
    try:
        # The simulator has the envelope and does not answer yet.
        wait_for("upload", lambda: control("GET", f"ledger?issuer={RUT}")["uploads"], thread)
        looks = look_at_connections(env, database, int(pid_file.read_text()))
        assert not result.exists(), log.read_text()
    finally:
        thread.join()
        control("DELETE", "faults")
    for guards, main, others in looks:
        assert guards == 1, "the guard is not held"
        assert main == ("idle", None, None, None)
        assert not others, "another connection of the sender has a transaction open"
    assert result.read_text() == "sent", log.read_text()


def look_at_connections(env, database, pid):
    """Return, some times over: guards held, the sender's main connection, other connections in a transaction."""
    looks = []
    with psycopg2.connect(host=env.pg_host, port=env.pg_port, user=env.pg_user, dbname=database) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for _look in range(LOOKS):
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE locktype = 'advisory' AND classid = %s AND granted AND datname = %s",
                [GUARD_ENVIO, database],
            )
            guards = cursor.fetchone()[0]
            cursor.execute(
                "SELECT state, xact_start, backend_xid::text, backend_xmin::text FROM pg_stat_activity WHERE pid = %s",
                [pid],
            )
            main = cursor.fetchone()
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = user AND xact_start IS NOT NULL"
                " AND pid NOT IN (%s, pg_backend_pid())",
                [database, pid],
            )
            looks.append((guards, main, cursor.fetchall()))
            time.sleep(0.1)
    return looks
