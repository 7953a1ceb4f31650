# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The timbre (TED) of a DTE and the CAF inside it, read from the raw bytes."""

import base64
import binascii
import re
import unicodedata
from calendar import monthrange
from datetime import datetime

from . import rsa, xmltools
from .authority import IDK
from .caf import NAME_LENGTH, flat
from .codes import REJECTS, REPAIR, known, unnumbered

FRMA = re.compile(rb"</DA>\s*<FRMA[^>]*>([^<]*)</FRMA>")
FRMT = re.compile(rb"</DD>\s*<FRMT[^>]*>([^<]*)</FRMT>")
# Documents that give right to fiscal credit: their CAF lives six months.
EXPIRING_TYPES = (33, 43, 46, 56, 61)
CAF_MONTHS = 6


def review_caf(simulator, dte):
    """Findings about the CAF in the timbre: authenticity, environment, owner, range, validity."""
    da = dte.content.find("TED/DD/CAF/DA")
    if xmltools.text(da, "IDK") != str(IDK):
        return [known("CAF-3-516")]
    if not _caf_is_authentic(dte.raw, simulator.authority.caf_key.public):
        return [unnumbered("CAF", REJECTS, "Firma del CAF Incorrecta")]
    if xmltools.text(da, "RE") != dte.issuer or xmltools.text(da, "TD") != str(dte.type):
        return [unnumbered("CAF", REJECTS, "Rut o Tipo de DTE no corresponde al CAF")]
    first, last = (int(xmltools.text(da, path)) for path in ("RNG/D", "RNG/H"))
    registry = simulator.registry
    if not first <= dte.folio <= last or not registry.is_authorised(dte.issuer, dte.type, dte.folio):
        return [unnumbered("CAF", REJECTS, "Folio fuera del rango autorizado")]
    authorised = _day(da, "FA")
    if dte.type in EXPIRING_TYPES and dte.signed.date() > months_later(authorised, CAF_MONTHS):
        dates = f"(Firma_DTE[{dte.signed.date()}] - CAF[{authorised}]) > {CAF_MONTHS} meses"
        return [known("CAF-3-517", dates)]
    return []


def review_timbre(dte, received, strict):
    """Findings about the timbre: its signature, and that it says what the document says.

    `received`: naive Santiago time of the upload. `strict`: a wrong signature rejects, although its code is a repair:
    the SII's answers differ (repair, or RFR of the whole envelope), and nobody should rely on the milder one.
    """
    findings = []
    dd = dte.content.find("TED/DD")
    if not _timbre_is_authentic(dte.raw, dd):
        findings.append(known("TED-2-510", fatal=strict))
    if xmltools.text(dd, "MNT") != dte.total:
        findings.append(known("TED-3-640"))
    expected = {
        "RE": dte.issuer,
        "TD": str(dte.type),
        "F": str(dte.folio),
        "FE": dte.date.isoformat(),
        "RR": dte.receiver,
    }
    for tag, value in expected.items():
        if xmltools.text(dd, tag) != value:
            findings.append(unnumbered("TED", REJECTS, f"{tag} del Timbre no corresponde al DTE"))
    for tag, path in (("RSR", "Encabezado/Receptor/RznSocRecep"), ("IT1", "Detalle/NmbItem")):
        if not _same_text(xmltools.text(dd, tag), dte.text(path)):
            findings.append(unnumbered("TED", REPAIR, f"{tag} del Timbre no corresponde al DTE"))
    stamped = datetime.fromisoformat(xmltools.text(dd, "TSTED")).date()
    if stamped < _day(dd, "CAF/DA/FA"):
        findings.append(known("TED-1-646"))
    if stamped > received.date():
        findings.append(known("TED-1-647"))
    return findings


def months_later(day, months):
    """The same day `months` later, or the last one of that month."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return day.replace(year=year, month=month, day=min(day.day, monthrange(year, month)[1]))


def _caf_is_authentic(raw, key):
    match = FRMA.search(raw)
    return bool(match) and b"<DA>" in raw and _verified(key, flat(raw, b"DA"), match[1])


def _timbre_is_authentic(raw, dd):
    match = FRMT.search(raw)
    numbers = [_number(xmltools.text(dd, f"CAF/DA/RSAPK/{tag}")) for tag in ("M", "E")]
    return bool(match) and b"<DD>" in raw and _verified(rsa.PublicKey(*numbers), flat(raw, b"DD"), match[1])


def _verified(key, data, text):
    try:
        return rsa.verify_sha1(key, data, base64.b64decode(b"".join(text.split()), validate=True))
    except binascii.Error:
        return False


def _number(text):
    try:
        return int.from_bytes(base64.b64decode(text), "big")
    except binascii.Error:
        return 0


def _same_text(stamped, written):
    """True when the timbre has the first 40 characters of the text, accents folded or not."""
    return _folded(stamped) in (_folded(written[:NAME_LENGTH]), _folded(written)[:NAME_LENGTH].strip())


def _folded(text):
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()


def _day(element, path):
    return datetime.fromisoformat(xmltools.text(element, path)).date()
