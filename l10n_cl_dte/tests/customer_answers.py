# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Answers of a customer's system, written and signed by hand: nothing of libs, and nothing of Odoo."""

from __future__ import annotations

import base64
import hashlib
import io
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

SHA1 = hashes.SHA1()  # noqa: S303
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
DS = "http://www.w3.org/2000/09/xmldsig#"
HEADER = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
DECLARATION = (
    "El acuse de recibo que se declara en este acto, de acuerdo a lo dispuesto en la letra b) del Art. 4, y la letra "
    "c) del Art. 5 de la Ley 19.983, acredita que la entrega de mercaderias o servicio(s) prestado(s) ha(n) sido "
    "recibido(s)."
)
SII = ' xmlns="http://www.sii.cl/SiiDte"'


def canonical(element: str, namespaces: str) -> bytes:
    """C14N of an element that stands where `namespaces` are in scope."""
    name = re.match(r"<\w+", element).group()
    out = io.BytesIO()
    etree.fromstring(name + namespaces + element[len(name) :]).getroottree().write_c14n(out)
    return out.getvalue()


def signature(element: str, credentials, namespaces=SII) -> str:
    """Signature of an element that stands where `namespaces` are in scope."""
    digest = hashlib.sha1(canonical(element, namespaces), usedforsecurity=False)
    identity = re.search(r' ID="([^"]+)"', element)[1]
    content = (
        f'<CanonicalizationMethod Algorithm="{C14N}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{DS}rsa-sha1"></SignatureMethod>'
        f'<Reference URI="#{identity}"><Transforms><Transform Algorithm="{C14N}"></Transform></Transforms>'
        f'<DigestMethod Algorithm="{DS}sha1"></DigestMethod>'
        f"<DigestValue>{base64.b64encode(digest.digest()).decode()}</DigestValue></Reference></SignedInfo>"
    )
    value = credentials.private_key.sign(f'<SignedInfo xmlns="{DS}">{content}'.encode(), padding.PKCS1v15(), SHA1)
    return (
        f'<Signature xmlns="{DS}"><SignedInfo>{content}'
        f"<SignatureValue>{base64.b64encode(value).decode()}</SignatureValue>"
        f"<KeyInfo><KeyValue><RSAKeyValue><Modulus>{credentials.modulus_text}</Modulus>"
        f"<Exponent>{credentials.exponent_text}</Exponent></RSAKeyValue></KeyValue>"
        f"<X509Data><X509Certificate>{credentials.certificate_text}</X509Certificate></X509Data></KeyInfo></Signature>"
    )


def _cover(responder, recipient, extra, stamp):
    return (
        f'<Caratula version="1.0"><RutResponde>{responder}</RutResponde><RutRecibe>{recipient}</RutRecibe>{extra}'
        f"<NmbContacto>Señora Muñoz</NmbContacto><MailContacto>dte@cliente.example</MailContacto>{stamp}</Caratula>"
    )


def _key(tag, dte_type, folio, issued, issuer, receiver, total):
    return (
        f"<{tag}>{dte_type}</{tag}><Folio>{folio}</Folio><FchEmis>{issued}</FchEmis><RUTEmisor>{issuer}</RUTEmisor>"
        f"<RUTRecep>{receiver}</RUTRecep><MntTotal>{total}</MntTotal>"
    )


def answer(responder, recipient, rows, credentials, *, number=1, at="2026-10-06T09:00:00") -> bytes:
    """RespuestaDTE with rows of :func:`reception` or :func:`result`."""
    extra = f"<IdRespuesta>{number}</IdRespuesta><NroDetalles>{len(rows)}</NroDetalles>"
    cover = _cover(responder, recipient, extra, f"<TmstFirmaResp>{at}</TmstFirmaResp>")
    signed = f'<Resultado ID="R{number}">{cover}{"".join(rows)}</Resultado>'
    text = f'{HEADER}<RespuestaDTE{SII} version="1.0">{signed}{signature(signed, credentials)}</RespuestaDTE>'
    return text.encode("iso-8859-1")


def reception(set_id, *, code=0, text="Envío recibido conforme", documents=(), digest="") -> str:
    """RecepcionEnvio; `documents` are (type, folio, date, issuer, receiver, total, code, text)."""
    rows = "".join(
        f"<RecepcionDTE>{_key('TipoDTE', *document[:6])}<EstadoRecepDTE>{document[6]}</EstadoRecepDTE>"
        f"<RecepDTEGlosa>{document[7]}</RecepDTEGlosa></RecepcionDTE>"
        for document in documents
    )
    quoted = f"<Digest>{digest}</Digest>" if digest else ""
    count = f"<NroDTE>{len(documents)}</NroDTE>" if documents else ""
    return (
        f"<RecepcionEnvio><NmbEnvio>envio.xml</NmbEnvio><FchRecep>2026-10-06T08:59:00</FchRecep><CodEnvio>7</CodEnvio>"
        f"<EnvioDTEID>{set_id}</EnvioDTEID>{quoted}<EstadoRecepEnv>{code}</EstadoRecepEnv>"
        f"<RecepEnvGlosa>{text}</RecepEnvGlosa>{count}{rows}</RecepcionEnvio>"
    )


def result(*document, code=0, text="Aceptado") -> str:
    """ResultadoDTE of (type, folio, date, issuer, receiver, total)."""
    reason = "<CodRchDsc>-1</CodRchDsc>" if code else ""
    return (
        f"<ResultadoDTE>{_key('TipoDTE', *document)}<CodEnvio>7</CodEnvio><EstadoDTE>{code}</EstadoDTE>"
        f"<EstadoDTEGlosa>{text}</EstadoDTEGlosa>{reason}</ResultadoDTE>"
    )


def receipt(*document, credentials, signer="", place="Bodega Ñuñoa", at="2026-10-06T09:00:00") -> str:
    """Recibo of (type, folio, date, issuer, receiver, total), signed on its own."""
    signed = (
        f'<DocumentoRecibo ID="T{document[0]}F{document[1]}">{_key("TipoDoc", *document)}<Recinto>{place}</Recinto>'
        f"<RutFirma>{signer or credentials.holder_rut}</RutFirma><Declaracion>{DECLARATION}</Declaracion>"
        f"<TmstFirmaRecibo>{at}</TmstFirmaRecibo></DocumentoRecibo>"
    )
    return f'<Recibo version="1.0">{signed}{signature(signed, credentials)}</Recibo>'


def receipts(responder, recipient, rows, credentials, *, at="2026-10-06T09:05:00") -> bytes:
    """EnvioRecibos with rows of :func:`receipt`."""
    cover = _cover(responder, recipient, "", f"<TmstFirmaEnv>{at}</TmstFirmaEnv>")
    signed = f'<SetRecibos ID="SetRecibos">{cover}{"".join(rows)}</SetRecibos>'
    text = f'{HEADER}<EnvioRecibos{SII} version="1.0">{signed}{signature(signed, credentials)}</EnvioRecibos>'
    return text.encode("iso-8859-1")
