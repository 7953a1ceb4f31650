# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a monitor is told: each thing that can go wrong, judged from the figures alone. Nothing is written."""

import hashlib
import secrets
from datetime import date, datetime, timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL, consteq

_PARAMETER = "l10n_cl_dte.health_token_hash"
OK, WARNING, ERROR = "ok", "warning", "error"
_WORST_FIRST = (ERROR, WARNING, OK)

# Calls to the SII that failed since the last one that was answered.
CALLS_FAILED = 3
AVAILABILITY_PERCENT, AVAILABILITY_CALLS = 80, 10
# What was asked to be sent leaves within minutes; (warning, error).
QUEUE_AGES = (timedelta(minutes=30), timedelta(hours=2))
RETRY_ROWS = 10
FOLIO_DAYS = (14, 3)
CERTIFICATE_DAYS = (30, 7)
# The archive is checked every day, and copied within minutes.
ARCHIVE_CHECK_AGE = timedelta(days=3)
COPY_AGES = (timedelta(hours=1), timedelta(hours=24))
# A job is late after so many of its intervals, and this.
JOB_INTERVALS, JOB_SLACK = 2, timedelta(minutes=30)
# Without these documents do not leave or nobody learns what became of them.
_VITAL_JOBS = ("ir_cron_send", "ir_cron_retry", "ir_cron_check_status", "ir_cron_contingency")


class DteHealth(models.AbstractModel):
    """The state of the whole database for `/dte/health` and `/dte/metrics`."""

    _name = "dte.health"
    _description = "Health of Electronic Documents"

    # -- the token --

    @api.model
    def _has_token(self) -> bool:
        return bool(self._token_hash())

    @api.model
    def _is_token(self, token: str) -> bool:
        """Tell whether this is the monitor's token, in a time that tells nothing about it."""
        return consteq(self._hash(token), self._token_hash())

    def _token_hash(self) -> str:
        # sudo: parameters are for administrators; the hash goes no further
        return self.env["ir.config_parameter"].sudo().get_param(_PARAMETER) or ""

    def _hash(self, token: str) -> str:
        # A token is 256 random bits: nothing slower is needed to keep it from being guessed.
        return hashlib.sha256(token.encode()).hexdigest()

    @api.model
    def _new_token(self) -> str:
        """Make a token, which takes the place of any other one. It is told now and never again."""
        self._check_administrator()
        token = secrets.token_urlsafe(32)
        self.env["ir.config_parameter"].set_param(_PARAMETER, self._hash(token))
        return token

    @api.model
    def _forget_token(self):
        self._check_administrator()
        self.env["ir.config_parameter"].set_param(_PARAMETER, False)

    def _check_administrator(self):
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(self.env._("Only an administrator may let others watch the electronic documents."))

    # -- the report --

    @api.model
    def _report(self) -> dict:
        """Return status, checks, jobs and companies: what `/dte/health` answers, with dates as text."""
        figures = self.env["dte.figures"]
        companies = [figures._figures(company) for company in figures._companies()]
        jobs = self._jobs()
        checks = [self._check_jobs(jobs)]
        for company in companies:
            for check in self._checks_of(company):
                checks.append({**check, "company": company["rut"]})
        found = {check["status"] for check in checks}
        status = next(status for status in _WORST_FIRST if status in found)
        return {"status": status, "checks": checks, "jobs": jobs, "companies": self._as_text(companies)}

    def _as_text(self, value):
        if isinstance(value, dict):
            return {name: self._as_text(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._as_text(item) for item in value]
        if isinstance(value, datetime):
            return f"{value.replace(microsecond=0).isoformat()}Z"
        return value.isoformat() if isinstance(value, date) else value

    def _checks_of(self, company: dict) -> list[dict]:
        return [
            self._check_sii(company),
            self._check_queue(company),
            self._check_documents(company),
            self._check_folios(company),
            self._check_certificate(company),
            self._check_archive(company),
            self._check_contingency(company),
        ]

    def _result(self, name: str, problems: list[tuple[str, str]], fine: str) -> dict:
        """Return a check: the worst of its problems, all of them told."""
        found = {status for status, _text in problems}
        status = next((status for status in _WORST_FIRST if status in found), OK)
        return {"name": name, "status": status, "detail": " ".join(text for _status, text in problems) or fine}

    def _by_age(self, since, limits, text: str) -> list[tuple[str, str]]:
        age = fields.Datetime.now() - since if since else timedelta(0)
        if age <= limits[0]:
            return []
        return [(ERROR if age > limits[1] else WARNING, text)]

    def _minutes(self, since) -> int:
        return int((fields.Datetime.now() - since).total_seconds() // 60)

    # -- each check --

    def _check_sii(self, company) -> dict:
        sii, problems = company["sii"], []
        if company["breaker"] == "open" or sii["failed_in_a_row"] >= CALLS_FAILED:
            text = self.env._("The SII does not answer; calls that failed in a row: %s.", sii["failed_in_a_row"])
            problems.append((ERROR, text))
        elif company["breaker"] == "half_open":
            problems.append((WARNING, self.env._("The SII answers again; one document is being tried.")))
        elif (
            sii["availability"] is not None
            and sii["calls"] >= AVAILABILITY_CALLS
            and (sii["availability"] < AVAILABILITY_PERCENT)
        ):
            text = self.env._("Of the calls of the last 24 hours the SII answered %s %%.", sii["availability"])
            problems.append((WARNING, text))
        return self._result("sii", problems, self.env._("The SII answers."))

    def _check_queue(self, company) -> dict:
        problems = []
        if company["paused"]:
            problems.append((ERROR, self.env._("Sending is paused until a person has looked.")))
        if company["queued_since"]:
            text = self.env._(
                "Documents to leave: %(count)s; the first one has waited for %(minutes)s minutes.",
                count=company["queued"],
                minutes=self._minutes(company["queued_since"]),
            )
            problems += self._by_age(company["queued_since"], QUEUE_AGES, text)
        if company["retry"] > RETRY_ROWS:
            problems.append((WARNING, self.env._("Documents in the retry queue: %s.", company["retry"])))
        return self._result("queue", problems, self.env._("What is to leave leaves."))

    def _check_documents(self, company) -> dict:
        texts = {
            "failed_without_action": self.env._("Documents that could not be sent: %s."),
            "rejected_without_action": self.env._("Rejected documents: %s."),
            "no_answer": self.env._("Documents without an answer for days: %s."),
            "questions_refused": self.env._("Envelopes about which the SII refuses to be asked: %s."),
        }
        problems = [(WARNING, text % company[name]) for name, text in texts.items() if company[name]]
        return self._result("documents", problems, self.env._("No document waits for a person."))

    def _check_folios(self, company) -> dict:
        problems = []
        for stock in company["folios"]:
            left = stock["days_left"]
            if not stock["free"]:
                # A type that is not used any more needs no new folios.
                status = ERROR if stock["per_day"] else WARNING
                problems.append((status, self.env._("Type %s has no folios left.", stock["dte_type"])))
            elif left is not None and left < FOLIO_DAYS[0]:
                text = self.env._(
                    "The %(count)s folios of type %(type)s last %(days)s days.",
                    count=stock["free"],
                    type=stock["dte_type"],
                    days=left,
                )
                problems.append((ERROR if left < FOLIO_DAYS[1] else WARNING, text))
        return self._result("folios", problems, self.env._("There are folios."))

    def _check_certificate(self, company) -> dict:
        days, problems = company["certificate_days"], []
        if days is None:
            problems.append((ERROR, self.env._("There is no digital certificate.")))
        elif days < 0:
            problems.append((ERROR, self.env._("The digital certificate has expired.")))
        elif days < CERTIFICATE_DAYS[0]:
            text = self.env._("The digital certificate is valid for %s more days.", days)
            problems.append((ERROR if days < CERTIFICATE_DAYS[1] else WARNING, text))
        return self._result("certificate", problems, self.env._("The digital certificate is valid."))

    def _check_archive(self, company) -> dict:
        archive, problems = company["archive"], []
        damaged = max(archive["damaged"], archive["check_damaged"])
        if damaged:
            problems.append((ERROR, self.env._("Damaged documents in the archive: %s.", damaged)))
        if archive["documents"] or archive["unchecked_since"]:
            since = archive["checked_at"] or archive["unchecked_since"]
            text = self.env._("The archive has not been checked for days.")
            problems += self._by_age(since, (ARCHIVE_CHECK_AGE, ARCHIVE_CHECK_AGE * 2), text)
        text = self.env._("Documents without their second copy: %s.", archive["uncopied"])
        problems += self._by_age(archive["uncopied_since"], COPY_AGES, text)
        return self._result("archive", problems, self.env._("The archive is intact."))

    def _check_contingency(self, company) -> dict:
        contingency, problems = company["contingency"], []
        if contingency["on"]:
            is_long = fields.Datetime.now() - contingency["since"] > timedelta(hours=contingency["long_after"])
            text = self.env._(
                "In contingency for %(minutes)s minutes; documents held: %(count)s.",
                minutes=self._minutes(contingency["since"]),
                count=company["pending"],
            )
            problems.append((ERROR if is_long else WARNING, text))
        return self._result("contingency", problems, self.env._("Not in contingency."))

    # -- jobs --

    def _check_jobs(self, jobs: list[dict]) -> dict:
        problems = []
        for job in jobs:
            name, status = job["name"], ERROR if job["name"] in _VITAL_JOBS else WARNING
            if not job["active"]:
                problems.append((status, self.env._("The job %s is switched off.", name)))
            elif job["late"]:
                problems.append((status, self.env._("The job %s has not come to its end when it should have.", name)))
        return self._result("jobs", problems, self.env._("The jobs run."))

    def _jobs(self) -> list[dict]:
        """Return of each job of the addon: name (its identifier), active, late, failures in a row, and good_age, the
        seconds since it came to a good end or was at work."""
        now = fields.Datetime.now()
        self.env["ir.cron"].flush_model()
        rows = self.env.execute_query(
            SQL(
                # A job that fails has run, but not well since then. One that finds more to do than a run admits goes
                # on and on without an end; its progress tells that it is at work.
                """
                SELECT data.name, cron.active, cron.interval_number, cron.interval_type, cron.failure_count,
                       CASE WHEN cron.failure_count > 0 THEN COALESCE(cron.first_failure_date, cron.create_date)
                            ELSE GREATEST(cron.lastcall, cron.create_date,
                                          (SELECT MAX(create_date) FROM ir_cron_progress
                                            WHERE cron_id = cron.id AND done > 0)) END
                  FROM ir_cron cron
                  JOIN ir_model_data data ON data.model = 'ir.cron' AND data.res_id = cron.id
                 WHERE data.module = 'l10n_cl_dte' ORDER BY data.name
                """
            )
        )
        units = {"minutes": 1, "hours": 60, "days": 24 * 60, "weeks": 7 * 24 * 60, "months": 31 * 24 * 60}
        jobs = []
        for name, is_active, number, unit, failures, good in rows:
            limit = JOB_INTERVALS * timedelta(minutes=number * units[unit]) + JOB_SLACK
            age = now - good
            jobs.append(
                {
                    "name": name,
                    "active": is_active,
                    "late": age > limit,
                    "failures": failures or 0,
                    "good_age": max(0, int(age.total_seconds())),
                }
            )
        return jobs
