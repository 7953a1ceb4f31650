# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""When the SII is asked about an envelope: soon after the upload, then at growing distances, and not for ever."""

import logging
import random
import time
from collections import Counter
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..const import GUARD_POLL
from ..libs.exceptions import DteError
from .dte_envio_status import ASK_SECONDS
from .guard import advisory_guard

_logger = logging.getLogger(__name__)

# Minutes from the upload to the first question, from there to the second ...; then as the company's setting says.
DISTANCES = (1, 2, 5, 10, 30)
# Distances vary by this share, so that companies do not ask all at once.
JITTER = 0.1
# Later than so long after the upload nothing is asked more often than every so many seconds.
FRESH = timedelta(hours=1)
LEAST_SECONDS = 300
# When the questions about the documents of one envelope go on that took too long, in the first hour and then.
GO_ON, GO_ON_LATER = timedelta(minutes=1), timedelta(seconds=LEAST_SECONDS)
# Kinds of errors after which nothing else can be asked on a line, and how many answers in a row that are none say so.
SILENT = ("connection", "timeout", "certificate")
IN_A_ROW = 3
# What another process was asking about is looked at so much later, should that process have died.
LOOK_AGAIN = timedelta(minutes=2)
# Read at a time; each is committed by itself.
SLICE = 200
# An envelope that waits so long has its result mail asked for once more.
MAIL_AFTER = timedelta(hours=24)


class _Run:
    """What one run of the job knows. Lines are pairs of a company and an environment.

    :ivar away: lines that do not answer
    :ivar seen: ids of all envelopes that had their turn; some of them were `asked` about, and some are `busy`, because
        another process is asking about them
    """

    def __init__(self):
        self.clients = {}
        self.away = set()
        self.seen, self.asked, self.busy = [], [], []
        self.errors = 0
        self._unanswered = Counter()

    def note(self, line: tuple, problem: str | None):
        """Leave a line alone for the rest of the run when it does not answer.

        :param problem: the kind of error that a question had, None when it was answered
        """
        self.errors += bool(problem)
        self._unanswered[line] = self._unanswered[line] + 1 if problem == "unavailable" else 0
        if problem in SILENT or self._unanswered[line] >= IN_A_ROW:
            self.away.add(line)


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    next_poll_date = fields.Datetime(string="Asked Next On", readonly=True)
    polls = fields.Integer(readonly=True, aggregator=False, help="How often the SII has answered about it.")
    mail_asked_at = fields.Datetime(readonly=True, help="When its result mail was asked for again.")

    _poll_due = models.Index("(next_poll_date, id) WHERE state = 'sent' AND next_poll_date IS NOT NULL")

    # -- times --

    @api.model_create_multi
    def create(self, vals_list):
        envios = super().create(vals_list)
        envios.filtered(lambda envio: envio.state == "sent" and not envio.next_poll_date)._poll_first()
        return envios

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") == "sent" and "next_poll_date" not in vals:
            self._poll_first()
        return result

    def _poll_first(self):
        """Ask for the first time soon: whatever made the envelope wait for a verdict, somebody must ask for it."""
        for envio in self:
            envio.write({"polls": 0, "next_poll_date": envio._moment_after(0)})
            self._wake_poller(envio.company_id, envio.next_poll_date)

    def _poll_later(self):
        """Note an answer; where it was no verdict, the next question comes later than the last one did.

        Where the time was over before all documents had their turn, it goes on soon: nobody has answered about them.
        """
        if not self.ask_from:
            self.polls += 1
        if self.state != "sent":
            self.write({"next_poll_date": False, "ask_from": False})
        elif self._is_too_old():
            self._stop_waiting()
        elif self.ask_from:
            self.next_poll_date = fields.Datetime.now() + (GO_ON if self._is_fresh() else GO_ON_LATER)
        else:
            self.next_poll_date = self._moment_after(self.polls)

    def _moment_after(self, polls: int):
        setting = self.company_id.dte_poll_minutes
        minutes = DISTANCES[polls] if polls < len(DISTANCES) else setting
        seconds = 60 * minutes * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, protects nothing
        if polls >= len(DISTANCES) or (polls and not self._is_fresh()):
            seconds = max(seconds, LEAST_SECONDS)
        return fields.Datetime.now() + timedelta(seconds=round(seconds))

    def _is_fresh(self) -> bool:
        return fields.Datetime.now() < (self.first_attempted_at or self.create_date) + FRESH

    def _is_too_old(self) -> bool:
        first = self.first_attempted_at or self.create_date
        return first < fields.Datetime.now() - timedelta(days=self.company_id.dte_no_answer_days)

    def _stop_waiting(self):
        """Leave what has no verdict after days to a person; the job does not ask any more."""
        documents = self._on_board().filtered(lambda document: document.state != "no_answer")
        for document in documents:
            _logger.warning(
                "dte_timeout company=%s type=%s folio=%s track_id=%s",
                document.issuer_rut, document.dte_type, document.folio, self.track_id,
            )  # fmt: skip
        self.next_poll_date = False
        documents._set_state("no_answer")

    @api.model
    def _wake_poller(self, company, at):
        """Let the SII be asked about envelopes of a company at a time; the place to start a job as in `_wake_job`."""
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status", raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; what happens only wakes them
            job.sudo()._trigger(at=at)

    # -- the job --

    @api.model
    def _cron_check_status(self):
        """Ask about every envelope whose time has come."""
        self._ask_due()

    @api.model
    def _ask_due(self, company=None) -> int:
        """Ask about every envelope whose time has come, one commit each; one bad answer stops nobody.

        Safe beside itself: two processes never ask about the same envelope at the same moment, and who comes second
        finds it answered.

        :param company: the only one whose envelopes are asked about; all by default
        :return: how many were asked about
        """
        began = time.monotonic()
        _logger.info("dte_polling_job_started")
        run = _Run()
        own = Domain("company_id", "=", company.id) if company is not None else Domain.TRUE
        progress = self.env["ir.cron"]._commit_progress
        left = progress(remaining=self.search_count(own & self._poll_domain(run)))
        while left and (due := self.search(own & self._poll_domain(run), order="next_poll_date, id", limit=SLICE)):
            _logger.info("pending_dtes_found envios=%s", len(due))
            for row in due:
                # Alone: every commit empties the cache, and the whole slice would be read again for each of them.
                envio = row.with_prefetch()
                run.seen.append(envio.id)
                if (envio.company_id.id, envio.environment) in run.away:
                    continue
                envio._take_turn(run)
                left = progress(1)
                if not left:
                    break
        self._wake_for_the_rest(run, own)
        progress(remaining=0)
        asked = self.browse(run.asked)
        _logger.info(
            "dte_polling_job_completed total_dtes=%s updated=%s errors=%s duration_seconds=%.1f",
            sum(asked.mapped("document_count")),
            len(asked.filtered(lambda envio: envio.state != "sent")),
            run.errors,
            time.monotonic() - began,
        )
        return len(asked)

    @api.model
    def _wake_for_the_rest(self, run: _Run, own: Domain):
        now = fields.Datetime.now()
        waiting = own & self._waiting_domain(run) & Domain("id", "not in", run.busy)
        following = self.search(waiting, order="next_poll_date, id", limit=1)
        if following:
            self._wake_poller(following.company_id, max(following.next_poll_date, now))
        for company in self.browse(run.busy).company_id:
            self._wake_poller(company, now + LOOK_AGAIN)

    @api.model
    def _waiting_domain(self, run: _Run) -> Domain:
        domain = Domain("state", "=", "sent") & Domain("next_poll_date", "!=", False)
        domain &= self.env["dte.contingency"]._answering_domain()
        for company_id, environment in run.away:
            domain &= ~(Domain("company_id", "=", company_id) & Domain("environment", "=", environment))
        return domain

    @api.model
    def _poll_domain(self, run: _Run) -> Domain:
        """Return what is due on lines that answer, and had no turn in this run."""
        due = self._waiting_domain(run) & Domain("next_poll_date", "<=", fields.Datetime.now())
        return due & Domain("id", "not in", run.seen)

    def _is_due(self) -> bool:
        due = self.next_poll_date
        return self.state == "sent" and bool(due) and due <= fields.Datetime.now()

    def _take_turn(self, run: _Run):
        """Ask about one envelope, unless another process does so or has done it since it was read. Commits."""
        with advisory_guard(self.env.registry, GUARD_POLL, self.id) as free:
            if not free:
                run.busy.append(self.id)
                return
            # What another process has recorded is not seen before this transaction ends.
            self.env["ir.cron"]._commit_progress()
            if self._is_due():
                run.asked.append(self.id)
                run.note((self.company_id.id, self.environment), self._poll_safely(run.clients))

    def _poll_safely(self, clients: dict) -> str | None:
        """Ask about one envelope; an answer that does not come costs no other one its turn.

        :return: the kind of error, None when it was answered
        """
        _logger.info("polling_dte_status envio=%s track_id=%s", self.id, self.track_id)
        try:
            until = time.monotonic() + ASK_SECONDS
            self._poll(clients, until)
            self.env["ir.cron"]._commit_progress()
            self.document_ids._tell_and_commit()
            self._ask_for_mail(clients, until)
        except DteError as error:
            _logger.warning("sii_status_query_failed envio=%s reason=%s", self.id, error)
            self._put_off()
            return error.error_type or "unknown"
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("sii_status_query_later envio=%s", self.id)
            self.env.cr.rollback()
            return "concurrency"
        except Exception:
            _logger.exception("sii_status_query_failed envio=%s", self.id)
            # Left due, it would be asked about again and again.
            self._put_off()
            return "unknown"
        return None

    def _put_off(self):
        """Forget what was not committed and ask later. Commits."""
        self.env.cr.rollback()
        try:
            self._poll_in_vain()
            self.env["ir.cron"]._commit_progress()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("sii_status_query_later envio=%s", self.id)
            self.env.cr.rollback()

    def _poll_in_vain(self):
        """Ask again after the same distance, in the first hour: the SII said nothing about this envelope."""
        if not self.try_lock_for_update() or self.state != "sent":
            return
        if self._is_too_old():
            self._stop_waiting()
            return
        step = self.polls if self._is_fresh() else max(self.polls, len(DISTANCES))
        self.write({"polled_at": fields.Datetime.now(), "next_poll_date": self._moment_after(step)})

    def _ask_for_mail(self, clients: dict, until: float):
        """Let the SII mail the result once more, once, when a day has passed without a verdict. Commits.

        :param until: no question begins after it, see `_poll`
        """
        first = self.first_attempted_at
        if self.state != "sent" or not self.track_id or self.mail_asked_at or not first:
            return
        if first > fields.Datetime.now() - MAIL_AFTER or time.monotonic() > until:
            return
        # Before the network: whatever comes of it, nobody asks a second time.
        self.mail_asked_at = fields.Datetime.now()
        self.env["ir.cron"]._commit_progress()
        try:
            client = self._client_of_run(clients)
            with self.env["dte.sii.call"]._logged(self.company_id, self.environment, "result_mail"):
                code = client.resend_result_mail(self.company_id.vat, self.track_id)
        except DteError as error:
            # Its reasons are missing then, not its verdict: the questions go on.
            _logger.warning("dte_result_mail_not_asked envio=%s reason=%s", self.id, error)
        else:
            _logger.info("dte_result_mail_asked envio=%s answer=%s", self.id, code)
