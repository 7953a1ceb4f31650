# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import shutil
from pathlib import Path

from odoo.exceptions import UserError
from odoo.sql_db import db_connect
from odoo.tests import tagged
from odoo.tools import config, mute_logger

from ..const import GUARD_SEAL
from ..libs.archive_store import MARKER
from .archive import ArchiveCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveCheck(ArchiveCommon):
    def sql(self, statement, *values):
        with self.unguarded() as cr:
            cr.execute(statement, values)

    # -- chain --

    def test_chain(self):
        moves = self.post() + self.post() + self.post()
        self.seal()
        seals = self.env["dte.backup.seal"].search([("company_id", "=", self.company.id)], order="number")
        self.assertEqual(seals.mapped("number"), [1, 2, 3])
        self.assertEqual(seals.backup_id, self.backup_of(moves).sudo(False))
        self.assertEqual(seals[1].previous_hash, seals[0].hash)
        self.seal()
        self.assertEqual(len(seals.search([("company_id", "=", self.company.id)])), 3)
        self.assertEqual(self.codes(), [])

    def test_a_row_that_was_committed_late_is_sealed(self):
        first, second = self.backup_of(self.post()), self.backup_of(self.post())
        first.write({"sealed": True})
        self.seal()
        self.assertTrue(second.sealed)
        first.write({"sealed": False})
        self.seal()
        numbers = {seal.backup_id: seal.number for seal in self.env["dte.backup.seal"].sudo().search([])}
        self.assertEqual((numbers[second], numbers[first]), (1, 2))
        self.assertEqual(self.codes(), [])

    def test_one_writer(self):
        """Another session holds the lock: this one leaves the rows for it."""
        self.post()
        seals = self.env["dte.backup.seal"].sudo()
        with db_connect(self.env.cr.dbname).cursor() as other:
            other.execute("SELECT pg_advisory_xact_lock(%s, %s)", (GUARD_SEAL, self.company.id))
            self.assertEqual(seals._seal_some(self.company), 0)
        self.assertEqual(seals._seal_some(self.company), 1)

    def test_changed(self):
        backup = self.backup_of(self.post())
        self.seal()
        self.sql("UPDATE dte_backup SET folio = 99 WHERE id = %s", backup.id)
        self.assertEqual(self.codes(), ["archive_row_changed"])

    def test_content_and_hash_changed_together(self):
        backup = self.backup_of(self.post())
        self.seal()
        self.sql("UPDATE dte_backup SET xml_content = %s, sha256 = repeat('1', 64) WHERE id = %s", b"QQ==", backup.id)
        self.assertEqual(self.codes(), ["archive_row_changed"])

    def test_removed(self):
        backup = self.backup_of(self.post() + self.post())[0]
        self.seal()
        self.sql("UPDATE dte_document SET backup_id = NULL WHERE backup_id = %s", backup.id)
        self.sql("DELETE FROM dte_backup WHERE id = %s", backup.id)
        self.assertEqual(self.codes(), ["archive_row_missing", "archive_row_removed"])

    def test_removed_with_its_seal(self):
        backup = self.backup_of(self.post() + self.post())[0]
        self.seal()
        self.sql("UPDATE dte_document SET backup_id = NULL WHERE backup_id = %s", backup.id)
        self.sql("DELETE FROM dte_backup_seal WHERE backup_id = %s", backup.id)
        self.sql("DELETE FROM dte_backup WHERE id = %s", backup.id)
        self.assertEqual(self.codes(), ["archive_row_missing", "archive_seal_changed"])

    def test_last_row_removed_with_its_seal(self):
        """The chain does not know of it any more; its document does, until its own term is over."""
        document = self.post().dte_document_id.sudo()
        backup = document.backup_id
        self.seal()
        self.sql("UPDATE dte_document SET backup_id = NULL WHERE backup_id = %s", backup.id)
        self.sql("DELETE FROM dte_backup_seal WHERE backup_id = %s", backup.id)
        self.sql("DELETE FROM dte_backup WHERE id = %s", backup.id)
        [problem] = self.env["dte.backup.seal"].sudo()._find_problems(self.company)
        self.assertEqual((problem["code"], problem["name"]), ("archive_row_missing", "33-1"))
        self.sql("UPDATE dte_document SET issue_date = '2019-01-01', create_date = '2019-01-01'")
        self.assertEqual(self.codes(), [])

    def test_seal_of_the_last_row_removed(self):
        backup = self.backup_of(self.post())
        self.seal()
        self.sql("DELETE FROM dte_backup_seal WHERE backup_id = %s", backup.id)
        self.assertEqual(self.codes(), ["archive_seal_missing"])

    def test_inserted(self):
        backup = self.backup_of(self.post())
        self.env.cr.execute(
            """
            INSERT INTO dte_backup (company_id, environment, dte_type, folio, version, rut_emisor, issue_date, xml_size,
                                    xml_content, sha256, create_date)
            SELECT company_id, environment, dte_type, 77, 1, rut_emisor, issue_date, xml_size, xml_content, sha256,
                   now()
              FROM dte_backup WHERE id = %s
            """,
            (backup.id,),
        )
        self.seal()
        self.assertEqual(self.codes(), ["archive_row_inserted"])

    def test_seal_changed(self):
        self.post()
        self.post()
        self.seal()
        self.sql("UPDATE dte_backup_seal SET identity = replace(identity, '|33|', '|34|') WHERE number = 1")
        self.assertEqual(self.codes(), ["archive_row_changed", "archive_seal_changed"])

    # -- copies --

    def test_intact(self):
        backup = self.backup_of(self.post())
        self.copy_files()
        self.assertEqual(self.check(backup), ("ok", False))
        self.assertTrue(backup.checked_at)

    def check(self, backup):
        backup._check()
        return backup.check_state, backup.check_code

    def damage(self, backup, content=b"AAAA"):
        self.sql("UPDATE dte_backup SET xml_content = %s WHERE id = %s", content, backup.id)

    def test_row_from_file(self):
        backup = self.backup_of(self.post())
        xml = backup._row_xml()
        self.copy_files()
        backup.attachment_id.unlink()
        for content in (b"AAAA", b"no base64!", base64.b64encode(xml.replace(b"<Folio>1<", b"<Folio>2<"))):
            self.damage(backup, content)
            self.assertEqual(backup.restore_dte_xml(), xml, "read from the file meanwhile")
            self.assertEqual(self.check(backup), ("repaired", "archive_repaired_row"))
            self.assertEqual(backup._row_xml(), xml)

    def test_row_from_attachment(self):
        self.company.sudo().dte_archive_url = False
        backup = self.backup_of(self.post())
        xml = backup._row_xml()
        self.damage(backup)
        self.assertEqual(backup.restore_dte_xml(), xml)
        self.assertEqual(self.check(backup), ("repaired", "archive_repaired_row"))

    def test_file_from_row(self):
        backup = self.backup_of(self.post())
        self.copy_files()
        [path], [companion] = self.files(), self.files(".json")
        for spoil in (path.unlink, lambda: path.write_bytes(b"<DTE>"), companion.unlink):
            spoil()
            self.assertEqual(self.check(backup), ("repaired", "archive_repaired_file"))
            self.assertEqual(path.read_bytes(), backup._row_xml())
            self.assertTrue(companion.exists())

    def test_no_copy_left(self):
        backup = self.backup_of(self.post())
        self.damage(backup)
        backup.attachment_id.unlink()
        self.assertEqual(self.check(backup), ("damaged", "archive_row_damaged"))
        with self.assertRaisesRegex(UserError, "No intact copy"):
            backup.restore_dte_xml()
        with self.assertRaisesRegex(UserError, "No intact copy"):
            backup.action_download_xml()

    def test_signature(self):
        """Bytes that fit their hash but not their signature were archived wrong or changed together with the hash."""
        backup = self.backup_of(self.post())
        forged = backup._row_xml().replace(b"<Folio>1<", b"<Folio>1 <")
        self.sql(
            "UPDATE dte_backup SET xml_content = %s, sha256 = %s WHERE id = %s",
            base64.b64encode(forged), hashlib.sha256(forged).hexdigest(), backup.id,
        )  # fmt: skip
        self.assertEqual(self.check(backup), ("damaged", "archive_signature_invalid"))

    def test_folder_away(self):
        backup = self.backup_of(self.post())
        self.copy_files()
        (self.folder / MARKER).unlink()
        findings = backup._check()
        self.assertEqual([finding["code"] for finding in findings], ["archive_target_missing"])
        self.assertEqual(backup.check_state, "single")

    # -- runs --

    def test_a_row_that_somebody_else_writes_fails_no_job(self):
        self.post()
        with self.conflict_at_commit(), mute_logger("odoo.addons.l10n_cl_dte.models.dte_backup_scrub"):
            self.run_job("dte.backup.scrub", "_cron_scrub")
        self.run_job("dte.backup.scrub", "_cron_scrub")
        run = self.env["dte.backup.scrub"].sudo().search([("company_id", "=", self.company.id)])
        self.assertEqual((run.checked, bool(run.finished_at)), (1, True))

    def test_a_share_a_day(self):
        moves = self.make()
        for _number in range(13):
            moves += self.make()
        moves.action_post()
        scrubs = self.env["dte.backup.scrub"].sudo()
        self.run_job("dte.backup.scrub", "_cron_scrub")
        run = scrubs.search([("company_id", "=", self.company.id)])
        self.assertEqual((run.planned, run.checked, bool(run.finished_at)), (2, 2, True))
        self.run_job("dte.backup.scrub", "_cron_scrub")
        self.assertEqual(scrubs.search_count([("company_id", "=", self.company.id)]), 1, "not twice a day")
        checked = self.backup_of(moves).filtered("checked_at")
        for seen in range(2, 8):
            run.started_at = "2026-01-01"
            self.run_job("dte.backup.scrub", "_cron_scrub")
            run = scrubs.search([("company_id", "=", self.company.id)], limit=1)
            checked = self.backup_of(moves).filtered("checked_at")
            self.assertEqual(len(checked), 2 * seen)

    @mute_logger("odoo.addons.base.models.ir_attachment")
    def test_disaster(self):
        """The filestore and half of the folder are gone, ten rows are corrupt: all found, repaired or named."""
        documents = self.issue(range(1, 59), self.admin_env["dte.caf"].search(
            [("company_id", "=", self.company.id), ("dte_type", "=", "33")]).sudo())  # fmt: skip
        moves = self.make(dte_type="34") + self.make(dte_type="34")
        moves.action_post()
        backups = documents.backup_id.sorted("folio") + self.backup_of(moves)
        self.assertEqual(len(backups), 60)
        before = {backup.id: backup._row_xml() for backup in backups}
        self.copy_files()
        self.seal()
        keep = backups[:30]
        for backup in backups - keep:
            (self.folder / backup.file_key).unlink()
        store = Path(config.filestore(self.env.cr.dbname))
        for attachment in backups.attachment_id:
            (store / attachment.store_fname).unlink()
        broken = backups[25:35]
        for backup in broken:
            self.damage(backup, b"AAAA")
        lost = broken - keep
        run = self.scrub()
        self.assertEqual((run.checked, run.damaged, run.repaired), (60, 5, 55 - 25))
        self.assertEqual(backups.filtered(lambda backup: backup.check_state == "damaged"), lost)
        for backup in lost:
            self.assertIn(f"{backup.display_name}:", run.report)
        for backup in backups - lost:
            self.assertEqual(backup._row_xml(), before[backup.id])
            self.assertEqual((self.folder / backup.file_key).read_bytes(), before[backup.id])
        self.assertTrue(all(backup._fits(backup._attached_xml()) for backup in self.backup_of(moves)))
        activity = run.activity_ids.filtered(lambda activity: activity.user_id == self.admin)
        self.assertIn(lost[0].display_name, activity.note)
        again = self.scrub()
        self.assertEqual((again.damaged, again.repaired), (5, 0))
        self.assertFalse(again.activity_ids, "told once")

    def test_check_now(self):
        backup = self.backup_of(self.post())
        self.copy_files()
        shutil.rmtree(self.folder / "_simulator")
        manager = self.dte_user
        manager.sudo().group_ids += self.env.ref("l10n_cl_dte.group_dte_manager")
        action = backup.with_user(manager).action_check_now()
        self.assertIn("1 repaired", action["params"]["title"])
        self.assertEqual(len(self.files()), 1)
        self.env["dte.backup.scrub"].with_user(manager).action_check_everything()
        run = self.env["dte.backup.scrub"].search([], limit=1)
        self.assertEqual((run.planned, run.finished_at), (1, False))
