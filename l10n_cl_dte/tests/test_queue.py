# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from contextlib import suppress
from datetime import timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs.sii_soap_client import SiiClient
from .common import DteCommon


class Killed(BaseException):
    """The process ends here."""


@tagged("post_install_l10n", "post_install", "-at_install")
class TestQueue(DteCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = cls.dte_user.sudo().copy({"login": f"manager_{cls.company.id}", "name": "Jefa DTE"})
        cls.manager.group_ids += cls.env.ref("l10n_cl_dte.group_dte_manager").sudo()
        # Its failures follow one another; the retries are looked at, not the contingency that would begin.
        cls.company.sudo().dte_breaker_failures = 0

    def failed(self):
        """Return an invoice whose first delivery failed because the SII was blocked."""
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "retry")
        return move

    def row(self, move, user=None):
        return (
            self.env["dte.failed.queue"]
            .with_user(user or self.dte_user)
            .search([("move_id", "=", move.id)], order="id desc", limit=1)
        )

    def run_retries(self):
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")

    def due_in(self, row):
        return round((row.next_retry_date - fields.Datetime.now()).total_seconds() / 3600)

    def test_first_failure(self):
        move = self.failed()
        row = self.row(move)
        self.assertRecordValues(row, [{
            "state": "pending", "error_type": "unavailable", "retry_count": 0, "max_retries": 5,
            "folio": move.dte_folio, "dte_type": "33", "rut_emisor": self.rut, "last_retry_date": False,
            "success_track_id": False,
        }])  # fmt: skip
        self.assertEqual(self.due_in(row), 1)
        self.assertIn("did not take the file", row.error_message)
        self.assertEqual(row.retry_history, move.dte_document_id.envio_ids)
        self.assertIn("Next attempt", move.dte_message)
        self.assertTrue(any("Next attempt" in (note.body or "") for note in move.message_ids))

    def test_the_message_says_which_retry_is_next(self):
        move = self.failed()
        self.assertIn("(retry 1 of 5)", move.dte_message)
        self.assertNotIn(" )", move.dte_message)

    def test_not_sent_before_it_is_due(self):
        move = self.failed()
        uploads = len(self.uploads())
        self.wait(minutes=50)
        self.run_retries()
        self.assertEqual((move.dte_status, len(self.uploads())), ("retry", uploads))

    def test_retry_delivers(self):
        move = self.failed()
        self.wait(minutes=61)
        self.run_retries()
        self.assertEqual(move.dte_status, "sent")
        row = self.row(move)
        self.assertRecordValues(row, [{"state": "success", "success_track_id": move.dte_track_id}])
        self.assertTrue(row.success_date)
        self.assertEqual(len(row.retry_history), 2)

    def test_schedule(self):
        move = self.failed()
        waits = []
        self.fault("upload_status", status=9, count=5)
        for retries in range(5):
            row = self.row(move)
            waits.append(self.due_in(row))
            self.assertEqual((row.state, row.retry_count), ("pending", retries))
            self.wait(hours=waits[-1], minutes=1)
            self.run_retries()
        self.assertEqual(waits, [1, 2, 4, 8, 16])
        row = self.row(move)
        self.assertRecordValues(row, [{"state": "abandoned", "retry_count": 5, "next_retry_date": False}])
        self.assertEqual(move.dte_status, "failed")
        self.assertIn("6 attempts failed", move.dte_message)
        self.wait(days=3)
        self.run_retries()
        tries = [upload for upload in self.uploads() if upload["status"] == 9]
        self.assertEqual(len(tries), 6, "nothing is tried after the last attempt")
        activity = move.sudo().activity_ids
        self.assertEqual(len(activity), 1)
        self.assertTrue(activity.user_id.has_group("l10n_cl_dte.group_dte_manager"))

    def test_what_the_sii_says_is_text(self):
        move = self.post()
        document = move.dte_document_id.sudo()
        document._set_state("failed", "sii_upload_refused", {"sii_code": "7", "sii_text": "<b>Esquema</b> 1 < 2"})
        document._tell()
        self.assertIn("&lt;b&gt;Esquema&lt;/b&gt; 1 &lt; 2", move.sudo().activity_ids.note)

    def test_schedule_of_the_company(self):
        self.company.sudo().dte_retry_hours = "0.5, 3"
        move = self.failed()
        row = self.row(move)
        self.assertEqual(row.max_retries, 2)
        self.assertLess(row.next_retry_date, fields.Datetime.now() + timedelta(minutes=31))
        for bad in ("", "0", "-1, 2", "una, dos", "9999"):
            with self.subTest(bad=bad), self.assertRaises(UserError):
                self.company.sudo().dte_retry_hours = bad or " , "

    def test_permanent_error_goes_to_a_person(self):
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        move = self.post()
        self.send(move)
        self.assertRecordValues(
            self.row(move), [{"state": "abandoned", "error_type": "validation", "next_retry_date": False}]
        )
        self.assertTrue(move.sudo().activity_ids)
        self.wait(days=2)
        self.run_retries()
        self.assertEqual(len(self.uploads()), 1)

    def test_unknown_outcome_is_in_the_ledger(self):
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        move = self.post()
        self.send(move)
        row = self.row(move)
        self.assertEqual((row.state, row.next_retry_date), ("retrying", move.dte_document_id.sudo().envio_id.due_at))
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual((move.dte_status, row.state), ("sent", "success"))

    def test_send_button_tries_at_once(self):
        move = self.failed()
        self.send(move)
        self.assertEqual((move.dte_status, self.row(move).state), ("sent", "success"))

    def test_retry_now(self):
        move = self.failed()
        with self.committing() as env:
            self.row(move).with_env(env).action_retry_now()
        self.assertEqual(move.dte_status, "sent")

    def test_retry_send(self):
        move = self.failed()
        with self.committing() as env:
            self.assertTrue(self.row(move).with_env(env(user=self.manager)).retry_send())
        self.assertEqual(move.dte_status, "sent")

    def test_give_up_and_reopen(self):
        move = self.failed()
        row = self.row(move, self.manager)
        row.action_abandon()
        self.assertEqual((row.state, move.dte_status), ("abandoned", "failed"))
        self.assertIn("Jefa DTE stopped the attempts", move.dte_message)
        self.wait(days=1)
        self.run_retries()
        self.assertEqual(move.dte_status, "failed")
        row.action_reopen()
        self.assertEqual(move.dte_status, "to_send")
        self.assertFalse(move.sudo().activity_ids)
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_nobody_decides_while_the_outcome_is_unknown(self):
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        move = self.post()
        self.send(move)
        for action in ("action_abandon", "action_reopen"):
            with self.subTest(action=action), self.assertRaisesRegex(UserError, "may be at the SII already"):
                getattr(self.row(move, self.manager), action)()
        self.assertEqual(move.dte_status, "unknown")

    def test_users_send_but_do_not_decide(self):
        row = self.row(self.failed())
        for action in ("action_abandon", "action_reopen", "retry_send"):
            with self.subTest(action=action), self.assertRaises(AccessError):
                getattr(row, action)()
        for user in (self.dte_user, self.manager):
            for change in (lambda own: own.write({"state": "success"}), lambda own: own.unlink()):
                with self.assertRaises(AccessError):
                    change(row.with_user(user))
            with self.assertRaises(AccessError):
                row.with_user(user).create({"document_id": row.document_id.id})

    def test_one_open_row(self):
        move = self.failed()
        self.fault("upload_status", status=9, count=1)
        self.wait(minutes=61)
        self.run_retries()
        rows = self.env["dte.failed.queue"].search([("move_id", "=", move.id)])
        self.assertEqual(rows.mapped("retry_count"), [1])
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.env.cr.savepoint():
            rows.sudo().copy()

    def test_row_is_repaired_when_its_transaction_was_lost(self):
        """Killed between the result and what follows from it: the next run of the job writes it."""
        move = self.failed()
        self.row(move).sudo().document_id.told = False
        self.env.cr.execute("DELETE FROM dte_failed_queue WHERE move_id = %s", [move.id])
        self.env.invalidate_all()
        self.run_job()
        self.assertEqual(self.row(move).state, "pending")

    def test_kinds_of_errors(self):
        """Each kind of failure has its own class, from what happened and not from words."""
        self.send(self.post())
        for fault, state, error_type in (
            ({"kind": "cut", "step": "body_received", "service": "upload"}, "unknown", "connection"),
            ({"kind": "upload_status", "status": 3, "count": 1, "service": "upload"}, "retry", "unavailable"),
            ({"kind": "upload_status", "status": 7, "count": 1, "service": "upload"}, "failed", "validation"),
            ({"kind": "http_status", "status": 503, "count": 1, "service": "upload"}, "unknown", "unavailable"),
            ({"kind": "truncate", "count": 1, "service": "upload"}, "unknown", "unavailable"),
        ):
            with self.subTest(fault=fault), patch.object(SiiClient, "_pause", return_value=True):
                self.fault(**fault)
                move = self.post()
                self.send(move)
                self.assertEqual((move.dte_status, self.row(move).error_type), (state, error_type))
                self.simulator.call("DELETE", "faults")
        self.company.sudo().dte_simulator_url = "http://127.0.0.1:9"
        move = self.post()
        with patch.object(SiiClient, "_pause", return_value=True):
            self.send(move)
        self.assertEqual((move.dte_status, self.row(move).error_type), ("retry", "connection"))

    def test_others_see_that_an_attempt_is_running(self):
        """The state of the row is part of the claim, which is committed before the upload."""
        move = self.failed()
        self.wait(minutes=61)
        with suppress(Killed), patch.object(SiiClient, "upload", side_effect=Killed):
            self.run_retries()
        self.env.invalidate_all()
        seen = (self.row(move).state, move.dte_status)
        self.assertEqual(seen, ("retrying", "sending"))

    def add(self, move, error_type="connection", user=None, **values):
        content = values.pop("content", None) or move._dte_xml()
        return (
            self.env["dte.failed.queue"]
            .with_user(user or self.manager)
            .add_failed_dte(
                values.get("dte_type", "33"),
                values.get("folio", move.dte_folio),
                content,
                error_type,
                "cable cortado",
                move.id,
            )
        )

    def test_add_failed_dte(self):
        move = self.post()
        row = self.add(move)
        self.assertRecordValues(
            row, [{"state": "pending", "error_type": "connection", "error_message": "cable cortado", "retry_count": 0}]
        )
        self.assertEqual(self.due_in(row), 1)
        self.assertEqual(self.add(move), row, "one open row")
        self.wait(minutes=61)
        self.run_retries()
        self.assertEqual((move.dte_status, row.state), ("sent", "success"))

    def test_add_failed_dte_as_text(self):
        move = self.post([{"name": "Año ñandú", "price_unit": 1000}])
        self.assertEqual(self.add(move, content=move._dte_xml().decode("iso-8859-1")).state, "pending")

    def test_add_failed_dte_permanent(self):
        move = self.post()
        self.assertEqual((self.add(move, "validation").state, move.dte_status), ("abandoned", "failed"))

    def test_add_failed_dte_that_had_arrived(self):
        """Somebody else had no answer but the SII has the document: it is asked, and nothing is sent."""
        move = self.post()
        self.send_elsewhere(move)
        self.add(move, "timeout")
        documents = move.dte_document_id.sudo()
        self.assertFalse(documents.search(documents._sendable_domain(self.company)))
        self.wait(minutes=61)
        self.run_retries()
        self.assertEqual(len(self.uploads()), 1)
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")

    def test_add_failed_dte_again(self):
        """The row is open already, but what the other system tried meanwhile may have arrived."""
        move = self.failed()
        row = self.row(move)
        self.assertEqual(self.add(move, "timeout"), row)
        self.send_elsewhere(move)
        self.wait(minutes=61)
        self.run_retries()
        self.assertEqual([upload["status"] for upload in self.uploads() if upload["status"] != 5], [9, 0])
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")

    def test_add_failed_dte_refuses(self):
        move = self.post()
        for values, words in (
            ({"folio": 99}, "has no electronic document"),
            ({"dte_type": "34"}, "has no electronic document"),
            ({"content": b"<DTE/>"}, "not the archived bytes"),
        ):
            with self.subTest(values=values), self.assertRaisesRegex(UserError, words):
                self.add(move, **values)
        with self.assertRaises(UserError):
            self.add(move, "bad luck")
        with self.assertRaises(AccessError):
            self.add(move, user=self.dte_user)
        self.send(move)
        with self.assertRaisesRegex(UserError, "has Electronic Invoice"):
            self.add(move)
