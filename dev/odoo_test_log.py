# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Read what Odoo's test runner wrote: how many tests ran, and the failures."""

from __future__ import annotations

import re
from dataclasses import dataclass

# odoo.tests.result writes it once per database, at the end of the run.
TOTAL = re.compile(r"odoo\.tests\.result: (\d+) failed, (\d+) error\(s\) of (\d+) tests when loading database")
RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (?P<level>[A-Z]+) \S+ (?P<logger>\S+): (?P<text>.*)")
SKIPPED = re.compile(r"skipped (?P<test>.+?) : ")
FAILED = re.compile(r"(?:FAIL|ERROR): (?:Subtest )?(?P<test>setUpClass \(.*?\)|tearDownClass \(.*?\)|\S+)")
# A browser test was over and its page was being closed while something still loaded: says nothing about the test.
HARMLESS = re.compile(r"(Error|Exception) received after termination: ")
METHOD = re.compile(r"\w[\w.]*\.test\w*")


@dataclass(frozen=True)
class Outcome:
    """Counts of one run, a test counted once however many of its subtests failed.

    A class that failed or was skipped as a whole counts as one test. `finished` is False when Odoo ended without its
    closing line (a crash, a database that did not load).
    """

    tests: int
    failed: int
    skipped: int
    finished: bool


def count(log: str) -> Outcome:
    failed, skipped, total = set(), set(), None
    for record in filter(None, map(RECORD.match, log.splitlines())):
        logger, text = record["logger"], record["text"]
        if closing := TOTAL.match(f"{logger}: {text}"):
            total = closing
        elif logger.startswith(("odoo.addons.", "odoo.tests.suite")):
            if found := SKIPPED.match(text):
                skipped.add((logger, found["test"]))
            elif record["level"] == "ERROR" and (found := FAILED.match(text)):
                failed.add((logger, found["test"]))
    if not total:
        return Outcome(0, len(failed), len(skipped), finished=False)
    whole_classes = sum(1 for _, test in failed | skipped if not METHOD.fullmatch(test))
    # A failure that could not be read above must still turn the run red.
    reported = int(total[1]) + int(total[2])
    return Outcome(int(total[3]) + whole_classes, len(failed) or reported, len(skipped), finished=True)


def problems(log: str) -> str:
    """The records of level ERROR and CRITICAL, each with its traceback."""
    kept = []
    keep = False
    for line in log.splitlines():
        if record := RECORD.match(line):
            error = record["level"] in ("ERROR", "CRITICAL")
            keep = error and record["logger"] != "odoo.tests.result" and not HARMLESS.match(record["text"])
        if keep:
            kept.append(line)
    return "\n".join(kept)
