# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import format_datetime, format_duration

from ..const import ENVIRONMENTS, SANTIAGO
from . import dte_messages
from .dte_contingency import REASONS

_logger = logging.getLogger(__name__)

_ACTIVITY = "l10n_cl_dte.mail_activity_dte"


class DteContingencyEpisode(models.Model):
    """The record of one contingency: from when to when, why, who, and what became of the documents."""

    _name = "dte.contingency.episode"
    _description = "Contingency Record"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "started_at desc, id desc"
    _check_company_auto = True
    _mail_post_access = "read"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    started_at = fields.Datetime(string="Start", required=True, readonly=True)
    ended_at = fields.Datetime(string="End", readonly=True)
    automatic = fields.Boolean(readonly=True, help="It opened by itself because the SII did not answer.")
    drill = fields.Boolean(readonly=True, help="The outage was only played.")
    reason = fields.Selection(REASONS, required=True, readonly=True)
    comment = fields.Text(readonly=True)
    opened_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    closed_by = fields.Many2one("res.users", string="Ended By", readonly=True, ondelete="set null")
    trigger_params = fields.Json(readonly=True)
    trigger = fields.Text(compute="_compute_trigger")
    event_ids = fields.One2many("dte.contingency.event", "episode_id", string="Events", readonly=True)
    pending_ids = fields.One2many("dte.contingency.pending", "episode_id", string="Documents", readonly=True)
    held_count = fields.Integer(string="Documents Held", compute="_compute_counts")
    uploaded_count = fields.Integer(string="Sent", compute="_compute_counts")
    waiting_count = fields.Integer(string="Still Waiting", compute="_compute_counts")
    failed_count = fields.Integer(string="With Problems", compute="_compute_counts")
    oldest_issue_date = fields.Date(string="Oldest Date of Issue", compute="_compute_counts")
    duration = fields.Char(compute="_compute_duration")
    told_opening = fields.Boolean(readonly=True)
    told_end = fields.Boolean(readonly=True)

    _untold = models.Index("(id) WHERE told_end IS NOT TRUE")

    @api.depends("company_id", "started_at", "drill")
    @api.depends_context("lang", "tz")
    def _compute_display_name(self):
        for episode in self:
            since = format_datetime(self.env, episode.started_at, dt_format="short") if episode.started_at else ""
            name = (
                self.env._("Contingency drill of %s", since)
                if episode.drill
                else self.env._("Contingency of %s", since)
            )
            episode.display_name = name

    @api.depends("automatic", "trigger_params", "reason", "comment", "opened_by")
    @api.depends_context("lang")
    def _compute_trigger(self):
        reasons = dict(self._fields["reason"]._description_selection(self.env))
        for episode in self:
            if episode.trigger_params:
                episode.trigger = dte_messages.describe_calls(self.env, episode.trigger_params)
            else:
                episode.trigger = reasons.get(episode.reason, "")

    @api.depends("pending_ids.state")
    def _compute_counts(self):
        groups = self.env["dte.contingency.pending"]._read_group(
            [("episode_id", "in", self.ids)], ["episode_id", "state"], ["__count", "issue_date:min"]
        )
        found = {(episode.id, state): (count, oldest) for episode, state, count, oldest in groups}
        for episode in self:
            counts = {
                state: found.get((episode.id, state), (0, None))
                for state in ("held", "unknown", "uploaded", "released", "failed", "corrected")
            }
            episode.held_count = sum(count for count, _oldest in counts.values())
            episode.uploaded_count = counts["uploaded"][0]
            episode.waiting_count = counts["held"][0] + counts["unknown"][0]
            episode.failed_count = counts["failed"][0] + counts["released"][0]
            episode.oldest_issue_date = min((oldest for _count, oldest in counts.values() if oldest), default=False)

    @api.depends("started_at", "ended_at")
    def _compute_duration(self):
        for episode in self:
            end = episode.ended_at or fields.Datetime.now()
            hours = (end - episode.started_at).total_seconds() / 3600 if episode.started_at else 0
            episode.duration = format_duration(hours)

    def _note(self, kind: str, user=None, params: dict | None = None):
        """Add an event to the record."""
        if not self:
            return
        self.env["dte.contingency.event"].create(
            {
                "episode_id": self.id,
                "kind": kind,
                "user_id": user.id if user else False,
                "params": params or False,
            }
        )

    # -- telling people --

    @api.model
    def _tell_left_over(self):
        """Tell the managers about episodes that opened or ended. Commits each.

        That one lasts for long is told by an alert.
        """
        for episode in self.search([("told_end", "=", False)]):
            try:
                # allow_referencing: documents that are being held must not wait until the mails are written
                if episode.try_lock_for_update(allow_referencing=True):
                    episode._tell()
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                _logger.info("dte_contingency_tell_later episode=%s", episode.id)
                self.env.cr.rollback()
            except Exception:
                # Held documents leave whether or not everybody was told.
                _logger.exception("dte_contingency_tell_failed episode=%s", episode.id)
                self.env.cr.rollback()
            if not self.env["ir.cron"]._commit_progress():
                return

    def _tell(self):
        """Write the mails and activities that are due; the flags are set in the same transaction, so each goes once."""
        if not self.told_opening and not self.ended_at:
            self._mail_managers("opened")
            self._call_managers()
            self.told_opening = True
        if self.ended_at and self._is_still_written():
            return
        if self.ended_at:
            self._mail_managers("ended")
            self.activity_unlink([_ACTIVITY])
            self.told_end = True

    def _is_still_written(self) -> bool:
        """Tell whether rows of the record do not say yet what became of their documents."""
        untold = [("episode_id", "=", self.id), ("document_id.told", "=", False)]
        return bool(self.env["dte.contingency.pending"].search_count(untold, limit=1))

    def _mail_managers(self, occasion: str):
        for manager in self.company_id._dte_managers():
            own = self.with_context(lang=manager.lang, tz=manager.tz or SANTIAGO.key)
            subject, lines = own._letter(occasion)
            body = Markup().join(Markup("<p>%s</p>") % line for line in lines)
            own.message_notify(
                partner_ids=manager.partner_id.ids,
                subject=subject,
                body=body,
                model_description=self.env["ir.model"]._get(self._name).with_context(lang=manager.lang).name,
                force_send=False,
                email_layout_xmlid="mail.mail_notification_light",
            )

    def _letter(self, occasion: str) -> tuple:
        """Return the subject and the sentences of a mail, in the reader's language."""
        company = self.company_id.name
        subjects = {
            "opened": self.env._("%s issues documents in contingency", company),
            "ended": self.env._("The contingency of %s has ended", company),
        }
        subject = subjects[occasion]
        if self.drill:
            subject = self.env._("[Drill] %s", subject)
        lines = [
            self.env._("Since: %s", format_datetime(self.env, self.started_at, dt_format="short")),
            self.env._("Cause: %s", ". ".join(filter(None, (self.trigger, self.comment)))),
        ]
        if self.ended_at:
            lines.append(self.env._("Until: %s", format_datetime(self.env, self.ended_at, dt_format="short")))
        lines.append(
            self.env._(
                "Documents held: %(held)s. Sent: %(sent)s. Waiting: %(waiting)s. With problems: %(failed)s.",
                held=self.held_count,
                sent=self.uploaded_count,
                waiting=self.waiting_count,
                failed=self.failed_count,
            )  # fmt: skip
        )
        lines.append(self._next_step())
        return subject, lines

    def _next_step(self) -> str:
        if self.ended_at and self.waiting_count:
            return self.env._("What waits leaves by itself now, oldest first.")
        if self.ended_at:
            return (
                self.env._("Nothing has to be done.") if not self.failed_count else self.env._("Look at the problems.")
            )
        if self.automatic:
            return self.env._(
                "Invoices are issued as usual. When the SII answers again everything leaves by itself and the "
                "contingency ends."
            )
        return self.env._("Invoices are issued as usual and wait until a person uploads them or ends the contingency.")

    def _call_managers(self):
        for manager in self.company_id._dte_managers():
            # quick update: the mail about the contingency says it already
            own = self.with_context(lang=manager.lang, tz=manager.tz or SANTIAGO.key, mail_activity_quick_update=True)
            subject, lines = own._letter("opened")
            own.activity_schedule(
                _ACTIVITY,
                summary=subject,
                note=Markup().join(Markup("<p>%s</p>") % line for line in lines),
                user_id=manager.id,
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The record of a contingency cannot be deleted."))
