# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import hashlib
import hmac
import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import DteCommon
from .test_jobs import NEUTRALIZE

RETRY_MINUTES = (1, 5, 30, 120, 360, 1440)


class Receiver(ThreadingHTTPServer):
    """Another system: keeps what it is sent and answers as the test says."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received, self.answers, self.seconds = [], [], 0
        self.url = f"http://127.0.0.1:{self.server_port}/dte"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        time.sleep(self.server.seconds)
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args):
        pass


@tagged("post_install_l10n", "post_install", "-at_install")
class TestWebhook(DteCommon):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.stop)
        self.webhook = self.add(self.receiver)

    def add(self, receiver, **values):
        webhooks = self.admin_env["dte.webhook"]
        return webhooks.create({"name": "Tienda", "url": receiver.url, "internal": True, **values})

    def deliver(self):
        self.run_job("dte.webhook.delivery", "_cron_deliver")

    def deliveries(self):
        self.env.invalidate_all()
        return self.env["dte.webhook.delivery"].sudo().search([("webhook_id", "=", self.webhook.id)], order="id")

    def wait_for_retry(self):
        self.deliveries().filtered(lambda row: row.state == "pending").write({"next_attempt_at": "2026-01-01"})

    def events(self):
        return [json.loads(body) for _path, _headers, body in self.receiver.received]

    def states(self):
        return [event["document"]["state"] for event in self.events()]

    # -- what is told --

    def test_each_told_change_is_delivered_in_order(self):
        move = self.post()
        self.send(move)
        self.deliver()
        self.ask(move)
        self.deliver()
        self.assertEqual(self.states(), ["sent", "accepted"])
        first, second = self.events()
        document = move.dte_document_id
        self.assertEqual(
            second["document"] | {"message": None},
            {
                "type": 33,
                "folio": 1,
                "state": "accepted",
                "previous": "sent",
                "track_id": document.track_id,
                "message": None,
            },
        )
        self.assertEqual((first["company"], first["environment"]), (self.rut, "simulator"))
        self.assertIsNone(first["document"]["previous"])
        self.assertIn(document.track_id, first["document"]["message"])
        self.assertNotEqual(first["event_id"], second["event_id"])
        self.assertEqual(self.deliveries().mapped("state"), ["delivered"] * 2)

    def test_the_signature_verifies(self):
        self.send(self.post())
        self.deliver()
        ((path, headers, body),) = self.receiver.received
        message = headers["X-DTE-Timestamp"].encode() + b"." + body
        expected = hmac.new(self.webhook.secret.encode(), message, hashlib.sha256).hexdigest()
        self.assertEqual((path, headers["X-DTE-Signature"]), ("/dte", f"sha256={expected}"))
        self.assertLess(abs(time.time() - int(headers["X-DTE-Timestamp"])), 30)
        self.assertEqual(headers["X-DTE-Event"], json.loads(body)["event_id"])
        self.assertNotIn(self.webhook.secret, str(headers) + body.decode())

    def test_chosen_states_only(self):
        self.webhook.events = "chosen"
        move = self.post()
        self.send(move)
        self.ask(move)
        self.deliver()
        self.assertEqual(self.states(), ["accepted"])

    def test_what_another_system_issued_is_not_told_and_stands_in_nobodys_way(self):
        for events in ("chosen", "all"):
            with self.subTest(events=events):
                self.webhook.events = events
                imported, failed = self.post().dte_document_id, self.post().dte_document_id
                imported.sudo().state = "imported"
                failed.sudo().state = "failed"
                self.env["dte.webhook"]._note_safely(imported | failed)
                self.assertEqual(self.deliveries().document_id, failed)
                self.deliveries().unlink()

    def test_other_companies_and_archived_webhooks_hear_nothing(self):
        other = self.admin_env["res.company"].create({"name": "Otra"})
        self.webhook.active = False
        self.env["dte.webhook"].sudo().create({"name": "Otra", "url": self.receiver.url, "company_id": other.id})
        self.send(self.post())
        self.deliver()
        self.assertFalse(self.receiver.received)

    # -- what goes wrong --

    def test_retry_after_an_error_of_the_other_side(self):
        self.receiver.answers = [500, 302]
        move = self.post()
        self.send(move)
        state = self.snapshot(move)
        for attempt, (status, minutes) in enumerate(((500, 1), (302, 5)), 1):
            before = fields.Datetime.now()
            self.deliver()
            delivery = self.deliveries()
            self.assertEqual((delivery.state, delivery.attempts, delivery.http_status), ("pending", attempt, status))
            due = delivery.next_attempt_at - before
            self.assertTrue(timedelta(minutes=minutes) <= due <= timedelta(minutes=minutes, seconds=20))
            self.assertIn(str(status), delivery.problem)
            self.deliver()
            self.assertEqual(len(self.receiver.received), attempt, "not before its time")
            self.wait_for_retry()
        self.deliver()
        self.assertEqual(self.deliveries().state, "delivered")
        self.assertEqual({path for path, _headers, _body in self.receiver.received}, {"/dte"}, "no redirect followed")
        identifiers = {headers["X-DTE-Event"] for _path, headers, _body in self.receiver.received}
        self.assertEqual(len(identifiers), 1, "the same event each time")
        self.assertEqual(self.snapshot(move), state)

    def snapshot(self, move):
        self.env.flush_all()
        self.env.cr.execute("SELECT * FROM dte_document WHERE id = %s", [move.dte_document_id.id])
        return self.env.cr.fetchall()

    def test_time_out(self):
        self.receiver.seconds = 2
        self.send(self.post())
        with patch("odoo.addons.l10n_cl_dte.libs.webhook.SECONDS", 0.5):
            started = time.monotonic()
            self.deliver()
        self.assertLess(time.monotonic() - started, 2)
        self.assertEqual((self.deliveries().state, self.deliveries().problem_code), ("pending", "webhook_timeout"))

    def test_nobody_there(self):
        self.receiver.stop()
        self.send(self.post())
        self.deliver()
        self.assertEqual(self.deliveries().problem_code, "webhook_connection")
        # Stopping twice is harmless to nobody: give the clean-up a running one.
        self.receiver.__init__()

    def test_what_nobody_foresaw_is_tried_again(self):
        self.send(self.post())
        with (
            patch("odoo.addons.l10n_cl_dte.models.dte_webhook_delivery.deliver", side_effect=ValueError),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_webhook_delivery"),
        ):
            self.deliver()
        self.assertEqual((self.deliveries().state, self.deliveries().problem_code), ("pending", "webhook_unexpected"))
        self.wait_for_retry()
        self.deliver()
        self.assertEqual(self.deliveries().state, "delivered")

    def test_given_up_with_one_activity_and_sent_again(self):
        self.receiver.answers = [503] * 50
        self.send(self.post())
        self.send(self.post())
        for minutes in (*RETRY_MINUTES, None):
            self.wait_for_retry()
            for _each in range(2):
                self.deliver()
            first = self.deliveries()[0]
            if minutes:
                self.assertEqual(first.state, "pending")
        self.assertEqual(self.deliveries().mapped("state"), ["given_up"] * 2)
        self.assertEqual(self.deliveries().mapped("attempts"), [7, 7])
        self.assertEqual(len(self.receiver.received), 14)
        self.assertEqual(len(self.webhook.activity_ids), 1)
        self.deliveries().with_env(self.admin_env).action_send_again()
        self.deliver()
        self.assertEqual(self.deliveries().mapped("state"), ["pending"] * 2, "with all their attempts again")
        self.receiver.answers = []
        self.wait_for_retry()
        self.deliver()
        self.assertEqual(self.deliveries().mapped("state"), ["delivered"] * 2)
        self.assertFalse(self.webhook.activity_ids)

    def test_one_that_fails_does_not_keep_the_others_waiting(self):
        well = Receiver()
        self.addCleanup(well.stop)
        self.add(well)
        self.receiver.answers = [500] * 9
        for _number in range(3):
            self.send(self.post())
        self.deliver()
        self.assertEqual((len(self.receiver.received), len(well.received)), (1, 3))

    def test_what_fails_after_a_delivery_does_not_undo_it(self):
        self.send(self.post())
        self.send(self.post())
        with (
            patch.object(type(self.webhook), "activity_unlink", side_effect=ValueError),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_webhook_delivery"),
        ):
            self.deliver()
        self.assertEqual(self.deliveries().mapped("state"), ["delivered"] * 2)
        self.wait_for_retry()
        self.deliver()
        self.assertEqual(len(self.receiver.received), 2, "each of them once")

    def test_one_whose_result_cannot_be_written_stops_no_other(self):
        well = Receiver()
        self.addCleanup(well.stop)
        self.add(well)
        self.send(self.post())
        deliveries = type(self.env["dte.webhook.delivery"])
        record = deliveries._record_failure

        def fail_for_one(delivery, code, status):
            record(delivery, code, status)
            raise ValueError

        self.receiver.answers = [500]
        with (
            patch.object(deliveries, "_record_failure", fail_for_one),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_webhook_delivery"),
        ):
            self.deliver()
        self.assertEqual((len(self.receiver.received), len(well.received)), (1, 1))

    def test_one_whose_last_attempt_came_to_no_end_is_given_up(self):
        self.send(self.post())
        self.send(self.post())
        first, second = self.deliveries()
        first.attempts = len(RETRY_MINUTES) + 1
        self.deliver()
        self.assertEqual((first | second).mapped("state"), ["given_up", "delivered"])
        self.assertEqual((first.attempts, first.problem_code), (len(RETRY_MINUTES) + 1, "webhook_unexpected"))
        self.assertEqual(len(self.receiver.received), 1)
        self.assertEqual(len(self.webhook.activity_ids), 1)

    def test_another_process_has_it(self):
        self.send(self.post())
        self.deliveries().write({"next_attempt_at": fields.Datetime.now() + timedelta(minutes=2), "attempts": 1})
        self.deliver()
        self.assertFalse(self.receiver.received)

    def test_what_cannot_be_noted_changes_no_document(self):
        deliveries = type(self.env["dte.webhook.delivery"])
        move = self.post()
        with (
            patch.object(deliveries, "_event", side_effect=ValueError),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_webhook"),
        ):
            self.send(move)
        self.assertEqual((move.dte_status, move.dte_document_id.sudo().told), ("sent", True))
        self.assertFalse(self.deliveries())

    def test_an_inner_address_is_refused(self):
        self.webhook.internal = False
        self.send(self.post())
        self.deliver()
        self.assertEqual((self.deliveries().problem_code, self.receiver.received), ("webhook_internal", []))
        self.assertIn("Internal Address", self.deliveries().problem)

    def test_a_name_that_changes_its_address_is_refused(self):
        """The first look is deceived; the connection is not."""
        self.webhook.internal = False
        self.send(self.post())
        with patch("odoo.addons.l10n_cl_dte.libs.webhook._check_host"):
            self.deliver()
        self.assertEqual((self.deliveries().problem_code, self.receiver.received), ("webhook_internal", []))

    def test_old_ones_are_deleted(self):
        self.send(self.post())
        self.send(self.post())
        first, second = self.deliveries()
        (first | second).write({"state": "delivered", "ended_at": fields.Datetime.now() - timedelta(days=89)})
        first.ended_at -= timedelta(days=2)
        first._gc_old_deliveries()
        self.assertEqual(self.deliveries(), second)

    # -- settings and rights --

    def test_addresses(self):
        webhook = self.webhook
        for url in ("ftp://example.com/", "example.com", "https://", "https://user:key@example.com/", "http://[x/"):
            with self.assertRaises(ValidationError, msg=url):
                webhook.url = url
        webhook.url = "http://tienda.example.com/dte"
        self.company.sudo().dte_environment = "certification"
        webhook.url = "https://tienda.example.com/dte"
        webhook.url = "http://localhost:8080/dte"
        with self.assertRaisesRegex(ValidationError, "Use https"):
            webhook.url = "http://tienda.example.com/dte"

    def test_http_ends_when_the_company_leaves_the_simulator(self):
        self.send(self.post())
        self.webhook.url = "http://tienda.example.com/dte"
        self.company.sudo().dte_environment = "certification"
        with patch("odoo.addons.l10n_cl_dte.models.dte_webhook_delivery.deliver") as sent:
            self.deliver()
        sent.assert_not_called()
        self.assertEqual((self.deliveries().state, self.deliveries().problem_code), ("pending", "webhook_readable"))
        self.assertIn("https", self.deliveries().problem)

    def test_the_secret_is_random_and_for_administrators(self):
        other = self.add(self.receiver, secret="secreto")
        self.assertNotIn("secreto", (other.secret, self.webhook.secret))
        self.assertNotEqual(other.secret, self.webhook.secret)
        self.assertGreaterEqual(len(other.secret), 43)
        self.assertNotEqual(other.copy().secret, other.secret)
        with self.assertRaises(AccessError):
            other.secret = "secreto"
        before = other.secret
        shown = other.action_new_secret()["context"]["dte_secret"]
        self.assertEqual((shown, shown == before), (other.secret, False))
        manager = new_test_user(
            self.env(su=True), "hook_manager", "l10n_cl_dte.group_dte_manager",
            company_id=self.company.id, company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        own = other.with_user(manager)
        self.assertTrue(own.name)
        for forbidden in (
            lambda: own.secret,
            lambda: own.read(["secret"]),
            own.action_show_secret,
            own.action_new_secret,
            lambda: own.write({"internal": True}),
            lambda: self.webhook.with_user(self.dte_user).read(["url"]),
            lambda: self.env["dte.webhook.delivery"].search([]),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_other_companies_see_nothing(self):
        other = self.env["res.company"].sudo().create({"name": "Otra"})
        stranger = new_test_user(
            self.env(su=True), "hook_stranger", "l10n_cl_dte.group_dte_manager",
            company_id=other.id, company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        self.send(self.post())
        for records in (self.webhook, self.deliveries()):
            own = records.with_user(stranger).with_context(allowed_company_ids=other.ids)
            self.assertFalse(own.search([]))
            with self.assertRaises(AccessError):
                own.read(["display_name"])

    def test_neutralized(self):
        self.send(self.post())
        self.env.flush_all()
        self.env.cr.execute(NEUTRALIZE.read_text(encoding="utf-8"))
        self.env.invalidate_all()
        self.deliver()
        self.assertEqual((self.webhook.active, self.receiver.received), (False, []))
