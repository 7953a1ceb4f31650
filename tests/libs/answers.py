# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Answers as the SII writes them (live forms A and B, pages, faults)."""

from __future__ import annotations

from xml.sax.saxutils import escape

HTML_501 = b"<HTML><HEAD><TITLE>Error 501</TITLE></HEAD><BODY>Error 501</BODY>"
HTML_UPLOAD = b"<html><body><p>HA OCURRIDO UN ERROR EN EL UPLOAD</body></html>"
HTML_503 = b"<html><head><title>503 Service Unavailable</title></head><body></body></html>"

_ENVELOPE = (
    '<?xml version="1.0" encoding="{declared}"?><soapenv:Envelope '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
)
FAULT = _ENVELOPE.format(
    declared="utf-8",
    body="<soapenv:Fault><faultcode>soapenv:Server</faultcode><faultstring>No such operation 'getEstUp'</faultstring>"
    "<detail/></soapenv:Fault>",
).encode()


def inner(header: str, body: str = "", *, body_first: bool = True, line_end: str = "") -> str:
    """The SII's document inside a SOAP answer; without body when there is nothing to count."""
    parts = [f"<SII:RESP_HDR>{header}</SII:RESP_HDR>"]
    if body:
        parts.insert(0 if body_first else 1, f"<SII:RESP_BODY>{body}</SII:RESP_BODY>")
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><SII:RESPUESTA xmlns:SII="http://www.sii.cl/XMLSchema">'
        + "".join(parts)
        + "</SII:RESPUESTA>"
    )
    return text.replace("><", f">{line_end}<")


def soap(operation: str, document: str, form: str = "A", *, declared: str = "utf-8") -> bytes:
    """A SOAP answer: form A without prefix, form B with one, or the document in a CDATA section."""
    text = f"<![CDATA[{document}]]>" if form == "cdata" else escape(document, {'"': "&quot;", "\r": "&#xd;"})
    prefix, namespace = ("ns1:", ' xmlns:ns1="https://maullin.sii.cl/DTEWS/X.jws"') if form == "B" else ("", "")
    body = (
        f"<{prefix}{operation}Response{namespace}>"
        f'<{prefix}{operation}Return xsi:type="xsd:string">{text}</{prefix}{operation}Return>'
        f"</{prefix}{operation}Response>"
    )
    return _ENVELOPE.format(declared=declared, body=body).encode("utf-8")
