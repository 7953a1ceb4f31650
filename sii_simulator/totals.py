# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The arithmetic of a document, recomputed from its lines (Formato DTE v2.2, zones Detalle, Descuentos and Totales).

Wrong arithmetic is a repair, never a rejection. Amounts are integers in pesos; every step is rounded half up.
"""

from decimal import ROUND_HALF_UP, Decimal

from .codes import LIGHT, REPAIR, known, unnumbered

IVA_RATE = Decimal(19)
CONSTRUCTION_CREDIT = Decimal("0.65")
EXENTO, NO_FACTURABLE, ENVASES, NO_VENTA, REBAJA, NO_FACTURABLE_NEGATIVO = "1", "2", "3", "4", "5", "6"

# Additional taxes: code -> rate in percent. They add to the total.
ADDITIONAL = {
    "18": "5",
    "19": "12",
    "23": "15",
    "24": "31.5",
    "25": "20.5",
    "26": "20.5",
    "27": "10",
    "271": "18",
    "44": "15",
    "45": "50",
}
SLAUGHTER, SLAUGHTER_RATE = "17", Decimal(5)
# Taxes whose amount does not follow from the lines: margins and specific taxes on fuels.
DECLARED = ("14", "50", "28", "35", "51", "52")
RATE_OPTIONAL = ("28", "35", "51", "52")
# Retentions subtract from the total. Total ones take the whole IVA of their lines.
TOTAL_RETENTION = ("15", "31", "38", "39", "40", "41", "46", "47", "301", "321", "331", "341", "361", "371", "481")
PARTIAL_RETENTION = ("16", "30", "32", "33", "34", "36", "37", "48", "53")
NO_RETENTION = ("49", "54", "55")


def half_up(value):
    """Nearest integer, halves away from zero."""
    return int(Decimal(value).quantize(Decimal(1), ROUND_HALF_UP))


def review(dte):
    """Findings about amounts in a document of type 33, 34, 46, 52, 56 or 61."""
    findings = [finding for line in dte.content.iter("Detalle") for finding in _review_line(dte, line)]
    if dte.type == 52 and dte.text("Encabezado/IdDoc/IndTraslado") != "1" and dte.total == "0":
        return findings
    sums = Sums(dte)
    return findings + _review_bases(dte, sums) + _review_taxes(dte, sums) + _review_total(dte)


class Sums:
    """What the lines and the global discounts add up to, by class."""

    def __init__(self, dte):
        self.all_exempt = dte.type == 34
        self.before = {kind: 0 for kind in ("afecto", EXENTO, NO_FACTURABLE)}
        self.envases = 0
        self.by_tax = {}
        for line in dte.content.iter("Detalle"):
            self._add_line(line)
        self.after = dict(self.before)
        for discount in dte.content.iter("DscRcgGlobal"):
            self._add_global(discount)

    def discounted(self, code):
        """The bases a tax may have been computed on: its lines as they are, or lowered with the global discounts."""
        base, afecto = self.by_tax.get(code, 0), self.before["afecto"]
        if not afecto or afecto == self.after["afecto"]:
            return [Decimal(base)]
        lowered = Decimal(base) * self.after["afecto"] / afecto
        return [Decimal(base), lowered, Decimal(half_up(lowered))]

    def _add_line(self, line):
        amount, exemption = _integer(line, "MontoItem"), line.findtext("IndExe")
        if exemption == ENVASES:
            self.envases += amount
        elif exemption in (NO_FACTURABLE, NO_FACTURABLE_NEGATIVO):
            self.before[NO_FACTURABLE] += amount if exemption == NO_FACTURABLE else -amount
        elif exemption == EXENTO or (exemption is None and self.all_exempt):
            self.before[EXENTO] += amount
        elif exemption is None:
            self.before["afecto"] += amount
            for code in line.findall("CodImpAdic"):
                self.by_tax[code.text] = self.by_tax.get(code.text, 0) + amount

    def _add_global(self, discount):
        kind = discount.findtext("IndExeDR") or (EXENTO if self.all_exempt else "afecto")
        value = Decimal(discount.findtext("ValorDR"))
        if discount.findtext("TpoValor") == "%":
            value = value * self.before[kind] / 100
        self.after[kind] += half_up(value) * (1 if discount.findtext("TpoMov") == "R" else -1)


def _review_line(dte, line):
    number, amount = _integer(line, "NroLinDet"), _integer(line, "MontoItem")
    if line.findtext("IndExe") in (NO_VENTA, REBAJA):
        return [known("DET-2-200", "debe ser cero", number)] if amount else []
    quantity, price = line.findtext("QtyItem"), line.findtext("PrcItem")
    discount, surcharge = _integer(line, "DescuentoMonto"), _integer(line, "RecargoMonto")
    if quantity is None or price is None:
        return []
    gross = half_up(Decimal(quantity) * Decimal(price))
    findings = []
    if gross - discount + surcharge != amount:
        findings.append(known("DET-2-200", line=number))
    for tag, value in (("Descuento", discount), ("Recargo", surcharge)):
        percent = line.findtext(f"{tag}Pct")
        if percent is not None and half_up(gross * Decimal(percent) / 100) != value:
            findings.append(unnumbered("DET", REPAIR, f"{tag}Monto no corresponde a {tag}Pct", number))
    return findings


def _review_bases(dte, sums):
    """MntNeto, MntExe, IVA, MontoNF and GrntDep against the lines."""
    findings = []
    afecto, exento = sums.after["afecto"], sums.after[EXENTO]
    rate, gross = Decimal(_total(dte, "TasaIVA")), dte.text("Encabezado/IdDoc/MntBruto") == "1"
    neto = half_up(afecto / (1 + rate / 100)) if gross else afecto
    if dte.type == 33 and exento and not afecto:
        findings.append(known("HED-1-232"))
    if _total(dte, "MntNeto") != neto:
        findings.append(unnumbered("HED", REPAIR, f"Monto Neto no cuadra, {neto} segun el detalle"))
    if _total(dte, "MntExe") != exento:
        findings.append(known("HED-2-220", f"{exento} segun el detalle"))
    iva = afecto - neto if gross else half_up(_total(dte, "MntNeto") * rate / 100)
    if _total(dte, "IVA") != iva:
        findings.append(unnumbered("HED", REPAIR, f"IVA no cuadra, {iva} segun la tasa"))
    if neto and rate != IVA_RATE:
        findings.append(unnumbered("HED", REPAIR, "IVA debe declararse"))
    for tag, value in (("MontoNF", sums.after[NO_FACTURABLE]), ("GrntDep", sums.envases)):
        if _total(dte, tag) != value:
            findings.append(unnumbered("HED", REPAIR, f"{tag} no cuadra, {value} segun el detalle"))
    credit = half_up(_total(dte, "IVA") * CONSTRUCTION_CREDIT)
    if dte.has("Encabezado/Totales/CredEC") and _total(dte, "CredEC") != credit:
        findings.append(unnumbered("HED", REPAIR, f"CredEC no cuadra, {credit}"))
    return findings


def _review_taxes(dte, sums):
    """ImptoReten and IVANoRet against the lines with CodImpAdic."""
    declared = {row.findtext("TipoImp"): row for row in dte.content.iterfind("Encabezado/Totales/ImptoReten")}
    findings = [
        unnumbered("HED", REPAIR, f"falta ImptoReten {code}")
        for code in sums.by_tax
        if code not in declared and code not in NO_RETENTION
    ]
    for code, row in declared.items():
        findings += _review_tax(dte, sums, code, row)
    retains = dte.type in (46, 56, 61) and _retained(dte)
    expected = _total(dte, "IVA") - _retained(dte) if retains else 0
    if _total(dte, "IVANoRet") != expected:
        findings.append(unnumbered("HED", REPAIR, f"IVANoRet no cuadra, {expected}"))
    return findings


def _review_tax(dte, sums, code, row):
    rate, amount = row.findtext("TasaImp"), _integer(row, "MontoImp")
    if rate is None:
        return [] if code in RATE_OPTIONAL else [known("HED-2-300", code)]
    if code in DECLARED or code in NO_RETENTION:
        return []
    rate = Decimal(rate)
    bases = [Decimal(_total(dte, "MntBase"))] if code == SLAUGHTER else sums.discounted(code)
    fixed = SLAUGHTER_RATE if code == SLAUGHTER else ADDITIONAL.get(code)
    if code in TOTAL_RETENTION:
        fixed = IVA_RATE
    findings = []
    if fixed is not None and rate != Decimal(fixed):
        findings.append(unnumbered("HED", REPAIR, f"TasaImp de {code} debe ser {fixed}"))
    if amount not in [half_up(base * rate / 100) for base in bases]:
        finding = known("HED-2-302", code) if code in TOTAL_RETENTION else None
        findings.append(finding or unnumbered("HED", REPAIR, f"MontoImp de {code} no cuadra"))
    return findings


def _review_total(dte):
    """MntTotal and MontoPeriodo against the amounts declared beside them."""
    added = sum(_total(dte, tag) for tag in ("MntNeto", "MntExe", "IVA", "GrntDep"))
    taxes = sum(_integer(row, "MontoImp") for row in _taxes(dte) if not _is_retention(row))
    commissions = sum(_total(dte, f"Comisiones/{tag}") for tag in ("ValComNeto", "ValComExe", "ValComIVA"))
    total = added + taxes - _total(dte, "CredEC") - _retained(dte) - commissions
    findings = []
    if _total(dte, "MntTotal") != total:
        findings.append(known("HED-2-260", f"{total} segun los montos declarados"))
    period = _total(dte, "MntTotal") + _total(dte, "MontoNF")
    if dte.has("Encabezado/Totales/MontoPeriodo") and _total(dte, "MontoPeriodo") != period:
        findings.append(unnumbered("HED", LIGHT, f"MontoPeriodo no cuadra, {period}"))
    return findings


def _retained(dte):
    return sum(_integer(row, "MontoImp") for row in _taxes(dte) if _is_retention(row))


def _taxes(dte):
    return dte.content.iterfind("Encabezado/Totales/ImptoReten")


def _is_retention(row):
    return row.findtext("TipoImp") in TOTAL_RETENTION + PARTIAL_RETENTION


def _total(dte, tag):
    """Amount in Totales; a rate comes as Decimal, an absent amount is 0."""
    text = dte.text(f"Encabezado/Totales/{tag}") or "0"
    return Decimal(text) if tag.startswith("Tasa") else int(text)


def _integer(element, tag):
    return int(element.findtext(tag) or 0)
