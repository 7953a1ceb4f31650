# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
import secrets
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs import webhook as webhook_lib

_logger = logging.getLogger(__name__)

_ACTIVITY = "l10n_cl_dte.mail_activity_dte"


class DteWebhook(models.Model):
    """An address of another system that is told when the state of a document changes.

    What is told stands in `dte.webhook.delivery`, written together with everything else that follows from a state (see
    `dte_document_tell.py`) and sent by a job. A document never waits for it.
    """

    _name = "dte.webhook"
    _description = "Webhook of Electronic Documents"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "company_id, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, ondelete="cascade", index=True
    )
    url = fields.Char(string="Address", required=True, help="It begins with https://.")
    secret = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        groups="base.group_system",
        help="Signs what is sent, so that the other system knows that it comes from here.",
    )
    active = fields.Boolean(default=True)
    internal = fields.Boolean(
        string="Internal Address",
        tracking=True,
        help="The other system stands in your own network. Without this, private addresses are refused, so that nobody "
        "reaches inner systems through Odoo.",
    )
    events = fields.Selection(
        [("all", "Every change"), ("chosen", "Chosen states")],
        string="Tells",
        required=True,
        default="all",
        help="When a document goes through several states in a moment, only the last of them may be told.",
    )
    event_to_send = fields.Boolean(string="To Send")
    event_contingency = fields.Boolean(string="In Contingency")
    event_sent = fields.Boolean(string="Sent")
    event_unknown = fields.Boolean(string="Outcome Unknown")
    event_retry = fields.Boolean(string="To Be Retried")
    event_failed = fields.Boolean(string="Needs Attention", default=True)
    event_no_answer = fields.Boolean(string="No Answer", default=True)
    event_accepted = fields.Boolean(string="Accepted", default=True)
    event_objected = fields.Boolean(string="Accepted with Repairs", default=True)
    event_rejected = fields.Boolean(string="Rejected", default=True)
    delivery_ids = fields.One2many("dte.webhook.delivery", "webhook_id", string="Deliveries", readonly=True)
    waiting_count = fields.Integer(string="Waiting", compute="_compute_counts")
    given_up_count = fields.Integer(string="Given Up", compute="_compute_counts")

    def _compute_counts(self):
        groups = self.env["dte.webhook.delivery"]._read_group(
            [("webhook_id", "in", self.ids), ("state", "!=", "delivered")], ["webhook_id", "state"], ["__count"]
        )
        counts = {(webhook.id, state): count for webhook, state, count in groups}
        for webhook in self:
            webhook.waiting_count = counts.get((webhook.id, "pending"), 0)
            webhook.given_up_count = counts.get((webhook.id, "given_up"), 0)

    @api.constrains("url", "company_id")
    def _check_url(self):
        for webhook in self:
            try:
                parts = urlsplit(webhook.url)
                host = parts.hostname
            except ValueError:
                parts = host = None
            if not host or parts.scheme not in ("http", "https") or parts.username or parts.password:
                raise ValidationError(
                    self.env._("%s is not an address to send to. Write it like https://example.com/dte.", webhook.url)
                )
            if webhook._is_readable():
                raise ValidationError(
                    self.env._("What is sent to %s could be read on its way. Use https.", webhook.url)
                )

    def _is_readable(self) -> bool:
        """Tell whether others could read what is sent: http is for this machine and for companies in the simulator."""
        # sudo: the environment of a company whose webhook the user writes
        environment = self.sudo().company_id.dte_environment
        is_plain = urlsplit(self.url).scheme != "https"
        return is_plain and environment != "simulator" and not webhook_lib.is_loopback(self.url)

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            vals["secret"] = secrets.token_urlsafe(32)
        return super().create(vals_list)

    def write(self, vals):
        if "secret" in vals and not self.env.su:
            # readonly is for screens: a secret that somebody chose is one that somebody knows
            raise AccessError(self.env._("A secret is made by Odoo and cannot be chosen."))
        return super().write(vals)

    # -- the secret --

    def action_show_secret(self):
        """Show the secret to an administrator."""
        self.ensure_one()
        self._check_administrator()
        return self._show_secret()

    def action_new_secret(self):
        """Make another secret and show it; what is sent from now on is signed with it."""
        self.ensure_one()
        self._check_administrator()
        # sudo: only code writes a secret; who may ask for it has been checked
        self.sudo().secret = secrets.token_urlsafe(32)
        return self._show_secret()

    def _check_administrator(self):
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(self.env._("Only an administrator sees the secret of a webhook."))
        self.check_access("write")

    def _show_secret(self):
        return self.env["dte.secret"]._show(
            self.env._("Secret of %s", self.name),
            self.secret,
            self.env._("The other system needs it to check the signature of what it receives. Nobody else does."),
        )

    def action_view_deliveries(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_webhook_delivery_action")
        return {**action, "domain": [("webhook_id", "=", self.id)], "context": {}}

    # -- telling --

    @api.model
    def _note_safely(self, documents):
        """Write down what is to be told of these documents. Whatever goes wrong here, the documents do not care."""
        try:
            with self.env.cr.savepoint():
                self._note(documents)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception:
            _logger.exception("dte_webhook_not_noted documents=%s", documents.ids)

    @api.model
    def _note(self, documents):
        # sudo: webhooks are for administrators; documents of everybody are told
        webhooks = self.sudo().search([("company_id", "in", documents.company_id.ids)])
        if not webhooks:
            return
        deliveries = self.env["dte.webhook.delivery"].sudo()
        for webhook in webhooks:
            concerned = documents.filtered(
                lambda document, webhook=webhook: (
                    document.company_id == webhook.company_id and webhook._wants(document.state)
                )
            )
            deliveries._write_down(webhook, concerned)

    def _is_at_work(self) -> bool:
        """Tell whether it is still there and switched on, though other transactions went by."""
        self.invalidate_recordset(["active"])
        return bool(self.exists().active)

    def _wants(self, state: str) -> bool:
        if state == "imported":
            # Nothing happened: another system issued and sent it long ago.
            return False
        return self.events == "all" or bool(self[f"event_{state}"])

    def _call_person(self):
        """Keep one open activity while something could not be told."""
        self.ensure_one()
        if self.activity_search([_ACTIVITY]):
            return
        responsible = self.company_id._dte_managers()[:1]
        own = self.with_context(lang=responsible.lang)
        own.activity_schedule(
            _ACTIVITY,
            summary=own.env._("%s was not told what happened to documents", own.name),
            note=own.env._(
                "The other system did not take it for more than a day. When it works again, send again what was given "
                "up: Configuration, Electronic Documents, Webhook Deliveries."
            ),
            user_id=responsible.id,
        )

    def _dismiss_person(self):
        """Close the activity when everything could be told."""
        self.ensure_one()
        given_up = [("webhook_id", "=", self.id), ("state", "=", "given_up")]
        if not self.env["dte.webhook.delivery"].search_count(given_up, limit=1):
            self.activity_unlink([_ACTIVITY])
