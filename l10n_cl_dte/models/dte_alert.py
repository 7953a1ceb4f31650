# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import timedelta, timezone

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import format_datetime

from ..const import ENVIRONMENTS, SANTIAGO
from . import dte_messages
from .dte_alert_messages import FACTS, STEPS

_logger = logging.getLogger(__name__)

KINDS = [
    ("queue", "Long retry queue"),
    ("retry_success", "Retries fail"),
    ("contingency", "Long contingency"),
    ("folios", "Folios run out"),
    ("caf", "Folios expire"),
    ("certificate", "Digital certificate expires"),
    ("archive", "Archive check failed"),
    ("rejected", "Documents rejected"),
    ("stuck", "Documents need attention"),
    ("questions", "The SII may not be asked"),
]
# Who opened these gives people their own activity.
ACTIVITY_ELSEWHERE = ("contingency", "archive", "rejected", "stuck")
_ACTIVITY = "l10n_cl_dte.mail_activity_dte"
_ARCHIVE_ACTIVITY = "mail.mail_activity_data_warning"


class DteAlert(models.Model):
    """Something about a company's documents that needs a hand, from when it began until it was solved.

    A job compares the figures with the company's limits. An alert begins when a figure passes its limit and ends when
    it is clear of it, so that one that stays at the limit tells nobody twice.
    """

    _name = "dte.alert"
    _description = "Electronic Document Alert"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "solved_at desc, since desc, id desc"
    _check_company_auto = True
    _mail_post_access = "read"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    kind = fields.Selection(KINDS, required=True, readonly=True)
    since = fields.Datetime(required=True, readonly=True)
    solved_at = fields.Datetime(string="Solved On", readonly=True)
    start_figures = fields.Json(readonly=True)
    figures = fields.Json(readonly=True)
    text = fields.Char(string="Situation", compute="_compute_texts")
    start_text = fields.Char(string="At the Beginning", compute="_compute_texts")
    step = fields.Char(string="What to Do", compute="_compute_texts")
    told = fields.Boolean(readonly=True, help="The mail about its beginning is written.")

    _unique_open = models.UniqueIndex(
        "(company_id, environment, kind) WHERE solved_at IS NULL", "This alert is open already."
    )
    _untold = models.Index("(id) WHERE told IS NOT TRUE")

    @api.depends("kind", "company_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for alert in self:
            alert.display_name = f"{labels.get(alert.kind, '')}, {alert.company_id.name}"

    @api.depends("kind", "figures", "start_figures")
    @api.depends_context("lang")
    def _compute_texts(self):
        for alert in self:
            alert.text = alert._fact(alert.figures)
            alert.start_text = alert._fact(alert.start_figures)
            alert.step = alert.kind and dte_messages.describe(self.env, STEPS, alert.kind)

    def _fact(self, figures: dict | None) -> str:
        values = dict(figures or {})
        kind = self.kind
        if kind == "certificate" and values.get("days", 0) < 0:
            kind = "certificate_expired"
        if kind == "contingency":
            # Before version 0.5 the limit could not be set, and was not written down.
            values.setdefault("hours", 24)
        overview = self.env["dte.dashboard"]
        if "percent" in values:
            values["percent"] = overview._percent(values["percent"])
        if "count" in values:
            values["count"] = overview._number(values["count"])
        if "stock" in values:
            values["stock"] = "; ".join(self._describe_stock(*row) for row in values["stock"])
        return kind and dte_messages.describe(self.env, FACTS, kind, values)

    def _describe_stock(self, dte_type: str, free: int, days: int | None) -> str:
        values = {"type": self.env["dte.dashboard"]._type_label(dte_type), "free": free, "days": days}
        if days is None:
            return self.env._("%(type)s: %(free)s", **values)
        return self.env._("%(type)s: %(free)s (days: %(days)s)", **values)

    # -- comparing --

    @api.model
    def _wake_alerts(self):
        """Let the alerts be compared now, for what a person should know at once."""
        job = self.env.ref("l10n_cl_dte.ir_cron_alerts", raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; what happens only wakes them
            job.sudo()._trigger()

    @api.model
    def _cron_alerts(self):
        """Begin, end and tell the alerts of every company. Commits each; one company stops no other."""
        companies = self.env["dte.figures"]._companies()
        commit = self.env["ir.cron"]._commit_progress
        commit(remaining=len(companies))
        for company in companies:
            for step in (self._evaluate, self._tell_company, self.env["dte.alert.digest"]._send_due):
                try:
                    step(company)
                    commit()
                except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                    _logger.info("dte_alerts_later company_id=%s", company.id)
                    self.env.cr.rollback()
                except Exception:
                    _logger.exception("dte_alerts_failed company_id=%s", company.id)
                    self.env.cr.rollback()
            if not commit(1):
                return

    @api.model
    def _evaluate(self, company):
        """Begin and end the alerts of a company by its figures."""
        figures = self.env["dte.figures"]._figures(company)
        open_ones = self.search([("company_id", "=", company.id), ("solved_at", "=", False)])
        elsewhere = open_ones.filtered(lambda alert: alert.environment != company.dte_environment)
        by_kind = (open_ones - elsewhere).grouped("kind")
        for kind, _label in KINDS:
            alert = by_kind.get(kind, self.browse())
            wrong = self._wrong(kind, company, figures, bool(alert))
            if wrong is None:
                alert._solve()
            elif alert:
                if alert.figures != wrong:
                    alert.figures = wrong
            else:
                self._begin(company, kind, wrong)
        # What another environment had to tell does not matter where the company works now.
        elsewhere._solve()

    def _wrong(self, kind: str, company, figures: dict, is_open: bool) -> dict | None:
        return getattr(self, f"_wrong_{kind}")(company, figures, is_open) if company[f"dte_alert_{kind}"] else None

    def _wrong_now(self, figures: dict) -> dict | None:
        """Return what is still wrong by these figures of the alert's company, None when it is solved."""
        return self._wrong(self.kind, self.company_id, figures, True)

    def _begin(self, company, kind: str, wrong: dict):
        _logger.info("dte_alert_began company_id=%s kind=%s figures=%s", company.id, kind, wrong)
        return self.with_context(mail_create_nolog=True).create(
            {
                "company_id": company.id,
                "environment": company.dte_environment,
                "kind": kind,
                "since": fields.Datetime.now(),
                "start_figures": wrong,
                "figures": wrong,
            }
        )

    def _solve(self):
        for alert in self:
            _logger.info("dte_alert_solved company_id=%s kind=%s", alert.company_id.id, alert.kind)
            # One that ended before it was told is not told any more.
            alert.write({"solved_at": fields.Datetime.now(), "told": True})
            alert.activity_unlink([_ACTIVITY])
            if alert.kind == "archive":
                checks = self.env["dte.backup.scrub"].search(
                    [("company_id", "=", alert.company_id.id), ("activity_ids", "!=", False)]
                )
                checks.activity_unlink([_ARCHIVE_ACTIVITY])

    # Each returns the figures of what is wrong, None when all is well. An alert that is open ends only clear of its
    # limit; a limit of zero has nothing below it.

    def _wrong_queue(self, company, figures, is_open) -> dict | None:
        limit, count = company.dte_alert_queue_over, figures["retry"]
        return {"count": count, "limit": limit} if count > (limit * 8 // 10 if is_open else limit) else None

    def _wrong_retry_success(self, company, figures, is_open) -> dict | None:
        limit, percent = company.dte_alert_retry_success_under, figures["retry_success"]
        if percent is None or percent >= (min(limit + 5, 100) if is_open else limit):
            return None
        return {"percent": percent, "limit": limit}

    def _wrong_contingency(self, company, figures, is_open) -> dict | None:
        contingency = figures["contingency"]
        hours = company.dte_alert_contingency_hours
        if not contingency["on"] or contingency["drill"]:
            return None
        if contingency["since"] > fields.Datetime.now() - timedelta(hours=hours):
            return None
        return {"count": figures["pending"], "hours": hours}

    def _wrong_folios(self, company, figures, is_open) -> dict | None:
        limit = company.dte_alert_folio_days * (1.2 if is_open else 1)
        short = []
        for stock in figures["folios"]:
            days = stock["free"] / stock["per_day"] if stock["per_day"] else None
            if not stock["free"] or (days is not None and days < limit):
                short.append([stock["dte_type"], stock["free"], days and int(days)])
        return {"stock": short} if short else None

    def _wrong_caf(self, company, figures, is_open) -> dict | None:
        today = company._dte_now().date()
        limit = timedelta(days=company.dte_alert_caf_days)
        ending = [
            [stock["dte_type"], stock["free"], (stock["expires_on"] - today).days]
            for stock in figures["folios"]
            if stock["free"] and stock["expires_on"] and stock["expires_on"] - today < limit
        ]
        return {"stock": ending} if ending else None

    def _wrong_certificate(self, company, figures, is_open) -> dict | None:
        days = figures["certificate_days"]
        return {"days": days} if days is not None and days < company.dte_alert_certificate_days else None

    def _wrong_archive(self, company, figures, is_open) -> dict | None:
        count = max(figures["archive"]["damaged"], figures["archive"]["check_damaged"])
        return {"count": count} if count else None

    def _wrong_rejected(self, company, figures, is_open) -> dict | None:
        count = figures["rejected_without_action"]
        return {"count": count} if count else None

    def _wrong_stuck(self, company, figures, is_open) -> dict | None:
        count = figures["failed_without_action"] + figures["no_answer"]
        return {"count": count} if count else None

    def _wrong_questions(self, company, figures, is_open) -> dict | None:
        count = figures["questions_refused"]
        return {"count": count} if count else None

    # -- telling --

    @api.model
    def _tell_company(self, company):
        """Write the mails and activities of what began; the flag is set in the same transaction, so each goes once."""
        alerts = self.search([("company_id", "=", company.id), ("told", "=", False), ("solved_at", "=", False)])
        for alert in alerts.try_lock_for_update(allow_referencing=True):
            for user in company._dte_alert_users():
                alert._for(user)._mail(user)
            if alert.kind not in ACTIVITY_ELSEWHERE:
                responsible = company._dte_responsible()
                alert._for(responsible)._call(responsible)
            alert.told = True

    def _for(self, user):
        """Return the alert as a user reads it. The mail about it says it already, so its activity sends none."""
        return self.with_context(lang=user.lang, tz=user.tz or SANTIAGO.key, mail_activity_quick_update=True)

    def _mail(self, user):
        lines = [self.text, self.step]
        self.message_notify(
            partner_ids=user.partner_id.ids,
            subject=self.display_name,
            body=Markup().join(Markup("<p>%s</p>") % line for line in lines),
            model_description=self.env["ir.model"]._get(self._name).name,
            force_send=False,
            email_layout_xmlid="mail.mail_notification_light",
        )

    def _call(self, user):
        self.activity_schedule(
            _ACTIVITY,
            summary=self.display_name,
            note=Markup("<p>%s</p><p>%s</p>") % (self.text, self.step),
            user_id=user.id,
        )

    # -- people --

    def action_open(self):
        """Open the list behind the alert."""
        self.ensure_one()
        self.check_access("read")
        return self.env["dte.dashboard"]._action_of_alert(self)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        if any(not alert.solved_at for alert in self):
            raise UserError(self.env._("An alert ends by itself when its cause is solved."))


class DteAlertDigest(models.Model):
    """The daily summary that a person got of a company: one row a day, so that it goes once."""

    _name = "dte.alert.digest"
    _description = "Daily Summary of Alerts"
    _order = "day desc, id desc"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    user_id = fields.Many2one("res.users", required=True, readonly=True, ondelete="cascade")
    day = fields.Date(required=True, readonly=True, help="In Chile.")

    _unique_day = models.UniqueIndex("(company_id, user_id, day)", "The summary of this day was sent.")

    @api.model
    def _send_due(self, company):
        """Send the summary of the day to those who have not got it, when there is something to tell."""
        now = company._dte_now()
        due = now.replace(hour=company.dte_alert_hour, minute=0, second=0, microsecond=0)
        if now < due:
            return
        got = self.search([("company_id", "=", company.id), ("day", "=", now.date())]).user_id
        users = company._dte_alert_users() - got
        alerts = self._news(company, self._utc(due)) if users else self.env["dte.alert"]
        if alerts:
            # The rows are written first: of two jobs at once, one fails before it has sent anything.
            self.create([{"company_id": company.id, "user_id": user.id, "day": now.date()} for user in users])
            self.flush_model()
            for user in users:
                self._send(company, user, alerts)

    @api.model
    def _utc(self, moment):
        return moment.replace(tzinfo=SANTIAGO).astimezone(timezone.utc).replace(tzinfo=None)

    def _news(self, company, until):
        """Return the alerts that were open at a moment and still are, and those solved in the day before it.

        What begins later has just been told by its own mail; it is news of the next day.
        """
        return self.env["dte.alert"].search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("since", "<=", until),
                "|",
                ("solved_at", "=", False),
                "&",
                ("solved_at", ">", until - timedelta(days=1)),
                ("solved_at", "<=", until),
            ],
            order="solved_at DESC NULLS FIRST, since",
        )

    def _send(self, company, user, alerts):
        own = alerts._for(user)
        env = own.env
        body = Markup()
        open_ones = own.filtered(lambda alert: not alert.solved_at)
        for title, rows in (
            (env._("To be done"), open_ones),
            (env._("Solved since yesterday"), own - open_ones),
        ):
            if rows:
                items = Markup().join(self._item(alert) for alert in rows)
                body += Markup("<p><strong>%s</strong></p><ul>%s</ul>") % (title, items)
        partner = company.partner_id.with_env(env)
        partner.message_notify(
            partner_ids=user.partner_id.ids,
            subject=env._("Electronic documents of %s: summary of the day", company.name),
            body=body,
            force_send=False,
            email_layout_xmlid="mail.mail_notification_light",
        )

    def _item(self, alert) -> Markup:
        since = format_datetime(alert.env, alert.since, dt_format="short")
        if alert.solved_at:
            return Markup("<li>%s</li>") % alert.display_name
        text = alert.env._("%(fact)s Since %(since)s. %(step)s", fact=alert.text, since=since, step=alert.step)
        return Markup("<li>%s</li>") % text

    @api.autovacuum
    def _gc_old_days(self):
        limit = fields.Date.subtract(fields.Date.today(), days=90)
        self.search([("day", "<", limit)]).unlink()
