# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The same people while the SII is away: they issue what each part of the run asks for, and press Send DTE again."""

from __future__ import annotations

import logging
import math
import random
import threading
import time

from tests.chaos.plan import Plan, Task
from tests.chaos.presses import Press, Presses
from tests.chaos.rpc import Gone, Refused
from tests.chaos.stage import Stage
from tests.chaos.users import MOMENT, Gate, User

_logger = logging.getLogger(__name__)

# Of an act: until contingency opens, while it is on, and when the SII is back.
PARTS = ("first", "rest", "back")
WAITING = """
SELECT move_id FROM dte_document WHERE move_id = ANY(%s) AND superseded IS NOT TRUE
AND state IN ('to_send', 'retry', 'unknown', 'contingency') ORDER BY id
"""
IS_OPEN = "SELECT enabled FROM dte_contingency WHERE company_id = %s AND environment = 'simulator'"
AGAIN = 3


def share_out(tasks: list[Task], acts: int) -> list[list[Task]]:
    """Divide the tasks of one user into the parts of all acts, in order.

    Invoices come first in each act: a note may have to wait, and then it says nothing about the SII.
    """
    parts = []
    for act in range(acts):
        own = tasks[math.ceil(act * len(tasks) / acts) : math.ceil((act + 1) * len(tasks) / acts)]
        own.sort(key=lambda task: all(order.origin for order in task.orders))
        back = len(own) // 3
        parts += [own[:1], own[1 : len(own) - back], own[len(own) - back :] if back else []]
    return parts


class Script:
    """Which part of the run is on: users wait for theirs.

    :ivar kind: what is the matter with the SII now, for the record of a press
    """

    def __init__(self):
        self.kind = ""
        self.over = False
        self._condition = threading.Condition()
        self._parts = 0

    def open(self, parts: int) -> None:
        """Let the users do the tasks of so many parts."""
        with self._condition:
            self._parts = parts
            self._condition.notify_all()

    def waits(self, part: int, seconds: float) -> bool:
        """Tell whether a part is still to come, after some seconds at most."""
        with self._condition:
            return not self._condition.wait_for(lambda: part < self._parts or self.over, seconds)


class OutageUser(User):
    """A user who works by the script. `finished` counts the parts that she has done."""

    def __init__(self, stage: Stage, gate: Gate, number: int, plan: Plan, script: Script, presses: Presses):
        super().__init__(stage, gate, number, plan.work[number])
        self.finished = 0
        self._parts = share_out(plan.work[number], len(plan.acts))
        self._script = script
        self._presses = presses
        self._dice = random.Random(f"{plan.seed}-{number}")

    def _work(self):
        for number, tasks in enumerate(self._parts):
            while self._script.waits(number, MOMENT * self._dice.uniform(0.5, 1.5)):
                self._press_again()
            for task in tasks:
                self._do(task)
            self.finished = number + 1
        while not self._script.over:
            time.sleep(MOMENT)
            self._press_again()

    def _press_again(self):
        """Press Send DTE for something that has not left yet, as people do who see it on their screen."""
        waiting = [row["move_id"] for row in self.stage.database.select(WAITING, list(self.moves.values()))]
        if waiting:
            self._send(self._dice.sample(waiting, min(len(waiting), self._dice.randint(1, AGAIN))))

    def _send(self, ids):
        self._insist(lambda: self._press_timed(ids), accept_no=True)

    def _press_timed(self, ids):
        is_open = bool(self.stage.database.value(IS_OPEN, self._company["id"]))
        kind, problem = self._script.kind, ""
        began = time.monotonic()
        try:
            return self._browser.press("account.move", "action_send_to_sii", ids)
        except (Gone, Refused) as error:
            problem = str(error)
            if not is_open:
                raise
            # A problem of the run, which goes on all the same.
            return None
        finally:
            press = Press(kind, self.name, is_open, time.monotonic() - began, problem)
            self._presses.add(press)
            _logger.info("%s %s", press, ids)

    def _ask(self, ids):
        # Who asks the SII waits for the SII; that is not what is looked at here.
        if self._script.kind == "back":
            super()._ask(ids)
