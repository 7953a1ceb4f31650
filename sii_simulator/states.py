# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The states of an envelope in QueryEstUp, with the glosas of the live channel (no accents)."""

REFUSED_WHOLE = ("RSC", "RFR", "RCT", "RPT")
GLOSAS = {
    "REC": "Envio Recibido",
    "SOK": "Esquema Validado",
    "CRT": "Caratula OK",
    "FOK": "Firma de Envio Validada",
    "PDR": "Envio en Proceso",
    "PRD": "Envio en Proceso",
    "EPR": "Envio Procesado",
    "RSC": "Rechazado por Error en Schema",
    "RFR": "Rechazado por Error en Firma",
    "RCT": "Rechazado por Error en Caratula",
    "RPT": "Rechazado - Envio Repetido",
}
