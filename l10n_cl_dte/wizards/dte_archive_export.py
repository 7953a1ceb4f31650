# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import json
import tempfile
import zipfile

from odoo import fields, models
from odoo.exceptions import UserError

from ..const import ENVIRONMENTS

# A request has two or three minutes and the memory of a worker: about 10 kB a document, a tenth of it when packed.
MAX_DOCUMENTS = 20_000
MAX_BYTES = 400_000_000
BATCH = 200


class DteArchiveExport(models.TransientModel):
    """The documents of a period as one ZIP file, with a manifest that names each with its hash."""

    _name = "dte.archive.export"
    _description = "Export of the Archive"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    environment = fields.Selection(ENVIRONMENTS, required=True, default=lambda self: self.env.company.dte_environment)
    date_from = fields.Date(string="From", required=True)
    date_to = fields.Date(string="To", required=True)
    dte_type = fields.Char(string="Type Code", help="Empty for all types.")
    zip_file = fields.Binary(readonly=True)
    zip_filename = fields.Char(readonly=True)

    def action_export(self):
        """Pack the documents and return the download."""
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        self.check_access("write")
        domain = [
            ("company_id", "=", self.company_id.id),
            ("environment", "=", self.environment),
            ("issue_date", ">=", self.date_from),
            ("issue_date", "<=", self.date_to),
        ]
        if self.dte_type:
            domain.append(("dte_type", "=", self.dte_type.strip()))
        [(count, size)] = self.env["dte.backup"]._read_group(domain, aggregates=["__count", "xml_size:sum"])
        if not count:
            raise UserError(self.env._("There are no documents in this period."))
        if count > MAX_DOCUMENTS or size > MAX_BYTES:
            raise UserError(
                self.env._(
                    "These are %(count)s documents; one file holds at most %(limit)s. Choose a shorter period.",
                    count=count,
                    limit=MAX_DOCUMENTS,
                )
            )
        backups = self.env["dte.backup"].search(domain, order="dte_type, folio, version")
        self.zip_filename = f"dte_{self.company_id.vat}_{self.date_from}_{self.date_to}.zip"
        with tempfile.TemporaryFile() as file:
            self._pack(backups, file)
            file.seek(0)
            self.zip_file = base64.b64encode(file.read())
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self._name}/{self.id}/zip_file/{self.zip_filename}?download=true",
            "target": "download",
        }

    def _pack(self, backups, file):
        """Write the ZIP: each document as archived, and manifest.jsonl with one line a document."""
        lines = []
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for start in range(0, len(backups), BATCH):
                for backup in backups[start : start + BATCH]:
                    xml = backup.restore_dte_xml()
                    name = backup._place().key
                    archive.writestr(name, xml)
                    lines.append(
                        {
                            "file": name,
                            "type": int(backup.dte_type),
                            "folio": backup.folio,
                            "version": backup.version,
                            "issuer_rut": backup.rut_emisor,
                            "issue_date": fields.Date.to_string(backup.issue_date),
                            "track_id": backup.track_id or None,
                            "sha256": hashlib.sha256(xml).hexdigest(),
                        }
                    )
                backups[start : start + BATCH].invalidate_recordset(["xml_content"])
            manifest = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            archive.writestr("manifest.jsonl", manifest.encode("utf-8"))
