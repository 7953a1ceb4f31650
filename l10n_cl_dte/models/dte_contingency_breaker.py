# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The breaker: tells from the calls themselves whether the SII is there, per company and environment.

closed --failures in a row--> open --two good probes--> half open --an upload comes through--> closed
half open --a call fails--> open
closed, while the drain is at work --no connection, or no answer in time--> open

Only the line counts: timeouts, connections, answers that are none. What the SII says about a document, a certificate or
a permission is an answer.
"""

import logging
import time
from datetime import timedelta

from psycopg2 import errors as pgerrors

from odoo import api, fields, models
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs.exceptions import DteError
from ..libs.sii_soap_client import SiiClient
from . import dte_messages

_logger = logging.getLogger(__name__)

FAILED = ("timeout", "connection", "unavailable")
# An upload with one of these outcomes proves that the SII is there.
ANSWERED = ("ok", "validation", "certificate")
# While what was held leaves, one of these is enough. Not "unavailable", which may be about one document.
LINE = ("timeout", "connection")
LEAVING = ("upload", "login")
GOOD_PROBES = 2
# A good probe is confirmed so much later.
CONFIRM = timedelta(seconds=30)
PROBE_SECONDS = 10.0
_TRIES = 5


class DteContingency(models.Model):
    _inherit = "dte.contingency"

    # -- fed by every call --

    @api.model
    def _feed_safely(self, company_id: int, environment: str, service: str, outcome: str):
        """Take note of a call in a transaction of its own: its result must reach the caller whatever happens here."""
        for _try in range(_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    self.with_env(self.env(cr=cr))._feed(company_id, environment, service, outcome)
                return
            except (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, pgerrors.UniqueViolation):
                _logger.info("dte_breaker_again company_id=%s", company_id)
            except Exception:
                _logger.exception("dte_breaker_failed company_id=%s", company_id)
                return

    @api.model
    def _feed(self, company_id, environment, service, outcome):
        company = self.env["res.company"].browse(company_id).sudo()  # sudo: settings, whoever makes the call
        contingency = self._of(company, environment)
        if contingency.breaker in ("open", "half_open"):
            if service == "upload" and outcome in ANSWERED:
                contingency._set_breaker("closed")
            elif contingency.breaker == "half_open" and outcome in FAILED:
                contingency._set_breaker("open", outcome=outcome, service=service)
        elif contingency.enabled and contingency.automatic and service in LEAVING and outcome in LINE:
            # It was just back, and what leaves meets nobody: nothing else shall wait for it.
            contingency._set_breaker("open", outcome=outcome, service=service)
        elif outcome in FAILED and self._is_down(company, environment, contingency.breaker_since):
            contingency = contingency or self._of_or_new(company, environment)
            params = {"count": company.dte_breaker_failures, "outcome": outcome, "service": service}
            contingency._set_breaker("open", **params)
            if not contingency.enabled:
                contingency._begin("sii_unavailable", params=params)

    def _is_down(self, company, environment, since) -> bool:
        """Tell whether as many calls as the setting says failed in a row.

        Of all services, or uploads alone, because the SII's form may be down while its questions are answered.
        """
        count = company.dte_breaker_failures
        begin = fields.Datetime.now() - timedelta(minutes=company.dte_breaker_minutes)
        domain = [
            ("company_id", "=", company.id),
            ("environment", "=", environment),
            ("called_at", ">=", max(begin, since or begin)),
            ("service", "!=", "probe"),
        ]
        calls = self.env["dte.sii.call"].sudo()  # sudo: the log is for managers, its consequence for everybody
        for services in ([], [("service", "=", "upload")]):
            last = calls.search(domain + services, order="id desc", limit=count)
            if count and len(last) == count and all(call.outcome in FAILED for call in last):
                return True
        return False

    def _set_breaker(self, breaker: str, **params):
        """Write the breaker: the only place that does."""
        now = fields.Datetime.now()
        _logger.warning(
            "dte_breaker company=%s environment=%s from=%s to=%s",
            self.company_id.vat, self.environment, self.breaker, breaker,
        )  # fmt: skip
        values = {"breaker": breaker, "breaker_since": now, "good_probes": 0, "probe_at": False}
        if breaker == "open":
            values["probe_at"] = now + timedelta(minutes=self.company_id.dte_probe_minutes)
        self.write(values)
        if self.enabled:
            self.episode_id._note(f"breaker_{breaker}", params=params)
        self._wake(values["probe_at"] or None)

    @api.model
    def _lines_away(self) -> set:
        """Return (company id, environment) of the lines on which nothing but probes is tried."""
        away = self.sudo().search([("breaker", "!=", "closed")])
        return {(contingency.company_id.id, contingency.environment) for contingency in away}

    # -- probes --

    @api.model
    def _probe_due(self):
        """Ask the SII for a seed where it did not answer and the time has come. Commits each."""
        now = fields.Datetime.now()
        due = self.search([("breaker", "=", "open"), ("probe_at", "<=", now)], order="probe_at, id")
        answers = {}
        for contingency in due:
            try:
                contingency._probe(answers)
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                _logger.info("dte_probe_later contingency=%s", contingency.id)
                self.env.cr.rollback()
            if not self.env["ir.cron"]._commit_progress():
                return

    def _probe(self, answers: dict):
        """Ask once per host and run, and count what came of it.

        :param answers: host to whether it answers, in this run
        """
        company, environment = self.company_id, self.environment
        # No transaction stays open while the SII takes its time.
        self.env["ir.cron"]._commit_progress()
        try:
            url = company._dte_base_url(environment)
            if url not in answers:
                answers[url] = self._ask_seed(company, environment, url) is None
            answered = answers[url]
        except DteError as error:
            # A copy of a database, or no address: nobody can be asked.
            _logger.info("dte_probe_not_possible contingency=%s reason=%s", self.id, error)
            answered = False
        if not self.try_lock_for_update() or self.breaker != "open":
            return
        if answered and self.good_probes + 1 >= GOOD_PROBES:
            self._set_breaker("half_open")
            return
        pause = CONFIRM if answered else timedelta(minutes=company.dte_probe_minutes)
        self.write({"good_probes": self.good_probes + 1 if answered else 0, "probe_at": fields.Datetime.now() + pause})
        self._wake(self.probe_at)

    @api.model
    def _ask_seed(self, company, environment, url, service="probe") -> DteError | None:
        """Return why the SII does not answer, None when it does.

        :param service: how the call is logged; all but probes are counted
        """
        client = SiiClient(url, query_seconds=PROBE_SECONDS)
        try:
            with self.env["dte.sii.call"]._logged(company, environment, service):
                client.probe()
        except DteError as error:
            return error
        return None

    def ask_sii(self) -> dict:
        """Ask the SII now whether it answers; changes nothing.

        :return: answers (bool), milliseconds and message
        """
        self.check_access("read")
        company = self._company()
        company.check_access("read")
        started = time.monotonic()
        try:
            error = self._ask_seed(company, company.dte_environment, company._dte_base_url(company.dte_environment))
        except DteError as problem:
            error = problem
        return {
            "answers": not error,
            "milliseconds": int((time.monotonic() - started) * 1000),
            "message": dte_messages.describe_error(self.env, error) if error else self.env._("The SII answers."),
        }
