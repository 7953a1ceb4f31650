# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: how long the PDF of a document takes, with its timbre and its transferable copy.

Reads DOCUMENTS and writes the seconds of each one and the bytes of the largest as JSON to RESULT_FILE. wkhtmltopdf asks
a server for the styles, so one runs beside. The first PDF, which makes them, is not counted.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import odoo.http
from odoo.service.server import ThreadedWSGIServerReloadable

from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, prepare


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    begin(simulator)
    move = prepare(env, simulator, 1)
    server = ThreadedWSGIServerReloadable("127.0.0.1", 0, odoo.http.root)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env["ir.config_parameter"].set_param("report.url", f"http://127.0.0.1:{server.server_port}")
    env.cr.commit()
    seconds, size = [], 0
    for _ in range(int(os.environ["DOCUMENTS"]) + 1):
        started = time.monotonic()
        content, _kind = env["ir.actions.report"]._render_qweb_pdf("account.account_invoices", move.ids)
        seconds.append(time.monotonic() - started)
        size = max(size, len(content))
        env.cr.commit()
    server.shutdown()
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps({"seconds": seconds[1:], "bytes": size}))


main(env)  # noqa: F821 - Odoo's shell defines it
