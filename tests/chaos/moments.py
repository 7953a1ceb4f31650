# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Time: the simulator's clock goes forward, and what Odoo has noted goes back by the same amount."""

from __future__ import annotations

import logging
import time

import psycopg2

from tests.chaos import queue
from tests.chaos.holds import GUARD
from tests.chaos.stage import Stage
from tests.chaos.users import Gate

_logger = logging.getLogger(__name__)

# Moments that decide when something is due, or how old it is.
SHIFTED = (
    ("dte_envio", "attempted_at"),
    ("dte_envio", "first_attempted_at"),
    ("dte_envio", "validated_at"),
    ("dte_envio", "due_at"),
    ("dte_envio", "polled_at"),
    ("dte_envio", "next_poll_date"),
    ("dte_document", "queued_at"),
    ("dte_document", "retry_at"),
    ("dte_backup", "file_retry_at"),
    ("dte_failed_queue", "next_retry_date"),
    ("dte_failed_queue", "last_retry_date"),
    ("dte_sii_session", "obtained_at"),
    ("dte_sii_call", "called_at"),
    ("dte_contingency", "breaker_since"),
    ("dte_contingency", "probe_at"),
    ("dte_contingency", "enabled_date"),
    ("dte_contingency_episode", "started_at"),
    ("dte_contingency_episode", "ended_at"),
    ("dte_contingency_event", "happened_at"),
    ("dte_contingency_pending", "stored_date"),
    ("dte_contingency_pending", "uploaded_date"),
)
GUARDS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
# A sender whose connections were cut is seen by no lock until its upload has come to its deadline.
UNSEEN_SECONDS = 13.0
CRON_SECONDS = 100.0
CRON_SECONDS_IN_STORM = 20.0
# A job whose process died is found by the runner after ten seconds.
QUEUE_SECONDS = 20.0


class Clock:
    """Moves time while nothing is on its way, and has the scheduled jobs run."""

    def __init__(self, stage: Stage, gate: Gate):
        self._stage = stage
        self._gate = gate
        self._database = stage.database
        self._crons = stage.told["crons"]
        self.moved = 0.0

    def move(self, seconds: float) -> None:
        """Let `seconds` pass. Users wait meanwhile, and the jobs are locked out by their own rows."""
        with self._gate.shut():
            while not self._moved_safely(seconds):
                time.sleep(0.2)
        self.moved += seconds
        _logger.info("%.0f seconds pass", seconds)

    def _moved_safely(self, seconds: float) -> bool:
        try:
            return self._moved(seconds)
        except psycopg2.Error:
            # The server was restarted just now.
            return False

    def _moved(self, seconds: float) -> bool:
        left = self._stage.dropped_at + UNSEEN_SECONDS - time.monotonic()
        if left > 0:
            time.sleep(left)
        with self._database.transaction() as cursor:
            # Who holds a step that we would pass lets us go when he sees us waiting; that may take a moment.
            cursor.execute("SET LOCAL lock_timeout = '20s'")
            # A job that runs holds its row, so this waits for its end; nobody can begin one before our commit.
            cursor.execute("SELECT id FROM ir_cron WHERE id = ANY(%s) FOR NO KEY UPDATE", [self._crons])
            cursor.execute(GUARDS, [GUARD])
            if cursor.fetchone()["count"]:
                return False
            if self._stage.has_queue:
                if not queue.rests(cursor):
                    return False
                cursor.execute(queue.SHIFT, [seconds])
            for table, column in SHIFTED:
                statement = f"UPDATE {table} SET {column} = {column} - %s * interval '1 second'"  # noqa: S608 (our names)
                cursor.execute(f"{statement} WHERE {column} IS NOT NULL", [seconds])
            cursor.execute(
                "UPDATE ir_cron_trigger SET call_at = call_at - %s * interval '1 second' WHERE cron_id = ANY(%s)",
                [seconds, self._crons],
            )
        self._stage.sii.call("POST", "clock", advance_seconds=seconds)
        return True

    def run_jobs(self, settle: bool = True, only: str = "", seconds: float = 0.0) -> bool:
        """Have every job of the addon run now, by Odoo's own cron processes; False when that takes too long.

        :param settle: wait until no job has anything to do; with users at work there is always something
        :param only: name of the one job that shall run
        :param seconds: wait no longer than this
        """
        crons = [self._job(only)] if only else self._crons
        if self._stage.has_queue and settle and not only:
            # The scheduler is the net of the runner and comes after it. With users at work they come together.
            self._see_queue_done()
        last = self._database.value(
            "WITH made AS (INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT id, now() AT TIME ZONE 'UTC'"
            " FROM ir_cron WHERE id = ANY(%s) RETURNING id) SELECT max(id) FROM made",
            crons,
        )
        until = time.monotonic() + (seconds or (CRON_SECONDS if settle else CRON_SECONDS_IN_STORM))
        waking = 0.0
        while time.monotonic() < until:
            if time.monotonic() > waking:
                self._stage.wake_crons()
                waking = time.monotonic() + 2
            if not self._jobs_due(crons, None if settle else last) and (not settle or self._jobs_free()):
                return True
            time.sleep(0.1)
        return False

    def _see_queue_done(self):
        """Wait until no job of the runner is due or at work; what it leaves is the scheduler's."""
        until = time.monotonic() + QUEUE_SECONDS
        waking = 0.0
        while self._database.value(queue.DUE) and time.monotonic() < until:
            if time.monotonic() > waking:
                self._stage.wake_runner()
                waking = time.monotonic() + 2
            time.sleep(0.1)

    def _job(self, name: str) -> int:
        return self._database.value("SELECT res_id FROM ir_model_data WHERE module = 'l10n_cl_dte' AND name = %s", name)

    def _jobs_due(self, crons: list[int], last: int | None) -> int:
        """Count what asks a job to run now, up to a row when `last` is given."""
        return self._database.value(
            "SELECT count(*) FROM ir_cron_trigger WHERE cron_id = ANY(%s) AND call_at <= now() AT TIME ZONE 'UTC'"
            " AND id <= coalesce(%s, id)",
            crons,
            last,
        )

    def _jobs_free(self) -> bool:
        free = self._database.select(
            "SELECT id FROM ir_cron WHERE id = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED", self._crons
        )
        return len(free) == len(self._crons)
