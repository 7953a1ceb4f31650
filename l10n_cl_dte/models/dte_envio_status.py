# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SII's verdict: asked per envelope, told by its counts, and per document where these do not decide."""

import time
from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from ..libs.exceptions import DteError, NotDelivered
from ..libs.sii_answers import DocumentStatus, EnvelopeStatus, TypeCount
from ..libs.sii_status import Outcome
from . import dte_messages
from .dte_document import WAITING

# A rejected document is "not received" for ever, one in validation for hours; after a day it is not in validation.
DOUBT = timedelta(hours=24)

# Seconds after which no further question about the same envelope begins, so that a slow SII does not bring the job to
# the end of its time before anything is recorded. The next turn, which comes soon, goes on with what is left.
ASK_SECONDS = 30

_CARATULA, _FILE_LOST = "RCT", "VOF"


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    ask_from = fields.Many2one(
        "dte.document",
        string="Asked About Next",
        readonly=True,
        ondelete="set null",
        help="The first document that had no turn when the time for questions was over.",
    )

    validated_at = fields.Datetime(
        string="Validated On",
        readonly=True,
        help="When the SII first said that it had finished with it. What it does not have a day later it has rejected.",
    )

    may_not_ask = fields.Boolean(
        string="Question Refused",
        readonly=True,
        help="The SII does not let the sender ask about it: a person must change a permission or a setting there.",
    )

    def action_check_status(self):
        """Ask the SII now about these envelopes. Commits."""
        self.check_access("read")
        # sudo: users see envelopes but write none; the answer is written in their name
        envios = self.sudo()
        envios._reconcile_and_commit()
        envios.filtered(lambda envio: envio.state == "sent")._poll_and_commit()
        return envios.document_ids._report()

    def _poll_and_commit(self):
        """Ask about these because a person wants to know. Commits.

        :raises UserError: when the SII cannot be asked
        """
        clients = {}
        for envio in self:
            try:
                envio._poll(clients, time.monotonic() + ASK_SECONDS)
            except DteError as error:
                raise UserError(dte_messages.describe_error(self.env, error)) from error
            self.env["ir.cron"]._commit_progress()
            envio.document_ids._tell_and_commit()

    def _client_of_run(self, clients: dict):
        """Return the client of the envelope's company and environment, one per run so that one token serves all."""
        key = (self.company_id.id, self.environment)
        if key not in clients:
            clients[key] = self.company_id._dte_client(self.environment)
        return clients[key]

    def _poll(self, clients: dict, until: float):
        """Ask for the state of the envelope and record it. The network comes first, the row lock after it.

        :param clients: clients of this run by company and environment
        :param until: moment of `time.monotonic` after which no further document is asked about
        :raises DteError: when the question could not be asked
        """
        self.ensure_one()
        client = self._client_of_run(clients)
        status = self._ask_status(client)
        answers, ask_from = self._document_answers(client, status, until)
        if not self.try_lock_for_update() or self.state != "sent":
            return
        refused = self._is_question_refused(status, answers)
        if refused and not self.may_not_ask:
            self.env["dte.alert"]._wake_alerts()
        self.write({"polled_at": fields.Datetime.now(), "ask_from": ask_from.id, "may_not_ask": refused})
        if status:
            self.write({"sii_state": status.state, "sii_text": status.text})
            self._apply(status, answers)
        else:
            self._apply_answers(answers)
        self._poll_later()

    def _is_question_refused(self, status: EnvelopeStatus | None, answers: dict) -> bool:
        """Tell whether no verdict can come before a person has changed something at the SII."""
        given = [*answers.values(), *filter(None, (status,))]
        return any(answer.meaning.outcome is Outcome.CONFIGURATION for answer in given)

    def _ask_status(self, client) -> EnvelopeStatus | None:
        """Return the state of the envelope, None when its track id is not known."""
        if not self.track_id:
            return None
        with self.env["dte.sii.call"]._logged(self.company_id, self.environment, "envelope_status"):
            return client.envelope_status(self.company_id.vat, self.track_id)

    def _apply(self, status: EnvelopeStatus, answers: dict):
        outcome = status.meaning.outcome
        params = {"sii_code": status.state, "sii_text": status.text}
        documents = self._on_board()
        if not self.validated_at and outcome in (
            Outcome.PROCESSED,
            Outcome.OBJECTED,
            Outcome.REPEATED,
            Outcome.REJECTED,
        ):
            self.validated_at = fields.Datetime.now()
        if outcome is Outcome.PROCESSED or (outcome is Outcome.OBJECTED and status.counts):
            self._apply_counts(status, documents, answers)
        elif outcome is Outcome.OBJECTED:
            self.state = "processed"
            documents._set_state("objected")
        elif outcome is Outcome.REPEATED or (outcome is Outcome.REJECTED and self.twice):
            # Another copy is there: only the answers about each document count.
            self.twice = True
            self._apply_answers(answers)
        elif outcome is Outcome.REJECTED and status.state == _FILE_LOST:
            # The SII lost the file and has not looked at any document.
            self.write({"state": "rejected"})
            documents._record_failure(NotDelivered("sii_file_lost", error_type="unavailable", **params))
        elif outcome is Outcome.REJECTED and status.state == _CARATULA:
            # The cover is wrong, not the documents: resolution or sender must be corrected and they go again.
            self.state = "rejected"
            documents._set_state("to_send", "sii_upload_refused", params, error_type="certificate")
            self.env["dte.pause"]._begin(self.company_id, self.environment, "sii_upload_refused", params, self)
        elif outcome is Outcome.REJECTED:
            self.state = "rejected"
            self._accept_known(documents, answers)
            self._refuse_whole(self._on_board(), params)

    def _apply_counts(self, status: EnvelopeStatus, documents, answers: dict):
        self.write(
            {
                "informed": sum(count.informed for count in status.counts),
                "accepted": sum(count.accepted for count in status.counts),
                "objected": sum(count.objected for count in status.counts),
                "rejected": sum(count.rejected for count in status.counts),
            }
        )
        counts = self._counts_by_type(status)
        told, contradicted = self._types_told(counts, answers), self._types_contradicted(counts, answers)
        for document in documents:
            count, answer = counts.get(document.dte_type), answers.get(document.id)
            if self._is_missing(answer) and (self.twice or document.dte_type not in told):
                # Nothing else says that it was rejected, and for hours the SII does not find what it has.
                if self._is_doubt_over() and document.dte_type not in contradicted:
                    document._set_state("rejected", "rejected_no_trace", error_type="validation")
                continue
            verdict, unsure = self._verdict(count, answer)
            if verdict:
                document._set_state(verdict, repairs_unknown=unsure)
        # Where the SII has not told about some of them yet it is asked again.
        if not any(document.state in WAITING for document in documents):
            self.state = "processed"
            self._settle_repairs()

    def _types_told(self, counts: dict, answers: dict) -> set[str]:
        """Return the types of which the counts tell which documents were rejected: all that are not known as accepted.

        While more are left than were rejected, one that the SII does not find may be valid and slow, and a rejected one
        among those that have no answer yet.
        """
        told = set()
        for dte_type, sent in self.document_ids.grouped("dte_type").items():
            count = counts.get(dte_type)
            left = sent.filtered(lambda document: not self._is_accepted(document, answers.get(document.id)))
            if count and (self._is_all_rejected(count) or len(left) == count.rejected):
                told.add(dte_type)
        return told

    def _types_contradicted(self, counts: dict, answers: dict) -> set[str]:
        """Return the types of which the SII does not find, or was not asked about, more documents than it has rejected
        by its own counts: which ones stays open, however long it takes."""
        documents = self._on_board()
        missing = documents.filtered(
            lambda document: document.id not in answers or self._is_missing(answers[document.id])
        ) | self.document_ids.filtered(lambda document: document.envio_id == self and document.state == "rejected")
        return {
            dte_type
            for dte_type, documents in missing.grouped("dte_type").items()
            if dte_type in counts and len(documents) > counts[dte_type].rejected
        }

    def _is_accepted(self, document, answer: DocumentStatus | None) -> bool:
        """Tell whether the SII says, or has said, that it accepted this document in this envelope."""
        if answer and answer.meaning.outcome is Outcome.ACCEPTED:
            return True
        return document.envio_id == self and document.state in ("accepted", "objected")

    def _accept_known(self, documents, answers: dict):
        """Record those of which the SII has another copy, with our signature."""
        for document in documents:
            answer = answers.get(document.id)
            if answer and answer.meaning.outcome is Outcome.ACCEPTED:
                document._set_state("accepted", repairs_unknown=True)

    def _apply_answers(self, answers: dict):
        """Record what the SII says about single documents, when no envelope speaks for them."""
        documents = self._on_board()
        self._accept_known(documents, answers)
        for document in self._on_board():
            if self._is_missing(answers.get(document.id)) and self._is_doubt_over():
                document._set_state("rejected", "rejected_no_trace", error_type="validation")
        if not any(document.state in WAITING for document in documents):
            self.state = "processed"

    def _is_doubt_over(self, since=None) -> bool:
        """Tell whether all copies have been validated for certain: what the SII does not have after that it has
        rejected, or never had.

        :param since: counted from then; by default from when it was first seen that the SII had finished with a copy,
            which may be days after the last upload, or from that where no envelope can be asked about
        """
        since = since or max(filter(None, (self.attempted_at, self.validated_at)))
        return fields.Datetime.now() > since + DOUBT

    def _is_missing(self, answer: DocumentStatus | None) -> bool:
        return bool(answer) and answer.meaning.outcome is Outcome.NOT_RECEIVED

    def _counts_by_type(self, status: EnvelopeStatus) -> dict[str, TypeCount]:
        """Return the counts of types of which the SII counted as many documents as we sent."""
        sent = self.document_ids.grouped("dte_type")
        return {
            str(count.dte_type): count
            for count in status.counts
            if count.informed == len(sent.get(str(count.dte_type), ()))
        }

    def _verdict(self, count: TypeCount | None, answer: DocumentStatus | None) -> tuple[str | None, bool]:
        """Return the state of a document and whether repairs may concern it, from its type's counts or its own answer.

        Counts accept when all documents of the type fared alike. Otherwise QueryEstDte tells whether this one was
        received; it never tells about repairs. No count rejects by itself: the SII also rejects the second copy of a
        document that it has accepted, which is what happens after a database was restored from an older dump.
        """
        if count and count.informed:
            if count.accepted == count.informed:
                return "accepted", False
            if count.objected == count.informed:
                return "objected", False
        if not answer:
            return None, False
        outcome = answer.meaning.outcome
        if outcome in (Outcome.NOT_RECEIVED, Outcome.REJECTED):
            # One that is not received is asked about here only where the counts know of rejected ones.
            return (None if self.twice else "rejected"), False
        if outcome is not Outcome.ACCEPTED:
            held_by_other = self._is_all_rejected(count) and self._is_doubt_over()
            return ("rejected" if held_by_other else None), False
        if count and not count.accepted and count.objected and not self.twice:
            return "objected", False
        return "accepted", self.twice or not count or bool(count.objected) or self._is_all_rejected(count)

    def _is_all_rejected(self, count: TypeCount | None) -> bool:
        return bool(count) and count.rejected == count.informed

    def _document_answers(self, client, status: EnvelopeStatus | None, until: float) -> tuple[dict, models.Model]:
        """Ask for single documents where the envelope does not decide, beginning with those that had no turn yet.

        At least about one: a single document is never refused without its answer.

        :return: `DocumentStatus` by document id, and the first document that had no turn
        """
        documents, none = self._on_board(), self.env["dte.document"]
        if status and not self._leaves_questions(status, documents):
            return {}, none
        counted = status and status.meaning.outcome in (Outcome.PROCESSED, Outcome.OBJECTED)
        counts = self._counts_by_type(status) if counted else {}
        open_ones = documents.filtered(lambda document: not self._verdict(counts.get(document.dte_type), None)[0])
        answers = {}
        waiting = self._without_turn(open_ones)
        for document in waiting | open_ones:
            if answers and time.monotonic() > until:
                return answers, document & waiting
            # By its signature where another copy may be there; else by its data, which more senders may ask for.
            signed = not counted or self.twice or self._is_all_rejected(counts.get(document.dte_type))
            ask = document._ask_signed if signed else document._ask_plain
            answers[document.id] = ask(client, self.sender_rut)
        return answers, none

    def _without_turn(self, documents):
        """Return those that the last turn did not come to, all of them when it came to its end.

        Those before them that have no verdict yet come after them, when there is time left, and else in the next one,
        however many they are.
        """
        if self.ask_from not in documents:
            return documents
        return documents[documents.ids.index(self.ask_from.id) :]

    def _leaves_questions(self, status: EnvelopeStatus, documents) -> bool:
        """Tell whether the state of the envelope leaves open what became of its documents."""
        outcome = status.meaning.outcome
        if outcome is Outcome.REJECTED:
            judged = status.state not in (_CARATULA, _FILE_LOST)
            return self.twice or (judged and len(documents) == 1)
        return outcome in (Outcome.PROCESSED, Outcome.REPEATED) or (outcome is Outcome.OBJECTED and bool(status.counts))
