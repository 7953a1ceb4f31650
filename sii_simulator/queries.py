# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SOAP services: seed and token, QueryEstUp, QueryEstDte, QueryEstDteAv, wsDTECorreo."""

import re
import secrets

from . import rut
from .answers import Respuesta
from .ledger import ACCEPTED, OBJECTED, REJECTED
from .result_mail import counts
from .sessions import Refused
from .states import GLOSAS

NO_TOKEN = (("ESTADO", "001"), ("GLOSA", "TOKEN NO EXISTE"))
NO_PERMISSION = "USUARIO SIN PERMISO"

# ESTADO of a document -> (ERR_CODE, text).
DOCUMENT_STATES = {
    "DOK": (0, "Documento Recibido por el SII. Datos Coinciden con los Registrados"),
    "DNK": (1, "Documento Recibido por el SII pero Datos NO Coinciden con los registrados"),
    "FAU": (3, "Documento No Recibido por el SII"),
    "FNA": (4, "Documento No Autorizado"),
    "FAN": (5, "Documento Anulado"),
    "EMP": (6, "Empresa no autorizada a Emitir Documentos Tributarios Electronicos"),
    "TMD": (10, "Existe Nota de Debito que Modifica Texto Documento"),
    "TMC": (11, "Existe Nota de Credito que Modifica Textos Documento"),
    "MMD": (12, "Existe Nota de Debito que Modifica Montos Documento"),
    "MMC": (13, "Existe Nota de Credito que Modifica Montos Documento"),
    "AND": (14, "Existe Nota de Debito que Anula Documento"),
    "ANC": (15, "Existe Nota de Credito que Anula Documento"),
}
MAIL_GLOSAS = {
    "0": "Solicitud de reenvio aceptada",
    "101": "Digito verificador incorrecto",
    "102": "Faltan datos de entrada",
    "104": "Token no existe",
    "105": "Trackid no existe",
    "106": NO_PERMISSION,
    "114": "Envio aun no ha sido validado",
}
DATE = re.compile(r"(\d{2})-?(\d{2})-?(\d{4})")


def get_seed(simulator, parts):
    return _short((("ESTADO", "00"),), (("SEMILLA", simulator.sessions.new_seed()),))


def get_token(simulator, parts):
    try:
        token = simulator.sessions.new_token(parts["pszXml"])
    except Refused as refusal:
        return _short((("ESTADO", refusal.estado), ("GLOSA", refusal.glosa)))
    return _short((("ESTADO", "00"), ("GLOSA", "Token Creado")), (("TOKEN", token),))


def version(simulator, parts):
    return _short((("ESTADO", "0"), ("GLOSA", "1.0")))


def get_est_up(simulator, parts):
    """State of an envelope, with the counters of its documents once it is processed."""
    user = _user(simulator, parts["Token"], "query_up")
    if user is None:
        return Respuesta(NO_TOKEN)
    fault, args = simulator.faults.first_of(("query_error", "not_registered", "no_query_permission"), "query_up")
    if fault == "query_error":
        return _numbered(simulator, (("ESTADO", args["estado"]), ("GLOSA", "ERROR")))
    company = rut.join(parts["RutCompania"], parts["DvCompania"])
    if fault == "no_query_permission" or not simulator.registry.may("query", user, company):
        return _numbered(simulator, (("ESTADO", "106"), ("GLOSA", NO_PERMISSION)))
    upload = simulator.ledger.upload(_integer(parts["TrackId"]))
    if upload is None or upload["company"] != company:
        return _composite(simulator, 1, 1)
    state = simulator.engine.state(upload)
    if state is None or fault == "not_registered":
        return _composite(simulator, 2, 0)
    stuck = simulator.faults.take("stuck", "query_up")
    return _envelope_state(simulator, upload, stuck["estado"] if stuck else state)


def get_est_dte(simulator, parts):
    """State of one document, compared with receiver, date and amount."""
    user = _user(simulator, parts["Token"], "query_dte")
    if user is None:
        return Respuesta(NO_TOKEN)
    company = rut.join(parts["RutCompania"], parts["DvCompania"])
    refusal = _refused_query(simulator, user, company, "query_dte")
    if refusal:
        return _numbered(simulator, (("ESTADO", refusal), ("GLOSA", NO_PERMISSION)))
    state = _document_state(simulator, company, parts, "query_dte")
    return _numbered(simulator, _document_header(state))


def get_est_dte_av(simulator, parts):
    """The same for a document whose SignatureValue is compared too; errors come with prefixed elements."""
    user = _user(simulator, parts["Token"], "query_dte_av")
    if user is None:
        return _av_error("001", "TOKEN NO EXISTE", _av_token_error(simulator, parts["Token"]))
    company = rut.join(parts["RutEmpresa"], parts["DvEmpresa"])
    refusal = _refused_query(simulator, user, company, "query_dte_av")
    if refusal:
        return _av_error(refusal, NO_PERMISSION, 9)
    if not all(
        parts[name] for name in ("RutReceptor", "TipoDte", "FolioDte", "FechaEmisionDte", "MontoDte", "FirmaDte")
    ):
        return _av_error("5", "PARAMETROS INCORRECTOS", 5)
    state = _document_state(simulator, company, parts, "query_dte_av", signature=parts["FirmaDte"])
    received = "NO" if state in ("FAU", "FNA", "FAN", "EMP") else "SI"
    return _numbered(simulator, _document_header(state), (("RECIBIDO", received),))


def resend_mail(simulator, parts):
    """wsDTECorreo.reenvioCorreo: asks for the mail of an envelope again."""
    status = _resend(simulator, parts)
    return Respuesta((("ESTADO", status), ("GLOSA", MAIL_GLOSAS[status])), prefixed=True)


def get_env(simulator, parts):
    return _short((("ESTADO", "0"), ("GLOSA", "CERTIFICACION")))


OPERATIONS = {
    "getSeed": get_seed,
    "getToken": get_token,
    "getEstUp": get_est_up,
    "getEstDte": get_est_dte,
    "getEstDteAv": get_est_dte_av,
    "reenvioCorreo": resend_mail,
    "getEnv": get_env,
}


def note(simulator, call):
    """Keeps that somebody asks about an envelope or a document, whatever the answer will be."""
    parts = call.parts
    company = rut.join(
        parts.get("RutCompania") or parts.get("RutEmpresa", ""), parts.get("DvCompania") or parts.get("DvEmpresa", "")
    )
    now = simulator.clock.epoch()
    if "TrackId" in parts:
        simulator.ledger.note_question(call.operation, company, now, track_id=_integer(parts["TrackId"]))
    elif "FolioDte" in parts:
        kind, folio = _integer(parts["TipoDte"]), _integer(parts["FolioDte"])
        simulator.ledger.note_question(call.operation, company, now, kind=kind, folio=folio)


def _resend(simulator, parts):
    user = _user(simulator, parts["Token"], "mail")
    company = rut.join(parts["RutEmpresa"], parts["DvEmpresa"])
    if not all(parts.values()):
        return "102"
    if user is None:
        return "104"
    if not rut.is_valid(company):
        return "101"
    if not simulator.registry.may("query", user, company):
        return "106"
    upload = simulator.ledger.upload(_integer(parts["TrackId"]))
    if upload is None or upload["company"] != company:
        return "105"
    if not upload["state"]:
        return "114"
    simulator.engine.send_mail(upload)
    return "0"


def _user(simulator, token, service):
    """RUT of the holder of the token, or None."""
    if simulator.faults.take("token_refused", service) is not None:
        return None
    return simulator.sessions.user(token)[0]


def _refused_query(simulator, user, company, service):
    """ESTADO that refuses the query, or None."""
    fault, args = simulator.faults.first_of(("query_error", "no_query_permission"), service)
    if fault == "query_error":
        return args["estado"]
    known = simulator.registry.company(company) is not None
    if fault or (known and not simulator.registry.may("query", user, company)):
        return "106"
    return None


def _envelope_state(simulator, upload, state):
    header = (("TRACKID", f"{upload['track_id']:010d}"), ("ESTADO", state), ("GLOSA", GLOSAS.get(state, state)))
    if state != "EPR":
        return _numbered(simulator, header)
    rows = counts(simulator.ledger.documents(upload["track_id"]))
    dropped = list(simulator.settings["drop_types"])
    fault = simulator.faults.take("drop_type", "query_up")
    if fault:
        dropped.append(fault["type"])
    body = []
    for row in rows:
        if row["type"] not in dropped:
            body += [("TIPO_DOCTO", row["type"]), ("INFORMADOS", row["informed"]), ("ACEPTADOS", row[ACCEPTED])]
            body += [("RECHAZADOS", row[REJECTED]), ("REPAROS", row[OBJECTED])]
    return _numbered(simulator, header, tuple(body))


def _document_state(simulator, company, parts, service, signature=None):
    registry = simulator.registry
    if registry.company(company) is None:
        return "EMP"
    kind, folio = _integer(parts["TipoDte"]), _integer(parts["FolioDte"])
    if registry.is_annulled(company, kind, folio):
        return "FAN"
    if not registry.is_authorised(company, kind, folio):
        return "FNA"
    document = simulator.ledger.received(company, kind, folio)
    if document is None:
        return "FAU"
    receiver = rut.join(parts["RutReceptor"], parts["DvReceptor"])
    asked = (receiver, _iso_date(parts["FechaEmisionDte"]), parts["MontoDte"])
    same = asked == (document["receiver"], document["date"], document["total"])
    if signature is not None:
        same = same and "".join(signature.split()) == document["signature"]
    if not same or simulator.faults.take("dnk", service) is not None:
        return "DNK"
    return document["modified"] or "DOK"


def _document_header(state):
    number, text = DOCUMENT_STATES[state]
    return (("ESTADO", state), ("GLOSA_ESTADO", text), ("ERR_CODE", number), ("GLOSA_ERR", text))


def _av_error(estado, glosa, number):
    return Respuesta((("ESTADO", estado), ("GLOSA", glosa), ("ERR_CODE", number)), prefixed=True)


def _av_token_error(simulator, token):
    return 1 if simulator.sessions.user(token)[1] == "expired" else 2


def _composite(simulator, error, service_error):
    """ESTADO -11: ERR_CODE 1 not an envelope of that company, 2 not registered yet."""
    header = (("ESTADO", "-11"), ("ERR_CODE", error), ("SQL_CODE", 0), ("SRV_CODE", service_error))
    return _numbered(simulator, header)


def _numbered(simulator, header, body=()):
    """A Respuesta with NUM_ATENCION in the form the settings ask for."""
    number = secrets.randbelow(100_000)
    form = simulator.settings["num_atencion"]
    if form == "dated":
        number = f"{number}   ( {simulator.clock.local():%Y/%m/%d %H:%M:%S})"
    pair = ("NUM_ATENCION", number)
    if form == "outside":
        return Respuesta(header, body, outside=(pair,))
    return Respuesta((*header, pair), body)


def _short(header, body=()):
    return Respuesta(header, body, compact=True)


def _iso_date(text):
    match = DATE.fullmatch(text)
    return f"{match[3]}-{match[2]}-{match[1]}" if match else ""


def _integer(text):
    return int(text) if text.isdecimal() and len(text) < 19 else -1
