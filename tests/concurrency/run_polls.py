# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: work as one of the server's cron workers does, until no envelope is due.

Writes its pid to PID_FILE before it begins, and the seconds of each run of the job to RESULT_FILE at its end.
With a GO_FILE it waits for that file and runs once without the scheduler, as a job of a queue does beside it; the
result is then how many it asked about.
"""

import json
import os
import time
from pathlib import Path

RUNS = 1000


def main(env):
    Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    if "GO_FILE" in os.environ:
        Path(os.environ["RESULT_FILE"]).write_text(json.dumps(ask_beside(env, Path(os.environ["GO_FILE"]))))
        return
    seconds = []
    for _run in range(RUNS):
        if not count_due(env):
            break
        began = time.monotonic()
        env["ir.cron"]._process_jobs(env.cr.dbname)
        seconds.append(time.monotonic() - began)
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(seconds))


def ask_beside(env, go):
    env.cr.rollback()
    while not go.exists():
        time.sleep(0.01)
    return env["dte.envio"]._ask_due()


def count_due(env):
    env.cr.rollback()
    env.cr.execute("SELECT count(*) FROM dte_envio WHERE state = 'sent' AND next_poll_date <= now() AT TIME ZONE 'UTC'")
    return env.cr.fetchone()[0]


main(env)  # noqa: F821 - Odoo's shell defines it
