# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Which fields each type of document must and must not carry (Formato DTE v2.2, zones Encabezado to Comisiones)."""

from .codes import REJECTS, known, unnumbered
from .rut import is_valid

INVOICES = (33, 34, 46, 52)
NOTES = (56, 61)
COVERED = (*INVOICES, *NOTES)

# Path -> types in which the field is mandatory (obligatoriness 1) beyond what the schema demands.
MANDATORY = {
    "Encabezado/IdDoc/IndTraslado": (52,),
    "Encabezado/Emisor/DirOrigen": INVOICES,
    "Encabezado/Emisor/CmnaOrigen": INVOICES,
    "Encabezado/Receptor/GiroRecep": INVOICES,
    "Encabezado/Receptor/DirRecep": INVOICES,
    "Encabezado/Receptor/CmnaRecep": INVOICES,
    "Encabezado/Transporte/CmnaDest": (52,),
    "Encabezado/Totales/MntExe": (34,),
}

# Path -> types in which the field must not go (obligatoriness 0).
FORBIDDEN = {
    "DscRcgGlobal": (52,),
    "Comisiones": (33, 34, 52),
    "Encabezado/IdDoc/IndNoRebaja": (33, 34, 46, 52, 56),
    "Encabezado/IdDoc/TipoDespacho": NOTES,
    "Encabezado/IdDoc/IndTraslado": (33, 34, 46, 56, 61),
    "Encabezado/IdDoc/IndServicio": (52,),
    "Encabezado/IdDoc/MntBruto": (52,),
    "Encabezado/IdDoc/FchVenc": (52,),
    "Encabezado/Transporte/Patente": NOTES,
    "Encabezado/Transporte/RUTTrans": NOTES,
    "Encabezado/Totales/MntNeto": (34,),
    "Encabezado/Totales/IVANoRet": (33, 34, 52),
    "Encabezado/Totales/CredEC": (34, 46),
}
TEXT_OF = {"Encabezado/Emisor/CmnaOrigen": "DTE Sin Comuna Origen"}
LOWEST_RUT, HIGHEST_RUT = 100_000, 99_999_999


def review(dte):
    """Findings about missing and forbidden fields of the types 33, 34, 46, 52, 56 and 61."""
    findings = [
        known("HED-3-211", TEXT_OF.get(path, f"falta {_tag(path)}"))
        for path, types in MANDATORY.items()
        if dte.type in types and not dte.text(path)
    ]
    findings += [
        known("HED-3-211", f"{_tag(path)} no corresponde en este tipo de documento")
        for path, types in FORBIDDEN.items()
        if dte.type in types and dte.has(path)
    ]
    if dte.type == 52:
        for line in dte.content.iter("Detalle"):
            if line.find("QtyItem") is None:
                findings.append(known("DETL-3-854", f"falta QtyItem en la linea {line.findtext('NroLinDet')}"))
    for path in ("Encabezado/Emisor/RUTEmisor", "Encabezado/Receptor/RUTRecep"):
        if not _is_taxpayer(dte.text(path)):
            findings.append(unnumbered("HED", REJECTS, f"{_tag(path)} no es un RUT valido"))
    return findings


def _is_taxpayer(rut):
    return is_valid(rut) and LOWEST_RUT <= int(rut[:-2]) <= HIGHEST_RUT


def _tag(path):
    return path.rpartition("/")[2]
