# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import timedelta
from math import ceil

import psycopg2
from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import format_date

from ..libs.archive_store import ArchiveError
from .archive_messages import tell

_logger = logging.getLogger(__name__)

# Each day this share of the archive is read, so that everything is read within a week.
DAYS = 7
# Rows checked between two commits.
BATCH = 50
# Age at which an unfinished file is certainly no longer written.
LEFTOVER_SECONDS = 24 * 3600
# Findings kept by name; beyond that only counted.
NAMED = 1000


class DteBackupScrub(models.Model):
    """One run over a share of a company's archive: what was read, repaired, and what a person must look at."""

    _name = "dte.backup.scrub"
    _description = "Check of the Electronic Document Archive"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _mail_post_access = "read"

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade", index=True)
    started_at = fields.Datetime(string="Started On", required=True, readonly=True)
    finished_at = fields.Datetime(string="Finished On", readonly=True)
    planned = fields.Integer(readonly=True)
    checked = fields.Integer(readonly=True)
    repaired = fields.Integer(string="Repaired Documents", readonly=True)
    damaged = fields.Integer(string="For a Person", readonly=True)
    # [{code, name, params}] of what could not be repaired.
    findings = fields.Json(readonly=True)
    report = fields.Text(compute="_compute_report")

    @api.depends("company_id", "started_at")
    @api.depends_context("lang", "tz")
    def _compute_display_name(self):
        for scrub in self:
            day = format_date(self.env, scrub.started_at)
            scrub.display_name = self.env._(
                "Archive check of %(day)s, %(company)s", day=day, company=scrub.company_id.name
            )

    @api.depends("findings")
    @api.depends_context("lang")
    def _compute_report(self):
        for scrub in self:
            lines = [scrub._line(finding) for finding in scrub.findings or []]
            if scrub.damaged > len(lines):
                lines.append(self.env._("and %s more", scrub.damaged - len(lines)))
            scrub.report = "\n".join(lines)

    def _line(self, finding: dict) -> str:
        sentence = tell(self.env, finding["code"], finding.get("params"))
        return f"{finding['name']}: {sentence}" if finding["name"] else sentence

    @api.model
    def action_check_everything(self):
        """Start a check of the whole archive of the current company; the job does it in the background."""
        backups = self.env["dte.backup"]
        backups._check_manager()
        company = self.env.company
        # sudo: managers see the runs, the archive's own code makes them
        runs = self.sudo()
        runs.search([("company_id", "=", company.id), ("finished_at", "=", False)])._finish()
        runs._start(company, backups.sudo().search_count([("company_id", "=", company.id)]))
        backups._wake("ir_cron_archive_scrub")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The archive is being checked. The result appears in this list."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def _cron_scrub(self):
        """Check a share of each company's archive, oldest check first. Commits; a run that was cut short goes on."""
        runs = self._open_runs()
        left = self.env["ir.cron"]._commit_progress(remaining=sum(run.planned - run.checked for run in runs))
        for run in runs:
            while left and not run.finished_at:
                try:
                    done = run._check_some()
                    # What was found is written with the commit.
                    left = self.env["ir.cron"]._commit_progress(done)
                except psycopg2.Error:
                    # A row was being written by somebody else: it is checked in the next run.
                    _logger.warning("dte_scrub_skipped company=%s", run.company_id.id, exc_info=True)
                    self.env.cr.rollback()
                    break

    @api.model
    def _open_runs(self):
        """Return the runs to go on with; start one for each company whose last is most of a day ago."""
        groups = self.env["dte.backup"]._read_group([], ["company_id"], ["__count"])
        recent = fields.Datetime.now() - timedelta(hours=20)
        for company, count in groups:
            if not self.search_count(
                [("company_id", "=", company.id), "|", ("finished_at", "=", False), ("started_at", ">", recent)],
                limit=1,
            ):
                self._start(company, ceil(count / DAYS))
        return self.search([("finished_at", "=", False)], order="id")

    @api.model
    def _start(self, company, planned: int):
        """Start a run with the chain of seals, which is checked as a whole."""
        run = self.create({"company_id": company.id, "started_at": fields.Datetime.now(), "planned": planned})
        run._add(self.env["dte.backup.seal"]._find_problems(company))
        self._remove_leftovers(company)
        return run

    @api.model
    def _remove_leftovers(self, company):
        """Delete unfinished files of killed processes; a folder that is away is told about by the check itself."""
        try:
            store = company._dte_archive_store()
            count = store.remove_leftovers(LEFTOVER_SECONDS) if store else 0
        except ArchiveError:
            return
        if count:
            _logger.info("dte_archive_leftovers_removed company=%s files=%s", company.id, count)

    def _check_some(self) -> int:
        """Check one batch of the run and finish it when it was the last; return how many rows were checked."""
        self.ensure_one()
        backups = self.env["dte.backup"].search(
            [
                ("company_id", "=", self.company_id.id),
                "|",
                ("checked_at", "=", False),
                ("checked_at", "<", self.started_at),
            ],
            order="checked_at NULLS FIRST, id",
            limit=min(BATCH, self.planned - self.checked),
        ) if self.planned > self.checked else self.env["dte.backup"]  # fmt: skip
        if backups:
            findings = backups._check()
            self.checked += len(backups)
            self.repaired += len(backups.filtered(lambda backup: backup.check_state == "repaired"))
            self._add([finding for finding in findings if not finding["code"].startswith("archive_repaired")])
        if not backups or self.checked >= self.planned:
            self._finish()
        return len(backups)

    def _add(self, findings: list[dict]):
        """Add what a person must look at, each once."""
        known = self.findings or []
        new = [finding for finding in findings if finding not in known]
        if new:
            self.damaged += len(new)
            self.findings = (known + new)[:NAMED]

    def _finish(self):
        for run in self:
            run.finished_at = fields.Datetime.now()
            _logger.info(
                "dte_archive_checked company=%s checked=%s repaired=%s damaged=%s",
                run.company_id.id, run.checked, run.repaired, run.damaged,
            )  # fmt: skip
            if run.damaged:
                run._tell_managers()

    def _tell_managers(self):
        """Give the DTE managers of the company one activity, unless an open one already tells the same."""
        self.ensure_one()
        earlier = self.search(
            [("company_id", "=", self.company_id.id), ("id", "!=", self.id), ("activity_ids", "!=", False)]
        )
        told = [finding for run in earlier for finding in run.findings or []]
        if all(finding in told for finding in self.findings):
            return
        managers = self.env.ref("l10n_cl_dte.group_dte_manager").all_user_ids.filtered(
            lambda user: self.company_id in user.company_ids and user.active and not user._is_superuser()
        )
        for manager in managers:
            own = self.with_context(lang=manager.lang)
            own.activity_schedule(
                "mail.mail_activity_data_warning",
                user_id=manager.id,
                summary=own.env._("Documents of the archive need attention"),
                note=Markup("<br/>").join(own.report.split("\n")[:50]),
            )
