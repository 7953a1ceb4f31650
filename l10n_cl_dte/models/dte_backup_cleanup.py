# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging

from odoo import api, models
from odoo.tools import SQL

from ..libs import archive_layout
from ..libs.archive_store import ArchiveError
from .dte_archive_triggers import deletable_from_sql

_logger = logging.getLogger(__name__)

# Documents deleted between two commits.
BATCH = 50


class DteBackup(models.Model):
    """Deleting what is past its term, for companies that ask for it."""

    _inherit = "dte.backup"

    @api.model
    def _cron_cleanup(self):
        """Delete archived documents past the term of their company, oldest first. Commits."""
        companies = self.env["res.company"].search([("dte_archive_cleanup", "=", True)])
        left = self.env["ir.cron"]._commit_progress(remaining=len(companies))
        for company in companies:
            count = BATCH
            while left and count == BATCH:
                rows = self.env.execute_query(
                    SQL(
                        "SELECT b.id FROM dte_backup b JOIN res_company c ON c.id = b.company_id"
                        " WHERE b.company_id = %s AND %s <= CURRENT_DATE ORDER BY b.issue_date LIMIT %s",
                        company.id,
                        deletable_from_sql(),
                        BATCH,
                    )
                )
                count = len(rows)
                try:
                    self.browse([row[0] for row in rows])._delete_past_term()
                except ArchiveError as error:
                    _logger.warning("dte_archive_cleanup_stopped company=%s code=%s", company.id, error.code)
                    self.env.cr.rollback()
                    break
                left = self.env["ir.cron"]._commit_progress()
            left = self.env["ir.cron"]._commit_progress(1)

    def _delete_past_term(self):
        """Delete the files, then the rows: what a kill leaves is a row without file, which the next run takes.

        The document's row stays, and its seal, so that folios and chain still hold.

        :raises ArchiveError: when the files cannot be deleted
        """
        if not self:
            return
        store = self.company_id._dte_archive_store()
        for backup in self if store else self.browse():
            key = backup.file_key or backup._place().key
            store.remove(key)
            store.remove(archive_layout.sidecar_of(key))
        self.attachment_id.unlink()
        self.env["dte.document"].search([("backup_id", "in", self.ids)]).write({"backup_id": False})
        _logger.info("dte_archive_cleanup rows=%s", len(self))
        self.unlink()
