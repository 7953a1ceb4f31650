# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: fill the tables of a big company and explain what jobs and screens ask the database.

Every query on the large tables that one of them runs is recorded while it runs and explained after it, in the same
transaction. Writes as JSON to RESULT_FILE: plans (by job or screen) and seconds (what people and monitors wait for).
"""

import json
import os
import re
import threading
import time
from pathlib import Path
from unittest.mock import patch

RUT = "76543210-3"
TABLES = re.compile(
    r"\b(dte_document|dte_envio|dte_contingency_pending|dte_sii_call|dte_failed_queue|dte_backup|dte_daily)\b"
)
TIMES = 3
ROWS = Path(__file__).parent / "fill.sql"


def main(env):
    company = env.company
    company.partner_id.write(
        {
            "country_id": env.ref("base.cl").id,
            "l10n_latam_identification_type_id": env.ref("l10n_cl.it_RUT").id,
            "vat": RUT,
        }
    )
    company.dte_environment = "simulator"
    env.flush_all()
    env.cr.execute(ROWS.read_text(encoding="utf-8"), {"company": company.id, "rut": RUT})
    # A copy of the archive in a folder that nobody writes to here.
    env.cr.execute("UPDATE res_company SET dte_archive_url = 'file:///nowhere' WHERE id = %s", [company.id])
    env.cr.execute(
        "UPDATE account_journal SET dte_enabled = true"
        " WHERE id = (SELECT min(id) FROM account_journal WHERE company_id = %s)", [company.id])  # fmt: skip
    env.cr.commit()
    env.cr.execute("ANALYZE")
    env.cr.commit()
    env.invalidate_all()
    env["dte.daily"]._sum_up(company)
    plans = {}
    for name, job in {**jobs(env, company), **screens(env, company)}.items():
        env.cr.commit()
        env.invalidate_all()
        queries = [query for query in record(env, job) if query.startswith("SELECT")]
        if not queries:
            raise SystemExit(f"{name} asks nothing about a large table.")
        plans[name] = [explain(env, query) for query in queries]
        env.cr.rollback()
    seconds = {name: measure(env, screen) for name, screen in screens(env, company).items()}
    seconds["sum_up"] = measure(env, lambda: env["dte.daily"]._sum_up(company))
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps({"plans": plans, "seconds": seconds}))


def jobs(env, company):
    """Return what is explained, by name; nothing of it changes a row."""
    envios, documents = env["dte.envio"], env["dte.document"]
    contingency = env["dte.contingency"].search([("company_id", "=", company.id)])
    episodes = env["dte.contingency.episode"]
    caf = env["dte.caf"].search([("folio_to", "=", 1_000_000), ("dte_type", "=", "33")])
    return {
        "claim_fresh": lambda: claim(envios, company, envios._claim_fresh),
        "claim_retry": lambda: claim(envios, company, envios._claim_retry),
        "claim_half": lambda: envios.search(envios._planned_domain(company), order="id", limit=1),
        "foreign_due": lambda: envios._foreign_due(company),
        "has_due": lambda: envios._has_due(company, retries=True),
        "has_due_retries": lambda: has_only_retries(env, company),
        "count_due": lambda: count_due(env, company),
        "reconcile_due": lambda: only(envios, "_reconcile", lambda _envio, _clients: None, envios._reconcile_due),
        "check_status": lambda: only(
            envios, "_poll_safely", lambda _envio, _clients: (True, False), envios._cron_check_status
        ),
        "tell_left_over": lambda: only(
            documents, "_tell_and_commit", lambda _documents: None, documents._tell_left_over
        ),
        "settle_left_over": lambda: only(envios, "_settle", lambda *_args: None, envios._settle_left_over),
        "claim_held": lambda: claim(envios, company, envios._claim_held),
        "has_held": contingency._has_held,
        "hold_due": lambda: hold_due(env, contingency),
        "hold_due_in_drain": lambda: hold_due(env, contingency, "closed"),
        "hold_asked": lambda: hold_asked(env, contingency, company),
        "contingency_status": contingency.get_status,
        "contingency_record": lambda: episodes.browse(101).read(["held_count", "uploaded_count"]),
        "breaker": lambda: contingency._is_down(company, "simulator", False),
        "last_used_in_range": caf._last_used_in_range,
        "last_used_in_ranges": lambda: env["dte.caf"].search([])._last_used_in_ranges(),
    }


def screens(env, company):
    """Return what people and monitors wait for, by name."""
    return {
        "overview": env["dte.dashboard"].get_overview,
        "health": env["dte.health"]._report,
        "alerts": lambda: env["dte.alert"]._evaluate(company),
    }


def measure(env, screen):
    """Return the seconds of one call, the middle one of some, with nothing in Odoo's memory."""
    taken = []
    for _number in range(TIMES):
        env.invalidate_all()
        started = time.monotonic()
        screen()
        env.flush_all()
        taken.append(time.monotonic() - started)
        env.cr.rollback()
    return sorted(taken)[TIMES // 2]


def claim(envios, company, method):
    """Claim as a sender does, up to the bytes, which these rows do not have."""
    loaded = []
    only(
        envios,
        "_load",
        lambda _envio, _company, documents, _credentials: loaded.append(documents),
        lambda: method(company, None),
    )
    if [len(documents) for documents in loaded] != [company.dte_envio_size]:
        raise SystemExit(f"The claim does not find what was made for it: {loaded}")


def hold_due(env, contingency, breaker="open"):
    """Find the first batch to be put aside; the transaction is rolled back."""
    contingency.write({"enabled": True, "breaker": breaker})
    held = []
    with patch.object(type(env["ir.cron"]), "_commit_progress", lambda *_args, **_options: 0):
        only(env["dte.document"], "_hold", lambda documents, _contingency: held.append(len(documents)),
             env["dte.document"]._hold_due)  # fmt: skip
    if held != [500]:
        raise SystemExit(f"Those to be held are not found: {held}")


def hold_asked(env, contingency, company):
    """A person presses Send DTE for a page of documents that wait."""
    contingency.write({"enabled": True, "breaker": "open"})
    page = env["dte.document"].search([("state", "=", "retry")], order="id desc", limit=80)
    with patch.object(type(env["ir.cron"]), "_commit_progress", lambda *_args, **_options: 0):
        only(env["dte.document"], "_hold", lambda _documents, _contingency: None, lambda: page._hold_asked(company))


def has_only_retries(env, company):
    env.cr.execute("UPDATE dte_envio SET state = 'processed' WHERE state = 'planned'")
    env.cr.execute("UPDATE dte_document SET queued_at = NULL WHERE state = 'to_send'")
    if not env["dte.envio"]._has_due(company, retries=True):
        raise SystemExit("The retries that were made are not found.")


def count_due(env, company):
    with patch.object(type(env["dte.envio"]), "_due_companies", lambda *_args: company):
        env["dte.envio"]._count_due(retries=True)


def only(model, method, instead, job):
    """Run a job that does nothing in place of one method."""
    with patch.object(type(model), method, instead):
        job()


def record(env, job):
    """Run a job and return its queries on large tables, as the database got them."""
    queries = []

    def hook(cr, *_args):
        text = cr._obj.query.decode().strip()
        if TABLES.search(text):
            queries.append(text)

    thread = threading.current_thread()
    thread.query_hooks = [hook]
    try:
        job()
    finally:
        thread.query_hooks = []
    return queries


def explain(env, query):
    """Return the plan of a query that has been run before, so that its pages are in memory.

    It is the fastest of some: the machine may have other work.
    """
    runs = []
    for _number in range(TIMES):
        env.cr.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
        runs += env.cr.fetchone()[0]
    found = min(runs, key=lambda run: run["Planning Time"] + run["Execution Time"])
    return {"query": query, "milliseconds": found["Planning Time"] + found["Execution Time"], "plan": found["Plan"]}


main(env)  # noqa: F821 - Odoo's shell defines it
