# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The result as JSON."""

from __future__ import annotations

from tests.chaos.compare import Books, Findings
from tests.chaos.incidents import KIND, Incidents
from tests.chaos.presses import Presses

MISTAKES = ("lost", "duplicates", "wrong_status", "archive_differs", "not_at_rest")
REPEATED = "RPT"


def describe(books: Books, findings: Findings, uploads: list[dict]) -> dict:
    """Return the counts that chaos.json shows."""
    live = [document for document in books.documents if not document.superseded]
    prevented = [upload for upload in uploads if upload["status"] == 99 or upload["state"] == REPEATED]
    return {
        "documents": len(live),
        "accepted": sum(document.state in ("accepted", "objected") for document in live),
        "rejected": sum(document.state == "rejected" for document in live),
        **{kind: findings.counts[kind] for kind in MISTAKES},
        "uploads": len(uploads),
        "duplicates_prevented": len(prevented),
        "corrected": sum(document.superseded for document in books.documents),
    }


def describe_incidents(incidents: Incidents, findings: Findings, envelopes: int) -> dict:
    """Return what chaos.json shows of the records of contingency.

    :param envelopes: uploads with which held documents arrived
    """
    return {
        KIND: findings.counts[KIND],
        "episodes": len(incidents.episodes),
        "held": len(incidents.pending),
        "drain_envelopes": envelopes,
    }


def describe_presses(presses: Presses) -> dict:
    """Return what chaos.json shows of the time that Send DTE took."""
    return {"send_in_contingency_max_s": round(presses.longest(), 2), "sends": presses.figures()}
