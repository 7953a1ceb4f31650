# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The jobs of a company: one channel, one at a time, and never a second one for the same moment."""

import logging
import time
from datetime import datetime, timedelta
from functools import partial

from psycopg2.errors import UniqueViolation

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from odoo.addons.l10n_cl_dte.models.guard import advisory_guard
from odoo.addons.queue_job.exception import RetryableJobError

from .ir_cron import DEADLINE

_logger = logging.getLogger(__name__)

# First key of the lock of the one job at work, see const.py of l10n_cl_dte. The second key is the company.
GUARD_JOB = 1_144_407_060
# The turn of a job. It ends with the envelope that is on its way then, long before Odoo ends a request.
TURN_SECONDS = 30
# A job that finds another one at work for its company comes back after so many seconds.
PATIENCE_SECONDS = 5
# Moments to come are rounded up to these, so that what is due about the same time shares a job.
STEP_SECONDS = 15
# A job that should have begun so long ago tells that the runner is stopped or not set up.
OVERDUE = timedelta(minutes=10)
# Where the hooks of a transaction keep what it wants.
WANTED = "l10n_cl_dte_queue_job.wanted"


class ResCompany(models.Model):
    _inherit = "res.company"

    def unlink(self):
        # sudo: who may delete a company need not manage channels; a job that is left finds no company and ends
        channels = self.sudo()._dte_job_channels()
        result = super().unlink()
        channels.unlink()
        return result

    # -- making jobs --

    def _dte_enqueue_after_commit(self, job: str, at=None):
        """Enqueue a job for each of these as soon as this transaction is committed.

        Only then it is certain that a job which has not begun will see what was written here. Inside the transaction a
        job would be left out because of one that begins before the commit, and what was written would wait.

        :param job: name of the method
        :param at: moment in UTC, now by default
        """
        hooks = self.env.cr.postcommit
        wanted = hooks.data.setdefault(WANTED, set())
        if not wanted:
            hooks.add(partial(enqueue_wanted, self.env.registry, wanted))
        wanted.update((company_id, job, _round_up(at)) for company_id in self.ids)

    def _dte_enqueue(self, job: str, at=None):
        """Enqueue a job for each of these, unless one that has not begun is there for the same moment.

        Two processes that do this at the same time make two jobs. The second one waits for its turn and finds nothing.

        :param at: moment in UTC, see `_round_up`; now by default
        """
        for company in self:
            channel = company._dte_job_channel()
            if company._dte_is_runner_away(channel):
                # The scheduler does everything; jobs for moments to come would only pile up.
                continue
            # As the scheduler does it: the system is at work, in its own language, for one company.
            system = self.env(user=SUPERUSER_ID, su=True, context={})
            context = {**system["res.users"].context_get(), "allowed_company_ids": company.ids}
            delayed = company.with_env(system(context=context)).with_delay(
                channel=channel,
                eta=at,
                identity_key=f"l10n_cl_dte.{job} {company.id} {at or 'now'}",
                # What is tried again, and when, is decided by the documents and not by the runner.
                max_retries=1,
            )
            getattr(delayed, job)()

    @api.model
    def _dte_is_runner_away(self, channel: str) -> bool:
        since = fields.Datetime.now() - OVERDUE
        overdue = Domain("eta", "<", since) | Domain("eta", "=", False) & Domain("date_created", "<", since)
        waiting = Domain("channel", "=", channel) & Domain("state", "in", ("pending", "enqueued"))
        return bool(self.env["queue.job"].search_count(waiting & overdue, limit=1))

    def _dte_job_channels(self):
        parent = self.env.ref("l10n_cl_dte_queue_job.channel")
        names = [f"company_{company_id}" for company_id in self.ids]
        return self.env["queue.job.channel"].search([("parent_id", "=", parent.id), ("name", "in", names)])

    def _dte_job_channel(self) -> str:
        """Return the name of the channel of a company; its record is made when it is first needed."""
        self.ensure_one()
        found = self._dte_job_channels()
        if found:
            return found.complete_name
        parent = self.env.ref("l10n_cl_dte_queue_job.channel")
        values = {"name": f"company_{self.id}", "parent_id": parent.id}
        try:
            with self.env.cr.savepoint():
                self.env["queue.job.channel"].create(values)
        except UniqueViolation:
            _logger.debug("the channel of company %s was made by another process just now", self.id)
        return f"{parent.complete_name}.{values['name']}"

    # -- jobs --

    def _dte_job_send(self):
        """Send electronic documents and ask about uploads without an answer"""
        return self._dte_take_turn("_dte_job_send", "_send_for")

    def _dte_job_ask(self):
        """Ask the SII for verdicts on electronic documents"""
        return self._dte_take_turn("_dte_job_ask", "_ask_due")

    def _dte_take_turn(self, job: str, work: str) -> int:
        """Work for one company until the turn is over; the rest is another job's. Commits.

        A job may be run again at any time, because its process died or somebody pressed a button: what was claimed
        before is not sent again but asked about, as by the scheduler.

        :return: how many documents or envelopes were served, shown as the result of the job
        """
        company = self.exists()
        if not company:
            return 0
        with advisory_guard(self.env.registry, GUARD_JOB, company.id) as free:
            if not free:
                # The capacity of a channel is a matter of the runner's configuration, which nobody has to write for us.
                raise RetryableJobError("another job of the company is at work", PATIENCE_SECONDS, ignore_retry=True)
            deadline = time.monotonic() + TURN_SECONDS
            envios = self.env["dte.envio"].with_company(company).with_context(**{DEADLINE: deadline})
            try:
                count = getattr(envios, work)(company)
                if time.monotonic() >= deadline:
                    company._dte_enqueue(job)
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                # The runner would begin again at once; the scheduler comes anyway.
                _logger.info("dte_job_interrupted job=%s company_id=%s", job, company.id)
                self.env.cr.rollback()
                count = 0
            return count


def _round_up(at: datetime | None) -> datetime | None:
    """Return the next step of time from a moment on, None when it is not to come."""
    if at is None or at <= fields.Datetime.now():
        return None
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    steps = -((day - at) // timedelta(seconds=STEP_SECONDS))
    return day + timedelta(seconds=STEP_SECONDS * steps)


def enqueue_wanted(registry, wanted):
    """Enqueue what a transaction asked for. It is committed and must not fail any more."""
    try:
        with registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            for company_id, job, at in wanted:
                env["res.company"].browse(company_id).exists()._dte_enqueue(job, at)
    except Exception:
        # The scheduler was asked in the transaction itself, and comes in a moment.
        _logger.exception("dte_job_not_enqueued")
