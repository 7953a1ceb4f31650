# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make test [PART=...]`: run the parts of the suite one after the other and print what came out."""

from __future__ import annotations

import contextlib
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from dev import databases, odoo_test_log, simulator
from dev.common import LOG, ROOT, RUN, Stop, locked, say, tail, write_json
from dev.env import Env

PART_LIMIT_SECONDS = 1800
ADDON_TESTS = ROOT / databases.ADDON / "tests"
# Run at once, each with its own database and simulator: the addon's tests take longest and keep one core busy.
ODOO_LOTS = 2
BROWSER_TAGS = f"dte_browser/{databases.ADDON}"
# What is sent and asked must come out the same where queue_job does it.
SAME_TESTS = ("TestJobs", "TestAsync", "TestReconcile", "TestPoll", "TestSplit", "TestStatus", "TestQueue", "TestNotes")
QUEUE_TAGS = ",".join(
    [f"*/{databases.QUEUE_ADDON}", *(f"/{databases.ADDON}:{name}" for name in SAME_TESTS), "-dte_browser", "-external"]
)


@dataclass
class Result:
    """One line of the table. `problem` is set when the run itself went wrong."""

    part: str
    tests: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: str = ""

    @property
    def good(self) -> bool:
        return not self.failed and not self.problem


def run_tests(env: Env, part: str = "") -> int:
    """Run one part or all; print the failures and a table, write .run/test.json. 1 when anything failed."""
    if part and part not in PARTS:
        raise Stop(f"PART={part} is not one of {', '.join(PARTS)}.")
    results = []
    for name in [part] if part else [name for name in PARTS if name not in ON_REQUEST]:
        missing, run = PARTS[name]
        if reason := missing():
            say(f"{name}: {reason}, nothing to run")
            continue
        with locked(RUN / f"test-{name}.lock"):
            results.append(timed(env, name, run))
    return report(results)


def timed(env: Env, name: str, run: Callable[[Env, str], Result]) -> Result:
    say(f"{name}: running (log: .run/log/{name}*.log)")
    began = time.monotonic()
    try:
        result = run(env, name)
    except Stop as problem:
        say(str(problem))
        result = Result(name, problem=str(problem).partition("\n")[0])
    result.seconds = round(time.monotonic() - began, 1)
    if result.good and result.tests - result.skipped <= 0:
        result.problem = "no test ran"
    return result


def report(results: list[Result]) -> int:
    say(f"\n{'part':<12}{'tests':>7}{'failed':>8}{'skipped':>9}{'seconds':>9}  result")
    for result in results:
        verdict = "ok" if result.good else f"FAILED {result.problem}".rstrip()
        say(f"{result.part:<12}{result.tests:>7}{result.failed:>8}{result.skipped:>9}{result.seconds:>9.1f}  {verdict}")
    write_json(RUN / "test.json", {"parts": [{**asdict(one), "ok": one.good} for one in results]})
    skipped = sum(one.skipped for one in results)
    # A part that broke before it could count anything is one failure, so that the total never looks green.
    failed = sum(one.failed or int(not one.good) for one in results)
    passed = max(sum(one.tests - one.failed - one.skipped for one in results), 0)
    say(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if results and all(one.good for one in results) else 1


def run_part(command: list[str], log: Path, variables: dict[str, str], cwd: Path) -> int:
    """Exit code of a test program whose output goes to `log`. Raises Stop when it takes too long."""
    LOG.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        try:
            return subprocess.run(
                command,
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=PART_LIMIT_SECONDS,
            ).returncode
        except subprocess.TimeoutExpired:
            raise Stop(f"stopped after {PART_LIMIT_SECONDS} s\n{tail(log)}") from None


def run_pytest(env: Env, name: str, variables: dict[str, str]) -> Result:
    log, counts = LOG / f"{name}.log", LOG / f"{name}.xml"
    counts.unlink(missing_ok=True)
    command = [env.python, "-m", "pytest", f"tests/{name}", "--timeout", "300", "--junitxml", str(counts)]
    code = run_part([*command, "-o", "junit_family=xunit2"], log, variables, ROOT)
    if code:
        say(log.read_text(encoding="utf-8", errors="replace"))
    # 0 all passed, 1 some failed, 5 none collected (found by the count); anything else broke the run itself.
    problem = "" if code in (0, 1, 5) else f"pytest ended with code {code}"
    if not counts.exists():
        return Result(name, problem=problem or "pytest wrote no result")
    suite = ElementTree.parse(counts).getroot().find("testsuite")  # noqa: S314 (pytest wrote it just now)
    number = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    return Result(name, number["tests"], number["failures"] + number["errors"], number["skipped"], problem=problem)


def pure(env: Env, name: str) -> Result:
    """Without Odoo on Python's path, so that nothing here can lean on it."""
    return run_pytest(env, name, env.variables(odoo=False))


def with_odoo(env: Env, name: str) -> Result:
    return run_pytest(env, name, env.variables())


@contextlib.contextmanager
def simulated(env: Env, name: str) -> Iterator[dict[str, str]]:
    """A simulator for the time of the block; gives the variable that names it ({} while there is none)."""
    if not simulator.exists():
        yield {}
        return
    with simulator.running(env, f"{name}-simulator", RUN / "test-simulator" / name) as url:
        yield {"DTE_SIMULATOR_URL": url}


def concurrency(env: Env, name: str) -> Result:
    """With a fresh database (DTE_DATABASE) and a simulator (DTE_SIMULATOR_URL)."""
    with databases.scratch(env, name) as database, simulated(env, name) as variables:
        return run_pytest(env, name, env.variables(DTE_DATABASE=database, **variables))


def volume(env: Env, name: str) -> Result:
    """With a fresh database (DTE_DATABASE), which the tests fill."""
    with databases.scratch(env, name) as database:
        return run_pytest(env, name, env.variables(DTE_DATABASE=database))


def odoo(env: Env, name: str) -> Result:
    """The addon's tests, their files dealt out into lots that run side by side."""
    files = sorted(ADDON_TESTS.glob("test_*.py"), key=lambda path: (-path.read_text("utf-8").count("def test_"), path))
    lots = [lot for lot in (files[number::ODOO_LOTS] for number in range(ODOO_LOTS)) if lot]

    def run(number: int) -> Result:
        return run_odoo(env, f"{name}_{number + 1}", tags_of(lots[number]))

    with ThreadPoolExecutor(len(lots)) as pool:
        results = list(pool.map(run, range(len(lots))))
    return Result(
        name,
        *(sum(getattr(one, key) for one in results) for key in ("tests", "failed", "skipped")),
        problem="; ".join(f"{one.part}: {one.problem}" for one in results if one.problem),
    )


def tags_of(files: list[Path]) -> str:
    """Odoo's selection of all tests in these files but those with a browser."""
    # '*' takes in tests that are not tagged `standard`: without it they would silently never run.
    return ",".join([*(f"*/{databases.ADDON}/tests/{path.name}" for path in files), "-dte_browser", "-external"])


def browser(env: Env, name: str) -> Result:
    result = run_odoo(env, name, BROWSER_TAGS)
    if result.skipped:
        # The set-up installed a browser, so a skip means that it did not start and nothing was looked at.
        result.problem = result.problem or "skipped tests"
    return result


def queue(env: Env, name: str) -> Result:
    return run_odoo(env, name, QUEUE_TAGS, databases.QUEUE_ADDON)


def run_odoo(env: Env, name: str, tags: str, addon: str = databases.ADDON) -> Result:
    log = LOG / f"{name}.log"
    with databases.scratch(env, name, addon) as database, simulated(env, name) as variables:
        command = databases.serve_command(env, database, None, "--test-tags", tags, "--stop-after-init")
        # -u, because without it the tests tagged at_install are never run.
        command += ["-u", databases.ADDON, "--screenshots", str(LOG / "screenshots")]
        code = run_part(command, log, env.variables(**variables), RUN)
    text = log.read_text(encoding="utf-8", errors="replace")
    outcome = odoo_test_log.count(text)
    errors = odoo_test_log.problems(text)
    if errors:
        say(errors)
    problem = ""
    if not outcome.finished:
        problem = f"Odoo ended early, code {code}"
        say(tail(log))
    elif not outcome.failed and (code or errors):
        problem = f"exit code {code}" if code else "errors in the log outside the tests"
    return Result(name, outcome.tests, outcome.failed, outcome.skipped, problem=problem)


def no_folder(name: str) -> Callable[[], str]:
    return lambda: "" if any((ROOT / "tests" / name).rglob("*.py")) else f"there is no tests/{name}"


def no_odoo_tests() -> str:
    return "" if any(ADDON_TESTS.glob("test_*.py")) else f"there is no {databases.ADDON}/tests"


def no_browser_tests() -> str:
    tagged = any("dte_browser" in path.read_text(encoding="utf-8") for path in ADDON_TESTS.rglob("*.py"))
    return "" if tagged else "no test is tagged dte_browser"


# name: (why there is nothing to run, or an empty text; how to run it)
PARTS = {
    "libs": (no_folder("libs"), pure),
    "simulator": (no_folder("simulator"), pure),
    "odoo": (no_odoo_tests, odoo),
    "queue": (no_odoo_tests, queue),
    "browser": (no_browser_tests, browser),
    "concurrency": (no_folder("concurrency"), concurrency),
    "dev": (no_folder("dev"), with_odoo),
    "firstday": (no_folder("firstday"), with_odoo),
    "volume": (no_folder("volume"), volume),
}
# Parts that run only when they are asked for by name.
ON_REQUEST = ("volume",)
