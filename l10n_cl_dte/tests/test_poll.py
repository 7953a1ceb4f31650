# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs.exceptions import NotDelivered
from ..libs.sii_soap_client import SiiClient
from .common import DteCommon

POLL_LOG = "odoo.addons.l10n_cl_dte.models.dte_envio_poll"


@tagged("post_install_l10n", "post_install", "-at_install")
class TestPoll(DteCommon):
    """When the SII is asked, and for how long."""

    def setUp(self):
        super().setUp()
        self.settings(delays={"process": 36_000_000})

    def sent(self):
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "sent")
        return move

    def minutes_until(self, move):
        self.env.invalidate_all()
        envio = move.dte_document_id.sudo().envio_id
        return (envio.next_poll_date - fields.Datetime.now()).total_seconds() / 60

    def poll(self):
        self.run_job(method="_cron_check_status")

    def questions(self):
        """Count the questions about envelopes that reach the SII while this runs."""
        return patch.object(SiiClient, "envelope_status", autospec=True, side_effect=SiiClient.envelope_status)

    def test_distances(self):
        move = self.sent()
        for expected in (1, 2, 5, 10, 30, 60, 60, 60):
            self.assertAlmostEqual(self.minutes_until(move), expected, delta=expected * 0.11 + 0.1)
            self.poll()
        self.assertEqual(move.dte_document_id.sudo().envio_id.polls, 8)

    def test_the_first_question_wakes_the_job(self):
        move = self.sent()
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        calls = self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]).mapped("call_at")
        due = move.dte_document_id.sudo().envio_id.next_poll_date
        # A moment later where another runner has a job of its own at that time.
        self.assertTrue(any(timedelta(0) <= call - due <= timedelta(minutes=2) for call in calls))

    def test_setting(self):
        self.company.sudo().dte_poll_minutes = 5
        move = self.sent()
        move.dte_document_id.sudo().envio_id.polls = 5
        self.poll()
        self.assertAlmostEqual(self.minutes_until(move), 5.25, delta=0.35)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.company.sudo().dte_poll_minutes = 4
            self.env.flush_all()

    def test_never_under_five_minutes_after_the_first_hour(self):
        self.company.sudo().dte_poll_minutes = 5
        move = self.sent()
        envio = move.dte_document_id.sudo().envio_id
        with patch("odoo.addons.l10n_cl_dte.models.dte_envio_poll.random.uniform", min):
            self.assertLess((envio._moment_after(2) - fields.Datetime.now()).total_seconds(), 290)
            self.wait(minutes=61)
            for polls in range(1, 8):
                left = envio._moment_after(polls) - fields.Datetime.now()
                self.assertGreaterEqual(left.total_seconds(), 299, polls)

    def test_without_an_answer_it_is_asked_as_seldom_as_with_one(self):
        move = self.sent()
        unanswered = NotDelivered("sii_question_failed", error_type="unavailable")
        with patch.object(SiiClient, "envelope_status", side_effect=unanswered), mute_logger(POLL_LOG):
            self.poll()
            self.assertLess(self.minutes_until(move), 2)
            self.wait(minutes=61)
            self.poll()
        self.assertGreater(self.minutes_until(move), 50)

    def test_answers_that_are_none(self):
        """After three in a row nothing else is asked on this line; an answer in between begins anew."""
        for _number in range(6):
            self.sent()
        unanswered = NotDelivered("sii_question_failed", error_type="unavailable")

        def questions(*fails):
            outcomes, real = iter(fails), SiiClient.envelope_status

            def status(*args):
                if next(outcomes):
                    raise unanswered
                return real(*args)

            with (
                patch.object(SiiClient, "envelope_status", autospec=True, side_effect=status) as asked,
                mute_logger(POLL_LOG),
            ):
                self.poll()
            return asked.call_count

        self.assertEqual(questions(*[True] * 6), 3)
        self.assertEqual(questions(True, True, False, True, True, False), 6)

    def test_nothing_is_asked_before_its_time(self):
        self.sent()
        with self.questions() as asked, self.committing() as env:
            env["dte.envio"].sudo()._cron_check_status()
        asked.assert_not_called()

    def test_each_is_asked_once_in_a_run(self):
        for _number in range(3):
            self.sent()
        with (
            patch("odoo.addons.l10n_cl_dte.models.dte_envio_poll.SLICE", 2),
            patch("odoo.addons.l10n_cl_dte.models.dte_envio_poll.DISTANCES", (0,)),
            self.questions() as asked,
        ):
            self.company.sudo().dte_poll_minutes = 5
            self.poll()
        self.assertEqual(asked.call_count, 3)

    def test_what_another_process_has_asked_about_is_left_alone(self):
        """The slice was read before it did."""
        for _number in range(3):
            self.sent()
        real = SiiClient.envelope_status

        def status(*args):
            with self.registry.cursor() as other:
                other.execute(
                    "UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC' + interval '1 h'"
                    " WHERE company_id = %s",
                    [self.company.id],
                )
            return real(*args)

        with patch.object(SiiClient, "envelope_status", autospec=True, side_effect=status) as asked:
            self.poll()
        self.assertEqual(asked.call_count, 1)

    def test_what_another_process_is_asking_about_is_left_alone(self):
        """It is looked at again soon, should that process die."""
        moves = [self.sent() for _number in range(2)]
        busy = moves[0].dte_document_id.sudo().envio_id
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]).unlink()

        @contextmanager
        def guard(registry, _guard, row_id):
            yield row_id != busy.id

        with patch("odoo.addons.l10n_cl_dte.models.dte_envio_poll.advisory_guard", guard), self.questions() as asked:
            self.poll()
        self.assertEqual([call.args[2] for call in asked.call_args_list], [moves[1].dte_track_id])
        self.assertLess(self.minutes_until(moves[0]), 0, "its time is not changed")
        calls = self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]).mapped("call_at")
        self.assertGreater(min(calls), fields.Datetime.now() + timedelta(minutes=1), "no run after the other meanwhile")
        self.assertLess(min(calls), fields.Datetime.now() + timedelta(minutes=4))

    def test_a_silent_sii_is_asked_once(self):
        """The other envelopes of the line wait for the next run; none loses its place."""
        moves = [self.sent() for _number in range(3)]
        self.make_polls_due()
        silent = NotDelivered("sii_unreachable", error_type="connection")
        with patch.object(SiiClient, "envelope_status", side_effect=silent) as asked, mute_logger(POLL_LOG):
            self.poll()
        self.assertEqual(asked.call_count, 1)
        self.assertEqual(sum(self.minutes_until(move) > 0 for move in moves), 1)
        with self.questions() as asked:
            self.poll()
        self.assertEqual(asked.call_count, 3)

    def test_a_bad_answer_stops_nobody(self):
        moves = [self.sent() for _number in range(3)]
        bad = NotDelivered("sii_question_failed", error_type="unavailable")
        answers = iter((bad,))

        def status(client, *args):
            for error in answers:
                raise error
            return real(client, *args)

        real = SiiClient.envelope_status
        with patch.object(SiiClient, "envelope_status", status), mute_logger(POLL_LOG):
            self.simulator.call("POST", "process")
            self.poll()
        self.assertEqual(sorted(move.dte_status for move in moves), ["accepted", "accepted", "sent"])
        self.poll()
        self.assertEqual({move.dte_status for move in moves}, {"accepted"})

    def test_no_answer_for_days(self):
        move = self.sent()
        document = move.dte_document_id
        self.wait(days=6)
        self.poll()
        self.assertEqual(move.dte_status, "sent")
        document.sudo().envio_id.first_attempted_at -= timedelta(days=2)
        with self.assertLogs(POLL_LOG, "WARNING") as logs:
            self.poll()
        self.assertIn("dte_timeout", logs.output[0])
        self.assertEqual(move.dte_status, "no_answer")
        self.assertIn("gives no verdict", move.dte_message)
        self.assertEqual(len(move.sudo().activity_ids), 1)
        with self.questions() as asked:
            self.poll()
        asked.assert_not_called()
        with self.assertRaisesRegex(UserError, "may be there"), self.committing() as env:
            move.with_env(env).action_dte_correct()
        # A person asks, and the SII has made up its mind.
        self.settings(delays={"process": 0})
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")
        self.assertFalse(move.sudo().activity_ids)

    def unanswered(self):
        move = self.sent()
        move.dte_document_id.sudo().envio_id.first_attempted_at -= timedelta(days=8)
        with mute_logger(POLL_LOG):
            self.poll()
        self.assertEqual(move.dte_status, "no_answer")
        return move

    def send_again(self, move, user):
        with self.committing() as env:
            return move.dte_document_id.with_env(env(user=user)).action_send_again()

    def test_sent_again_when_the_sii_does_not_have_it(self):
        move = self.unanswered()
        with self.assertRaises(AccessError):
            self.send_again(move, self.dte_user)
        self.send_again(move, self.admin)
        document = move.dte_document_id.sudo()
        self.assertEqual((document.state, len(document.envio_ids)), ("sent", 2))
        self.assertTrue(document.envio_id.twice, "its first envelope may still be judged")
        self.settings(delays={"process": 0})
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")
        self.assertEqual(len(self.simulator.documents(self.rut)), 1)

    def test_not_sent_again_when_the_sii_has_it(self):
        move = self.unanswered()
        self.simulator.call("POST", "process")
        with self.assertRaisesRegex(UserError, "is at the SII"):
            self.send_again(move, self.admin)
        self.assertEqual(move.dte_status, "no_answer")
        self.assertEqual(len(self.uploads()), 1)

    def test_the_result_mail_is_asked_for_once(self):
        move = self.sent()
        with patch.object(SiiClient, "resend_result_mail", return_value="0") as mail:
            self.poll()
            mail.assert_not_called()
            self.wait(hours=25)
            self.poll()
            self.poll()
        self.assertEqual(mail.call_count, 1)
        self.assertEqual(mail.call_args.args, (self.rut, move.dte_track_id))

    def test_a_failing_mail_service_costs_no_question(self):
        """It is asked once too, and what waits for its verdict beside it gets its turn."""
        moves = [self.sent() for _number in range(2)]
        self.wait(hours=25)
        away = NotDelivered("sii_unreachable", error_type="connection")
        with (
            patch.object(SiiClient, "resend_result_mail", side_effect=away) as mail,
            self.questions() as asked,
            self.assertLogs(POLL_LOG, "WARNING") as logs,
        ):
            self.poll()
            self.assertEqual((asked.call_count, mail.call_count), (2, 2))
            self.poll()
        self.assertEqual((asked.call_count, mail.call_count), (4, 2))
        self.assertEqual(["dte_result_mail_not_asked" in line for line in logs.output], [True, True])
        self.assertTrue(all(move.dte_document_id.sudo().envio_id.polls == 2 for move in moves))
        calls = self.env["dte.sii.call"].sudo().search([("company_id", "=", self.company.id)])
        failed = calls.filtered(lambda call: call.service == "result_mail")
        self.assertEqual(failed.mapped("outcome"), ["connection"] * 2)
