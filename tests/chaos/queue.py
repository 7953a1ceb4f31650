# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A run with OCA's job runner (`QUEUE=queue_job`): how Odoo is started, when the runner rests, what it has done."""

from __future__ import annotations

QUEUE = "queue_job"
# Jobs at the same time, of all companies. Each needs a process of Odoo, besides those that serve users.
CAPACITY = 2
OPTIONS = ("--load", "base,rpc,web,queue_job")
VARIABLES = {"ODOO_QUEUE_JOB_CHANNELS": f"root:{CAPACITY}"}

# A job at work holds its row of queue_job_lock; one whose process died does not.
STARTED = "SELECT count(*) FROM queue_job WHERE state = 'started'"
DEAD = """
SELECT queue_job_id FROM queue_job_lock WHERE queue_job_id IN (SELECT id FROM queue_job WHERE state = 'started')
FOR NO KEY UPDATE SKIP LOCKED
"""
# A job that has begun to begin holds its row and waits for us: only what waits is moved.
SHIFT = "UPDATE queue_job SET eta = eta - %s * interval '1 second' WHERE eta IS NOT NULL AND state = 'pending'"
DUE = """
SELECT count(*) FROM queue_job
WHERE state IN ('enqueued', 'started') OR state = 'pending' AND (eta IS NULL OR eta <= now() AT TIME ZONE 'UTC')
"""
# Whatever is said on this channel, the runner looks around: for jobs whose process died as well.
POKE = "SELECT pg_notify('queue_job', 'look')"
DONE = """
SELECT count(*) FILTER (WHERE state = 'done')::int AS done, count(*) FILTER (WHERE state = 'failed')::int AS failed,
    coalesce(sum(served) FILTER (WHERE method_name = '_dte_job_send'), 0)::int AS documents_sent,
    coalesce(sum(served) FILTER (WHERE method_name = '_dte_job_ask'), 0)::int AS envelopes_asked
FROM (
    SELECT state, method_name, CASE state WHEN 'done' THEN result::int END AS served
    FROM queue_job WHERE model_name = 'res.company'
) AS jobs
"""


def rests(cursor) -> bool:
    """Keep jobs from beginning until the cursor's transaction ends; False when one is at work."""
    cursor.execute("LOCK TABLE queue_job IN SHARE MODE")
    cursor.execute(STARTED)
    started = cursor.fetchone()["count"]
    cursor.execute(DEAD)
    return started == len(cursor.fetchall())


def figures(database) -> dict:
    """Return what chaos.json shows of the jobs."""
    return {"queue": QUEUE, "jobs": dict(database.select(DONE)[0])}


def find_problems(jobs: dict) -> list[str]:
    """Say whether the runner was at work: without it the scheduler does everything, and the run proves nothing."""
    if not jobs["done"]:
        return ["the job runner did nothing"]
    if not jobs["documents_sent"] + jobs["envelopes_asked"]:
        return ["no job of the runner found anything to do"]
    return []
