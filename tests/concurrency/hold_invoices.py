# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: Send DTE in contingency while another transaction writes the record of the contingency.

Writes, for a press that begins and ends meanwhile and for one that the other's commit overtakes, the seconds, how often
Odoo ran the request and the state of the document to RESULT_FILE.
"""

import base64
import json
import os
import threading
import time
from pathlib import Path
from unittest.mock import patch

from odoo.service.model import retrying

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_customer, make_invoice, set_up_company

# Longer than a press may last.
TELL_SECONDS = 3


class Teller(threading.Thread):
    """Tells people about the episode; its transaction stays open until `go` is set, or for TELL_SECONDS."""

    def __init__(self, env):
        super().__init__()
        self.env = env
        self.is_writing, self.go = threading.Event(), threading.Event()

    def run(self):
        with self.env.registry.cursor() as cr:
            episodes = self.env(cr=cr)["dte.contingency.episode"]

            def tell(episode):
                episode.told_opening = True
                episode.flush_recordset()
                self.is_writing.set()
                self.go.wait(TELL_SECONDS)

            with patch.object(type(episodes), "_tell", tell):
                episodes._tell_left_over()


def main(env):
    first, second = prepare(env)
    results = {"meanwhile": press(env, first, overtaken=False), "overtaken": press(env, second, overtaken=True)}
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(results))


def prepare(env):
    simulator, rut = Simulator(os.environ["DTE_SIMULATOR_URL"]), os.environ["RUT"]
    company = env.company
    company.name = "Empresa que espera"
    env["account.chart.template"].try_loading("cl", company)
    set_up_company(company, simulator, rut)
    content = simulator.caf(rut, 33, 1, 10)
    env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": company.id})
    journal = env["account.journal"].search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
    journal.dte_enabled = True
    customer = make_customer(env, "Cliente que espera", "88888888-8")
    moves = env["account.move"]
    for _invoice in range(2):
        moves += make_invoice(journal, customer, [{"name": "Servicio", "quantity": 1, "price_unit": 1000}])
    moves.action_post()
    env["dte.contingency"]._of_or_new(company, "simulator")._begin("sii_unavailable", params={"count": 3})
    env.cr.commit()
    return moves


def press(env, move, overtaken):
    documents, teller = type(env["dte.document"]), Teller(env)
    hold, requests = documents._hold, 0

    def request():
        nonlocal requests
        requests += 1
        move.action_send_to_sii()

    def hold_later(records, *args):
        if not teller.go.is_set():
            teller.go.set()
            teller.join()
        return hold(records, *args)

    teller.start()
    teller.is_writing.wait(TELL_SECONDS)
    began = time.monotonic()
    with patch.object(documents, "_hold", hold_later if overtaken else hold):
        retrying(request, env)
        env.cr.commit()
    seconds = time.monotonic() - began
    teller.go.set()
    teller.join()
    env.invalidate_all()
    return {"seconds": seconds, "requests": requests, "state": move.dte_status}


main(env)  # noqa: F821 - Odoo's shell defines it
