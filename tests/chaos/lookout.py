# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Watches contingency from outside, by SQL: when it opens and ends, and that one envelope leaves at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from tests.chaos.holds import GUARD
from tests.chaos.stage import Stage

_logger = logging.getLogger(__name__)

TICK = 0.15
# The setting's default.
THRESHOLD = 3
# The call that is one too many opens it, so this is only for a slow machine.
OPEN_SECONDS = 3.0
FAILED = ("timeout", "connection", "unavailable")

# What was ever held, and what still was when contingency ended, is noted by the run's own database.
NOTES = """
CREATE TABLE chaos_held (document_id integer NOT NULL, company_id integer NOT NULL);
CREATE FUNCTION chaos_note_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_held VALUES (NEW.id, NEW.company_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER chaos_held AFTER UPDATE OF state ON dte_document FOR EACH ROW
WHEN (NEW.state = 'contingency' AND OLD.state IS DISTINCT FROM 'contingency') EXECUTE FUNCTION chaos_note_held();
CREATE TABLE chaos_left (company_id integer NOT NULL);
CREATE FUNCTION chaos_note_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_left SELECT company_id FROM dte_document
    WHERE company_id = NEW.company_id AND state = 'contingency' AND superseded IS NOT TRUE;
    RETURN NEW;
END
$$;
CREATE TRIGGER chaos_left AFTER UPDATE OF enabled ON dte_contingency FOR EACH ROW
WHEN (OLD.enabled AND NOT NEW.enabled) EXECUTE FUNCTION chaos_note_left();
"""
LEFT = "SELECT company_id, count(*) FROM chaos_left GROUP BY 1"
SWITCHES = "SELECT company_id, enabled FROM dte_contingency"
CALLS = "SELECT id, company_id, service, outcome FROM dte_sii_call WHERE id > %s AND service != 'probe' ORDER BY id"
# An envelope is being sent when its sender lives; the first upload alone is the drain's, others reconcile.
AT_ONCE = """
SELECT c.company_id, count(*) FROM dte_contingency c JOIN dte_envio e USING (company_id, environment)
JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = e.id
WHERE c.enabled AND e.state = 'sending' AND e.attempts = 1
AND EXISTS (SELECT FROM dte_document d WHERE d.envio_id = e.id AND d.is_contingency)
GROUP BY 1 HAVING count(*) > 1
"""


class Streak:
    """Calls of one company that failed in a row since its contingency ended: all, and uploads alone."""

    def __init__(self):
        self._all = self._uploads = 0
        self.is_open = False
        # When the threshold was reached, on the monotonic clock.
        self.reached_at: float | None = None

    def add(self, service: str, outcome: str, now: float) -> None:
        failed = outcome in FAILED
        self._all = self._all + 1 if failed else 0
        if service == "upload":
            self._uploads = self._uploads + 1 if failed else 0
        if max(self._all, self._uploads) >= THRESHOLD and self.reached_at is None:
            self.reached_at = now

    def forget(self) -> None:
        self._all = self._uploads = 0
        self.reached_at = None


class Lookout(threading.Thread):
    """Polls.

    :ivar problems: sentences
    :ivar opened: openings by company
    :ivar slowest: longest time in seconds that one took after the call that was one too many
    """

    def __init__(self, stage: Stage):
        super().__init__(name="lookout", daemon=True)
        self.problems: list[str] = []
        self.opened = Counter()
        self.slowest = 0.0
        self._database = stage.database
        self._names = {company["id"]: company["rut"] for company in stage.told["companies"]}
        self._streaks = {company: Streak() for company in self._names}
        self._last = 0
        self._late: set[int] = set()
        self._stopping = threading.Event()
        self._database.run(NOTES)

    def run(self):
        try:
            while not self._stopping.wait(TICK):
                self._look()
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends the run
            self._tell(f"lookout: {type(error).__name__}: {error}")

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def is_open(self, company: int) -> bool:
        return self._streaks[company].is_open

    def _look(self):
        # The switches first: a call that opens one is written before it.
        enabled = {row["company_id"] for row in self._database.select(SWITCHES) if row["enabled"]}
        now = time.monotonic()
        for call in self._database.select(CALLS, self._last):
            self._last = call["id"]
            self._streaks[call["company_id"]].add(call["service"], call["outcome"], now)
        for company, streak in self._streaks.items():
            self._compare(company, streak, company in enabled, now)
        for row in self._database.select(LEFT):
            self._tell(f"contingency of {self._names[row['company_id']]} ended while documents were held")
        for row in self._database.select(AT_ONCE, GUARD):
            self._tell(f"{row['count']} envelopes of held documents of {self._names[row['company_id']]} left at once")

    def _compare(self, company: int, streak: Streak, is_open: bool, now: float):
        name = self._names[company]
        if is_open and not streak.is_open:
            _logger.info("contingency of %s is open", name)
            self.opened[company] += 1
            if streak.reached_at is None:
                self._tell(f"contingency of {name} opened without {THRESHOLD} failed calls in a row")
            else:
                self.slowest = max(self.slowest, now - streak.reached_at)
        if streak.is_open and not is_open:
            _logger.info("contingency of %s is closed", name)
            streak.forget()
            self._late.discard(company)
        waited = 0.0 if is_open or streak.reached_at is None else now - streak.reached_at
        if waited > OPEN_SECONDS and company not in self._late:
            self._late.add(company)
            self._tell(f"contingency of {name} is not open {OPEN_SECONDS:.0f} s after {THRESHOLD} failed calls")
        streak.is_open = is_open

    def _tell(self, problem: str):
        _logger.warning("%s", problem)
        if problem not in self.problems:
            self.problems.append(problem)
