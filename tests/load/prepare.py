# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: a company with documents in flight, more of them in stock, and posted invoices for the users.

Reads LOAD_FILE, a JSON with `in_flight`, `stock`, `invoices` (of each user), `seconds` of the run, `passwords` (login
to password), `archive` (a folder) and `url`; adds `moves`, the invoices of each user by login.
"""

import json
import os
import sys
from pathlib import Path

from odoo import fields
from odoo.tools import SQL

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_user

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, issue_many, prepare

# How long the SII thinks about an envelope.
VERDICT_SECONDS = 5
POST_AT_ONCE = 40


def main(env):
    path = Path(os.environ["LOAD_FILE"])
    told = json.loads(path.read_text())
    simulator = Simulator(told["url"])
    begin(simulator)
    only_own_jobs(env)
    logins, many = list(told["passwords"]), told["in_flight"] + told["stock"]
    own = told["invoices"] * len(logins)
    first = prepare(env, simulator, own + many + 1)
    first.company_id.dte_archive_url = told["archive"]
    # Signed before all the others, so that the job takes them as soon as users have pressed.
    moves = post_copies(first, own + 1)
    told["moves"] = {login: moves[number : own : len(logins)].ids for number, login in enumerate(logins)}
    for login, password in told["passwords"].items():
        make_user(first.company_id, login, password)
    documents = issue_many(moves[-1], many)
    put_in_flight(env, documents[: told["in_flight"]], told["seconds"])
    simulator.call("POST", "settings", delays={"registered": VERDICT_SECONDS})
    env.cr.commit()
    path.write_text(json.dumps(told))


def only_own_jobs(env):
    """Nothing but the jobs of the addon shall run beside the users."""
    own = env["ir.model.data"].search([("module", "=", "l10n_cl_dte"), ("model", "=", "ir.cron")])
    env["ir.cron"].search([("id", "not in", own.mapped("res_id"))]).active = False


def put_in_flight(env, documents, seconds):
    """Let one half wait for a verdict, which is asked for all through the run; the other half is to be sent."""
    half = len(documents) // 2
    documents[:half].queued_at = fields.Datetime.now()
    env.cr.commit()
    env["dte.envio"]._cron_send()
    env.invalidate_all()
    if set(documents[:half].mapped("state")) != {"sent"}:
        raise SystemExit(f"Not all were sent: {documents[:half].grouped('state')}")
    env.execute_query(
        SQL(
            "UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC'"
            " + %s * interval '1 s' * id / (SELECT max(id) FROM dte_envio) RETURNING id",
            seconds,
        )
    )
    documents[half:].queued_at = fields.Datetime.now()
    env.cr.commit()


def post_copies(move, count):
    """Post real invoices, some at a time, and return them. Commits."""
    invoices = move.browse()
    while len(invoices) < count:
        values = {**move.copy_data()[0], "invoice_date": move.invoice_date}
        more = invoices.create([values] * min(POST_AT_ONCE, count - len(invoices)))
        more.action_post()
        invoices |= more
        move.env.cr.commit()
        move.env.invalidate_all()
    return invoices


main(env)  # noqa: F821 - Odoo's shell defines it
