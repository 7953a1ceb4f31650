# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""That a red run is never shown as a green one."""

import json

import pytest

from dev import odoo_test_log, run_tests
from dev.run_tests import Result

STAMP = "2026-01-02 03:04:05,678 99"
TESTS = "odoo.addons.l10n_cl_dte.tests.test_x"
FAILING = f"""
{STAMP} INFO db {TESTS}: Starting TestX.test_good ...
{STAMP} INFO db {TESTS}: Starting TestX.test_subtests ...
{STAMP} ERROR db {TESTS}: FAIL: Subtest TestX.test_subtests (i=1)
Traceback (most recent call last):
AssertionError: 1 != 0
{STAMP} ERROR db {TESTS}: FAIL: Subtest TestX.test_subtests (i=2)
Traceback (most recent call last):
AssertionError: 2 != 0
{STAMP} INFO db {TESTS}: skipped TestX.test_later : not today
{STAMP} INFO db odoo.tests.suite: skipped setUpClass (odoo.addons.l10n_cl_dte.tests.test_x.TestNot) : no way
{STAMP} ERROR db odoo.tests.suite: ERROR: setUpClass (odoo.addons.l10n_cl_dte.tests.test_x.TestBroken)
Traceback (most recent call last):
KeyError: 'x'
{STAMP} INFO db odoo.modules.loading: 90 modules loaded
{STAMP} ERROR db odoo.tests.result: 2 failed, 1 error(s) of 3 tests when loading database 'db'
"""
GREEN = f"{STAMP} INFO db odoo.tests.result: 0 failed, 0 error(s) of 12 tests when loading database 'db' \n"


def test_tests_are_counted_once_and_broken_classes_too():
    # good, subtests (failed), later (skipped), TestNot (skipped as a whole), TestBroken (failed as a whole)
    assert odoo_test_log.count(FAILING) == odoo_test_log.Outcome(tests=5, failed=2, skipped=2, finished=True)
    assert odoo_test_log.count(GREEN) == odoo_test_log.Outcome(tests=12, failed=0, skipped=0, finished=True)


def test_a_failure_in_a_form_that_is_not_known_still_counts():
    log = GREEN.replace("0 error(s)", "1 error(s)")
    assert odoo_test_log.count(log).failed == 1


def test_a_log_without_the_closing_line_is_not_finished():
    assert not odoo_test_log.count(FAILING.replace("odoo.tests.result", "odoo.something")).finished
    assert not odoo_test_log.count("").finished


def test_problems_are_the_errors_with_their_tracebacks():
    shown = odoo_test_log.problems(FAILING)
    assert "KeyError: 'x'" in shown
    assert "AssertionError: 2 != 0" in shown
    assert "Starting" not in shown
    assert odoo_test_log.problems(GREEN) == ""
    late = f"{STAMP} ERROR db {TESTS}.TestX.test_y.browser: Error received after termination: AssetsLoadingError\n at\n"
    assert odoo_test_log.problems(late) == ""


@pytest.fixture
def run_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(run_tests, "RUN", tmp_path)
    return tmp_path


def test_no_test_in_a_part_that_exists_is_a_failure():
    assert run_tests.timed(None, "x", lambda env, name: Result(name)).problem == "no test ran"
    assert run_tests.timed(None, "x", lambda env, name: Result(name, 2, 0, 2)).problem == "no test ran"
    assert run_tests.timed(None, "x", lambda env, name: Result(name, 2, 0, 1)).good


@pytest.mark.parametrize(
    ("results", "code", "closing"),
    [
        ([Result("a", 3), Result("b", 2, skipped=1)], 0, "4 passed, 0 failed, 1 skipped"),
        ([Result("a", 3, failed=1)], 1, "2 passed, 1 failed, 0 skipped"),
        ([Result("a", 3), Result("b", problem="crash")], 1, "3 passed, 1 failed, 0 skipped"),
        ([], 1, "0 passed, 0 failed, 0 skipped"),
    ],
)
def test_the_verdict(run_folder, capsys, results, code, closing):
    assert run_tests.report(results) == code
    assert capsys.readouterr().out.splitlines()[-1] == closing
    parts = json.loads((run_folder / "test.json").read_text())["parts"]
    assert all(part["ok"] for part in parts) == (code == 0 or not parts)


def test_a_browser_test_that_was_skipped_looked_at_nothing(monkeypatch):
    monkeypatch.setattr(run_tests, "run_odoo", lambda env, name, tags: Result(name, tests=2, skipped=1))
    assert not run_tests.browser(None, "browser").good
    assert run_tests.odoo(None, "odoo").good


def test_the_lots_hold_every_file_once_and_each_counts(monkeypatch):
    taken = {}

    def run(env, name, tags):
        taken[name] = tags.split(",")
        return Result(name, tests=3, failed=int(name == "odoo_2"), problem="crash" if name == "odoo_2" else "")

    monkeypatch.setattr(run_tests, "run_odoo", run)
    result = run_tests.odoo(None, "odoo")
    files = [tag.rpartition("/")[2] for tags in taken.values() for tag in tags if tag.startswith("*")]
    assert sorted(files) == sorted(path.name for path in run_tests.ADDON_TESTS.glob("test_*.py"))
    assert all(tags[-2:] == ["-dte_browser", "-external"] for tags in taken.values())
    assert (result.part, result.tests, result.failed, result.problem) == ("odoo", 6, 1, "odoo_2: crash")
