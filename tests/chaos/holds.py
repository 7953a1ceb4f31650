# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Steps that the simulator cannot see: triggers in the run's own database stop a process there, to be killed.

Each step has an advisory lock. A trigger takes it in shared mode and gives it back at once, so it waits exactly while
the runner holds the lock. A held process is found in pg_locks and, from the port of its connection, in /proc:
`application_name` has the pid of Odoo's first process in all of them.
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
    # The claim is committed (see GUARDED) and the token for the upload is fetched.
    "after_claim": (4, "dte_sii_session", "UPDATE", "chaos_guard_is_held()"),
    # The SII has answered and the answer is not committed.
    "before_record": (5, "dte_envio", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
    # The answer is committed and what follows from it is not.
    "after_record": (6, "dte_backup", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
}
# Here only a process counts that holds a liveness guard with another connection.
GUARDED = ("after_claim",)

FUNCTIONS = """
CREATE OR REPLACE FUNCTION chaos_guard_is_held() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %(guard)s)
$$;
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
WHERE locktype = 'advisory' AND NOT granted AND classid = %s AND objid = %s AND client_port > 0
"""
GUARDING = """
SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s AND client_port > 0
"""


def install(database: Database) -> None:
    """Create the triggers."""
    database.run(FUNCTIONS % {"guard": GUARD, "own": CLASS})
    for step, (key, table, event, condition) in STEPS.items():
        when = f"WHEN ({condition})" if condition else ""
        database.run(
            f"CREATE TRIGGER chaos_{step} BEFORE {event} ON {table} FOR EACH ROW {when}"
            f" EXECUTE FUNCTION chaos_stop({key})"
        )


class Hold:
    """One armed step: the next process that comes there waits until it is killed."""

    def __init__(self, database: Database, step: str, server_port: int, is_ours):
        """:param is_ours: tells whether a process id is one of our Odoo's workers"""
        self._database = database
        self._step = step
        self._key = STEPS[step][0]
        self._server_port = server_port
        self._is_ours = is_ours
        self._connection = None
        self._arm()

    def _arm(self):
        self._connection = self._database.connect()
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", (CLASS, self._key))

    def strike(self) -> bool:
        """Kill the process that waits at the step, if there is one; the hold is over then."""
        try:
            waiting = self._processes(WAITING, CLASS, self._key)
            guarding = self._processes(GUARDING, GUARD) if waiting and self._step in GUARDED else waiting
        except psycopg2.Error:
            # The server was restarted, and the lock is gone with the connection.
            self._arm()
            return False
        if waiting and not waiting & guarding:
            # They are at the step for another reason: let them pass.
            self.release()
            self._arm()
        if not waiting & guarding:
            return False
        os.kill(min(waiting & guarding), signal.SIGKILL)
        self.release()
        return True

    def _processes(self, statement, *values) -> set[int]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            ports = [port for (port,) in cursor.fetchall()]
        return {pid for pid in (peers.owner(port, self._server_port) for port in ports) if self._is_ours(pid)}

    def release(self) -> None:
        """Let everybody go on. The dead one's connection ends as soon as it wants to answer."""
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()
