# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date, format_datetime

from ..const import ENVIRONMENTS

REASONS = [
    ("manual", "Decided by a person"),
    ("sii_unavailable", "The SII is not available"),
    ("maintenance", "Scheduled maintenance"),
    ("network", "Network"),
    ("certificate", "Digital certificate"),
    ("other", "Other"),
]
BREAKER = [("closed", "The SII answers"), ("open", "The SII does not answer"), ("half_open", "Trying one document")]
_SEND_JOB = "l10n_cl_dte.ir_cron_send"
_JOB = "l10n_cl_dte.ir_cron_contingency"


class DteContingency(models.Model):
    """Whether a company keeps its documents back in an environment, and whether the SII answers there.

    Two things that are often confused: `enabled` holds documents back, by hand or by itself; `breaker` says whether the
    calls of the last minutes came through, see `dte_contingency_breaker.py`. What was held leaves by the drain, see
    `dte_contingency_drain.py`. A row is made when something happens for the first time; without one all is well.
    """

    _name = "dte.contingency"
    _description = "Contingency of Electronic Documents"
    _order = "company_id, environment"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    enabled = fields.Boolean(readonly=True)
    automatic = fields.Boolean(readonly=True, help="Opened because the SII did not answer; it closes itself.")
    reason = fields.Selection(REASONS, readonly=True)
    comment = fields.Text(readonly=True)
    enabled_date = fields.Datetime(string="Enabled On", readonly=True)
    enabled_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    disabled_date = fields.Datetime(string="Disabled On", readonly=True)
    disabled_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    breaker = fields.Selection(BREAKER, required=True, default="closed", readonly=True)
    breaker_since = fields.Datetime(readonly=True)
    good_probes = fields.Integer(readonly=True, aggregator=False)
    probe_at = fields.Datetime(string="Asked Again On", readonly=True)
    drill_until = fields.Datetime(readonly=True, help="An outage that is only played lasts until then.")
    episode_id = fields.Many2one(
        "dte.contingency.episode", string="Current Episode", readonly=True, ondelete="set null"
    )

    _unique_line = models.UniqueIndex("(company_id, environment)", "There is one contingency per environment.")

    @api.depends("company_id", "environment")
    def _compute_display_name(self):
        labels = dict(self._fields["environment"]._description_selection(self.env))
        for contingency in self:
            contingency.display_name = f"{contingency.company_id.name}, {labels.get(contingency.environment, '')}"

    # -- reading --

    @api.model
    def _of(self, company, environment):
        """Return the row of a company in an environment, or none."""
        # sudo: that a company is in contingency is told to everybody who sees its documents
        return self.sudo().search([("company_id", "=", company.id), ("environment", "=", environment)])

    @api.model
    def _is_on(self, company) -> bool:
        """Tell whether documents of the company are held back where it works now."""
        return self._of(company, company.dte_environment).enabled

    def _keeps(self) -> bool:
        """Tell whether failed uploads are kept back too: the SII is away, or a person decides. While the drain is at
        work they have the schedule of the retries."""
        return self.enabled and (self.breaker != "closed" or not self.automatic)

    def _company(self):
        return self.company_id or self.env.company

    @api.model
    def get_status(self, company_id: int | None = None) -> dict:
        """Return how a company stands in its environment. Makes no row.

        :return: company_id, environment, enabled, automatic, drill, reason, comment, since (UTC), by, breaker,
            episode_id, waiting (documents held), oldest (date of issue), urgent (held documents that are late soon),
            message (all of it in words) and banner (one sentence, empty when there is nothing to tell)
        """
        company = self.env["res.company"].browse(company_id) if company_id else self._company()
        self.check_access("read")
        company.check_access("read")
        contingency = self._of(company, company.dte_environment)
        pending = self.env["dte.contingency.pending"]
        waiting, urgent, oldest = pending._waiting_figures(company) if contingency else (0, 0, None)
        status = {
            "company_id": company.id,
            "environment": company.dte_environment,
            "enabled": contingency.enabled,
            "automatic": contingency.enabled and contingency.automatic,
            "drill": contingency.enabled and contingency.episode_id.drill,
            "reason": contingency.enabled and contingency.reason,
            "comment": (contingency.enabled and contingency.comment) or "",
            "since": contingency.enabled and contingency.enabled_date,
            "by": (contingency.enabled and contingency.enabled_by.name) or "",
            "breaker": contingency.breaker or "closed",
            "episode_id": contingency.episode_id.id,
            "waiting": waiting,
            "oldest": oldest or False,
            "urgent": urgent,
        }
        status["banner"] = self._describe_banner(status)
        status["message"] = self._describe(status)
        return status

    def _describe_banner(self, status: dict) -> str:
        texts = []
        if status["enabled"] and status["drill"]:
            texts.append(self.env._("Contingency drill: the outage is only played."))
        if status["enabled"]:
            since = format_datetime(self.env, status["since"], dt_format="short")
            texts.append(self.env._("In contingency since %s: documents are issued and kept, and leave later.", since))
        if status["waiting"]:
            texts.append(self.env._("Documents waiting for the SII: %s.", status["waiting"]))
        return " ".join(texts)

    def _describe(self, status: dict) -> str:
        """Return the status in words: what is, why, and what happens next."""
        texts = [self._describe_switch(status)]
        if status["waiting"]:
            texts.append(
                self.env._(
                    "Documents waiting: %(count)s, the oldest of %(date)s.",
                    count=status["waiting"],
                    date=format_date(self.env, status["oldest"]),
                )
            )
        if status["urgent"]:
            texts.append(
                self.env._(
                    "Late: %s. The SII notes a repair when it receives a document more than 3 days after "
                    "its date, and the month of its date should not end before it is sent. They leave first.",
                    status["urgent"],
                )
            )
        if status["waiting"] and not status["enabled"]:
            texts.append(self.env._("They leave by themselves, oldest first."))
        return " ".join(texts)

    def _describe_switch(self, status: dict) -> str:
        if not status["enabled"]:
            return self.env._("Not in contingency: documents are sent to the SII as usual.")
        since = format_datetime(self.env, status["since"], dt_format="short")
        if status["automatic"]:
            text = self.env._("In contingency since %s, by itself: the SII did not answer.", since)
            steps = {
                "open": self.env._("It is asked again every few minutes; when it answers, everything leaves in order."),
                "half_open": self.env._("It answers again; one document is tried before the others."),
                "closed": self.env._("It answers again; what waits is leaving, and the contingency ends by itself."),
            }
            return f"{text} {steps[status['breaker']]}"
        reasons = dict(self._fields["reason"]._description_selection(self.env))
        text = self.env._(
            "In contingency since %(since)s, set by %(user)s. Reason: %(reason)s.",
            since=since, user=status["by"], reason=reasons.get(status["reason"], ""),
        )  # fmt: skip
        if status["comment"]:
            text += f" {status['comment'].strip().rstrip('.')}."
        return f"{text} {self.env._('Documents wait until a person uploads them or ends the contingency.')}"

    # -- people switch it --

    def enable_contingency(self, reason: str, comment: str | None = None) -> dict:
        """Hold the documents of the company back from now on, until a person ends it.

        A contingency that opened by itself is taken over: it does not close itself any more.

        :param reason: one of `REASONS`
        :return: see `get_status`
        :raises UserError: when the reason is not one of those
        """
        self._check_manager()
        if reason not in dict(REASONS):
            raise UserError(self.env._("%s is not a reason for a contingency.", reason))
        company = self._company()
        contingency = self._of_or_new(company, company.dte_environment)
        contingency._lock()
        if contingency.enabled and not contingency.automatic:
            raise UserError(self.env._("%s is in contingency already.", company.name))
        if contingency.enabled:
            contingency._take_over(reason, comment)
        else:
            contingency._begin(reason, comment, user=self.env.user)
        return self.get_status(company.id)

    def disable_contingency(self) -> dict:
        """End the contingency of the company. What waits is left to the drain, which begins at once.

        :return: see `get_status`
        """
        self._check_manager()
        company = self._company()
        contingency = self._of(company, company.dte_environment)
        if contingency:
            contingency._lock()
        if not contingency.enabled:
            raise UserError(self.env._("%s is not in contingency.", company.name))
        contingency._end(user=self.env.user)
        return self.get_status(company.id)

    def _check_manager(self):
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        self._company().check_access("read")

    # -- what switching does; records are sudo from here on --

    @api.model
    def _of_or_new(self, company, environment):
        found = self._of(company, environment)
        # sudo: nobody has the right to write; who may is checked by the callers
        return found or self.sudo().create({"company_id": company.id, "environment": environment})

    def _lock(self):
        if not self.try_lock_for_update():
            raise UserError(self.env._("Somebody else is changing the contingency. Try again in a moment."))
        self.invalidate_recordset()

    def _begin(self, reason, comment=None, user=None, params=None):
        """Open an episode. Documents that are due are held by the sending job, which is woken.

        :param user: the person who wants it; nobody when it opens by itself
        :param params: what the trigger was, for an automatic one
        """
        now = fields.Datetime.now()
        episode = self.env["dte.contingency.episode"].create(
            {
                "company_id": self.company_id.id,
                "environment": self.environment,
                "started_at": now,
                "automatic": not user,
                "drill": bool(self._drills(now)),
                "reason": reason,
                "comment": comment,
                "opened_by": user.id if user else False,
                "trigger_params": params or False,
            }
        )
        self.write(
            {
                "enabled": True,
                "automatic": not user,
                "reason": reason,
                "comment": comment,
                "enabled_date": now,
                "enabled_by": user.id if user else False,
                "disabled_date": False,
                "disabled_by": False,
                "episode_id": episode.id,
            }
        )
        episode._note("enabled", user, params)
        self._wake()

    def _drills(self, now):
        """Return the drills at work: the simulator plays an outage for all its companies."""
        return self.search([("environment", "=", self.environment), ("drill_until", ">", now)], limit=1)

    def _take_over(self, reason, comment):
        self.write({"automatic": False, "reason": reason, "comment": comment, "enabled_by": self.env.uid})
        self.episode_id.write({"automatic": False, "reason": reason, "comment": comment, "opened_by": self.env.uid})
        self.episode_id._note("taken_over", self.env.user)

    def _end(self, user=None):
        """Close the episode. Calls that failed until now are not counted any more."""
        now = fields.Datetime.now()
        self.write({"enabled": False, "disabled_date": now, "disabled_by": user.id if user else False})
        if user and self.breaker != "closed":
            self._set_breaker("closed")
        elif user:
            self.breaker_since = now
        self.episode_id._note("disabled" if user else "closed", user)
        self.episode_id.write({"ended_at": now, "closed_by": user.id if user else False})
        self._wake()

    def _wake(self, at=None):
        """Run the jobs that hold, probe and drain, now by default."""
        for name in (_SEND_JOB, _JOB) if not at else (_JOB,):
            job = self.env.ref(name, raise_if_not_found=False)
            if job:
                # sudo: jobs are the system's; what happens only wakes them
                job.sudo()._trigger(at=at)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The contingency of a company cannot be deleted."))
