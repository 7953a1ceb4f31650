# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The references of credit and debit notes, and what an accepted note does to the document it refers to."""

from dataclasses import dataclass

from .codes import REJECTS, known, unnumbered

CREDIT, DEBIT = 61, 56
# What a note may correct, electronic and paper; a guia may not.
CORRECTABLE = {"30", "32", "33", "34", "35", "38", "39", "40", "41", "43", "45", "46", "55", "56", "60", "61"}
# The electronic ones whose issuer sends them through this channel, so that the SII must have them.
HELD = {"33", "34", "43", "46", "56", "61"}
ANNULS, CORRECTS_TEXT, CORRECTS_AMOUNTS = "1", "2", "3"
LETTERS = {
    (CREDIT, ANNULS): "ANC",
    (CREDIT, CORRECTS_TEXT): "TMC",
    (CREDIT, CORRECTS_AMOUNTS): "MMC",
    (DEBIT, ANNULS): "AND",
    (DEBIT, CORRECTS_TEXT): "TMD",
    (DEBIT, CORRECTS_AMOUNTS): "MMD",
}


@dataclass(frozen=True)
class Reference:
    line: int
    type: str
    folio: str
    code: str
    is_global: bool
    other_issuer: str


def read(dte):
    """The references to tax documents (type of three digits at most, below 800), SET and free texts left out."""
    rows = [
        Reference(
            line=int(row.findtext("NroLinRef")),
            type=row.findtext("TpoDocRef"),
            folio=row.findtext("FolioRef"),
            code=row.findtext("CodRef") or "",
            is_global=row.findtext("IndGlobal") == "1",
            other_issuer=row.findtext("RUTOtr") or "",
        )
        for row in dte.content.iter("Referencia")
    ]
    return [row for row in rows if row.type.isdecimal() and int(row.type) < 800]


def review(dte, find):
    """Findings about the references of a note (56 or 61); `find(type, folio)` gives what the SII holds, or None."""
    if dte.type not in (CREDIT, DEBIT):
        return []
    rows = read(dte)
    if not rows or any(row.type not in CORRECTABLE for row in rows):
        return [known("REF-3-415")]
    findings = [known("REF-3-758", line=row.line) for row in rows if not row.code]
    if len(rows) > 1 and any(row.code in (ANNULS, CORRECTS_TEXT) for row in rows):
        findings.append(unnumbered("REF", REJECTS, "Anulacion o correccion de texto debe tener una unica referencia"))
    if dte.type == DEBIT and any(row.code == ANNULS and row.type not in ("60", "61") for row in rows):
        findings.append(known("REF-3-415", "una Nota de Debito solo anula Notas de Credito"))
    for row in rows:
        findings += _review_one(dte, row, find)
    if any(row.code == CORRECTS_TEXT for row in rows) and dte.total != "0":
        findings.append(known("REF-2-781"))
    return findings


def modifications(dte):
    """(issuer, type, folio, letters) of the documents an accepted note modifies; letters as in QueryEstDte."""
    if dte.type not in (CREDIT, DEBIT):
        return []
    return [
        (dte.issuer, int(row.type), int(row.folio), LETTERS[dte.type, row.code])
        for row in read(dte)
        if _is_held(dte, row) and row.code
    ]


def _review_one(dte, row, find):
    if not _is_held(dte, row):
        return []
    referred = find(int(row.type), int(row.folio))
    if referred is None:
        return [known("REF-3-750", f"tipo {row.type} folio {row.folio}")]
    if referred["receiver"] != dte.receiver:
        return [known("REF-3-751", f"tipo {row.type} folio {row.folio}")]
    if row.code == ANNULS and referred["total"] != dte.total:
        return [known("REF-2-780")]
    return []


def _is_held(dte, row):
    """True when the reference is to one electronic document of the same issuer."""
    own = row.other_issuer in ("", dte.issuer)
    return own and row.type in HELD and not row.is_global and row.folio.isdecimal()
