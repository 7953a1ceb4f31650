# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The only way out: claim, commit, upload with no transaction open, commit what is known, then tell people."""

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import config

from ..libs.credentials import Credentials
from ..libs.exceptions import (
    ConfigurationError,
    DteError,
    NotDelivered,
    PermanentError,
)
from ..libs.sii_soap_client import SiiClient, UploadReceipt
from . import dte_messages
from .dte_document import SENDABLE
from .dte_document_hold import DRAIN_ORDER
from .dte_document_send import FRESH_ORDER, RETRY_ORDER

_logger = logging.getLogger(__name__)

# The SII publishes no limit; above this its form is known to be slow.
MAX_BYTES = 1_000_000
# How often the result of an upload is written before it is left to the reconciliation.
RECORD_TRIES = 5
# Halves tried in one turn, should others be at work on the first ones.
HALVES_LIMIT = 10
# Between two questions about bytes whose second copy was refused.
PATIENCE = timedelta(hours=1)
# What a request needs besides the upload itself, in seconds.
_ROOM = 30


@dataclass(frozen=True)
class Line:
    """An open line to the SII: a logged-in client and the key that signs envelopes, for one company and one run."""

    client: SiiClient
    credentials: Credentials


@dataclass(frozen=True)
class Parcel:
    """All that an upload needs, read before its transaction ends."""

    sender_rut: str
    company_rut: str
    file_name: str
    content: bytes
    attempt: int


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    def _register_hook(self):
        super()._register_hook()
        # UPLOAD_SECONDS of a company may be changed; the default tells whether the server's limits fit at all.
        needed = self.env["res.company"]._fields["dte_upload_seconds"].default(self) + _ROOM
        limits = [config["limit_time_real"], config["limit_time_real_cron"]]
        if config["workers"] and any(0 < limit < needed for limit in limits):
            _logger.warning(
                "dte_time_limit_low limit_time_real=%s limit_time_real_cron=%s needed=%s: a slow answer of the SII "
                "would cost the process",
                *limits, needed,
            )  # fmt: skip

    # -- a person sends --

    @api.model
    def _deliver(self, documents):
        """Send documents now because a person asked, envelope after envelope. Commits; call it last in a request.

        Documents that wait for another one, are on their way or belong to another environment stay where they are.

        :raises UserError: when a company cannot log in at the SII, after the others were served
        """
        problems = []
        for company, group in documents.grouped("company_id").items():
            try:
                self.with_company(company)._deliver_for(company, group)
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))

    def _deliver_for(self, company, documents):
        documents._fail_notes_of_rejected()
        self.env["dte.pause"]._resume(company, company.dte_environment)
        self.env["ir.cron"]._commit_progress()
        documents._tell_and_commit()
        if self.env["dte.contingency"]._is_on(company):
            documents._hold_asked(company)
            return
        domain = documents._sendable_domain(company, (*SENDABLE, "contingency")) & Domain("id", "in", documents.ids)
        halves = documents.split_envio_id.filtered_domain(self._planned_domain(company))
        foreign = documents.filtered_domain(documents._ask_first_domain(company))
        if not halves and not foreign and not documents.search_count(domain, limit=1):
            return
        environment = company.dte_environment
        line = self._open_line_for_person(company, documents, foreign)
        if not line or company.dte_environment != environment:
            return
        for half in halves:
            half._claim_half(line.credentials)._send(line.client)
        tried = documents.browse()
        while envio := self._claim(company, domain & Domain("id", "not in", tried.ids), line.credentials):
            tried |= envio.document_ids
            envio._send(line.client)
            if envio._is_company_stuck():
                break
        if self.env["dte.contingency"]._is_on(company):
            documents._hold_asked(company)

    def _open_line_for_person(self, company, documents, foreign) -> Line | None:
        """Log in and ask what must be asked first; None when that made the company go into contingency.

        :raises UserError: it cannot log in
        """
        problems = company._dte_find_problems()
        if problems:
            raise UserError("\n".join(company._dte_describe_problem(problem) for problem in problems))
        try:
            line = self._open_line(company)
            self._ask_about_foreign(foreign, line)
        except DteError as error:
            # What the breaker wrote meanwhile is seen by a new transaction.
            self.env["ir.cron"]._commit_progress()
            if self.env["dte.contingency"]._is_on(company):
                documents._hold_asked(company)
                return None
            text = dte_messages.describe_error(self.env, error)
            if isinstance(error, NotDelivered):
                text += " " + self.env._("The documents are kept and leave by themselves when it answers again.")
            raise UserError(text) from error
        return line

    def _open_line(self, company) -> Line:
        """Log in, which is met before anything is claimed.

        :raises DteError: the certificate cannot be used, or the SII cannot be asked
        """
        client = company._dte_client(company.dte_environment)
        client.authenticate()
        return Line(client, company._dte_load_credentials())

    def _is_company_stuck(self) -> bool:
        """Tell whether the next envelope would fare the same: the SII is away or does not let us send."""
        return (
            self.state not in ("sent", "planned") and self.message_code != "sii_upload_refused" and bool(self.attempts)
        )

    # -- claiming --

    def _claim_fresh(self, company, credentials):
        return self._claim(company, self.env["dte.document"]._fresh_domain(company), credentials)

    def _claim_retry(self, company, credentials):
        return self._claim(company, self.env["dte.document"]._retry_domain(company), credentials, RETRY_ORDER)

    def _claim_held(self, company, credentials, size: int | None = None):
        """Claim for the drain, which alone passes the hold: halves of refused envelopes first."""
        half = self._claim_half_of(company, credentials, passes=True)
        domain = self.env["dte.document"]._held_domain(company)
        return half or self._claim(company, domain, credentials, DRAIN_ORDER, size, passes=True)

    def _claim(self, company, domain, credentials, order=FRESH_ORDER, size: int | None = None, passes: bool = False):
        """Lock documents, oldest first, put their bytes into a signed envelope and mark them as being sent.

        :param size: how many at most, as the company's setting says by default
        :param passes: whether contingency does not hold these back
        """
        if not passes and self.env["dte.contingency"]._is_on(company):
            return self.browse()
        due = self.env["dte.document"].search(domain, order=order, limit=size or company.dte_envio_size)
        # allow_referencing: a colleague who is just posting a note to one of them does not hold it back
        locked = due.try_lock_for_update(allow_referencing=True)
        claimed, xml_size = due.browse(), 0
        for document in locked:
            xml_size += document.backup_id.xml_size
            if claimed and xml_size > MAX_BYTES:
                break
            claimed |= document
        return self._load(company, claimed, credentials) if claimed else self.browse()

    @api.model
    def _planned_domain(self, company) -> Domain:
        return (
            Domain("company_id", "=", company.id)
            & Domain("environment", "=", company.dte_environment)
            & Domain("state", "=", "planned")
        )

    def _claim_half_of(self, company, credentials, passes: bool = False):
        if not passes and self.env["dte.contingency"]._is_on(company):
            return self.browse()
        for half in self.search(self._planned_domain(company), order="id", limit=HALVES_LIMIT):
            if claimed := half._claim_half(credentials):
                return claimed
        return self.browse()

    def _claim_half(self, credentials):
        """Build the envelope of documents that were reserved for it; empty when others are at it or none is left."""
        half = self.try_lock_for_update()
        reserved = half.document_ids.filtered(
            lambda document: document.split_envio_id == half and document.state == "to_send"
        )
        documents = reserved.try_lock_for_update(allow_referencing=True)
        if not half or documents != reserved:
            return self.browse()
        if not documents:
            half.write({"state": "not_delivered", "document_count": 0})
            return self.browse()
        return half._fill(documents.sorted(lambda document: (document.signed_at, document.id)), credentials)

    # -- uploading --

    def _send(self, client):
        """Send a claimed envelope and record the result. Commits twice, and once more to tell people."""
        if not self:
            return
        self.ensure_one()
        documents = self.document_ids
        if self.state == "sending":
            with self._liveness_guard():
                self._commit_and_upload(client)
        documents._tell_and_commit()

    def _commit_and_upload(self, client, again: bool = False, known: bool = False):
        """Make the intent durable, upload, and make the result durable. The caller holds the guard.

        :param again: the same bytes may be there already
        :param known: the SII said that it has them; they go only to read their track id
        """
        parcel, company, environment = self._parcel(), self.company_id, self.environment
        # Commit 1: the intent is durable before a socket opens. Nothing is read from here on, so that no transaction is
        # open while the SII takes its time.
        self.env["ir.cron"]._commit_progress()
        try:
            with self.env["dte.sii.call"]._logged(company, environment, "upload"):
                receipt = client.upload(parcel.sender_rut, parcel.company_rut, parcel.file_name, parcel.content)
        except DteError as error:
            problem = error  # the name in the clause ends with it
            self._commit_result(parcel.attempt, lambda: self._record_problem(problem, again, known))
        else:
            self._commit_result(parcel.attempt, lambda: self._record_receipt(receipt))

    def _parcel(self) -> Parcel:
        return Parcel(
            sender_rut=self.sender_rut,
            company_rut=self.company_id.vat,
            file_name=self.content_filename,
            content=base64.b64decode(self.with_context(bin_size=False).content),
            attempt=self.attempts,
        )

    def _commit_result(self, attempt: int, record: Callable[[], None]):
        """Commit 2: what is known is durable before anything else can fail.

        Another transaction may have touched a row meanwhile. Odoo would replay the whole request, which finds the
        claim and sends nothing, so the result is written again here as long as it is still this attempt's to write.
        """
        for tries_left in reversed(range(RECORD_TRIES)):
            try:
                if self.state in ("sending", "unknown") and self.attempts == attempt:
                    record()
                self.env["ir.cron"]._commit_progress()
                return
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                self.env.cr.rollback()
                if not tries_left:
                    raise
                _logger.info("dte_result_again envio=%s", self.id)

    def _record_receipt(self, receipt: UploadReceipt):
        documents = self._on_board()
        self.write(
            {
                "state": "sent",
                "track_id": receipt.track_id,
                "answered_at": fields.Datetime.now(),
                "due_at": False,
                "message_code": False,
                "message_params": False,
                # The id of the first copy; quoted at the second upload it can be no other's.
                "twice": self.twice and not (receipt.duplicate and self.attempts == 2),
            }
        )
        documents._set_state("sent", failures=0, retry_at=False, error_type=False)

    def _record_problem(self, error: DteError, again: bool, known: bool):
        """Record an upload that brought no receipt, by what the error proves."""
        certain = isinstance(error, (ConfigurationError, PermanentError, NotDelivered))
        hopeless = isinstance(error, PermanentError) and self._is_doubt_over(self.first_attempted_at)
        if isinstance(error, ConfigurationError):
            self.env["dte.pause"]._begin(self.company_id, self.environment, error.code, error.params, self)
        if known:
            self._record_known()
        elif not certain or (again and not hopeless):
            # An earlier upload of these bytes is still without an answer, whatever became of this one.
            self._record_unknown(error)
        elif isinstance(error, ConfigurationError):
            # Nothing is wrong with the documents: they go when the permission is there.
            self._record_end("refused", error)._set_state("to_send", error.code, error.params, error_type="certificate")
        elif isinstance(error, PermanentError):
            self._record_refusal(error)
        else:
            self._record_end("not_delivered", error)._record_failure(error)

    def _record_end(self, state: str, error: DteError):
        """Close the envelope without a receipt and return its documents."""
        documents = self._on_board()
        self.write({"state": state, "due_at": False, **self._error_values(error)})
        return documents

    def _record_refusal(self, error: DteError):
        documents = self._record_end("refused", error)
        if len(documents) > 1:
            self._split(documents)
        else:
            documents._set_state("failed", error.code, error.params, error_type=error.error_type)

    def _record_unknown(self, error: DteError):
        documents = self._on_board()
        due_at = self._resend_moment(self.company_id, self.first_attempted_at, self.attempted_at)
        if isinstance(error, PermanentError):
            # These bytes will not pass now; what became of the first ones is asked in peace.
            due_at = fields.Datetime.now() + PATIENCE
        self.write({"state": "unknown", "due_at": due_at, **self._error_values(error)})
        self._wake_job(self.company_id, due_at)
        documents._set_state("unknown", error.code, error.params, error_type=error.error_type)

    def _error_values(self, error: DteError) -> dict:
        return {
            "message_code": error.code,
            "message_params": error.params or False,
            "answered_at": fields.Datetime.now(),
        }
