# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import time
from contextlib import suppress
from datetime import timedelta
from unittest.mock import Mock, patch

from psycopg2.errors import SerializationFailure

from odoo.sql_db import db_connect
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.l10n_cl_dte.libs.sii_soap_client import SiiClient
from odoo.addons.queue_job.exception import FailedJobError, RetryableJobError

from ..models.res_company import GUARD_JOB
from .common import JobCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestJob(JobCommon):
    """What a job does, and what it leaves alone."""

    def queued(self, count=1):
        """Return queued documents and the job that is to send them."""
        moves = self.queue(self.post_many(count))
        return moves, self.jobs()

    def make_due(self, job):
        self.make_polls_due()
        return job

    def test_from_the_button_to_the_verdict(self):
        moves, job = self.queued(3)
        self.assertEqual(self.run_queue_job(job), 3)
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(len(self.uploads()), 1)
        self.simulator.call("POST", "process")
        self.assertEqual(self.run_queue_job(self.make_due(self.jobs("_dte_job_ask"))), 1)
        self.assertEqual(set(moves.mapped("dte_status")), {"accepted"})

    def test_the_next_question_has_a_job(self):
        self.settings(delays={"process": 36000})
        move = self.queued()[0]
        self.run_queue_job(self.jobs())
        first = self.jobs("_dte_job_ask")
        self.run_queue_job(self.make_due(first))
        self.assertEqual(move.dte_status, "sent")
        due = move.dte_document_id.sudo().envio_id.next_poll_date
        (following,) = self.jobs("_dte_job_ask") - first
        self.assertTrue(timedelta(0) <= following.eta - due < timedelta(minutes=1))

    def test_a_job_is_for_its_company_alone(self):
        moves, job = self.queued()
        other = self.env["res.company"].sudo().create({"name": "Otra Empresa"})
        with self.committing() as env:
            for method in ("_dte_job_send", "_dte_job_ask"):
                self.assertEqual(getattr(other.with_env(env(su=True)), method)(), 0)
        self.assertEqual(moves.dte_status, "to_send")
        self.run_queue_job(job)
        self.make_polls_due()
        with self.committing() as env, patch.object(SiiClient, "envelope_status") as asked:
            other.with_env(env(su=True))._dte_job_ask()
        asked.assert_not_called()

    def test_run_again_it_sends_nothing_again(self):
        moves, job = self.queued()
        self.run_queue_job(job)
        self.assertEqual(self.run_queue_job(job), 0)
        self.assertEqual((moves.dte_status, len(self.uploads())), ("sent", 1))

    def test_requeued_after_its_process_died(self):
        """The SII has the file, nobody recorded it: the next one asks and does not send."""
        moves, job = self.queued()
        # assertRaises of Odoo would undo what was committed
        with (
            suppress(KeyboardInterrupt),
            patch.object(type(self.env["dte.envio"]), "_commit_result", side_effect=KeyboardInterrupt),
        ):
            self.run_queue_job(job)
        self.env.invalidate_all()
        self.assertEqual((moves.dte_status, len(self.uploads())), ("sending", 1))
        self.simulator.call("POST", "process")
        original = SiiClient.document_status_signed
        with (
            patch.object(SiiClient, "document_status_signed", autospec=True, side_effect=original) as asked,
            self.assertLogs("odoo.addons.l10n_cl_dte.models.dte_envio_reconcile", "WARNING"),
        ):
            self.run_queue_job(job)
        asked.assert_called()
        # The SII knows the second copy: it goes only to read the track id of the first.
        self.assertEqual([upload["status"] for upload in self.uploads()], [0, 99])
        self.assertEqual(moves.dte_status, "sent")

    def test_scheduler_does_it_without_the_runner(self):
        moves, job = self.queued()
        self.run_job()
        self.assertEqual((moves.dte_status, len(self.uploads())), ("sent", 1))
        self.assertEqual(self.run_queue_job(job), 0)
        self.assertEqual(len(self.uploads()), 1)

    def test_one_at_a_time(self):
        """Whatever the capacity of the channel: the second one comes back, and that is no attempt."""
        moves, job = self.queued()
        with db_connect(self.env.cr.dbname).cursor() as other:
            other.execute("SELECT pg_advisory_xact_lock(%s, %s)", (GUARD_JOB, self.company.id))
            with self.assertRaises(RetryableJobError) as caught:
                self.run_queue_job(job)
        self.assertTrue(caught.exception.ignore_retry)
        self.assertEqual(moves.dte_status, "to_send")
        self.run_queue_job(job)
        self.assertEqual(moves.dte_status, "sent")

    def test_errors_are_not_retried(self):
        _moves, job = self.queued()
        envios = type(self.env["dte.envio"])
        with patch.object(envios, "_send_for", side_effect=ValueError), self.assertRaises(ValueError):
            self.run_queue_job(job)
        with (
            patch.object(envios, "_send_for", side_effect=RetryableJobError("again")),
            self.assertRaises(FailedJobError),
        ):
            self.run_queue_job(job)

    def test_a_conflict_is_left_to_the_scheduler(self):
        moves, job = self.queued()
        envios = type(self.env["dte.envio"])
        with patch.object(envios, "_send_for", side_effect=SerializationFailure):
            self.assertEqual(self.run_queue_job(job), 0)
        self.run_job()
        self.assertEqual(moves.dte_status, "sent")

    def test_a_turn_ends_and_the_next_job_goes_on(self):
        self.company.sudo().dte_envio_size = 1
        moves, job = self.queued(3)
        job.state = "started"
        turn, clock = type(self.env["dte.envio"])._serve_turn, Mock(wraps=time)

        def slow(envios, *args):
            clock.monotonic.side_effect = lambda: time.monotonic() + 3600
            return turn(envios, *args)

        with (
            patch("odoo.addons.l10n_cl_dte_queue_job.models.ir_cron.time", clock),
            patch("odoo.addons.l10n_cl_dte_queue_job.models.res_company.time", clock),
            patch.object(type(self.env["dte.envio"]), "_serve_turn", slow),
        ):
            self.assertEqual(self.run_queue_job(job), 1)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["sent", "to_send", "to_send"])
        following = self.jobs()
        self.assertEqual((len(following), following.eta), (1, False))
        self.assertEqual(self.run_queue_job(following), 2)
        self.assertEqual(len(self.jobs()), 1, "nothing is left, so there is no other")

    def test_a_company_that_cannot_send_does_not_spin(self):
        moves, job = self.queued()
        job.state = "started"
        self.fault("http_status", service="seed", status=503, count=3)
        with (
            patch.object(SiiClient, "_pause", return_value=True),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_envio_serve"),
        ):
            self.assertEqual(self.run_queue_job(job), 0)
        self.assertEqual(moves.dte_status, "to_send")
        self.assertFalse(self.jobs())
