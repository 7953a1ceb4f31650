# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A small client of the simulator for its tests: one connection a call, answers as dictionaries."""

import http.client
import json
import ssl
import time
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from . import factory

USER_AGENT = "Mozilla/4.0 (compatible; PROG 1.0; Windows NT 5.0; YComp 5.0.2.4)"
BOUNDARY = "7d23e2a11301c4"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
TIMEOUT = 60
PATIENCE = 20


class Reply:
    """An HTTP answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("iso-8859-1")

    def json(self):
        return json.loads(self.body)


def request(url, method="GET", body=None, headers=None, *, timeout=TIMEOUT, ca=None):
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


class Control:
    """The control API."""

    def __init__(self, url):
        self.url = url

    def get(self, path):
        return request(f"{self.url}/{path}")

    def post(self, path, **data):
        return request(f"{self.url}/{path}", "POST", json.dumps(data))

    def ok(self, path, **data):
        """POST that must succeed; returns its JSON."""
        reply = self.post(path, **data)
        assert reply.status == 200, reply.text
        return reply.json()

    def faults(self, *faults):
        return self.ok("faults", faults=list(faults))

    def ledger(self, query=""):
        return self.get(f"ledger{query}").json()


def soap_body(operation, parts, *, namespace="http://DefaultNamespace"):
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in parts.items())
    return (
        f'<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="{ENVELOPE}"><e:Body>'
        f'<m:{operation} xmlns:m="{namespace}">{inner}</m:{operation}></e:Body></e:Envelope>'
    )


def flat(root):
    """Texts by local name of an inner document; repeated names become lists."""
    values = {}
    for element in root.iter(etree.Element):
        if len(element) == 0:
            values.setdefault(etree.QName(element).localname, []).append((element.text or "").strip())
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}


class Sii:
    """Seed, token, upload and queries, as one person."""

    def __init__(self, url, person):
        self.url = url
        self.person = person
        self.token = None

    def call(self, path, operation, parts, **options):
        """(HTTP reply, inner document as root element)."""
        body = soap_body(operation, parts)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        reply = request(f"{self.url}/DTEWS/{path}", "POST", body, headers, **options)
        return reply, inner(reply)

    def seed(self):
        return flat(self.call("CrSeed.jws", "getSeed", {})[1])["SEMILLA"]

    def ask_token(self, xml):
        return flat(self.call("GetTokenFromSeed.jws", "getToken", {"pszXml": xml})[1])

    def login(self):
        answer = self.ask_token(factory.token_request(self.seed(), self.person))
        assert answer["ESTADO"] == "00", answer
        self.token = answer["TOKEN"]
        return self.token

    def upload(self, data, company, *, headers=None, form=None, timeout=TIMEOUT):
        """The reply of DTEUpload."""
        parts = {
            "rutSender": self.person.rut[:-2],
            "dvSender": self.person.rut[-1],
            "rutCompany": company[:-2],
            "dvCompany": company[-1],
        }
        body = multipart({**parts, **(form or {})}, data)
        sent = {
            "User-Agent": USER_AGENT,
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Cookie": f"TOKEN={self.token}",
        } | (headers or {})
        return request(f"{self.url}/cgi_dte/UPL/DTEUpload", "POST", body, sent, timeout=timeout)

    def est_up(self, company, track, **options):
        parts = {"RutCompania": company[:-2], "DvCompania": company[-1], "TrackId": track, "Token": self.token}
        return flat(self.call("QueryEstUp.jws", "getEstUp", parts, **options)[1])

    def est_dte(self, draft, **changes):
        parts = {"RutConsultante": self.person.rut[:-2], "DvConsultante": self.person.rut[-1]}
        parts |= {"RutCompania": draft.issuer[:-2], "DvCompania": draft.issuer[-1]} | self._query(draft)
        return flat(self.call("QueryEstDte.jws", "getEstDte", {**parts, "Token": self.token, **changes})[1])

    def est_dte_av(self, draft, signature, **changes):
        parts = {"RutEmpresa": draft.issuer[:-2], "DvEmpresa": draft.issuer[-1]} | self._query(draft)
        parts |= {"FirmaDte": signature, "Token": self.token}
        return flat(self.call("services/QueryEstDteAv", "getEstDteAv", {**parts, **changes})[1])

    def resend(self, company, track, **changes):
        parts = {"Token": self.token, "RutEmpresa": company[:-2], "DvEmpresa": company[-1], "TrackId": track}
        return flat(self.call("services/wsDTECorreo", "reenvioCorreo", {**parts, **changes})[1])

    @staticmethod
    def _query(draft):
        year, month, day = draft.date.split("-")
        return {
            "RutReceptor": draft.receiver[:-2],
            "DvReceptor": draft.receiver[-1],
            "TipoDte": draft.kind,
            "FolioDte": draft.folio,
            "FechaEmisionDte": day + month + year,
            "MontoDte": draft.number,
        }


def inner(reply):
    """Root of the document inside a SOAP answer; None for a Fault."""
    if reply.status != 200:
        return None
    root = etree.fromstring(reply.body.strip())
    returned = next(element for element in root.iter() if etree.QName(element).localname.endswith("Return"))
    return etree.fromstring(returned.text.strip().encode())


def multipart(fields, data):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="archivo"; filename="envio.xml"\r\nContent-Type: text/xml'
    parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def reception(reply):
    """RECEPCIONDTE as a dictionary."""
    assert reply.status == 200, reply.text
    return flat(etree.fromstring(reply.body))


def eventually(condition):
    """Asks again until the condition holds, for some seconds; returns its last value."""
    end = time.monotonic() + PATIENCE
    value = condition()
    while not value and time.monotonic() < end:
        value = condition()
    return value
