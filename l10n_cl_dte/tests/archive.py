# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import shutil
import tempfile
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from ..libs import issue as issue_lib
from ..libs.dte import Dte, Issuer, Line, Receiver
from .common import DteCommon


class Undo(Exception):
    """Back to the empty database."""


class ArchiveCommon(DteCommon):
    """A company with an archive folder of its own."""

    def setUp(self):
        super().setUp()
        self.folder = Path(tempfile.mkdtemp(prefix="dte_archive_"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.company.sudo().dte_archive_url = str(self.folder)

    def run_job(self, model, method):
        """Run a job as its cron does: by the system, committing."""
        with self.committing() as env:
            getattr(env[model].sudo(), method)()

    def copy_files(self):
        self.run_job("dte.backup", "_cron_write_files")

    def seal(self):
        self.run_job("dte.backup.seal", "_cron_seal")

    def scrub(self):
        """Check the whole archive of the company; return the run."""
        scrubs = self.env["dte.backup.scrub"].sudo()
        self.env.flush_all()
        # The clock of the rows has seconds only: what was checked a moment ago shall count as checked before.
        self.env.cr.execute("UPDATE dte_backup SET checked_at = checked_at - interval '1 minute'")
        self.env.invalidate_all()
        backups = self.env["dte.backup"].sudo().search([("company_id", "=", self.company.id)])
        scrubs._start(self.company.sudo(), len(backups))
        self.run_job("dte.backup.scrub", "_cron_scrub")
        return scrubs.search([("company_id", "=", self.company.id)], limit=1)

    def codes(self):
        """Return what the chain of the company tells."""
        return sorted(problem["code"] for problem in self.env["dte.backup.seal"].sudo()._find_problems(self.company))

    @contextmanager
    def conflict_at_commit(self):
        """The first commit of a job that has done something meets a row that somebody else has written."""
        crons, left = type(self.env["ir.cron"]), [SerializationFailure("meanwhile")]
        real = crons._commit_progress

        def commit(jobs, processed=0, **values):
            if processed and left:
                raise left.pop()
            return real(jobs, processed, **values)

        with patch.object(crons, "_commit_progress", commit):
            yield
        self.assertFalse(left)

    @contextmanager
    def unguarded(self):
        """Act as a damaged disk or an intruder does: PostgreSQL's guards do not see it."""
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE dte_backup DISABLE TRIGGER USER")
        self.env.cr.execute("ALTER TABLE dte_backup_seal DISABLE TRIGGER USER")
        try:
            yield self.env.cr
        finally:
            self.env.cr.execute("ALTER TABLE dte_backup ENABLE TRIGGER USER")
            self.env.cr.execute("ALTER TABLE dte_backup_seal ENABLE TRIGGER USER")
            self.env.invalidate_all()

    def manager_env(self):
        self.dte_user.sudo().group_ids += self.env.ref("l10n_cl_dte.group_dte_manager")
        return self.env(user=self.dte_user)

    def lose(self, *steps):
        """Do things and lose the database; only the folder remembers."""
        with suppress(Undo), self.env.cr.savepoint():
            for step in steps:
                step()
            raise Undo
        self.env.invalidate_all()

    def restore(self, **values):
        """Press Restore as a manager; return the wizard."""
        values = {"company_id": self.company.id, **values}
        with self.committing() as env:
            wizard = env(user=self.manager_env().uid)["dte.archive.restore"].create(values)
            wizard.action_restore()
            wizard_id = wizard.id
        return self.env["dte.archive.restore"].sudo().browse(wizard_id)

    def rows(self):
        return self.env["dte.backup"].sudo().search([("company_id", "=", self.company.id)], order="dte_type, folio")

    def documents(self):
        return self.env["dte.document"].sudo().search([("company_id", "=", self.company.id)], order="folio, version")

    def backup_of(self, moves):
        return moves.dte_document_id.backup_id.sudo()

    def files(self, suffix=".xml"):
        return sorted(path for path in self.folder.rglob(f"*{suffix}") if path.is_file())

    def issue(self, folios, caf, dte_type=33):
        """Sign documents with the library, make their rows as posting does, without invoices. Return the rows."""
        company = self.company.sudo()
        credentials, parsed, now = company._dte_credentials(), caf._parsed(), company._dte_now()
        issuer = Issuer(self.rut, "Empresa Ñandú", "Servicios", ("620200",), "Calle 1", "Santiago", "Santiago")
        receiver = Receiver("88888888-8", "Ferretería", "Comercio", "Calle 2", "Ñuñoa", "Santiago")
        document_type = self.env["l10n_latam.document.type"].search(
            [("code", "=", str(dte_type)), ("country_id.code", "=", "CL")]
        )
        documents = self.env["dte.document"].sudo()
        for folio in folios:
            lines = (Line(f"Artículo {folio}", Decimal(1), Decimal(1000 + folio)),)
            dte = Dte(dte_type, folio, now.date(), issuer, receiver, lines)
            signed = issue_lib.issue(dte, parsed, credentials, now)
            document = documents.create(
                {
                    "company_id": company.id,
                    "environment": "simulator",
                    "dte_type": str(dte_type),
                    "document_type_id": document_type.id,
                    "folio": folio,
                    "issuer_rut": self.rut,
                    "receiver_rut": receiver.rut,
                    "receiver_name": receiver.name,
                    "issue_date": now.date(),
                    "signed_at": "2026-01-02 03:04:05",
                    "amount_total": signed.totals.total,
                    "caf_id": caf.id,
                }
            )
            document.backup_id = self.env["dte.backup"]._archive(document, signed.xml)
            documents |= document
        return documents
