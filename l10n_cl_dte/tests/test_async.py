# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..libs.sii_soap_client import SiiClient
from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestAsync(DteCommon):
    """Users click and go on."""

    def queue(self, moves, user=None):
        with self.committing() as env:
            return moves.with_env(env(user=user) if user else env).action_send_dte_async()["params"]

    def post_many(self, count):
        return self.env["account.move"].union(*(self.post() for _number in range(count)))

    def sending_job_calls(self):
        job = self.env.ref("l10n_cl_dte.ir_cron_send").sudo()
        return self.env["ir.cron.trigger"].sudo().search_count([("cron_id", "=", job.id)])

    def test_it_returns_at_once_and_the_job_sends(self):
        moves = self.post_many(3)
        calls = self.sending_job_calls()
        with patch.object(SiiClient, "authenticate") as login:
            notice = self.queue(moves)
        login.assert_not_called()
        self.assertIn("Queued: 3", notice["message"])
        self.assertTrue(all(moves.mapped("dte_is_queued")))
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertGreater(self.sending_job_calls(), calls, "the job is woken at once")
        self.run_job()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertFalse(any(moves.mapped("dte_is_queued")))
        self.assertEqual(len(self.uploads()), 1)
        self.assertIn("received it with track id", moves[0].message_ids[0].body)

    def test_who_asked_is_told_once(self):
        moves = self.post_many(3)
        self.company.sudo().dte_envio_size = 2
        self.queue(moves)
        sent = []
        users = type(self.env["res.users"])
        with patch.object(users, "_bus_send", lambda user, kind, message, **_more: sent.append((user, kind, message))):
            self.run_job()
            self.run_job()
            self.simulator.call("POST", "process")
            self.run_job(method="_cron_check_status")
        told = [
            message["message"]
            for user, kind, message in sent
            if kind == "simple_notification" and user == self.dte_user
        ]
        self.assertEqual(len(told), 2, "one message for each envelope, none for what nobody waits for any more")
        self.assertIn("Still queued: 1", told[0])
        self.assertNotIn("Still queued", told[1])

    def test_a_failure_is_told(self):
        move = self.post()
        self.queue(move)
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        sent = []
        users = type(self.env["res.users"])
        with patch.object(users, "_bus_send", lambda user, kind, message, **_more: sent.append((kind, message))):
            self.run_job()
        self.assertEqual(move.dte_status, "failed")
        told = [message["type"] for kind, message in sent if kind == "simple_notification"]
        self.assertEqual(told, ["warning"])

    def test_thousands_take_no_longer_to_note(self):
        """What is asked of the database does not grow with every document, only with every hundred of them."""
        moves = self.post_many(16)
        self.queue(moves[:2])
        few = self.count_queries(lambda: self.queue(moves[2:4]))
        many = self.count_queries(lambda: self.queue(moves[4:]))
        self.assertLessEqual(many, few + 2)
        self.assertTrue(all(moves.mapped("dte_is_queued")))

    def count_queries(self, action):
        self.env.flush_all()
        before = self.env.cr.sql_log_count
        action()
        return self.env.cr.sql_log_count - before

    def test_who_asked_is_noted_before_a_job_can_have_it(self):
        move = self.post()
        seen = []

        def noted(job, *_args, **_options):
            job.env.flush_all()
            document = self.env["dte.document"].sudo().with_env(job.env(su=True)).browse(move.dte_document_id.id)
            seen.append((bool(document.queued_at), document.queued_by.id))

        with patch.object(type(self.env["ir.cron"]), "_commit_progress", noted):
            self.queue(move)
        self.assertEqual(seen, [(True, self.dte_user.id)])

    def test_what_has_left_is_not_queued(self):
        first, second = self.post_many(2)
        self.send(first)
        notice = self.queue(first | second)
        self.assertIn("Queued: 1.", notice["message"])
        self.assertIn("Left already: 1.", notice["message"])
        notice = self.queue(first)
        self.assertEqual(notice["type"], "info")
        self.assertNotIn("Queued", notice["message"])
        self.assertFalse(first.dte_document_id.sudo().queued_by)
        with self.assertRaisesRegex(UserError, "Post them first"):
            self.queue(self.make())

    def test_a_retry_that_is_due_later_leaves_now(self):
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "retry")
        row = self.env["dte.failed.queue"].search([("move_id", "=", move.id)])
        self.assertGreater(row.next_retry_date, fields.Datetime.now())
        job = self.env.ref("l10n_cl_dte.ir_cron_retry").sudo()
        calls = self.env["ir.cron.trigger"].sudo().search_count([("cron_id", "=", job.id)])
        self.assertIn("Queued: 1.", self.queue(move)["message"])
        self.assertLessEqual(row.next_retry_date, fields.Datetime.now())
        self.assertGreater(self.env["ir.cron.trigger"].sudo().search_count([("cron_id", "=", job.id)]), calls)
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.assertEqual((move.dte_status, row.state), ("sent", "success"))

    def test_what_somebody_else_may_have_sent_is_asked_about_first(self):
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        uploads = len(self.uploads())
        self.send_elsewhere(move)
        move.dte_document_id.sudo().write({"ask_first": True, "elsewhere": True})
        self.queue(move)
        self.assertTrue(move.dte_document_id.sudo().ask_first)
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.assertEqual((move.dte_status, len(self.uploads())), ("sent", uploads + 1))

    def test_what_somebody_else_is_working_on_is_not_queued(self):
        moves = self.post_many(3)
        busy = moves[0].dte_document_id
        documents = type(busy)
        lock = documents.try_lock_for_update
        with patch.object(
            documents,
            "try_lock_for_update",
            lambda found, **options: lock(found.browse(set(found.ids) - set(busy.ids))),
        ):
            notice = self.queue(moves)
            alone = self.queue(moves[0])
        self.assertIn("Queued: 2.", notice["message"])
        self.assertIn("working on them: 1.", notice["message"])
        self.assertEqual((notice["type"], alone["type"]), ("warning", "warning"))
        self.assertNotIn("Queued", alone["message"])
        self.assertEqual(moves.mapped("dte_is_queued"), [False, True, True])
        self.assertFalse(busy.sudo().queued_by)

    def test_what_belongs_to_another_environment_is_not_queued(self):
        moves = self.post_many(2)
        moves[0].dte_document_id.sudo().environment = "certification"
        notice = self.queue(moves)
        self.assertIn("Queued: 1.", notice["message"])
        self.assertIn("another environment or under another RUT than the company has now: 1.", notice["message"])
        self.assertEqual(moves.mapped("dte_is_queued"), [False, True])
        self.company.sudo().vat = "76543210-3"
        self.assertNotIn("Queued", self.queue(moves[1])["message"].replace("Not queued", ""))

    def test_pressed_twice(self):
        move = self.post()
        self.queue(move)
        first = move.dte_document_id.sudo().queued_at
        self.queue(move)
        self.assertEqual(move.dte_document_id.sudo().queued_at, first)
        self.run_job()
        self.queue(move)
        self.run_job()
        self.assertEqual(len(self.uploads()), 1)

    def test_rights(self):
        biller = new_test_user(
            self.admin_env, f"biller_{self.company.id}", groups="account.group_account_invoice",
            company_id=self.company.id, company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        move = self.post()
        with self.assertRaises(AccessError):
            self.queue(move, biller)
        self.assertFalse(move.dte_is_queued)

    def test_when_the_invoice_is_confirmed(self):
        self.company.sudo().dte_send_when = "posting"
        calls = self.sending_job_calls()
        move = self.post()
        self.assertTrue(move.dte_is_queued)
        self.assertGreater(self.sending_job_calls(), calls)
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_once_a_day(self):
        self.company.sudo().write({"dte_send_when": "daily", "dte_send_hour": 18.5})
        move = self.post()

        def at(hour, minute, day=22):
            moment = fields.Datetime.to_datetime(f"2026-11-{day} {hour}:{minute:02}:00")
            return patch.object(type(self.company), "_dte_now", lambda _company: moment)

        with at(18, 29):
            self.run_job()
        self.assertEqual((move.dte_status, move.dte_is_queued), ("to_send", False))
        with at(18, 30):
            self.run_job()
        self.assertEqual(move.dte_status, "sent")
        late = self.post()
        with at(23, 0):
            self.run_job()
        self.assertEqual(late.dte_status, "to_send", "once a day")
        with at(18, 31, day=23):
            self.run_job()
        self.assertEqual(late.dte_status, "sent")

    def test_once_a_day_but_again_for_what_was_locked(self):
        self.company.sudo().write({"dte_send_when": "daily", "dte_send_hour": 0})
        moves = self.post_many(2)
        busy = moves[0].dte_document_id
        documents = type(busy)
        lock = documents.try_lock_for_update
        with patch.object(
            documents,
            "try_lock_for_update",
            lambda found, **options: lock(found.browse(set(found.ids) - set(busy.ids))),
        ):
            self.run_job()
        self.assertEqual(moves.mapped("dte_status"), ["to_send", "sent"])
        self.run_job()
        self.assertEqual(moves.mapped("dte_status"), ["sent", "sent"])
        self.assertTrue(self.company.sudo().dte_sent_on)

    def test_manual_is_the_default(self):
        move = self.post()
        self.run_job()
        self.assertEqual((move.dte_status, move.dte_is_queued), ("to_send", False))
