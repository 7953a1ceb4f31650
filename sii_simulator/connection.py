# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""One HTTP connection: reads requests, lets the injected faults act at each step, sends answers."""

import logging
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from . import control, queries, soap, upload, wsdl
from .answers import TEXT, XML, Answer, error_page, html
from .disturb import disturb
from .errors import Dropped

_logger = logging.getLogger(__name__)

UPLOAD_PATH = "/cgi_dte/UPL/DTEUpload"
MAX_SOAP_BODY = 1024 * 1024
MAX_UPLOAD_BODY = 256 * 1024 * 1024
IDLE_SECONDS = 300
DRIP_PIECES = 20
MAINTENANCE = "<HTML><HEAD><TITLE>SII</TITLE></HEAD><BODY>Servicio temporalmente no disponible</BODY></HTML>\n"
ACCENTS = (("Envio", "Envío"), ("Caratula", "Carátula"))


@dataclass(frozen=True)
class Request:
    """What a service sees of a request; `step(name)` lets the faults of that step act."""

    service: str
    path: str
    headers: object
    body: bytes
    step: object


class Connection(BaseHTTPRequestHandler):
    """Handler of one connection; `server` is the Listener that accepted it."""

    protocol_version = "HTTP/1.1"
    server_version = "SII-Simulator"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def do_DELETE(self):
        self._serve()

    def log_message(self, format, *args):
        """Requests are logged by _serve, without their headers."""

    @property
    def _simulator(self):
        return self.server.simulator

    def _serve(self):
        started = time.monotonic()
        target = urlsplit(self.path)
        service = service_of(target.path)
        try:
            answer = self._control(target) if service == "control" else self._answer(service, target)
            self._send(service, answer)
        except Dropped:
            self.close_connection = True
            answer = Answer(b"", status=0)
        elapsed = int((time.monotonic() - started) * 1000)
        _logger.info(
            "event=request service=%s method=%s status=%d ms=%d", service, self.command, answer.status, elapsed
        )

    def _control(self, target):
        length = int(self.headers.get("Content-Length") or 0)
        return control.answer(self._simulator, self.client_address[0], self.command, target, self.rfile.read(length))

    def _answer(self, service, target):
        if service is None or self.server.control_only or self.command not in ("GET", "POST"):
            self.close_connection = True
            return error_page(404, "Not Found")
        if self.command == "GET":
            return self._page(service, target)
        body = self._read_body(service)
        if isinstance(body, Answer):
            self.close_connection = True
            return body
        self._step("body_received", service)
        instead, is_processed = self._instead(service)
        if instead and not is_processed:
            return instead
        request = Request(service, target.path, self.headers, body, lambda name: self._step(name, service))
        answer = self._call(request)
        return instead or answer

    def _page(self, service, target):
        if service == "upload":
            return error_page(405, "Method Not Allowed")
        if target.query.lower() != "wsdl":
            return html("<h2>AXIS</h2><p>This is an AXIS service.</p>\n")
        scheme = "https" if self.server.is_tls else "http"
        return wsdl.document(target.path, f"{scheme}://{self.headers.get('Host', 'localhost')}{target.path}")

    def _read_body(self, service):
        """The body, or the Answer that refuses it. A body shorter than announced comes as it is."""
        limit = MAX_UPLOAD_BODY if service == "upload" else MAX_SOAP_BODY
        length = self.headers.get("Content-Length")
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self.close_connection = True
            return b"" if service == "upload" else error_page(400, "Bad Request")
        if length is None or not length.isdecimal():
            return error_page(411, "Length Required")
        if int(length) > limit:
            return error_page(413, "Request Entity Too Large")
        try:
            return self.rfile.read(int(length))
        except OSError as error:
            raise Dropped from error

    def _call(self, request):
        if request.service == "upload":
            return upload.answer(self._simulator, request)
        settings, faults = self._simulator.settings, self._simulator.faults
        try:
            call = soap.read_call(request.path, request.body)
            queries.note(self._simulator, call)
            respuesta = queries.OPERATIONS.get(call.operation, queries.version)(self._simulator, call.parts)
        except soap.SoapFault as error:
            return soap.fault(error)
        request.step("stored")
        respuesta = replace(respuesta, body_first=settings["body_first"])
        if faults.take("order", request.service) is not None:
            respuesta = replace(respuesta, body_first=not respuesta.body_first, prefixed=not respuesta.prefixed)
        text, options = respuesta.xml(), {}
        if faults.take("charset", request.service) is not None:
            for plain, accented in ACCENTS:
                text = text.replace(plain, accented)
            options = {"charset": "iso-8859-1", "preamble": "\r\n\r\n"}
        return soap.wrap(call, text, settings["soap_form"], **options)

    def _instead(self, service):
        """(Answer, processed) of a fault that replaces the answer, or (None, False)."""
        kinds = ("http_status", "html", "empty", "text", "soap_fault", "upload_error_page")
        if service != "upload":
            kinds = kinds[:-1]
        kind, args = self._simulator.faults.first_of(kinds, service)
        if kind is None:
            return None, False
        answers = {
            "http_status": lambda: error_page(args["status"], self._reason(args["status"])),
            "html": lambda: html(MAINTENANCE),
            "empty": lambda: Answer(b"", XML),
            "text": lambda: Answer(args["text"].encode("iso-8859-1"), TEXT),
            "soap_fault": lambda: soap.fault(soap.SoapFault(args["text"])),
            "upload_error_page": lambda: html(upload.UPLOAD_ERROR),
        }
        return answers[kind](), args.get("processed", False)

    def _step(self, name, service):
        disturb(self._simulator, self.connection, name, service)

    def _send(self, service, answer):
        """Sends an answer, with the faults that act on its way."""
        if service in ("control", None):
            self._write(self._head(answer) + answer.body)
            return
        faults = self._simulator.faults
        slow = faults.take("slow", service)
        if slow is not None:
            self._simulator.stopping.wait(slow["seconds"])
        if faults.take("truncate", service) is not None:
            answer = replace(answer, body=answer.body[: len(answer.body) // 2])
        if faults.take("cut", service, "answering") is not None:
            self._write(self._head(answer) + answer.body[: len(answer.body) // 2])
            raise Dropped
        drip = faults.take("drip", service)
        self._write(self._head(answer) + answer.body, drip["seconds"] if drip else 0)
        self._step("answered", service)

    def _write(self, data, seconds=0):
        """Sends bytes, spread over `seconds`."""
        size = max(1, len(data) // DRIP_PIECES) if seconds else len(data)
        try:
            for start in range(0, len(data), size):
                self.connection.sendall(data[start : start + size])
                self._simulator.stopping.wait(seconds / DRIP_PIECES)
        except OSError as error:
            raise Dropped from error

    def _reason(self, status):
        return self.responses.get(status, ("Unknown",))[0]

    def _head(self, answer):
        lines = [
            f"HTTP/1.1 {answer.status} {self._reason(answer.status)}",
            f"Server: {self.server_version}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
        ]
        if self.close_connection:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def service_of(path):
    """Name of the service at a path, "control", or None."""
    if path.startswith("/control/"):
        return "control"
    if path == UPLOAD_PATH:
        return "upload"
    return soap.SERVICES[path][0] if path in soap.SERVICES else None
