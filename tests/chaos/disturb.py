# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Causes the mishaps of the plan, one at a time in each channel, spread over the documents of the run."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from tests.chaos.holds import AFTER_CLAIM, Hold, TokenHold
from tests.chaos.mishaps import Mishap
from tests.chaos.stage import Stage

_logger = logging.getLogger(__name__)

TICK = 0.1
# Mishaps come until this share of the documents is issued, so that the last ones still meet work to disturb.
SPREAD = 0.85
DURING = {"service": "upload", "kind": "slow", "seconds": 2.5}


class SiiFault:
    """A fault of the simulator, armed until it has fired."""

    def __init__(self, stage: Stage, mishap: Mishap):
        self._sii = stage.sii
        self._spec = mishap.spec
        self._arm()

    def _arm(self):
        (self._place,) = self._sii.arm(self._spec)
        self._over = time.monotonic() + self._spec.get("for_seconds", 0)

    def strike(self) -> bool:
        if time.monotonic() < self._over:
            return False
        fired = self._sii.fired(self._place)
        if not fired and "for_seconds" in self._spec:
            self._arm()
        return bool(fired)

    def release(self):
        """Nothing to do: the faults of the simulator are cleared all together."""


class DatabaseFault:
    """A restart or lost connections, at once or while an upload waits for its answer."""

    def __init__(self, stage: Stage, mishap: Mishap):
        self._stage = stage
        self._mode = mishap.spec.get("mode")
        self._slow = SiiFault(stage, Mishap("", "sii", "", DURING)) if mishap.channel == "upload" else None

    def strike(self) -> bool:
        if self._slow and not self._slow.strike():
            return False
        if self._mode:
            self._stage.restart_postgres(self._mode)
        else:
            self._stage.drop_connections()
        return True

    def release(self):
        """Nothing to do."""


class Disturber(threading.Thread):
    """Arms what the plan says. `happened` counts by kind, `kills` by step."""

    def __init__(self, stage: Stage, mishaps: list[Mishap], progress):
        """:param progress: gives the share of the documents that users have sent"""
        super().__init__(name="disturber", daemon=True)
        self.happened = Counter()
        self.kills = Counter()
        self.problem = ""
        self._stage = stage
        self._progress = progress
        self._queues: dict[str, list[tuple[float, Mishap]]] = {}
        self._armed: dict[str, tuple[Mishap, object]] = {}
        self._stopping = threading.Event()
        for mishap in mishaps:
            self._queues.setdefault(mishap.channel, []).append(mishap)
        for channel, queue in self._queues.items():
            self._queues[channel] = [(SPREAD * index / len(queue), mishap) for index, mishap in enumerate(queue)]

    def run(self):
        try:
            while not self._stopping.wait(TICK):
                for channel in self._queues:
                    self._serve(channel)
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends the run
            self.problem = f"disturber: {type(error).__name__}: {error}"

    def _serve(self, channel: str):
        if channel in self._armed:
            mishap, armed = self._armed[channel]
            if armed.strike():
                _logger.info("happened: %s", mishap.name)
                self.happened[mishap.name] += 1
                if mishap.kill:
                    self.kills[mishap.kill] += 1
                del self._armed[channel]
        queue = self._queues[channel]
        if channel not in self._armed and queue and queue[0][0] <= self._progress():
            _due, mishap = queue.pop(0)
            self._armed[channel] = (mishap, self._arm(mishap))

    def _arm(self, mishap: Mishap):
        if mishap.how == "hold":
            return (TokenHold if mishap.kill == AFTER_CLAIM else Hold)(self._stage, mishap.kill)
        return (SiiFault if mishap.how == "sii" else DatabaseFault)(self._stage, mishap)

    def waiting(self) -> list[str]:
        """Return the mishaps that have not happened yet."""
        return [mishap.name for mishap, _armed in self._armed.values()] + [
            mishap.name for queue in self._queues.values() for _due, mishap in queue
        ]

    def stop(self) -> None:
        """Take back what is armed; from here on nothing goes wrong any more."""
        self._stopping.set()
        self.join()
        for _mishap, armed in self._armed.values():
            armed.release()
        fired = self._stage.sii.call("GET", "faults")["fired"].get("kill", 0)
        self._stage.sii.call("DELETE", "faults")
        if fired != self._stage.kills_by_sii():
            self.problem = self.problem or "a kill of the simulator found no process at the other end"
