# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""That `make chaos` can fail: doctored books are found out, one by one; and that its plan leaves nothing out."""

import hashlib
from collections import Counter
from dataclasses import replace

import pytest

from dev.common import Stop
from tests.chaos import archive, mishaps, plan, queue, run
from tests.chaos.compare import Books, Document, Held, compare

RUT = "76543210-3"
INVOICE, OTHER = (RUT, 33, 1), (RUT, 33, 2)


def document(key=INVOICE, **values):
    good = {"state": "accepted", "track_id": "0250000001", "tracks": ("0250000001",), "archived": b"<DTE/>"}
    return Document(**{"id": key[2], "key": key, **good, **values})


def held(key=INVOICE, state="accepted", track="0250000001", content=b"<DTE/>"):
    return Held(key, state, track, content)


def counts(documents, at_sii, **more):
    return dict(compare(Books(documents, at_sii, **more)).counts)


def test_books_that_agree_have_no_finding():
    documents = [document(), document(OTHER, state="rejected", queue_states=("success",))]
    at_sii = [held(), held(OTHER, "rejected", content=None)]
    findings = compare(Books(documents, at_sii, envelopes={1: "processed", 2: "rejected"}))
    assert (findings.problems, dict(findings.counts)) == ([], {})


@pytest.mark.parametrize("state", ["to_send", "failed"])
def test_a_document_that_nobody_has_is_lost(state):
    assert counts([document(state=state)], [])["lost"] == 1


def test_a_document_believed_to_be_accepted_is_lost_and_wrong():
    assert counts([document()], []) == {"lost": 1, "wrong_status": 1}
    assert counts([document()], [held(state="rejected")]) == {"lost": 1, "wrong_status": 1}


def test_a_document_that_odoo_forgot_is_lost():
    assert counts([document()], [held(), held(OTHER)]) == {"lost": 1}


def test_a_folio_without_a_document_is_lost():
    assert counts([document(OTHER)], [held(OTHER)]) == {"lost": 1}
    assert counts(
        [document(), document(OTHER, superseded=True), document((RUT, 33, 3))], [held(), held((RUT, 33, 3))]
    ) == {"lost": 1}


def test_a_document_valid_twice_is_a_duplicate():
    assert counts([document()], [held(), held(track="0250000002")]) == {"duplicates": 1}
    assert counts([document()], [held(state="objected"), held()])["duplicates"] == 1


def test_an_invoice_that_is_valid_under_two_folios_is_a_duplicate():
    documents = [document(move_id=7), document(OTHER, move_id=7)]
    assert counts(documents, [held(), held(OTHER)]) == {"duplicates": 1}
    assert counts([document(move_id=7), document(OTHER, move_id=8)], [held(), held(OTHER)]) == {}
    rejected = document(OTHER, move_id=7, state="rejected")
    assert counts([document(move_id=7), rejected], [held(), held(OTHER, "rejected")]) == {}


def test_a_rejected_copy_beside_the_valid_one_is_none():
    assert counts([document()], [held(state="rejected", track="0250000002"), held()]) == {}


@pytest.mark.parametrize("state", ["rejected", "objected"])
def test_another_status_than_the_ledger_is_wrong(state):
    assert counts([document(state=state)], [held()]) == {"wrong_status": 1}


def test_a_rejection_that_the_sii_never_spoke_is_wrong():
    rejected = document(state="rejected")
    assert counts([rejected], []) == {"wrong_status": 1}
    assert counts([rejected], [], refused=frozenset([250000002])) == {"wrong_status": 1}
    assert counts([rejected], [], refused=frozenset([250000001])) == {}


def test_repairs_are_compared_where_the_sii_tells_about_them():
    objected = held(state="objected")
    assert counts([document()], [objected]) == {"wrong_status": 1}
    assert counts([document(repairs_unknown=True)], [objected]) == {}
    assert counts([document(track_id="")], [objected]) == {}


def test_another_track_id_is_wrong_and_zeros_before_it_are_not():
    assert counts([document(track_id="250000001")], [held()]) == {}
    assert counts([document(track_id="250000009")], [held()]) == {"wrong_status": 1}
    assert counts([document(track_id="250000009", repairs_unknown=True)], [held()]) == {}


def test_two_live_versions_of_a_folio_are_wrong():
    assert counts([document(), replace(document(), id=2, version=2)], [held()]) == {"wrong_status": 1}


@pytest.mark.parametrize("archived", [b"<DTE />", None])
def test_an_archive_that_differs_is_found(archived):
    assert counts([document(archived=archived)], [held()]) == {"archive_differs": 1}


def test_what_seals_and_files_say_counts():
    assert counts([document()], [held()], archive_problems=["row 1 has no seal"]) == {"archive_differs": 1}


@pytest.fixture
def whole_archive(tmp_path):
    """Rows, seals and files of two documents, as they must be."""
    rows, seals, before = [], [], archive.NOTHING_BEFORE
    for number in (1, 2):
        content = b"<DTE>%d</DTE>" % number
        digest = hashlib.sha256(content).hexdigest()
        row = archive.Row(number, 1, f"33 {number}", content, digest, f"1|33|{number}|{digest}", f"2026/{number}.xml")
        own = hashlib.sha256(f"{before}|{row.identity}".encode()).hexdigest()
        seals.append(archive.Seal(1, number, row.id, row.identity, before, own))
        before = own
        rows.append(row)
        path = tmp_path / row.file_key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return rows, seals, tmp_path


def test_a_whole_archive_has_no_problem(whole_archive):
    assert archive.find_problems(*whole_archive) == []


def test_a_changed_row_is_found(whole_archive):
    rows, seals, folder = whole_archive
    rows[0] = replace(rows[0], content=b"<DTE/>")
    assert len(archive.find_problems(rows, seals, folder)) == 2  # its hash, and its file
    rows[0] = replace(rows[0], sha256=hashlib.sha256(b"<DTE/>").hexdigest(), identity="1|33|1|new")
    assert len(archive.find_problems(rows, seals, folder)) == 2  # its seal, and its file


def test_a_broken_chain_is_found(whole_archive):
    rows, seals, folder = whole_archive
    assert len(archive.find_problems(rows, seals[:1], folder)) == 1
    assert len(archive.find_problems(rows[:1], seals, folder)) == 2  # the seal and the file of nothing
    assert archive.find_problems(rows, [replace(seals[0], identity="other"), seals[1]], folder)
    assert archive.find_problems(rows, [seals[0], replace(seals[1], number=3)], folder)
    assert archive.find_problems(rows, [*seals, replace(seals[1], number=3, previous_hash=seals[1].hash)], folder)


def test_files_that_are_missing_or_differ_are_found(whole_archive):
    rows, seals, folder = whole_archive
    (folder / rows[0].file_key).unlink()
    (folder / rows[1].file_key).write_bytes(b"<DTE/>")
    (folder / "2026" / "9.xml").write_bytes(b"<DTE/>")
    assert len(archive.find_problems(rows, seals, folder)) == 3


@pytest.mark.parametrize("state", ["to_send", "sending", "sent", "unknown", "retry"])
def test_a_document_on_its_way_is_not_at_rest(state):
    assert counts([document(state=state)], [held()])["not_at_rest"] == 1


@pytest.mark.parametrize("state", ["sending", "unknown", "planned"])
def test_an_envelope_on_its_way_is_not_at_rest(state):
    assert counts([document()], [held()], envelopes={1: state}) == {"not_at_rest": 1}


@pytest.mark.parametrize("state", ["pending", "retrying"])
def test_an_open_row_of_the_queue_is_not_at_rest(state):
    assert counts([document(queue_states=(state,))], [held()]) == {"not_at_rest": 1}


def test_a_row_of_the_queue_that_contradicts_its_document_is_wrong():
    failed = document(state="failed", queue_states=("success",))
    assert counts([failed], []) == {"lost": 1, "wrong_status": 1}


def test_what_was_not_told_and_a_guard_that_is_held_are_not_at_rest():
    assert counts([document(told=False)], [held()], guards=1) == {"not_at_rest": 2}


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_holds_everything_once_and_is_the_same_for_the_same_seed(seed):
    made = plan.make("faults", 60, seed)
    assert {mishap.name for mishap in made.mishaps} == {mishap.name for mishap in mishaps.ALL}
    orders = [order for tasks in made.work for task in tasks for order in task.orders]
    assert len(orders) == len({order.ref for order in orders}) == 60
    assert set(Counter(order.dte_type for order in orders)) == {"33", "34", "56", "61"}
    assert made == plan.make("faults", 60, seed)
    assert made != plan.make("faults", 60, seed + 1)


@pytest.mark.parametrize("seed", range(20))
def test_notes_come_after_what_they_correct(seed):
    for tasks in plan.make("faults", 200, seed).work:
        seen = {}
        for order in (order for task in tasks for order in task.orders):
            assert not order.origin or seen[order.origin].verdict != "reject"
            seen[order.ref] = order


def test_names_of_mishaps_are_unique_and_every_step_is_killed():
    names = [mishap.name for mishap in mishaps.ALL]
    assert len(names) == len(set(names))
    assert {mishap.kill for mishap in mishaps.ALL} >= {
        "before_first_commit", "after_claim", "during_upload", "accepted", "before_record", "after_record",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("jobs", "problem"),
    [
        ({"done": 0, "documents_sent": 0, "envelopes_asked": 0}, "did nothing"),
        ({"done": 9, "documents_sent": 0, "envelopes_asked": 0}, "found anything"),
        ({"done": 9, "documents_sent": 1, "envelopes_asked": 0}, ""),
        ({"done": 9, "documents_sent": 0, "envelopes_asked": 1}, ""),
    ],
)
def test_a_run_without_the_job_runner_proves_nothing_about_it(jobs, problem):
    found = queue.find_problems(jobs)
    assert problem in found[0] if problem else not found


def test_the_name_of_the_queue(monkeypatch):
    for value, expected in (("", False), ("queue_job", True)):
        monkeypatch.setenv("QUEUE", value)
        assert run.read_queue() is expected
    monkeypatch.setenv("QUEUE", "celery")
    with pytest.raises(Stop):
        run.read_queue()
