# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from contextlib import contextmanager
from unittest.mock import patch

from odoo.tests.test_cursor import TestCursor

from odoo.addons.l10n_cl_dte.tests.common import DteCommon
from odoo.addons.queue_job.job import Job

from ..models.res_company import WANTED, enqueue_wanted


class JobCommon(DteCommon):
    """Commits make jobs, which those of the test cursor would not, and jobs are run one by one, as by the runner."""

    def setUp(self):
        super().setUp()
        self.env.cr.execute("DELETE FROM queue_job")

    @contextmanager
    def committing(self):
        commit = TestCursor.commit

        def commit_with_jobs(cr):
            cr.flush()
            wanted = cr.postcommit.data.get(WANTED)
            commit(cr)
            if wanted:
                enqueue_wanted(self.registry, wanted)

        with patch.object(TestCursor, "commit", commit_with_jobs), super().committing() as env:
            yield env

    def jobs(self, method="_dte_job_send", state="pending", company=None):
        """Return the jobs of a company, those that are due first."""
        domain = [
            ("method_name", "=", method),
            ("state", "=", state),
            ("company_id", "=", (company or self.company).id),
        ]
        return self.env["queue.job"].sudo().search(domain, order="eta NULLS FIRST, id")

    def run_queue_job(self, job):
        """Do what a job is for, as the runner does it but for the states of the job; return its result."""
        with self.committing() as env:
            loaded = Job.load(env(su=True), job.uuid)
            # What the job commits must not be undone with this cursor when it dies.
            env.cr.commit()
            return loaded.perform()

    def queue(self, moves):
        with self.committing() as env:
            moves.with_env(env).action_send_dte_async()
        return moves

    def post_many(self, count):
        return self.env["account.move"].union(*(self.post() for _number in range(count)))
