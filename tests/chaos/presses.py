# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How long people wait for *Send DTE* while the SII is away."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

# A press that began while its company was in contingency comes back sooner, and without an error.
LIMIT_SECONDS = 2.0


@dataclass(frozen=True)
class Press:
    """One press of the button.

    :ivar kind: of the act in which it began, with what was the matter then
    :ivar is_open: whether the company was in contingency when it began
    :ivar problem: what Odoo answered instead of doing it
    """

    kind: str
    user: str
    is_open: bool
    seconds: float
    problem: str = ""


class Presses:
    """All of them; threads add to it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._all: list[Press] = []

    def add(self, press: Press) -> None:
        with self._lock:
            self._all.append(press)

    def figures(self) -> dict[str, dict]:
        """Return count, longest time and 95th percentile of those in contingency, by kind, and of all others."""
        with self._lock:
            held = {}
            for press in self._all:
                held.setdefault(press.kind if press.is_open else "before_contingency", []).append(press.seconds)
        return {kind: _figures(seconds) for kind, seconds in sorted(held.items())}

    def longest(self) -> float:
        return max((press.seconds for press in self._all if press.is_open), default=0.0)

    def problems(self) -> list[str]:
        """Return a sentence for each press in contingency that took too long or ended with an error."""
        return [
            f"Send DTE of {press.user} took {press.seconds:.2f} s in contingency ({press.kind})"
            + (f" and said: {press.problem}" if press.problem else "")
            for press in self._all
            if press.is_open and (press.problem or press.seconds >= LIMIT_SECONDS)
        ]


def _figures(seconds: list[float]) -> dict:
    ordered = sorted(seconds)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return {"presses": len(ordered), "max_s": round(ordered[-1], 2), "p95_s": round(p95, 2)}
