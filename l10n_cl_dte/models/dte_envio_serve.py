# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How the jobs send: who is served in which order, and what goes wrong for one company is not the others'."""

import logging
from collections.abc import Callable

from odoo import api, models
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs.exceptions import ConfigurationError, DteError
from .dte_document_send import FRESH_ORDER, RETRY_ORDER

_logger = logging.getLogger(__name__)


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    @api.model
    def _wake_job(self, companies, at=None):
        """Let documents of these companies be sent, and asked about, at a time, now by default.

        The interval of the sending job may be longer than the SII's memory. Where jobs run elsewhere than in Odoo's
        scheduler, this is the place to start one (see `_send_for`).
        """
        job = self.env.ref("l10n_cl_dte.ir_cron_send", raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; users only wake them
            job.sudo()._trigger(at=at)

    @api.model
    def _cron_send(self):
        """Finish what was interrupted, ask about what had no answer, and send what somebody asked to send."""
        documents, pauses = self.env["dte.document"], self.env["dte.pause"]
        for chore in (
            documents._queue_daily,
            documents._hold_due,
            documents._tell_left_over,
            pauses._tell_left_over,
            self._settle_left_over,
            documents._fail_left_over_notes,
            self._reconcile_due,
        ):
            self._do_chore(chore)
        self._serve(retries=False)

    @api.model
    def _send_for(self, company) -> int:
        """Ask about uploads of a company without answer and send what is due; return how many documents were sent.

        For those who run jobs by company. Safe beside the sending job, which does the rest, and beside itself: a
        document belongs to who claims it. Commits.
        """
        self._do_chore(self._reconcile_due, company)
        return self._serve(retries=False, company=company)

    def _do_chore(self, chore: Callable, *args):
        """Run a part of the job by itself: what goes wrong in it must not keep documents from leaving. Commits."""
        try:
            chore(*args)
            self.env["ir.cron"]._commit_progress()
        except Exception:
            _logger.exception("dte_chore_failed chore=%s", chore.__name__)
            self.env.cr.rollback()

    @api.model
    def _serve(self, retries: bool, company=None) -> int:
        """Send what is due, in turns: each company one envelope of fresh documents, and one of retries. Commits each.

        :param retries: whether documents whose next attempt is due are served too
        :param company: the only one to serve; all by default
        :return: how many documents were in the envelopes
        """
        progress = self.env["ir.cron"]._commit_progress
        left = progress(remaining=self._count_due(retries, company))
        lines, stopped, total = {}, self.env["res.company"], 0
        while left and (companies := self._due_companies(retries, company) - stopped):
            for served in companies:
                sent, go_on = self._serve_safely(served, lines, retries)
                total += sent
                if not go_on:
                    stopped |= served
                left = progress(sent)
                if not left:
                    return total
        # Those of stopped companies wait for the next run: the job would be called again at once otherwise.
        progress(remaining=0)
        return total

    def _serve_safely(self, company, lines, retries):
        """Serve one company in its turn; whatever goes wrong stops only this company. Returns (documents, go on)."""
        try:
            return self.with_company(company)._serve_turn(company, lines, retries)
        except DteError as error:
            _logger.warning("dte_send_not_possible company_id=%s reason=%s", company.id, error)
            self.env.cr.rollback()
            if isinstance(error, ConfigurationError):
                self.env["dte.pause"]._begin(company, company.dte_environment, error.code, error.params)
                self.env["dte.pause"]._tell_left_over()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            # Somebody else was quicker: look again.
            _logger.info("dte_send_again company_id=%s", company.id)
            self.env.cr.rollback()
            return 0, True
        except Exception:
            # The next company is not to blame; what was claimed is found by the reconciliation.
            _logger.exception("dte_send_failed company_id=%s", company.id)
            self.env.cr.rollback()
        return 0, False

    def _serve_turn(self, company, lines, retries):
        key = (company.id, company.dte_environment)
        if key not in lines:
            problems = company._dte_find_problems()
            if problems:
                texts = [company._dte_describe_problem(problem) for problem in problems]
                raise ConfigurationError("company_incomplete", problems=" ".join(texts))
            lines[key] = self._open_line(company)
            # The login may have taken a while: claim from what is there now.
            self.env["ir.cron"]._commit_progress()
            if company.dte_environment != key[1]:
                return 0, False
        line = lines[key]
        half = self._claim_half_of(company, line.credentials)
        sent, go_on = self._send_turn(half or self._claim_fresh(company, line.credentials), line)
        if retries and go_on:
            foreign = self._foreign_due(company)
            self._ask_about_foreign(foreign, line)
            more, go_on = self._send_turn(self._claim_retry(company, line.credentials), line)
            return sent + more, go_on and bool(sent + more + len(foreign))
        return sent, go_on and bool(sent)

    def _foreign_due(self, company):
        documents = self.env["dte.document"]
        return documents.search(documents._foreign_domain(company), order=RETRY_ORDER, limit=company.dte_envio_size)

    def _send_turn(self, envio, line):
        if not envio:
            return 0, True
        envio._send(line.client)
        return envio.document_count, not envio._is_company_stuck()

    @api.model
    def _due_companies(self, retries: bool, company=None):
        """Return the companies that have something to send now and may, of one or of all."""
        domain = Domain("dte_certificate_id", "!=", False)
        if company is not None:
            domain &= Domain("id", "in", company.ids)
        companies = self.env["res.company"].search(domain)
        return companies.filtered(lambda company: self._has_due(company, retries))

    def _has_due(self, company, retries: bool) -> bool:
        if self.env["dte.pause"]._is_paused(company, company.dte_environment):
            return False
        if self.env["dte.contingency"]._is_on(company):
            return False
        if self.search_count(self._planned_domain(company), limit=1):
            return True
        documents = self.env["dte.document"]
        kinds = [(documents._fresh_domain(company), FRESH_ORDER)]
        if retries:
            kinds.append((documents._retry_domain(company), RETRY_ORDER))
            kinds.append((documents._foreign_domain(company), RETRY_ORDER))
        return any(documents.search(domain, order=order, limit=1) for domain, order in kinds)

    def _count_due(self, retries: bool, company=None) -> int:
        documents, count = self.env["dte.document"], 0
        for due in self._due_companies(retries, company):
            count += documents.search_count(documents._fresh_domain(due))
            count += documents.search_count(documents._retry_domain(due)) if retries else 0
        return count
