# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How a company stands, in numbers that cost milliseconds whatever the number of documents.

What is still open is counted over partial indexes; what only a scan can tell is read from the rows of `dte.daily`.
"""

from datetime import date, timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from .dte_contingency_breaker import ANSWERED, FAILED

# Calls of the last day that response time and availability are computed from, the latest ones.
CALLS_LIMIT = 5_000
# Copies that wait are counted up to here: the first copy of a large archive takes days.
COPIES_LIMIT = 10_000
BURN_DAYS = 30
_DAY = timedelta(days=1)


class DteDocument(models.Model):
    _inherit = "dte.document"

    _open_live = models.Index(
        "(company_id, environment, state, signed_at) INCLUDE (queued_at)"
        " WHERE state NOT IN ('accepted', 'objected', 'imported') AND superseded IS NOT TRUE"
    )


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    _waiting_since = models.Index(
        "(company_id, environment, first_attempted_at) WHERE state = 'sent' AND next_poll_date IS NOT NULL"
    )


class DteFailedQueue(models.Model):
    _inherit = "dte.failed.queue"

    _open_rows = models.Index("(company_id, environment) WHERE state IN ('pending', 'retrying')")


class DteFigures(models.AbstractModel):
    """The figures behind the dashboard, the alerts and the monitoring. All of them read; none of them writes."""

    _name = "dte.figures"
    _description = "Figures of Electronic Documents"

    @api.model
    def _companies(self):
        """Return the companies that issue electronic documents."""
        # sudo: which companies issue is asked by jobs and by the monitoring, which are no user
        journals = self.env["account.journal"].sudo().search([("dte_enabled", "=", True)])
        return journals.company_id.sorted("id")

    @api.model
    def _figures(self, company) -> dict:
        """Return how a company stands in its environment. Times are UTC, None where there is nothing to tell.

        The caller has checked that the company may be seen.

        :return: company_id, company, rut, environment;
            to_send (signed, nobody asked to send them), to_send_since, queued (leave by themselves), queued_since,
            retry (open rows of the retry queue), retry_success (percent of the last 30 days), unknown, no_answer,
            failed_without_action, rejected_without_action, waiting (sent, no verdict), waiting_since,
            questions_refused (envelopes about which the SII may not be asked), polls_due (envelopes about which it
            should have been asked by now), polls_late (seconds, the oldest of them),
            pending (held in contingency);
            paused; contingency: on, automatic, drill, since, long_after (hours); breaker, breaker_since;
            folios: list of dte_type, free, per_day, expires_on, days_left;
            certificate_until, certificate_days;
            archive: documents, bytes and measured_at as of the last sum, damaged, double (there is a second copy),
            uncopied, uncopied_since, checked_at and check_damaged of the last check, unchecked_since (when the oldest
            document without a check was archived, as long as no check of all has come to its end);
            sii, of the last 24 hours: calls, mean_ms, median_ms, availability (percent); last_answer_at and
            last_answer_age (seconds), of ever; failed_in_a_row (calls of the last 24 hours since that answer)
        """
        # sudo: counts only, of a company that the caller may see; call log and certificate are closed to users
        company = company.sudo()
        # sudo: the same
        figures = self.sudo()
        days = figures.env["dte.daily"]._window(company, BURN_DAYS)
        return {
            "company_id": company.id,
            "company": company.name,
            "rut": company.vat or "",
            "environment": company.dte_environment,
            **figures._of_documents(company),
            "retry": figures._open_retries(company),
            "retry_success": figures._retry_success(days),
            **figures._of_contingency(company),
            "folios": figures._of_folios(company, days),
            **figures._of_certificate(company),
            "archive": figures._of_archive(company),
            "sii": figures._of_sii(company),
        }

    def _row(self, query: SQL) -> tuple:
        return self.env.execute_query(query)[0]

    def _line(self, company) -> SQL:
        return SQL("company_id = %s AND environment = %s", company.id, company.dte_environment)

    # -- documents --

    def _of_documents(self, company) -> dict:
        self.env["dte.document"].flush_model(
            ["company_id", "environment", "state", "superseded", "signed_at", "queued_at"]
        )
        rows = self.env.execute_query(
            SQL(
                "SELECT state, COUNT(*), COUNT(queued_at), MIN(signed_at),"
                " MIN(signed_at) FILTER (WHERE queued_at IS NULL) FROM dte_document WHERE %s"
                " AND state NOT IN ('accepted', 'objected', 'imported') AND superseded IS NOT TRUE GROUP BY state",
                self._line(company),
            )
        )
        open_ones = {state: values for state, *values in rows}

        def count(state):
            return open_ones.get(state, [0])[0]

        fresh, asked, _signed, since = open_ones.get("to_send", (0, 0, None, None))
        waiting, _asked, signed, _since = open_ones.get("sent", (0, 0, None, None))
        envelopes = self._of_envelopes(company)
        return {
            "to_send": fresh - asked,
            "queued": asked + count("sending"),
            "queued_since": self._queued_since(company) if asked else None,
            "to_send_since": since,
            "unknown": count("unknown"),
            "no_answer": count("no_answer"),
            "failed_without_action": count("failed"),
            "rejected_without_action": count("rejected"),
            "waiting": waiting,
            "waiting_since": (envelopes["since"] or signed) if waiting else None,
            "questions_refused": envelopes["refused"],
            "polls_due": envelopes["due"],
            "polls_late": envelopes["late"],
            "pending": count("contingency"),
        }

    def _queued_since(self, company):
        """Return when somebody first asked to send one that may leave now; notes wait for what they correct."""
        return self._row(
            SQL(
                "SELECT MIN(queued_at) FROM dte_document d WHERE %s"
                " AND state = 'to_send' AND queued_at IS NOT NULL AND split_envio_id IS NULL"
                " AND superseded IS NOT TRUE AND ask_first IS NOT TRUE"
                " AND NOT EXISTS (SELECT 1 FROM dte_document_reference_rel rel"
                " JOIN dte_document referenced ON referenced.id = rel.referenced_id"
                " WHERE rel.document_id = d.id AND referenced.state NOT IN ('accepted', 'objected'))",
                self._line(company),
            )
        )[0]

    def _of_envelopes(self, company) -> dict:
        """Return how it stands with the envelopes about which the SII is asked: since, refused, due, late."""
        now = fields.Datetime.now()
        self.env["dte.envio"].flush_model(
            ["company_id", "environment", "state", "next_poll_date", "first_attempted_at", "may_not_ask"]
        )
        since, refused, due, next_poll = self._row(
            SQL(
                "SELECT MIN(first_attempted_at), COUNT(*) FILTER (WHERE may_not_ask),"
                " COUNT(*) FILTER (WHERE next_poll_date <= %s), MIN(next_poll_date) FROM dte_envio WHERE %s"
                " AND state = 'sent' AND next_poll_date IS NOT NULL",
                now,
                self._line(company),
            )
        )
        late = int((now - next_poll).total_seconds()) if due else 0
        return {"since": since, "refused": refused, "due": due, "late": late}

    def _open_retries(self, company) -> int:
        self.env["dte.failed.queue"].flush_model(["company_id", "environment", "state"])
        return self._row(
            SQL(
                "SELECT COUNT(*) FROM dte_failed_queue WHERE %s AND state IN ('pending', 'retrying')",
                self._line(company),
            )
        )[0]

    def _retry_success(self, days) -> float | None:
        """Return how many percent of the retries that ended in the last 30 days were delivered."""
        delivered, given_up = sum(days.mapped("retry_delivered")), sum(days.mapped("retry_given_up"))
        ended = delivered + given_up
        return round(100 * delivered / ended, 1) if ended else None

    # -- contingency --

    def _of_contingency(self, company) -> dict:
        contingency = self.env["dte.contingency"]._of(company, company.dte_environment)
        is_on = contingency.enabled
        return {
            "paused": self.env["dte.pause"]._is_paused(company, company.dte_environment),
            "contingency": {
                "on": is_on,
                "automatic": is_on and contingency.automatic,
                "drill": is_on and contingency.episode_id.drill,
                "since": contingency.enabled_date if is_on else None,
                "long_after": company.dte_alert_contingency_hours,
            },
            "breaker": contingency.breaker or "closed",
            "breaker_since": contingency.breaker_since or None,
        }

    # -- folios and certificate --

    def _of_folios(self, company, days) -> list[dict]:
        today = company._dte_now().date()
        cafs = self.env["dte.caf"].search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("issuer_rut", "=", company.vat),
            ],
            order="dte_type, folio_from",
        )
        usable = cafs.filtered(lambda caf: not caf.expires_on or caf.expires_on >= today)
        last = usable._last_used_in_ranges()
        burn = self._burn(days, today)
        result = []
        for dte_type, ranges in cafs.grouped("dte_type").items():
            stock = [(caf.folio_to - last[caf.id], caf.expires_on or None) for caf in ranges & usable]
            result.append(self._stock(dte_type, [row for row in stock if row[0] > 0], burn.get(dte_type, 0.0), today))
        return result

    def _stock(self, dte_type: str, stock: list[tuple[int, date | None]], per_day: float, today: date) -> dict:
        """Return how long the folios of a type last.

        :param stock: free folios and last day of validity of each range, in the order of use
        """
        expiries = [expires_on for _free, expires_on in stock]
        return {
            "dte_type": dte_type,
            "free": sum(free for free, _expires_on in stock),
            "per_day": round(per_day, 2),
            "expires_on": None if None in expiries else max(expiries, default=None),
            "days_left": self._days_left(stock, per_day, today),
        }

    @api.model
    def _days_left(self, stock, per_day: float, today: date) -> int | None:
        """Return the days until the folios are used up or too old; None when neither comes."""
        days = 0.0
        for free, expires_on in stock:
            # The day of expiry is still a day on which they may be used.
            valid = (expires_on - today).days + 1 if expires_on else None
            lasts = days + free / per_day if per_day else None
            ends = min((end for end in (valid, lasts) if end is not None), default=None)
            if ends is None:
                return None
            days = max(days, ends)
        return int(days)

    def _burn(self, days, today: date) -> dict[str, float]:
        """Return the folios used per day, by type, over the last 30 days; since the first one for a young company."""
        issued = [(row.day, row.issued_by_type or {}) for row in days if row.issued]
        if not issued:
            return {}
        first = min(day for day, _types in issued)
        span = max(1, (today - first).days)
        burn: dict[str, float] = {}
        for _day, types in issued:
            for dte_type, count in types.items():
                burn[dte_type] = burn.get(dte_type, 0.0) + count / span
        return burn

    def _of_certificate(self, company) -> dict:
        until = company.dte_certificate_expiry or None
        return {
            "certificate_until": until,
            "certificate_days": (until - fields.Datetime.now()) // _DAY if until else None,
        }

    # -- archive --

    def _of_archive(self, company) -> dict:
        daily = self.env["dte.daily"]._latest_measured(company)
        scrub = self.env["dte.backup.scrub"].search(
            [("company_id", "=", company.id), ("finished_at", "!=", False)], order="id desc", limit=1
        )
        self.env["dte.backup"].flush_model(["company_id", "check_state", "checked_at", "file_state"])
        (damaged,) = self._row(
            SQL("SELECT COUNT(*) FROM dte_backup WHERE company_id = %s AND check_state = 'damaged'", company.id)
        )
        uncopied, since = self._uncopied(company) if company.dte_archive_is_double else (0, None)
        return {
            "documents": daily.archive_documents,
            "bytes": int(daily.archive_bytes),
            "measured_at": daily.measured_at or None,
            "damaged": damaged,
            "double": company.dte_archive_is_double,
            "uncopied": uncopied,
            "uncopied_since": since,
            "checked_at": scrub.finished_at or None,
            "unchecked_since": None if scrub else self._archived_since(company),
            "check_damaged": scrub.damaged,
        }

    def _archived_since(self, company):
        """Return when the oldest document without a check was archived; the order is that of the index for checks."""
        rows = self.env.execute_query(
            SQL(
                "SELECT create_date FROM dte_backup WHERE company_id = %s ORDER BY checked_at NULLS FIRST, id LIMIT 1",
                company.id,
            )
        )
        return rows[0][0] if rows else None

    def _uncopied(self, company) -> tuple:
        """Return how many rows have no second copy yet, and since when."""
        return self._row(
            SQL(
                "SELECT COUNT(*), MIN(create_date) FROM (SELECT create_date FROM dte_backup"
                " WHERE company_id = %s AND file_state = 'pending' ORDER BY id LIMIT %s) waiting",
                company.id,
                COPIES_LIMIT,
            )
        )

    # -- the SII --

    def _of_sii(self, company) -> dict:
        now = fields.Datetime.now()
        calls, answered, failed, mean, median = self._row(
            SQL(
                "SELECT COUNT(*), COUNT(*) FILTER (WHERE outcome IN %(answered)s),"
                " COUNT(*) FILTER (WHERE outcome IN %(failed)s),"
                " AVG(milliseconds) FILTER (WHERE outcome IN %(answered)s),"
                " PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY milliseconds) FILTER (WHERE outcome IN %(answered)s)"
                " FROM (SELECT outcome, milliseconds FROM dte_sii_call WHERE %(line)s AND called_at > %(since)s"
                " ORDER BY called_at DESC LIMIT %(limit)s) recent",
                answered=ANSWERED,
                failed=FAILED,
                line=self._line(company),
                since=now - _DAY,
                limit=CALLS_LIMIT,
            )
        )
        (last,) = self._row(
            SQL(
                "SELECT MAX(called_at) FROM dte_sii_call WHERE %s AND outcome IN ('ok', 'validation', 'certificate')",
                self._line(company),
            )
        )
        counted = answered + failed
        (in_a_row,) = self._row(
            SQL(
                "SELECT COUNT(*) FROM dte_sii_call WHERE %s AND called_at > %s AND outcome IN %s",
                self._line(company),
                max(last or now - _DAY, now - _DAY),
                FAILED,
            )
        )
        return {
            "last_answer_at": last,
            "last_answer_age": max(0, int((now - last).total_seconds())) if last else None,
            "failed_in_a_row": in_a_row,
            "calls": calls,
            "mean_ms": round(mean) if mean is not None else None,
            "median_ms": round(median) if median is not None else None,
            "availability": round(100 * answered / counted, 1) if counted else None,
        }
