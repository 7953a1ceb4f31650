# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Plays the acts of an outage run: the SII goes away, people go on working, it returns and what was held leaves."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter

from dev.common import say
from tests.chaos.drains import SLOW, Manager, Saboteur
from tests.chaos.lookout import Lookout
from tests.chaos.outage_users import PARTS, OutageUser, Script
from tests.chaos.outages import LARGE, QUICK_WAYS, WAYS, Act, DeadEnd, Line
from tests.chaos.plan import Plan
from tests.chaos.rest import POLL_SECONDS, Aftermath
from tests.chaos.stage import Stage

_logger = logging.getLogger(__name__)

# Real seconds that any part of an act may take before the run is given up.
PATIENCE = 150.0
# Real seconds in which people go on pressing when everything is held.
LINGER = 2.0
# Seconds of a flapping SII, how often, and how much of them is real in a run that is not large.
UP, DOWN = 20, 40
CYCLES = 3
REAL_SHARE = 0.1
# A drain that lasts is asked about its next step after so many simulated seconds.
STEP = 60.0
COMPANY = 1
SETTINGS = {"token_ttl": 10_000_000, "delays": {"registered": 1, "schema": 1, "firma": 1, "final": 6}}

NEXT_STEP = """
SELECT extract(epoch FROM min(due) - now() AT TIME ZONE 'UTC')::float FROM (
    SELECT min(probe_at) AS due FROM dte_contingency WHERE breaker = 'open'
    UNION ALL SELECT min(due_at) FROM dte_envio WHERE state IN ('sending', 'unknown')
) AS moments
"""
HELD = "SELECT count(*) FROM dte_document WHERE state = 'contingency' AND superseded IS NOT TRUE"
BREAKERS = "SELECT count(*) FROM dte_contingency WHERE enabled OR breaker != 'closed'"
# A login as good as new, so that an upload is what fails; or none, so that the login is.
FRESH = "UPDATE dte_sii_session SET obtained_at = now() AT TIME ZONE 'UTC'"
EXPIRED = "UPDATE dte_sii_session SET token = NULL"
# The moment of the next probe is where it meets the phase that is on.
PROBE_NOW = "UPDATE dte_contingency SET probe_at = now() AT TIME ZONE 'UTC' WHERE breaker = 'open'"


class Play:
    """The acts of a plan, one after the other. `problems` are sentences."""

    def __init__(self, stage: Stage, plan: Plan, aftermath: Aftermath, users: list[OutageUser], script: Script):
        self.line = Line(stage)
        self.lookout = Lookout(stage)
        self.problems: list[str] = []
        # How often each thing met a drain.
        self.met = Counter()
        self.flaps = 0
        self._stage = stage
        self._plan = plan
        self._clock = aftermath.clock
        self._users = users
        self._script = script
        self._dice = random.Random(plan.seed)
        self._ways = WAYS if plan.documents >= LARGE else QUICK_WAYS
        self._companies = [company["id"] for company in stage.told["companies"]]
        self._parts = 0
        # What comes after something that did not happen in time would tell nothing more.
        self._stuck = False

    def perform(self) -> None:
        self._stage.sii.call("POST", "settings", **SETTINGS)
        self.lookout.start()
        try:
            for number, act in enumerate(self._plan.acts):
                began = time.monotonic()
                _logger.info("act: %s", act)
                {"flapping": self._flap, "one_company": self._cut_one}.get(act.kind, self._cut_all)(act)
                self._parts = len(PARTS) * (number + 1)
                self._return(act)
                self._pass_time()
                say(f"  {act.kind:12}{act.drain:20}{time.monotonic() - began:6.1f} s")
                if self._stuck or any(user.problem for user in self._users):
                    break
        finally:
            self._script.over = True
        self._wait("the last press", lambda: not any(user.is_alive() for user in self._users))
        self.lookout.stop()

    def figures(self) -> dict:
        """Return what the result shows of the acts."""
        return {
            "acts": [f"{act.kind} {act.drain}".strip() for act in self._plan.acts],
            "drains_met": dict(sorted(self.met.items())),
            "flaps": self.flaps,
            "opened": sum(self.lookout.opened.values()),
            "opened_after_s": round(self.lookout.slowest, 2),
        }

    def all_problems(self) -> list[str]:
        self.line.clear()
        if self.line.kills != self._stage.kills_by_sii():
            self.problems.append("a kill of the simulator found no process at the other end")
        return [*self.problems, *self.lookout.problems]

    # -- acts --

    def _cut_all(self, act: Act):
        self._stage.database.run(EXPIRED if act.kind == "refused" else FRESH)
        self._begin(act.kind)
        self.line.cut(act.kind)
        self._next_part()
        self._see_open(self._companies)
        self._next_part()
        self._hold_out()
        self.line.mend()

    def _flap(self, act: Act):
        """Up and down, faster than anybody probes; probes fall into any phase."""
        self._stage.database.run(FRESH)
        self._begin(act.kind)
        real = 1.0 if self._plan.documents >= LARGE else REAL_SHARE
        for cycle in range(CYCLES):
            self.line.cut(self._dice.choice(self._ways))
            if cycle < len(PARTS) - 1:
                self._parts += 1
                self._script.open(self._parts)
            self._phase(DOWN, real)
            self.line.mend()
            self.line.arm(SLOW)
            self._phase(UP, real)
            self.flaps += 1

    def _phase(self, seconds: float, real: float):
        first = seconds * real * self._dice.uniform(0.3, 0.7)
        time.sleep(first)
        self._stage.database.run(PROBE_NOW)
        self._clock.run_jobs(settle=False, only="ir_cron_contingency", seconds=2)
        time.sleep(max(0.0, seconds * real - first))
        if real < 1:
            self._clock.move(seconds * (1 - real))

    def _cut_one(self, act: Act):
        """Only one company's line is down; the other one sends as on any day."""
        stage, company = self._stage, self._companies[COMPANY]
        stage.database.run(FRESH)
        dead_end, opened_before = DeadEnd(), self.lookout.opened[self._companies[0]]
        self._begin(act.kind)
        self._point(company, dead_end.url)
        self._next_part()
        self._see_open([company])
        self._next_part()
        self._hold_out()
        if self.lookout.opened[self._companies[0]] != opened_before:
            self.problems.append("a company whose calls did not fail went into contingency")
        self._point(company, stage.url)
        dead_end.close()

    def _point(self, company: int, url: str):
        self._stage.database.run("UPDATE res_company SET dte_simulator_url = %s WHERE id = %s", url, company)

    # -- parts of an act --

    def _begin(self, kind: str):
        self._script.kind = kind

    def _next_part(self):
        self._parts += 1
        self._script.open(self._parts)
        self._wait("a part's documents", self._all_done)

    def _all_done(self) -> bool:
        return all(user.finished >= self._parts or not user.is_alive() for user in self._users)

    def _see_open(self, companies):
        self._wait("contingency to open", lambda: all(self.lookout.is_open(company) for company in companies))

    def _hold_out(self):
        """Let people press while a probe finds the SII away."""
        time.sleep(LINGER)
        self._clock.move(self._next_step())
        self._clock.run_jobs(settle=False, only="ir_cron_contingency")
        time.sleep(LINGER)

    def _return(self, act: Act):
        """The SII is back: see everything leave and contingency end, whatever meets the drain."""
        self._script.kind = "back"
        self.line.arm(SLOW)
        if act.drain:
            self._sabotage(act)
        else:
            self._upload_beside()

    def _sabotage(self, act: Act):
        saboteur = Saboteur(self._stage, self.line, act.drain, self._dice.choice(self._ways))
        saboteur.start()
        self._settle()
        saboteur.stop()
        self.problems += [saboteur.problem] if saboteur.problem else []
        if saboteur.struck:
            self.met[act.drain] += 1
        else:
            self.problems.append(f"{act.drain} met no drain after {act.kind}")

    def _upload_beside(self):
        """Managers upload what waits while the job does the same."""
        managers = [Manager(self._stage, company) for company in self._stage.told["companies"]]
        for manager in managers:
            manager.start()
        self._settle()
        for manager in managers:
            manager.stop()
            self.met["upload_by_hand"] += manager.pressed

    def _settle(self):
        self._script.open(self._parts)
        until = time.monotonic() + PATIENCE
        while not self._is_settled():
            if time.monotonic() > until:
                self._give_up(f"held documents did not leave in {PATIENCE:.0f} s")
                return
            if self.line.way:
                # The drain met an outage: people go on for a while, then the SII is back for good.
                self._script.kind = "drain_outage"
                self._hold_out()
                self.line.mend()
                self.line.arm(SLOW)
                self._script.kind = "back"
            self._clock.move(self._next_step())
            self._clock.run_jobs(settle=False)

    def _pass_time(self):
        """Until the verdicts are there: notes wait for those of the invoices that they correct."""
        self._clock.move(POLL_SECONDS)
        self._clock.run_jobs(settle=False)

    def _is_settled(self) -> bool:
        database = self._stage.database
        return self._all_done() and not database.value(HELD) and not database.value(BREAKERS)

    def _next_step(self) -> float:
        due = self._stage.database.value(NEXT_STEP)
        return STEP if due is None else min(max(due, 0.0) + 1, 10 * STEP)

    def _wait(self, what: str, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                self._give_up(f"waited {PATIENCE:.0f} s for {what}")
                return
            time.sleep(0.1)

    def _give_up(self, problem: str):
        self.problems.append(problem)
        self._stuck = True
