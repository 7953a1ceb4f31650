# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How fast documents go from "to send" to "sent", in a real database and over a real socket.

The simulator answers at once and looks at the documents only after the last upload, so that its work is not measured.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from dev import databases, simulator
from dev import env as environment
from dev.common import LOG, RUN, tail

SCRIPT = Path(__file__).parent / "deliver.py"

FLOORS = {"delivery_batching_factor": 5.0}
MEANING = {
    "delivery_batched_docs_s": 'documents per second from "to send" to "sent", 50 in an envelope',
    "delivery_single_docs_s": "the same, one in an envelope, with one token for all",
    "delivery_batching_factor": "how much faster the first is",
    "delivery_batched_uploads": "uploads used for it",
    "delivery_single_uploads": "the same, one by one",
    "delivery_batched_logins": "logins used for it",
    "delivery_single_logins": "the same, one by one",
}


def measure(documents: int) -> dict[str, float]:
    """Return the figures of so many documents of each kind."""
    env = environment.load()
    log = LOG / "bench-delivery.log"
    LOG.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.scratch(env, "bench") as database,
        simulator.running(env, "bench-simulator", RUN / "bench-simulator") as url,
    ):
        result = Path(folder) / "result.json"
        variables = {"DOCUMENTS": str(documents), "DTE_SIMULATOR_URL": url, "RESULT_FILE": str(result)}
        code = databases.run_script(env, database, SCRIPT, log, **variables)
        if code or not result.exists():
            raise SystemExit(f"Nothing could be delivered (exit code {code}).\n{tail(log, 40)}\nFull log: {log}")
        found = json.loads(result.read_text())
    figures = {}
    for kind, one in found.items():
        figures[f"delivery_{kind}_docs_s"] = documents / one["seconds"]
        figures[f"delivery_{kind}_uploads"] = float(one["uploads"])
        figures[f"delivery_{kind}_logins"] = float(one["logins"])
    factor = figures["delivery_batched_docs_s"] / figures["delivery_single_docs_s"]
    return figures | {"delivery_batching_factor": factor}
