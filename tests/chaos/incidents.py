# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The records of contingency against the ledger: what they say was held, sent and when. Pure: data in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tests.chaos.compare import VALID, Books, Findings

KIND = "incident_differs"


@dataclass(frozen=True)
class Episode:
    """What the record of one contingency tells, as people see it."""

    id: int
    ended: bool = True
    automatic: bool = True
    drill: bool = False
    held: int = 0
    uploaded: int = 0
    failed: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Pending:
    """A row of such a record: a document that was held, by id."""

    episode: int
    document: int
    state: str = "uploaded"
    track_id: str = ""


@dataclass
class Incidents:
    """Everything that is compared.

    :ivar seen: ids of the documents that the run's own database saw in contingency
    :ivar not_ended: companies that are in contingency, or whose breaker is not closed
    """

    episodes: list[Episode]
    pending: list[Pending]
    seen: frozenset[int]
    not_ended: int = 0


def compare_incidents(incidents: Incidents, books: Books, findings: Findings) -> None:
    """Add what differs to the findings of the books."""
    rows = defaultdict(list)
    for row in incidents.pending:
        rows[row.episode].append(row)
    at_sii = _uploads_by_document(books)
    for episode in incidents.episodes:
        _compare_episode(episode, rows[episode.id], at_sii, findings)
    for times in Counter((row.episode, row.document) for row in incidents.pending).values():
        if times > 1:
            findings.add(KIND, f"a document stands {times} times in one record")
    _compare_seen(incidents, findings)
    if incidents.not_ended:
        findings.add("not_at_rest", f"{incidents.not_ended} companies are still in contingency")


def _uploads_by_document(books: Books) -> dict[int, set[int | None]]:
    """Return the track ids under which the SII has each document, by its id in Odoo; None where nobody could learn it.

    That is the id of the valid copy, where there is one and its id is known.
    """
    copies = defaultdict(list)
    for one in books.held:
        copies[one.key].append(one)
    found = {}
    for document in books.documents:
        own = copies[document.key]
        vague = document.repairs_unknown or not document.track_id
        valid = [one for one in own if one.state in VALID and not document.superseded]
        tracks = {int(one.track_id) for one in (own if vague else valid or own)}
        found[document.id] = tracks | {None} if tracks and not document.track_id else tracks
    return found


def _compare_episode(episode: Episode, rows: list[Pending], at_sii: dict[int, set], findings: Findings):
    arrived = 0
    for row in rows:
        tracks, own = at_sii.get(row.document, set()), int(row.track_id) if row.track_id else None
        arrived += own in tracks
        if row.state != "uploaded":
            findings.add(KIND, f"record {episode.id}: document {row.document} is {row.state}")
        elif own not in tracks:
            findings.add(KIND, f"record {episode.id}: document {row.document} has track id {own}, not one of {tracks}")
    told = {
        "held": (episode.held, len(rows)),
        "sent": (episode.uploaded, arrived),
        "with problems": (episode.failed, 0),
        "waiting": (episode.waiting, 0),
    }
    for what, (said, counted) in told.items():
        if said != counted:
            findings.add(KIND, f"record {episode.id} says {said} documents {what}, there are {counted}")
    if not episode.ended or not episode.automatic or episode.drill:
        findings.add(KIND, f"record {episode.id} is not that of a contingency that opened and ended by itself")


def _compare_seen(incidents: Incidents, findings: Findings):
    recorded = {row.document for row in incidents.pending}
    for document in sorted(incidents.seen - recorded):
        findings.add(KIND, f"document {document} was held, and no record says so")
    for document in sorted(recorded - incidents.seen):
        findings.add(KIND, f"document {document} stands in a record, and was never held")
