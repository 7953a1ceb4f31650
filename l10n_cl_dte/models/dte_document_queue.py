# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Send and go on: a person notes that documents shall leave, the sending job does it, and tells the person."""

from datetime import datetime, time

from odoo import api, fields, models
from odoo.exceptions import AccessError

from .dte_document import SENDABLE

# When a document is in one of these, whoever asked for sending is told.
_OUTCOMES = ("sent", "accepted", "objected", "contingency", "unknown", "retry", "failed", "rejected")


class DteDocument(models.Model):
    _inherit = "dte.document"

    queued_by = fields.Many2one(
        "res.users", string="Sending Asked By", readonly=True, ondelete="set null", help="Who is told when it has left."
    )
    is_queued = fields.Boolean(
        string="Queued", compute="_compute_is_queued", help="It leaves by itself; nobody has to wait for it."
    )

    @api.depends("state", "queued_at")
    def _compute_is_queued(self):
        for document in self:
            document.is_queued = document.state == "to_send" and bool(document.queued_at)

    def _leaves_by_itself(self) -> bool:
        """Tell whether the job takes it within minutes: somebody asked for it, and nothing keeps it back."""
        self.ensure_one()
        return (
            self.is_queued
            and self._is_sent_from_here()
            and not self._waiting_for()
            and not self.env["dte.contingency"]._is_on(self.company_id)
            and not self.env["dte.pause"]._is_paused(self.company_id, self.environment)
        )

    def action_send_async(self):
        """Note that these shall leave and return at once; the job sends them and tells the user. Commits."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(
                self.env._('You need the role "Electronic documents: user" to send documents. Ask your administrator.')
            )
        self.check_access("read")
        # sudo: users see documents but write none; asking for sending is written in their name
        documents = self.sudo()._read_together()
        noted = documents._note_asked()
        # Noted with the rest: a job may have them as soon as this is committed.
        noted.queued_by = self.env.user
        noted._make_due()
        self.env["ir.cron"]._commit_progress()
        for company in documents.company_id:
            # Who sends has looked at what made the SII refuse the sender.
            self.env["dte.pause"]._resume(company, company.dte_environment)
        noted._wake_jobs()
        return documents._report_queued(noted)

    def _report_queued(self, noted):
        """Return a notification that says how many of these leave by themselves, and what is with the others.

        :param noted: those that were just noted
        """
        open_ones = self.filtered(lambda document: document.state in (*SENDABLE, "contingency"))
        foreign = (open_ones - noted).filtered(lambda document: not document._is_sent_from_here())
        leaving = (self & noted) | (open_ones - foreign).filtered(
            lambda document: document.is_queued or document.state == "contingency"
        )
        busy = open_ones - foreign - leaving
        gone = self - leaving - foreign - busy
        texts = []
        if leaving:
            texts.append(self.env._("Queued: %s. They leave by themselves; you are told when they have.", len(leaving)))
        if busy:
            texts.append(
                self.env._("Not queued, somebody else is working on them: %s. Try again in a moment.", len(busy))
            )
        if foreign:
            texts.append(
                self.env._(
                    "Not queued, issued in another environment or under another RUT than the company has now: %s.",
                    len(foreign),
                )
            )
        if gone == self:
            texts.append(self.env._("None of them has to be sent: they have left already."))
        elif gone:
            texts.append(self.env._("Left already: %s.", len(gone)))
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if busy or foreign else "success" if leaving else "info",
                "message": " ".join(texts),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _tell_who_asked(self):
        """Tell the users who asked for sending what became of it: one message per user and batch."""
        done = self.filtered(lambda document: document.queued_by and document.state in _OUTCOMES)
        for user, documents in done.grouped("queued_by").items():
            own = documents.with_context(lang=user.lang, tz=user.tz)
            labels = dict(own._fields["state"]._description_selection(own.env))
            texts = [f"{labels[state]}: {len(found)}" for state, found in own.grouped("state").items()]
            waiting = self.search_count([("queued_by", "=", user.id), ("state", "in", ("to_send", "retry"))])
            if waiting:
                texts.append(own.env._("Still queued: %s", waiting))
            bad = {"failed", "rejected"} & set(own.mapped("state"))
            user._bus_send(
                "simple_notification",
                {
                    "type": "warning" if bad else "info",
                    "title": own.env._("Electronic documents"),
                    "message": ", ".join(texts),
                    "sticky": bool(bad),
                },
            )
        done.queued_by = False

    # -- without anybody --

    def _queue_posted(self):
        """Queue what was just issued, where the company wants it so. Part of the posting."""
        now = fields.Datetime.now()
        wanted = self.filtered(lambda document: document.company_id.dte_send_when == "posting")
        if wanted:
            wanted.queued_at = now
            self.env["dte.envio"]._wake_job(wanted.company_id)

    @api.model
    def _queue_daily(self):
        """Queue what was issued and not sent, where the company sends once a day and the hour has come."""
        companies = self.env["res.company"].search([("dte_send_when", "=", "daily")])
        for company in companies:
            now = company._dte_now()
            if company.dte_sent_on == now.date() or now < datetime.combine(now.date(), _clock(company.dte_send_hour)):
                continue
            waiting = self.search(
                [
                    ("company_id", "=", company.id),
                    ("environment", "=", company.dte_environment),
                    ("state", "=", "to_send"),
                    ("queued_at", "=", False),
                    ("superseded", "=", False),
                ]
            )
            locked = waiting.try_lock_for_update()
            locked.queued_at = fields.Datetime.now()
            locked.move_id._dte_drop_stale_pdf()
            # What somebody is just working on is looked at again by the next run, not tomorrow.
            if locked == waiting:
                company.dte_sent_on = now.date()


def _clock(hours: float) -> time:
    minutes = min(round(hours * 60), 24 * 60 - 1)
    return time(minutes // 60, minutes % 60)
