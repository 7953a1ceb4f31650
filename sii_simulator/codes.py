# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Findings of the validation, with the codes of the SII as far as they are known.

A code reads SECTION-LEVEL-NUMBER: level 3 rejects, 2 and 1 are repairs (1 a light one). Where the SII's number for
a rule is not known the finding has a section and a level, and no number: none is invented.
"""

from dataclasses import dataclass

REJECTS = 3
REPAIR = 2
LIGHT = 1

TEXTS = {
    "ENV-3-0": "Error en Schema",
    "ENV-3-6": "Usuario no tiene permiso para firmar o enviar",
    "CRT-3-11": "Rut Envia no corresponde al del Upload",
    "CRT-3-19": "Fecha/Numero de Resolucion Invalido",
    "DTE-3-100": "DTE Repetido",
    "DTE-3-101": "Folio ya recibido con otros datos",
    "DTE-3-505": "Firma DTE Incorrecta",
    "DTE-3-601": "Folio Anulado",
    "DTE-1-650": "Fecha de Envio excede el plazo",
    "CAF-3-516": "CAF no corresponde a este ambiente",
    "CAF-3-517": "CAF Vencido",
    "TED-2-510": "Firma del Timbre Incorrecta",
    "TED-3-640": "Monto Total no corresponde al del Timbre",
    "TED-1-646": "Fecha del Timbre anterior a la del CAF",
    "TED-1-647": "Fecha del Timbre fuera de rango",
    "HED-3-305": "Fecha de Emision anterior a la del CAF",
    "HED-3-211": "Dato del Encabezado no permitido o faltante",
    "HED-3-861": "Actividad Economica no registrada",
    "HED-1-232": "Monto Neto debe ser mayor que cero",
    "HED-2-220": "Monto Exento no cuadra",
    "HED-2-260": "Monto Total no cuadra",
    "HED-2-300": "Retencion o impuesto sin tasa",
    "HED-2-302": "Retencion total no cuadra",
    "DET-2-200": "Valor Detalle no corresponde a Precio por Cantidad",
    "DETL-3-854": "Dato faltante en la linea de detalle",
    "REF-3-415": "Falta Referencia Valida",
    "REF-3-750": "DTE Referenciado no ha sido Recibido",
    "REF-3-751": "DTE Referenciado es de otro Receptor",
    "REF-3-758": "Codigo de Referencia es Obligatorio",
    "REF-2-780": "Anulacion con diferencia de monto",
    "REF-2-781": "Correccion de texto no debe llevar montos",
}


@dataclass(frozen=True)
class Finding:
    section: str
    level: int
    number: int | None
    text: str
    line: int | None = None
    fatal: bool = False

    def code(self):
        """As the SII writes it: "DTE-3-505", "DET L[2]-2-200", "REF L[1] -3-758"; "HED-2" without a known number."""
        place = "" if self.line is None else f" L[{self.line}]"
        if place and self.section == "REF":
            place += " "
        number = "" if self.number is None else f"-{self.number}"
        return f"{self.section}{place}-{self.level}{number}"

    def as_dict(self):
        return {"code": self.code(), "level": self.level, "text": self.text}


def known(code, detail="", line=None, fatal=False):
    """The finding of a code in TEXTS, with an optional detail; `fatal` rejects whatever the code's level says."""
    section, level, number = code.split("-")
    text = f"{TEXTS[code]}: {detail}" if detail else TEXTS[code]
    return Finding(section, int(level), int(number), text, line, fatal)


def unnumbered(section, level, text, line=None):
    """A finding whose number at the SII is not known."""
    return Finding(section, level, None, text, line)


def rejects(findings):
    return any(finding.level == REJECTS or finding.fatal for finding in findings)
