# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import LazyTranslate
from odoo.tools.constants import GC_UNLINK_LIMIT

from ..libs.webhook import WebhookError, deliver
from .dte_document import STATES
from .dte_messages import describe

_lt = LazyTranslate(__name__)
_logger = logging.getLogger(__name__)

# Minutes until the next attempt, after each that failed; then it is given up.
RETRY_MINUTES = (1, 5, 30, 2 * 60, 6 * 60, 24 * 60)
# A process that died while it told something leaves it to the others after this.
CLAIM = timedelta(minutes=2)
# Of one webhook, before it is the turn of the next one.
TURN = 20
KEEP_DAYS = 90
_JOB = "l10n_cl_dte.ir_cron_webhook"

PROBLEMS = {
    "webhook_internal": _lt("The address is inside your own network. If that is right, tick Internal Address."),
    "webhook_unresolved": _lt("The name of the server is not known. Check the address."),
    "webhook_timeout": _lt("The other system did not answer in time."),
    "webhook_connection": _lt("There was no connection to the other system."),
    "webhook_status": _lt("The other system answered with the status %(status)s."),
    "webhook_readable": _lt("What is sent could be read on its way. Change the address to https."),
    "webhook_unexpected": _lt("It could not be sent. The log of the server says why."),
}


class DteWebhookDelivery(models.Model):
    """One change of a document that one webhook is told, and what came of it."""

    _name = "dte.webhook.delivery"
    _description = "Webhook Delivery"
    _order = "id desc"
    _check_company_auto = True

    webhook_id = fields.Many2one("dte.webhook", required=True, readonly=True, ondelete="cascade")
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade", index=True)
    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="restrict", index=True)
    event_id = fields.Char(string="Event ID", required=True, readonly=True)
    document_state = fields.Selection(STATES, string="Told State", required=True, readonly=True)
    body = fields.Text(required=True, readonly=True)
    state = fields.Selection(
        [("pending", "Waiting"), ("delivered", "Delivered"), ("given_up", "Given up")],
        required=True,
        readonly=True,
        default="pending",
    )
    attempts = fields.Integer(readonly=True, aggregator=False)
    next_attempt_at = fields.Datetime(string="Next Attempt On", readonly=True)
    ended_at = fields.Datetime(string="Ended On", readonly=True)
    problem_code = fields.Char(readonly=True)
    http_status = fields.Integer(string="HTTP Status", readonly=True, aggregator=False)
    problem = fields.Char(compute="_compute_problem")

    _due = models.Index("(webhook_id, next_attempt_at, id) WHERE state = 'pending'")
    _of_webhook = models.Index("(webhook_id, document_id, id)")
    _ended = models.Index("(ended_at) WHERE state <> 'pending'")

    @api.depends("document_id")
    def _compute_display_name(self):
        for delivery in self:
            delivery.display_name = delivery.document_id.display_name

    @api.depends("problem_code", "http_status")
    @api.depends_context("lang")
    def _compute_problem(self):
        for delivery in self:
            delivery.problem = delivery.problem_code and describe(
                self.env, PROBLEMS, delivery.problem_code, {"status": delivery.http_status}
            )

    # -- writing down; records are sudo --

    @api.model
    def _write_down(self, webhook, documents):
        """Note the states of documents for a webhook, in the transaction of everything else that follows from them."""
        if not documents:
            return
        now = fields.Datetime.now()
        rows = []
        for document in documents:
            event_id = str(uuid.uuid4())
            before = self.search([("webhook_id", "=", webhook.id), ("document_id", "=", document.id)], limit=1)
            event = self._event(event_id, now, webhook, document, before.document_state)
            rows.append(
                {
                    "webhook_id": webhook.id,
                    "company_id": webhook.company_id.id,
                    "document_id": document.id,
                    "event_id": event_id,
                    "document_state": document.state,
                    "body": json.dumps(event, ensure_ascii=False),
                    "next_attempt_at": now,
                }
            )
        self.create(rows)
        self._wake()

    def _event(self, event_id: str, now, webhook, document, previous) -> dict:
        own = document.with_context(lang=webhook.company_id.partner_id.lang, tz="America/Santiago")
        return {
            "event_id": event_id,
            "occurred_at": f"{now.isoformat()}Z",
            "company": document.issuer_rut,
            "environment": document.environment,
            "document": {
                "type": int(document.dte_type),
                "folio": document.folio,
                "state": document.state,
                "previous": previous or None,
                "track_id": document.track_id or None,
                "message": own._explain(),
            },
        }

    @api.model
    def _wake(self, at=None):
        job = self.env.ref(_JOB, raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; what happens only wakes them
            job.sudo()._trigger(at=at)

    # -- sending --

    @api.model
    def _cron_deliver(self):
        """Tell what is due, a few of each webhook in turn, each in transactions of its own. Commits."""
        progress = self.env["ir.cron"]._commit_progress
        webhooks = self.env["dte.webhook"].search([("active", "=", True)])
        left = progress(remaining=self.search_count(self._due_domain(webhooks)))
        while webhooks and left:
            for webhook in webhooks:
                if not self._serve_safely(webhook):
                    webhooks -= webhook
                left = progress()
                if not left:
                    break
        following = self.search(
            [("state", "=", "pending"), ("webhook_id.active", "=", True)], order="next_attempt_at, id", limit=1
        )
        if following:
            # Where one has failed the others of that webhook wait for the next run: the other side is left in peace.
            soon = fields.Datetime.now() + timedelta(minutes=RETRY_MINUTES[0] if left else 0)
            self._wake(max(following.next_attempt_at, soon))
        progress(remaining=0)

    @api.model
    def _due_domain(self, webhooks):
        return [
            ("webhook_id", "in", webhooks.ids),
            ("state", "=", "pending"),
            ("next_attempt_at", "<=", fields.Datetime.now()),
        ]

    @api.model
    def _serve_safely(self, webhook) -> bool:
        """Serve one webhook in its turn; whatever goes wrong stops only this one. See `_serve`."""
        try:
            return webhook._is_at_work() and self._serve(webhook)
        except Exception:
            _logger.exception("dte_webhook_turn_failed webhook=%s", webhook.id)
            self.env.cr.rollback()
            return False

    @api.model
    def _serve(self, webhook) -> bool:
        """Tell one webhook what is due, oldest first; return whether there may be more for it in this run."""
        for _number in range(TURN):
            try:
                delivery = self._claim(webhook)
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                # Another process has just had it.
                self.env.cr.rollback()
                return False
            if not delivery:
                return False
            if delivery.state == "given_up":
                continue
            if not delivery._deliver():
                return False
            if not self.env["ir.cron"]._commit_progress(1):
                return False
        return True

    @api.model
    def _claim(self, webhook):
        """Take the next delivery of a webhook that nobody else has taken. Commits: no lock is held while it is sent.

        One whose last attempt came to no end, because the process died or could not write the result, is given up.
        """
        due = self.search(self._due_domain(webhook), order="id", limit=TURN)
        # Rows of another process are passed over.
        delivery = due.try_lock_for_update(limit=1)
        delivery = delivery.filtered(lambda row: row.state == "pending")
        if delivery.attempts > len(RETRY_MINUTES):
            delivery._give_up({"problem_code": delivery.problem_code or "webhook_unexpected"})
        elif delivery:
            now = fields.Datetime.now()
            delivery.write({"attempts": delivery.attempts + 1, "next_attempt_at": now + CLAIM})
            self.env["ir.cron"]._commit_progress()
        return delivery

    def _deliver(self) -> bool:
        """Send one claimed delivery and record what came of it; return whether it was taken."""
        webhook = self.webhook_id
        if webhook._is_readable():
            # The company has left the simulator since the address was written.
            self._record_failure("webhook_readable", 0)
            return False
        try:
            status = deliver(
                webhook.url,
                webhook.secret,
                self.event_id,
                self.body.encode(),
                now=int(time.time()),
                internal=webhook.internal,
            )
        except WebhookError as error:
            self._record_failure(error.code, error.status or 0)
            return False
        except Exception:
            _logger.exception("dte_webhook_failed delivery=%s", self.id)
            self._record_failure("webhook_unexpected", 0)
            return False
        self.write(
            {"state": "delivered", "ended_at": fields.Datetime.now(), "problem_code": False, "http_status": status}
        )
        self._commit_then(webhook._dismiss_person)
        return True

    def _commit_then(self, tell: Callable):
        """Commit the result, and only then do what follows from it: what fails there must not undo the result."""
        self.env["ir.cron"]._commit_progress()
        try:
            tell()
            self.env["ir.cron"]._commit_progress()
        except Exception:
            _logger.exception("dte_webhook_tell_failed webhook=%s", self.webhook_id.id)
            self.env.cr.rollback()

    def _record_failure(self, code: str, status: int):
        now = fields.Datetime.now()
        _logger.info(
            "dte_webhook_not_delivered webhook=%s delivery=%s attempt=%s reason=%s status=%s",
            self.webhook_id.id, self.id, self.attempts, code, status,
        )  # fmt: skip
        values = {"problem_code": code, "http_status": status}
        if self.attempts > len(RETRY_MINUTES):
            self._give_up(values)
        else:
            pause = timedelta(minutes=RETRY_MINUTES[self.attempts - 1])
            self.write({**values, "next_attempt_at": now + pause})
            self.env["ir.cron"]._commit_progress()

    def _give_up(self, values: dict):
        self.write({**values, "state": "given_up", "next_attempt_at": False, "ended_at": fields.Datetime.now()})
        self._commit_then(self.webhook_id._call_person)

    def action_send_again(self):
        """Begin again with deliveries that were given up."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        self.check_access("read")
        # sudo: nobody has the right to write deliveries; trying again is the only thing that people may do
        given_up = self.sudo().filtered(lambda delivery: delivery.state == "given_up")
        given_up.write({"state": "pending", "attempts": 0, "next_attempt_at": fields.Datetime.now(), "ended_at": False})
        self._wake()

    @api.autovacuum
    def _gc_old_deliveries(self):
        limit = fields.Datetime.now() - timedelta(days=KEEP_DAYS)
        self.search([("state", "!=", "pending"), ("ended_at", "<", limit)], limit=GC_UNLINK_LIMIT).unlink()
