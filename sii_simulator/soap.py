# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SOAP 1.1 surface of the classic services: calls in, Axis envelopes out."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from . import xmltools
from .answers import XML, Answer

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"

VERSIONS = {name: () for name in ("getVersion", "getVersionMayor", "getVersionMenor", "getVersionPatch", "getState")}

# Path -> (service, its operations with their parts in WSDL order).
SERVICES = {
    "/DTEWS/CrSeed.jws": ("seed", {"getSeed": ()}),
    "/DTEWS/GetTokenFromSeed.jws": ("token", {"getToken": ("pszXml",)}),
    "/DTEWS/QueryEstUp.jws": ("query_up", {"getEstUp": ("RutCompania", "DvCompania", "TrackId", "Token")}),
    "/DTEWS/QueryEstDte.jws": (
        "query_dte",
        {
            "getEstDte": (
                *("RutConsultante", "DvConsultante", "RutCompania", "DvCompania", "RutReceptor", "DvReceptor"),
                *("TipoDte", "FolioDte", "FechaEmisionDte", "MontoDte", "Token"),
            )
        },
    ),
    "/DTEWS/services/QueryEstDteAv": (
        "query_dte_av",
        {
            "getEstDteAv": (
                *("RutEmpresa", "DvEmpresa", "RutReceptor", "DvReceptor", "TipoDte", "FolioDte"),
                *("FechaEmisionDte", "MontoDte", "FirmaDte", "Token"),
            )
        },
    ),
    "/DTEWS/services/wsDTECorreo": (
        "mail",
        {"reenvioCorreo": ("Token", "RutEmpresa", "DvEmpresa", "TrackId"), "getEnv": ()},
    ),
}


class SoapFault(Exception):
    """The call must be answered with HTTP 500 and a Fault."""

    def __init__(self, text, code="soapenv:Server.userException"):
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Call:
    operation: str
    parts: dict
    namespace: str


def read_call(path, body):
    """The operation and its parts (stripped texts). Raises SoapFault for bad XML, a wrong operation or arity."""
    operations = {**SERVICES[path][1], **VERSIONS}
    try:
        root = xmltools.parse(body.strip())
    except xmltools.BadXml as error:
        raise SoapFault(f"org.xml.sax.SAXParseException: {error}") from error
    content = root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or content is None or len(content) != 1:
        raise SoapFault("Bad envelope tag", "soapenv:Client")
    element = content[0]
    operation = xmltools.local_name(element)
    names = [xmltools.local_name(part) for part in element]
    if operation not in operations or names != list(operations[operation]):
        raise SoapFault(f"No such operation '{operation}'", "soapenv:Client")
    namespace = element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""
    parts = {xmltools.local_name(part): (part.text or "").strip() for part in element}
    return Call(operation, parts, namespace)


def wrap(call, inner, form, *, charset="utf-8", preamble=""):
    """The answer that carries `inner` (text), in form "A" (no prefix) or "B" (ns1)."""
    name = f"{call.operation}Response"
    result = f"{call.operation}Return"
    if form == "A":
        opening = f'<{name} soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
    else:
        name, result = f"ns1:{name}", f"ns1:{result}"
        opening = f'<{name} xmlns:ns1="{escape(call.namespace or "http://DefaultNamespace")}">'
    escaped = escape(inner, {'"': "&quot;", "\r": "&#xd;"})
    content = f'{opening}\n<{result} xsi:type="xsd:string">{escaped}</{result}>\n</{name}>'
    return Answer(preamble.encode() + _envelope(content).encode(charset), XML)


def fault(error):
    """HTTP 500 with an Axis Fault."""
    content = (
        f"<soapenv:Fault><faultcode>{error.code}</faultcode><faultstring>{escape(str(error))}</faultstring>"
        '<detail><ns1:hostname xmlns:ns1="http://xml.apache.org/axis/">simulator</ns1:hostname></detail></soapenv:Fault>'
    )
    return Answer(_envelope(content).encode(), XML, 500)


def _envelope(content):
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        f"<soapenv:Body>{content}</soapenv:Body>\n</soapenv:Envelope>"
    )
