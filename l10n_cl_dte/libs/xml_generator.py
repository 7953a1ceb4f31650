# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`Dte` to `<Documento>`, in schema order and already in canonical form.

The text is written once, exactly as Canonical XML would write it (attributes in order, no empty-element tags, only
`&amp; &lt; &gt;` escaped), one leaf a line: the SII's reader breaks on lines over some 4,090 bytes. What is hashed
and what is sent are therefore the same characters. Values that are absent, or zero where the schema forbids zero, are
omitted, never written empty.
Source: Formato DTE v2.4.2; DTE_v10.xsd of 2026-02-06 for order, occurrences and lengths.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from .dte import Dte, Line, LineAmount, ReferenceUnit, Retainer, Totals
from .text import clean, escape, timestamp, written


def document_id(dte_type: int, folio: int) -> str:
    """Return the ID attribute of the signed element, unique within an envelope."""
    return f"F{folio}T{dte_type}"


def generate(dte: Dte, totals: Totals, ted: str, signed_at: datetime) -> str:
    """Return `<Documento ID=...>...</Documento>` without namespace declaration.

    :param totals: as computed from this very document
    :param ted: the finished `<TED>` element
    :param signed_at: naive Santiago time of the signature (TmstFirma)
    """
    out: list[str] = [f'<Documento ID="{document_id(dte.dte_type, dte.folio)}">\n<Encabezado>\n']
    _write_id(out, dte)
    _write_issuer(out, dte)
    _text(out, "RUTMandante", dte.mandator_rut, 10)
    _write_receiver(out, dte)
    _text(out, "RUTSolicita", dte.requester_rut, 10)
    _write_transport(out, dte)
    _write_totals(out, dte, totals)
    out.append("</Encabezado>\n")
    for number, (line, amount) in enumerate(zip(dte.lines, totals.lines, strict=True), 1):
        _write_line(out, number, line, amount)
    _write_global_discounts(out, dte)
    _write_references(out, dte)
    out.append(f"{ted}\n<TmstFirma>{timestamp(signed_at)}</TmstFirma>\n</Documento>")
    return "".join(out)


def number_text(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = str(value)
    if "E" in text or ("." in text and text[-1] == "0"):
        text = f"{value.normalize():f}"
    return text


def _text(out, tag, value, limit):
    if value and (value := written(value, limit)):
        out.append(f"<{tag}>{value}</{tag}>\n")


def _value(out, tag, value):
    if value is not None:
        out.append(f"<{tag}>{value}</{tag}>\n")


def _number(out, tag, value):
    if value:
        out.append(f"<{tag}>{number_text(value)}</{tag}>\n")


def _flag(out, tag, value):
    if value:
        out.append(f"<{tag}>1</{tag}>\n")


def _write_id(out, dte: Dte):
    payment = dte.payment
    out.append(
        f"<IdDoc>\n<TipoDTE>{dte.dte_type}</TipoDTE>\n<Folio>{dte.folio}</Folio>\n<FchEmis>{dte.issue_date}</FchEmis>\n"
    )
    _flag(out, "IndNoRebaja", dte.no_reduction)
    _value(out, "TipoDespacho", dte.dispatch_type)
    _value(out, "IndTraslado", dte.transfer_type)
    _text(out, "TpoImpresion", dte.print_type, 1)
    _value(out, "IndServicio", dte.service_indicator)
    _flag(out, "MntBruto", dte.gross_prices)
    _value(out, "TpoTranCompra", dte.purchase_kind)
    _value(out, "TpoTranVenta", dte.sale_kind)
    _value(out, "FmaPago", payment.form)
    _value(out, "FchCancel", payment.paid_on)
    _value(out, "MntCancel", payment.paid_amount)
    _value(out, "SaldoInsol", payment.balance)
    for installment in payment.installments:
        out.append(f"<MntPagos>\n<FchPago>{installment.date}</FchPago>\n<MntPago>{installment.amount}</MntPago>\n")
        _text(out, "GlosaPagos", installment.text, 40)
        out.append("</MntPagos>\n")
    _value(out, "PeriodoDesde", dte.period_from)
    _value(out, "PeriodoHasta", dte.period_to)
    _text(out, "MedioPago", payment.method, 2)
    _text(out, "TpoCtaPago", payment.account_type, 10)
    _text(out, "NumCtaPago", payment.account_number, 20)
    _text(out, "BcoPago", payment.bank, 40)
    _text(out, "TermPagoCdg", payment.term_code, 4)
    _text(out, "TermPagoGlosa", payment.term_text, 100)
    _number(out, "TermPagoDias", payment.term_days)
    _value(out, "FchVenc", payment.due_date)
    _flag(out, "TipoFactEsp", dte.tourist)
    out.append("</IdDoc>\n")


def _write_issuer(out, dte: Dte):
    issuer = dte.issuer
    out.append(f"<Emisor>\n<RUTEmisor>{issuer.rut}</RUTEmisor>\n")
    _text(out, "RznSoc", issuer.name, 100)
    _text(out, "GiroEmis", issuer.giro, 80)
    for phone in issuer.phones[:2]:
        _text(out, "Telefono", phone, 20)
    _email(out, "CorreoEmisor", issuer.email)
    for code in issuer.activity_codes:
        out.append(f"<Acteco>{int(code)}</Acteco>\n")
    if issuer.export_transfer_code:
        out.append(f"<GuiaExport>\n<CdgTraslado>{issuer.export_transfer_code}</CdgTraslado>\n")
        _text(out, "FolioAut", issuer.export_authorization, 6)
        _value(out, "FchAut", issuer.export_authorization_date)
        out.append("</GuiaExport>\n")
    _text(out, "Sucursal", issuer.branch_name, 20)
    _text(out, "CdgSIISucur", issuer.branch_code, 9)
    _text(out, "DirOrigen", issuer.address, 60)
    _text(out, "CmnaOrigen", issuer.comuna, 20)
    _text(out, "CiudadOrigen", issuer.city, 20)
    _text(out, "CdgVendedor", issuer.seller_code, 60)
    _text(out, "IdAdicEmisor", issuer.extra_id, 20)
    out.append("</Emisor>\n")


def _write_receiver(out, dte: Dte):
    receiver = dte.receiver
    out.append(f"<Receptor>\n<RUTRecep>{receiver.rut}</RUTRecep>\n")
    _text(out, "CdgIntRecep", receiver.internal_code, 20)
    _text(out, "RznSocRecep", receiver.name, 100)
    if clean(receiver.foreign_number) or clean(receiver.foreign_nationality) or receiver.foreign_document:
        out.append("<Extranjero>\n")
        _text(out, "NumId", receiver.foreign_number, 20)
        _text(out, "Nacionalidad", receiver.foreign_nationality, 3)
        _value(out, "TipoDocID", receiver.foreign_document)
        out.append("</Extranjero>\n")
    _text(out, "GiroRecep", receiver.giro, 40)
    _text(out, "Contacto", receiver.contact, 80)
    _email(out, "CorreoRecep", receiver.email)
    _text(out, "DirRecep", receiver.address, 70)
    _text(out, "CmnaRecep", receiver.comuna, 20)
    _text(out, "CiudadRecep", receiver.city, 20)
    _text(out, "DirPostal", receiver.postal_address, 70)
    _text(out, "CmnaPostal", receiver.postal_comuna, 20)
    _text(out, "CiudadPostal", receiver.postal_city, 20)
    out.append("</Receptor>\n")


def _email(out, tag, value):
    """Write an address only whole: a cut one would be somebody else's."""
    if len(value) <= 80:
        _text(out, tag, value, 80)


def _write_transport(out, dte: Dte):
    transport = dte.transport
    if transport is None:
        return
    start = len(out)
    out.append("<Transporte>\n")
    _text(out, "Patente", transport.plate, 8)
    _text(out, "PatenteCarro", transport.trailer_plate, 8)
    _text(out, "RUTTrans", transport.carrier_rut, 10)
    if transport.driver_rut:
        out.append(f"<Chofer>\n<RUTChofer>{transport.driver_rut}</RUTChofer>\n")
        _text(out, "NombreChofer", transport.driver_name, 30)
        out.append("</Chofer>\n")
    _text(out, "DirDest", transport.address, 70)
    _text(out, "CmnaDest", transport.comuna, 20)
    _text(out, "CiudadDest", transport.city, 20)
    _value(out, "FchSalida", transport.departure_date)
    if transport.departure_time:
        out.append(f"<HraSalida>{transport.departure_time:%H:%M:%S}</HraSalida>\n")
    _value(out, "FchLlegada", transport.arrival_date)
    if len(out) == start + 1:
        del out[start:]
    else:
        out.append("</Transporte>\n")


def _write_totals(out, dte: Dte, totals: Totals):
    out.append("<Totales>\n")
    _value(out, "MntNeto", totals.net)
    _value(out, "MntExe", totals.exempt)
    _value(out, "MntBase", totals.slaughter_base)
    _value(out, "MntMargenCom", totals.margin_base)
    if totals.net is not None:
        out.append(f"<TasaIVA>{number_text(dte.vat_rate)}</TasaIVA>\n<IVA>{totals.vat}</IVA>\n")
    for tax in totals.taxes:
        out.append(f"<ImptoReten>\n<TipoImp>{tax.code}</TipoImp>\n")
        _number(out, "TasaImp", tax.rate)
        out.append(f"<MontoImp>{tax.amount}</MontoImp>\n</ImptoReten>\n")
    _value(out, "IVANoRet", totals.vat_not_withheld)
    _value(out, "CredEC", totals.construction_credit)
    _value(out, "GrntDep", totals.deposit)
    out.append(f"<MntTotal>{totals.total}</MntTotal>\n")
    _value(out, "MontoNF", totals.not_billable)
    _value(out, "MontoPeriodo", totals.period_total)
    _value(out, "SaldoAnterior", dte.previous_balance)
    _value(out, "VlrPagar", totals.payable)
    out.append("</Totales>\n")


def _write_line(out, number: int, line: Line, amount: LineAmount):
    name, rest = split_name(clean(line.name))
    out.append(f"<Detalle>\n<NroLinDet>{number}</NroLinDet>\n")
    for kind, value in line.codes:
        out.append("<CdgItem>\n")
        _text(out, "TpoCodigo", kind, 10)
        _text(out, "VlrCodigo", value, 35)
        out.append("</CdgItem>\n")
    if line.indicator is not None:
        out.append(f"<IndExe>{line.indicator}</IndExe>\n")
    if line.retainer:
        _write_retainer(out, line.retainer)
    out.append(f"<NmbItem>{escape(name)}</NmbItem>\n")
    if rest or line.description:
        _text(out, "DscItem", f"{rest} {line.description}" if rest else line.description, 1000)
    if line.reference:
        _write_reference_unit(out, line.reference)
    if line.quantity:
        out.append(f"<QtyItem>{number_text(line.quantity)}</QtyItem>\n")
    _value(out, "FchElabor", line.made_on)
    _value(out, "FchVencim", line.expires_on)
    _text(out, "UnmdItem", line.unit, 4)
    if line.price:
        out.append(f"<PrcItem>{number_text(line.price)}</PrcItem>\n")
    if amount.discount:
        _number(out, "DescuentoPct", line.discount_percent)
        out.append(f"<DescuentoMonto>{amount.discount}</DescuentoMonto>\n")
    if amount.surcharge:
        _number(out, "RecargoPct", line.surcharge_percent)
        out.append(f"<RecargoMonto>{amount.surcharge}</RecargoMonto>\n")
    for code in line.tax_codes:
        out.append(f"<CodImpAdic>{code}</CodImpAdic>\n")
    out.append(f"<MontoItem>{amount.amount}</MontoItem>\n</Detalle>\n")


def split_name(name: str) -> tuple[str, str]:
    """Split a product name at 80 characters, at a space when there is one near: the rest goes to the description."""
    if len(name) <= 80:
        return name, ""
    at = name.rfind(" ", 60, 81)
    at = at if at > 0 else 80
    return name[:at].rstrip(), name[at:].strip()


def _write_retainer(out, retainer: Retainer):
    out.append("<Retenedor>\n<IndAgente>R</IndAgente>\n")
    _value(out, "MntBaseFaena", retainer.slaughter_base)
    _value(out, "MntMargComer", retainer.margin_base)
    _value(out, "PrcConsFinal", retainer.final_price)
    out.append("</Retenedor>\n")


def _write_reference_unit(out, reference: ReferenceUnit):
    _number(out, "QtyRef", reference.quantity)
    _text(out, "UnmdRef", reference.unit, 4)
    _number(out, "PrcRef", reference.price)


def _write_global_discounts(out, dte: Dte):
    for number, discount in enumerate(dte.global_discounts, 1):
        out.append(f"<DscRcgGlobal>\n<NroLinDR>{number}</NroLinDR>\n<TpoMov>{discount.kind}</TpoMov>\n")
        _text(out, "GlosaDR", discount.text, 45)
        _value(out, "TpoValor", "%" if discount.is_percent else "$")
        _number(out, "ValorDR", discount.value)
        _value(out, "IndExeDR", discount.indicator)
        out.append("</DscRcgGlobal>\n")


def _write_references(out, dte: Dte):
    for number, reference in enumerate(dte.references, 1):
        out.append(
            f"<Referencia>\n<NroLinRef>{number}</NroLinRef>\n<TpoDocRef>{escape(clean(reference.doc_type))}</TpoDocRef>\n"
        )
        _flag(out, "IndGlobal", reference.is_global)
        out.append(f"<FolioRef>{escape(clean(reference.folio))}</FolioRef>\n")
        _text(out, "RUTOtr", reference.other_rut, 10)
        out.append(f"<FchRef>{reference.date}</FchRef>\n")
        _value(out, "CodRef", reference.code)
        _text(out, "RazonRef", reference.reason, 90)
        out.append("</Referencia>\n")
