# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""That `make load` can fail: slow calls, errors, and a sky without traffic are found out."""

import math

import pytest

from tests.load import run

GOOD = {
    "median_s": 0.2, "p95_s": 0.6, "errors": 0, "log_errors": 0, "calls": 230, "users": 8, "seconds": 60,
    "in_flight": 1000, "in_flight_least": 1010,
}  # fmt: skip


def call(seconds, problem=""):
    return {"move": 1, "seconds": seconds, "problem": problem}


def test_a_good_run_has_no_problem():
    assert run.find_problems(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"median_s": 1.1}, "median_s is 1.1"),
        ({"p95_s": 2.1}, "p95_s is 2.1"),
        ({"errors": 1}, "users saw 1"),
        ({"log_errors": 1}, "logged 1"),
        ({"in_flight_least": 999}, "only 999"),
        ({"calls": 119}, "too few"),
    ],
)
def test_each_thing_that_must_not_be_is_told(changed, told):
    [problem] = run.find_problems({**GOOD, **changed})
    assert told in problem


def test_figures_of_calls():
    calls = [call(number / 100) for number in range(1, 101)]
    figures = run.describe([*calls[:-1], call(1.0, "Gone")], ["login failed"], users=8)
    assert (figures["median_s"], figures["p95_s"], figures["max_s"]) == (0.5, 0.95, 1.0)
    assert (figures["send_p50_s"], figures["send_p95_s"], figures["sends"]) == (0.5, 0.95, 100)
    assert (figures["errors"], figures["error_kinds"]) == (2, {"login failed": 1, "Gone": 1})


def test_no_call_at_all_is_slow():
    figures = run.describe([], [], users=8)
    assert figures["median_s"] == figures["p95_s"] == math.inf


def test_percentiles_are_values_that_were_measured():
    assert run.percentile([3, 1, 2], 0.5) == 2
    assert run.percentile([1, 2, 3, 4], 0.95) == 4
    assert run.percentile([1], 0.5) == 1


def test_errors_in_the_log():
    met = (
        "2026-01-02 03:04:05,6 7 ERROR db odoo.sql_db: bad query: b'SELECT'\nERROR: could not serialize access due to\n"
    )
    broken = met.replace("could not serialize access due to", "relation does not exist")
    other = "2026-01-02 03:04:05,6 7 ERROR db odoo.http: Exception during request handling.\n"
    assert run.count_errors(met) == 0
    assert run.count_errors(met + broken + other) == 2


def test_sizes(monkeypatch):
    for name in ("N", "USERS", "SECONDS", "SHORT"):
        monkeypatch.delenv(name, raising=False)
    size = run.read_size()
    assert (size.in_flight, size.users, size.seconds) == (1000, 8, 60)
    assert size.invoices >= 31
    monkeypatch.setenv("SHORT", "1")
    monkeypatch.setenv("USERS", "3")
    assert (run.read_size().in_flight, run.read_size().users) == (300, 3)
    monkeypatch.setenv("N", "many")
    with pytest.raises(run.Stop, match="numbers"):
        run.read_size()
