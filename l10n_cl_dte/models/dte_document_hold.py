# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents kept back while their company is in contingency."""

from odoo import api, models
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from .dte_document_send import FRESH_ORDER, RETRY_ORDER

# Held documents put aside in one transaction.
HOLD_BATCH = 500
# How often it is tried when somebody else writes the record of the episode.
HOLD_TRIES = 5
# Who presses Send DTE for more documents than this finds the notes on the invoices a moment later.
TELL_NOW = 20
# The oldest date first; but what the SII itself did not take comes after the others, so that it keeps nobody back.
DRAIN_ORDER = "hold_failures, issue_date, signed_at, id"
# Failures of the line say nothing about a document.
_OF_THE_LINE = ("timeout", "connection")


class DteDocument(models.Model):
    _inherit = "dte.document"

    @api.model
    def _held_domain(self, company) -> Domain:
        """Return the held documents of a company that may leave."""
        return self._sendable_domain(company, ("contingency",))

    @api.model
    def _hold_domain(self, company) -> Domain:
        """Return the documents of a company that contingency holds back: those that somebody asked to send."""
        return self._fresh_domain(company) | self._retries_domain(company)

    @api.model
    def _retries_domain(self, company) -> Domain:
        """Return the documents of a company that are to be tried again, now or later."""
        return self._sendable_domain(company) & Domain("state", "=", "retry")

    @api.model
    def _hold_due(self):
        """Hold what is due where contingency is on. Commits each batch.

        While the drain is at work failures of the line are over: what is retried then has its own schedule.
        """
        for contingency in self.env["dte.contingency"].search([("enabled", "=", True)]):
            company = contingency.company_id
            if company.dte_environment != contingency.environment:
                continue
            # Each in the order of its index: together they would be looked for among all documents.
            kinds = [(self._fresh_domain(company), FRESH_ORDER)]
            if contingency._keeps():
                kinds.append((self._retries_domain(company), RETRY_ORDER))
            for domain, order in kinds:
                if not self._hold_in_batches(contingency, domain, order):
                    self.env["dte.envio"]._wake_job(company)
                    return

    @api.model
    def _hold_in_batches(self, contingency, domain, order) -> bool:
        """Hold what a domain gives; False when the job's time is over. Commits each batch."""
        conflicts = 0
        while batch := self.search(domain, order=order, limit=HOLD_BATCH):
            try:
                locked = batch.try_lock_for_update()
                locked._hold(contingency)
                go_on = self.env["ir.cron"]._commit_progress()
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                self.env.cr.rollback()
                conflicts += 1
                if conflicts == HOLD_TRIES:
                    raise
                continue
            if not go_on:
                return False
            if locked != batch:
                # Somebody else is at work on the others: the next run finds them.
                break
        return True

    def _hold(self, contingency, error=None):
        """Keep these back. The caller holds their locks.

        :param error: why an upload of theirs failed just now
        """
        values = {"failures": 0, "retry_at": False, "is_contingency": True}
        if error:
            values["error_type"] = error.error_type
        counts = bool(error) and error.error_type not in _OF_THE_LINE
        for failures, group in self.grouped("hold_failures").items():
            group._set_state(
                "contingency", error and error.code, error and error.params, hold_failures=failures + counts, **values
            )
        self.env["dte.contingency.pending"]._store(self, contingency.episode_id)

    def _hold_asked(self, company):
        """Keep back those of these that may leave, because a person sends them in contingency. Commits.

        Where the record of the episode is written at the same time it is done again at once: Odoo would repeat the
        request after a pause, and the person waits.
        """
        for tries_left in reversed(range(HOLD_TRIES)):
            try:
                self._hold_asked_once(company)
                self.env["ir.cron"]._commit_progress()
                break
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                self.env.cr.rollback()
                if not tries_left:
                    raise
        if len(self) <= TELL_NOW:
            self._tell_and_commit()

    def _hold_asked_once(self, company):
        contingency = self.env["dte.contingency"]._of(company, company.dte_environment)
        if contingency.enabled:
            due = self.search(self._hold_domain(company) & Domain("id", "in", self.ids))
            due.try_lock_for_update()._hold(contingency)
        # The sending job tells of many, and sends them should contingency have ended; the drain may be at work already.
        contingency._wake()
