# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo's books against the simulator's ledger and the archive. Pure: data in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

VALID = ("accepted", "objected")
VERDICTS = (*VALID, "rejected")
REFUSED_WHOLE = ("RSC", "RFR", "RCT", "RCO", "RCH")
TRANSIENT = {
    "dte_document": ("to_send", "contingency", "sending", "sent", "unknown", "retry"),
    "dte_envio": ("sending", "unknown", "planned"),
    "dte_failed_queue": ("pending", "retrying"),
}
# What a row of the retry ledger may say about a document in a state.
QUEUE_FITS = {"success": ("sent", *VERDICTS), "abandoned": ("failed", *VERDICTS)}


@dataclass(frozen=True)
class Document:
    """A document of Odoo. `key` is (issuer RUT, type, folio); `archived` the bytes of its archive row."""

    id: int
    key: tuple[str, int, int]
    state: str
    version: int = 1
    superseded: bool = False
    track_id: str = ""
    repairs_unknown: bool = False
    told: bool = True
    archived: bytes | None = None
    queue_states: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    move_id: int = 0


@dataclass(frozen=True)
class Held:
    """A document that the SII received with an envelope; `content` are its bytes when it is valid."""

    key: tuple[str, int, int]
    state: str
    track_id: str
    content: bytes | None = None


@dataclass
class Books:
    """Everything that is compared.

    :ivar envelopes: state of each envelope of Odoo, by id
    :ivar refused: track ids of uploads that the SII refused as a whole
    :ivar guards: liveness guards that somebody still holds
    :ivar archive_problems: sentences about seals and files
    """

    documents: list[Document]
    held: list[Held]
    envelopes: dict[int, str] = field(default_factory=dict)
    refused: frozenset[int] = frozenset()
    guards: int = 0
    archive_problems: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """Counts, and one sentence for each problem."""

    counts: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.problems.append(f"{kind}: {text}")


def compare(books: Books) -> Findings:
    findings = Findings()
    held = defaultdict(list)
    for one in books.held:
        held[one.key].append(one)
    live = [document for document in books.documents if not document.superseded]
    for document in live:
        _compare_document(document, held[document.key], books.refused, findings)
    _find_unknown_to_odoo(live, held, findings)
    _find_gaps(live, findings)
    for key, copies in held.items():
        valid = [one for one in copies if one.state in VALID]
        if len(valid) > 1:
            findings.add("duplicates", f"{_name(key)} is valid {len(valid)} times at the SII")
    _find_sold_twice(live, held, findings)
    _find_unrest(books, findings)
    for text in books.archive_problems:
        findings.add("archive_differs", text)
    return findings


def _compare_document(document: Document, copies: list[Held], refused: frozenset[int], findings: Findings):
    name = _name(document.key)
    valid = next((one for one in copies if one.state in VALID), None)
    if document.archived is None:
        findings.add("archive_differs", f"{name} has no archived bytes")
    if valid:
        _compare_valid(document, valid, name, findings)
    elif document.state in VALID:
        findings.add("wrong_status", f"{name} is {document.state} in Odoo, the SII holds no valid copy")
        findings.add("lost", f"{name} is not at the SII, and Odoo believes that it is")
    elif document.state != "rejected":
        findings.add("lost", f"{name} is not at the SII; Odoo says {document.state}")
    elif not any(one.state == "rejected" for one in copies) and not _numbers(document.tracks) & refused:
        findings.add("wrong_status", f"{name} is rejected in Odoo, the SII never rejected it")


def _compare_valid(document: Document, valid: Held, name: str, findings: Findings):
    # Without a track id nobody tells about repairs; nor does the SII for one document of a mixed envelope.
    vague = document.repairs_unknown or not document.track_id
    fits = document.state in VALID if vague else document.state == valid.state
    if not fits:
        findings.add("wrong_status", f"{name} is {document.state} in Odoo and {valid.state} at the SII")
    # Where nobody tells about repairs its envelope may be a copy that the SII rejected beside the valid one.
    if not vague and _numbers((document.track_id,)) != _numbers((valid.track_id,)):
        findings.add("wrong_status", f"{name} has track id {document.track_id}, at the SII {valid.track_id}")
    if document.archived is not None and document.archived != valid.content:
        findings.add("archive_differs", f"{name}: the archived bytes are not those that the SII holds")


def _find_unknown_to_odoo(live, held, findings):
    known = {document.key for document in live}
    for key in sorted(held.keys() - known):
        findings.add("lost", f"{_name(key)} is at the SII and not in Odoo")


def _find_sold_twice(live, held, findings):
    """An invoice that took a second folio although the document under the first one is valid."""
    valid = {key for key, copies in held.items() if any(one.state in VALID for one in copies)}
    issued = defaultdict(set)
    for document in live:
        if document.move_id and document.key in valid:
            issued[document.move_id].add(document.key)
    for keys in issued.values():
        if len(keys) > 1:
            findings.add("duplicates", f"one invoice is valid as {' and as '.join(map(_name, sorted(keys)))}")


def _find_gaps(live, findings):
    folios = defaultdict(list)
    for document in live:
        issuer, dte_type, folio = document.key
        folios[issuer, dte_type].append(folio)
    for (issuer, dte_type), taken in sorted(folios.items()):
        for folio in sorted(set(range(1, max(taken) + 1)) - set(taken)):
            findings.add("lost", f"folio {_name((issuer, dte_type, folio))} was used by nobody")
        for folio, times in Counter(taken).items():
            if times > 1:
                findings.add("wrong_status", f"{_name((issuer, dte_type, folio))} has {times} live documents")


def _find_unrest(books: Books, findings: Findings):
    for document in books.documents:
        name = _name(document.key)
        if document.superseded:
            continue
        if document.state in TRANSIENT["dte_document"]:
            findings.add("not_at_rest", f"{name} is still {document.state}")
        if not document.told:
            findings.add("not_at_rest", f"{name}: what follows from its state was not written")
        for state in document.queue_states:
            if state in TRANSIENT["dte_failed_queue"]:
                findings.add("not_at_rest", f"{name} is {state} in the retry queue")
            elif document.state not in QUEUE_FITS.get(state, (document.state,)):
                findings.add("wrong_status", f"{name} is {document.state} and {state} in the retry queue")
    for envio, state in sorted(books.envelopes.items()):
        if state in TRANSIENT["dte_envio"]:
            findings.add("not_at_rest", f"envelope {envio} is still {state}")
    if books.guards:
        findings.add("not_at_rest", f"{books.guards} liveness guards are still held")


def _numbers(tracks) -> frozenset[int]:
    return frozenset(int(track) for track in tracks if track)


def _name(key) -> str:
    issuer, dte_type, folio = key
    return f"{dte_type} {folio} of {issuer}"
