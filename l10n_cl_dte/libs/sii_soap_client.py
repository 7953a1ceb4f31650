# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Client of the SII's classic channel: login, upload, status of envelopes and documents.

Each public method is one call in the sense of the call log: quick tries and one new login are inside it and under its
deadline. Questions may be repeated freely; the body of an upload leaves at most once per call, apart from a refusal
that says "not authenticated", which proves that it was not taken.
Source: Manual del desarrollador externo (OI2003 upload, OI2004 queries, OIFE2006 QueryEstDteAv), OI2007 authentication.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import zeep
from lxml import etree

from . import sii_answers, transport, xml_parser
from .credentials import Credentials
from .exceptions import (
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknown,
    NotDelivered,
    PermanentError,
    RemoteError,
    XmlError,
)
from .sii_answers import DocumentStatus, EnvelopeStatus, UploadAnswer
from .sii_status import TOKEN_STATES, Outcome
from .transport import Deadline, TransportError
from .xml_signer import sign_seed

BASE_URLS = {"certification": "https://maullin.sii.cl", "production": "https://palena.sii.cl"}
PATHS = {
    "CrSeed": "/DTEWS/CrSeed.jws",
    "GetTokenFromSeed": "/DTEWS/GetTokenFromSeed.jws",
    "QueryEstUp": "/DTEWS/QueryEstUp.jws",
    "QueryEstDte": "/DTEWS/QueryEstDte.jws",
    "QueryEstDteAv": "/DTEWS/services/QueryEstDteAv",
    "wsDTECorreo": "/DTEWS/services/wsDTECorreo",
}
UPLOAD_PATH = "/cgi_dte/UPL/DTEUpload"

# Code of reenvioCorreo for a token that does not exist (OIFE2005).
_MAIL_NO_SESSION = "104"

UPLOAD_SECONDS = 75.0
QUERY_SECONDS = 60.0
# Others wait for the one who logs in.
LOGIN_SECONDS = 30.0
QUICK_TRIES = 3
_FIRST_PAUSE = 1.0

TokenSource = Callable[[bool], str]


@dataclass(frozen=True)
class UploadReceipt:
    """The SII took the bytes, which says nothing about their validity.

    :ivar duplicate: it had them already and `track_id` is the first upload's
    """

    track_id: str
    duplicate: bool


@dataclass(frozen=True)
class DocumentQuestion:
    """Data that a status question must repeat exactly. RUTs like 76543210-3, `total` in whole pesos."""

    issuer_rut: str
    receiver_rut: str
    dte_type: int
    folio: int
    issue_date: date
    total: int


class SiiClient:
    """Talks to one SII host on behalf of one person's certificate.

    :param base_url: scheme and host, one of BASE_URLS or a simulator
    :param token_source: called with False for a token, and with True when the last one was refused
    :param verify: see :func:`transport.post`
    :param upload_seconds: deadline of an upload, quick tries and login included
    """

    def __init__(
        self,
        base_url: str,
        token_source: TokenSource | None = None,
        *,
        verify: bool | str = True,
        upload_seconds: float = UPLOAD_SECONDS,
        query_seconds: float = QUERY_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._base_url = base_url.rstrip("/")
        self._token_source = token_source
        self._verify = verify
        self._upload_seconds = upload_seconds
        self._query_seconds = query_seconds
        self._sleep = sleep
        self._monotonic = monotonic

    def login(self, credentials: Credentials) -> str:
        """Return a new token.

        :raises ConfigurationError: the SII refuses the certificate (`sii_login_refused`)
        :raises NotDelivered: the SII could not be asked
        """
        deadline = self._deadline(min(self._query_seconds, LOGIN_SECONDS))
        for _attempt in range(2):
            seed = self._seed(deadline)
            root = self._ask("GetTokenFromSeed", "getToken", deadline, pszXml=sign_seed(credentials, seed))
            state, token = xml_parser.first_text(root, "ESTADO"), xml_parser.first_text(root, "TOKEN")
            if state == "00" and token:
                return token
            meaning = TOKEN_STATES.get(state)
            text = xml_parser.first_text(root, "GLOSA")
            if meaning and meaning.outcome is Outcome.CONFIGURATION:
                raise ConfigurationError("sii_login_refused", sii_code=state, sii_text=text)
        raise NotDelivered("sii_login_failed", error_type="unavailable", sii_code=state, sii_text=text)

    def authenticate(self) -> None:
        """Make sure that there is a token, so that a failing login is met before anything is claimed.

        :raises ConfigurationError: the SII refuses the certificate
        :raises NotDelivered: the SII could not be asked
        """
        self._token_source(False)

    def probe(self) -> None:
        """Ask for a seed: the cheapest question that shows whether the SII is there.

        :raises NotDelivered: it is not
        """
        self._seed(self._deadline(self._query_seconds))

    def _seed(self, deadline: Deadline) -> str:
        root = self._ask("CrSeed", "getSeed", deadline)
        seed = xml_parser.first_text(root, "SEMILLA")
        if not seed:
            state = xml_parser.first_text(root, "ESTADO")
            raise NotDelivered("sii_no_seed", error_type="unavailable", sii_code=state)
        return seed

    def upload(self, sender_rut: str, company_rut: str, file_name: str, content: bytes) -> UploadReceipt:
        """Send an envelope.

        :param sender_rut: RUT of the certificate's holder, not the company's
        :param content: the envelope in ISO-8859-1, sent exactly as given
        :raises NotDelivered: the SII does not have it, it may be sent again
        :raises DeliveryUnknown: nobody knows; ask first
        :raises PermanentError: these bytes will never pass (STATUS 2, 7, 8)
        :raises ConfigurationError: the sender or the company may not send (STATUS 1, 6)
        """
        deadline = self._deadline(self._upload_seconds)
        boundary = uuid.uuid4().hex
        body = _multipart(boundary, sender_rut, company_rut, file_name, content)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

        def send(token: str) -> UploadReceipt:
            answer = self._post_once(
                self._base_url + UPLOAD_PATH, body, headers | {"Cookie": f"TOKEN={token}"}, deadline
            )
            return _receipt(answer)

        return self._with_token(send)

    def _post_once(self, url, body, headers, deadline):
        """Post with quick tries as long as nothing of the body has left."""
        for attempt in range(QUICK_TRIES):
            try:
                return transport.post(url, body, headers, deadline, verify=self._verify)
            except TransportError as error:
                if error.sent:
                    raise DeliveryUnknown("sii_no_answer", error_type=error.error_type, reason=error.reason) from error
                if attempt == QUICK_TRIES - 1 or not self._pause(attempt, deadline):
                    raise _unreachable(error) from error
        raise AssertionError("unreachable")

    def envelope_status(self, company_rut: str, track_id: str) -> EnvelopeStatus:
        """Ask how far an envelope is.

        :raises NotDelivered: the question could not be asked or was not understood; ask again later
        :raises AuthenticationError: the SII refuses the token, also a new one
        """
        rut, digit = company_rut.split("-")
        return self._query(
            "QueryEstUp",
            "getEstUp",
            sii_answers.read_envelope_status,
            RutCompania=rut,
            DvCompania=digit,
            TrackId=str(int(track_id)),
        )

    def document_status(self, asker_rut: str, question: DocumentQuestion) -> DocumentStatus:
        """Ask for one document by its data. Errors as :meth:`envelope_status`."""
        asker, asker_digit = asker_rut.split("-")
        company, company_digit = question.issuer_rut.split("-")
        return self._query(
            "QueryEstDte",
            "getEstDte",
            sii_answers.read_document_status,
            RutConsultante=asker,
            DvConsultante=asker_digit,
            RutCompania=company,
            DvCompania=company_digit,
            **_document_parts(question),
        )

    def document_status_signed(self, question: DocumentQuestion, signature: str) -> DocumentStatus:
        """Ask for one document by its data and its SignatureValue. Errors as :meth:`envelope_status`."""
        company, company_digit = question.issuer_rut.split("-")
        return self._query(
            "QueryEstDteAv",
            "getEstDteAv",
            sii_answers.read_document_status,
            RutEmpresa=company,
            DvEmpresa=company_digit,
            **_document_parts(question),
            FirmaDte="".join(signature.split()),
        )

    def resend_result_mail(self, company_rut: str, track_id: str) -> str:
        """Ask the SII to mail the result of an envelope again and return its code ("0" when it will)."""
        rut, digit = company_rut.split("-")
        return self._query(
            "wsDTECorreo",
            "reenvioCorreo",
            _read_mail_code,
            RutEmpresa=rut,
            DvEmpresa=digit,
            TrackId=str(int(track_id)),
        )

    def _query(self, service, operation, read, **parts):
        deadline = self._deadline(self._query_seconds)

        def ask(token: str):
            status = read(self._ask(service, operation, deadline, Token=token, **parts))
            meaning = getattr(status, "meaning", None)
            if meaning and meaning.outcome is Outcome.REAUTHENTICATE:
                raise AuthenticationError("sii_token_refused", sii_code=status.state, sii_text=status.text)
            return status

        return self._with_token(ask)

    def _with_token(self, action):
        """Run `action` with a token, and once more with a new one if the SII refuses it."""
        try:
            return action(self._token_source(False))
        except AuthenticationError:
            return action(self._token_source(True))

    def _ask(self, service, operation, deadline, **parts):
        """Return the root of the inner answer; questions are repeated on any network failure."""
        body, url = _soap_request(service, parts, operation), self._base_url + PATHS[service]
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        for attempt in range(QUICK_TRIES):
            try:
                answer = transport.post(url, body, headers, deadline, verify=self._verify)
                if sii_answers.is_web_page(answer.content) or (answer.status >= 500 and not answer.content.strip()):
                    raise XmlError("answer_not_xml")
                return sii_answers.unwrap(answer.content, operation)
            except TransportError as error:
                failure = _unreachable(error)
            except XmlError as error:
                failure = NotDelivered(
                    "sii_answer_unreadable",
                    error_type="unavailable",
                    http_status=answer.status,
                    sii_text=str(error.params.get("detail", "")),
                )
            if attempt == QUICK_TRIES - 1 or not self._pause(attempt, deadline):
                raise failure
        raise AssertionError("unreachable")

    def _pause(self, attempt: int, deadline: Deadline) -> bool:
        """Wait 1, 2 ... seconds with jitter before the next try; False when the deadline does not allow it."""
        seconds = _FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, protects nothing
        if deadline.left() <= seconds:
            return False
        self._sleep(seconds)
        return True

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self._monotonic)


def _unreachable(error: TransportError) -> NotDelivered:
    return NotDelivered("sii_unreachable", error_type=error.error_type, reason=error.reason)


def _read_mail_code(root) -> str:
    code = xml_parser.first_text(root, "ESTADO")
    if code == _MAIL_NO_SESSION:
        raise AuthenticationError("sii_token_refused", sii_code=code)
    return code


def _document_parts(question: DocumentQuestion) -> dict[str, str]:
    """Source: OI2004, FechaEmisionDte is DDMMAAAA; RUT without dots, digit apart."""
    receiver, receiver_digit = question.receiver_rut.split("-")
    return {
        "RutReceptor": receiver,
        "DvReceptor": receiver_digit,
        "TipoDte": str(question.dte_type),
        "FolioDte": str(question.folio),
        "FechaEmisionDte": f"{question.issue_date:%d%m%Y}",
        "MontoDte": str(question.total),
    }


@lru_cache(maxsize=1)
def _wsdl():
    """Read our own WSDL once per process; nothing is fetched."""
    return zeep.Client(str(Path(__file__).with_name("wsdl") / "sii.wsdl"))


def _soap_request(service: str, parts: dict[str, str], operation: str) -> bytes:
    client = _wsdl()
    message = client.create_message(client.bind("Sii", service), operation, **parts)
    return etree.tostring(message, xml_declaration=True, encoding="utf-8")


def _multipart(boundary, sender_rut, company_rut, file_name, content) -> bytes:
    sender, sender_digit = sender_rut.split("-")
    company, company_digit = company_rut.split("-")
    fields = {"rutSender": sender, "dvSender": sender_digit, "rutCompany": company, "dvCompany": company_digit}
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="archivo"; filename="{file_name}"\r\n'
        "Content-Type: text/xml\r\n\r\n"
    )
    return head.encode("ascii") + content + f"\r\n--{boundary}--\r\n".encode("ascii")


def _receipt(answer: transport.HttpAnswer) -> UploadReceipt:
    """Turn the answer of DTEUpload into a receipt or the error that says what may be done.

    HTTP status alone proves little: 200 may be a web page. A 5xx or an unreadable answer after the body was sent leaves
    the outcome open; a 4xx is a refusal by the gateway.
    """
    content = answer.content
    if sii_answers.is_no_session_page(content):
        raise AuthenticationError("sii_token_refused", http_status=answer.status)
    if 400 <= answer.status < 500:
        raise NotDelivered("sii_refused_request", error_type="unavailable", http_status=answer.status)
    if answer.status != 200 or sii_answers.is_web_page(content):
        raise DeliveryUnknown("sii_answer_unreadable", error_type="unavailable", http_status=answer.status)
    try:
        upload = sii_answers.read_upload_answer(content)
    except XmlError as error:
        raise DeliveryUnknown("sii_answer_unreadable", error_type="unavailable", http_status=answer.status) from error
    return _receipt_of(upload)


def _receipt_of(upload: UploadAnswer) -> UploadReceipt:
    meaning = upload.meaning
    details = {"sii_code": upload.status, "sii_text": upload.text}
    if meaning and meaning.outcome in (Outcome.ACCEPTED, Outcome.REPEATED) and upload.track_id:
        return UploadReceipt(upload.track_id, meaning.outcome is Outcome.REPEATED)
    if meaning is None or meaning.outcome in (Outcome.ACCEPTED, Outcome.REPEATED):
        raise DeliveryUnknown("sii_upload_status_unknown", error_type="unknown", **details)
    errors: dict[Outcome, RemoteError | ConfigurationError] = {
        Outcome.REAUTHENTICATE: AuthenticationError("sii_token_refused", **details),
        Outcome.RETRY: NotDelivered("sii_upload_not_taken", error_type="unavailable", **details),
        Outcome.REJECTED: PermanentError("sii_upload_refused", **details),
        Outcome.CONFIGURATION: ConfigurationError("sii_upload_forbidden", **details),
    }
    raise errors[meaning.outcome]
