# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a run does, from a seed: which documents the users issue, and which mishaps or outages meet them when."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.chaos.mishaps import ALL, Mishap
from tests.chaos.outages import Act, make_acts

SCENARIOS = ("calm", "faults", "outage")
LEAST = {"calm": 4, "faults": 60, "outage": 40}
USERS = 6
# Users of the second company: fewer, so that the two do not have the same weight.
SECOND = (4, 5)
TYPES = ("33", "34", "61", "56")
WEIGHTS = (60, 14, 15, 11)
# Documents of each type that every run has.
SURE = 3
BULK_SHARE = 0.35


@dataclass(frozen=True)
class Order:
    """One document to issue. `origin` is the reference of the order that a note corrects."""

    ref: str
    dte_type: str
    lines: tuple[tuple[str, float, float], ...]
    customer: int
    origin: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Task:
    """What a user does in one go: some documents made, posted and sent together, perhaps asked about afterwards."""

    orders: tuple[Order, ...]
    asks: bool


@dataclass
class Plan:
    scenario: str
    seed: int
    documents: int
    work: list[list[Task]] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)


def company_of(user: int) -> int:
    return 1 if user in SECOND else 0


def make(scenario: str, documents: int, seed: int) -> Plan:
    dice = random.Random(seed)
    plan = Plan(scenario, seed, documents)
    types = [kind for kind in TYPES for _time in range(min(SURE, documents // len(TYPES)))]
    types += dice.choices(TYPES, WEIGHTS, k=documents - len(types))
    dice.shuffle(types)
    shares = [types[user::USERS] for user in range(USERS)]
    plan.work = [_work(dice, user, share) for user, share in enumerate(shares)]
    if scenario == "faults":
        plan.mishaps = _mishaps(dice, documents)
    if scenario == "outage":
        plan.acts = make_acts(dice, documents)
    return plan


def _work(dice, user, types):
    """Tasks of one user. A note corrects an invoice that she issued before, so these come first."""
    types = sorted(types, key=lambda kind: kind in ("61", "56") and dice.random() + 0.2)
    if types and types[0] in ("61", "56"):
        types[0] = "33"
    orders, free = [], {"61": [], "56": []}
    for number, kind in enumerate(types):
        order = _order(dice, f"CH{user}-{number:04d}.", kind, free)
        orders.append(order)
    tasks = []
    while orders:
        size = dice.randint(3, 7) if dice.random() < BULK_SHARE / 3 else 1
        tasks.append(Task(tuple(orders[:size]), dice.random() < 0.35))
        del orders[:size]
    return tasks


def _order(dice, ref, kind, free):
    origins = free.get(kind, ())
    if kind in free and not origins:
        kind = "33"
    lines = tuple(
        (f"Producto {dice.randint(1, 99)}", float(dice.randint(1, 12)), float(dice.randint(500, 90_000)))
        for _line in range(dice.randint(1, 4))
    )
    verdict = dice.choices(("", "object", "reject"), (88, 7, 5))[0]
    if kind in free:
        # A credit note annuls, once; a debit note adds interest.
        origin = origins.pop(dice.randrange(len(origins)))
        return Order(ref, kind, lines[:1], 0, origin, "" if verdict == "reject" else verdict)
    if verdict != "reject":
        free["61"].append(ref)
        if kind == "33":
            free["56"].append(ref)
    return Order(ref, kind, lines, dice.randrange(2), "", verdict)


def _mishaps(dice, documents):
    """Every kind once, then more at random, so that about every third document meets one."""
    chosen = list(ALL)
    frequent = [mishap for mishap in ALL if mishap.weight]
    more = max(0, documents // 3 - len(chosen))
    chosen += dice.choices(frequent, [mishap.weight for mishap in frequent], k=more)
    dice.shuffle(chosen)
    return chosen
