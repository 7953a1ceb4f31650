# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.tools import SQL

from ..libs import archive_layout, xml_verifier
from ..libs.archive_store import ArchiveError, open_store
from ..libs.exceptions import XmlError
from .archive_messages import tell
from .dte_document import VERDICTS

_logger = logging.getLogger(__name__)

# Files written between two commits.
BATCH = 50
# Minutes until a file that could not be written is tried again: 5, 10, 20 ... at most 6 hours.
RETRY_MINUTES, RETRY_MAX_MINUTES = 5, 360
# Errors of one document; all others would befall the next document too.
OWN_ERRORS = frozenset(("archive_other_document", "archive_row_damaged"))


@dataclass
class FileCopy:
    """What the job needs to write one file, taken out of the database before it turns to the disk."""

    backup_id: int
    key: str
    sha256: str
    xml: bytes
    sidecar: dict


class DteBackup(models.Model):
    """The second copy: a file outside database and filestore, written by a job after the commit.

    A file that cannot be written stays pending with the reason and is tried again; nothing else waits for it.
    """

    _inherit = "dte.backup"

    file_state = fields.Selection(
        [("pending", "Not copied yet"), ("written", "Copied")], string="File Copy", default="pending", readonly=True
    )
    file_key = fields.Char(string="File", readonly=True, help="Path of the copy below the archive folder.")
    # Folder for which it was tried last, see `dte_archive_generation` of the company.
    file_generation = fields.Integer(default=0, readonly=True, aggregator=False)
    file_error = fields.Char(readonly=True)
    file_params = fields.Json(readonly=True)
    file_message = fields.Char(string="Copy Problem", compute="_compute_file_message")
    file_attempts = fields.Integer(readonly=True, aggregator=False)
    file_retry_at = fields.Datetime(string="Next Try", readonly=True)
    # State that the companion file tells, to bring it up to date once the SII has spoken.
    file_document_state = fields.Char(readonly=True)

    _to_write = models.Index("(company_id, id) WHERE file_state = 'pending'")
    _copied_to = models.Index("(company_id, file_generation, id) WHERE file_state = 'written'")
    _to_update = models.Index(
        "(company_id, id) WHERE file_state = 'written'"
        " AND (file_document_state IS NULL OR file_document_state NOT IN ('accepted', 'objected', 'rejected'))"
    )

    @api.depends("file_error", "file_params")
    @api.depends_context("lang")
    def _compute_file_message(self):
        for backup in self:
            backup.file_message = backup.file_error and tell(self.env, backup.file_error, backup.file_params)

    def _is_copied(self) -> bool:
        """Tell whether the archive folder of today has had its copy."""
        return self.file_state == "written" and self.file_generation >= self.company_id.dte_archive_generation

    # -- the job --

    @api.model
    def _cron_write_files(self):
        """Copy what has no file yet, and bring companion files up to date, company by company. Commits."""
        # sudo: the address of the archive is for administrators; the job works with it
        companies = self.env["res.company"].sudo().search([("dte_archive_url", "!=", False)])
        left = self.env["ir.cron"]._commit_progress(remaining=sum(companies.mapped("dte_archive_pending")))
        for company in companies:
            while left:
                try:
                    done = self._write_files_of(company)
                    # What was noted is written with the commit.
                    left = self.env["ir.cron"]._commit_progress(done)
                except psycopg2.Error:
                    # A row was being written by somebody else: the files are there, the next run notes it.
                    _logger.warning("dte_archive_files_skipped company=%s", company.id, exc_info=True)
                    self.env.cr.rollback()
                    break
                if done < BATCH:
                    break

    def _due_sql(self, company) -> SQL:
        """Return rows of a company whose file or companion file is to be written."""
        return SQL(
            """
            (SELECT b.id FROM dte_backup b
              WHERE b.company_id = %(company)s AND b.file_state = 'pending'
                AND (b.file_retry_at IS NULL OR b.file_retry_at <= %(now)s OR b.file_generation < %(generation)s)
              ORDER BY b.id LIMIT %(limit)s)
            UNION ALL
            (SELECT b.id FROM dte_backup b
              WHERE b.company_id = %(company)s AND b.file_state = 'written' AND b.file_generation < %(generation)s
              ORDER BY b.file_generation, b.id LIMIT %(limit)s)
            UNION ALL
            (SELECT b.id FROM dte_backup b JOIN dte_document d ON d.backup_id = b.id
              WHERE b.company_id = %(company)s AND b.file_state = 'written'
                AND b.file_generation = %(generation)s
                AND (b.file_document_state IS NULL
                     OR b.file_document_state NOT IN ('accepted', 'objected', 'rejected'))
                AND d.state IN %(told)s AND d.state IS DISTINCT FROM b.file_document_state
                AND (b.file_retry_at IS NULL OR b.file_retry_at <= %(now)s)
              ORDER BY b.id LIMIT %(limit)s)
            LIMIT %(limit)s
            """,
            company=company.id,
            generation=company.dte_archive_generation,
            now=fields.Datetime.now(),
            told=("sent", *VERDICTS),
            limit=BATCH,
        )

    def _write_files_of(self, company) -> int:
        """Write one batch of files of a company; return how many rows were dealt with.

        The disk may be slow: no transaction and no lock is open meanwhile, and what came out is noted in a new one.
        A kill between the two leaves rows pending whose files are there; writing them again changes nothing.
        """
        self.env["dte.backup"].flush_model()
        self.env["dte.document"].flush_model(["state", "backup_id"])
        ids = [row[0] for row in self.env.execute_query(self._due_sql(company))]
        copies = self.browse(ids)._file_copies()
        # The folder may be another one when this batch is written: what is noted is the one that is used.
        generation, url = company.dte_archive_generation, company.dte_archive_url
        self.env["ir.cron"]._commit_progress()
        written, failed = {}, {}
        try:
            store = open_store(url)
            store.check()
        except ArchiveError as error:
            failed = {copy.backup_id: error for copy in copies}
            copies = []
        for position, copy in enumerate(copies):
            try:
                self._write_copy(store, copy)
                written[copy.backup_id] = copy
            except ArchiveError as error:
                failed[copy.backup_id] = error
                if error.code not in OWN_ERRORS:
                    failed |= {later.backup_id: error for later in copies[position + 1 :]}
                    break
        self._note_files(generation, written, failed)
        return len(ids)

    def _file_copies(self) -> list[FileCopy]:
        documents = self._documents()
        return [
            FileCopy(
                backup.id,
                backup._place().key,
                backup.sha256,
                backup._row_xml(),
                backup._sidecar(documents.get(backup.id, self.env["dte.document"])),
            )
            for backup in self
        ]

    def _documents(self) -> dict:
        """Return the document of each row, by the row's id."""
        documents = self.env["dte.document"].search([("backup_id", "in", self.ids)])
        return {document.backup_id.id: document for document in documents}

    def _place(self) -> archive_layout.Place:
        self.ensure_one()
        return archive_layout.Place(
            environment=self.environment,
            issuer_rut=self.rut_emisor,
            dte_type=int(self.dte_type),
            folio=self.folio,
            version=self.version,
            year=self.issue_date.year,
            month=self.issue_date.month,
        )

    def _sidecar(self, document) -> dict:
        """Return what the companion file tells: all that is needed to rebuild the rows of the document."""
        self.ensure_one()
        envio = document.envio_id
        known = {
            "state": document.state or None,
            "signed_at": fields.Datetime.to_string(document.signed_at) or None,
            "verdict_at": fields.Datetime.to_string(document.verdict_at) or None,
            "receiver_rut": document.receiver_rut or None,
            "receiver_name": document.receiver_name or None,
            "total": int(document.amount_total),
            "track_id": envio.track_id or self.track_id or None,
            "sent_at": fields.Datetime.to_string(self.sent_date or envio.attempted_at) or None,
            "envelope_sha256": envio.sha256 or None,
            "sender_rut": envio.sender_rut or None,
            "origin": self.origin or None,
        }
        return {
            "format": 1,
            "encoding": "ISO-8859-1",
            "sha256": self.sha256,
            "environment": self.environment,
            "issuer_rut": self.rut_emisor,
            "type": int(self.dte_type),
            "folio": self.folio,
            "version": self.version,
            "issue_date": fields.Date.to_string(self.issue_date),
            **known,
        }

    @api.model
    def _write_copy(self, store, copy: FileCopy) -> None:
        """Write companion file and document; never over another signed document, never from damaged bytes.

        :raises ArchiveError: with the reason
        """
        stored = self._stored(store, copy.key)
        if _sha256(stored) != copy.sha256:
            if _sha256(copy.xml) != copy.sha256:
                raise ArchiveError("archive_row_damaged")
            if stored and is_signed(stored):
                raise ArchiveError("archive_other_document")
        # First the companion: a document without it would be restored with less than was known.
        store.put(archive_layout.sidecar_of(copy.key), archive_layout.write_sidecar(copy.sidecar))
        if _sha256(stored) != copy.sha256:
            store.put(copy.key, copy.xml)

    @api.model
    def _stored(self, store, key: str) -> bytes:
        """Return the bytes of a file, b"" when there is none."""
        try:
            return store.get(key)
        except ArchiveError as error:
            if error.code != "archive_file_missing":
                raise
            return b""

    def _note_files(self, generation: int, written: dict, failed: dict):
        """Note on the rows what became of their files.

        :param generation: of the folder for which they were written
        """
        for backup_id, copy in written.items():
            self.browse(backup_id).write(
                {
                    "file_state": "written",
                    "file_key": copy.key,
                    "file_generation": generation,
                    "file_document_state": copy.sidecar["state"],
                    "file_error": False,
                    "file_params": False,
                    "file_attempts": 0,
                    "file_retry_at": False,
                }
            )
        now = fields.Datetime.now()
        for backup_id, error in failed.items():
            backup = self.browse(backup_id)
            attempts = backup.file_attempts if backup.file_generation == generation else 0
            minutes = min(RETRY_MINUTES * 2**attempts, RETRY_MAX_MINUTES)
            backup.write(
                {
                    # A companion that could not be brought up to date leaves the copy in this folder what it is.
                    **({} if backup.file_generation == generation else {"file_state": "pending"}),
                    "file_generation": generation,
                    "file_error": error.code,
                    "file_params": error.params or False,
                    "file_attempts": attempts + 1,
                    "file_retry_at": now + timedelta(minutes=minutes),
                }
            )
        if failed:
            codes = {error.code for error in failed.values()}
            _logger.warning("dte_archive_files_failed rows=%s codes=%s", len(failed), ",".join(sorted(codes)))

    # -- reading --

    def _file_xml(self) -> bytes:
        """Return the bytes of the file, b"" when it is missing or the archive cannot be reached."""
        self.ensure_one()
        try:
            store = self.company_id._dte_archive_store()
            return self._stored(store, self.file_key or self._place().key) if store else b""
        except ArchiveError:
            return b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_signed(xml: bytes) -> bool:
    """Tell whether these bytes are a document whose signature is valid."""
    try:
        return xml_verifier.verify_dte(xml).valid
    except XmlError:
        return False
