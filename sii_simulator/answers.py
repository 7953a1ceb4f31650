# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Answers as HTTP sees them, and the XML bodies of the SII: RESPUESTA and RECEPCIONDTE."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

XML = "text/xml;charset=utf-8"
HTML = "text/html;charset=ISO-8859-1"
TEXT = "text/plain;charset=ISO-8859-1"

NO_SESSION = (
    "<HTML>\n<HEAD>\n<TITLE>Error 501</TITLE>\n</HEAD>\n<BODY>\n<H1>Usuario no autenticado</H1>\n</BODY>\n</HTML>\n"
)
UPLOAD_ERROR = (
    "<html>\n<head><title>Upload</title></head>\n<body>\nHA OCURRIDO UN ERROR EN EL UPLOAD\n</body>\n</html>\n"
)


@dataclass(frozen=True)
class Answer:
    body: bytes
    content_type: str = XML
    status: int = 200


def html(text, status=200):
    return Answer(text.encode("iso-8859-1"), HTML, status)


def error_page(status, reason):
    return html(f"<HTML><HEAD><TITLE>{status} {reason}</TITLE></HEAD><BODY><H1>{reason}</H1></BODY></HTML>\n", status)


@dataclass(frozen=True)
class Respuesta:
    """An inner document SII:RESPUESTA: pairs (element, text) of RESP_HDR and of RESP_BODY."""

    header: tuple
    body: tuple = ()
    prefixed: bool = False
    body_first: bool = True
    compact: bool = False
    outside: tuple = ()

    def xml(self):
        """The document as text. `compact` is one line; otherwise indented, with CR LF."""
        end, pad = ("", "") if self.compact else ("\r\n", "    ")
        parts = [self._part("RESP_HDR", self.header, end, pad)]
        if self.body:
            parts.insert(0 if self.body_first else 1, self._part("RESP_BODY", self.body, end, pad))
        outside = "".join(pad + _element(name, text) + end for name, text in self.outside)
        inner = "".join(parts) + outside
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            + ("\n" if self.compact else end)
            + f'<SII:RESPUESTA xmlns:SII="http://www.sii.cl/XMLSchema">{end}{inner}</SII:RESPUESTA>{end}'
        )

    def _part(self, name, pairs, end, pad):
        prefix = "SII:" if self.prefixed else ""
        lines = "".join(pad * 2 + _element(prefix + tag, text) + end for tag, text in pairs)
        return f"{pad}<SII:{name}>{end}{lines}{pad}</SII:{name}>{end}"


def reception(fields, status, moment, *, track="", errors=()):
    """RECEPCIONDTE: the answer of DTEUpload. `fields`: sender, company (RUTs) and filename."""
    detail = "".join(f"  <ERROR>{escape(error)}</ERROR>\n" for error in errors)
    tail = f"\n\n <TRACKID>{track}</TRACKID>\n" if track else ""
    text = (
        '<?xml version="1.0"?>\n<RECEPCIONDTE>\n'
        f" <RUTSENDER>{escape(fields['sender'])}</RUTSENDER>\n <RUTCOMPANY>{escape(fields['company'])}</RUTCOMPANY>\n"
        f" <FILE>{escape(fields['filename'])}</FILE>\n <TIMESTAMP>{moment:%Y-%m-%d %H:%M:%S}</TIMESTAMP>\n"
        f" <STATUS>{status}</STATUS>\n"
        + (f" <DETAIL>\n{detail} </DETAIL>\n" if detail else tail)
        + "\n</RECEPCIONDTE>\n"
    )
    return Answer(text.encode("iso-8859-1", "replace"), "text/xml")


def _element(tag, text):
    return f"<{tag}>{escape(str(text))}</{tag}>"
