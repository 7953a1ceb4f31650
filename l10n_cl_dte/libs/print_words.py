# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The words of the printed document: Spanish whoever reads it, as the SII writes them, and so never translated.

Source: Manual de muestras impresas v4.0, sections 1.1.4, 1.4 and 1.5; Formato DTE v2.4.2, tables of `TpoDocRef`,
`MedioPago`, `FmaPago`, `IndTraslado`, `TipoDespacho`, `IndServicio` and "Codificación tipos de impuesto y recargos";
declaration: Res. Ex. SII 51 of 2005 and Recibos_v10.xsd.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

# Manual, section 1.1.4: only in Spanish, in capitals.
TITLES = {
    33: "FACTURA ELECTRÓNICA",
    34: "FACTURA NO AFECTA O EXENTA ELECTRÓNICA",
    39: "BOLETA ELECTRÓNICA",
    41: "BOLETA NO AFECTA O EXENTA ELECTRÓNICA",
    43: "LIQUIDACIÓN FACTURA ELECTRÓNICA",
    46: "FACTURA DE COMPRA ELECTRÓNICA",
    52: "GUÍA DE DESPACHO ELECTRÓNICA",
    56: "NOTA DE DÉBITO ELECTRÓNICA",
    61: "NOTA DE CRÉDITO ELECTRÓNICA",
    110: "FACTURA DE EXPORTACIÓN ELECTRÓNICA",
    111: "NOTA DE DÉBITO DE EXPORTACIÓN ELECTRÓNICA",
    112: "NOTA DE CRÉDITO DE EXPORTACIÓN ELECTRÓNICA",
}

REFERENCE_TYPES = {
    "30": "Factura",
    "32": "Factura de Venta Bienes y Servicios no Afectos o Exentos de IVA",
    "33": "Factura Electrónica",
    "34": "Factura No Afecta o Exenta Electrónica",
    "35": "Boleta",
    "38": "Boleta Exenta",
    "39": "Boleta Electrónica",
    "40": "Liquidación Factura",
    "41": "Boleta Exenta Electrónica",
    "43": "Liquidación Factura Electrónica",
    "45": "Factura de Compra",
    "46": "Factura de Compra Electrónica",
    "48": "Comprobante de Pago Electrónico",
    "50": "Guía de Despacho",
    "52": "Guía de Despacho Electrónica",
    "55": "Nota de Débito",
    "56": "Nota de Débito Electrónica",
    "60": "Nota de Crédito",
    "61": "Nota de Crédito Electrónica",
    "103": "Liquidación",
    "110": "Factura de Exportación Electrónica",
    "111": "Nota de Débito de Exportación Electrónica",
    "112": "Nota de Crédito de Exportación Electrónica",
    "801": "Orden de Compra",
    "802": "Nota de Pedido",
    "803": "Contrato",
    "804": "Resolución",
    "805": "Proceso ChileCompra",
    "806": "Ficha ChileCompra",
    "807": "DUS",
    "808": "B/L (Conocimiento de Embarque)",
    "809": "AWB (Air Waybill)",
    "810": "MIC/DTA",
    "811": "Carta de Porte",
    "812": "Resolución del SNA que Califica Servicios de Exportación",
    "813": "Pasaporte",
    "814": "Certificado de Depósito Bolsa Prod. Chile",
    "815": "Vale de Prenda Bolsa Prod. Chile",
    "820": "Inscripción en el Registro de Acuerdos con Plazo de Pago Excepcional",
    "HES": "Hoja de Entrada de Servicios",
    "SET": "SET",
}

# CodRef, for a reference without a reason of its own.
REFERENCE_ACTIONS = {1: "Anula documento de referencia", 2: "Corrige texto", 3: "Corrige montos"}

PAYMENT_FORMS = {1: "Contado", 2: "Crédito", 3: "Sin costo (entrega gratuita)"}
PAYMENT_METHODS = {
    "CH": "Cheque",
    "CF": "Cheque a fecha",
    "LT": "Letra",
    "EF": "Efectivo",
    "PE": "Pago a cuenta corriente",
    "TC": "Tarjeta de crédito",
    "OT": "Otro",
}
TRANSFER_TYPES = {
    1: "Operación constituye venta",
    2: "Ventas por efectuar",
    3: "Consignaciones",
    4: "Entrega gratuita",
    5: "Traslados internos",
    6: "Otros traslados no venta",
    7: "Guía de devolución",
    8: "Traslado para exportación (no venta)",
    9: "Venta para exportación",
}
DISPATCH_TYPES = {
    1: "Despacho por cuenta del receptor",
    2: "Despacho por cuenta del emisor a instalaciones del cliente",
    3: "Despacho por cuenta del emisor a otras instalaciones",
}
SERVICE_KINDS = {1: "Servicios periódicos domiciliarios", 2: "Otros servicios periódicos", 3: "Servicios"}
LINE_INDICATORS = {
    1: "Exento",
    2: "No facturable",
    3: "Garantía de depósito por envases",
    4: "Ítem no venta",
    5: "Ítem a rebajar",
    6: "No facturable (negativo)",
}

TAXES = {
    14: "IVA margen de comercialización",
    15: "IVA retenido total",
    17: "IVA anticipado faenamiento carne",
    18: "IVA anticipado carne",
    19: "IVA anticipado harina",
    23: "Impuesto adicional art. 37 letras a, b, c",
    24: "Impuesto art. 42 licores, piscos y destilados",
    25: "Impuesto art. 42 vinos",
    26: "Impuesto art. 42 cervezas y bebidas alcohólicas",
    27: "Impuesto art. 42 bebidas analcohólicas y minerales",
    271: "Impuesto art. 42 bebidas azucaradas",
    28: "Impuesto específico diésel",
    30: "IVA retenido legumbres",
    301: "IVA retenido total legumbres",
    31: "IVA retenido productos silvestres",
    32: "IVA retenido ganado",
    321: "IVA retenido total ganado",
    33: "IVA retenido madera",
    331: "IVA retenido total madera",
    34: "IVA retenido trigo",
    341: "IVA retenido total trigo",
    35: "Impuesto específico gasolina",
    36: "IVA retenido arroz",
    361: "IVA retenido total arroz",
    37: "IVA retenido hidrobiológicos",
    371: "IVA retenido total hidrobiológicos",
    38: "IVA retenido chatarra",
    39: "IVA retenido PPA",
    41: "IVA retenido construcción",
    44: "Impuesto adicional art. 37 letras e, h, i, l",
    45: "Impuesto adicional art. 37 letra j",
    46: "IVA retenido oro",
    47: "IVA retenido cartones",
    48: "IVA retenido frambuesas y pasas",
    481: "IVA retenido total frambuesas y pasas",
    50: "IVA margen instrumentos de prepago",
    51: "Impuesto gas natural comprimido",
    52: "Impuesto gas licuado de petróleo",
}

TRANSFERABLE = "CEDIBLE"
TRANSFERABLE_GUIDE = "CEDIBLE CON SU FACTURA"
RECEIPT_TITLE = "Acuse de Recibo"
# The string is fixed, unaccented: Recibos_v10.xsd, Declaracion.
RECEIPT_DECLARATION = (
    "El acuse de recibo que se declara en este acto, de acuerdo a lo dispuesto en la letra b) del Art. 4, y la "
    "letra c) del Art. 5 de la Ley 19.983, acredita que la entrega de mercaderias o servicio(s) prestado(s) ha(n) "
    "sido recibido(s)."
)
TIMBRE_LEGEND = "Timbre Electrónico SII"
VERIFY_LEGEND = "Verifique documento: www.sii.cl"

# What a paper says that is not what it looks like, in the words of the law's language too.
DRAFT = "BORRADOR"
NOT_VALID = "NO ES DOCUMENTO VÁLIDO"
REJECTED = "DOCUMENTO NO VÁLIDO: RECHAZADO POR EL SII"
REFUSED = "DOCUMENTO NO VÁLIDO: DEBE CORREGIRSE"
SUPERSEDED = "DOCUMENTO NO VÁLIDO: REEMPLAZADO POR UNA VERSIÓN CORREGIDA"
IN_CORRECTION = "DOCUMENTO NO VÁLIDO: EN CORRECCIÓN"
CONTINGENCY = "EMITIDO EN CONTINGENCIA: PENDIENTE DE ENVÍO AL SII"
NOT_SENT = "PENDIENTE DE ENVÍO AL SII"
UNCONFIRMED = "PENDIENTE DE CONFIRMACIÓN DEL SII"
SIMULATED = "DOCUMENTO DE PRUEBA (SIMULADOR): SIN VALIDEZ TRIBUTARIA"

_TRANSFERABLE_TYPES = frozenset((33, 34, 43, 46))
_GUIDE_OF_SALE = frozenset((1, 9))
_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre",
    "diciembre",
)  # fmt: skip


def transferable_legend(dte_type: int, transfer_type: int | None) -> str:
    """Return what the copy that can be assigned says of its purpose, "" for a document that has no such copy."""
    if dte_type in _TRANSFERABLE_TYPES:
        return TRANSFERABLE
    return TRANSFERABLE_GUIDE if dte_type == 52 and transfer_type in _GUIDE_OF_SALE else ""


def resolution_legend(number: int, day: date) -> str:
    """Return the second line under the timbre."""
    return f"Res. {number} de {day.year}"


def dotted_rut(rut: str) -> str:
    """Return 76543210-3 as 76.543.210-3."""
    body, dash, digit = rut.partition("-")
    return f"{int(body):,}".replace(",", ".") + dash + digit if body.isdigit() else rut


def money(amount: int) -> str:
    """Return whole pesos with points between thousands."""
    return f"{amount:,}".replace(",", ".")


def number(value: Decimal | None) -> str:
    """Return a quantity or price as Chile writes it: 1.234,56; "" for None."""
    if value is None:
        return ""
    text = f"{value:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.translate(str.maketrans(",.", ".,"))


def day(value: date | None) -> str:
    """Return 05-10-2026, "" for None."""
    return f"{value:%d-%m-%Y}" if value else ""


def long_day(value: date) -> str:
    """Return "5 de octubre de 2026"."""
    return f"{value.day} de {_MONTHS[value.month - 1]} de {value.year}"
