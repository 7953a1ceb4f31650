# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make chaos N=200 SEED=1`: users issue documents while everything goes wrong; then the books must agree.

Reads N, SEED (a number or `random`), SCENARIO and QUEUE from the environment. docs/chaos.md tells how to read the
result.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import time
from collections import Counter
from pathlib import Path

from dev.common import LOG, RUN, Stop, locked, say, write_json
from dev.env import Env
from tests.chaos import compare, incidents, plan, queue, report, snapshot
from tests.chaos.disturb import Disturber
from tests.chaos.moments import Clock
from tests.chaos.outage import Play
from tests.chaos.outage_users import OutageUser, Script
from tests.chaos.presses import Presses
from tests.chaos.rest import Aftermath, People
from tests.chaos.stage import Sizes, Stage, opened
from tests.chaos.users import Crowd, Gate, User

# Longest time for what is still armed after the last document was issued.
LATE_SECONDS = 150.0
# Shares of the documents after which time passes while users work: outcomes that are not known are looked into then.
LEAPS = (0.25, 0.5, 0.75)
LEAP_SECONDS = 9 * 60.0
# Several times what a run takes on two cores.
LIMIT_SECONDS = 600.0
LIMIT_SECONDS_PER_DOCUMENT = 3.0

# Small envelopes, so that a drain has some. Who waits for a free process waits for the server and not for contingency,
# so there is one for each user.
OUTAGE_SIZES = Sizes(envios=(3, 2), workers=plan.USERS)


def chaos(env: Env, result_file: Path) -> int:
    """Write and print the result; 1 on any difference."""
    began = time.monotonic()
    LOG.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=LOG / "chaos-run.log", filemode="w", level=logging.INFO, format="%(asctime)s %(message)s"
    )
    chosen, has_queue = read_plan(), read_queue()
    planned = f"{len(chosen.acts)} outages" if chosen.acts else f"{len(chosen.mishaps)} mishaps"
    planned += ", jobs by queue_job" if has_queue else ""
    say(f"  {chosen.scenario}: {chosen.documents} documents, {planned}, SEED={chosen.seed}")
    sizes = OUTAGE_SIZES if chosen.acts else Sizes()
    with locked(RUN / "chaos.lock"), opened(env, chosen.documents, sizes, has_queue) as stage:
        say(f"  stage       ready  ({time.monotonic() - began:.1f} s)")
        # A run that hangs says where and fails, instead of waiting for somebody to look.
        faulthandler.dump_traceback_later(LIMIT_SECONDS + LIMIT_SECONDS_PER_DOCUMENT * chosen.documents, exit=True)
        result = run(stage, chosen)
        faulthandler.cancel_dump_traceback_later()
    result["seconds"] = round(time.monotonic() - began, 1)
    write_json(result_file, result)
    say(json.dumps(result, indent=2, ensure_ascii=False))
    return 1 if result["problems"] else 0


def read_plan() -> plan.Plan:
    scenario = os.environ.get("SCENARIO") or "faults"
    if scenario not in plan.SCENARIOS:
        raise Stop(f"SCENARIO is one of {', '.join(plan.SCENARIOS)}.")
    try:
        documents = int(os.environ.get("N") or 200)
        seed = os.environ.get("SEED") or "1"
        number = random.SystemRandom().randrange(1_000_000) if seed == "random" else int(seed)
    except ValueError:
        raise Stop("N is a number, SEED is a number or `random`.") from None
    if documents < plan.LEAST[scenario]:
        raise Stop(f"N is at least {plan.LEAST[scenario]} here: there must be room for every kind of mishap.")
    return plan.make(scenario, documents, number)


def read_queue() -> bool:
    given = os.environ.get("QUEUE") or ""
    if given not in ("", queue.QUEUE):
        raise Stop(f"QUEUE is {queue.QUEUE}, or not given: then Odoo's scheduler does everything.")
    return bool(given)


def run(stage: Stage, chosen: plan.Plan) -> dict:
    gate = Gate()
    clock = Clock(stage, gate)
    people = People(stage, chosen.seed)
    aftermath = Aftermath(stage, clock, people)
    play = play_outages if chosen.acts else play_mishaps
    crowd, figures, problems = play(stage, chosen, gate, aftermath)
    problems += crowd.problems()
    if not aftermath.reach(crowd.documents):
        problems.append("the system did not come to rest")
    say(f"  rest        {clock.moved / 3600:.1f} hours have passed, {aftermath.turns} turns")
    books = snapshot.take(stage)
    issued = len({document.move_id for document in books.documents})
    if issued != crowd.documents:
        problems.append(f"{issued} invoices have a document, {crowd.documents} were to be issued")
    findings = compare.compare(books)
    if chosen.acts:
        kept = snapshot.take_incidents(stage)
        incidents.compare_incidents(kept, books, findings)
        figures |= report.describe_incidents(kept, findings, stage.database.value(snapshot.DRAINED))
    if stage.has_queue:
        figures |= queue.figures(stage.database)
        problems += queue.find_problems(figures["jobs"])
    uploads = [
        upload
        for company in stage.told["companies"]
        for upload in stage.sii.call("GET", f"ledger?issuer={company['rut']}")["uploads"]
    ]
    return {
        "scenario": chosen.scenario,
        "seed": chosen.seed,
        **report.describe(books, findings, uploads),
        **figures,
        "people": dict(sorted(people.pressed.items())),
        "again": crowd.again(),
        "odoo_starts": stage.odoo_starts,
        "hours": round(clock.moved / 3600, 1),
        "problems": problems + findings.problems,
    }


def play_mishaps(stage: Stage, chosen: plan.Plan, gate: Gate, aftermath: Aftermath):
    """Let everything go wrong while users issue; return them, figures of the result, and problems."""
    crowd = Crowd(chosen, [User(stage, gate, number, tasks) for number, tasks in enumerate(chosen.work)])
    disturber = Disturber(stage, chosen.mishaps, lambda: crowd.progress)
    # The SII takes its time between receiving an envelope and its verdict.
    stage.sii.call("POST", "settings", delays={"registered": 1, "schema": 1, "firma": 1, "final": 6})
    disturber.start()
    storm(crowd, aftermath)
    say(f"  issued      {chosen.documents} documents")
    missing = late_mishaps(crowd, aftermath, disturber)
    disturber.stop()
    say(f"  calm        {sum(disturber.happened.values())} mishaps")
    problems = [disturber.problem] if disturber.problem else []
    problems += [f"{name} never happened" for name in missing]
    figures = {"faults": dict(sorted(disturber.happened.items())), "kills": dict(sorted(disturber.kills.items()))}
    return crowd, figures, problems


def play_outages(stage: Stage, chosen: plan.Plan, gate: Gate, aftermath: Aftermath):
    """Take the SII away and bring it back while users issue; return as `play_mishaps`."""
    script, presses = Script(), Presses()
    users = [OutageUser(stage, gate, number, chosen, script, presses) for number in range(plan.USERS)]
    crowd = Crowd(chosen, users)
    crowd.start()
    play = Play(stage, chosen, aftermath, users, script)
    play.perform()
    return crowd, play.figures() | report.describe_presses(presses), play.all_problems() + presses.problems()


def storm(crowd: Crowd, aftermath: Aftermath) -> None:
    """Let the users work; now and then time passes and the jobs run beside them."""
    crowd.start()
    leaps = list(LEAPS)
    while crowd.at_work:
        if leaps and crowd.progress >= leaps[0]:
            leaps.pop(0)
            aftermath.pass_time(LEAP_SECONDS)
        time.sleep(0.2)


def late_mishaps(crowd: Crowd, aftermath: Aftermath, disturber: Disturber) -> list[str]:
    """Go on until everything of the plan has happened; return what has not."""
    until = time.monotonic() + LATE_SECONDS
    while disturber.waiting() and disturber.is_alive() and not crowd.problems() and time.monotonic() < until:
        crowd.issue_more()
        aftermath.turn()
    return sorted(Counter(disturber.waiting()))
