# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A database that was loaded from a dump, and a folder that knows what happened after it."""

import json
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from .archive import ArchiveCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveDump(ArchiveCommon):
    """What is lost is done inside a savepoint: what is left after it is the dump, the folder and the SII."""

    def setUp(self):
        super().setUp()
        self.move = self.post()
        self.document = self.move.dte_document_id.sudo()
        self.backup = self.document.backup_id

    def send_by_jobs(self):
        self.run_job("dte.envio", "_cron_send")
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")

    def tell_companion(self, backup=None, **changes):
        """Write into a companion file what another time line knew."""
        path = (self.folder / (backup or self.backup)._place().key).with_suffix(".json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def open_queue(self, documents):
        return self.env["dte.failed.queue"].sudo().search(
            [("document_id", "in", documents.ids), ("state", "in", ("pending", "retrying"))]
        )  # fmt: skip

    # -- what the folder knows better --

    def test_verdict(self):
        self.document.queued_at = fields.Datetime.now()
        self.lose(lambda: self.send(self.move), lambda: self.ask(self.move), self.copy_files)
        self.assertEqual(self.document.state, "to_send")
        wizard = self.restore()
        self.assertEqual((self.move.dte_status, wizard.updated, wizard.present), ("accepted", 1, 0))
        self.assertEqual(self.backup.track_id, self.uploads()[0]["track_id"])
        self.assertTrue(self.backup.sent_date)
        self.send_by_jobs()
        self.assertEqual(len(self.uploads()), 1)
        again = self.restore()
        self.assertEqual((again.updated, again.present), (0, 1))

    def test_track_id(self):
        self.document.queued_at = fields.Datetime.now()
        self.lose(lambda: self.send(self.move), self.copy_files)
        self.restore()
        self.assertEqual((self.move.dte_status, self.move.dte_track_id), ("sent", self.uploads()[0]["track_id"]))
        self.send_by_jobs()
        self.ask(self.move)
        self.assertEqual((self.move.dte_status, len(self.uploads())), ("accepted", 1))
        self.assertEqual(self.backup.track_id, self.move.dte_track_id)

    def test_envelope_that_had_no_answer(self):
        """The envelope is in the dump: it gets its track id, with all its documents, and is not uploaded again."""
        moves = self.move + self.post()
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        self.send(moves)
        envio = self.document.envio_id
        self.assertEqual((envio.state, len(envio.document_ids)), ("unknown", 2))

        def learn():
            self.wait(minutes=9)
            self.run_job("dte.envio", "_cron_send")
            self.assertEqual(self.document.state, "sent")
            self.copy_files()

        self.lose(learn)
        for path in self.files():
            if path.name == "33-2.xml":
                path.unlink()
                path.with_suffix(".json").unlink()
        self.restore()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual((envio.state, envio.track_id), ("sent", self.uploads()[0]["track_id"]))
        uploads = len(self.uploads())
        self.wait(minutes=60)
        self.run_job("dte.envio", "_cron_send")
        self.assertEqual(len(self.uploads()), uploads)

    def test_envelope_that_was_replaced(self):
        """Another envelope carried the document: the one of the dump was not received and never goes again."""
        moves = self.move + self.post()
        self.fault("cut", service="upload", step="body_received")
        self.send(moves)
        self.simulator.call("DELETE", "faults")
        envio = self.document.envio_id
        self.copy_files()
        self.tell_companion(state="accepted", track_id="4711", envelope_sha256="f" * 64, sender_rut="11111111-1")
        self.restore()
        other = moves[1].dte_document_id.sudo()
        self.assertEqual((self.document.state, self.backup.track_id), ("accepted", "4711"))
        self.assertEqual((other.state, other.ask_first, other.elsewhere), ("retry", True, True))
        self.assertEqual(envio.state, "not_delivered")
        self.wait(minutes=60)
        self.send_by_jobs()
        self.assertEqual((self.document.state, other.state, other.envio_id.twice), ("accepted", "sent", True))
        self.assertEqual(list(self.held()), [(33, 2)])

    # -- what the folder does not know --

    def test_asked_before_sending(self):
        self.document.queued_at = fields.Datetime.now()
        self.copy_files()
        self.lose(lambda: self.send(self.move), lambda: self.simulator.call("POST", "process"))
        self.restore()
        self.assertEqual((self.document.state, self.document.ask_first, self.document.elsewhere), ("retry", True, True))
        self.send_by_jobs()
        self.assertEqual((self.document.state, len(self.uploads())), ("sent", 1))

    def test_nobody_had_asked_to_send_it(self):
        """It does not leave by itself, and the button asks first."""
        self.copy_files()
        self.lose(lambda: self.send(self.move), lambda: self.simulator.call("POST", "process"))
        self.restore()
        self.assertEqual((self.document.state, self.document.ask_first), ("to_send", True))
        self.send(self.move)
        self.assertEqual((self.document.state, len(self.uploads())), ("sent", 1))

    def test_track_id_that_the_database_knows(self):
        """What an old companion tells is no news: the database knows what became of that envelope."""
        self.send(self.move)
        self.copy_files()
        self.document.envio_id.state = "rejected"
        self.document._set_state("failed", error_type="validation")
        self.restore()
        self.assertEqual((self.document.state, self.document.ask_first), ("failed", True))

    def test_somebody_works_on_it(self):
        self.lose(lambda: self.send(self.move), self.copy_files)
        documents = type(self.document)
        with patch.object(documents, "try_lock_for_update", lambda documents, **_options: documents.browse()):
            wizard = self.restore()
        self.assertEqual((wizard.refused, self.document.state), (1, "to_send"))
        self.assertIn("33-1.xml", wizard.report)

    def test_archive_row_removed(self):
        """The row comes back from the folder to the document that has lost it."""
        self.copy_files()
        xml = self.document._xml()
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_document SET backup_id = NULL WHERE id = %s", (self.document.id,))
            cr.execute("DELETE FROM dte_backup WHERE id = %s", (self.backup.id,))
        self.assertEqual(self.restore().restored, 1)
        self.assertEqual(self.documents(), self.document)
        self.assertEqual((self.document._xml(), self.document.backup_id.move_id), (xml, self.move))

    # -- versions --

    def test_newer_version_of_an_invoice(self):
        """The invoice follows the version that was issued last, so it stays locked."""

        def correct():
            self.document.write({"superseded": True})
            newer = self.document.copy({"version": 2, "move_id": False, "envio_ids": False, "backup_id": False})
            newer.backup_id = self.env["dte.backup"]._archive(newer, self.document._xml())
            self.copy_files()
            self.tell_companion(newer.backup_id, state="accepted", track_id="4712")

        self.lose(correct)
        self.restore()
        first, second = self.documents()
        self.assertEqual([first.superseded, second.superseded], [True, False])
        self.assertEqual((first.state, second.state), ("failed", "accepted"))
        self.assertEqual((second.move_id, self.move.dte_document_id.sudo()), (self.move, second))
        self.assertEqual(second.backup_id.move_id, self.move)
        self.assertTrue(self.move._dte_is_locked())
        self.assertFalse(self.open_queue(first | second))
