# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import logging
from contextlib import contextmanager

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from ..const import ENVIRONMENTS, GUARD_ENVIO
from ..libs import envio as envio_lib
from ..libs.exceptions import (
    ConfigurationError,
    DeliveryUnknown,
    DteError,
    NotDelivered,
    PermanentError,
)
from ..libs.sii_answers import DocumentStatus, EnvelopeStatus, TypeCount
from ..libs.sii_status import Outcome
from . import dte_messages

_logger = logging.getLogger(__name__)

STATES = [
    ("sending", "Sending"),
    ("sent", "Sent, waiting for the SII"),
    ("unknown", "Outcome unknown"),
    ("not_delivered", "Not delivered"),
    ("refused", "Refused at upload"),
    ("processed", "Processed"),
    ("rejected", "Rejected as a whole"),
]

# The SII publishes no limit; above this its form is known to be slow.
MAX_BYTES = 1_000_000

# Envelopes asked about in one run of the cron, between two commits each.
POLL_LIMIT = 200


class DteEnvio(models.Model):
    """One upload: the exact bytes, and what became of them.

    `_deliver` is the only way out. It commits the claim before a socket opens, uploads with no transaction open, and
    commits what is known at once; messages to people come after that.
    """

    _name = "dte.envio"
    _description = "Envelope of Electronic Documents"
    _order = "id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    state = fields.Selection(STATES, required=True, readonly=True, default="sending", index=True)
    content = fields.Binary(string="XML", required=True, readonly=True, attachment=False)
    content_filename = fields.Char(compute="_compute_content_filename")
    sha256 = fields.Char(string="SHA-256", required=True, readonly=True)
    sender_rut = fields.Char(string="Sender RUT", required=True, readonly=True)
    track_id = fields.Char(string="Track ID", readonly=True, index="btree_not_null")
    document_ids = fields.Many2many("dte.document", string="Documents", readonly=True)
    document_count = fields.Integer(readonly=True, aggregator="sum")
    attempted_at = fields.Datetime(string="Sent On", readonly=True)
    answered_at = fields.Datetime(string="Answered On", readonly=True)
    sii_state = fields.Char(string="SII Code", readonly=True)
    sii_text = fields.Char(string="SII Text", readonly=True)
    polled_at = fields.Datetime(string="Last Asked On", readonly=True)
    message_code = fields.Char(readonly=True)
    message_params = fields.Json(readonly=True)
    message = fields.Text(compute="_compute_message")
    informed = fields.Integer(readonly=True, aggregator="sum")
    accepted = fields.Integer(readonly=True, aggregator="sum")
    objected = fields.Integer(readonly=True, aggregator="sum")
    rejected = fields.Integer(readonly=True, aggregator="sum")

    @api.depends("track_id")
    def _compute_display_name(self):
        for envio in self:
            envio.display_name = envio.track_id or self.env._("Envelope %s", envio.id)

    @api.depends("company_id")
    def _compute_content_filename(self):
        for envio in self:
            envio.content_filename = f"envio_{envio.id}.xml"

    @api.depends("message_code", "message_params")
    @api.depends_context("lang")
    def _compute_message(self):
        for envio in self:
            envio.message = envio.message_code and dte_messages.describe(
                self.env, dte_messages.ERRORS, envio.message_code, envio.message_params
            )

    def _timeline_entries(self) -> list:
        """Return (UTC datetime, sentence) of what happened to the envelope, oldest first."""
        self.ensure_one()
        entries = []
        if self.attempted_at:
            entries.append(
                (self.attempted_at, self.env._("Sent to the SII in an envelope of %s.", self.document_count))
            )
        if self.answered_at and self.track_id:
            entries.append((self.answered_at, self.env._("Received by the SII with track id %s.", self.track_id)))
        elif self.answered_at and self.message:
            entries.append((self.answered_at, self.message))
        if self.polled_at and self.sii_state:
            state = " ".join(filter(None, (self.sii_state, self.sii_text)))
            entries.append((self.polled_at, self.env._("The SII answers: %s.", state)))
        return entries

    # -- delivery --

    @api.model
    def _deliver(self, documents):
        """Send documents that may leave, envelope after envelope. Commits; call it last in a request.

        Documents that wait for another one, are on their way or belong to another environment stay where they are.

        :raises UserError: when the SII cannot be logged in to; the documents are untouched
        """
        for company, group in documents.grouped("company_id").items():
            self.with_company(company)._deliver_for(company, group)

    def _deliver_for(self, company, documents):
        documents._fail_notes_of_rejected()
        domain = documents._sendable_domain(company) & Domain("id", "in", documents.ids)
        if not documents.search_count(domain, limit=1):
            return
        try:
            client = company._dte_client(company.dte_environment)
            client.authenticate()
            credentials = company._dte_load_credentials()
        except DteError as error:
            raise UserError(dte_messages.describe_error(self.env, error)) from error
        tried = documents.browse()
        while envio := self._claim(company, domain & Domain("id", "not in", tried.ids), credentials):
            tried |= envio.document_ids
            envio._send(client)
            if envio.state != "sent" and envio.message_code != "sii_upload_refused":
                # The next envelope would fare the same: the SII is away or does not let us send.
                return

    def _send(self, client):
        """Send a claimed envelope and record the result. Commits twice."""
        self.ensure_one()
        with self._liveness_guard():
            # Commit 1: the intent is durable before a socket opens, and holds nothing else.
            self.env["ir.cron"]._commit_progress()
            self._upload(client)
        self._tell_people()

    def _claim(self, company, domain, credentials):
        """Lock documents, oldest first, put their bytes into a signed envelope and mark them as being sent."""
        due = self.env["dte.document"].search(domain, order="signed_at, id", limit=company.dte_envio_size)
        locked = due.try_lock_for_update()
        claimed, contents, size = due.browse(), [], 0
        for document in locked:
            xml = document._xml()
            if contents and size + len(xml) > MAX_BYTES:
                break
            claimed |= document
            contents.append(xml)
            size += len(xml)
        if not claimed:
            return self.browse()
        number, day = company._dte_resolution()
        caratula = envio_lib.Caratula(
            issuer_rut=company.vat,
            sender_rut=credentials.holder_rut,
            resolution_date=day,
            resolution_number=number,
            signed_at=company._dte_now(),
        )
        content = envio_lib.build_envio(caratula, contents, credentials)
        envio = self.create(
            {
                "company_id": company.id,
                "environment": company.dte_environment,
                "content": base64.b64encode(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "sender_rut": credentials.holder_rut,
                "document_ids": [(6, 0, claimed.ids)],
                "document_count": len(claimed),
                "attempted_at": fields.Datetime.now(),
            }
        )
        claimed._set_state("sending", envio_id=envio.id)
        return envio

    @contextmanager
    def _liveness_guard(self):
        """Hold a lock that dies with this process, to tell a slow sender from a dead one. Yield whether it was free.

        The lock belongs to the session of a second connection, so no transaction stays open during the upload.
        """
        self.ensure_one()
        with self.env.registry.cursor() as cr:
            cr.execute("SELECT pg_try_advisory_lock(%s, %s)", (GUARD_ENVIO, self.id))
            free = cr.fetchone()[0]
            cr.commit()  # pylint: disable=invalid-commit
            try:
                yield free
            finally:
                try:
                    cr.execute("SELECT pg_advisory_unlock(%s, %s)", (GUARD_ENVIO, self.id))
                except psycopg2.Error:
                    # The connection is gone, and the lock with it.
                    _logger.warning("dte_guard_connection_lost envio=%s", self.id)

    def _upload(self, client):
        """Send the bytes of the row and commit what is known. Any error that is not listed leaves `sending`."""
        self.ensure_one()
        content = base64.b64decode(self.with_context(bin_size=False).content)
        company = self.company_id
        try:
            with self.env["dte.sii.call"]._logged(company, self.environment, "upload"):
                receipt = client.upload(self.sender_rut, company.vat, self.content_filename, content)
        except ConfigurationError as error:
            # Nothing is wrong with the documents: they go when the permission is there.
            self._record("refused", "to_send", error)
        except PermanentError as error:
            self._record("refused", "failed", error)
        except NotDelivered as error:
            self._record("not_delivered", "retry", error)
        except DeliveryUnknown as error:
            self._record("unknown", "unknown", error)
        else:
            self.write({"state": "sent", "track_id": receipt.track_id, "answered_at": fields.Datetime.now()})
            self.document_ids._set_state("sent")
        # Commit 2: the result is durable before anything else can fail.
        self.env["ir.cron"]._commit_progress()

    def _record(self, state: str, document_state: str, error: DteError):
        values = {"message_code": error.code, "message_params": error.params or False}
        self.write({"state": state, "answered_at": fields.Datetime.now(), **values})
        self.document_ids._set_state(document_state, error.code, error.params)

    def _tell_people(self):
        """Note the result in the archive and on the invoices, in a transaction of its own that may fail."""
        try:
            if self.track_id:
                backups = self.document_ids.backup_id.filtered(lambda backup: not backup.track_id)
                backups.write({"track_id": self.track_id, "sent_date": self.attempted_at})
            self._log_on_invoices(self.document_ids)
            self.env["ir.cron"]._commit_progress()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            # The result itself is committed; only the note on the invoice is missing.
            _logger.warning("dte_note_skipped envio=%s", self.id)
            self.env.cr.rollback()

    def _log_on_invoices(self, documents):
        for document in documents.filtered("move_id"):
            # The note is read by people of the company, whoever or whatever job writes it.
            move = document.move_id
            own = document.with_context(lang=move.invoice_user_id.lang or move.company_id.partner_id.lang)
            move._message_log(body=f"{own.display_name}: {own._explain()}")

    # -- status --

    def action_check_status(self):
        """Ask the SII now about these envelopes. Commits."""
        self.check_access("read")
        # sudo: users see envelopes but write none; the answer is written in their name
        envios = self.sudo()
        envios.filtered(lambda envio: envio.state == "sent")._poll_and_commit()
        return envios.document_ids._report()

    @api.model
    def _cron_check_status(self):
        """Ask about every envelope that waits for a verdict, one commit each; one bad answer stops nobody."""
        due = self.search([("state", "=", "sent")], order="polled_at ASC NULLS FIRST, id", limit=POLL_LIMIT)
        left = self.env["ir.cron"]._commit_progress(remaining=len(due))
        clients = {}
        for envio in due:
            if not left:
                break
            try:
                envio._poll(clients)
                left = self.env["ir.cron"]._commit_progress(1)
            except Exception:
                _logger.exception("sii_status_query_failed envio=%s", envio.id)
                self.env.cr.rollback()
                left = self.env["ir.cron"]._commit_progress(1)

    def _poll_and_commit(self):
        clients = {}
        for envio in self:
            try:
                envio._poll(clients)
            except DteError as error:
                raise UserError(dte_messages.describe_error(self.env, error)) from error
            self.env["ir.cron"]._commit_progress()

    def _poll(self, clients: dict):
        """Ask for the state of the envelope and record it. The network comes first, the row lock after it.

        :param clients: clients of this run by company and environment, so that one token serves all
        :raises DteError: when the question could not be asked
        """
        self.ensure_one()
        company = self.company_id
        key = (company.id, self.environment)
        if key not in clients:
            clients[key] = company._dte_client(self.environment)
        client = clients[key]
        with self.env["dte.sii.call"]._logged(company, self.environment, "envelope_status"):
            status = client.envelope_status(company.vat, self.track_id)
        answers = self._document_answers(client, status)
        if not self.try_lock_for_update() or self.state != "sent":
            return
        self.write({"polled_at": fields.Datetime.now(), "sii_state": status.state, "sii_text": status.text})
        self._apply(status, answers)

    def _apply(self, status: EnvelopeStatus, answers: dict):
        outcome = status.meaning.outcome
        params = {"sii_code": status.state, "sii_text": status.text}
        documents = self.document_ids.filtered(lambda document: document.envio_id == self and document.state == "sent")
        if outcome is Outcome.PROCESSED:
            self._apply_counts(status, documents, answers)
        elif outcome is Outcome.OBJECTED:
            self.state = "processed"
            documents._set_state("objected")
        elif outcome is Outcome.REPEATED:
            self.state = "rejected"
            documents._set_state("unknown")
        elif outcome is Outcome.REJECTED and status.state == "RCT":
            # The cover is wrong, not the documents: resolution or sender must be corrected and they go again.
            self.state = "rejected"
            documents._set_state("to_send", "sii_upload_refused", params)
        elif outcome is Outcome.REJECTED:
            self.state = "rejected"
            documents._set_state("rejected", "rejected_whole", params)
        if self.state != "sent":
            self._log_on_invoices(documents)

    def _apply_counts(self, status: EnvelopeStatus, documents, answers: dict):
        self.write(
            {
                "state": "processed",
                "informed": sum(count.informed for count in status.counts),
                "accepted": sum(count.accepted for count in status.counts),
                "objected": sum(count.objected for count in status.counts),
                "rejected": sum(count.rejected for count in status.counts),
            }
        )
        counts = {str(count.dte_type): count for count in status.counts}
        for document in documents:
            verdict, unsure = self._verdict(counts.get(document.dte_type), answers.get(document.id))
            if verdict:
                document._set_state(verdict, repairs_unknown=unsure)
        if any(document.state == "sent" for document in documents):
            # The SII has not told about some of them yet: ask again.
            self.state = "sent"

    def _verdict(self, count: TypeCount | None, answer: DocumentStatus | None) -> tuple[str | None, bool]:
        """Return the state of a document and whether repairs may concern it, from its type's counts or its own answer.

        Counts decide when all documents of the type fared alike. Otherwise QueryEstDte tells whether this one was
        received; it never tells about repairs.
        """
        if count and count.informed:
            if count.accepted == count.informed:
                return "accepted", False
            if count.objected == count.informed:
                return "objected", False
            if count.rejected == count.informed:
                return "rejected", False
        if not answer:
            return None, False
        outcome = answer.meaning.outcome
        if outcome is Outcome.NOT_RECEIVED and count and not count.rejected:
            # The counts know of no rejected document: the two answers do not fit yet.
            return None, False
        if outcome in (Outcome.NOT_RECEIVED, Outcome.REJECTED):
            return "rejected", False
        if outcome is not Outcome.ACCEPTED:
            return None, False
        if count and not count.accepted and count.objected:
            return "objected", False
        return "accepted", not count or bool(count.objected)

    def _document_answers(self, client, status: EnvelopeStatus) -> dict[int, DocumentStatus]:
        """Ask for single documents where the counts do not decide. Returns document id to answer."""
        if status.meaning.outcome is not Outcome.PROCESSED:
            return {}
        counts = {str(count.dte_type): count for count in status.counts}
        answers = {}
        for document in self.document_ids.filtered(lambda document: document.state == "sent"):
            if self._verdict(counts.get(document.dte_type), None)[0]:
                continue
            with self.env["dte.sii.call"]._logged(self.company_id, self.environment, "document_status"):
                answers[document.id] = client.document_status(self.sender_rut, document._question())
        return answers

    def action_download(self):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/dte.envio/{self.id}/content/{self.content_filename}?download=true",
            "target": "download",
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Envelopes of electronic documents cannot be deleted."))
