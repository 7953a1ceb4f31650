# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""One DTE, cut out of the bytes of its envelope and read alone, as the SII does."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime

from lxml import etree

from . import xmldsig, xmltools

ENCODING = "iso-8859-1"
XSI = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
BODIES = ("Documento", "Liquidacion", "Exportaciones")


@dataclass(frozen=True)
class Dte:
    start: int
    raw: bytes
    isolated: bool
    root: etree._Element
    content: etree._Element
    type: int
    folio: int
    issuer: str
    receiver: str
    date: date
    total: str
    signed: datetime
    signature_value: str

    def text(self, path):
        """Text at a path like "Encabezado/Totales/IVA", or an empty string."""
        return xmltools.text(self.content, path)

    def has(self, path):
        return self.content.find(path) is not None


def read_dte(data, start, length):
    """The DTE at data[start:start + length]. The envelope must be valid against its schema.

    `root` keeps the namespaces that the fragment has by itself; `content` is the Documento without any.
    `isolated` is False when the fragment is no XML document without its envelope.
    """
    raw = data[start : start + length]
    try:
        root, isolated = xmltools.parse(raw, ENCODING), True
    except xmltools.BadXml:
        root, isolated = xmltools.parse(b"<e " + XSI + b">" + raw + b"</e>", ENCODING)[0], False
    plain = xmltools.forget_namespaces(deepcopy(root))
    content = next(child for child in plain if child.tag in BODIES)
    return Dte(
        start=start,
        raw=raw,
        isolated=isolated,
        root=root,
        content=content,
        type=int(xmltools.text(content, "Encabezado/IdDoc/TipoDTE")),
        folio=int(xmltools.text(content, "Encabezado/IdDoc/Folio")),
        issuer=xmltools.text(content, "Encabezado/Emisor/RUTEmisor"),
        receiver=xmltools.text(content, "Encabezado/Receptor/RUTRecep"),
        date=date.fromisoformat(xmltools.text(content, "Encabezado/IdDoc/FchEmis")),
        total=xmltools.text(content, "Encabezado/Totales/MntTotal"),
        signed=datetime.fromisoformat(xmltools.text(content, "TmstFirma")),
        signature_value="".join(xmltools.text(plain, "Signature/SignatureValue").split()),
    )


def check_signature(dte):
    """Checks the signature of the fragment alone; returns its certificate. Raises BadSignature.

    The digest may be over the Documento with the namespaces the fragment declares, or with none at all: both
    exist in documents the SII accepted. Namespaces that only the envelope declares do not count.
    """
    if not dte.isolated:
        raise xmldsig.BadSignature("form", "the DTE is not a document without its envelope")
    signed, element = dte.root
    signature = xmldsig.read(element)
    if signature.uri != "#" + signed.get("ID", ""):
        raise xmldsig.BadSignature("form", "the reference is not to the document of this DTE")
    document = xmldsig.canonical(dte.root)
    prefixes = tuple(signed.nsmap)
    candidates = [xmltools.subtree(document, signed), xmltools.subtree(document, signed, without=prefixes)]
    xmldsig.verify(signature, document, candidates)
    return signature.certificate
