# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs import exchange as exchange_lib
from ..libs.exceptions import DteError, XmlError
from .dte_exchange_messages import describe_finding

_logger = logging.getLogger(__name__)

# Files of one mail that are looked at.
MAX_FILES = 20
# Mails that were of no use are kept as long as somebody may ask about them.
KEEP = timedelta(days=90)
# Until a file that another transaction was in the way of is read once more.
AGAIN = timedelta(minutes=1)


class DteMail(models.Model):
    """A mail that came to the address for electronic documents of a company, and what came of each file in it.

    Each kind of file has a reader, by the root of its XML: see `_readers`. Anybody can write such a mail, so what it
    says is verified by its reader; whatever is wrong with it is written down here and nobody is written back to.
    """

    _name = "dte.mail"
    _description = "Incoming Mail of Electronic Documents"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(string="Subject", readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade", index=True)
    email_from = fields.Char(string="From", readonly=True)
    state = fields.Selection(
        [("to_read", "To read"), ("used", "Used"), ("refused", "Refused"), ("nothing", "Nothing to read")],
        required=True,
        readonly=True,
        default="nothing",
    )
    findings = fields.Json(readonly=True)
    summary = fields.Text(string="What Came of It", compute="_compute_summary")
    # Files that another transaction was in the way of: see `_cron_read`.
    unread_file_ids = fields.Many2many("ir.attachment", string="Files to Read", readonly=True, copy=False)
    answer_ids = fields.One2many("dte.exchange.answer", "mail_id", string="Answers", readonly=True)

    @api.depends("findings")
    @api.depends_context("lang")
    def _compute_summary(self):
        for mail in self:
            mail.summary = "\n".join(describe_finding(self.env, code, params) for code, params in mail.findings or [])

    # -- the gateway --

    @api.model
    def message_new(self, msg_dict, custom_values=None):
        """Take a mail that the gateway delivers.

        :param msg_dict: its attachments are only read when the mail itself is not in the context, see
            `MailThread._message_route_process`
        :param custom_values: `company_id`, from the alias of the company
        """
        # Only the gateway, which works with all rights, delivers mail.
        self.check_access("create")
        company = self.env["res.company"].browse((custom_values or {}).get("company_id")).exists()
        if not company:
            _logger.info("dte_mail_ignored message_id=%s reason=no_company", msg_dict.get("message_id"))
            return self.browse()
        mail = self.create(
            {
                "name": (msg_dict.get("subject") or "")[:200] or self.env._("Mail without a subject"),
                "company_id": company.id,
                "email_from": (msg_dict.get("email_from") or "")[:200],
            }
        )
        mail._read_files(self._dte_files_as_sent(msg_dict.get("attachments") or []))
        return mail

    def message_post(self, **kwargs):
        # EXTENDS mail: a mail that belongs to nobody is not kept, and what was signed is kept as it came
        if not self:
            return self.env["mail.message"]
        return super().message_post(**self._dte_with_files_as_sent(kwargs))

    @api.model
    def _detect_loop_sender_domain(self, email_from_normalized):
        # OVERRIDE mail: a customer's system answers each document with a mail of its own
        return None

    # -- reading --

    def _readers(self) -> dict:
        """Return the readers by XML root: functions of (mail, file name, bytes) that return findings.

        They may raise `DteError`; a finding is (code, params) of `FINDINGS`.
        """
        take = self.env["dte.exchange.answer"]._take
        return {exchange_lib.ANSWER_ROOT: take, exchange_lib.RECEIPTS_ROOT: take}

    def _read_files(self, attachments):
        files = [file for file in attachments if isinstance(file.content, bytes) and _looks_like_xml(file)]
        findings, unread = [], []
        for file in files[:MAX_FILES]:
            try:
                # One byte more than is read tells why it is not.
                findings += self._read_file(file.fname[:100], file.content[: exchange_lib.MAX_BYTES + 1])
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                # An incoming mail server does not deliver a mail twice, and this transaction cannot see what changed.
                unread.append(file)
        if len(files) > MAX_FILES:
            findings.append(("too_many_files", {"limit": MAX_FILES}))
        if unread:
            self._keep_unread(unread)
        self._note(findings)

    def _keep_unread(self, files):
        self.unread_file_ids = self.env["ir.attachment"].create(
            [
                {"name": file.fname[:100], "raw": file.content, "res_model": self._name, "res_id": self.id}
                for file in files
            ]
        )
        self.env["dte.exchange"]._wake()

    def _note(self, findings: list):
        """Add what came of files, and deduce the state from all that is known."""
        findings = [*(self.findings or []), *findings]
        codes = {code for code, _params in findings}
        state = "used" if codes & self._codes_of_use() else "refused" if findings else "nothing"
        self.write({"findings": findings, "state": "to_read" if self.unread_file_ids else state})
        _logger.info(
            "dte_mail_taken mail=%s company_id=%s state=%s findings=%s",
            self.id, self.company_id.id, self.state, sorted(codes),
        )  # fmt: skip

    @api.model
    def _cron_read(self):
        """Read what could not be read when it came, each mail in a transaction of its own. Commits."""
        domain = [("state", "=", "to_read")]
        progress = self.env["ir.cron"]._commit_progress
        left, seen = progress(remaining=self.search_count(domain)), self.browse()
        while left and (mail := self.search([*domain, ("id", "not in", seen.ids)], order="id", limit=1)):
            seen |= mail
            if mail.try_lock_for_update():
                mail._read_again()
            left = progress(1)

    def _read_again(self):
        findings = []
        for file in self.unread_file_ids:
            try:
                findings += self._read_file(file.name, file.raw or b"")
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                _logger.info("dte_mail_later mail=%s", self.id)
                continue
            file.unlink()
        self._note(findings)
        if self.unread_file_ids:
            self.env["dte.exchange"]._wake(at=fields.Datetime.now() + AGAIN)

    def _codes_of_use(self) -> set:
        """Return the codes of findings that say that something was taken."""
        return {"answer_taken", "answer_repeated"}

    def _read_file(self, name: str, content: bytes) -> list:
        try:
            with self.env.cr.savepoint():
                root = exchange_lib.root_of(content)
                reader = self._readers().get(root)
                if not reader:
                    return [("file_of_nobody", {"file": name, "root": root[:40]})]
                return reader(self, name, content)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except XmlError as error:
            return [(error.code, {"file": name})]
        except DteError as error:
            _logger.warning("dte_mail_file_refused mail=%s reason=%s", self.id, error)
            return [("failed", {"file": name})]
        except Exception:
            # An error here would be answered with a mail to a sender who may not be the one it says.
            _logger.exception("dte_mail_file_failed mail=%s", self.id)
            return [("failed", {"file": name})]

    @api.autovacuum
    def _gc_useless(self):
        """Forget mails that were of no use."""
        old = [("state", "in", ("refused", "nothing")), ("create_date", "<", fields.Datetime.now() - KEEP)]
        self.search(old, limit=1000).unlink()


def _looks_like_xml(file) -> bool:
    """Tell whether a file is to be read: by its name, or because it begins like one."""
    return file.fname.lower().endswith(".xml") or file.content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml")


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def _message_route_process(self, message, message_dict, routes):
        # EXTENDS mail: it decodes files of text with the mail's idea of their encoding, and what is signed are bytes.
        # They travel in the context, as other routes of the same mail have a right to the files that Odoo made.
        if any(model in ("dte.mail", "dte.exchange") for model, *_rest in routes or ()):
            threads = self.with_context(dte_mail_as_sent=message)
            return super(MailThread, threads)._message_route_process(message, message_dict, routes)
        return super()._message_route_process(message, message_dict, routes)

    @api.model
    def _dte_files_as_sent(self, attachments: list) -> list:
        """Return the files of the mail that is being delivered with the bytes that were sent, else `attachments`."""
        message = self.env.context.get("dte_mail_as_sent")
        if message is None:
            return attachments
        files = []
        for part in message.walk():
            name = part.get_filename()
            if part.is_multipart() or not (name or part.get_content_type().endswith("xml")):
                continue
            files.append(self._Attachment(name or "adjunto.xml", part.get_payload(decode=True) or b"", {}))
        return files

    @api.model
    def _dte_with_files_as_sent(self, values: dict) -> dict:
        """Return what a mail is posted with, but for files that were decoded into text: those as they were sent."""
        sent, attachments = {}, values.get("attachments") or []
        for file in self._dte_files_as_sent([]):
            sent.setdefault(file.fname, []).append(file.content)
        kept = []
        for fname, content, *info in attachments:
            # Files of one name stand in one order in both.
            found = sent.get(fname)
            kept.append(self._Attachment(fname, found.pop(0) if found else content, *(info or ({},))))
        return {**values, "attachments": kept}
