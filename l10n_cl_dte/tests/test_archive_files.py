# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import fsspec

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import config, mute_logger

from ..libs.archive_store import MARKER
from ..models.dte_backup import XML_DECLARATION
from .archive import ArchiveCommon

JOB_LOG = "odoo.addons.l10n_cl_dte.models.dte_backup_file"


class Killed(BaseException):
    """The process ends here."""


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveFiles(ArchiveCommon):
    def test_written_after_the_commit_with_its_companion(self):
        move = self.post()
        backup = self.backup_of(move)
        self.assertEqual((backup.file_state, self.files()), ("pending", []))
        self.copy_files()
        day = move.invoice_date
        path = self.folder / f"_simulator/{day:%Y}/{day:%m}/{self.rut}/33-1.xml"
        self.assertEqual(self.files(), [path])
        self.assertEqual(path.read_bytes(), move._dte_xml())
        self.assertEqual((backup.file_state, self.folder / backup.file_key), ("written", path))
        companion = json.loads(path.with_suffix(".json").read_bytes())
        self.assertEqual(companion["sha256"], backup.sha256)
        self.assertEqual((companion["state"], companion["track_id"]), ("to_send", None))

    def test_a_row_that_somebody_else_writes_fails_no_job(self):
        """The conflict comes with the commit: the file is there, and the next run notes it."""
        backup = self.backup_of(self.post())
        with self.conflict_at_commit(), mute_logger(JOB_LOG):
            self.copy_files()
        self.assertEqual((backup.file_state, len(self.files())), ("pending", 1))
        self.copy_files()
        self.assertEqual(backup.file_state, "written")

    def test_companion_follows_the_verdict(self):
        move = self.post()
        self.copy_files()
        self.send(move)
        self.copy_files()
        [path] = self.files(".json")
        self.assertEqual(json.loads(path.read_bytes())["track_id"], move.dte_track_id)
        self.ask(move)
        self.copy_files()
        self.assertEqual(json.loads(path.read_bytes())["state"], "accepted")

    def test_production_lies_at_the_top(self):
        backup = self.backup_of(self.post())
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_backup SET environment = 'production', version = 2 WHERE id = %s", (backup.id,))
        self.assertEqual(backup._place().key, f"{backup.issue_date:%Y/%m}/{self.rut}/33-1-v2.xml")

    def test_every_file_is_synced_before_it_gets_its_name_and_its_folder_after(self):
        self.post()
        steps, fsync, replace = [], os.fsync, Path.replace

        def noted_fsync(descriptor):
            steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
            fsync(descriptor)

        def noted_replace(path, target):
            steps.append(f"rename {target.name}")
            return replace(path, target)

        with patch.object(os, "fsync", noted_fsync), patch.object(Path, "replace", noted_replace):
            self.copy_files()
        renames = [step for step in steps if step.startswith("rename")]
        self.assertEqual(renames, ["rename 33-1.json", "rename 33-1.xml"])
        place = steps.index("rename 33-1.xml")
        self.assertRegex(steps[place - 1], r"sync \.33-1\.xml\..*part")
        self.assertEqual(steps[place + 1], f"sync {self.rut}")

    def test_killed_before_the_rename(self):
        """Nothing half stands under the final name, and the row is written by the next run."""
        backup = self.backup_of(self.post())
        replace = Path.replace

        def kill(path, target):
            if target.suffix == ".xml":
                raise Killed
            return replace(path, target)

        with suppress(Killed), patch.object(Path, "replace", kill):
            self.copy_files()
        self.env.invalidate_all()
        self.assertEqual((backup.file_state, self.files()), ("pending", []))
        self.copy_files()
        self.assertEqual((backup.file_state, len(self.files())), ("written", 1))

    def test_killed_after_the_rename(self):
        backup = self.backup_of(self.post())
        with suppress(Killed), patch.object(type(backup), "_note_files", side_effect=Killed):
            self.copy_files()
        self.env.invalidate_all()
        self.assertEqual((backup.file_state, len(self.files())), ("pending", 1))
        self.copy_files()
        self.assertEqual((backup.file_state, len(self.files())), ("written", 1))

    @mute_logger(JOB_LOG)
    def test_unmounted_disk(self):
        """Without its mark the folder is not the archive; nothing is written there and nothing else is stopped."""
        (self.folder / MARKER).unlink()
        backup = self.backup_of(self.post())
        self.copy_files()
        self.assertEqual((backup.file_state, backup.file_error), ("pending", "archive_target_missing"))
        self.assertIn("not mounted", backup.file_message)
        self.assertEqual(self.files(), [])
        (self.folder / MARKER).touch()
        self.copy_files()
        self.assertEqual(backup.file_state, "pending", "it is tried again later")
        backup.file_retry_at = False
        self.copy_files()
        self.assertEqual((backup.file_state, backup.file_error), ("written", False))

    @mute_logger(JOB_LOG)
    def test_disk_full(self):
        backup = self.backup_of(self.post())
        with patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")):
            self.copy_files()
        self.assertEqual((backup.file_error, backup.file_attempts), ("archive_target_failed", 1))
        self.assertEqual([path.name for path in self.folder.rglob("*") if path.is_file()], [MARKER])

    @mute_logger(JOB_LOG)
    def test_never_over_another_signed_document(self):
        backup = self.backup_of(self.post())
        other = self.backup_of(self.post())
        path = self.folder / backup._place().key
        path.parent.mkdir(parents=True)
        path.write_bytes(other._row_xml())
        self.copy_files()
        self.assertEqual((backup.file_state, backup.file_error), ("pending", "archive_other_document"))
        self.assertEqual(other.file_state, "written", "one bad row stops nobody")
        self.assertEqual(path.read_bytes(), other._row_xml())

    @mute_logger(JOB_LOG)
    def test_damaged_rows_are_not_copied(self):
        backup = self.backup_of(self.post())
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_backup SET xml_content = 'AAAA' WHERE id = %s", (backup.id,))
        self.copy_files()
        self.assertEqual((backup.file_error, self.files()), ("archive_row_damaged", []))

    def test_without_a_target_rows_wait(self):
        self.company.sudo().dte_archive_url = False
        backup = self.backup_of(self.post())
        self.copy_files()
        self.assertEqual((backup.file_state, backup.file_error), ("pending", False))
        self.assertFalse(self.company.dte_archive_is_double)
        self.assertEqual(self.company.dte_archive_pending, 1)

    def test_any_fsspec_address(self):
        url = f"memory://archive-{self.rut}"
        self.addCleanup(fsspec.filesystem("memory").rm, f"/archive-{self.rut}", recursive=True)
        backup = self.backup_of(self.post())
        self.copy_files()
        self.company.sudo().dte_archive_url = url
        self.assertEqual(self.company.dte_archive_pending, 1, "a new target gets everything")
        self.copy_files()
        self.company.invalidate_recordset()
        self.assertEqual((backup.file_state, self.company.dte_archive_pending), ("written", 0))
        self.assertEqual(backup._file_xml(), backup._row_xml())

    @mute_logger(JOB_LOG)
    def test_way_back_when_the_mark_was_lost(self):
        backup = self.backup_of(self.post())
        (self.folder / MARKER).unlink()
        self.copy_files()
        self.assertEqual(backup.file_error, "archive_target_missing")
        settings = self.admin_env["res.config.settings"]
        settings.create({"dte_archive_url": str(self.folder)}).execute()
        self.assertFalse((self.folder / MARKER).exists(), "an unmounted disk must not be marked by the way")
        settings.create({}).action_dte_use_archive_folder()
        self.assertTrue((self.folder / MARKER).exists())
        self.copy_files()
        self.assertEqual((backup.file_state, len(self.files())), ("written", 1))

    def test_only_administrators_choose_the_folder(self):
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].new().action_dte_use_archive_folder()

    def test_leftovers_of_killed_jobs(self):
        backup = self.backup_of(self.post())
        self.copy_files()
        [path] = self.files()
        old, fresh = path.with_name(".33-1.xml.0123abcd.part"), path.with_name(".33-1.json.0123abcd.part")
        foreign = path.with_name(".report.odt.0123abcd.part")
        for part in (old, fresh, foreign):
            part.write_bytes(b"<DTE")
        for part in (old, foreign, path):
            os.utime(part, (time.time() - 90_000,) * 2)
        self.scrub()
        self.assertEqual([part.exists() for part in (old, fresh, foreign, path)], [False, True, True, True])
        self.assertEqual(backup.check_state, "ok")

    @mute_logger(JOB_LOG)
    def test_another_folder_touches_no_row(self):
        """A million rows are not written while somebody saves the settings: the job finds them."""
        (self.folder / "a").mkdir()
        self.company.sudo().dte_archive_url = str(self.folder / "a")
        copied, waiting = self.backup_of(self.post()), self.backup_of(self.post())
        path = self.folder / "a" / waiting._place().key
        path.parent.mkdir(parents=True)
        path.write_bytes(copied._row_xml())
        self.copy_files()
        self.assertEqual((copied.file_state, waiting.file_error), ("written", "archive_other_document"))

        def places():
            self.env.flush_all()
            query = "SELECT ctid::text FROM dte_backup WHERE company_id = %s ORDER BY id"
            self.env.cr.execute(query, (self.company.id,))
            return self.env.cr.fetchall()

        before = places()
        (self.folder / "b").mkdir()
        self.company.sudo().dte_archive_url = str(self.folder / "b")
        self.assertEqual(places(), before)
        self.assertEqual(copied._check(), [], "the job owns it")
        self.assertEqual(copied.check_state, "single")
        self.copy_files()
        self.assertEqual([backup.file_state for backup in (copied, waiting)], ["written", "written"])
        self.assertEqual(len(list((self.folder / "b").rglob("*.xml"))), 2)
        before = places()
        self.copy_files()
        self.assertEqual(places(), before, "once")

    def test_targets_that_are_none(self):
        company = self.company.sudo()
        for url in ("relative/folder", "nonsense://x/y", str(Path(config["data_dir"]) / "filestore")):
            with self.assertRaises(ValidationError, msg=url), self.env.cr.savepoint():
                company.dte_archive_url = url
        with self.assertRaisesRegex(UserError, "is not there"), self.env.cr.savepoint():
            company.dte_archive_url = str(self.folder / "missing")

    def test_attachment_on_the_invoice(self):
        move = self.post()
        backup = self.backup_of(move)
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", "account.move"), ("res_id", "=", move.id), ("name", "=", backup.xml_filename)]
        )
        self.assertEqual(attachment.raw, XML_DECLARATION + move._dte_xml())

    def test_figures(self):
        moves = self.post() + self.post()
        self.copy_files()
        company = self.company
        company.invalidate_recordset()
        self.assertEqual((company.dte_archive_count, company.dte_archive_pending), (2, 0))
        self.assertTrue(company.dte_archive_is_double)
        self.assertEqual(sum(self.backup_of(moves).mapped("xml_size")), sum(len(move._dte_xml()) for move in moves))
