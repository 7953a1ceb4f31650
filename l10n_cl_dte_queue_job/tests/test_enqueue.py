# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.queue_job.job import Job

from ..hooks import uninstall_hook
from ..models.dte_envio import NET
from ..models.res_company import STEP_SECONDS
from .common import JobCommon

NEUTRALIZE = Path(__file__).parents[1] / "data" / "neutralize.sql"


@tagged("post_install_l10n", "post_install", "-at_install")
class TestEnqueue(JobCommon):
    """When a job is made, and when none."""

    def wake(self, at=None, company=None):
        with self.committing() as env:
            env["dte.envio"].sudo()._wake_job((company or self.company).with_env(env(su=True)), at)

    def net(self, cron="ir_cron_send"):
        job = self.env.ref(f"l10n_cl_dte.{cron}").sudo()
        triggers = self.env["ir.cron.trigger"].sudo()
        return triggers.search([("cron_id", "=", job.id)], order="id desc", limit=1).call_at

    def other_company(self):
        with self.committing() as env:
            company = env["res.company"].sudo().create({"name": "Otra Empresa"})
        return company.with_env(self.env(su=True))

    def test_a_queued_document_makes_one_job(self):
        moves = self.post_many(2)
        self.queue(moves[0])
        self.queue(moves[1])
        self.queue(moves[1])
        (job,) = self.jobs()
        self.assertEqual((job.eta, job.max_retries, job.user_id), (False, 1, self.env.ref("base.user_root")))
        self.assertEqual((job.records, job.company_id), (self.company, self.company))
        self.assertEqual(job.channel, f"root.l10n_cl_dte.company_{self.company.id}")
        self.assertTrue(self.env["queue.job.channel"].sudo().search([("complete_name", "=", job.channel)]))

    def test_nothing_before_the_commit(self):
        """A job that begins now would not see what this transaction writes."""
        self.env["dte.envio"].sudo()._wake_job(self.company)
        self.assertFalse(self.jobs())
        with self.committing():
            self.env.cr.postcommit.run()
        self.assertEqual(len(self.jobs()), 1)

    def test_nothing_after_a_rollback(self):
        with self.committing() as env:
            env["dte.envio"].sudo()._wake_job(self.company)
            env.cr.rollback()
        self.assertFalse(self.jobs())

    def test_a_job_that_has_begun_is_none_that_waits(self):
        self.wake()
        self.jobs().state = "enqueued"
        self.wake()
        self.assertFalse(self.jobs(), "it will see everything that is committed now")
        self.jobs(state="enqueued").state = "started"
        self.wake()
        self.assertEqual(len(self.jobs()), 1)

    def test_moments_to_come(self):
        start = fields.Datetime.now().replace(second=0, microsecond=0) + timedelta(minutes=9)
        for seconds in (1, 3, 16):
            self.wake(start + timedelta(seconds=seconds))
        self.assertEqual(
            [(eta - start).total_seconds() for eta in self.jobs().mapped("eta")], [STEP_SECONDS, 2 * STEP_SECONDS]
        )
        self.wake()
        self.assertFalse(self.jobs()[0].eta, "what is due later does not keep back what is due now")
        self.wake(fields.Datetime.now() - timedelta(minutes=1))
        self.assertEqual(len(self.jobs()), 3)

    def test_no_heap_of_jobs_while_the_runner_is_away(self):
        self.wake()
        (job,) = self.jobs()
        # The field is guarded against everybody who does not know this key.
        job = job.with_context(_job_edit_sentinel=job.EDIT_SENTINEL)
        start = fields.Datetime.now()
        job.date_created = start - timedelta(minutes=9)
        self.wake(start + timedelta(minutes=5))
        self.assertEqual(len(self.jobs()), 2)
        job.date_created = start - timedelta(minutes=11)
        self.wake(start + timedelta(minutes=10))
        self.assertEqual(len(self.jobs()), 2)
        self.assertEqual(self.net(), start + timedelta(minutes=10) + NET)
        job.state = "done"
        self.wake(start + timedelta(minutes=10))
        self.assertEqual(len(self.jobs()), 2)
        self.jobs()[0].write({"eta": start - timedelta(minutes=11)})
        self.wake(start + timedelta(minutes=15))
        self.assertEqual(len(self.jobs()), 2)

    def test_scheduler_comes_after_the_job(self):
        at = fields.Datetime.now() + timedelta(minutes=9)
        self.wake(at)
        self.assertEqual(self.net(), at + NET)
        now = fields.Datetime.now()
        self.wake()
        self.assertAlmostEqual((self.net() - now - NET).total_seconds(), 0, delta=5)

    def test_an_upload_is_asked_about_in_time(self):
        move = self.post()
        self.send(move)
        due = move.dte_document_id.sudo().envio_id.next_poll_date
        (job,) = self.jobs("_dte_job_ask")
        self.assertTrue(timedelta(0) <= job.eta - due < timedelta(seconds=STEP_SECONDS), (job.eta, due))
        self.assertEqual(self.net("ir_cron_check_status"), due + NET)

    def test_an_upload_without_answer_is_looked_into_in_time(self):
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "unknown")
        due = move.dte_document_id.sudo().envio_id.due_at
        etas = self.jobs().filtered("eta").mapped("eta")
        self.assertTrue(any(timedelta(0) <= eta - due < timedelta(seconds=STEP_SECONDS) for eta in etas), (etas, due))

    def test_each_company_has_its_channel(self):
        other = self.other_company()
        self.wake(company=self.company | other)
        channels = [self.jobs(company=company).channel for company in (self.company, other)]
        self.assertEqual(channels, [f"root.l10n_cl_dte.company_{company.id}" for company in (self.company, other)])

    def test_company_deleted(self):
        other = self.other_company()
        self.wake(company=other)
        job = self.jobs(company=other)
        name, uuid = job.channel, job.uuid
        other.unlink()
        self.assertFalse(self.env["queue.job.channel"].sudo().search([("complete_name", "=", name)]))
        with self.committing() as env:
            self.assertEqual(Job.load(env(su=True), uuid).perform(), 0)

    def test_a_failure_does_not_reach_who_asked(self):
        """What was written is committed, and the scheduler does it."""
        move = self.post()
        companies = type(self.company)
        with (
            patch.object(companies, "_dte_enqueue", side_effect=ValueError("no job")),
            mute_logger("odoo.addons.l10n_cl_dte_queue_job.models.res_company"),
        ):
            self.queue(move)
        self.assertFalse(self.jobs())
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_functions_may_commit_and_are_not_retried(self):
        self.wake()
        with self.committing() as env:
            job = Job.load(env(su=True), self.jobs().uuid)
            self.assertTrue(job.job_config.allow_commit)
            self.assertFalse(job.job_config.retry_pattern)

    def test_a_copy_runs_no_job_of_the_original(self):
        self.wake()
        self.env.flush_all()
        self.env.cr.execute(NEUTRALIZE.read_text(encoding="utf-8"))
        self.env.invalidate_all()
        self.assertFalse(self.jobs())
        self.assertEqual(len(self.jobs(state="cancelled")), 1)

    def test_uninstall(self):
        self.wake()
        uninstall_hook(self.env(su=True))
        self.assertFalse(self.jobs())
        parent = self.env.ref("l10n_cl_dte_queue_job.channel")
        self.assertFalse(self.env["queue.job.channel"].sudo().search([("parent_id", "=", parent.id)]))
