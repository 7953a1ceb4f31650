# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64

from odoo import api, fields, models

from ..libs import archive_layout
from ..libs.archive_store import ArchiveError
from .archive_messages import tell
from .dte_backup import XML_DECLARATION
from .dte_backup_file import OWN_ERRORS, FileCopy, is_signed


class DteBackup(models.Model):
    """Re-reading both copies of a document and repairing one from the other."""

    _inherit = "dte.backup"

    check_state = fields.Selection(
        [("ok", "Intact"), ("repaired", "Repaired"), ("single", "One copy only"), ("damaged", "Damaged")],
        string="Last Check",
        readonly=True,
    )
    check_code = fields.Char(readonly=True)
    check_message = fields.Char(string="Found", compute="_compute_check_message")
    checked_at = fields.Datetime(string="Checked On", readonly=True)

    _to_check = models.Index("(company_id, checked_at NULLS FIRST, id)")
    _damaged = models.Index("(company_id) WHERE check_state = 'damaged'")

    @api.depends("check_code")
    @api.depends_context("lang")
    def _compute_check_message(self):
        for backup in self:
            backup.check_message = backup.check_code and tell(self.env, backup.check_code)

    def action_check_now(self):
        """Check these rows and their files now and tell the result."""
        self._check_manager()
        self.check_access("read")
        # sudo: managers see the archive, its own code writes it
        backups = self.sudo()
        findings = backups._check()
        damaged = backups.filtered(lambda backup: backup.check_state == "damaged")
        repaired = backups.filtered(lambda backup: backup.check_state == "repaired")
        names = "\n".join(f"{finding['name']}: {tell(self.env, finding['code'])}" for finding in findings[:20])
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._(
                    "%(count)s checked, %(repaired)s repaired, %(damaged)s damaged",
                    count=len(backups),
                    repaired=len(repaired),
                    damaged=len(damaged),
                ),
                "message": names,
                "type": "danger" if damaged else "warning" if findings else "success",
                "sticky": bool(findings),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _check(self) -> list[dict]:
        """Check rows and files, repair, and note the result on the rows. Return what was found, `{code, name}`."""
        findings = []
        for company, backups in self.grouped("company_id").items():
            store = backups._reachable_store(company, findings)
            documents = backups._documents() if store else {}
            for backup in backups:
                state, code = backup._check_one(store, documents.get(backup.id, self.env["dte.document"]))
                backup.write({"check_state": state, "check_code": code, "checked_at": fields.Datetime.now()})
                if code and code != "archive_target_unset":
                    findings.append({"code": code, "name": backup.display_name})
        return findings

    def _reachable_store(self, company, findings: list):
        """Return the store of the copies, None when there is none or it cannot be reached, which is a finding."""
        try:
            store = company._dte_archive_store()
            if store:
                store.check()
        except ArchiveError as error:
            findings.append({"code": error.code, "name": company.display_name, "params": error.params})
            return None
        return store

    def _check_one(self, store, document) -> tuple[str, str | bool]:
        """Return state and code of one row."""
        self.ensure_one()
        row, key = self._row_xml(), self.file_key or self._place().key
        try:
            stored = self._stored(store, key) if store else b""
        except ArchiveError:
            store, stored = None, b""
        copies = (row, stored, self._attached_xml())
        intact = next((xml for xml in copies if self._fits(xml)), b"")
        if not intact:
            return "damaged", "archive_row_damaged"
        if not is_signed(intact):
            return "damaged", "archive_signature_invalid"
        code = False
        if row != intact:
            self.write({"xml_content": base64.b64encode(intact)})
            code = "archive_repaired_row"
        self._repair_attachment(intact)
        if not store:
            return ("repaired", code) if code else ("single", "archive_target_unset")
        if not self._is_copied():
            # The copying job owns it; what keeps it from all files is told once, for the company.
            own = self.file_error in OWN_ERRORS and self.file_error
            return ("repaired", code) if code else ("single", own)
        return self._check_file(store, key, intact, stored, document, code)

    def _check_file(self, store, key: str, intact: bytes, stored: bytes, document, code) -> tuple[str, str | bool]:
        try:
            companion = archive_layout.read_sidecar(self._stored(store, archive_layout.sidecar_of(key)))
            if stored != intact or companion.get("sha256") != self.sha256:
                copy = FileCopy(self.id, key, self.sha256, intact, self._sidecar(document))
                self._write_copy(store, copy)
                code = code or "archive_repaired_file"
        except ArchiveError as error:
            return "single", error.code
        return ("repaired" if code else "ok"), code

    def _repair_attachment(self, intact: bytes):
        """Write the invoice's attachment again where its file is gone or changed; one that was deleted stays so."""
        if self.attachment_id and self._attached_xml() != intact:
            self.attachment_id.raw = XML_DECLARATION + intact
