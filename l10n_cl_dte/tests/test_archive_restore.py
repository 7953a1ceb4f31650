# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import io
import json
import zipfile
from contextlib import suppress
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs import xml_verifier
from ..libs.archive_store import MARKER
from ..wizards import dte_archive_restore
from .archive import ArchiveCommon, Undo


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveRestore(ArchiveCommon):
    """Documents are issued, archived and copied inside a savepoint; what is left after it is the folder alone."""

    def test_a_thousand_documents(self):
        caf = self.load_caf(33, 101, 1300).sudo()
        sent = {}

        def work():
            documents = self.issue(range(101, 1101), caf)
            for document in documents:
                sent[document.folio] = document._xml()
            self.copy_files()

        self.lose(work)
        self.assertEqual((len(sent), len(self.rows()), len(self.files())), (1000, 0, 1000))
        wizard = self.restore()
        self.assertEqual((wizard.restored, wizard.refused, wizard.is_done), (1000, 0, True))
        rows = self.rows()
        self.assertEqual({row.folio: row._row_xml() for row in rows}, sent)
        for row in rows:
            xml = base64.b64decode(row.with_context(bin_size=False).xml_content)
            self.assertTrue(xml_verifier.verify_dte(xml).valid)
            self.assertEqual(row.sha256, hashlib.sha256(xml).hexdigest())
        documents = self.documents()
        self.assertEqual(documents.backup_id, rows)
        self.assertEqual(set(documents.mapped("state")), {"retry"}, "nobody knows whether they were sent")
        self.assertEqual((caf.used, caf.free), (1000, 200))
        small = self.env["dte.caf"].sudo().search([("folio_from", "=", 1), ("dte_type", "=", "33")])
        small.active = False
        self.assertEqual(self.post().dte_folio, 1101)
        self.seal()
        self.assertEqual(self.codes(), [])
        again = self.restore()
        self.assertEqual((again.restored, again.present, again.refused), (0, 1000, 0))

    def test_states_and_next_folio(self):
        """A verdict and a track id are known from the companion file; nothing else is taken for granted."""
        seen = {}

        def work():
            accepted, sent, waiting = self.post(), self.post(), self.post()
            self.send(accepted)
            self.ask(accepted)
            self.send(sent)
            self.copy_files()
            seen.update(
                xml=waiting._dte_xml(), track_id=sent.dte_track_id, sender=sent.dte_document_id.envio_id.sender_rut
            )

        self.lose(work)
        self.assertFalse(self.documents())
        self.restore()
        accepted, sent, waiting = self.documents()
        self.assertEqual([document.state for document in (accepted, sent, waiting)], ["accepted", "sent", "retry"])
        self.assertEqual(waiting._xml(), seen["xml"])
        self.assertEqual((sent.track_id, sent.envio_id.sender_rut), (seen["track_id"], seen["sender"]))
        self.assertFalse(accepted.move_id)
        self.assertIn("Restored from the archive", waiting.message)
        self.assertEqual(self.post().dte_folio, 4)
        self.simulator.call("POST", "process")
        with self.committing() as env:
            sent.with_env(env).action_check_status()
        self.assertEqual(sent.state, "accepted", "its verdict is asked for with the track id")

    def test_documents_without_invoice_work_everywhere(self):
        self.lose(self.post, self.copy_files)
        self.restore()
        [document] = self.documents()
        backup = document.backup_id
        with self.assertRaisesRegex(UserError, "has no invoice"):
            backup.action_view_invoice()
        self.assertTrue(backup.action_download_xml())
        self.assertTrue(document.timeline)
        self.assertEqual(backup._check(), [])
        self.assertEqual(backup.check_state, "ok")

    def test_companion_lost(self):
        """The document itself says enough."""
        self.lose(self.post, self.copy_files)
        [companion] = self.files(".json")
        companion.unlink()
        self.restore()
        [document] = self.documents()
        self.assertEqual((document.state, document.folio, document.amount_total), ("retry", 1, 1190))
        self.assertEqual(document.receiver_name, "Ferretería El Tornillo Ltda.")

    def test_bad_files_are_named(self):
        self.lose(lambda: [self.post() for _number in range(6)], self.copy_files)
        files = self.files()
        files[0].write_bytes(b"rubbish")
        files[1].write_bytes(files[1].read_bytes().replace(b"Servicio", b"Serv1cio"))
        files[2].unlink()
        for path, companion in ((files[3], files[3].with_suffix(".json")),):
            path.write_bytes(path.read_bytes().replace(b"Servicio", b"Serv1cio"))
            companion.unlink()
        files[4].rename(files[4].with_name("33-50.xml"))
        wizard = self.restore()
        self.assertEqual((wizard.restored, wizard.refused), (1, 6))
        said = dict(line.rpartition("/")[2].split(": ", 1) for line in wizard.report.splitlines())
        self.assertIn("not what its companion", said["33-1.xml"])
        self.assertIn("not what its companion", said["33-2.xml"])
        self.assertIn("missing", said["33-3.xml"])
        self.assertIn("signature", said["33-4.xml"])
        self.assertIn("missing", said["33-5.xml"])
        self.assertIn("name of the file", said["33-50.xml"])
        self.assertEqual(self.documents().mapped("folio"), [6])

    def test_files_of_another_company_are_left_alone(self):
        self.lose(self.post, self.copy_files)
        [path] = self.files()
        other = path.parent.with_name("76086428-5")
        path.parent.rename(other)
        self.assertEqual(self.restore().restored, 0)
        self.assertFalse(self.documents())
        (other / path.name).parent.rename(path.parent)
        self.company.sudo().partner_id.vat = "76086428-5"
        self.assertEqual(self.restore().restored, 0)

    def test_versions(self):
        """Of a corrected document the last version is the live one."""

        def work():
            document = self.post().dte_document_id.sudo()
            self.copy_files()
            document.superseded = True
            newer = document.copy({"version": 2, "move_id": False, "envio_ids": False, "backup_id": False})
            newer.backup_id = self.env["dte.backup"]._archive(newer, document._xml())
            self.copy_files()

        self.lose(work)
        self.assertEqual([path.name for path in self.files()], ["33-1-v2.xml", "33-1.xml"])
        self.restore()
        self.assertEqual(
            [(document.version, document.superseded) for document in self.documents()], [(1, True), (2, False)]
        )

    def test_superseded_versions_wait_for_nothing(self):
        """The first version was refused, the second accepted: the first is over, whatever is restored first."""

        def work():
            document = self.post().dte_document_id.sudo()
            document.superseded = True
            newer = document.copy({"version": 2, "move_id": False, "envio_ids": False, "backup_id": False})
            newer.backup_id = self.env["dte.backup"]._archive(newer, document._xml())
            newer._set_state("accepted")
            self.copy_files()

        for order in ("both", "newer first"):
            with self.subTest(order), suppress(Undo), self.env.cr.savepoint():
                self.lose(work)
                if order == "newer first":
                    older = next(path for path in self.files() if path.name == "33-1.xml")
                    content = older.read_bytes()
                    older.unlink()
                    self.restore()
                    older.write_bytes(content)
                self.restore()
                self.run_job("dte.envio", "_cron_send")
                first, second = self.documents()
                self.assertEqual((first.state, first.superseded, second.state), ("failed", True, "accepted"))
                queue = self.env["dte.failed.queue"].sudo()
                waiting = [("document_id", "=", first.id), ("state", "in", ("pending", "retrying"))]
                self.assertFalse(queue.search(waiting))
                raise Undo

    def test_sent_without_a_track_id(self):
        """The date of sending is written once, together with the track id."""

        def work():
            move = self.post()
            self.fault("cut", service="upload", step="stored")
            self.send(move)
            self.copy_files()

        self.lose(work)
        self.simulator.call("DELETE", "faults")
        self.restore()
        [document] = self.documents()
        self.assertFalse(document.backup_id.sent_date)
        document.backup_id.write({"track_id": "4711", "sent_date": fields.Datetime.now()})
        self.assertTrue(document.queued_at)

    def test_restored_as_sent_may_be_twice_at_the_sii(self):
        self.lose(lambda: self.send(self.post()), self.copy_files)
        self.restore()
        self.assertEqual((self.documents().state, self.documents().elsewhere), ("sent", True))

    def test_other_scope_begins_anew(self):
        self.lose(lambda: [self.post() for _number in range(3)], self.copy_files)
        with self.committing() as env:
            wizard = env(user=self.manager_env().uid)["dte.archive.restore"].create({"company_id": self.company.id})
            with patch.object(dte_archive_restore, "BATCH", 1), patch.object(dte_archive_restore, "SECONDS", 0):
                wizard.action_restore()
            self.assertEqual(wizard.remaining, 3)
            wizard.remaining = 1
            day = self.company._dte_now().date()
            wizard.write({"scope": "period", "date_from": day, "date_to": day})
            wizard.action_restore()
            self.assertEqual((wizard.restored, wizard.is_done), (3, True))

    def test_one_document_and_a_period(self):
        self.lose(lambda: [self.post() for _number in range(3)], self.copy_files)
        wizard = self.restore(scope="document", dte_type="33", folio=2)
        self.assertEqual((wizard.restored, self.rows().mapped("folio")), (1, [2]))
        with self.assertRaisesRegex(UserError, "no such document"):
            self.restore(scope="document", dte_type="33", folio=9)
        day = self.company._dte_now().date()
        self.assertEqual(self.restore(scope="period", date_from="2020-01-01", date_to="2020-12-31").restored, 0)
        wizard = self.restore(scope="period", date_from=day, date_to=day)
        self.assertEqual((wizard.restored, wizard.present), (2, 1))

    def test_existing_rows(self):
        backup = self.backup_of(self.post())
        xml = backup._row_xml()
        self.copy_files()
        with self.unguarded() as cr:
            cr.execute("UPDATE dte_backup SET xml_content = 'AAAA' WHERE id = %s", (backup.id,))
        self.assertEqual(self.restore().repaired, 1)
        self.assertEqual(backup._row_xml(), xml)

    def test_without_a_folder(self):
        (self.folder / MARKER).unlink()
        with self.assertRaisesRegex(UserError, "not mounted"):
            self.restore()
        self.company.sudo().dte_archive_url = False
        with self.assertRaisesRegex(UserError, "Set the archive folder"):
            self.restore()

    # -- export --

    def test_export(self):
        moves = self.post() + self.post(dte_type="34")
        day = self.company._dte_now().date()
        values = {"company_id": self.company.id, "date_from": day, "date_to": day}
        wizard = self.manager_env()["dte.archive.export"].create(values)
        self.assertEqual(wizard.action_export()["type"], "ir.actions.act_url")
        content = base64.b64decode(wizard.with_context(bin_size=False).zip_file)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            lines = [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]
            packed = {line["type"]: archive.read(line["file"]) for line in lines}
        self.assertEqual(packed, {33: moves[0]._dte_xml(), 34: moves[1]._dte_xml()})
        self.assertEqual({line["sha256"] for line in lines}, set(self.backup_of(moves).mapped("sha256")))
        with self.assertRaisesRegex(UserError, "no documents"):
            self.manager_env()["dte.archive.export"].create({**values, "dte_type": "61"}).action_export()

    # -- API --

    def test_api(self):
        move = self.post()
        backup, xml = move.dte_document_id.backup_id, move._dte_xml()
        api = self.manager_env()["dte.backup"]
        for content in (xml, xml.decode("iso-8859-1")):
            self.assertEqual(api.backup_dte("33", 1, content, "777", move.id), backup)
        self.assertEqual(backup.track_id, "777")
        self.assertEqual(api.backup_dte("33", 1, xml, "778", move.id, self.rut).track_id, "777")
        other = self.post()._dte_xml()
        for arguments, words in (
            (("33", 1, other, "", move.id), "Other bytes"),
            (("33", 2, xml, "", move.id), "has no electronic document"),
            (("33", 1, xml, "", move.id, "1-9"), "The issuer"),
            (("33", 1, xml, "", self.make().id), "has no electronic document"),
        ):
            with self.assertRaisesRegex(UserError, words):
                api.backup_dte(*arguments)

    def test_api_after_the_term(self):
        """A document that was deleted after its term says so."""
        gone = self.manager_env()["dte.backup"]
        for read in (gone.restore_dte_xml, gone.action_download_xml):
            with self.assertRaisesRegex(UserError, "years to keep"):
                read()

    def test_api_without_a_row(self):
        """A document whose current version has no row yet is archived, but only its own signed bytes."""
        move = self.post()
        document, xml = move.dte_document_id.sudo(), move._dte_xml()
        other = self.post()._dte_xml()
        self.env.flush_all()
        with self.env.cr.savepoint(), mute_logger("odoo.sql_db"):
            document.write({"backup_id": False, "version": 2})
            api = self.manager_env()["dte.backup"]
            for content, words in (
                (base64.b64encode(xml), "not a signed"),
                (other, "another document"),
                (xml.replace(b"Servicio", b"Serv1cio"), "signature"),
            ):
                with self.assertRaisesRegex(UserError, words):
                    api.backup_dte("33", 1, content, "", move.id)
        self.assertFalse(document.backup_id)
