# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64

from psycopg2 import errors as pgerrors

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.dte_archive_triggers import guard_backups, guard_seals
from .archive import ArchiveCommon

IDENTITY = {
    "company_id": "company_id + 1",
    "environment": "'production'",
    "dte_type": "'34'",
    "folio": "folio + 1",
    "version": "2",
    "rut_emisor": "'1-9'",
    "issue_date": "issue_date - 1",
    "sha256": "repeat('0', 64)",
    "xml_size": "1",
    "create_date": "create_date - interval '9 years'",
    "move_id": "NULL",
}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveGuard(ArchiveCommon):
    """What PostgreSQL refuses, whoever asks. `ALTER TABLE .. DISABLE TRIGGER` shows that nothing else refuses it."""

    def setUp(self):
        super().setUp()
        self.backup = self.backup_of(self.post())
        self.env.flush_all()

    def refused(self, statement, *values, error=pgerrors.RestrictViolation):
        with self.assertRaises(error, msg=statement), mute_logger("odoo.sql_db"), self.env.cr.savepoint():
            self.env.cr.execute(statement, values)

    def passes_without_guard(self, statement, *values):
        class Undo(Exception):
            pass

        with self.assertRaises(Undo, msg=statement), self.env.cr.savepoint():
            with self.unguarded() as cr:
                cr.execute(statement, values)
            raise Undo

    def both(self, statement, *values):
        self.refused(statement, *values)
        self.passes_without_guard(statement, *values)

    def test_identity_never_changes(self):
        for column, value in IDENTITY.items():
            statement = f"UPDATE dte_backup SET {column} = {value} WHERE id = %s"  # noqa: S608
            self.refused(statement, self.backup.id)
            if column != "company_id":
                self.passes_without_guard(statement, self.backup.id)

    def test_track_id_and_date_are_written_once(self):
        update = "UPDATE dte_backup SET track_id = %s, sent_date = %s WHERE id = %s"
        self.env.cr.execute(update, ("123", "2026-01-02", self.backup.id))
        self.env.cr.execute(update, ("123", "2026-01-02", self.backup.id))
        self.both("UPDATE dte_backup SET track_id = '124' WHERE id = %s", self.backup.id)
        self.both("UPDATE dte_backup SET track_id = NULL WHERE id = %s", self.backup.id)
        self.both("UPDATE dte_backup SET sent_date = NULL WHERE id = %s", self.backup.id)

    def test_invoice_of_a_restored_row_is_written_once(self):
        move = self.backup.move_id
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_backup SET move_id = NULL WHERE id = %s", (self.backup.id,))
        self.backup.move_id = move
        self.env.flush_all()
        with self.assertRaises(UserError):
            self.backup.move_id = False

    def test_content_only_to_the_same_bytes(self):
        content = self.backup.with_context(bin_size=False).xml_content
        self.both(
            "UPDATE dte_backup SET xml_content = %s WHERE id = %s", base64.b64encode(b"<DTE>x</DTE>"), self.backup.id
        )
        self.refused(
            "UPDATE dte_backup SET xml_content = %s WHERE id = %s", b"%%", self.backup.id, error=pgerrors.DataError
        )
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_backup SET xml_content = 'broken' WHERE id = %s", (self.backup.id,))
        self.backup.write({"xml_content": content})
        self.env.flush_all()
        self.assertTrue(self.backup._fits(self.backup._row_xml()))

    def test_a_row_with_a_false_hash_is_not_inserted(self):
        self.both(
            """
            INSERT INTO dte_backup (company_id, environment, dte_type, folio, version, rut_emisor, issue_date, xml_size,
                                    xml_content, sha256)
            SELECT company_id, environment, dte_type, 77, 1, rut_emisor, issue_date, 1, xml_content, repeat('0', 64)
              FROM dte_backup WHERE id = %s
            """,
            self.backup.id,
        )

    def test_never_emptied(self):
        self.refused("TRUNCATE dte_backup CASCADE")
        self.refused("TRUNCATE dte_backup_seal CASCADE")

    def test_deleted_only_past_the_term(self):
        self.env.cr.execute("UPDATE dte_document SET backup_id = NULL WHERE backup_id = %s", (self.backup.id,))
        delete = "DELETE FROM dte_backup WHERE id = %s"
        self.both(delete, self.backup.id)
        for column in ("issue_date", "create_date"):
            self.age(self.backup, **{column: "6 years"})
            self.refused(delete, self.backup.id)
            self.age(self.backup, **{column: "-6 years"})
        self.age(self.backup, issue_date="6 years -1 days", create_date="6 years")
        self.refused(delete, self.backup.id)
        self.age(self.backup, issue_date="1 day")
        self.company.sudo().dte_archive_years = 7
        self.env.flush_all()
        self.refused(delete, self.backup.id)
        self.company.sudo().dte_archive_years = 6
        self.env.flush_all()
        self.env.cr.execute(delete, (self.backup.id,))

    def age(self, backup, **columns):
        """Make a row older by intervals like issue_date='6 years'."""
        with self.unguarded() as cr:
            for column, interval in columns.items():
                cr.execute(
                    f"UPDATE dte_backup SET {column} = {column} - %s::interval WHERE id = %s",  # noqa: S608
                    (interval, backup.id),
                )

    def test_columns_of_odoo_and_of_the_jobs_are_free(self):
        self.env.cr.execute(
            "UPDATE dte_backup SET write_date = now(), write_uid = NULL, file_state = 'written', check_state = 'ok',"
            " sealed = true WHERE id = %s",
            (self.backup.id,),
        )

    def test_seals(self):
        self.seal()
        self.env.flush_all()
        for column in ("hash", "previous_hash", "identity"):
            statement = f"UPDATE dte_backup_seal SET {column} = 'x' WHERE backup_id = %s"  # noqa: S608
            self.both(statement, self.backup.id)
        self.both("UPDATE dte_backup_seal SET backup_id = NULL WHERE backup_id = %s", self.backup.id)
        self.both("DELETE FROM dte_backup_seal WHERE backup_id = %s", self.backup.id)

    def test_guards_can_be_made_again(self):
        guard_backups(self.env.cr)
        guard_seals(self.env.cr)
        self.refused("UPDATE dte_backup SET folio = 9 WHERE id = %s", self.backup.id)

    def test_the_same_in_words(self):
        for values in ({"folio": 9}, {"sha256": "0" * 64}, {"xml_content": base64.b64encode(b"<DTE/>")}):
            with self.assertRaises(UserError):
                self.backup.write(values)
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            self.backup.unlink()

    def test_the_term_can_only_be_longer(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(pgerrors.CheckViolation):
            self.company.sudo().dte_archive_years = 5
            self.env.flush_all()

    def test_cleanup_deletes_what_is_past_its_term_and_the_chain_holds(self):
        young = self.backup_of(self.post())
        self.copy_files()
        self.assertEqual(len(self.files()), 2)
        document, move = (
            self.backup.env["dte.document"].search([("backup_id", "=", self.backup.id)]),
            self.backup.move_id,
        )
        self.run_job("dte.backup", "_cron_cleanup")
        self.assertTrue(self.backup.exists())
        self.age(self.backup, issue_date="6 years", create_date="6 years")
        # The document is as old as its archive row.
        self.env.cr.execute(
            "UPDATE dte_document d SET issue_date = b.issue_date, create_date = b.create_date"
            "  FROM dte_backup b WHERE b.id = d.backup_id AND b.id = %s",
            (self.backup.id,),
        )
        self.env.invalidate_all()
        self.seal()
        self.assertEqual(self.codes(), [])
        self.run_job("dte.backup", "_cron_cleanup")
        self.assertTrue(self.backup.exists(), "it is off by default")
        self.company.sudo().dte_archive_cleanup = True
        self.run_job("dte.backup", "_cron_cleanup")
        self.assertFalse(self.backup.exists())
        self.assertTrue(document.exists() and move.exists() and young.exists())
        self.assertEqual([path.name for path in self.files()], ["33-2.xml"])
        self.assertEqual(self.codes(), [])
        self.assertEqual(self.post().dte_folio, 3)
