# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Builds, stamps and signs documents for the tests of the simulator, with lxml and cryptography only.

Every function takes the arguments needed to do it wrong on purpose.
"""

import base64
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

SII = "60803000-K"
DTE_NS = 'xmlns="http://www.sii.cl/SiiDte"'
XSI_NS = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SIGNATURE_NS = 'xmlns="http://www.w3.org/2000/09/xmldsig#"'
W3 = "http://www.w3.org/2000/09/xmldsig#"
SHA1 = hashes.SHA1()  # noqa: S303  what the SII signs with
PLAIN_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


@dataclass
class Person:
    """Holder of a certificate, with the private key."""

    rut: str
    key: object
    certificate: x509.Certificate

    @classmethod
    def from_pem(cls, rut, key_pem, certificate_pem):
        key = serialization.load_pem_private_key(key_pem.encode(), None)
        return cls(rut, key, x509.load_pem_x509_certificate(certificate_pem.encode()))


@dataclass
class Caf:
    """An AUTORIZACION file: the CAF element as text, and the key that stamps."""

    element: str
    key: object
    first: int
    last: int

    @classmethod
    def read(cls, data):
        text = data.decode("iso-8859-1")
        pem = re.search(r"<RSASK>(.*?)</RSASK>", text, re.DOTALL)[1]
        return cls(
            element=re.search(r"<CAF .*?</CAF>", text, re.DOTALL)[0],
            key=serialization.load_pem_private_key(pem.encode(), None),
            first=int(re.search(r"<D>(\d+)</D>", text)[1]),
            last=int(re.search(r"<H>(\d+)</H>", text)[1]),
        )


@dataclass
class Draft:
    """A document before it is stamped. `extra` maps an element name to XML added at its end."""

    kind: int
    folio: int
    issuer: str
    receiver: str = "96790240-3"
    receiver_name: str = "Comercial O'Higgins & Cía <Ltda.>"
    date: str = ""
    signed: datetime = None
    lines: list = field(default_factory=lambda: [("Cajón AFECTO", 3, 1000, "")])
    references: list = field(default_factory=list)
    tail: str = ""
    totals: str | None = None
    id_doc: str = ""
    acteco: str = "620200"
    without: tuple = ()
    ident: str = ""

    def __post_init__(self):
        self.ident = self.ident or f"F{self.folio}T{self.kind}"

    @property
    def number(self):
        return int(re.search(r"<MntTotal>(\d+)</MntTotal>", self.amounts())[1])

    def amounts(self):
        """The children of Totales: as given, or what the lines add up to (half up, 19%)."""
        if self.totals is not None:
            return self.totals
        exempt = sum(amount(line) for line in self.lines if self.kind == 34 or line[3] == "1")
        neto = sum(amount(line) for line in self.lines) - exempt
        iva = (neto * 19 + 50) // 100
        parts = [f"<MntNeto>{neto}</MntNeto>"] if neto else []
        parts += [f"<MntExe>{exempt}</MntExe>"] if exempt else []
        parts += [f"<TasaIVA>19</TasaIVA><IVA>{iva}</IVA>"] if neto else []
        return "".join([*parts, f"<MntTotal>{neto + exempt + iva}</MntTotal>"])


def amount(line):
    return line[1] * line[2]


def documento(draft):
    """The text of <Documento> without TED, TmstFirma and end tag."""
    traslado = "<TipoDespacho>2</TipoDespacho><IndTraslado>1</IndTraslado>" if draft.kind == 52 else ""
    transport = "<Transporte><DirDest>Camino 3</DirDest><CmnaDest>Quilicura</CmnaDest></Transporte>"
    lines = "\n".join(_line(number, line) for number, line in enumerate(draft.lines, 1))
    references = "\n".join(_reference(number, row) for number, row in enumerate(draft.references, 1))
    text = f"""<Documento ID="{draft.ident}">
<Encabezado>
<IdDoc><TipoDTE>{draft.kind}</TipoDTE><Folio>{draft.folio}</Folio><FchEmis>{draft.date}</FchEmis>\
{traslado}{draft.id_doc}</IdDoc>
<Emisor><RUTEmisor>{draft.issuer}</RUTEmisor><RznSoc>Empresa de Prueba SpA</RznSoc>
<GiroEmis>Servicios informáticos</GiroEmis><Acteco>{draft.acteco}</Acteco>
<DirOrigen>Calle Uno 1</DirOrigen><CmnaOrigen>Santiago</CmnaOrigen></Emisor>
<Receptor><RUTRecep>{draft.receiver}</RUTRecep><RznSocRecep>{escape(draft.receiver_name)}</RznSocRecep>
<GiroRecep>Comercio</GiroRecep><DirRecep>Calle Dos 2</DirRecep><CmnaRecep>Ñuñoa</CmnaRecep></Receptor>
{transport if draft.kind == 52 else ""}
<Totales>{draft.amounts()}</Totales>
</Encabezado>
{lines}
{draft.tail}
{references}
"""
    for tag in draft.without:
        text = re.sub(rf"<{tag}>[^<]*</{tag}>", "", text)
    return re.sub(r"\n\n+", "\n", text)


def _line(number, line):
    name, quantity, price, exemption = line[:4]
    values = [
        ("NroLinDet", number),
        ("IndExe", exemption),
        ("NmbItem", escape(name)),
        ("QtyItem", quantity),
        ("PrcItem", price),
    ]
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in values if value not in ("", 0))
    extra = line[4] if len(line) > 4 else f"<MontoItem>{amount(line)}</MontoItem>"
    return f"<Detalle>{inner}{extra}</Detalle>"


def _reference(number, row):
    kind, folio, date, code, reason = row
    code = f"<CodRef>{code}</CodRef>" if code else ""
    return (
        f"<Referencia><NroLinRef>{number}</NroLinRef><TpoDocRef>{kind}</TpoDocRef><FolioRef>{folio}</FolioRef>"
        f"<FchRef>{date}</FchRef>{code}<RazonRef>{reason}</RazonRef></Referencia>"
    )


def ted(draft, caf, *, key=None, total=None, change=str):
    """The timbre. `key` stamps in place of the CAF's; `total` replaces MNT; `change` edits DD before it is stamped."""
    text = f"""<DD><RE>{draft.issuer}</RE><TD>{draft.kind}</TD><F>{draft.folio}</F><FE>{draft.date}</FE>\
<RR>{draft.receiver}</RR><RSR>{escape(draft.receiver_name[:40])}</RSR>\
<MNT>{draft.number if total is None else total}</MNT>\
<IT1>{escape(draft.lines[0][0][:40])}</IT1>{caf.element}<TSTED>{draft.signed:%Y-%m-%dT%H:%M:%S}</TSTED></DD>"""
    text = change(text)
    flat = re.sub(r">\s+<", "><", text).encode("iso-8859-1")
    mark = base64.b64encode((key or caf.key).sign(flat, padding.PKCS1v15(), SHA1)).decode()
    return f'<TED version="1.0">\n{text}\n<FRMT algoritmo="SHA1withRSA">{mark}</FRMT>\n</TED>\n'


def dte(draft, caf, person, *, stamp=None, change=str, namespaces=DTE_NS, digest_namespaces=None, sha="sha1", uri=None):
    """The bytes of a signed DTE.

    `stamp`: arguments for ted(); `change` edits the Documento before it is signed; `namespaces` are written on
    the DTE and `digest_namespaces` (default the same) are in scope for the digest; `uri` is referred
    to instead of the document.
    """
    moment = f"<TmstFirma>{draft.signed:%Y-%m-%dT%H:%M:%S}</TmstFirma>\n</Documento>"
    text = change(documento(draft) + ted(draft, caf, **(stamp or {})) + moment)
    scope = namespaces if digest_namespaces is None else digest_namespaces
    in_scope = text.replace("<Documento ", f"<Documento {scope} ", 1)
    outer = XSI_NS if "xmlns:xsi" in scope else ""
    signature = sign(in_scope, uri or f"#{draft.ident}", person, outer=outer, sha=sha)
    return f'<DTE {namespaces} version="1.0">\n{text}\n{signature}\n</DTE>'.replace("<DTE  ", "<DTE ").encode(
        "iso-8859-1"
    )


def sign(in_scope, uri, person, *, outer="", sha="sha1", transform=PLAIN_C14N, key=None):
    """A Signature over the canonical form of `in_scope`; `outer` is what SignedInfo inherits besides its own."""
    algorithm = {"sha1": W3 + "sha1", "sha256": "http://www.w3.org/2001/04/xmlenc#sha256"}[sha]
    digest = base64.b64encode(hashlib.new(sha, canonical(in_scope)).digest()).decode()
    info = (
        f'<CanonicalizationMethod Algorithm="{PLAIN_C14N}"/><SignatureMethod Algorithm="{W3}rsa-sha1"/>'
        f'<Reference URI="{uri}"><Transforms><Transform Algorithm="{transform}"/></Transforms>'
        f'<DigestMethod Algorithm="{algorithm}"/><DigestValue>{digest}</DigestValue></Reference></SignedInfo>'
    )
    to_sign = canonical(f"<SignedInfo {SIGNATURE_NS} {outer}>{info}")
    value = base64.b64encode(person.key.sign(to_sign, padding.PKCS1v15(), SHA1)).decode()
    return (
        f"<Signature {SIGNATURE_NS}><SignedInfo>{info}<SignatureValue>{value}</SignatureValue>"
        f"<KeyInfo>{key_value(key or person.key)}<X509Data><X509Certificate>{certificate_text(person)}"
        "</X509Certificate></X509Data></KeyInfo></Signature>"
    )


def key_value(key):
    numbers = key.public_key().public_numbers()
    modulus, exponent = (
        base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
        for number in (numbers.n, numbers.e)
    )
    return (
        f"<KeyValue><RSAKeyValue><Modulus>{modulus}</Modulus><Exponent>{exponent}</Exponent></RSAKeyValue></KeyValue>"
    )


def certificate_text(person):
    der = person.certificate.public_bytes(serialization.Encoding.DER)
    return base64.encodebytes(der).decode()


def canonical(text):
    tree = etree.parse(io.BytesIO(text.encode()))
    out = io.BytesIO()
    tree.write_c14n(out, with_comments=False)
    return out.getvalue()


def envelope(
    documents, issuer, person, resolution, *, moment, caratula=None, change=str, signer=None, declaration=None
):
    """The bytes of an EnvioDTE with the DTE bytes of `documents` put in verbatim.

    `caratula` replaces values by tag; `change` edits the SetDTE before it is signed; `signer` signs it in
    place of `person`.
    """
    kinds = Counter(int(re.search(rb"<TipoDTE>(\d+)<", one)[1]) for one in documents)
    subtotals = "\n".join(
        f"<SubTotDTE><TpoDTE>{kind}</TpoDTE><NroDTE>{count}</NroDTE></SubTotDTE>" for kind, count in kinds.items()
    )
    values = {
        "RutEmisor": issuer,
        "RutEnvia": person.rut,
        "RutReceptor": SII,
        "FchResol": resolution[1],
        "NroResol": resolution[0],
        "TmstFirmaEnv": f"{moment:%Y-%m-%dT%H:%M:%S}",
    } | (caratula or {})
    rows = "\n".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items() if tag != "SubTotDTE")
    inner = "\n".join(one.decode("iso-8859-1") for one in documents)
    set_dte = change(
        f'<SetDTE ID="SetDoc">\n<Caratula version="1.0">\n{rows}\n{values.get("SubTotDTE", subtotals)}\n</Caratula>\n'
        f"{inner}\n</SetDTE>"
    )
    in_scope = set_dte.replace("<SetDTE ", f"<SetDTE {DTE_NS} {XSI_NS} ", 1)
    signature = sign(in_scope, "#SetDoc", signer or person, outer=XSI_NS)
    declaration = declaration or '<?xml version="1.0" encoding="ISO-8859-1"?>'
    text = (
        f"{declaration}\n<EnvioDTE {DTE_NS} {XSI_NS} "
        f'xsi:schemaLocation="http://www.sii.cl/SiiDte EnvioDTE_v10.xsd" version="1.0">\n'
        f"{set_dte}\n{signature}\n</EnvioDTE>\n"
    )
    return text.encode("iso-8859-1")


def self_signed(rut):
    """A Person whose certificate no authority issued."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, rut)])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    return Person(rut, key, builder.sign(key, hashes.SHA256()))


def token_request(seed, person, *, key=None):
    """The signed getToken document, as text on one line but for the certificate."""
    item = f"<item><Semilla>{seed}</Semilla></item>"
    enveloped = W3 + "enveloped-signature"
    signature = sign(f"<getToken>{item}</getToken>", "", person, transform=enveloped, key=key)
    return f'<?xml version="1.0"?><getToken>{item}{signature}</getToken>'
