# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import logging
import smtplib
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs import envio as envio_lib
from ..libs import exchange as exchange_lib
from ..libs.exceptions import DocumentError, DteError
from . import dte_messages
from .dte_exchange_messages import PROBLEMS

_logger = logging.getLogger(__name__)

# Minutes until the next attempt when the mail server could not be reached; then a person has to look.
RETRY_MINUTES = (10, 60, 4 * 60, 24 * 60)
# What the SII has taken as valid, and may therefore be handed over.
VALID = ("accepted", "objected")
_JOB = "l10n_cl_dte.ir_cron_exchange"


class DteExchange(models.Model):
    """One document handed to its receiver's system: the envelope, where it was mailed, and what came of the mail.

    One row per document and address. It is written when the SII's verdict is known, and mailed by a job afterwards.
    What becomes of the mail never changes the document: a receiver without a mailbox finds it at the SII.
    """

    _name = "dte.exchange"
    _description = "Electronic Document for Its Receiver"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="restrict")
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True, ondelete="set null")
    email = fields.Char(string="Exchange Address", required=True, readonly=True)
    state = fields.Selection(
        [("to_send", "To send"), ("sent", "Sent"), ("failed", "Not delivered"), ("answered", "Answered")],
        required=True,
        readonly=True,
        default="to_send",
    )
    content = fields.Binary(string="XML", readonly=True, attachment=True)
    content_filename = fields.Char(compute="_compute_content_filename")
    sha256 = fields.Char(string="SHA-256", readonly=True)
    digest = fields.Char(readonly=True, help="The customer's system may quote it to name this envelope.")
    mail_id = fields.Many2one("mail.mail", readonly=True, ondelete="set null", groups="base.group_system")
    attempts = fields.Integer(readonly=True, aggregator=False, help="How often it was handed to the mail server.")
    failures = fields.Integer(readonly=True, aggregator=False)
    retry_at = fields.Datetime(string="Next Attempt On", readonly=True)
    sent_at = fields.Datetime(string="Sent On", readonly=True)
    problem_code = fields.Char(readonly=True)
    problem_params = fields.Json(readonly=True)
    problem = fields.Char(compute="_compute_problem")

    _unique_address = models.UniqueIndex("(document_id, email)", "It was handed to this address already.")
    _due = models.Index("(id) WHERE state = 'to_send'")

    @api.depends("document_id", "email")
    def _compute_display_name(self):
        for row in self:
            row.display_name = f"{row.document_id.display_name} - {row.email}"

    @api.depends("document_id")
    def _compute_content_filename(self):
        for row in self:
            document = row.document_id
            row.content_filename = f"{document.issuer_rut}_T{document.dte_type}F{document.folio}.xml"

    @api.depends("problem_code", "problem_params")
    @api.depends_context("lang")
    def _compute_problem(self):
        for row in self:
            table = PROBLEMS if row.problem_code in PROBLEMS else dte_messages.ERRORS
            row.problem = row.problem_code and dte_messages.describe(
                self.env, table, row.problem_code, row.problem_params
            )

    # -- writing down; records are sudo --

    @api.model
    def _plan_safely(self, documents):
        """Write down what is to be mailed now that the verdicts are known. Whatever goes wrong, the documents stand."""
        try:
            with self.env.cr.savepoint():
                # sudo: rows are written by the system, whoever or whatever has the verdict
                self.sudo()._plan(documents.sudo())
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception:
            _logger.exception("dte_exchange_not_planned documents=%s", documents.ids)

    def _plan(self, documents):
        for document in documents.filtered(lambda document: document._is_for_exchange()):
            when = document._exchange_when()
            if when == "accepted" or (when == "invoice" and document.move_id.is_move_sent):
                self._ensure_row(document)

    def _ensure_row(self, document):
        """Return the row of a document and its receiver's present address, made when it is the first time."""
        partner = document.move_id.commercial_partner_id
        email = partner.dte_exchange_email
        row = self.search([("document_id", "=", document.id), ("email", "=", email)])
        if not row:
            row = self.create(
                {
                    "company_id": document.company_id.id,
                    "document_id": document.id,
                    "partner_id": partner.id,
                    "email": email,
                }
            )
            self._wake()
        return row

    @api.model
    def _wake(self, at=None):
        job = self.env.ref(_JOB, raise_if_not_found=False)
        if job:
            # sudo: jobs are the system's; what happens only wakes them
            job.sudo()._trigger(at=at)

    # -- buttons --

    def action_send_again(self):
        """Mail the same envelope once more."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(
                self.env._('You need the role "Electronic documents: user" to send documents. Ask your administrator.')
            )
        self.check_access("read")
        # sudo: users see rows but write none; asking is written in their name
        self.sudo()._begin_again()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("It is mailed again within minutes: %s.", ", ".join(self.mapped("email"))),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _begin_again(self):
        rows = self.try_lock_for_update()
        waiting = rows.filtered(lambda row: row.state == "to_send")
        # Not only when its next attempt is due: a person wants it now.
        waiting.write({"failures": 0, "retry_at": False})
        for row in rows - waiting:
            # Odoo's own job may have delivered what this one had given up.
            if row.problem_code == "mail_failed" and row.mail_id.state == "sent":
                row._note_sent()
                continue
            # A mail that may yet leave is the one to wait for: another would be a second one.
            mail = row.mail_id.filtered(lambda mail: mail.state == "outgoing")
            row.write(
                {
                    "state": "to_send", "mail_id": mail.id, "failures": 0, "retry_at": False, "problem_code": False,
                }
            )  # fmt: skip
        self._wake()

    def _note_sent(self):
        self.write({"state": "sent", "sent_at": fields.Datetime.now(), "retry_at": False, "problem_code": False})

    def action_download(self):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/dte.exchange/{self.id}/content/{self.content_filename}?download=true",
            "target": "download",
        }

    # -- mailing --

    @api.model
    def _cron_send(self):
        """Read answers that are left, then mail what is due, each in transactions of its own. Commits."""
        self.env["dte.mail"]._cron_read()
        now = fields.Datetime.now()
        domain = [("state", "=", "to_send"), "|", ("retry_at", "=", False), ("retry_at", "<=", now)]
        progress = self.env["ir.cron"]._commit_progress
        left, seen = progress(remaining=self.search_count(domain)), self.browse()
        while left and (row := self.search([*domain, ("id", "not in", seen.ids)], order="id", limit=1)):
            seen |= row
            row._send_and_commit()
            left = progress(1)

    def _send_and_commit(self):
        """Mail one row; an error is its own and stops no other. Commits."""
        progress = self.env["ir.cron"]._commit_progress
        try:
            if not self.try_lock_for_update() or self.state != "to_send":
                return
            self._prepare()
            # From here on the mail exists with its Message-Id: a process that dies below leaves a mail that is sent
            # again under the same id, which mailboxes take for the same mail.
            progress()
            if not self.try_lock_for_update() or self.state != "to_send":
                return
            self._hand_over()
            progress()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("dte_exchange_later row=%s", self.id)
            self.env.cr.rollback()
        except (smtplib.SMTPException, OSError) as error:
            # The mail server went away: nobody knows whether it took the mail, whose Message-Id stays the same.
            self.env.cr.rollback()
            self._try_later({"reason": str(error)[:200]})
            progress()
        except DteError as error:
            self.env.cr.rollback()
            _logger.warning("dte_exchange_not_possible row=%s reason=%s", self.id, error)
            self._fail(*_first_problem(error))
            progress()
        except Exception:
            self.env.cr.rollback()
            _logger.exception("dte_exchange_failed row=%s", self.id)
            self._fail("unexpected")
            progress()

    def _prepare(self):
        """Make envelope and mail, unless an earlier run did.

        :raises DteError: when the document's bytes or the certificate cannot be used
        """
        if not self.content:
            content = self._build()
            self.write(
                {
                    "content": base64.b64encode(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "digest": exchange_lib.digest_of_set(content),
                }
            )
        # A mail that failed is not used again: its successor is another mail.
        if not self.mail_id or self.mail_id.state in ("exception", "cancel"):
            self.mail_id = self._make_mail()

    def _build(self) -> bytes:
        document, company = self.document_id, self.company_id
        credentials = company._dte_load_credentials()
        number, day = company._dte_resolution(document.environment)
        caratula = envio_lib.Caratula(
            issuer_rut=document.issuer_rut,
            sender_rut=credentials.holder_rut,
            resolution_date=day,
            resolution_number=number,
            signed_at=company._dte_now(),
            receiver_rut=document.receiver_rut,
        )
        return exchange_lib.build_for_customer(caratula, document._checked_xml(), credentials, self.id)

    def _make_mail(self):
        company = self.company_id
        # In the customer's language; nobody reads it as the user who happened to press a button.
        own = self.with_context(lang=self.partner_id.lang or company.partner_id.lang)
        address = company._dte_mail_sender()
        # As the system, whoever runs the job: for others Odoo declares XML to be plain text.
        return self.env(user=SUPERUSER_ID)["mail.mail"].create(
            {
                "subject": own._subject(),
                "body_html": own.env["ir.qweb"]._render("l10n_cl_dte.exchange_mail", {"row": own}),
                "email_from": address,
                "reply_to": address,
                "email_to": self.email,
                "author_id": company.partner_id.id,
                "model": self._name,
                "res_id": self.id,
                "auto_delete": False,
                "attachment_ids": [
                    (
                        0,
                        0,
                        {
                            "name": self.content_filename,
                            "raw": base64.b64decode(self.with_context(bin_size=False).content),
                            "mimetype": "application/xml",
                            "res_model": self._name,
                            "res_id": self.id,
                        },
                    )
                ],
            }
        )

    def _subject(self) -> str:
        document = self.document_id
        subject = self.env._(
            "EnvioDTE %(issuer)s: %(document)s", issuer=document.issuer_rut, document=document.display_name
        )
        if document.environment == "production":
            return subject
        return self.env._("TEST, without tax validity: %s", subject)

    def _hand_over(self):
        if self.mail_id.state == "outgoing":
            self.attempts += 1
            self.mail_id.send()
        mail = self.mail_id
        if mail.state == "sent":
            self._note_sent()
        elif mail.state in ("exception", "cancel"):
            params = {"reason": (mail.failure_reason or "-")[:200]}
            if mail.failure_type in (False, "mail_smtp"):
                self._try_later(params)
            else:
                self._fail("mail_failed", params)

    def _try_later(self, params):
        """Leave it to a later run, because the mail server could not be reached."""
        if self.failures >= len(RETRY_MINUTES):
            self._fail("mail_failed", params)
            return
        moment = fields.Datetime.now() + timedelta(minutes=RETRY_MINUTES[self.failures])
        self.write(
            {
                "failures": self.failures + 1,
                "retry_at": moment,
                "problem_code": "mail_failed",
                "problem_params": params,
            }
        )
        self._wake(at=moment)

    def _fail(self, code: str, params: dict | None = None):
        known = {name: str(value) for name, value in (params or {}).items()}
        # Else Odoo's own job would deliver what is shown as not delivered. Who holds the lock is delivering it now.
        mail = self.mail_id.filtered(lambda mail: mail.state == "outgoing").try_lock_for_update()
        mail.cancel()
        self.write({"state": "failed", "problem_code": code, "problem_params": known, "retry_at": False})

    # -- what comes back --

    def _message_receive_bounce(self, email, partner):
        # EXTENDS mail: the address is wrong; the document is as valid as before
        result = super()._message_receive_bounce(email, partner)
        for row in self.filtered(lambda row: row.state == "sent"):
            row._fail("mail_bounced", {"email": row.email})
        return result

    @api.model
    def _detect_loop_sender_domain(self, email_from_normalized):
        # OVERRIDE mail: a customer's system answers each document with a mail of its own
        return None

    def message_post(self, **kwargs):
        # EXTENDS mail: what a customer signed is kept as it came
        return super().message_post(**self._dte_with_files_as_sent(kwargs))

    def message_update(self, msg_dict, update_vals=None):
        # EXTENDS mail: an answer that was sent as a reply
        self.env["dte.mail"].message_new(msg_dict, {"company_id": self.company_id.id})
        return super().message_update(msg_dict, update_vals)


def _first_problem(error: DteError) -> tuple[str, dict]:
    if isinstance(error, DocumentError) and error.code == "document_invalid":
        return error.problems[0].code, error.problems[0].params
    return error.code, error.params
