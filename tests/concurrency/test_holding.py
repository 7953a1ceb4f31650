# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""In contingency nobody waits for those who write its record, and no request is run again."""

import json
import os
from pathlib import Path

import pytest

from dev import databases
from dev import env as environment

HERE = Path(__file__).parent
RUT = "78123457-5"
SECONDS = 2


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holding")
    result, log = folder / "result.json", folder / "hold.log"
    with databases.scratch(environment.load(), "holding") as database:
        code = databases.run_script(
            environment.load(),
            database,
            HERE / "hold_invoices.py",
            log,
            RUT=RUT,
            DTE_SIMULATOR_URL=os.environ["DTE_SIMULATOR_URL"],
            RESULT_FILE=str(result),
        )
    assert code == 0, log.read_text()
    return json.loads(result.read_text())


@pytest.mark.parametrize("when", ["meanwhile", "overtaken"])
def test_a_document_is_held_at_once_while_the_record_is_written(results, when):
    found = results[when]
    assert (found["state"], found["requests"]) == ("contingency", 1)
    assert found["seconds"] < SECONDS
