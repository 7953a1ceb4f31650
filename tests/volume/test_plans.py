# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What jobs and screens ask stays quick in a company with 1,000,000 documents."""

import json
import os
from pathlib import Path

import pytest

from dev import databases
from dev import env as environment
from dev.common import RUN

# The first test fills the tables.
pytestmark = pytest.mark.timeout(1200)

HERE = Path(__file__).parent
LARGE = ("dte_document", "dte_envio", "dte_contingency_pending", "dte_sii_call", "dte_failed_queue", "dte_backup")
CLAIMS = {
    "claim_fresh": "dte_document_due",
    "claim_retry": "dte_document_retry_due",
    "claim_held": "dte_document_held",
}
# What is asked in every turn or at every posting may not read more than it needs, however many wait or were issued.
FREQUENT = (
    "claim_fresh",
    "claim_retry",
    "has_due",
    "has_due_retries",
    "has_held",
    "claim_held",
    "breaker",
    "last_used_in_range",
)
# Rows read by one of them, envelopes of 50 and notes that wait taken into account.
FEW = 500
# An index that is read from end to end is no better than the table.
MANY = 30_000
# What the screens show is counted: each of the 43,000 open documents once, by their index alone.
COUNTED = {"dte_document_open_live": 45_000}
MILLISECONDS = 50
# What people and monitors wait for is measured as a whole.
SCREENS = ("overview", "health", "alerts")
SECONDS = 1.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    result, log = folder / "plans.json", folder / "explain.log"
    code = databases.run_script(
        environment.load(), os.environ["DTE_DATABASE"], HERE / "explain.py", log, RESULT_FILE=str(result)
    )
    assert code == 0, log.read_text()
    found = json.loads(result.read_text())
    (RUN / "volume.json").write_text(json.dumps(found["seconds"], indent=1))
    return found


@pytest.fixture(scope="module")
def plans(measured):
    return measured["plans"]


def walk(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from walk(part)


def scans(query):
    return [node for node in walk(query["plan"]) if "Relation Name" in node]


def rows_read(node):
    return (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]


def is_claim(tables):
    return "dte_document" in tables and "dte_document_dte_envio_rel" not in tables


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_use_their_partial_index(plans, claim):
    # The drain looks for halves of envelopes, and at their documents, before it claims.
    first = next(query for query in plans[claim] if is_claim({node["Relation Name"] for node in scans(query)}))
    assert CLAIMS[claim] in [node.get("Index Name") for node in scans(first)], first["plan"]
    # The index also gives the order: nothing is sorted.
    assert "Sort" not in [node["Node Type"] for node in walk(first["plan"])], first["plan"]


def test_nothing_reads_a_whole_table(plans):
    whole = [
        (name, query["query"])
        for name, queries in plans.items()
        for query in queries
        for node in scans(query)
        if node["Relation Name"] in LARGE
        and (node["Node Type"] == "Seq Scan" or rows_read(node) > COUNTED.get(node.get("Index Name"), MANY))
    ]
    assert not whole


@pytest.mark.parametrize("name", FREQUENT)
def test_few_rows_are_read(plans, name):
    for query in plans[name]:
        assert sum(rows_read(node) for node in scans(query)) <= FEW, query


def test_every_query_of_a_job_is_quick(plans):
    slow = [
        (name, query["milliseconds"], query["query"])
        for name, queries in plans.items()
        if name not in SCREENS
        for query in queries
        if query["milliseconds"] >= MILLISECONDS
    ]
    assert not slow


@pytest.mark.parametrize("name", SCREENS)
def test_nobody_waits(measured, name):
    assert measured["seconds"][name] < SECONDS


def test_the_open_documents_are_counted_in_their_index(plans):
    for name in SCREENS:
        indexes = [node.get("Index Name") for query in plans[name] for node in scans(query)]
        assert "dte_document_open_live" in indexes, indexes
