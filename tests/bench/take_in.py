# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: how long documents of another system take to be imported, from a ZIP of single files.

Reads DOCUMENTS and writes the seconds as JSON to RESULT_FILE.
"""

import dataclasses
import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

from odoo.addons.l10n_cl_dte.libs import issue
from odoo.addons.l10n_cl_dte.tests.simulated import Simulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.made import begin, prepare


def main(env):
    simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
    begin(simulator)
    count = int(os.environ["DOCUMENTS"])
    move = prepare(env, simulator, count + 1)
    file = env["ir.attachment"].create({"name": "todo.zip", "raw": pack(move, count)})
    wizard = env["dte.import"].create({"file_ids": [(6, 0, file.ids)]})
    env.cr.commit()
    env.invalidate_all()
    started = time.monotonic()
    while wizard.state != "done":
        wizard.action_import()
    seconds = time.monotonic() - started
    if wizard.imported != count:
        raise SystemExit(f"Only {wizard.imported} were imported: {wizard.line_ids[:3].mapped('reason')}")
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps({"seconds": seconds}))


def pack(move, count):
    """Return a ZIP of documents as another system would have issued them: they have no row here."""
    company = move.company_id
    credentials, caf = company._dte_credentials(), move.dte_document_id.caf_id._parsed()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folio in range(2, count + 2):
            dte = dataclasses.replace(move._dte_values(move.dte_folio), folio=folio)
            signed = issue.issue(dte, caf, credentials, company._dte_now())
            archive.writestr(f"{folio}.xml", b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + signed.xml)
    return target.getvalue()


main(env)  # noqa: F821 - Odoo's shell defines it
