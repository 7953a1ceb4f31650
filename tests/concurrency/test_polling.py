# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The job that asks about many envelopes is killed in the middle, or runs twice at once: nothing that it learnt is
lost, nothing asked twice.

DTE_POLL_ENVELOPES=2000 runs it with as many as one company may have after a day; sending them takes minutes, so the
suite takes fewer, more than the job reads at a time.
"""

import itertools
import json
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
import requests

from dev import databases, simulator
from dev import env as environment
from dev.env import ODOO_CONF

HERE = Path(__file__).parent
# Of the company that the bench makes.
RUT = "76543210-3"
ENVELOPES = int(os.environ.get("DTE_POLL_ENVELOPES", "210"))
# Share of the envelopes about which the SII has no verdict yet when it is asked the first time.
UNDECIDED = 0.2
# Seconds; making and sending signed documents takes most of them.
PATIENCE = 300 + ENVELOPES
# After an answer that is no verdict comes the next question two minutes later, or a little less.
NEXT = timedelta(seconds=100)

pytestmark = pytest.mark.timeout(PATIENCE * 2)


class Poller:
    """A database full of envelopes that are due, with a simulator that notes who asks."""

    def __init__(self, env, database, url, folder):
        self.env, self.database, self.url, self.folder = env, database, url, folder
        self.log = folder / "poll.log"

    def control(self, method, action, **data):
        answer = requests.request(method, f"{self.url}/control/{action}", json=data or None, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def moments(self):
        """When the SII was asked about each envelope, oldest first."""
        moments = defaultdict(list)
        for question in self.control("GET", f"questions?issuer={RUT}")["questions"]:
            if question["operation"] == "getEstUp":
                moments[question["track_id"]].append(datetime.fromisoformat(question["at"]))
        return moments

    def asked(self):
        """How often the SII was asked about each envelope."""
        return Counter({track: len(moments) for track, moments in self.moments().items()})

    def run_script(self, name, **variables):
        variables["DTE_SIMULATOR_URL"] = self.url
        return databases.run_script(self.env, self.database, HERE / name, self.log, **variables)

    def begin(self, name="", **variables):
        """Start the job in a process of its own; return the thread that waits for it, and the files it writes."""
        pid_file, result = self.folder / f"pid{name}", self.folder / f"result{name}"
        pid_file.unlink(missing_ok=True)
        variables |= {"PID_FILE": str(pid_file), "RESULT_FILE": str(result)}
        thread = threading.Thread(target=self.run_script, args=["run_polls.py"], kwargs=variables)
        thread.start()
        return thread, pid_file, result

    def run_to_the_end(self):
        thread, _pid_file, result = self.begin()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return json.loads(result.read_text())

    def rows(self, query):
        env = self.env
        with (
            psycopg2.connect(host=env.pg_host, port=env.pg_port, user=env.pg_user, dbname=self.database) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def states(self):
        return dict(self.rows("SELECT state, count(*) FROM dte_document GROUP BY state"))


@pytest.fixture
def poller(tmp_path):
    env = environment.load()
    with (
        databases.scratch(env, "polling") as database,
        simulator.running(env, "polling-simulator", tmp_path / "simulator") as url,
    ):
        poller = Poller(env, database, url, tmp_path)
        code = poller.run_script("prepare_polls.py", ENVELOPES=str(ENVELOPES))
        assert code == 0, poller.log.read_text()
        yield poller


def kill_when(poller, count):
    """Kill the job once the SII was asked about so many envelopes."""
    thread, pid_file, _result = poller.begin()
    until = time.monotonic() + PATIENCE
    while sum(poller.asked().values()) < count:
        assert thread.is_alive() and time.monotonic() < until, poller.log.read_text()
        time.sleep(0.05)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_two_at_once(poller):
    """Beside the scheduler a queue may ask too: never about the same envelope, and none is forgotten."""
    go = poller.folder / "go"
    both = [poller.begin(name, GO_FILE=str(go)) for name in ("1", "2")]
    until = time.monotonic() + PATIENCE
    while not all(pid_file.exists() for _thread, pid_file, _result in both):
        assert time.monotonic() < until, poller.log.read_text()
        time.sleep(0.05)
    go.touch()
    for thread, _pid_file, _result in both:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    asked = poller.asked()
    assert (len(asked), max(asked.values())) == (ENVELOPES, 1)
    counts = [json.loads(result.read_text()) for _thread, _pid_file, result in both]
    assert sum(counts) == ENVELOPES
    assert min(counts), "only one was at work, so nothing was tried"
    assert poller.states() == {"accepted": ENVELOPES}


def time_limit():
    lines = dict(line.split(" = ") for line in ODOO_CONF.read_text().splitlines() if " = " in line)
    return float(lines["limit_time_real_cron"])


def test_killed_in_the_middle(poller):
    poller.control(
        "POST", "faults", faults=[{"kind": "stuck", "service": "query_up", "probability": UNDECIDED, "estado": "REC"}]
    )
    kill_when(poller, ENVELOPES // 3)
    before = poller.asked()
    [(recorded,)] = poller.rows("SELECT count(*) FROM dte_envio WHERE polled_at IS NOT NULL")
    assert ENVELOPES // 3 <= len(before) < ENVELOPES
    assert max(before.values()) == 1
    # Each answer is committed before the next question: only that of the last one is lost.
    assert len(before) - recorded in (0, 1)

    seconds = poller.run_to_the_end()
    asked = poller.asked()
    assert len(asked) == ENVELOPES
    # With many envelopes the time of the first ones comes again during the run.
    early = [
        track
        for track, moments in poller.moments().items()
        if any(later - sooner < NEXT for sooner, later in itertools.pairwise(moments))
    ]
    assert len(early) <= 1, "only the one that was asked about when the job was killed is asked about again at once"
    assert max(asked.values()) <= 2
    # A run gives way to the other jobs long before it would be stopped.
    assert max(seconds) < time_limit() / 4, seconds
    states = poller.states()
    assert set(states) == {"accepted", "sent"}, states
    assert states["accepted"] > ENVELOPES / 2

    # Their time comes, and the scheduler's too.
    poller.control("DELETE", "faults")
    poller.rows("UPDATE ir_cron SET nextcall = '2026-01-01' WHERE active")
    poller.rows("UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC' - interval '1 s' WHERE state = 'sent'")
    poller.run_to_the_end()
    assert poller.states() == {"accepted": ENVELOPES}
    last = poller.asked()
    assert sum(last.values()) - sum(asked.values()) == states["sent"], "who has a verdict is not asked about again"
    [(untold,)] = poller.rows("SELECT count(*) FROM dte_document WHERE told IS NOT TRUE")
    assert untold <= 1, "only the one whose process died after its verdict, which is told by the sending job"
