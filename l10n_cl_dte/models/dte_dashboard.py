# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import datetime, time, timedelta, timezone

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import format_date, format_datetime, formatLang

from ..const import SANTIAGO

DAYS = 14
RETRY_DAYS = 30
# A document usually has its verdict within minutes; one that waits longer than this is shown in yellow.
PATIENCE = timedelta(hours=24)
_UNITS = ("B", "kB", "MB", "GB", "TB")


class DteDashboard(models.AbstractModel):
    """How the documents of each allowed company stand, as figures with the list behind each. Makes no row."""

    _name = "dte.dashboard"
    _description = "Overview of Electronic Documents"

    @api.model
    def get_overview(self) -> dict:
        """Return what the overview shows: texts in the user's language, figures and actions.

        :return: moment, companies: list of id, name, environment, status (text, tone, action), alerts, tiles (key,
            label, value, count, detail, tone, action), folios (type, label, left, rate, ends, expires, tone, action)
            and days (label, percent, milliseconds, calls, action)
        """
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(self.env._('You need the role "Electronic documents: user" for this.'))
        companies = self.env["dte.figures"]._companies() & self.env.companies
        return {
            "moment": format_datetime(self.env, fields.Datetime.now(), dt_format="short"),
            "companies": [self._overview_of(company.with_env(self.env)) for company in companies],
        }

    def _overview_of(self, company) -> dict:
        figures = self.env["dte.figures"]._figures(company)
        labels = dict(company._fields["dte_environment"]._description_selection(self.env))
        return {
            "id": company.id,
            "name": company.name,
            "environment": labels[company.dte_environment],
            "status": self._status(company, figures),
            "alerts": self._alerts(company, figures),
            "tiles": [
                *self._tiles_of_sending(company, figures),
                *self._tiles_of_answers(company, figures),
                *self._tiles_of_stock(company, figures),
            ],
            "folios": [self._folio_row(company, stock) for stock in figures["folios"]],
            "days": self._days(company, figures),
        }

    # -- the head of a company --

    def _status(self, company, figures) -> dict:
        contingency = figures["contingency"]
        if figures["paused"]:
            return {
                "text": self.env._("Sending is paused: the SII refuses the sender"),
                "tone": "danger",
                "action": self._list("dte.pause", company, [("resumed_at", "=", False)], self.env._("Pauses")),
            }
        if contingency["on"]:
            text = self.env._("In contingency since %s", self._moment(contingency["since"]))
            if contingency["drill"]:
                text = self.env._("[Drill] %s", text)
            return {"text": text, "tone": "warning", "action": self._contingency(company)}
        if figures["breaker"] != "closed":
            return {
                "text": self.env._("The SII does not answer since %s", self._moment(figures["breaker_since"])),
                "tone": "warning",
                "action": self._contingency(company),
            }
        return {"text": self.env._("Sending as usual"), "tone": "success", "action": self._contingency(company)}

    def _alerts(self, company, figures) -> list[dict]:
        """Return the open alerts with the figures of this moment, so that they do not contradict the tiles."""
        alerts = self.env["dte.alert"].search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("solved_at", "=", False),
            ]
        )
        shown = []
        for alert in alerts:
            wrong = alert._wrong_now(figures)
            # One that is solved ends at the next run of the job.
            if wrong:
                shown.append(
                    {
                        "id": alert.id,
                        "text": alert._fact(wrong),
                        "step": alert.step,
                        "since": self.env._("since %s", self._moment(alert.since)),
                        "action": self._action_of_alert(alert),
                    }
                )
        return shown

    # -- tiles --

    def _tile(self, key, label, value, detail="", tone="", action=False, count=None) -> dict:
        return {
            "key": key,
            "label": label,
            "value": self._number(value) if isinstance(value, int) else value,
            "count": value if isinstance(value, int) else count,
            "detail": detail,
            "tone": tone,
            "action": action,
        }

    def _tiles_of_sending(self, company, figures) -> list[dict]:
        env = self.env
        unasked, total = figures["to_send"], figures["to_send"] + figures["queued"]
        percent = figures["retry_success"]
        contingency = figures["contingency"]["on"]
        return [
            self._tile(
                "to_send", env._("To send"), total,
                env._("Wait for Send DTE: %s", self._number(unasked)) if unasked
                else env._("They leave by themselves") if total else env._("Nothing waits to be sent"),
                action=self._documents(company, ("to_send", "sending"), env._("To send")),
            ),
            self._tile(
                "retry", env._("Retry queue"), figures["retry"],
                env._("Outcome unknown: %s", self._number(figures["unknown"])) if figures["unknown"]
                else env._("They leave by themselves") if figures["retry"] else env._("Nothing waits for a retry"),
                "warning" if figures["retry"] > company.dte_alert_queue_over else "",
                self._list(
                    "dte.failed.queue", company, [*self._line(company), ("state", "in", ("pending", "retrying"))],
                    env._("Retry Queue"),
                ),
            ),
            self._tile(
                "retry_success", env._("Successful retries"), "-" if percent is None else self._percent(percent),
                env._("Of those ended in the last %s days", RETRY_DAYS),
                "warning" if percent is not None and percent < company.dte_alert_retry_success_under else "",
                self._list("dte.failed.queue", company, self._ended_retries(company), env._("Retries that ended")),
            ),
            self._tile(
                "pending", env._("Held in contingency"), figures["pending"],
                env._("Contingency is on") if contingency else env._("Contingency is off"),
                "warning" if contingency or figures["pending"] else "",
                self._documents(company, ("contingency",), env._("Held in contingency")),
            ),
        ]  # fmt: skip

    def _tiles_of_answers(self, company, figures) -> list[dict]:
        env = self.env
        rejected, waiting = figures["rejected_without_action"], figures["waiting"]
        since = figures["waiting_since"]
        stuck = figures["failed_without_action"] + figures["no_answer"]
        return [
            self._tile(
                "rejected", env._("Rejected Documents"), rejected,
                env._("Press Correct in each one") if rejected else env._("None waits for a person"),
                "danger" if rejected else "",
                self._documents(company, ("rejected",), env._("Rejected Documents")),
            ),
            self._tile(
                "stuck", env._("Need attention"), stuck,
                env._("Without an answer for days: %s", self._number(figures["no_answer"])) if figures["no_answer"]
                else env._("Refused or given up"),
                "danger" if stuck else "",
                self._documents(company, ("failed", "no_answer"), env._("Need attention")),
            ),
            self._tile(
                "waiting", env._("Waiting for an answer"), waiting,
                env._("Oldest: %s", self._moment(since)) if since else env._("Every document has its answer"),
                "warning" if since and since < fields.Datetime.now() - PATIENCE else "",
                self._documents(company, ("sent",), env._("Waiting for an answer")),
            ),
        ]  # fmt: skip

    def _tiles_of_stock(self, company, figures) -> list[dict]:
        return [self._tile_of_certificate(company, figures), self._tile_of_archive(company, figures),
                self._tile_of_sii(company, figures)]  # fmt: skip

    def _tile_of_certificate(self, company, figures) -> dict:
        days, label = figures["certificate_days"], self.env._("Days of certificate")
        if days is None:
            return self._tile("certificate", label, "-", self.env._("No digital certificate"), "danger")
        action = False
        if self.env["certificate.certificate"].has_access("read"):
            action = self._action("certificate.certificate", [("id", "=", company.dte_certificate_id.id)], label)
        return self._tile(
            "certificate", label, max(days, 0),
            self.env._("Valid until %s", format_date(self.env, figures["certificate_until"])),
            "danger" if days < 0 else "warning" if days < company.dte_alert_certificate_days else "",
            action,
        )  # fmt: skip

    def _tile_of_archive(self, company, figures) -> dict:
        archive, env = figures["archive"], self.env
        damaged = max(archive["damaged"], archive["check_damaged"])
        if damaged:
            detail = env._("For a person: %s", self._number(damaged))
        elif archive["checked_at"]:
            detail = env._("Verified on %s", self._moment(archive["checked_at"]))
        else:
            detail = env._("Not verified yet")
        # The size is measured once a night; before that there is none.
        size = self._size(archive["bytes"]) if archive["measured_at"] else "-"
        domain = [("company_id", "=", company.id)]
        if archive["check_damaged"]:
            action = self._list("dte.backup.scrub", company, [*domain, ("damaged", ">", 0)], env._("Archive checks"))
        else:
            extra = [("check_state", "=", "damaged")] if damaged else []
            action = self._list("dte.backup", company, [*domain, *extra], env._("Archive"))
        return self._tile("archive", env._("Archive"), size, detail, "danger" if damaged else "", action)

    def _tile_of_sii(self, company, figures) -> dict:
        sii, env = figures["sii"], self.env
        percent = sii["availability"]
        detail = ""
        if sii["median_ms"] is not None:
            detail = env._("Response time: %s ms", self._number(sii["median_ms"]))
        elif sii["last_answer_at"]:
            detail = env._("Last answer: %s", self._moment(sii["last_answer_at"]))
        return self._tile(
            "sii", env._("SII, last 24 hours"), "-" if percent is None else self._percent(percent), detail,
            "" if percent is None or percent >= 90 else "danger" if percent < 50 else "warning",
            self._calls(company, fields.Datetime.now() - timedelta(days=1)),
        )  # fmt: skip

    # -- folios --

    def _folio_row(self, company, stock: dict) -> dict:
        env, today = self.env, company._dte_now().date()
        per_day, expires_on = stock["per_day"], stock["expires_on"]
        lasts = int(stock["free"] / per_day) if per_day else None
        valid = (expires_on - today).days if expires_on else None
        short = lasts is not None and lasts < company.dte_alert_folio_days
        old = valid is not None and valid < company.dte_alert_caf_days
        return {
            "type": stock["dte_type"],
            "label": self._type_label(stock["dte_type"]),
            "left": self._number(stock["free"]),
            "rate": formatLang(env, per_day, digits=1) if per_day else "-",
            "ends": self._in_days(today, lasts) if stock["free"] else env._("used up"),
            "expires": self._in_days(today, valid) if stock["free"] else "-",
            "tone": "danger" if not stock["free"] else "warning" if short or old else "",
            "action": self._list(
                "dte.caf", company, [*self._line(company), ("dte_type", "=", stock["dte_type"])], env._("Folios (CAF)")
            ),
        }

    def _in_days(self, today, days: int | None) -> str:
        if days is None:
            return "-"
        # Beyond a year a pace of weeks says nothing.
        if days > 365:
            return self.env._("in more than a year")
        return self.env._(
            "%(date)s (days: %(days)s)", date=format_date(self.env, today + timedelta(days=days)), days=days
        )

    @api.model
    def _type_label(self, dte_type: str) -> str:
        doc_type = self.env["l10n_latam.document.type"].search(
            [("code", "=", dte_type), ("country_id.code", "=", "CL")], limit=1
        )
        return f"{doc_type.name} ({dte_type})" if doc_type else dte_type

    # -- the SII's days --

    def _days(self, company, figures) -> list[dict]:
        """Return the days of the graph: the rows of the nightly job, and the last 24 hours as they are now."""
        today = company._dte_now().date()
        rows = [row for row in self.env["dte.daily"]._window(company, DAYS) if row.day < today]
        days = [self._day(company, row) for row in rows]
        sii = figures["sii"]
        if sii["availability"] is not None:
            days.append(
                {
                    "label": self.env._("24 h"),
                    "percent": sii["availability"],
                    "milliseconds": sii["median_ms"],
                    "calls": sii["calls"],
                    "action": self._calls(company, fields.Datetime.now() - timedelta(days=1)),
                }
            )
        return days if any(day["calls"] for day in days) else []

    def _day(self, company, row) -> dict:
        counted = row.sii_answered + row.sii_failed
        begin = datetime.combine(row.day, time.min, SANTIAGO)
        end = datetime.combine(row.day + timedelta(days=1), time.min, SANTIAGO)
        return {
            "label": format_date(self.env, row.day, date_format="d MMM"),
            "percent": round(row.sii_availability, 1) if counted else None,
            "milliseconds": row.sii_median_ms if row.sii_answered else None,
            "calls": row.sii_calls,
            "action": self._calls(company, self._utc(begin), self._utc(end)),
        }

    @api.model
    def _utc(self, moment):
        return moment.astimezone(timezone.utc).replace(tzinfo=None)

    # -- lists behind the figures --

    def _action(self, model: str, domain: list, name: str) -> dict:
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": model,
            "views": [(False, "list"), (False, "form")],
            "domain": domain,
        }

    def _list(self, model: str, company, domain: list, name: str):
        """Return the action that opens rows of a company, False for who may not see them."""
        if not self.env[model].has_access("read"):
            return False
        domain = (
            domain if any(term[0] == "company_id" for term in domain) else [("company_id", "=", company.id), *domain]
        )
        return self._action(model, domain, f"{name}, {company.name}" if len(self.env.companies) > 1 else name)

    def _line(self, company) -> list:
        return [("company_id", "=", company.id), ("environment", "=", company.dte_environment)]

    def _documents(self, company, states: tuple, name: str):
        domain = [*self._line(company), ("state", "in", list(states)), ("superseded", "=", False)]
        return self._list("dte.document", company, domain, name)

    def _ended_retries(self, company) -> list:
        since = fields.Datetime.to_string(fields.Datetime.now() - timedelta(days=RETRY_DAYS))
        return [
            *self._line(company),
            "|",
            "&", ("state", "=", "success"), ("success_date", ">=", since),
            "&", ("state", "=", "abandoned"),
            # The oldest rows do not say when they were given up.
            "|", ("abandoned_date", ">=", since),
            "&", ("abandoned_date", "=", False),
            "|", ("last_retry_date", ">=", since), "&", ("last_retry_date", "=", False), ("failed_date", ">=", since),
        ]  # fmt: skip

    def _calls(self, company, since, until=None):
        """Return the calls to the SII of a time; who may not see them sees the days."""
        domain = [*self._line(company), ("called_at", ">=", fields.Datetime.to_string(since))]
        if until:
            domain.append(("called_at", "<", fields.Datetime.to_string(until)))
        calls = self._list("dte.sii.call", company, domain, self.env._("Calls to the SII"))
        return calls or self._list("dte.daily", company, self._line(company), self.env._("Days"))

    def _contingency(self, company) -> dict:
        action = self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.contingency_wizard_action")
        return {**action, "context": {"default_company_id": company.id}}

    @api.model
    def _action_of_alert(self, alert):
        """Return the list that an alert is about."""
        company, name = alert.company_id, alert.display_name
        line = self._line(company)
        actions = {
            "queue": lambda: self._list(
                "dte.failed.queue", company, [*line, ("state", "in", ("pending", "retrying"))], name
            ),
            "retry_success": lambda: self._list("dte.failed.queue", company, self._ended_retries(company), name),
            "contingency": lambda: self._contingency(company),
            "folios": lambda: self._list("dte.caf", company, line, name),
            "caf": lambda: self._list("dte.caf", company, line, name),
            "certificate": lambda: self._open_certificate(company, alert, name),
            "archive": lambda: self._list(
                "dte.backup.scrub", company, [("company_id", "=", company.id), ("damaged", ">", 0)], name
            ),
            "rejected": lambda: self._documents(company, ("rejected",), name),
            "stuck": lambda: self._documents(company, ("failed", "no_answer"), name),
            "questions": lambda: self._list(
                "dte.envio",
                company,
                [*line, ("state", "=", "sent"), ("next_poll_date", "!=", False), ("may_not_ask", "=", True)],
                name,
            ),
        }
        return actions[alert.kind]()

    def _open_certificate(self, company, alert, name: str):
        if self.env["certificate.certificate"].has_access("read"):
            return self._action("certificate.certificate", [("id", "=", company.dte_certificate_id.id)], name)
        return {
            "type": "ir.actions.act_window",
            "res_model": "dte.alert",
            "res_id": alert.id,
            "views": [(False, "form")],
        }

    # -- texts --

    def _number(self, value: int) -> str:
        return formatLang(self.env, value, digits=0)

    def _percent(self, value: float) -> str:
        digits = 0 if value == int(value) else 1
        return f"{formatLang(self.env, value, digits=digits)} %"

    def _moment(self, moment) -> str:
        return format_datetime(self.env, moment, dt_format="short")

    def _size(self, size: float) -> str:
        unit = 0
        while size >= 1000 and unit < len(_UNITS) - 1:
            size, unit = size / 1000, unit + 1
        return f"{formatLang(self.env, size, digits=0 if unit < 2 else 1)} {_UNITS[unit]}"
