# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL

from ..libs import sii_result_mail
from ..libs.exceptions import XmlError
from ..libs.sii_result_mail import EnvelopeResult

_logger = logging.getLogger(__name__)

# Files of one mail that are looked at; the SII attaches one.
FILES = 5
# How often a mail that meets the job at the same envelope is taken again, and how long it waits each time.
TRIES = 3
LOCK_WAIT = "5s"
# However many mails come, the SII is not asked about the same envelope more often than this: soon after the upload,
# and later.
SOON, LATER = timedelta(minutes=1), timedelta(minutes=5)


class DteResultMail(models.AbstractModel):
    """Where a mailbox for nothing but the SII's result mails is delivered: only the reasons that they give are kept.
    What comes to the company's address for electronic documents goes through `dte.mail`, whoever it is from.

    Anybody can write such a mail, so it decides nothing: it makes the system ask the SII at once, and its reasons are
    shown where they fit the SII's verdict. What cannot be used is logged and dropped; nobody is written back to.
    """

    _name = "dte.result.mail"
    _description = "Result Mails of the SII"
    _inherit = ["mail.thread"]

    @api.model
    def message_new(self, msg_dict, custom_values=None):
        """Read a mail that the gateway delivers.

        :param custom_values: `company_id` when the mail came to the alias of a company
        :return: no record
        """
        # Only the gateway, which works with all rights, delivers mail.
        self.env["dte.envio"].check_access("write")
        company_id = (custom_values or {}).get("company_id")
        message_id = msg_dict.get("message_id")
        try:
            with self.env.cr.savepoint():
                self._take(self._results(msg_dict), company_id, message_id)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("dte_result_mail_lost message_id=%s reason=concurrency", message_id)
        except Exception:
            # An error here would be answered with a mail to a sender who may not be the one it says.
            _logger.exception("dte_result_mail_failed message_id=%s", message_id)
        return self.browse()

    def message_post(self, **kwargs):
        """Keep nothing: there is no record to which the mail belongs."""
        return self.env["mail.message"]

    def _results(self, msg_dict: dict) -> list[EnvelopeResult]:
        results = []
        for attachment in msg_dict.get("attachments", [])[:FILES]:
            if not isinstance(attachment.content, (bytes, str)):
                continue
            try:
                results.append(sii_result_mail.read_result(attachment.content))
            except XmlError as error:
                _logger.info(
                    "dte_result_mail_unreadable message_id=%s reason=%s", msg_dict.get("message_id"), error.code
                )
        if not results:
            _logger.info("dte_result_mail_ignored message_id=%s reason=no_result", msg_dict.get("message_id"))
        return results

    def _take(self, results: list[EnvelopeResult], company_id: int | None, message_id: str):
        for result in results:
            envio = self._find_envio(result, company_id)
            if envio:
                _logger.info("dte_result_mail_received envio=%s message_id=%s", envio.id, message_id)
                envio._take_result_safely(result)
            else:
                _logger.info(
                    "dte_result_mail_ignored message_id=%s reason=unknown_envelope track_id=%s",
                    message_id, result.track_id,
                )  # fmt: skip

    def _find_envio(self, result: EnvelopeResult, company_id: int | None):
        """Return the envelope that fits in everything that a mail says about it."""
        domain = Domain("track_id", "=", result.track_id)
        if company_id:
            domain &= Domain("company_id", "=", company_id)
        envios = (
            self.env["dte.envio"]
            .search(domain)
            .filtered(
                lambda envio: (
                    set(envio.document_ids.mapped("issuer_rut")) == {result.issuer_rut}
                    and envio.sender_rut in (False, result.sender_rut)
                )
            )
        )
        # The same number may have been given in another environment, long ago.
        return envios.sorted(lambda envio: envio.environment != envio.company_id.dte_environment)[:1]


class DteMail(models.Model):
    _inherit = "dte.mail"

    def _readers(self) -> dict:
        # EXTENDS: the SII writes to the same address as the customers
        return {**super()._readers(), sii_result_mail.ROOT: self._read_result}

    def _codes_of_use(self) -> set:
        return {*super()._codes_of_use(), "result_taken"}

    @api.model
    def _read_result(self, mail, name: str, xml: bytes) -> list:
        """Take a RESULTADO_ENVIO: see `DteResultMail`."""
        result = sii_result_mail.read_result(xml)
        envio = self.env["dte.result.mail"]._find_envio(result, mail.company_id.id)
        params = {"file": name, "track_id": result.track_id}
        if not envio:
            return [("result_unknown_envelope", params)]
        envio._take_result_safely(result)
        return [("result_taken", params)]


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    # What the last result mail said: counts (informed, accepted, objected, rejected) and listed ([type, folio]).
    mailed = fields.Json(readonly=True)

    def _take_result_safely(self, result: EnvelopeResult):
        """Take a result mail; when another process changes the same rows, again in transactions of its own.

        Odoo's mail servers do not deliver a mail again, and its own transaction never sees what the other one did.

        :raises OperationalError: a conflict of the last try
        """
        try:
            with self.env.cr.savepoint():
                self._take_result(result)
            return
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("dte_result_mail_again envio=%s", self.id)
        for left in reversed(range(TRIES)):
            try:
                with self.env.registry.cursor() as cr:
                    # The mail's own transaction may hold the row: it cannot be waited for.
                    cr.execute(SQL("SELECT set_config('lock_timeout', %s, true)", LOCK_WAIT))
                    self.with_env(self.env(cr=cr))._take_result(result)
                return
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                if not left:
                    raise
                _logger.info("dte_result_mail_again envio=%s", self.id)

    def _take_result(self, result: EnvelopeResult):
        """Attach the reasons of a result mail to the documents, and ask the SII whether it is so."""
        self.ensure_one()
        texts = {(document.dte_type, document.folio): document.details for document in result.documents}
        # A document that left again since waits for the result of another envelope.
        for document in self.document_ids.filtered(lambda document: document.envio_id == self):
            found = texts.get((int(document.dte_type), document.folio), ()) + result.errors
            if found:
                document._set_reasons(document._fitting_reasons(found))
        names = ("informed", "accepted", "objected", "rejected")
        self.mailed = {
            "counts": [sum(getattr(count, name) for count in result.counts) for name in names],
            "listed": [[document.dte_type, document.folio] for document in result.documents],
        }
        self._settle_repairs()
        self._poll_soon()

    def _settle_repairs(self):
        """Take the doubt about repairs from the documents that the mail does not list, once the SII's counts agree.

        The mail and the verdict come in any order, so this is done after each of them.
        """
        if not self.mailed or not self._agrees_with_mail():
            return
        listed = self._mailed_documents()
        self.document_ids.filtered(
            lambda document: (
                document.envio_id == self
                and document.repairs_unknown
                and not document.reason_ids
                and (int(document.dte_type), document.folio) not in listed
            )
        ).repairs_unknown = False

    def _mailed_documents(self) -> set:
        return {(dte_type, folio) for dte_type, folio in self.mailed["listed"]}

    def _agrees_with_mail(self) -> bool:
        """Tell whether the mail says the same as the SII's own counts, in numbers and in documents."""
        told = [self.informed, self.accepted, self.objected, self.rejected]
        rejected = self.document_ids.filtered(lambda document: document.state == "rejected")
        listed = self._mailed_documents()
        return (
            self.state == "processed"
            and not self.twice
            and bool(self.informed)
            and told == self.mailed["counts"]
            and len(listed) == self.objected + self.rejected
            and {(int(document.dte_type), document.folio) for document in rejected} <= listed
        )

    def _poll_soon(self):
        """Let the job ask about the envelope now, because something says that the SII has made up its mind."""
        now = fields.Datetime.now()
        distance = SOON if self._is_fresh() else LATER
        moment = max(now, self.polled_at + distance) if self.polled_at else now
        # A lock means that it is being asked about now.
        if not self.try_lock_for_update() or self.state != "sent":
            return
        if not self.next_poll_date or self.next_poll_date > moment:
            self.next_poll_date = moment
            self._wake_poller(self.company_id, moment)
