# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""DTEUpload (OI2003_UPDTE_MDE_1.5): the checks that are answered at once, and the STATUS of the answer."""

from http.cookies import CookieError, SimpleCookie

from . import fileformat, multipart, rut, xmldsig, xmltools
from .answers import NO_SESSION, UPLOAD_ERROR, error_page, html, reception
from .envelope import check_signature

PROGRAM = "PROG 1.0"
FIELDS = ("rutSender", "dvSender", "rutCompany", "dvCompany", "archivo")
STATUS_OF_99 = (
    "Archivo ya fue enviado {times} veces con Trackid {track}. Debe esperar {wait:.0f} segundos antes de reintentar"
)


class UploadRefused(Exception):
    def __init__(self, status, *errors):
        super().__init__(status)
        self.status = status
        self.errors = errors


def answer(simulator, request):
    """Answer to POST /cgi_dte/UPL/DTEUpload."""
    if PROGRAM not in request.headers.get("User-Agent", ""):
        return html(UPLOAD_ERROR)
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return _chunked(simulator)
    if simulator.faults.take("no_session", "upload") is not None:
        return html(NO_SESSION)
    fields, data = _empty_fields(), b""
    try:
        fields, data = _read_form(request)
        is_schema_checked = _check(simulator, request, fields, data)
        return _store(simulator, request, fields, data, is_schema_checked)
    except multipart.BadForm as error:
        if not error.truncated:
            return html(UPLOAD_ERROR)
        refusal = UploadRefused(3)
    except UploadRefused as error:
        refusal = error
    return _refuse(simulator, fields, data, refusal)


def _chunked(simulator):
    if simulator.settings["chunked"] == "400":
        return error_page(400, "Bad Request")
    refusal = UploadRefused(7, fileformat.END_OF_FILE)
    return reception(_empty_fields(), refusal.status, simulator.clock.local(), errors=refusal.errors)


def _empty_fields():
    return {"sender": "", "company": "", "filename": ""}


def _read_form(request):
    parts = multipart.parse(request.headers.get("Content-Type", ""), request.body)
    missing = [name for name in FIELDS if name not in parts]
    if missing:
        raise multipart.BadForm(f"fields missing: {', '.join(missing)}")
    numbers = {name: parts[name].text() for name in FIELDS[:4]}
    fields = {
        "sender": rut.join(numbers["rutSender"], numbers["dvSender"]),
        "company": rut.join(numbers["rutCompany"], numbers["dvCompany"]),
        "filename": parts["archivo"].filename or "",
    }
    return fields, parts["archivo"].content


def _check(simulator, request, fields, data):
    """Raises UploadRefused for what is known at once; returns whether the schema was checked."""
    _check_session(simulator, request, fields)
    _check_permission(simulator, fields)
    fault = simulator.faults.take("upload_status", "upload")
    if fault:
        raise UploadRefused(fault["status"], *([fault["detail"]] if fault["detail"] else []))
    settings = simulator.settings
    if not settings["min_upload_bytes"] <= len(data) <= settings["max_upload_bytes"]:
        raise UploadRefused(2)
    problem = fileformat.problem(data, settings)
    if problem:
        raise UploadRefused(7, problem)
    if settings["schema_errors"] == "rsc" and settings["signature_errors"] == "later":
        return False
    return _check_content(simulator, data)


def _check_session(simulator, request, fields):
    user = None
    if simulator.faults.take("token_refused", "upload") is None:
        user, _state = simulator.sessions.user(_cookie(request.headers.get("Cookie", "")))
    if user is None or user != fields["sender"]:
        raise UploadRefused(5)


def _check_permission(simulator, fields):
    if simulator.registry.company(fields["company"]) is None:
        raise UploadRefused(6)
    if not simulator.registry.may("send", fields["sender"], fields["company"]):
        raise UploadRefused(1)
    if simulator.settings["blocked"]:
        raise UploadRefused(9)


def _check_content(simulator, data):
    try:
        root = xmltools.parse(data)
    except xmltools.BadXml as error:
        raise UploadRefused(7, fileformat.END_OF_FILE) from error
    at_upload = simulator.settings["schema_errors"] == "upload"
    errors = simulator.schemas.errors(root) if at_upload else []
    if errors:
        raise UploadRefused(7, *errors)
    if simulator.settings["signature_errors"] == "upload":
        try:
            check_signature(simulator, root)
        except xmldsig.BadSignature as error:
            raise UploadRefused(8, str(error)) from error
    return at_upload


def _store(simulator, request, fields, data, is_schema_checked):
    now = simulator.clock.epoch()
    window = simulator.settings["dedupe_seconds"]
    receipt = simulator.ledger.store_upload(fields, data, now, window, is_schema_checked)
    simulator.engine.wake()
    request.step("stored")
    moment = simulator.clock.local(now)
    if receipt.status == 99:
        text = STATUS_OF_99.format(times=receipt.times, track=receipt.track_id, wait=window)
        return reception(fields, 99, moment, errors=[text])
    fault = simulator.faults.take("track_format", "upload")
    digits = fault["digits"] if fault else 10
    return reception(fields, 0, moment, track=f"{receipt.track_id:0{digits}d}")


def _refuse(simulator, fields, data, refusal):
    if refusal.status == 5 and simulator.settings["unauthenticated_upload"] == "html":
        return html(NO_SESSION)
    now = simulator.clock.epoch()
    simulator.ledger.note_refusal(fields, data, now, refusal.status, "; ".join(refusal.errors))
    return reception(fields, refusal.status, simulator.clock.local(now), errors=refusal.errors)


def _cookie(header):
    try:
        cookie = SimpleCookie(header)
    except CookieError:
        return ""
    return cookie["TOKEN"].value if "TOKEN" in cookie else ""
