# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Reads what is compared: Odoo's tables by SQL, so that no code of the addon stands between, and the ledger."""

from __future__ import annotations

import base64

from tests.chaos import archive
from tests.chaos.compare import REFUSED_WHOLE, VALID, Books, Document, Held
from tests.chaos.holds import GUARD
from tests.chaos.incidents import Episode, Incidents, Pending
from tests.chaos.moments import GUARDS
from tests.chaos.stage import ARCHIVE, Stage

DOCUMENTS = """
SELECT d.*, b.xml_content, e.track_id AS current_track, array_remove(array_agg(o.track_id), NULL) AS tracks
FROM dte_document d
LEFT JOIN dte_backup b ON b.id = d.backup_id
LEFT JOIN dte_envio e ON e.id = d.envio_id
LEFT JOIN dte_document_dte_envio_rel r ON r.dte_document_id = d.id
LEFT JOIN dte_envio o ON o.id = r.dte_envio_id
GROUP BY d.id, b.id, e.id ORDER BY d.id
"""
PENDING = "SELECT episode_id, document_id, state, track_id FROM dte_contingency_pending ORDER BY id"
NOT_ENDED = "SELECT count(*) FROM dte_contingency WHERE enabled OR breaker != 'closed'"
# How many envelopes left with documents that had been held.
DRAINED = """
SELECT count(DISTINCT r.dte_envio_id) FROM dte_document_dte_envio_rel r
JOIN dte_contingency_pending p ON p.document_id = r.dte_document_id
JOIN dte_envio e ON e.id = r.dte_envio_id
WHERE e.track_id IS NOT NULL AND p.track_id = e.track_id
"""
FIGURES = ("ended_at", "automatic", "drill", "held_count", "uploaded_count", "failed_count", "waiting_count")


def take(stage: Stage) -> Books:
    held, refused = _ledger(stage)
    return Books(
        documents=_documents(stage.database),
        held=held,
        envelopes={row["id"]: row["state"] for row in stage.database.select("SELECT id, state FROM dte_envio")},
        refused=refused,
        guards=stage.database.value(GUARDS, GUARD),
        archive_problems=archive.find_problems(*archive.read(stage.database), ARCHIVE),
    )


def _documents(database) -> list[Document]:
    queue = {}
    for row in database.select("SELECT document_id, state FROM dte_failed_queue ORDER BY id"):
        queue.setdefault(row["document_id"], []).append(row["state"])
    return [
        Document(
            id=row["id"],
            key=(row["issuer_rut"], int(row["dte_type"]), row["folio"]),
            state=row["state"],
            version=row["version"],
            superseded=bool(row["superseded"]),
            track_id=row["current_track"] or "",
            repairs_unknown=bool(row["repairs_unknown"]),
            told=bool(row["told"]),
            archived=base64.b64decode(row["xml_content"]) if row["xml_content"] is not None else None,
            queue_states=tuple(queue.get(row["id"], ())[-1:]),
            tracks=tuple(row["tracks"]),
            move_id=row["move_id"] or 0,
        )
        for row in database.select(DOCUMENTS)
    ]


def _ledger(stage: Stage) -> tuple[list[Held], frozenset[int]]:
    held, refused = [], set()
    for company in stage.told["companies"]:
        ledger = stage.sii.call("GET", f"ledger?issuer={company['rut']}")
        for one in ledger["documents"]:
            path = f"document/{one['issuer']}/{one['type']}/{one['folio']}?raw=1"
            content = stage.sii.call("GET", path) if one["state"] in VALID else None
            held.append(Held((one["issuer"], one["type"], one["folio"]), one["state"], one["track_id"], content))
        refused |= {int(upload["track_id"]) for upload in ledger["uploads"] if upload["state"] in REFUSED_WHOLE}
    return held, frozenset(refused)


def take_incidents(stage: Stage) -> Incidents:
    """Read the records of contingency: their figures as a manager sees them, their rows and all else by SQL."""
    episodes = []
    for company in stage.told["companies"]:
        browser = stage.browser(next(name for name in company["users"] if name.startswith("manager")))
        browser.log_in()
        found = browser.call(
            "dte.contingency.episode", "search_read", [["company_id", "=", company["id"]]], ["id", *FIGURES]
        )
        episodes += [
            Episode(
                id=row["id"],
                ended=bool(row["ended_at"]),
                automatic=row["automatic"],
                drill=row["drill"],
                held=row["held_count"],
                uploaded=row["uploaded_count"],
                failed=row["failed_count"],
                waiting=row["waiting_count"],
            )
            for row in found
        ]
    pending = [
        Pending(row["episode_id"], row["document_id"], row["state"], row["track_id"] or "")
        for row in stage.database.select(PENDING)
    ]
    seen = stage.database.select("SELECT DISTINCT document_id FROM chaos_held")
    return Incidents(episodes, pending, frozenset(row["document_id"] for row in seen), stage.database.value(NOT_ENDED))
