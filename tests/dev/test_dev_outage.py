# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""That `make chaos SCENARIO=outage` can fail: doctored records, slow presses and wrong openings are found out."""

import socket
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.chaos import lookout, outage_users, outages, plan
from tests.chaos.compare import Books, Document, Findings, Held
from tests.chaos.incidents import Episode, Incidents, Pending, compare_incidents
from tests.chaos.presses import Press, Presses

KEYS = {number: ("76543210-3", 33, number) for number in (1, 2, 3)}
TRACK = {1: "0250000001", 2: "0250000001", 3: "0250000002"}


def document(number, **values):
    good = {"state": "accepted", "track_id": TRACK[number], "tracks": (TRACK[number],)}
    return Document(**{"id": number, "key": KEYS[number], **good, **values})


def held(number, **values):
    return Held(**{"key": KEYS[number], "state": "accepted", "track_id": TRACK[number], **values})


def row(number, **values):
    return Pending(**{"episode": 7, "document": number, "track_id": TRACK[number], **values})


def good():
    return Incidents([Episode(7, held=3, uploaded=3)], [row(1), row(2), row(3)], frozenset((1, 2, 3)))


def counts(incidents, documents=None, at_sii=None):
    findings = Findings()
    books = Books(documents or [document(number) for number in KEYS], at_sii or [held(number) for number in KEYS])
    compare_incidents(incidents, books, findings)
    return dict(findings.counts)


def test_records_that_agree_have_no_finding():
    assert counts(good()) == {}


@pytest.mark.parametrize("values", [{"held": 4}, {"uploaded": 2}, {"failed": 1}, {"waiting": 1}])
def test_a_number_that_is_not_the_ledgers_differs(values):
    incidents = good()
    incidents.episodes[0] = replace(incidents.episodes[0], **values)
    assert counts(incidents) == {"incident_differs": 1}


@pytest.mark.parametrize("values", [{"ended": False}, {"automatic": False}, {"drill": True}])
def test_a_record_of_another_kind_differs(values):
    incidents = good()
    incidents.episodes[0] = replace(incidents.episodes[0], **values)
    assert counts(incidents) == {"incident_differs": 1}


@pytest.mark.parametrize("state", ["held", "released", "failed"])
def test_a_row_that_was_left_behind_differs(state):
    incidents = good()
    incidents.pending[0] = row(1, state=state)
    assert counts(incidents) == {"incident_differs": 1}


def test_another_track_id_than_the_ledgers_differs():
    incidents = good()
    incidents.pending[0] = row(1, track_id=TRACK[3])
    # Its row, and the number that is counted by track ids.
    assert counts(incidents) == {"incident_differs": 2}


def test_the_track_id_of_a_refused_copy_differs():
    copies = [held(number) for number in KEYS] + [held(1, state="rejected", track_id=TRACK[3])]
    assert counts(good(), at_sii=copies) == {}
    incidents = good()
    incidents.pending[0] = row(1, track_id=TRACK[3])
    assert counts(incidents, at_sii=copies) == {"incident_differs": 2}


def test_a_document_that_is_not_at_the_sii_was_not_uploaded():
    assert counts(good(), at_sii=[held(2), held(3)]) == {"incident_differs": 2}


def test_a_track_id_may_be_missing_only_where_the_document_has_none():
    incidents = good()
    incidents.pending[0] = row(1, track_id="")
    assert counts(incidents) == {"incident_differs": 2}
    documents = [document(1, track_id="", tracks=()), document(2), document(3)]
    assert counts(incidents, documents) == {}


def test_what_was_held_and_what_is_recorded_is_the_same():
    assert counts(replace(good(), seen=frozenset((1, 2)))) == {"incident_differs": 1}
    incidents = good()
    incidents.pending.pop()
    incidents.episodes[0] = replace(incidents.episodes[0], held=2, uploaded=2)
    assert counts(incidents) == {"incident_differs": 1}


def test_a_document_stands_once_in_a_record():
    incidents = good()
    incidents.pending.append(row(1))
    incidents.episodes[0] = replace(incidents.episodes[0], held=4, uploaded=4)
    assert counts(incidents) == {"incident_differs": 1}


def test_a_contingency_that_goes_on_is_not_at_rest():
    assert counts(replace(good(), not_ended=1)) == {"not_at_rest": 1}


# -- presses --


def test_a_slow_press_and_an_error_in_contingency_are_problems():
    presses = Presses()
    presses.add(Press("refused", "user-1", is_open=True, seconds=1.99))
    presses.add(Press("refused", "user-1", is_open=False, seconds=30.0, problem="UserError"))
    assert presses.problems() == []
    presses.add(Press("refused", "user-1", is_open=True, seconds=2.0))
    presses.add(Press("hung", "user-1", is_open=True, seconds=0.1, problem="UserError"))
    assert len(presses.problems()) == 2
    assert presses.longest() == 2.0
    assert presses.figures() == {
        "before_contingency": {"presses": 1, "max_s": 30.0, "p95_s": 30.0},
        "hung": {"presses": 1, "max_s": 0.1, "p95_s": 0.1},
        "refused": {"presses": 2, "max_s": 2.0, "p95_s": 2.0},
    }


# -- the lookout --


class Watched:
    """A database that answers what the test says; calls are those of company 1."""

    def __init__(self):
        self.open, self.calls, self.at_once, self.left = {}, [], [], []

    def run(self, _statement):
        """The lookout installs its notes."""

    def value(self, _statement, _company):
        return len(self.calls)

    def select(self, statement, *values):
        if statement == lookout.SWITCHES:
            return [{"company_id": company, "enabled": True, "breaker": state} for company, state in self.open.items()]
        if statement == lookout.CALLS:
            company, after = values
            return self.calls[after:] if company == 1 else []
        return self.left if statement == lookout.LEFT else self.at_once


@pytest.fixture
def watched(monkeypatch):
    database = Watched()
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(lookout.time, "monotonic", lambda: now.seconds)
    companies = [{"id": 1, "rut": "76543210-3"}, {"id": 2, "rut": "77654321-7"}]
    watcher = lookout.Lookout(SimpleNamespace(database=database, told={"companies": companies}))

    def look(*outcomes, service="upload", seconds=0.0):
        database.calls += [{"service": service, "outcome": outcome} for outcome in outcomes]
        now.seconds += seconds
        watcher._look()
        return watcher.problems

    return SimpleNamespace(database=database, look=look, watcher=watcher)


def test_contingency_opens_after_the_threshold_and_no_later(watched):
    assert watched.look("timeout", "connection", "unavailable") == []
    watched.database.open = {1: "open"}
    assert watched.look(seconds=1) == []
    assert watched.watcher.opened == {1: 1}
    assert watched.watcher.slowest == 1


def test_uploads_alone_are_a_cause_too(watched):
    for _time in range(3):
        watched.look("timeout")
        watched.look("ok", service="envelope_status")
    watched.database.open = {1: "open"}
    assert watched.look() == []


def test_contingency_that_does_not_open_is_a_problem(watched):
    watched.look("timeout", "timeout", "timeout")
    assert len(watched.look(seconds=lookout.OPEN_SECONDS + 1)) == 1


@pytest.mark.parametrize(
    "outcomes", [("timeout", "timeout"), ("timeout", "ok", "timeout", "timeout"), ("validation",) * 5]
)
def test_contingency_that_opens_without_its_cause_is_a_problem(watched, outcomes):
    watched.look(*outcomes)
    watched.database.open = {1: "open"}
    assert len(watched.look()) == 1


def test_failed_calls_of_another_company_are_no_cause(watched):
    watched.look("timeout", "timeout", "timeout")
    watched.database.open = {1: "open", 2: "open"}
    assert len(watched.look()) == 1


def test_failed_calls_before_the_breaker_was_closed_are_no_cause(watched):
    watched.look("timeout", "timeout", "timeout")
    for states in ({1: "open"}, {1: "closed"}, {}, {1: "open"}):
        watched.database.open = states
        watched.look()
    assert len(watched.watcher.problems) == 1


def test_two_envelopes_at_once_are_a_problem(watched):
    watched.database.at_once = [{"company_id": 1, "count": 2}]
    assert len(watched.look()) == 1


def test_an_end_with_documents_held_is_a_problem(watched):
    watched.database.left = [{"company_id": 1, "count": 2}]
    assert len(watched.look()) == 1


# -- the plan and the line --


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("documents", [60, 150, 300])
def test_every_kind_of_outage_is_played_and_every_document_issued(documents, seed):
    made = plan.make("outage", documents, seed)
    assert made == plan.make("outage", documents, seed)
    kinds, drains = Counter(act.kind for act in made.acts), Counter(act.drain for act in made.acts if act.drain)
    assert kinds["refused"] and kinds["flapping"] and kinds["one_company"] and kinds["hung"] + kinds["dropped"]
    assert drains["outage"] and drains["kill_during_upload"] + drains["kill_accepted"]
    if documents >= outages.MEDIUM:
        assert kinds["hung"] and kinds["dropped"] and set(drains) == set(outages.DRAINS)
    for tasks in made.work:
        parts = outage_users.share_out(list(tasks), len(made.acts))
        assert len(parts) == len(made.acts) * len(outage_users.PARTS)
        assert Counter(task for part in parts for task in part) == Counter(tasks)


@pytest.mark.parametrize("seed", range(20))
def test_notes_come_after_what_they_correct_in_parts_too(seed):
    made = plan.make("outage", 60, seed)
    for tasks in made.work:
        seen = set()
        for part in outage_users.share_out(tasks, len(made.acts)):
            for order in (order for task in part for order in task.orders):
                assert not order.origin or order.origin in seen
                seen.add(order.ref)


class OpenFaults:
    """A simulator that only closes its port."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def arm(self, spec):
        if spec["kind"] == "refuse":
            self.listener.close()
        return [0]

    def call(self, method, _action):
        if method == "DELETE" and self.listener.fileno() < 0:
            host, port = self.url.removeprefix("http://").split(":")
            self.listener = socket.create_server((host, int(port)))
        return {"fired": {"kill": 1}}


def test_a_line_refuses_or_drops_and_is_mended():
    faults = OpenFaults()
    line = outages.Line(SimpleNamespace(sii=faults, url=faults.url))
    address = faults.listener.getsockname()
    for way, error in (("refused", ConnectionRefusedError), ("dropped", TimeoutError)):
        line.cut(way)
        with pytest.raises(error):
            socket.create_connection(address, timeout=0.3)
        line.mend()
        socket.create_connection(address, timeout=5).close()
    assert line.kills == 2
    faults.listener.close()


def test_nobody_listens_at_a_dead_end():
    dead_end = outages.DeadEnd()
    host, port = dead_end.url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
    dead_end.close()
