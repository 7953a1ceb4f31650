# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How fast documents go from "to send" to "sent", out of contingency and to paper, in a real database over a socket.

The simulator answers at once and looks at the documents only after the last upload, so that its work is not measured.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from dev import databases, simulator
from dev import env as environment
from dev.common import LOG, RUN, tail

HERE = Path(__file__).parent

# A ZIP as people have it; its bar is a minute.
IMPORTED = 500
FLOORS = {"delivery_batching_factor": 5.0}
BARS = {
    "drain_growth_mb": 150.0,
    "contingency_wizard_ms": 1000.0,
    "poll_calls_per_document": 0.1,
    "import_s_per_document": 0.12,
}
MEANING = {
    "delivery_batched_docs_s": 'documents per second from "to send" to "sent", 50 in an envelope',
    "delivery_single_docs_s": "the same, one in an envelope, with one token for all",
    "delivery_batching_factor": "how much faster the first is",
    "delivery_batched_uploads": "uploads used for it",
    "delivery_single_uploads": "the same, one by one",
    "delivery_batched_logins": "logins used for it",
    "delivery_single_logins": "the same, one by one",
    "hold_docs_s": "documents per second that contingency puts aside",
    "contingency_documents": "documents held for the next figures",
    "contingency_issue_s": "seconds that making them took, which is not measured",
    "contingency_wizard_ms": "opening the wizard with so many held, the slowest of 5",
    "contingency_status_ms": "get_status with so many held, the slowest of 5",
    "drain_docs_s": "documents per second that leave contingency, 50 in an envelope, without the pause between two",
    "drain_envelopes": "uploads used for it",
    "poll_envelopes": "envelopes of one document that are due for the next figures",
    "poll_single_docs_s": "documents per second that get their verdict, one in an envelope",
    "poll_single_calls_per_document": "calls to the SII for each of them, login included",
    "poll_docs_s": "documents per second that get their verdict, 50 in an envelope, all accepted",
    "poll_calls_per_document": "calls to the SII for each of them, login included",
    "import_s_per_document": "seconds per document of another system, from a ZIP into archive and documents",
    "drain_growth_mb": "memory of the draining process above what it needed before",
    "pdf_s": "seconds of a PDF with timbre and transferable copy; one of them is Odoo's own wait for scripts",
    "pdf_kb": "its size",
}


def measure(documents: int, held: int, envelopes: int, batches: int) -> dict[str, float]:
    """Return the figures of so many documents of each kind, of so many held ones, and of the verdicts of so many
    envelopes of one document and of 50."""
    return (
        _delivery(documents)
        | _contingency(held)
        | _verdicts(envelopes, batches)
        | _printing(5)
        | _import(min(documents, IMPORTED))
    )


def _delivery(documents: int) -> dict[str, float]:
    [found] = _run("deliver.py", DOCUMENTS=documents)
    figures = {}
    for kind, one in found.items():
        figures[f"delivery_{kind}_docs_s"] = documents / one["seconds"]
        figures[f"delivery_{kind}_uploads"] = float(one["uploads"])
        figures[f"delivery_{kind}_logins"] = float(one["logins"])
    factor = figures["delivery_batched_docs_s"] / figures["delivery_single_docs_s"]
    return figures | {"delivery_batching_factor": factor}


def _contingency(documents: int) -> dict[str, float]:
    made, drained = _run("hold.py", "drain.py", DOCUMENTS=documents)
    return {
        "hold_docs_s": documents / made["hold_seconds"],
        "contingency_documents": float(documents),
        "contingency_issue_s": made["issue_seconds"],
        "contingency_wizard_ms": drained["wizard_seconds"] * 1000,
        "contingency_status_ms": drained["status_seconds"] * 1000,
        "drain_docs_s": documents / drained["seconds"],
        "drain_envelopes": float(drained["envelopes"]),
        "drain_growth_mb": drained["growth_mb"],
    }


def _import(documents: int) -> dict[str, float]:
    [found] = _run("take_in.py", DOCUMENTS=documents)
    return {"import_s_per_document": found["seconds"] / documents}


def _printing(documents: int) -> dict[str, float]:
    [found] = _run("printing.py", DOCUMENTS=documents)
    return {"pdf_s": statistics.median(found["seconds"]), "pdf_kb": found["bytes"] / 1024}


def _verdicts(envelopes: int, batches: int) -> dict[str, float]:
    [found] = _run("poll.py", ENVELOPES=envelopes, BATCHES=batches)
    figures = {"poll_envelopes": float(envelopes)}
    for kind, name in {"single": "poll_single", "batched": "poll"}.items():
        one = found[kind]
        figures[f"{name}_docs_s"] = one["documents"] / one["seconds"]
        figures[f"{name}_calls_per_document"] = one["calls"] / one["documents"]
    return figures


def _run(*scripts: str, **sizes: int) -> list[dict]:
    """Run scripts one after the other in a fresh database with a simulator; return what each one wrote."""
    env = environment.load()
    LOG.mkdir(parents=True, exist_ok=True)
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.scratch(env, "bench") as database,
        simulator.running(env, "bench-simulator", RUN / "bench-simulator") as url,
    ):
        for script in scripts:
            log = LOG / f"bench-{Path(script).stem}.log"
            result = Path(folder) / f"{script}.json"
            variables = {name: str(size) for name, size in sizes.items()}
            variables |= {"DTE_SIMULATOR_URL": url, "RESULT_FILE": str(result)}
            code = databases.run_script(env, database, HERE / script, log, **variables)
            if code or not result.exists():
                raise SystemExit(f"{script} failed (exit code {code}).\n{tail(log, 40)}\nFull log: {log}")
            results.append(json.loads(result.read_text()))
    return results
