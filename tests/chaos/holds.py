# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Steps that the simulator cannot see: triggers in the run's own database stop a process there, to be killed.

Each step has an advisory lock. A trigger takes it in shared mode and gives it back at once, so it waits exactly while
the runner holds the lock. A held process is found in pg_locks; `application_name` of its connection tells its pid.
"""

from __future__ import annotations

import os
import signal

import psycopg2

from tests.chaos.database import LOST, Database

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
    # The claim is committed (another connection of the process holds the guard) and it fetches its token.
    "after_claim": (4, "dte_sii_session", "UPDATE", "chaos_holds_guard()"),
    # The SII has answered and the answer is not committed.
    "before_record": (5, "dte_envio", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
    # The answer is committed and what follows from it is not.
    "after_record": (6, "dte_backup", "UPDATE", "OLD.track_id IS NULL AND NEW.track_id IS NOT NULL"),
}
NEEDED = {"before_first_commit": ("dte_document", "queued_at")}

FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION chaos_holds_guard() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND classid = {GUARD}
        AND application_name = current_setting('application_name')
    )
$$;
CREATE OR REPLACE FUNCTION chaos_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared({CLASS}, TG_ARGV[0]::int);
    PERFORM pg_advisory_unlock_shared({CLASS}, TG_ARGV[0]::int);
    RETURN NEW;
END
$$;
"""
WAITING = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND NOT granted AND classid = %s AND objid = %s AND application_name LIKE 'odoo-%%'
"""


def install(database: Database) -> list[str]:
    """Create the triggers; return the steps that this version of the addon has."""
    columns = database.columns()
    database.run(FUNCTIONS)
    steps = [step for step in STEPS if NEEDED.get(step) in (None, *columns)]
    for step in steps:
        key, table, event, condition = STEPS[step]
        when = f"WHEN ({condition})" if condition else ""
        database.run(
            f"CREATE TRIGGER chaos_{step} BEFORE {event} ON {table} FOR EACH ROW {when}"
            f" EXECUTE FUNCTION chaos_stop({key})"
        )
    return steps


class Hold:
    """One armed step: the next process that comes there waits until it is killed."""

    def __init__(self, database: Database, step: str, is_ours):
        """:param is_ours: tells whether a process id is one of our Odoo's workers"""
        self._database = database
        self._key = STEPS[step][0]
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
            with self._connection.cursor() as cursor:
                cursor.execute(WAITING, (CLASS, self._key))
                pids = [int(name.removeprefix("odoo-")) for (name,) in cursor.fetchall()]
        except LOST:
            # The server was restarted, and the lock is gone with the connection.
            self._arm()
            return False
        victim = next((pid for pid in pids if self._is_ours(pid)), None)
        if victim is None:
            return False
        os.kill(victim, signal.SIGKILL)
        self.release()
        return True

    def release(self) -> None:
        """Let everybody go on. The dead one's connection ends as soon as it wants to answer."""
        try:
            self._connection.close()
        except psycopg2.Error:
            pass
