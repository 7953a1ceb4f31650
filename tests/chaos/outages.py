# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The ways in which the SII is away, and the acts of an outage run: which of them comes when, and how it returns."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

# Simulated seconds that no act lasts.
FOREVER = 10_000_000.0
WAYS = ("refused", "hung", "dropped")
# Those in which no question waits for its whole minute: enough where a small run only needs some outage.
QUICK_WAYS = ("refused",)
# What meets the drain when the SII is back.
DRAINS = ("outage", "kill_during_upload", "kill_accepted")
# Documents from which on hung and dropped connections both come, and from which on everything comes twice.
MEDIUM, LARGE = 100, 200


@dataclass(frozen=True)
class Act:
    """One outage and the return from it.

    :ivar kind: one of WAYS, `flapping`, or `one_company`, whose line alone is down
    :ivar drain: one of DRAINS, or empty
    """

    kind: str
    drain: str = ""


def make_acts(dice, documents: int) -> list[Act]:
    """Return every kind of act in any order, each way of being away with another drain; in a large run all of it twice.

    In a small run one of the ways in which packets are swallowed stands for both.
    """
    ways = WAYS if documents >= MEDIUM else (WAYS[0], dice.choice(WAYS[1:]))
    kill = dice.choice(DRAINS[1:])
    drains = dice.sample(DRAINS if documents >= MEDIUM else (DRAINS[0], kill), len(ways))
    acts = []
    for turn in range(2 if documents >= LARGE else 1):
        own = drains[turn:] + drains[:turn]
        chosen = [Act(way, drain) for way, drain in zip(ways, own, strict=True)]
        chosen += [Act("flapping"), Act("one_company")]
        acts += dice.sample(chosen, len(chosen))
    return acts


class Line:
    """Takes the simulator away from everybody and brings it back. One way at a time."""

    def __init__(self, stage):
        self._sii = stage.sii
        self._address = _address(stage.url)
        self._blocked: list[socket.socket] = []
        self.way = ""
        # Kills that the simulator has counted before its faults were cleared.
        self.kills = 0

    def cut(self, way: str) -> None:
        """Begin an outage: `refused` (closed ports), `hung` (accepted, and nothing ever comes back) or `dropped` (no
        packet is answered, not even the first)."""
        self.way = way
        if way == "hung":
            self._sii.arm({"kind": "hang", "step": "connected", "for_seconds": FOREVER})
            return
        self._sii.arm({"kind": "refuse", "for_seconds": FOREVER})
        _wait(lambda: not self._answers(), "the simulator does not close its port")
        if way == "dropped":
            self._block()

    def mend(self) -> None:
        """End it. Connections that were swallowed stay silent."""
        while self._blocked:
            self._blocked.pop().close()
        self.clear()
        self.way = ""
        _wait(self._answers, "the simulator does not open its port again")

    def clear(self) -> None:
        """Take back every fault."""
        self.kills += self._sii.call("GET", "faults")["fired"].get("kill", 0)
        self._sii.call("DELETE", "faults")

    def arm(self, spec: dict) -> int:
        (place,) = self._sii.arm(spec)
        return place

    def fired(self, place: int) -> int:
        return self._sii.fired(place)

    def _block(self):
        """Take the simulator's port with a queue for one connection and fill it: further packets are dropped."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        listener.listen(0)
        self._blocked.append(listener)
        for _connection in range(3):
            filler = socket.socket()
            self._blocked.append(filler)
            filler.setblocking(False)
            filler.connect_ex(self._address)
        with socket.socket() as probe:
            probe.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                probe.connect(self._address)
                raise AssertionError("this system answers connections that nobody has room for")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex(self._address) == 0


class DeadEnd:
    """An address of this machine where nobody listens, for the company whose own line is down."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def _wait(condition, problem: str) -> None:
    until = time.monotonic() + 10
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(problem)
        time.sleep(0.02)
