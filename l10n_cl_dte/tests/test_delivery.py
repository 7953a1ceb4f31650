# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
from contextlib import suppress
from itertools import chain, repeat
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..const import GUARD_ENVIO
from ..libs import xml_verifier
from ..libs.exceptions import NotDelivered
from ..libs.sii_soap_client import SiiClient
from .common import DteCommon
from .simulated import load_certificate, register_company


class Killed(BaseException):
    """The process ends here."""


@tagged("post_install_l10n", "post_install", "-at_install")
class TestDelivery(DteCommon):
    def outcome(self, move, words, state, envio_state):
        """Send and check what the user is told and what is recorded."""
        told = self.send(move)
        self.assertIn(words, told["message"])
        self.assertEqual(move.dte_status, state)
        self.assertEqual(move.dte_document_id.envio_id.state, envio_state)
        return told

    def test_sent(self):
        move = self.post()
        self.outcome(move, "received it with track id", "sent", "sent")
        [upload] = self.uploads()
        envio = move.dte_document_id.envio_id.sudo()
        content = base64.b64decode(envio.with_context(bin_size=False).content)
        self.assertEqual(upload["track_id"], move.dte_track_id)
        self.assertEqual(upload["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual(envio.sha256, upload["sha256"])
        self.assertIn(move._dte_xml(), content, "the document travels byte for byte")
        self.assertTrue(all(report.valid for report in xml_verifier.verify_envio(content)))
        backup = move.dte_document_id.sudo().backup_id
        self.assertEqual((backup.track_id, bool(backup.sent_date)), (move.dte_track_id, True))
        self.assertTrue(move.message_ids.filtered(lambda message: move.dte_track_id in (message.body or "")))

    def test_sending_twice_uploads_once(self):
        move = self.post()
        self.send(move)
        self.send(move)
        self.assertEqual(len(self.uploads()), 1)

    def test_claim_is_committed_before_the_upload(self):
        """Were the process killed in the upload, the claim is there and nobody sends before the grace is over."""
        move = self.post()
        with suppress(Killed), patch.object(SiiClient, "upload", side_effect=Killed):
            self.send(move)
        self.env.invalidate_all()
        self.assertEqual((move.dte_status, move.dte_document_id.envio_id.state), ("sending", "sending"))
        self.send(move)
        self.assertFalse(self.uploads())
        self.assertEqual(move.dte_status, "unknown")

    def test_sender_is_known_to_live_while_it_uploads(self):
        """The lock of the envelope is held during the upload and not after it."""
        held = []
        upload = SiiClient.upload

        def spy(client, *args):
            held.append(self.guards())
            return upload(client, *args)

        move = self.post()
        with patch.object(SiiClient, "upload", spy):
            self.send(move)
        self.assertEqual(held, [[(move.dte_document_id.envio_id.id,)]])
        self.assertFalse(self.guards())

    def guards(self):
        self.env.cr.execute(
            "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [GUARD_ENVIO],
        )
        return self.env.cr.fetchall()

    def test_receipt_is_committed_before_anything_else(self):
        """Were the process killed right after the upload, the track id is there."""
        move = self.post()
        with suppress(Killed), patch.object(type(move.dte_document_id), "_tell", side_effect=Killed):
            self.send(move)
        self.env.invalidate_all()
        self.assertEqual(move.dte_status, "sent")
        self.assertEqual(move.dte_track_id, self.uploads()[0]["track_id"])

    def test_lost_answer_is_unknown(self):
        self.settings(delays={"process": 3600})
        self.fault("cut", service="upload", step="stored")
        move = self.post()
        self.outcome(move, "may or may not have received it", "unknown", "unknown")
        self.assertEqual(len(self.uploads()), 1)
        # The SII does not know the document while it validates: that is no proof that it is not there.
        self.send(move)
        self.assertEqual(len(self.uploads()), 1)
        self.assertEqual(move.dte_status, "unknown")

    def test_web_page_after_the_upload_is_unknown(self):
        self.fault("http_status", service="upload", status=503, processed=True)
        self.outcome(self.post(), "something that is not an answer", "unknown", "unknown")

    def test_who_waited_for_a_failed_login_does_not_try_again(self):
        """The SII swallows packets: everybody who sends would wait for everybody before, one minute each."""
        clock = "odoo.addons.l10n_cl_dte.models.dte_sii_session.time.monotonic"
        with patch(clock, side_effect=chain([0.0], repeat(4.0))), patch.object(SiiClient, "login") as login:
            with self.committing() as env, self.assertRaisesRegex(NotDelivered, "sii_login_failed"):
                env["dte.sii.session"]._token(self.company.with_env(env), "simulator")
            login.assert_not_called()
        with patch(clock, side_effect=chain([0.0], repeat(2.0))), self.committing() as env:
            self.assertTrue(env["dte.sii.session"]._token(self.company.with_env(env), "simulator"))

    def test_refused_connection(self):
        with self.committing() as env:
            env["dte.sii.session"]._token(self.company.with_env(env), "simulator")
        self.company.sudo().dte_simulator_url = "http://127.0.0.1:9"
        move = self.post()
        with patch.object(SiiClient, "_pause", return_value=True):
            self.outcome(move, "cannot be reached", "retry", "not_delivered")
        self.company.sudo().dte_simulator_url = self.simulator.url
        self.outcome(move, "received it with track id", "sent", "sent")
        self.assertEqual(len(move.dte_document_id.envio_ids), 2)

    def test_unreachable_at_login_leaves_documents_alone(self):
        self.company.sudo().dte_simulator_url = "http://127.0.0.1:9"
        move = self.post()
        with (
            patch.object(SiiClient, "_pause", return_value=True),
            self.assertRaisesRegex(UserError, "cannot be reached"),
        ):
            self.send(move)
        self.assertEqual(move.dte_status, "to_send")
        self.assertFalse(move.dte_document_id.envio_ids)

    def test_login_answers_a_web_page(self):
        self.fault("html", service="seed", count=3)
        move = self.post()
        with patch.object(SiiClient, "_pause", return_value=True), self.assertRaisesRegex(UserError, "not an answer"):
            self.send(move)
        self.assertEqual(move.dte_status, "to_send")

    def test_token_refused_once(self):
        self.send(self.post())
        self.fault("token_refused", service="upload", count=1)
        self.outcome(self.post(), "received it with track id", "sent", "sent")

    def test_token_refused_for_good(self):
        self.fault("token_refused", service="upload", count=9)
        self.outcome(self.post(), "did not accept the session", "retry", "not_delivered")

    def test_blocked(self):
        self.fault("upload_status", status=9)
        self.outcome(self.post(), "did not take the file", "retry", "not_delivered")

    def test_user_without_permission(self):
        register_company(self.company, self.simulator, send=False)
        move = self.post()
        self.outcome(move, "does not let this sender send", "to_send", "refused")

    def test_stranger_certificate(self):
        stranger = self.simulator.certificate(rut="12345678-5", name="Persona Ajena")
        load_certificate(self.company.with_env(self.admin_env), *stranger)
        move = self.post()
        self.outcome(move, "does not let this sender send", "to_send", "refused")

    def test_schema_refusal_is_permanent(self):
        self.fault("upload_status", status=7, detail="LSX-00213")
        self.outcome(self.post(), "refused the file (7): LSX-00213", "failed", "refused")

    def test_same_bytes_again_adopt_the_first_track_id(self):
        move = self.post()
        self.send(move)
        envio = move.dte_document_id.envio_id.sudo()
        content = base64.b64decode(envio.with_context(bin_size=False).content)
        with self.committing() as env:
            client = self.company.with_env(env)._dte_client("simulator")
            receipt = client.upload(envio.sender_rut, self.rut, "x.xml", content)
        self.assertTrue(receipt.duplicate)
        self.assertEqual(receipt.track_id, move.dte_track_id)

    def test_many_documents_one_envelope(self):
        moves = self.env["account.move"].union(*(self.post() for _number in range(5)))
        told = self.send(moves)
        self.assertEqual(len(self.uploads()), 1)
        self.assertIn("5 electronic documents", told["title"])
        self.assertEqual(moves.dte_document_id.envio_id.document_count, 5)

    def test_envelope_size(self):
        self.company.sudo().dte_envio_size = 2
        moves = self.env["account.move"].union(*(self.post() for _number in range(5)))
        self.send(moves)
        self.assertEqual(sorted(moves.dte_document_id.envio_ids.mapped("document_count")), [1, 2, 2])
        self.assertEqual(moves.mapped("dte_status"), ["sent"] * 5)

    def test_a_bulk_stops_when_the_sii_goes_away(self):
        self.company.sudo().dte_envio_size = 1
        moves = self.env["account.move"].union(*(self.post() for _number in range(3)))
        self.fault("http_status", service="upload", status=503, count=9)
        self.send(moves)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["to_send", "to_send", "unknown"])

    def test_one_refused_envelope_does_not_stop_the_others(self):
        self.company.sudo().dte_envio_size = 1
        moves = self.env["account.move"].union(*(self.post() for _number in range(3)))
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(moves)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["failed", "sent", "sent"])

    def test_note_waits_for_its_invoice(self):
        invoice = self.post()
        note = invoice._reverse_moves([{"invoice_date": invoice.invoice_date}])
        note.action_post()
        told = self.send(note)
        self.assertIn("Waits for Electronic Invoice 1", told["message"])
        self.assertFalse(self.uploads())
        self.send(invoice + note)
        self.assertEqual((invoice.dte_status, note.dte_status), ("sent", "to_send"))
        self.ask(invoice)
        self.send(note)
        self.ask(note)
        self.assertEqual(note.dte_status, "accepted")

    def test_note_of_a_rejected_invoice_fails(self):
        invoice = self.post()
        note = invoice._reverse_moves([{"invoice_date": invoice.invoice_date}])
        note.action_post()
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=invoice.dte_folio, outcome="reject")
        self.send(invoice)
        self.ask(invoice)
        self.assertEqual(invoice.dte_status, "rejected")
        told = self.send(note)
        self.assertIn("was rejected by the SII", told["message"])
        self.assertEqual(note.dte_status, "failed")
        self.assertEqual(len(self.uploads()), 1)

    def test_other_environment_is_not_claimed(self):
        move = self.post()
        self.company.sudo().dte_environment = "certification"
        told = self.send(move)
        self.assertIn("was issued in the environment Simulator", told["message"])
        self.assertEqual(move.dte_status, "to_send")

    def test_draft_cannot_be_sent(self):
        with self.assertRaisesRegex(UserError, "Post them first"):
            self.send(self.make())

    def test_calls_are_logged_also_when_they_fail(self):
        self.fault("upload_status", status=9)
        self.send(self.post())
        calls = self.env["dte.sii.call"].sudo().search([("company_id", "=", self.company.id)])
        self.assertEqual(calls.mapped("service"), ["upload", "login"])
        self.assertEqual(calls.mapped("outcome"), ["unavailable", "ok"])

    def test_one_login_serves_many_sendings(self):
        for _number in range(3):
            self.send(self.post())
        logins = (
            self.env["dte.sii.call"]
            .sudo()
            .search_count([("company_id", "=", self.company.id), ("service", "=", "login")])
        )
        self.assertEqual(logins, 1)

    def test_tokens_are_never_logged(self):
        with self.assertLogs("odoo.addons.l10n_cl_dte", level="DEBUG") as logs:
            self.send(self.post())
        token = self.env["dte.sii.session"].sudo().search([("company_id", "=", self.company.id)])
        self.env.cr.execute("SELECT token FROM dte_sii_session WHERE id = %s", [token.id])
        [value] = self.env.cr.fetchone()
        self.assertTrue(value)
        self.assertNotIn(value, "\n".join(logs.output))

    def test_size_limit(self):
        moves = self.env["account.move"].union(*(self.post() for _number in range(3)))
        size = len(moves[0]._dte_xml())
        with patch("odoo.addons.l10n_cl_dte.models.dte_envio_send.MAX_BYTES", 2 * size + 100):
            self.send(moves)
        self.assertEqual(sorted(moves.dte_document_id.envio_ids.mapped("document_count")), [1, 2])
