# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import datetime, time, timedelta, timezone

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL, format_date

from ..const import ENVIRONMENTS, SANTIAGO
from .dte_contingency_breaker import ANSWERED, FAILED

_logger = logging.getLogger(__name__)

# Days summed up when a company has no row yet; the log of calls does not go back further.
FIRST_DAYS = 90
# Days written again each time: the last one was not over.
AGAIN_DAYS = 2
_EMPTY = {
    "issued": 0,
    "issued_by_type": False,
    "accepted": 0,
    "objected": 0,
    "rejected": 0,
    "held": 0,
    "retry_delivered": 0,
    "retry_given_up": 0,
    "sii_calls": 0,
    "sii_answered": 0,
    "sii_failed": 0,
    "sii_mean_ms": 0,
    "sii_median_ms": 0,
}


class DteDaily(models.Model):
    """One day of a company in an environment: what a screen or a monitor must not count by itself.

    Written by a job once a night, and when somebody asks. The archive is measured on the row of the day on which the
    job ran; it belongs to the company and holds all environments.
    """

    _name = "dte.daily"
    _description = "Day of Electronic Documents"
    _order = "day desc, company_id, id"
    _check_company_auto = True
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    day = fields.Date(required=True, readonly=True, help="In Chile.")
    issued = fields.Integer(readonly=True)
    issued_by_type = fields.Json(readonly=True, help="Documents issued, by type code.")
    accepted = fields.Integer(readonly=True)
    objected = fields.Integer(string="Accepted with Repairs", readonly=True)
    rejected = fields.Integer(readonly=True)
    held = fields.Integer(string="Held in Contingency", readonly=True)
    retry_delivered = fields.Integer(string="Delivered After Retries", readonly=True)
    retry_given_up = fields.Integer(string="Retries Given Up", readonly=True)
    sii_calls = fields.Integer(string="Calls to the SII", readonly=True)
    sii_answered = fields.Integer(string="Calls Answered", readonly=True)
    sii_failed = fields.Integer(string="Calls Failed", readonly=True)
    sii_mean_ms = fields.Integer(string="Mean Response Time", readonly=True, aggregator="avg")
    sii_median_ms = fields.Integer(string="Median Response Time", readonly=True, aggregator="avg")
    sii_availability = fields.Float(
        string="Availability of the SII", compute="_compute_sii_availability", help="Percent of the calls."
    )
    archive_documents = fields.Integer(readonly=True, aggregator="max")
    # More than two gigabytes: no Integer.
    archive_bytes = fields.Float(readonly=True, aggregator="max")
    measured_at = fields.Datetime(string="Archive Measured On", readonly=True)

    _unique_day = models.UniqueIndex("(company_id, environment, day)", "This day has its row already.")
    _measured = models.Index("(company_id, day) WHERE measured_at IS NOT NULL")

    @api.depends("day", "company_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for row in self:
            row.display_name = f"{row.company_id.name}, {format_date(self.env, row.day)}"

    @api.depends("sii_answered", "sii_failed")
    def _compute_sii_availability(self):
        for row in self:
            counted = row.sii_answered + row.sii_failed
            row.sii_availability = 100 * row.sii_answered / counted if counted else 0.0

    # -- reading --

    @api.model
    def _window(self, company, days: int):
        """Return the rows of the last days of a company in its environment, today among them, oldest first."""
        since = company._dte_now().date() - timedelta(days=days)
        return self.search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("day", ">", since),
            ],
            order="day",
        )

    @api.model
    def _latest_measured(self, company):
        """Return the row of the day on which the archive of a company was measured last."""
        return self.search(
            [("company_id", "=", company.id), ("measured_at", "!=", False)], order="day desc, id desc", limit=1
        )

    # -- writing --

    def action_update(self):
        """Sum up the companies of the user now."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        # sudo: nobody has the right to write days; the job's code does
        for company in self.env.companies:
            self.sudo()._sum_up(company)
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    @api.model
    def _cron_sum_up(self):
        """Write the days of every company that issues. Commits each; one company stops no other."""
        companies = self.env["dte.figures"]._companies()
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=len(companies))
        for company in companies:
            try:
                self._sum_up(company)
                progress()
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                # The next run writes these days too.
                _logger.info("dte_days_later company_id=%s", company.id)
                self.env.cr.rollback()
            except Exception:
                _logger.exception("dte_days_failed company_id=%s", company.id)
                self.env.cr.rollback()
            if not progress(1):
                return

    @api.model
    def _sum_up(self, company):
        """Write the days of a company that have no row yet, and the last ones again."""
        environments = {company.dte_environment, *self._environments(company)}
        for environment in sorted(environments):
            self._sum_up_line(company, environment)
        self._measure(company)

    def _environments(self, company) -> list[str]:
        return [name for name, _label in ENVIRONMENTS if self._has_documents(company, name)]

    def _has_documents(self, company, environment) -> bool:
        documents = self.env["dte.document"]
        return bool(
            documents.search_count([("company_id", "=", company.id), ("environment", "=", environment)], limit=1)
        )

    def _sum_up_line(self, company, environment):
        today = company._dte_now().date()
        latest = self.search(
            [("company_id", "=", company.id), ("environment", "=", environment)], order="day desc", limit=1
        )
        first = today - timedelta(days=FIRST_DAYS - 1)
        if latest:
            first = max(first, latest.day - timedelta(days=AGAIN_DAYS - 1))
        begin = datetime.combine(first, time.min, SANTIAGO).astimezone(timezone.utc).replace(tzinfo=None)
        days: dict = {}
        self.env.flush_all()
        for read in (self._read_issued, self._read_verdicts, self._read_held, self._read_retries, self._read_calls):
            for day, values in read(company, environment, begin):
                days.setdefault(day, {}).update(values)
        # No rows of the time before anything happened.
        start = min([*days, latest.day or today])
        wanted = [start + timedelta(days=number) for number in range((today - start).days + 1)]
        self._write_days(company, environment, {day: {**_EMPTY, **days.get(day, {})} for day in wanted})

    def _write_days(self, company, environment, days: dict):
        known = self.search(
            [("company_id", "=", company.id), ("environment", "=", environment), ("day", "in", list(days))]
        ).grouped("day")
        for day, values in days.items():
            if day in known:
                known[day].write(values)
        self.create(
            [
                {"company_id": company.id, "environment": environment, "day": day, **values}
                for day, values in days.items()
                if day not in known
            ]
        )

    def _measure(self, company):
        """Note the size of the archive on the row of today."""
        documents, size = self.env.execute_query(
            SQL("SELECT COUNT(*), COALESCE(SUM(xml_size), 0) FROM dte_backup WHERE company_id = %s", company.id)
        )[0]
        today = self._window(company, 1)
        today.write(
            {"archive_documents": documents, "archive_bytes": float(size), "measured_at": fields.Datetime.now()}
        )

    # -- what the days are made of: (day, values) each --

    def _line(self, company, environment) -> SQL:
        return SQL("company_id = %s AND environment = %s", company.id, environment)

    def _day_of(self, column: str) -> SQL:
        zone = str(SANTIAGO)
        return SQL("(%s AT TIME ZONE 'UTC' AT TIME ZONE %s)::date", SQL.identifier(column), zone)

    def _read_issued(self, company, environment, begin):
        rows = self.env.execute_query(
            SQL(
                # A corrected version has the folio of the one before it.
                "SELECT %s, dte_type, COUNT(*) FROM dte_document WHERE %s AND signed_at >= %s AND version = 1"
                " GROUP BY 1, 2 ORDER BY 1, 2",
                self._day_of("signed_at"), self._line(company, environment), begin,
            )
        )  # fmt: skip
        by_day: dict = {}
        for day, dte_type, count in rows:
            by_day.setdefault(day, {})[dte_type] = count
        for day, types in by_day.items():
            yield day, {"issued": sum(types.values()), "issued_by_type": types}

    def _read_verdicts(self, company, environment, begin):
        return self._counted(
            SQL(
                "SELECT %s, COUNT(*) FILTER (WHERE state = 'accepted') AS accepted,"
                " COUNT(*) FILTER (WHERE state = 'objected') AS objected,"
                " COUNT(*) FILTER (WHERE state = 'rejected') AS rejected"
                " FROM dte_document WHERE %s AND verdict_at >= %s GROUP BY 1",
                self._day_of("verdict_at"), self._line(company, environment), begin,
            ),
            ("accepted", "objected", "rejected"),
        )  # fmt: skip

    def _read_held(self, company, environment, begin):
        return self._counted(
            SQL(
                "SELECT %s, COUNT(*) FROM dte_contingency_pending WHERE %s AND stored_date >= %s GROUP BY 1",
                self._day_of("stored_date"), self._line(company, environment), begin,
            ),
            ("held",),
        )  # fmt: skip

    def _read_retries(self, company, environment, begin):
        for state, moment, name in (
            ("success", SQL("COALESCE(success_date, failed_date)"), "retry_delivered"),
            # The oldest rows do not say when they were given up: the last attempt dates them, or the failure itself.
            ("abandoned", SQL("COALESCE(abandoned_date, last_retry_date, failed_date)"), "retry_given_up"),
        ):
            yield from self._counted(
                SQL(
                    "SELECT (moment AT TIME ZONE 'UTC' AT TIME ZONE %s)::date, COUNT(*)"
                    " FROM (SELECT %s AS moment FROM dte_failed_queue WHERE %s AND state = %s) ended"
                    " WHERE moment >= %s GROUP BY 1",
                    str(SANTIAGO), moment, self._line(company, environment), state, begin,
                ),
                (name,),
            )  # fmt: skip

    def _read_calls(self, company, environment, begin):
        return self._counted(
            SQL(
                "SELECT %s, COUNT(*), COUNT(*) FILTER (WHERE outcome IN %s), COUNT(*) FILTER (WHERE outcome IN %s),"
                " COALESCE(ROUND(AVG(milliseconds) FILTER (WHERE outcome IN %s)), 0)::int,"
                " COALESCE(ROUND(PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY milliseconds)"
                " FILTER (WHERE outcome IN %s)), 0)::int"
                " FROM dte_sii_call WHERE %s AND called_at >= %s GROUP BY 1",
                self._day_of("called_at"), ANSWERED, FAILED, ANSWERED, ANSWERED, self._line(company, environment),
                begin,
            ),
            ("sii_calls", "sii_answered", "sii_failed", "sii_mean_ms", "sii_median_ms"),
        )  # fmt: skip

    def _counted(self, query: SQL, names: tuple):
        for day, *counts in self.env.execute_query(query):
            yield day, dict(zip(names, counts, strict=True))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The days of electronic documents cannot be deleted."))
