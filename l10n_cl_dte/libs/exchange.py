# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Exchange with the receiver of a document: our envelope for the customer, and the answers that the customer sends.

Anybody can write an answer: it is read only together with what its signature says, and it decides nothing at the SII.
Source: RespuestaEnvioDTE_v10.xsd, EnvioRecibos_v10.xsd, Recibos_v10.xsd; Instructivo técnico, intercambio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from . import xml_parser, xml_verifier
from .credentials import Credentials
from .envio import SET_ID, SII_RUT, Caratula, build_envio
from .exceptions import DocumentError, Problem, XmlError
from .sii_answers import parse_tolerant
from .xml_signer import SII_NS
from .xml_verifier import SignatureReport

ANSWER_ROOT = "RespuestaDTE"
RECEIPTS_ROOT = "EnvioRecibos"
SIGNED_PARTS = {ANSWER_ROOT: "Resultado", RECEIPTS_ROOT: "SetRecibos"}

# An answer about the largest envelope, 2,000 documents, has less than this.
MAX_BYTES = 4 * 1024 * 1024
MAX_ROWS = 2000

# How far the clock of a customer may be ahead: a date in the future would be the last word for ever.
_AHEAD = timedelta(days=1)

# What an answer is about.
RECEPTION = "reception"
RESULT = "result"
RECEIPT = "receipt"

_ROW_TAGS = tuple(f"{{*}}{name}" for name in ("RecepcionEnvio", "RecepcionDTE", "ResultadoDTE", "Recibo"))
_SANTIAGO = ZoneInfo("America/Santiago")
_RECEIVER = re.compile(rb"<RUTRecep>([^<]*)</RUTRecep>")
_SET_DIGEST = re.compile(rb"<DigestValue>([^<]*)</DigestValue>")


def build_for_customer(caratula: Caratula, document: bytes, credentials: Credentials, number: int) -> bytes:
    """Return the EnvioDTE that hands one document to its receiver: its own cover and signature, the same DTE bytes.

    :param caratula: with the customer's RUT as `receiver_rut`
    :param document: the signed `<DTE>` as archived
    :param number: makes the ID of the set, by which the customer's answers name the envelope
    :raises DocumentError: `exchange_to_sii`, `exchange_other_receiver`, or what :func:`envio.build_envio` refuses
    """
    if caratula.receiver_rut == SII_RUT:
        raise DocumentError([Problem("exchange_to_sii")])
    found = _RECEIVER.search(document)
    if not found or found[1].decode("iso-8859-1") != caratula.receiver_rut:
        raise DocumentError([Problem("exchange_other_receiver", params={"rut": caratula.receiver_rut})])
    return build_envio(caratula, [document], credentials, number=number)


def set_id(number: int) -> str:
    """Return the ID that an envelope with this number has, as RecepcionEnvio quotes it."""
    return f"{SET_ID}{number}"


def digest_of_set(envelope: bytes) -> str:
    """Return the DigestValue of an envelope's own signature, as RecepcionEnvio may quote it."""
    found = _SET_DIGEST.findall(envelope)
    return "".join(found[-1].decode("ascii").split()) if found else ""


@dataclass(frozen=True)
class DocumentAnswer:
    """What a customer says about one document.

    :ivar kind: `reception` (technical), `result` (commercial) or `receipt` (goods or services, Ley 19.983)
    :ivar code: EstadoRecepDTE or EstadoDTE, "" in a receipt
    :ivar text: the customer's words; the place in a receipt
    :ivar signer_rut: who signs a receipt, "" otherwise
    :ivar problem: of the receipt's own signature, as in `Answer.signature`, or `receipt_other_signer` when its
        certificate is not that of `signer_rut`; "" when it is good
    """

    kind: str
    dte_type: int
    folio: int
    issue_date: date
    issuer_rut: str
    receiver_rut: str
    total: int
    code: str = ""
    text: str = ""
    signer_rut: str = ""
    problem: str = ""


@dataclass(frozen=True)
class EnvelopeAnswer:
    """What a customer says about a whole envelope: RecepcionEnvio. `digest` is "" when it is not quoted."""

    set_id: str
    digest: str
    code: str
    text: str
    documents: tuple[DocumentAnswer, ...]


@dataclass(frozen=True)
class Answer:
    """A file of a customer.

    :ivar responder_rut: RutResponde, the receiver of the documents
    :ivar recipient_rut: RutRecibe, their issuer
    :ivar contact: name, phone and mail of whom to ask, those that are given
    :ivar signed_at: naive Santiago time
    :ivar signature: of the file as a whole; besides what `xml_verifier` finds its problem may be
        `signature_self_signed`, `signature_in_future`, or `signature_outside_validity` of its certificate
    :ivar documents: results or receipts; those of an envelope stand in `envelopes`. No receipts in a file whose
        signature is not good: theirs were not looked at
    """

    root: str
    responder_rut: str
    recipient_rut: str
    contact: tuple[str, ...]
    signed_at: datetime
    signature: SignatureReport
    envelopes: tuple[EnvelopeAnswer, ...]
    documents: tuple[DocumentAnswer, ...]


def root_of(xml: bytes) -> str:
    """Return the local name of the root of a file from anybody.

    :raises XmlError: when it is too big or is not XML
    """
    if len(xml) > MAX_BYTES:
        raise XmlError("xml_too_big", size=len(xml), limit=MAX_BYTES)
    return xml_parser.local_name(parse_tolerant(xml))


def read_answer(xml: bytes, now: datetime) -> Answer:
    """Read a RespuestaDTE or EnvioRecibos with what is known of its signatures.

    :param xml: the file as it came
    :param now: naive Santiago time
    :raises XmlError: `answer_other_file`, `answer_malformed`, `answer_too_long`, or a code of parsing
    """
    root = xml_parser.parse(xml, max_bytes=MAX_BYTES)
    name = xml_parser.local_name(root)
    if name not in SIGNED_PARTS or root.tag != f"{{{SII_NS}}}{name}":
        raise XmlError("answer_other_file", root=name[:40])
    # What the signature covers is the first child; nothing is read from outside of it.
    signed = next((child for child in root if isinstance(child.tag, str)), None)
    if signed is None or xml_parser.local_name(signed) != SIGNED_PARTS[name]:
        raise XmlError("answer_malformed", detail=name)
    # Wherever they stand and in whichever namespace: each one costs time.
    if sum(1 for _row in root.iter(*_ROW_TAGS)) > MAX_ROWS:
        raise XmlError("answer_too_long", limit=MAX_ROWS)
    whole, *receipts = xml_verifier.verify_answer(xml)
    try:
        return _read(name, signed, whole, receipts, now)
    except (ValueError, OverflowError) as error:
        raise XmlError("answer_malformed", detail=str(error)[:100]) from error


def _read(name: str, signed, whole: SignatureReport, receipts: list[SignatureReport], now: datetime) -> Answer:
    cover = xml_parser.find_local(signed, "Caratula")
    if cover is None:
        raise ValueError("Caratula")
    contact = (xml_parser.text_of(cover, tag) for tag in ("NmbContacto", "FonoContacto", "MailContacto"))
    signed_at = _moment(_needed(cover, "TmstFirmaResp" if name == ANSWER_ROOT else "TmstFirmaEnv"))
    whole = replace(whole, problem=_signature_problem(whole, signed_at, now))
    documents = _results(signed)
    if name == RECEIPTS_ROOT:
        documents = _receipts(signed, receipts, now) if whole.valid else ()
    return Answer(
        root=name,
        responder_rut=_needed(cover, "RutResponde"),
        recipient_rut=_needed(cover, "RutRecibe"),
        contact=tuple(filter(None, contact)),
        signed_at=signed_at,
        signature=whole,
        envelopes=tuple(_envelopes(signed)),
        documents=tuple(documents),
    )


def _signature_problem(report: SignatureReport, signed_at: datetime, now: datetime) -> str:
    """Return what is wrong with a signature or with who made it when.

    Whether the authority of the certificate exists is not known here: there is no list of those that the SII admits.
    """
    if report.problem:
        return report.problem
    if report.self_signed:
        return "signature_self_signed"
    if signed_at > now + _AHEAD:
        return "signature_in_future"
    if not report.valid_from <= signed_at.replace(tzinfo=_SANTIAGO) <= report.valid_to:
        return "signature_outside_validity"
    return ""


def _children(element, name: str) -> list:
    return [child for child in element if xml_parser.local_name(child) == name]


def _envelopes(signed) -> Iterator[EnvelopeAnswer]:
    for row in _children(signed, "RecepcionEnvio"):
        yield EnvelopeAnswer(
            set_id=_needed(row, "EnvioDTEID"),
            digest="".join(xml_parser.text_of(row, "Digest").split()),
            code=_code(row, "EstadoRecepEnv"),
            text=xml_parser.text_of(row, "RecepEnvGlosa")[:256],
            documents=tuple(
                _document(
                    document, RECEPTION, "TipoDTE", code=_code(document, "EstadoRecepDTE"),
                    text=xml_parser.text_of(document, "RecepDTEGlosa")[:256],
                )
                for document in _children(row, "RecepcionDTE")
            ),
        )  # fmt: skip


def _results(signed) -> Iterator[DocumentAnswer]:
    for row in _children(signed, "ResultadoDTE"):
        text = xml_parser.text_of(row, "EstadoDTEGlosa")[:256]
        yield _document(row, RESULT, "TipoDTE", code=_code(row, "EstadoDTE"), text=text)


def _receipts(signed, reports: list[SignatureReport], now: datetime) -> Iterator[DocumentAnswer]:
    rows = _children(signed, "Recibo")
    if len(rows) != len(reports):
        raise ValueError("Recibo")
    for row, report in zip(rows, reports, strict=True):
        # Its signature covers the first child, which is therefore the one that is read.
        document = next((child for child in row if isinstance(child.tag, str)), None)
        if document is None or xml_parser.local_name(document) != "DocumentoRecibo":
            raise ValueError("DocumentoRecibo")
        signer_rut = _needed(document, "RutFirma")
        problem = _signature_problem(report, _moment(_needed(document, "TmstFirmaRecibo")), now)
        if not problem and report.signer_rut != signer_rut.lstrip("0").upper():
            problem = "receipt_other_signer"
        yield _document(
            document, RECEIPT, "TipoDoc", text=xml_parser.text_of(document, "Recinto")[:80],
            signer_rut=signer_rut, problem=problem,
        )  # fmt: skip


def _document(row, kind: str, type_tag: str, **values) -> DocumentAnswer:
    return DocumentAnswer(
        kind=kind,
        dte_type=_number(row, type_tag),
        folio=_number(row, "Folio"),
        issue_date=date.fromisoformat(_needed(row, "FchEmis")),
        issuer_rut=_needed(row, "RUTEmisor"),
        receiver_rut=_needed(row, "RUTRecep"),
        total=_number(row, "MntTotal"),
        **values,
    )


def _needed(element, name: str) -> str:
    text = xml_parser.text_of(element, name)
    if not text or len(text) > 100:
        raise ValueError(name)
    return text


def _number(element, name: str) -> int:
    text = _needed(element, name)
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(name)
    return int(text)


def _code(element, name: str) -> str:
    return str(_number(element, name))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        moment = moment.astimezone(_SANTIAGO).replace(tzinfo=None)
    return moment.replace(microsecond=0)
