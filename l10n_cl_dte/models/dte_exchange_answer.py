# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import hashlib
from datetime import timezone

from markupsafe import Markup

from odoo import api, fields, models

from ..const import SANTIAGO
from ..libs import exchange as exchange_lib
from ..libs import xsd_validator
from .dte_exchange_messages import ENVELOPE_CODES, RECEIPT, RECEPTION_CODES, RESULT_CODES

_SCHEMAS = {
    exchange_lib.ANSWER_ROOT: xsd_validator.ANSWER_SCHEMA,
    exchange_lib.RECEIPTS_ROOT: xsd_validator.RECEIPTS_SCHEMA,
}
_ACTIVITY = "l10n_cl_dte.mail_activity_dte_customer"


class DteExchangeAnswer(models.Model):
    """What a customer answered about one document: signed, and matched in receiver, date and total.

    It never changes the document's state: only the SII accepts or rejects, and a claim is made there. A certificate
    says who signed, and anybody may own one, or make one in the name of an authority: whether that is so, and whether
    that person speaks for the customer, is for a reader to judge.
    """

    _name = "dte.exchange.answer"
    _description = "Customer's Answer to an Electronic Document"
    _order = "signed_at desc, id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict", index=True)
    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="restrict", index=True)
    mail_id = fields.Many2one("dte.mail", readonly=True, ondelete="set null")
    kind = fields.Selection(
        [
            (exchange_lib.RECEPTION, "Technical reception"),
            (exchange_lib.RESULT, "Decision"),
            (exchange_lib.RECEIPT, "Receipt of goods or services"),
        ],
        required=True,
        readonly=True,
    )
    code = fields.Char(readonly=True)
    of_envelope = fields.Boolean(readonly=True, help="The customer answered for the whole envelope.")
    text = fields.Char(string="Customer's Words", readonly=True)
    explanation = fields.Char(compute="_compute_explanation")
    responder_rut = fields.Char(string="Answered By", readonly=True)
    signer_rut = fields.Char(string="Signed By", readonly=True, help="RUT in the certificate that signed the file.")
    receipt_signer_rut = fields.Char(
        string="Receipt Signed By", readonly=True, help="RUT that the receipt names as its signer."
    )
    signer_issuer = fields.Char(
        string="Certificate Issued By",
        readonly=True,
        help="As the certificate says. Whether that authority issued it, and the SII admits it, is not verified.",
    )
    contact = fields.Char(readonly=True)
    signed_at = fields.Datetime(string="Answered On", required=True, readonly=True)
    sha256 = fields.Char(string="SHA-256", required=True, readonly=True)

    # The same file twice is one answer.
    _unique_file = models.UniqueIndex("(document_id, kind, sha256)", "This answer came before.")

    @api.depends("document_id", "kind")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for answer in self:
            answer.display_name = f"{answer.document_id.display_name}: {labels.get(answer.kind)}"

    @api.depends("kind", "code", "of_envelope")
    @api.depends_context("lang")
    def _compute_explanation(self):
        for answer in self:
            answer.explanation = self.env._(answer._sentence())

    def _sentence(self):
        if self.kind == exchange_lib.RECEIPT:
            return RECEIPT
        return self._code_table(self.kind, self.of_envelope)[self.code]

    @api.model
    def _code_table(self, kind: str, of_envelope: bool) -> dict:
        if kind == exchange_lib.RESULT:
            return RESULT_CODES
        return ENVELOPE_CODES if of_envelope else RECEPTION_CODES

    # -- taking; records are sudo --

    @api.model
    def _take(self, mail, name: str, xml: bytes) -> list:
        """Take a RespuestaDTE or EnvioRecibos that came in a mail.

        :param name: of the file, for whoever reads what came of it
        :return: findings as (code, params), see `dte_exchange_messages`
        :raises XmlError: when it cannot be read
        """
        answer = exchange_lib.read_answer(xml, mail.company_id._dte_now())
        if self.env["dte.schema.set"]._refuses(xml, _SCHEMAS[answer.root]):
            return [("answer_refused_by_schema", {"file": name})]
        if not answer.signature.valid:
            return [("answer_forged", {"file": name, "reason": answer.signature.problem})]
        if answer.recipient_rut != mail.company_id.vat:
            return [("answer_other_company", {"file": name, "rut": answer.recipient_rut})]
        taken = _Taken(self, mail, name, answer, hashlib.sha256(xml).hexdigest())
        for envelope in answer.envelopes:
            taken.take_envelope(envelope)
        for document in answer.documents:
            taken.take_document(document)
        return taken.findings or [("answer_about_nothing", {"file": name})]

    def _tell(self, by_mail: bool = True) -> bool:
        """Tell the people of the company on the invoice, and call one when the customer refuses.

        :param by_mail: whether who is called gets a mail too
        :return: whether somebody was called
        """
        self.ensure_one()
        move = self.document_id.move_id
        if not move:
            return False
        own = self.with_context(lang=move.invoice_user_id.lang or move.company_id.partner_id.lang)
        text = " ".join(filter(None, (own.explanation, own.text and f"«{own.text}»")))
        move._message_log(body=f"{own.document_id.display_name}: {text}")
        if self.document_id.receiver_state == "rejected":
            if not move.activity_search([_ACTIVITY]):
                responsible = self.company_id._dte_responsible()
                own = self.with_context(lang=responsible.lang)
                move.with_context(mail_activity_quick_update=not by_mail).activity_schedule(
                    _ACTIVITY, summary=own.env._("The customer rejects %s", own.document_id.display_name),
                    note=Markup("<p>%s</p>") % text, user_id=responsible.id,
                )  # fmt: skip
                return True
        elif self.kind == exchange_lib.RESULT:
            move.activity_unlink([_ACTIVITY])
        return False


class _Taken:
    """One file on its way into rows: what is the same for all of them, and what came of each."""

    def __init__(self, answers, mail, name: str, answer: exchange_lib.Answer, sha256: str):
        self.findings = []
        # One mail about a file, however many documents it refuses.
        self._called = False
        self._answers, self._mail, self._name, self._answer = answers, mail, name, answer
        self._env, self._company, self._sha256 = answers.env, mail.company_id, sha256

    def _find(self, code: str, /, **params):
        self.findings.append((code, {"file": self._name, **params}))

    def take_envelope(self, envelope: exchange_lib.EnvelopeAnswer):
        if envelope.documents:
            for document in envelope.documents:
                self.take_document(document)
            return
        row = self._exchange_of(envelope)
        if not row:
            self._find("answer_unknown_envelope", rut=self._answer.responder_rut)
        else:
            self._write(
                row.document_id, exchange_lib.RECEPTION, envelope.code, envelope.text, exchange=row, of_envelope=True
            )

    def _exchange_of(self, envelope: exchange_lib.EnvelopeAnswer):
        """Return the row of an envelope that went to who answers."""
        prefix = exchange_lib.set_id("")
        number = envelope.set_id.removeprefix(prefix)
        # Up to what an id of the database can be.
        if not envelope.set_id.startswith(prefix) or not number.isascii() or not number.isdigit() or len(number) > 9:
            return self._env["dte.exchange"]
        domain = [
            ("id", "=", int(number)),
            ("company_id", "=", self._company.id),
            ("document_id.receiver_rut", "=", self._answer.responder_rut),
        ]
        if envelope.digest:
            domain.append(("digest", "=", envelope.digest))
        return self._env["dte.exchange"].search(domain)

    def take_document(self, told: exchange_lib.DocumentAnswer):
        about = {"type": told.dte_type, "folio": told.folio}
        if told.problem == "receipt_other_signer":
            self._find("receipt_other_signer", rut=told.signer_rut, **about)
            return
        if told.problem:
            self.findings.append(("receipt_forged", {**about, "reason": told.problem}))
            return
        if told.issuer_rut != self._company.vat:
            self._find("answer_other_company", rut=told.issuer_rut)
            return
        document = self._document_of(told, about)
        if document:
            self._write(document, told.kind, told.code, told.text, receipt_signer_rut=told.signer_rut)

    def _document_of(self, told: exchange_lib.DocumentAnswer, about: dict):
        """Return the document that fits in everything that is said of it, else say what does not."""
        documents = self._env["dte.document"].search(
            [
                ("company_id", "=", self._company.id),
                ("dte_type", "=", str(told.dte_type)),
                ("folio", "=", told.folio),
                ("superseded", "=", False),
            ]
        )
        if not documents:
            self._find("answer_unknown_document", **about)
        receiver = self._answer.responder_rut
        own = documents.filtered(lambda document: document.receiver_rut == receiver == told.receiver_rut)
        if documents and not own:
            self._find("answer_other_receiver", rut=receiver, **about)
        same = own.filtered(
            lambda document: document.issue_date == told.issue_date and int(document.amount_total) == told.total
        )
        if own and not same:
            self._find("answer_other_data", **about)
        # The same folio may exist in another environment.
        return same.sorted(lambda document: document.environment != self._company.dte_environment)[:1]

    def _write(self, document, kind, code, text, *, exchange=None, of_envelope=False, receipt_signer_rut=""):
        answer = self._answer
        if kind != exchange_lib.RECEIPT and code not in self._answers._code_table(kind, of_envelope):
            self._find("answer_unknown_code", code=code, type=document.dte_type, folio=document.folio)
            return
        same = [("document_id", "=", document.id), ("kind", "=", kind), ("sha256", "=", self._sha256)]
        if self._answers.search_count(same, limit=1):
            self._find("answer_repeated", document=document.display_name)
            return
        signed_at = answer.signed_at.replace(tzinfo=SANTIAGO).astimezone(timezone.utc).replace(tzinfo=None)
        row = self._answers.create(
            {
                "company_id": self._company.id,
                "document_id": document.id,
                "mail_id": self._mail.id,
                "kind": kind,
                "code": code or False,
                "of_envelope": of_envelope,
                "text": text or False,
                "responder_rut": answer.responder_rut,
                "signer_rut": answer.signature.signer_rut or False,
                "signer_issuer": answer.signature.issuer[:200] or False,
                "receipt_signer_rut": receipt_signer_rut or False,
                "contact": ", ".join(answer.contact) or False,
                "signed_at": signed_at,
                "sha256": self._sha256,
            }
        )
        exchanges = exchange or document.exchange_ids.filtered(lambda exchange: exchange.state == "sent")
        exchanges.filtered(lambda exchange: exchange.state == "sent").state = "answered"
        document._sum_up_answers()
        self._called |= row._tell(by_mail=not self._called)
        self._find("answer_taken", document=document.display_name)
