# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How held documents leave: one envelope at a time per company, oldest first, resumed after any interruption."""

import logging
import time
from contextlib import contextmanager

from odoo import api, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..const import GUARD_DRAIN
from ..libs.exceptions import ConfigurationError, DteError
from . import dte_messages
from .dte_document_hold import DRAIN_ORDER
from .guard import advisory_guard

_logger = logging.getLogger(__name__)

MAX_BATCH = 500


class DteContingency(models.Model):
    _inherit = "dte.contingency"

    # -- the job --

    @api.model
    def _cron_contingency(self):
        """Tell people, ask a silent SII, try one document where it answers again, and send what was held."""
        for chore in (
            self.env["dte.contingency.episode"]._tell_left_over,
            self._probe_due,
            self._try_one,
            self._drain,
            self._end_where_done,
        ):
            self.env["dte.envio"]._do_chore(chore)
        self.env["dte.contingency.episode"]._tell_left_over()

    @api.model
    def _try_one(self):
        """Send one document where two probes were good; the upload moves the breaker. Commits."""
        for contingency in self.search([("breaker", "=", "half_open")]):
            if not (contingency._may_drain() and contingency._has_held() and contingency._drain_safely({}, size=1)):
                contingency.invalidate_recordset()
                # Nothing can be tried, and the SII answers.
                if contingency.try_lock_for_update() and contingency.breaker == "half_open":
                    contingency._set_breaker("closed")
            if not self.env["ir.cron"]._commit_progress():
                return

    @api.model
    def _drain(self):
        """Send what was held, in turns: each company one envelope. Commits each."""
        lines, stopped, sent_at = {}, self.browse(), {}
        while due := (self._drainable() - stopped):
            for contingency in due:
                _pause_since(sent_at.get(contingency.id), contingency.company_id.dte_drain_seconds)
                if not contingency._drain_safely(lines):
                    stopped |= contingency
                sent_at[contingency.id] = time.monotonic()
                if not self.env["ir.cron"]._commit_progress():
                    return

    @api.model
    def _drainable(self):
        """Return where held documents leave by themselves: the SII answers, and no person holds them back."""
        closed = self.search([("breaker", "=", "closed")])
        return closed.filtered(lambda contingency: contingency._may_drain() and contingency._has_held())

    def _may_drain(self) -> bool:
        company = self.company_id
        return (
            company.dte_environment == self.environment
            and bool(company.dte_certificate_id)
            and not (self.enabled and not self.automatic)
            and not self.env["dte.pause"]._is_paused(company, self.environment)
        )

    def _has_held(self) -> bool:
        """Tell whether something waits: held documents, or halves of an envelope of theirs that was refused."""
        documents = self.env["dte.document"]
        held = documents.search(documents._held_domain(self.company_id), order=DRAIN_ORDER, limit=1)
        return bool(held or self._halves(limit=1))

    def _halves(self, limit: int | None = None):
        envios = self.env["dte.envio"]
        return envios.search(envios._planned_domain(self.company_id), limit=limit)

    def _drain_safely(self, lines: dict, size: int | None = None) -> bool:
        """Send one envelope; whatever goes wrong stops only this company. Tell whether to go on. Commits.

        :param lines: open lines of this run by contingency
        """
        try:
            envio = self._drain_turn(lines, size)
            return bool(envio) and not envio._is_company_stuck()
        except DteError as error:
            _logger.warning("dte_drain_not_possible company_id=%s reason=%s", self.company_id.id, error)
            self.env.cr.rollback()
            if isinstance(error, ConfigurationError):
                self.env["dte.pause"]._begin(self.company_id, self.environment, error.code, error.params)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("dte_drain_later company_id=%s", self.company_id.id)
            self.env.cr.rollback()
        except Exception:
            _logger.exception("dte_drain_failed company_id=%s", self.company_id.id)
            self.env.cr.rollback()
        return False

    def _drain_turn(self, lines: dict, size: int | None = None):
        """Send the next envelope of held documents and return it; none when nothing waits or another process is at it.

        :raises DteError: the SII cannot be asked for a token, or the certificate cannot be used
        """
        company, envios = self.company_id, self.env["dte.envio"].with_company(self.company_id)
        with self._drain_guard() as free:
            if not free:
                return envios
            if self.id not in lines:
                lines[self.id] = envios._open_line(company)
            # The login may have taken a while, and another process may have been at it before us.
            self.env["ir.cron"]._commit_progress()
            envio = envios._claim_held(company, lines[self.id].credentials, size)
            envio._send(lines[self.id].client)
            return envio

    @contextmanager
    def _drain_guard(self):
        """Hold a lock that dies with this process: one envelope at a time. Yield whether it was free."""
        self.ensure_one()
        with advisory_guard(self.env.registry, GUARD_DRAIN, self.id) as free:
            yield free

    @api.model
    def _end_where_done(self):
        """Close what opened by itself, where the SII answers and nothing waits any more."""
        for contingency in self.search([("enabled", "=", True), ("automatic", "=", True), ("breaker", "=", "closed")]):
            works_here = contingency.company_id.dte_environment == contingency.environment
            if works_here and contingency._has_held():
                continue
            if contingency.try_lock_for_update() and contingency.enabled and contingency.breaker == "closed":
                contingency._end()

    # -- a person uploads --

    def upload_pending_batch(self, batch_size: int = 50) -> dict:
        """Send the next envelope of held documents now, contingency or not. Commits.

        :param batch_size: documents in the envelope, 1 to 500
        :return: uploaded and failed (documents of this envelope), remaining (documents that still wait), message
        :raises UserError: when the SII cannot be reached or does not accept the sender
        """
        self._check_manager()
        if not 1 <= batch_size <= MAX_BATCH:
            raise UserError(self.env._("A batch has 1 to %s documents.", MAX_BATCH))
        company = self._company()
        contingency = self._of(company, company.dte_environment)
        if not contingency or not contingency._has_held():
            remaining = self.env["dte.contingency.pending"]._waiting_figures(company)[0]
            message = self.env._("No document waits.")
            if remaining:
                message = self.env._(
                    "All that can leave now is sent; %s documents wait for those that they correct.", remaining
                )
            return {"uploaded": 0, "failed": 0, "remaining": remaining, "message": message}
        problems = company._dte_find_problems()
        if problems:
            raise UserError("\n".join(company._dte_describe_problem(problem) for problem in problems))
        # Who sends has looked at what made the SII refuse the sender.
        self.env["dte.pause"]._resume(company, company.dte_environment)
        try:
            envio = contingency._drain_turn({}, batch_size)
        except DteError as error:
            raise UserError(dte_messages.describe_error(self.env, error)) from error
        return contingency._batch_result(envio)

    def _batch_result(self, envio) -> dict:
        self.env.invalidate_all()
        remaining = self.env["dte.contingency.pending"]._waiting_figures(self.company_id)[0]
        remaining += sum(self._halves().mapped("document_count"))
        if not envio:
            message = self.env._("The documents are being sent by another process.")
            return {"uploaded": 0, "failed": 0, "remaining": remaining, "message": message}
        sent = envio.document_count if envio.state == "sent" else 0
        message = envio.message or ""
        if sent:
            message = self.env._("%(count)s documents sent with track id %(id)s.", count=sent, id=envio.track_id)
        return {
            "uploaded": sent,
            "failed": envio.document_count - sent,
            "remaining": remaining,
            "message": message,
        }


def _pause_since(moment: float | None, seconds: int):
    """Wait until so many seconds have passed since a moment: the SII shall not be met by all its senders at once."""
    if moment is not None:
        time.sleep(max(0.0, moment + seconds - time.monotonic()))
