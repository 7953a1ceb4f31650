# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..libs import xml_verifier
from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestCorrect(DteCommon):
    def rejected(self):
        move = self.post()
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=move.dte_folio, outcome="reject")
        self.send(move)
        self.ask(move)
        self.assertEqual(move.dte_status, "rejected")
        return move

    def correct(self, move):
        with self.committing() as env:
            move.with_env(env).action_dte_correct()
        # Signed in the same second with the same content it would be the same document.
        move.invoice_line_ids.name = "Servicio corregido"

    def deliver(self, move):
        move.action_post()
        self.send(move)
        self.ask(move)

    def versions(self, move):
        return self.env["dte.document"].search([("folio", "=", move.dte_folio), ("dte_type", "=", "33")], order="id")

    def test_rejected_is_issued_again_with_its_folio(self):
        move = self.rejected()
        folio, first = move.dte_folio, move._dte_xml()
        self.correct(move)
        self.assertEqual((move.state, move.dte_folio), ("draft", folio))
        self.assertIn("Taken back to be corrected", move.dte_message)
        move.invoice_line_ids.price_unit = 2000
        self.deliver(move)
        self.assertEqual((move.dte_status, move.dte_folio, move.amount_total), ("accepted", folio, 2380))
        self.assertEqual(self.held()[33, folio]["total"], 2380)
        versions = self.versions(move)
        self.assertRecordValues(versions, [
            {"version": 1, "superseded": True, "state": "rejected"},
            {"version": 2, "superseded": False, "state": "accepted"},
        ])  # fmt: skip
        self.assertEqual(versions[0]._xml(), first, "the archive keeps both")
        self.assertEqual(versions.sudo().backup_id.mapped("version"), [1, 2])
        self.assertTrue(xml_verifier.verify_dte(versions[1]._xml()).valid)
        self.assertFalse(move.sudo().activity_ids)
        self.assertEqual(self.post().dte_folio, folio + 1, "no gap")

    def test_folio_fields_stay(self):
        move = self.rejected()
        self.correct(move)
        exempt = self.env.ref("l10n_cl.dc_y_f_dte")
        for values in ({"name": "FAC 000077"}, {"l10n_latam_document_type_id": exempt.id}):
            with self.subTest(values=values), self.assertRaises(UserError):
                move.write(values)
        with self.assertRaises(UserError):
            move.unlink()
        with self.assertRaises(UserError):
            move.button_cancel()

    def test_failed_before_it_left(self):
        """What never left needs no question to the SII."""
        move = self.post()
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(move)
        self.assertEqual(move.dte_status, "failed")
        self.correct(move)
        self.deliver(move)
        self.assertEqual((move.dte_status, self.versions(move).mapped("version")), ("accepted", [1, 2]))

    def test_waiting_for_retry(self):
        move = self.post()
        self.fault("upload_status", status=9, count=1)
        self.send(move)
        self.correct(move)
        row = self.env["dte.failed.queue"].search([("move_id", "=", move.id)])
        self.assertEqual(row.state, "abandoned")
        self.wait(hours=2)
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.assertEqual(len(self.uploads()), 1, "the version that was taken back never leaves")
        self.deliver(move)
        self.assertEqual(move.dte_status, "accepted")

    def refused(self, move, words):
        with self.assertRaisesRegex(UserError, words):
            self.correct(move)
        self.assertEqual(move.state, "posted")

    def test_accepted(self):
        move = self.post()
        self.send(move)
        self.refused(move, "is at the SII or may be there")
        self.ask(move)
        self.refused(move, "credit or debit note")

    def test_unknown(self):
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        move = self.post()
        self.send(move)
        self.refused(move, "may be there")

    def test_sent_by_somebody_else(self):
        """It never left from here, but somebody else may have sent it: the SII is asked."""
        move = self.post()
        queue = self.admin_env["dte.failed.queue"]
        queue.add_failed_dte("33", move.dte_folio, move._dte_xml(), "timeout", "no answer", move.id)
        self.send_elsewhere(move)
        with self.committing() as env:
            move.with_env(env).action_dte_correct()
        self.assertEqual((move.state, move.dte_status), ("posted", "accepted"))

    def test_replaced_versions_are_not_decided_about(self):
        move = self.rejected()
        document = move.dte_document_id
        self.correct(move)
        for decide in ("_reopen", "_give_up"):
            with self.subTest(decide=decide), self.assertRaisesRegex(UserError, "replaced by a corrected version"):
                getattr(document.sudo(), decide)()
        rows = self.env["dte.failed.queue"].search([("document_id", "=", document.id)])
        self.assertFalse(rows.filtered(lambda row: row.state in ("pending", "retrying")))

    def test_rejected_while_others_of_its_envelope_wait(self):
        """The SII counts one type as rejected and has not told about the other one yet."""
        moves = self.post() | self.post(dte_type="34")
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=moves[0].dte_folio, outcome="reject")
        self.simulator.call("POST", "settings", drop_types=[34])
        self.send(moves)
        self.assertEqual(len(moves.dte_document_id.envio_id), 1)
        self.fault("dnk", service="query_dte", count=9)
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["rejected", "sent"])
        self.correct(moves[0])
        self.assertEqual(moves[0].state, "draft")

    def test_draft(self):
        with self.assertRaisesRegex(UserError, "no electronic document"):
            self.make().action_dte_correct()

    def test_sii_cannot_be_asked(self):
        move = self.rejected()
        self.fault("query_error", service="query_dte_av", count=9)
        self.fault("query_error", service="query_dte", count=9)
        self.refused(move, "did not answer the question")
        self.assertFalse(move.dte_document_id.superseded)

    def test_a_copy_that_was_accepted_is_accepted(self):
        """Correct would issue the sale a second time: the SII has the document, with our signature."""
        move = self.post()
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(move)
        self.send_elsewhere(move)
        with self.committing() as env:
            told = move.with_env(env).action_dte_correct()
        self.assertIn("Accepted by the SII", told["params"]["message"])
        self.assertEqual((move.state, move.dte_status), ("posted", "accepted"))

    def test_folio_that_the_sii_holds_is_left_alone(self):
        move = self.post()
        folio, document = move.dte_folio, move.dte_document_id
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(move)
        self.send_elsewhere(move)
        self.fault("dnk", service="query_dte_av", count=9)
        self.correct(move)
        self.assertEqual((move.state, move.dte_document_id.id), ("draft", False))
        self.deliver(move)
        self.assertNotEqual(move.dte_folio, folio)
        self.assertEqual((move.dte_status, document.state, document.superseded), ("accepted", "failed", False))

    def test_note_waits_for_the_corrected_version(self):
        invoice = self.rejected()
        self.correct(invoice)
        invoice.action_post()
        note = invoice._reverse_moves([{"invoice_date": invoice.invoice_date}])
        note.action_post()
        self.assertEqual(note.dte_document_id.reference_ids, invoice.dte_document_id)
        self.send(invoice + note)
        self.ask(invoice)
        self.send(note)
        self.ask(note)
        self.assertEqual((invoice + note).mapped("dte_status"), ["accepted", "accepted"])

    def test_note_of_a_rejected_invoice_comes_back(self):
        invoice = self.post()
        note = invoice._reverse_moves([{"invoice_date": invoice.invoice_date}])
        note.action_post()
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=invoice.dte_folio, outcome="reject")
        self.send(invoice)
        self.ask(invoice)
        self.assertEqual(note.dte_status, "failed", "told at once, not when somebody tries to send it")
        self.correct(invoice)
        self.deliver(invoice)
        self.assertEqual(note.dte_status, "to_send")
        self.send(note)
        self.ask(note)
        self.assertEqual(note.dte_status, "accepted")
