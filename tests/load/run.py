# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make load`: users press Send in Background while many documents are in flight; how long do they wait?

Reads N, USERS, SECONDS and SHORT from the environment. docs/development.md tells how to read the result.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dev import databases, odoo_server, simulator
from dev.common import LOG, ROOT, RUN, Stop, flag, locked, say, tail, write_json
from dev.env import Env
from tests.chaos.database import Database

HERE = Path(__file__).parent
DATABASE = "load"
STAGE, CALLS, ARCHIVE = RUN / "load-stage.json", RUN / "load-calls.json", RUN / "load-archive"
PACE_SECONDS = 2
ENVELOPE = 50
BARS = {"median_s": 1.0, "p95_s": 2.0}
# What Odoo's manual gives a machine of two cores for eight users: one process for about six of them. Two threads for
# jobs are its default.
SERVER = ("--workers", "2", "--max-cron-threads", "2")
# A sending job with nothing to do would measure nothing: at most so many documents per second come from the stock.
FEED_PER_SECOND = 20
ALREADY_SENT = "('sending', 'sent', 'unknown', 'retry')"
IN_FLIGHT = f"""
SELECT count(*) FROM dte_document
WHERE state IN {ALREADY_SENT} OR (state = 'to_send' AND queued_at IS NOT NULL)
"""  # noqa: S608 (constants)
QUEUED = "SELECT count(*) FROM dte_document WHERE state = 'to_send' AND queued_at IS NOT NULL"
DONE = "SELECT count(*) FROM dte_document WHERE state IN ('accepted', 'objected')"
LEFT = "SELECT count(*) FROM dte_document WHERE envio_id IS NOT NULL"
# The invoices of the users come before those of the stock, and are theirs alone.
FEED = """
WITH chosen AS (
    SELECT id FROM dte_document WHERE state = 'to_send' AND queued_at IS NULL AND move_id > %s
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
), fed AS (
    UPDATE dte_document SET queued_at = now() AT TIME ZONE 'UTC' WHERE id IN (SELECT id FROM chosen) RETURNING id
)
INSERT INTO ir_cron_trigger (cron_id, call_at)
SELECT res_id, now() AT TIME ZONE 'UTC' FROM ir_model_data
WHERE module = 'l10n_cl_dte' AND name = 'ir_cron_send' AND EXISTS (SELECT FROM fed)
"""
MET = r" ERROR \S+ odoo\.sql_db: bad query: .*\nERROR: +could not serialize access"
OUTCOMES = "SELECT state, count(*) FROM dte_document WHERE move_id = ANY(%s) GROUP BY state"


@dataclass(frozen=True)
class Size:
    """How big a run is."""

    in_flight: int
    users: int
    seconds: int

    @property
    def invoices(self) -> int:
        """Invoices of one user: one call every two seconds, and one more."""
        return math.ceil(self.seconds / PACE_SECONDS) + 2

    @property
    def kept(self) -> int:
        """What is kept in flight: at any moment two envelopes may have got their verdicts."""
        return self.in_flight + 2 * ENVELOPE

    @property
    def stock(self) -> int:
        return FEED_PER_SECOND * self.seconds


def load(env: Env, result_file: Path) -> int:
    """Write and print the result; 1 when users wait too long or anything goes wrong."""
    began = time.monotonic()
    size = read_size()
    LOG.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(ARCHIVE, ignore_errors=True)
    ARCHIVE.mkdir()
    with (
        locked(RUN / "load.lock"),
        databases.scratch(env, DATABASE) as database,
        simulator.running(env, "load-simulator", RUN / "load-simulator") as url,
    ):
        told = prepare(env, database, url, size)
        say(f"  stage       ready  ({time.monotonic() - began:.1f} s)")
        with odoo_server.running(env, "load-odoo", database, url, *SERVER) as server:
            result = run(env, Database(env, database), server, told)
    result["in_flight"] = size.in_flight
    result["total_seconds"] = round(time.monotonic() - began, 1)
    missed = find_problems(result)
    write_json(result_file, result)
    say(json.dumps(result, indent=2, ensure_ascii=False))
    for problem in missed:
        say(problem)
    return 1 if missed else 0


def read_size() -> Size:
    short = flag("SHORT")
    try:
        return Size(
            int(os.environ.get("N") or (300 if short else 1000)),
            int(os.environ.get("USERS") or 8),
            int(os.environ.get("SECONDS") or (20 if short else 60)),
        )
    except ValueError:
        raise Stop("N, USERS and SECONDS are numbers.") from None


def prepare(env: Env, database: str, url: str, size: Size) -> dict:
    """Make the documents and the users; return what the run needs to know of them."""
    told = {
        "in_flight": size.kept,
        "stock": size.stock,
        "invoices": size.invoices,
        "seconds": size.seconds,
        "url": url,
        "archive": str(ARCHIVE),
        "passwords": {f"clerk_{number}": secrets.token_urlsafe(9) for number in range(size.users)},
    }
    # It holds passwords.
    STAGE.touch(mode=0o600)
    STAGE.write_text(json.dumps(told), encoding="utf-8")
    log = LOG / "load-prepare.log"
    if databases.run_script(env, database, HERE / "prepare.py", log, LOAD_FILE=str(STAGE), DTE_SIMULATOR_URL=url):
        raise Stop(f"The documents could not be made.\n{tail(log, 40)}\nFull log: {log}")
    return json.loads(STAGE.read_text(encoding="utf-8"))


def run(env: Env, database: Database, server: odoo_server.Server, told: dict) -> dict:
    """Let the users work and return the figures."""
    STAGE.write_text(json.dumps({**told, "url": server.url, "database": database.name}), encoding="utf-8")
    CALLS.unlink(missing_ok=True)
    flight = Flight(database, told)
    before = {"verdicts": database.value(DONE), "uploaded": database.value(LEFT)}
    flight.start()
    log = LOG / "load-users.log"
    command = [env.python, "-m", "tests.load.users", str(STAGE), str(CALLS)]
    with log.open("w") as output:
        subprocess.run(
            command, cwd=ROOT, env=env.variables(odoo=False), stdout=output, stderr=output, check=False,
            timeout=told["seconds"] + 120,
        )  # fmt: skip
    flight.stop()
    if not CALLS.exists():
        raise Stop(f"The users could not work.\n{tail(log, 40)}\nFull log: {log}")
    seen = json.loads(CALLS.read_text(encoding="utf-8"))
    moves = [call["move"] for call in seen["calls"]]
    states = {row["state"]: row["count"] for row in database.select(OUTCOMES, moves)}
    return {
        **describe(seen["calls"], seen["problems"], len(told["passwords"])),
        **flight.figures(),
        "uploaded_meanwhile": database.value(LEFT) - before["uploaded"],
        "verdicts_meanwhile": database.value(DONE) - before["verdicts"],
        "states_of_sends": dict(sorted(states.items())),
        "log_errors": count_errors(server.log.read_text(encoding="utf-8")),
        "seconds": told["seconds"],
    }


class Flight(threading.Thread):
    """Keeps documents in flight and counts them, once a second: for what has its verdict another one is queued."""

    def __init__(self, database: Database, told: dict):
        super().__init__(name="flight", daemon=True)
        self._database = database
        self._wanted = told["in_flight"]
        self._last_own = max(max(moves) for moves in told["moves"].values())
        self._over = threading.Event()
        self.counts: list[int] = []
        self.queued: list[int] = []

    def run(self):
        while True:
            self.counts.append(self._database.value(IN_FLIGHT))
            self.queued.append(self._database.value(QUEUED))
            if self._over.wait(1):
                return
            # A quarter is always still to be sent, so that the job never rests.
            idle = min(self._wanted // 4 - self.queued[-1], FEED_PER_SECOND)
            missing = max(self._wanted - self.counts[-1], idle)
            if missing > 0:
                self._database.run(FEED, self._last_own, missing)

    def stop(self):
        self._over.set()
        self.join()

    def figures(self) -> dict:
        return {
            "in_flight_at_start": self.counts[0],
            "in_flight_at_end": self.counts[-1],
            "in_flight_least": min(self.counts),
            "queued_median": percentile(self.queued, 0.5),
        }


def describe(calls: list[dict], problems: list[str], users: int) -> dict:
    """Return the figures of the calls. `sends`, `send_p50_s`, `send_p95_s`: the names promised first."""
    seconds = [call["seconds"] for call in calls]
    problems = problems + [call["problem"] for call in calls if call["problem"]]
    figures = {
        "median_s": round(percentile(seconds, 0.5), 3),
        "p95_s": round(percentile(seconds, 0.95), 3),
        "max_s": round(max(seconds, default=math.inf), 3),
    }
    return {
        "users": users,
        "calls": len(calls),
        **figures,
        "errors": len(problems),
        "error_kinds": dict(Counter(problems).most_common(5)),
        "sends": len(calls),
        "send_p50_s": figures["median_s"],
        "send_p95_s": figures["p95_s"],
    }


def count_errors(log: str) -> int:
    """Count the errors in a log of Odoo. That two transactions met is no error: whoever came second begins again."""
    return len(re.findall(r" (?:ERROR|CRITICAL) ", re.sub(MET, "", log)))


def percentile(values: list, share: float):
    """Return the smallest value that so large a share of them does not exceed; infinity of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def find_problems(result: dict) -> list[str]:
    """Return a sentence for each thing that must not be."""
    problems = [
        f"{name} is {result[name]}, at most {bar} is allowed" for name, bar in BARS.items() if result[name] > bar
    ]
    if result["errors"]:
        problems.append(f"users saw {result['errors']} errors")
    if result["log_errors"]:
        problems.append(f"Odoo logged {result['log_errors']} errors: .run/log/load-odoo.log")
    if result["in_flight_least"] < result["in_flight"]:
        problems.append(f"only {result['in_flight_least']} documents were in flight at one moment")
    least = result["users"] * result["seconds"] / PACE_SECONDS / 2
    if result["calls"] < least:
        problems.append(f"{result['calls']} calls are too few to say anything: at least {least:.0f} were to be made")
    return problems
