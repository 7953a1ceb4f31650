# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What is done about an upload without an answer: ask the SII first, and upload nothing but the same bytes again.

The SII answers the same bytes within 900 seconds with the track id of the first copy (STATUS 99), so they go again
before that time is over. FAU ("not received") proves nothing for hours, so it never allows more than that.
"""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..libs.exceptions import DteError, NotDelivered
from ..libs.sii_status import DOCUMENT_STATES, Outcome
from . import dte_messages
from .dte_document import SENDABLE

_logger = logging.getLogger(__name__)

# The same bytes go again at the latest so long after the first time: the SII remembers them for 15 minutes.
WINDOW = timedelta(minutes=13)
# An upload that nobody records any more is certainly over so long after its own time limit.
MARGIN = timedelta(seconds=60)
# When the SII could not be asked.
ASK_AGAIN = timedelta(minutes=3)
# Documents of an envelope asked about, one after the other, until the SII knows one.
QUESTIONS = 3
RECONCILE_LIMIT = 200


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    @api.model
    def _resend_moment(self, company, first, last):
        """Return when bytes that the SII does not seem to know may go again, in UTC.

        :param first: when they were uploaded first
        :param last: when they were uploaded last
        """
        grace = last + timedelta(minutes=company.dte_grace_minutes)
        over = last + timedelta(seconds=company.dte_upload_seconds) + MARGIN
        return max(min(grace, first + WINDOW), over)

    @api.model
    def _reconcile_due(self, company=None):
        """Ask about every upload without an answer whose time has come, of one company or of all, one commit each."""
        now = fields.Datetime.now()
        answering = self.env["dte.contingency"]._answering_domain()
        if company is not None:
            answering &= Domain("company_id", "=", company.id)
        is_due = Domain("due_at", "=", False) | Domain("due_at", "<=", now)
        due = self.search(
            Domain("state", "in", ("sending", "unknown")) & is_due & answering,
            order="due_at, id",
            limit=RECONCILE_LIMIT,
        )
        sending = Domain("state", "=", "sending") & Domain("id", "not in", due.ids) & answering
        orphans = self.search(sending, order="id", limit=RECONCILE_LIMIT)
        clients, away = {}, set()
        for envio in due | orphans:
            line = (envio.company_id.id, envio.environment)
            if line not in away and not envio._reconcile_safely(clients):
                away.add(line)
            if not self.env["ir.cron"]._commit_progress():
                return

    def _reconcile_safely(self, clients: dict) -> bool:
        """Find out about one envelope; whatever goes wrong costs no other one its turn. False: the SII is away."""
        try:
            self._reconcile(clients)
        except DteError as error:
            _logger.warning("dte_reconcile_not_possible envio=%s reason=%s", self.id, error)
            self.env.cr.rollback()
            self._ask_later()
            return error.error_type not in ("connection", "timeout", "certificate")
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            _logger.info("dte_reconcile_later envio=%s", self.id)
            self.env.cr.rollback()
        except Exception:
            _logger.exception("dte_reconcile_failed envio=%s", self.id)
            self.env.cr.rollback()
        return True

    def _reconcile_and_commit(self):
        """Ask about these now, because a person wants to know. Commits.

        :raises UserError: when the SII cannot be asked
        """
        clients = {}
        for envio in self.filtered(lambda envio: envio.state in ("sending", "unknown")):
            try:
                envio._reconcile(clients)
            except DteError as error:
                raise UserError(dte_messages.describe_error(self.env, error)) from error
            self.env["ir.cron"]._commit_progress()

    def _reconcile(self, clients: dict):
        """Find out what became of an upload. Does nothing while its sender lives. Commits.

        :param clients: see `_poll`
        :raises DteError: when the SII could not be asked
        """
        self.ensure_one()
        with self._liveness_guard() as free:
            if not free:
                return
            # Nobody else moves it while we hold the guard; what was read before may be old.
            self.env["ir.cron"]._commit_progress()
            self.env.invalidate_all()
            if self.state not in ("sending", "unknown"):
                return
            if self.state == "sending":
                self._note_orphan()
            else:
                # Asked later, not first of all, should this process be killed while the SII lets it wait.
                self._ask_later()
                self.env["ir.cron"]._commit_progress()
            if not self._on_board():
                # Its documents went on without it, by a restore from the archive: these bytes are nobody's any more.
                self.write({"state": "not_delivered", "due_at": False})
                return
            client = self._client_of_run(clients)
            if self._is_known(client):
                self._read_track_id(client)
            elif fields.Datetime.now() < self._next_upload_at():
                self.due_at = self._next_upload_at()
                self._wake_job(self.company_id, self.due_at)
            else:
                self._upload_again(client)
        self.document_ids._tell_and_commit()

    def _next_upload_at(self):
        return self._resend_moment(self.company_id, self.first_attempted_at, self.attempted_at)

    def _note_orphan(self):
        """Record that the sender died: its outcome is unknown from now on. Commits."""
        _logger.warning("dte_sender_died envio=%s", self.id)
        documents = self._on_board()
        self.state = "unknown"
        documents._set_state("unknown", "sender_died", error_type="unknown")
        self.env["ir.cron"]._commit_progress()

    def _ask_later(self):
        self.due_at = fields.Datetime.now() + ASK_AGAIN

    def _is_known(self, client) -> bool:
        """Tell whether the SII has one of the documents with our signature.

        Any answer but "not received" means that it has; a question that the SII did not understand is none.

        :raises DteError: no document could be asked about
        """
        problem = None
        for document in self._on_board()[:QUESTIONS]:
            try:
                if document._is_at_sii(client, self.sender_rut):
                    return True
            except DteError as error:
                if error.error_type in ("connection", "timeout"):
                    raise
                problem = error
        if problem:
            raise problem
        return False

    def _read_track_id(self, client):
        """Upload the same bytes once more inside the SII's memory, only to read the id; else do without it. Commits."""
        if self.content and fields.Datetime.now() < self.first_attempted_at + WINDOW:
            self._upload_again(client, known=True)
            return
        self._record_known()
        self.env["ir.cron"]._commit_progress()

    def _record_known(self):
        """Record that the SII has it under a track id that nobody will ever know."""
        documents = self._on_board()
        self.write({"state": "sent", "due_at": False, "answered_at": fields.Datetime.now(), "message_code": False})
        documents._set_state("sent", failures=0, retry_at=False, error_type=False)

    def _upload_again(self, client, known: bool = False):
        """Upload the same bytes again, as one more attempt. The caller holds the guard. Commits."""
        now = fields.Datetime.now()
        self.write(
            {
                "state": "sending",
                "twice": self.twice or now > self.first_attempted_at + WINDOW,
                "attempts": self.attempts + 1,
                "attempted_at": now,
                "due_at": self._resend_moment(self.company_id, self.first_attempted_at, now),
            }
        )
        self._on_board()._set_state("sending")
        self._commit_and_upload(client, again=True, known=known)

    @api.model
    def _ask_about_foreign(self, documents, line):
        """Ask about documents that somebody else may have sent: those that the SII has are followed, not sent. Commits.

        :raises DteError: when the SII could not be asked
        """
        for document in documents:
            try:
                is_there = document._is_at_sii(line.client, line.credentials.holder_rut)
            except DteError as error:
                if error.error_type in ("connection", "timeout", "certificate"):
                    raise
                # This question was not understood; the others may be, and this one waits for its next turn.
                _logger.warning("dte_question_failed document=%s reason=%s", document.id, error)
                document.retry_at = fields.Datetime.now() + ASK_AGAIN
                self.env["ir.cron"]._commit_progress()
                continue
            if not document.try_lock_for_update() or document.state not in SENDABLE:
                continue
            document.ask_first = False
            if is_there:
                self._follow_foreign(document, line)
            self.env["ir.cron"]._commit_progress()
            document._tell_and_commit()

    def _follow_foreign(self, document, line):
        now = fields.Datetime.now()
        envio = self.create(
            {
                "company_id": document.company_id.id,
                "environment": document.environment,
                "state": "sent",
                "sender_rut": line.credentials.holder_rut,
                "document_ids": [(6, 0, document.ids)],
                "document_count": 1,
                "attempts": 1,
                "first_attempted_at": now,
                "attempted_at": now,
                "answered_at": now,
            }
        )
        document._set_state("sent", envio_id=envio.id, failures=0, retry_at=False, error_type=False)


class DteDocument(models.Model):
    _inherit = "dte.document"

    def _is_at_sii(self, client, asker_rut: str) -> bool:
        """Ask whether the SII has this document, or anything else under its folio. Errors as `_standing`."""
        return self._standing(client, asker_rut) != "nothing"

    def _standing(self, client, asker_rut: str) -> str:
        """Ask what the SII has under the folio: `nothing`, `ours` (accepted, with our signature) or `something`.

        :raises DteError: the question was not answered
        """
        for ask, accepted in ((self._ask_signed, "ours"), (self._ask_plain, "something")):
            status = ask(client, asker_rut)
            meaning = DOCUMENT_STATES.get(status.state)
            if meaning and meaning.outcome is Outcome.NOT_RECEIVED:
                return "nothing"
            if meaning and meaning.outcome is Outcome.ACCEPTED:
                return accepted
            if (meaning and meaning.outcome is Outcome.REJECTED) or status.state == "DNK":
                return "something"
        raise NotDelivered("sii_question_failed", error_type="unavailable", sii_code=status.state, sii_text=status.text)

    def _ask_signed(self, client, _asker_rut):
        """Ask by the document's signature: the answer is about these bytes and no other version."""
        signature = self._signature_value(self._xml())
        with self.env["dte.sii.call"]._logged(self.company_id, self.environment, "document_status"):
            return client.document_status_signed(self._question(), signature)

    def _ask_plain(self, client, asker_rut):
        with self.env["dte.sii.call"]._logged(self.company_id, self.environment, "document_status"):
            return client.document_status(asker_rut, self._question())
