# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Watches contingency from outside, by SQL: when it opens and ends, and that one envelope leaves at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

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
SWITCHES = "SELECT company_id, enabled, breaker FROM dte_contingency"
# Read again as a whole each time: a call may be written after one with a higher number.
CALLS = """
SELECT service, outcome FROM dte_sii_call WHERE company_id = %s AND id > %s AND service != 'probe' ORDER BY id
"""
# The last call that is not counted: failures before the breaker was closed are over.
LAST_BEFORE = """
SELECT max(k.id) FROM dte_sii_call k JOIN dte_contingency c USING (company_id, environment)
WHERE c.company_id = %s AND k.called_at < c.breaker_since
"""
# An envelope is being sent when its sender lives; the first upload alone is the drain's, others reconcile.
AT_ONCE = """
SELECT c.company_id, count(*) FROM dte_contingency c JOIN dte_envio e USING (company_id, environment)
JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = e.id
WHERE c.enabled AND e.state = 'sending' AND e.attempts = 1
AND EXISTS (SELECT FROM dte_document d WHERE d.envio_id = e.id AND d.is_contingency)
GROUP BY 1 HAVING count(*) > 1
"""


def has_streak(calls: list[dict]) -> bool:
    """Tell whether the threshold was reached: of all calls, or of uploads alone."""
    for counted in (calls, [call for call in calls if call["service"] == "upload"]):
        row = 0
        for call in counted:
            row = row + 1 if call["outcome"] in FAILED else 0
            if row >= THRESHOLD:
                return True
    return False


@dataclass
class Watch:
    """What is known of one company.

    :ivar after: calls with higher numbers count
    :ivar reached_at: when the threshold was seen to be reached, on the monotonic clock
    """

    after: int = 0
    is_open: bool = False
    breaker: str = "closed"
    reached_at: float | None = None
    is_late: bool = False


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
        self._watches = {company: Watch() for company in self._names}
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
        return self._watches[company].is_open

    def _look(self):
        # The switches first: a call that opens one is written before it.
        rows = {row["company_id"]: row for row in self._database.select(SWITCHES)}
        now = time.monotonic()
        for company, watch in self._watches.items():
            row = rows.get(company, {"enabled": False, "breaker": "closed"})
            calls = self._database.select(CALLS, company, watch.after)
            if watch.reached_at is None and has_streak(calls):
                watch.reached_at = now
            self._compare(company, watch, row, now)
        for row in self._database.select(LEFT):
            self._tell(f"contingency of {self._names[row['company_id']]} ended while documents were held")
        for row in self._database.select(AT_ONCE, GUARD):
            self._tell(f"{row['count']} envelopes of held documents of {self._names[row['company_id']]} left at once")

    def _compare(self, company: int, watch: Watch, row: dict, now: float):
        name, is_open, breaker = self._names[company], row["enabled"], row["breaker"]
        if is_open and not watch.is_open:
            _logger.info("contingency of %s is open", name)
            self.opened[company] += 1
            if watch.reached_at is None:
                self._tell(f"contingency of {name} opened without {THRESHOLD} failed calls in a row")
            else:
                self.slowest = max(self.slowest, now - watch.reached_at)
        if watch.is_open and not is_open:
            _logger.info("contingency of %s is closed", name)
        if breaker == "closed" != watch.breaker:
            watch.after = self._database.value(LAST_BEFORE, company) or 0
            watch.reached_at, watch.is_late = None, False
        waited = 0.0 if is_open or watch.reached_at is None else now - watch.reached_at
        if waited > OPEN_SECONDS and not watch.is_late:
            watch.is_late = True
            self._tell(f"contingency of {name} is not open {OPEN_SECONDS:.0f} s after {THRESHOLD} failed calls")
        watch.is_open, watch.breaker = is_open, breaker

    def _tell(self, problem: str):
        _logger.warning("%s", problem)
        if problem not in self.problems:
            self.problems.append(problem)
