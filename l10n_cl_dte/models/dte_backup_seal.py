# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import hashlib
import logging

import psycopg2

from odoo import api, fields, models
from odoo.tools import SQL

from ..const import GUARD_SEAL
from .dte_archive_triggers import LEGAL_YEARS, guard_seals, identity_sql

_logger = logging.getLogger(__name__)

NOTHING_BEFORE = "0" * 64
# Rows sealed between two commits.
BATCH = 500


class DteBackupSeal(models.Model):
    """One link of the chain of a company: a hash of the archive row and of the link before it.

    A job makes the links, minutes after the rows: made while posting, each posting would wait for the one before. The
    link says by itself what it covers (`identity`), so that the chain still holds when a row is deleted after its
    legal term: the link stays, its `backup_id` becomes empty.
    """

    _name = "dte.backup.seal"
    _description = "Seal of the Electronic Document Archive"
    _order = "company_id, number desc"
    _rec_name = "number"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    number = fields.Integer(required=True, readonly=True, aggregator=False)
    backup_id = fields.Many2one("dte.backup", string="Archive", readonly=True, ondelete="set null")
    identity = fields.Char(required=True, readonly=True, help="What the seal covers: the row's identity and hash.")
    previous_hash = fields.Char(required=True, readonly=True)
    hash = fields.Char(required=True, readonly=True)

    _unique_number = models.UniqueIndex("(company_id, number)", "This seal already exists.")
    _unique_backup = models.UniqueIndex("(backup_id) WHERE backup_id IS NOT NULL", "This row is already sealed.")

    def init(self):
        guard_seals(self.env.cr)

    @api.model
    def _hash(self, previous: str, identity: str) -> str:
        return hashlib.sha256(f"{previous}|{identity}".encode()).hexdigest()

    @api.model
    def _cron_seal(self):
        """Seal every row that has no seal, whatever its id: an earlier id may have been committed later. Commits."""
        rows = self.env.execute_query(
            SQL("SELECT company_id, COUNT(*) FROM dte_backup WHERE sealed IS NOT TRUE GROUP BY company_id")
        )
        left = self.env["ir.cron"]._commit_progress(remaining=sum(count for _company, count in rows))
        for company_id, _count in rows:
            company = self.env["res.company"].browse(company_id)
            sealed = BATCH
            while left and sealed == BATCH:
                try:
                    sealed = self._seal_some(company)
                    left = self.env["ir.cron"]._commit_progress(sealed)
                except psycopg2.Error:
                    # Another worker was faster, or a row is being written: the next run takes it.
                    _logger.warning("dte_seal_skipped company=%s", company_id, exc_info=True)
                    self.env.cr.rollback()
                    break

    @api.model
    def _seal_some(self, company) -> int:
        """Seal up to BATCH rows of a company and return how many. Call it at the beginning of a transaction.

        The lock keeps others away until the commit. A worker whose snapshot is older than the last commit would count
        on from an old number: the unique index on the number stops it.
        """
        [(alone,)] = self.env.execute_query(SQL("SELECT pg_try_advisory_xact_lock(%s, %s)", GUARD_SEAL, company.id))
        if not alone:
            return 0
        self.env["dte.backup"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT b.id, %s, s.id
                  FROM dte_backup b LEFT JOIN dte_backup_seal s ON s.backup_id = b.id
                 WHERE b.company_id = %s AND b.sealed IS NOT TRUE
                 ORDER BY b.id LIMIT %s
                   FOR NO KEY UPDATE OF b SKIP LOCKED
                """,
                identity_sql(),
                company.id,
                BATCH,
            )
        )
        last = self.search([("company_id", "=", company.id)], order="number desc", limit=1)
        number, previous, links = last.number, last.hash or NOTHING_BEFORE, []
        for backup_id, identity, seal_id in rows:
            if seal_id:
                continue
            number += 1
            link = {
                "company_id": company.id,
                "number": number,
                "backup_id": backup_id,
                "identity": identity,
                "previous_hash": previous,
                "hash": self._hash(previous, identity),
            }
            previous = link["hash"]
            links.append(link)
        # sudo: seals are made by this job alone
        self.sudo().create(links)
        self.flush_model()
        self.env["dte.backup"].browse([row[0] for row in rows]).write({"sealed": True})
        return len(rows)

    @api.model
    def _find_problems(self, company) -> list[dict]:
        """Return what was removed, changed or inserted since it was sealed, as `{code, name, params}`.

        Reads the whole chain of the company in the database: about a second for some hundred thousand rows.
        """
        self.env["dte.backup"].flush_model()
        self.env["dte.document"].flush_model(["backup_id"])
        rows = self.env.execute_query(
            SQL(
                """
                WITH chain AS (
                    SELECT s.*,
                           LAG(s.hash, 1, %(nothing)s) OVER (ORDER BY s.number) AS hash_before,
                           LAG(s.number, 1, 0) OVER (ORDER BY s.number) AS number_before
                      FROM dte_backup_seal s WHERE s.company_id = %(company)s
                )
                SELECT 'archive_seal_changed', NULL, number::text FROM chain
                 WHERE previous_hash != hash_before OR number != number_before + 1
                    OR hash != encode(sha256(convert_to(previous_hash || '|' || identity, 'UTF8')), 'hex')
                UNION ALL
                SELECT 'archive_row_removed', NULL, chain.identity
                  FROM chain LEFT JOIN dte_backup b ON b.id = chain.backup_id
                 WHERE b.id IS NULL
                   AND GREATEST(split_part(chain.identity, '|', 7), split_part(chain.identity, '|', 8))::date
                       + make_interval(years => %(years)s) > CURRENT_DATE
                UNION ALL
                SELECT 'archive_row_changed', b.dte_type || '-' || b.folio, NULL
                  FROM chain JOIN dte_backup b ON b.id = chain.backup_id WHERE chain.identity != %(identity)s
                UNION ALL
                SELECT 'archive_seal_missing', b.dte_type || '-' || b.folio, NULL
                  FROM dte_backup b LEFT JOIN chain ON chain.backup_id = b.id
                 WHERE b.company_id = %(company)s AND b.sealed AND chain.id IS NULL
                UNION ALL
                SELECT 'archive_row_inserted', b.dte_type || '-' || b.folio, NULL
                  FROM dte_backup b
                 WHERE b.company_id = %(company)s
                   AND NOT EXISTS (SELECT FROM dte_document d WHERE d.backup_id = b.id)
                UNION ALL
                SELECT 'archive_row_missing', d.dte_type || '-' || d.folio, NULL
                  FROM dte_document d LEFT JOIN dte_backup b ON b.id = d.backup_id
                 WHERE d.company_id = %(company)s AND b.id IS NULL
                   AND GREATEST(d.issue_date, d.create_date::date) + make_interval(years => %(years)s) > CURRENT_DATE
                """,
                nothing=NOTHING_BEFORE,
                company=company.id,
                years=LEGAL_YEARS,
                identity=identity_sql(),
            )
        )
        return [
            {
                "code": code,
                "name": name or "",
                "params": {"number": detail} if code == "archive_seal_changed" else {"identity": detail or ""},
            }
            for code, name, detail in rows
        ]
