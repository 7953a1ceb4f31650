# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
import time
from contextlib import contextmanager

import psycopg2

from odoo import api, fields, models
from odoo.tools import SQL

from ..const import ENVIRONMENTS
from ..libs.exceptions import DteError

_logger = logging.getLogger(__name__)

KEEP_DAYS = 90


class DteSiiCall(models.Model):
    """Append-only log of calls to the SII, one row a call, without content."""

    _name = "dte.sii.call"
    _description = "Call to the SII"
    _order = "id desc"
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    service = fields.Selection(
        [
            ("login", "Login"),
            ("upload", "Upload"),
            ("envelope_status", "Envelope status"),
            ("document_status", "Document status"),
            ("result_mail", "Result mail"),
            ("probe", "Probe"),
        ],
        required=True,
        readonly=True,
    )
    outcome = fields.Selection(
        [
            ("ok", "Answered"),
            ("timeout", "Timeout"),
            ("connection", "Connection"),
            ("unavailable", "Unavailable"),
            ("validation", "Refused: content"),
            ("certificate", "Refused: certificate or permission"),
            ("unknown", "Unknown"),
        ],
        required=True,
        readonly=True,
    )
    milliseconds = fields.Integer(readonly=True, aggregator="avg")
    called_at = fields.Datetime(string="Called On", required=True, readonly=True, index=True)

    _line = models.Index("(company_id, environment, id)")
    _recent = models.Index("(company_id, environment, called_at) INCLUDE (outcome, milliseconds)")
    _answers = models.Index("(company_id, environment, called_at) WHERE outcome IN ('ok', 'validation', 'certificate')")

    @api.model
    @contextmanager
    def _logged(self, company, environment: str, service: str):
        """Time what runs inside and log it in a transaction of its own, so that a rollback does not hide it."""
        started = time.monotonic()
        outcome = "unknown"
        try:
            yield
            outcome = "ok"
        except DteError as error:
            outcome = error.error_type
            raise
        finally:
            self._insert(company.id, environment, service, outcome, int((time.monotonic() - started) * 1000))

    def _insert(self, company_id, environment, service, outcome, milliseconds):
        """Write the row; when that fails, only log it: what happened at the SII must reach the caller."""
        _logger.info(
            "sii_call company_id=%s environment=%s service=%s outcome=%s milliseconds=%s",
            company_id, environment, service, outcome, milliseconds,
        )  # fmt: skip
        try:
            with self.env.registry.cursor() as cr:
                cr.execute(
                    SQL(
                        "INSERT INTO dte_sii_call (company_id, environment, service, outcome, milliseconds, called_at)"
                        " VALUES (%s, %s, %s, %s, %s, clock_timestamp() AT TIME ZONE 'UTC')",
                        company_id,
                        environment,
                        service,
                        outcome,
                        milliseconds,
                    )
                )
        except psycopg2.Error as error:
            # A full connection pool is one of these too.
            _logger.warning("sii_call_not_logged company_id=%s service=%s reason=%s", company_id, service, error)
            return
        self.env["dte.contingency"]._feed_safely(company_id, environment, service, outcome)

    @api.autovacuum
    def _gc_old_calls(self):
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=KEEP_DAYS)
        self.search([("called_at", "<", limit)]).unlink()
