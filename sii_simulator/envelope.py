# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The checks of a whole envelope: schema, signature of the set, carátula."""

import hashlib
from collections import Counter
from datetime import datetime

from . import fileformat, xmldsig, xmltools
from .authority import holder_rut, is_valid_at
from .codes import known
from .dte import read_dte
from .rut import SII

SII_DTE = "{http://www.sii.cl/SiiDte}"


class EnvelopeRejected(Exception):
    """The envelope is rejected whole: `outcome` is RSC, RFR, RCT or RPT, `errors` the texts for the mail."""

    def __init__(self, outcome, *errors):
        super().__init__(outcome)
        self.outcome = outcome
        self.errors = list(errors)


def check(simulator, upload):
    """Checks an upload row, in the order of the SII: repetition, schema, signature of the set, carátula.

    Returns the documents as tuples for the ledger. Raises EnvelopeRejected.
    """
    copy = simulator.ledger.first_copy(upload)
    if copy:
        raise EnvelopeRejected("RPT", f"Envio Repetido, Trackid {copy}")
    body = simulator.ledger.body(upload["track_id"])
    root = _parsed(simulator, upload, body)
    documents = [read_dte(body, *place) for place in fileformat.cut_documents(body)]
    if len(documents) != len(root.findall(f"{SII_DTE}SetDTE/{SII_DTE}DTE")):
        raise EnvelopeRejected("RSC", _text(known("ENV-3-0", "[0] " + fileformat.SCHEMA_NAME)))
    caratula = root.find(f"{SII_DTE}SetDTE/{SII_DTE}Caratula")
    _signature(simulator, upload, root)
    _caratula(simulator, upload, xmltools.forget_namespaces(caratula), documents)
    return [
        (
            *(dte.start, len(dte.raw), dte.issuer, dte.type, dte.folio, dte.receiver, dte.date.isoformat(), dte.total),
            *(dte.signature_value, hashlib.sha256(dte.raw).hexdigest()),
        )
        for dte in documents
    ]


def check_signature(simulator, root):
    """Checks the signature of SetDTE inside the envelope; returns its certificate. Raises BadSignature."""
    set_dte = root.find(f"{SII_DTE}SetDTE")
    element = root.find(f"{xmldsig.TAG}Signature")
    if set_dte is None or element is None:
        raise xmldsig.BadSignature("form", "SetDTE or its Signature is missing")
    signature = xmldsig.read(element)
    if signature.uri != "#" + set_dte.get("ID", ""):
        raise xmldsig.BadSignature("form", "the reference is not to SetDTE")
    document = xmldsig.canonical(root)
    xmldsig.verify(signature, document, [xmltools.subtree(document, set_dte)])
    signed = xmltools.text(root, f"{SII_DTE}SetDTE/{SII_DTE}Caratula/{SII_DTE}TmstFirmaEnv")
    check_certificate(simulator, signature.certificate, signed)
    return signature.certificate


def check_certificate(simulator, certificate, signed):
    """Raises BadSignature unless the CA issued the certificate and it was valid at `signed` (AAAA-MM-DDTHH:MM:SS)."""
    if not simulator.authority.vouches_for(certificate):
        raise xmldsig.BadSignature("certificate", "the certificate is not of an accredited authority")
    try:
        moment = datetime.fromisoformat(signed)
    except ValueError as error:
        raise xmldsig.BadSignature("certificate", f"{signed!r} is not the time of a signature") from error
    if not is_valid_at(certificate, moment):
        raise xmldsig.BadSignature("certificate", "the certificate was not valid at the time of the signature")


def _parsed(simulator, upload, body):
    try:
        root = xmltools.parse(body)
    except xmltools.BadXml as error:
        raise EnvelopeRejected("RSC", _text(known("ENV-3-0", "[0] " + fileformat.END_OF_FILE))) from error
    errors = [] if upload["schema_checked"] else simulator.schemas.errors(root)
    if errors:
        raise EnvelopeRejected("RSC", *(_text(known("ENV-3-0", "[0] " + error)) for error in errors))
    return root


def _signature(simulator, upload, root):
    try:
        certificate = check_signature(simulator, root)
    except xmldsig.BadSignature as error:
        raise EnvelopeRejected("RFR", f"Firma de Envio Incorrecta: {error}") from error
    holder = holder_rut(certificate)
    allowed = holder == upload["sender"] and simulator.registry.may("sign", holder, upload["company"])
    if not allowed or simulator.faults.take("rfr") is not None:
        raise EnvelopeRejected("RFR", _text(known("ENV-3-6")))


def _caratula(simulator, upload, caratula, documents):
    company = simulator.registry.company(upload["company"])
    if company is None or xmltools.text(caratula, "RutEmisor") != upload["company"]:
        raise EnvelopeRejected("RCT", "Rut Emisor de Caratula no corresponde a la empresa del Upload")
    if xmltools.text(caratula, "RutEnvia") != upload["sender"]:
        raise EnvelopeRejected("RCT", _text(known("CRT-3-11")))
    resolution = (xmltools.text(caratula, "FchResol"), int(xmltools.text(caratula, "NroResol")))
    if resolution != (company["resolution_date"], company["resolution_number"]):
        raise EnvelopeRejected("RCT", _text(known("CRT-3-19")))
    if xmltools.text(caratula, "RutReceptor") != SII:
        raise EnvelopeRejected("RCT", f"Rut Receptor de Caratula debe ser {SII}")
    declared = [
        tuple(int(xmltools.text(row, tag)) for tag in ("TpoDTE", "NroDTE")) for row in caratula.iter("SubTotDTE")
    ]
    if sorted(declared) != sorted(Counter(dte.type for dte in documents).items()):
        raise EnvelopeRejected("RCT", "Subtotales de Caratula no corresponden a los DTE del Envio")
    if any(dte.issuer != upload["company"] for dte in documents):
        raise EnvelopeRejected("RCT", "Rut Emisor de un DTE no corresponde al de la Caratula")


def _text(finding):
    return f"({finding.code()}) {finding.text}"
