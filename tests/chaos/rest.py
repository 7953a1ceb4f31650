# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What comes after the storm: time passes, jobs run, and people do what only people may do, until nothing moves."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter

from tests.chaos.moments import Clock
from tests.chaos.rpc import Gone, Refused
from tests.chaos.stage import Stage
from tests.chaos.users import MOMENT, TRIES

_logger = logging.getLogger(__name__)

# The interval of the job that asks for verdicts.
POLL_SECONDS = 15 * 60 + 5
# The interval of the job that sends and reconciles.
JOB_SECONDS = 5 * 60
SECONDS_PER_DOCUMENT = 0.4
LEAST_SECONDS = 150.0
# Turns in which nothing changed, after which nothing will.
STANDSTILL = 20
# The sending job comes every five minutes; each step costs some real seconds.
LEAST_STEP = 60
# Of POLL_SECONDS: four hours.
LONGEST_STEP = 16
CORRECTED_SHARE = 0.6

STATES = "SELECT id, state, envio_id, move_id, company_id FROM dte_document WHERE superseded IS NOT TRUE ORDER BY id"
REFERRED = """
SELECT referenced_id FROM dte_document_reference_rel r JOIN dte_document d ON d.id = r.document_id
WHERE d.superseded IS NOT TRUE AND d.state NOT IN ('accepted', 'objected', 'rejected')
"""
NEXT_DUE = """
SELECT extract(epoch FROM min(due) - now() AT TIME ZONE 'UTC')::float FROM (
    SELECT min(due_at) AS due FROM dte_envio WHERE state IN ('sending', 'unknown')
    UNION ALL SELECT min(retry_at) FROM dte_document WHERE state = 'retry' AND superseded IS NOT TRUE
    UNION ALL SELECT min(probe_at) FROM dte_contingency WHERE breaker = 'open'
) AS moments
"""
NEXT_QUESTION = """
SELECT extract(epoch FROM min(next_poll_date) - now() AT TIME ZONE 'UTC')::float FROM dte_envio WHERE state = 'sent'
"""
UNREST = """
SELECT EXISTS (SELECT FROM dte_document WHERE superseded IS NOT TRUE AND (told IS NOT TRUE
    OR state IN ('to_send', 'contingency', 'sending', 'sent', 'unknown', 'retry')))
OR EXISTS (SELECT FROM dte_contingency WHERE enabled OR breaker != 'closed')
OR EXISTS (SELECT FROM dte_envio WHERE state IN ('sending', 'unknown', 'planned'))
OR EXISTS (SELECT FROM dte_failed_queue WHERE state IN ('pending', 'retrying'))
OR EXISTS (SELECT FROM dte_backup WHERE sealed IS NOT TRUE OR file_state = 'pending')
"""


class People:
    """The accountants: they look at what needs somebody and press its button. `pressed` counts what they did."""

    def __init__(self, stage: Stage, seed: int):
        self.pressed = Counter()
        self._stage = stage
        self._dice = random.Random(seed)
        self._browsers = {}
        self._left_alone = set()

    def look(self) -> None:
        rows = self._stage.database.select(STATES)
        self._handle_rejected([row for row in rows if row["state"] == "rejected"])
        for company in self._stage.told["companies"]:
            own = [row for row in rows if row["company_id"] == company["id"]]
            failed = [row["move_id"] for row in own if row["state"] == "failed"]
            if failed:
                self._press(company, "send_failed", "action_send_to_sii", failed)
            if self._is_paused(company):
                # Held documents too: contingency does not end a pause, and a pause keeps them from leaving.
                waiting = [row["move_id"] for row in own if row["state"] in ("to_send", "retry", "contingency")]
                if waiting:
                    self._press(company, "resume", "action_send_to_sii", waiting[:1])

    def _is_paused(self, company) -> bool:
        statement = "SELECT count(*) FROM dte_pause WHERE company_id = %s AND resumed_at IS NULL"
        return bool(self._stage.database.value(statement, company["id"]))

    def _handle_rejected(self, rows):
        needed = {row["referenced_id"] for row in self._stage.database.select(REFERRED)} if rows else set()
        for row in rows:
            if row["id"] in self._left_alone:
                continue
            if row["id"] not in needed and self._dice.random() > CORRECTED_SHARE:
                self._left_alone.add(row["id"])
                continue
            company = next(one for one in self._stage.told["companies"] if one["id"] == row["company_id"])
            self._correct(company, row["move_id"])

    def _correct(self, company, move: int):
        self._press(company, "correct", "action_dte_correct", [move])
        # Whether it worked is told by the invoice, not by an answer that may have been lost.
        if self._is_draft(move):
            self._press(company, "post_again", "action_post", [move])
        if not self._is_draft(move):
            self._press(company, "send_again", "action_send_to_sii", [move])

    def _is_draft(self, move: int) -> bool:
        return self._stage.database.value("SELECT state FROM account_move WHERE id = %s", move) == "draft"

    def _press(self, company, what: str, method: str, ids):
        """Press a button until Odoo says yes or no."""
        self.pressed[what] += 1
        for _attempt in range(TRIES):
            try:
                self._browser(company).press("account.move", method, ids)
                return
            except Refused as error:
                _logger.info("%s %s: %s", what, ids, error)
                if error.kind.endswith(("UserError", "ValidationError")):
                    self.pressed[f"{what} refused"] += 1
                    return
            except Gone:
                self.pressed[f"{what} without answer"] += 1
            time.sleep(MOMENT)

    def _browser(self, company):
        if company["id"] not in self._browsers:
            login = next(name for name in company["users"] if name.startswith("manager"))
            browser = self._stage.browser(login)
            browser.log_in()
            self._browsers[company["id"]] = browser
        return self._browsers[company["id"]]


class Aftermath:
    """Turns of the wheel: people, time, jobs."""

    def __init__(self, stage: Stage, clock: Clock, people: People):
        self._stage = stage
        self.clock = clock
        self.people = people
        self.turns = 0
        self._same = 0

    def turn(self) -> None:
        self.turns += 1
        self.people.look()
        self.clock.move(self.next_due())
        self.clock.run_jobs()

    def pass_time(self, seconds: float) -> None:
        """Let that time pass as it does in life: nothing that falls due on the way is missed by the jobs."""
        until = self.clock.moved + seconds
        while self.clock.moved < until:
            self.clock.move(min(self.next_due(), JOB_SECONDS, until - self.clock.moved))
            self.clock.run_jobs(settle=False)

    def next_due(self) -> float:
        """Seconds until something is due in Odoo, at least a minute; the interval of the job when nothing is."""
        # Where nothing changes any more, over the hourly questions: some things are decided after a day.
        longer = POLL_SECONDS * min(2 ** (self._same - 3), LONGEST_STEP) if self._same > 3 else 0
        due, question = self._stage.database.value(NEXT_DUE), self._stage.database.value(NEXT_QUESTION)
        if question is not None:
            question = max(question, longer)
        moments = [moment for moment in (due, question) if moment is not None]
        return max(min(moments) + 1, LEAST_STEP) if moments else max(POLL_SECONDS, longer)

    def reach(self, documents: int) -> bool:
        """Turn until everything rests; False when that takes too long."""
        until = time.monotonic() + LEAST_SECONDS + documents * SECONDS_PER_DOCUMENT
        before = None
        while not self.at_rest():
            now = self._stage.database.select(STATES)
            before, self._same = now, self._same + 1 if now == before else 0
            if time.monotonic() > until or self._same > STANDSTILL:
                return False
            self.turn()
        return True

    def at_rest(self) -> bool:
        if self._stage.database.value(UNREST):
            return False
        # What failed or was rejected has been looked at by somebody who left it as it is.
        before = sum(self.people.pressed.values())
        self.people.look()
        return sum(self.people.pressed.values()) == before
