# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Steps that the simulator cannot see: a process is stopped there by the run's own database, to be killed.

Triggers of the runner stop it at most steps. Each step has an advisory lock; its trigger takes that in shared mode and
gives it back at once, so it waits exactly while the runner holds the lock. Between the claim and the upload nothing is
written: there the runner locks the table from which the token is read.

A stopped process is found in pg_locks and, from the port of its connection, in /proc: `application_name` has the pid of
Odoo's first process in all of them.
"""

from __future__ import annotations

import contextlib
import os
import signal

import psycopg2

from sii_simulator import peers
from tests.chaos.database import Database

# First key of the runner's locks; that of the addon's liveness guard is in its const.py.
CLASS = 7_700
GUARD = 1_144_407_041

# step: (second key, table, event, condition)
STEPS = {
    # The folio is taken and the document signed, nothing is committed.
    "posting": (1, "dte_backup", "INSERT", ""),
    # Somebody pressed Send: that it was pressed is not committed.
    "before_first_commit": (2, "dte_document", "UPDATE", "NEW.queued_at IS NOT NULL AND OLD.queued_at IS NULL"),
    # The envelope is built and not committed.
    "before_claim": (3, "dte_envio", "INSERT", ""),
    # The SII has answered and the answer is not committed.
    "before_record": (4, "dte_envio", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
    # The answer is committed and what follows from it is not.
    "after_record": (5, "dte_backup", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
}
# The claim is committed (so the process holds a liveness guard), and the token for the upload is read.
AFTER_CLAIM = "after_claim"

FUNCTION = """
CREATE OR REPLACE FUNCTION chaos_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(%(own)s, TG_ARGV[0]::int);
    PERFORM pg_advisory_unlock_shared(%(own)s, TG_ARGV[0]::int);
    RETURN NEW;
END
$$;
"""
WAITING = """
SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND NOT granted AND classid = %s AND objid = %s
"""
WAITING_FOR_TOKEN = """
SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND NOT granted AND relation = 'dte_sii_session'::regclass
"""
GUARDING = """
SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s
"""


def install(database: Database) -> None:
    """Create the triggers."""
    database.run(FUNCTION % {"own": CLASS})
    for step, (key, table, event, condition) in STEPS.items():
        when = f"WHEN ({condition})" if condition else ""
        database.run(
            f"CREATE TRIGGER chaos_{step} BEFORE {event} ON {table} FOR EACH ROW {when}"
            f" EXECUTE FUNCTION chaos_stop({key})"
        )


class Hold:
    """One armed step: the next process that comes there waits until it is killed."""

    def __init__(self, stage, step: str):
        self._stage = stage
        self._step = step
        self._connection = None
        self._arm()

    def _arm(self):
        self._connection = self._stage.database.connect()
        with self._connection.cursor() as cursor:
            self._lock(cursor)

    def _lock(self, cursor):
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", (CLASS, STEPS[self._step][0]))

    def _waiting(self) -> list[int]:
        """Return the ports of the connections that are held."""
        return self._ports(WAITING, CLASS, STEPS[self._step][0])

    def _victims(self, ports: list[int]) -> set[int]:
        return self._processes(ports)

    def strike(self) -> bool:
        """Kill a process that waits at the step, if there is one; the hold is over then."""
        try:
            ports = self._waiting()
            victims = self._victims(ports) if ports else set()
        except psycopg2.Error:
            # The server was restarted, and the lock is gone with the connection; or it could not be had just now.
            self.release()
            self._arm()
            return False
        if not victims:
            if ports:
                # They are at the step for another reason: let them pass.
                self.release()
                self._arm()
            return False
        os.kill(min(victims), signal.SIGKILL)
        self.release()
        return True

    def _ports(self, statement, *values) -> list[int]:
        with self._connection.cursor() as cursor:
            # Inside a transaction PostgreSQL shows who was connected when it was asked first.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(statement, values)
            return [port for (port,) in cursor.fetchall() if port]

    def _processes(self, ports) -> set[int]:
        pids = {peers.owner(port, self._stage.env.pg_port) for port in ports if port > 0}
        return {pid for pid in pids if self._stage.is_worker(pid)}

    def release(self) -> None:
        """Let everybody go on. The dead one's connection ends as soon as it wants to answer."""
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()


class TokenHold(Hold):
    """The step after the claim: of those who wait for the token, one that holds a guard is killed."""

    def _arm(self):
        try:
            super()._arm()
        except psycopg2.Error:
            # Somebody is at the table; the next try comes with the next strike.
            self.release()

    def _lock(self, cursor):
        # Others queue behind us while we wait, so not for long.
        cursor.execute("SET lock_timeout = '200ms'")
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE dte_sii_session IN ACCESS EXCLUSIVE MODE")

    def _waiting(self):
        return self._ports(WAITING_FOR_TOKEN)

    def _victims(self, ports):
        return self._processes(ports) & self._processes(self._ports(GUARDING, GUARD))
