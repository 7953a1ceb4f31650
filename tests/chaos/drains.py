# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What meets the drain of held documents: the SII goes away, the sender is killed, or a manager uploads beside it."""

from __future__ import annotations

import logging
import threading
import time

from tests.chaos.holds import GUARD
from tests.chaos.outages import Line
from tests.chaos.rpc import Gone, Refused
from tests.chaos.stage import Stage

_logger = logging.getLogger(__name__)

TICK = 0.05
# Documents that a manager uploads at once.
BATCH = 1
STEPS = {"kill_during_upload": "body_received", "kill_accepted": "stored"}
# The SII takes its time, so that what happens at the same time is seen.
SLOW = {"kind": "slow", "service": "upload", "seconds": 0.4, "for_seconds": 100_000.0}

LAST_ENVELOPE = "SELECT coalesce(max(id), 0) FROM dte_envio"
# Envelopes of held documents that arrived, where others still wait.
DRAINING = """
SELECT count(*) FROM dte_envio e WHERE e.id > %s AND e.track_id IS NOT NULL
AND EXISTS (SELECT FROM dte_document d WHERE d.envio_id = e.id AND d.is_contingency)
AND EXISTS (SELECT FROM dte_document d WHERE d.company_id = e.company_id AND d.state = 'contingency')
"""
HELD = """
SELECT count(*) FROM dte_document d JOIN dte_contingency c USING (company_id, environment)
WHERE d.state = 'contingency' AND c.breaker = 'closed' AND d.company_id = %s
"""
# Envelopes of held documents whose sender is gone.
ORPHANS = """
SELECT count(*) FROM dte_envio e WHERE e.id > %s AND e.state = 'sending'
AND EXISTS (SELECT FROM dte_document d WHERE d.envio_id = e.id AND d.is_contingency)
AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = e.id)
"""


class Saboteur(threading.Thread):
    """Waits for the first envelope of the drain, then strikes. `struck` tells whether it did."""

    def __init__(self, stage: Stage, line: Line, drain: str, way: str):
        """:param way: how the SII goes away when the drain is to meet an outage"""
        super().__init__(name="saboteur", daemon=True)
        self.struck = False
        self.problem = ""
        self._database = stage.database
        self._line = line
        self._drain = drain
        self._way = way
        self._after = self._database.value(LAST_ENVELOPE)
        self._stopping = threading.Event()

    def run(self):
        try:
            self._strike()
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends the run
            self.problem = f"saboteur: {type(error).__name__}: {error}"

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _strike(self):
        while not self._stopping.wait(TICK):
            if not self._database.value(DRAINING, self._after):
                continue
            if self._drain in STEPS:
                self._kill()
            else:
                self._line.cut(self._way)
                self.struck = True
            if self.struck:
                return

    def _kill(self):
        place = self._line.arm({"kind": "kill", "service": "upload", "step": STEPS[self._drain]})
        while not self._line.fired(place):
            if self._stopping.wait(TICK):
                return
        until = time.monotonic() + 2
        while time.monotonic() < until and not self.struck:
            # Who reconciles finds it a moment later; if it was another envelope, the next one is met.
            self.struck = bool(self._database.value(ORPHANS, self._after, GUARD))


class Manager(threading.Thread):
    """Uploads held documents of her company by hand, as long as the drain is at work. `pressed` counts."""

    def __init__(self, stage: Stage, company: dict):
        super().__init__(name=f"manager-{company['id']}", daemon=True)
        self.pressed = 0
        self._database = stage.database
        self._company = company["id"]
        self._browser = stage.browser(next(name for name in company["users"] if name.startswith("manager")))
        self._stopping = threading.Event()

    def run(self):
        self._browser.log_in()
        while not self._stopping.wait(TICK):
            if not self._database.value(HELD, self._company):
                continue
            self.pressed += 1
            try:
                told = self._browser.call("dte.contingency", "upload_pending_batch", [], BATCH)
                _logger.info("%s: %s", self.name, told)
            except (Gone, Refused) as error:
                _logger.info("%s: %s", self.name, error)

    def stop(self) -> None:
        self._stopping.set()
        self.join()
