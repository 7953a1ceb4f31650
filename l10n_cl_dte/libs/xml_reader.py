# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A signed document back to the dataclasses that it was made from: the way of `xml_generator` backwards.

What is shown to people is read from here, never from the records that the document was made of: those may have changed.
Source: Formato DTE v2.4.2; elements that the dataclasses do not have are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

from . import timbre, xml_parser
from .dte import (
    VAT_RATE,
    Dte,
    GlobalDiscount,
    Installment,
    Issuer,
    Line,
    LineAmount,
    Payment,
    Receiver,
    Reference,
    TaxAmount,
    Totals,
    Transport,
)
from .exceptions import DocumentError, Problem, XmlError
from .taxes import TAX_KINDS, WITHHOLD

_DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>'


@dataclass(frozen=True, slots=True)
class ReadDte:
    """A document as signed: its data, the amounts that stand in it, its flattened TED, Santiago time of signature."""

    dte: Dte
    totals: Totals
    ted: bytes
    signed_at: datetime | None


def read(xml: bytes) -> ReadDte:
    """Read a signed `<DTE>`.

    :param xml: as archived, ISO-8859-1 without XML declaration
    :raises DocumentError: `dte_bytes_unreadable`
    :raises SignatureError: `timbre_missing`
    """
    ted = timbre.ted_of(xml)
    try:
        root = xml_parser.parse(_DECLARATION + xml)
        document = _Node(next(child for child in root if isinstance(child.tag, str)))
        header = document.child("Encabezado")
        signed = document.text("TmstFirma")
        return ReadDte(
            dte=_dte(document, header),
            totals=_totals(document, header.child("Totales")),
            ted=ted,
            signed_at=datetime.fromisoformat(signed) if signed else None,
        )
    except (XmlError, ValueError, InvalidOperation, StopIteration) as error:
        raise DocumentError([Problem("dte_bytes_unreadable")]) from error


class _Node:
    """An element whose children are asked by local name; an absent one gives "", None or no children."""

    __slots__ = ("_children",)

    def __init__(self, element):
        self._children = {}
        for child in element if element is not None else ():
            self._children.setdefault(xml_parser.local_name(child), []).append(child)

    def child(self, name: str) -> _Node:
        return _Node(self._children.get(name, [None])[0])

    def all(self, name: str) -> list[_Node]:
        return [_Node(element) for element in self._children.get(name, ())]

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple((element.text or "").strip() for element in self._children.get(name, ()))

    def text(self, name: str) -> str:
        return (self.texts(name) or ("",))[0]

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        return int(value) if value else None

    def number(self, name: str) -> Decimal | None:
        value = self.text(name)
        return Decimal(value) if value else None

    def day(self, name: str) -> date | None:
        value = self.text(name)
        return date.fromisoformat(value) if value else None


def _dte(document: _Node, header: _Node) -> Dte:
    identity = header.child("IdDoc")
    totals = header.child("Totales")
    return Dte(
        dte_type=int(identity.text("TipoDTE")),
        folio=int(identity.text("Folio")),
        issue_date=date.fromisoformat(identity.text("FchEmis")),
        issuer=_issuer(header.child("Emisor")),
        receiver=_receiver(header.child("Receptor")),
        lines=tuple(_line(line) for line in document.all("Detalle")),
        global_discounts=tuple(_global_discount(row) for row in document.all("DscRcgGlobal")),
        references=tuple(_reference(row) for row in document.all("Referencia")),
        payment=_payment(identity),
        transport=_transport(header.child("Transporte")) if "Transporte" in header else None,
        vat_rate=totals.number("TasaIVA") or VAT_RATE,
        gross_prices=identity.text("MntBruto") == "1",
        no_reduction=identity.text("IndNoRebaja") == "1",
        dispatch_type=identity.integer("TipoDespacho"),
        transfer_type=identity.integer("IndTraslado"),
        print_type=identity.text("TpoImpresion"),
        service_indicator=identity.integer("IndServicio"),
        purchase_kind=identity.integer("TpoTranCompra"),
        sale_kind=identity.integer("TpoTranVenta"),
        period_from=identity.day("PeriodoDesde"),
        period_to=identity.day("PeriodoHasta"),
        tourist=identity.text("TipoFactEsp") == "1",
        requester_rut=header.text("RUTSolicita"),
        mandator_rut=header.text("RUTMandante"),
        construction_credit="CredEC" in totals,
        previous_balance=totals.integer("SaldoAnterior"),
    )


def _issuer(issuer: _Node) -> Issuer:
    return Issuer(
        rut=issuer.text("RUTEmisor"),
        name=issuer.text("RznSoc"),
        giro=issuer.text("GiroEmis"),
        activity_codes=issuer.texts("Acteco"),
        address=issuer.text("DirOrigen"),
        comuna=issuer.text("CmnaOrigen"),
        city=issuer.text("CiudadOrigen"),
        phones=issuer.texts("Telefono"),
        email=issuer.text("CorreoEmisor"),
        branch_name=issuer.text("Sucursal"),
        branch_code=issuer.text("CdgSIISucur"),
        seller_code=issuer.text("CdgVendedor"),
        extra_id=issuer.text("IdAdicEmisor"),
    )


def _receiver(receiver: _Node) -> Receiver:
    foreign = receiver.child("Extranjero")
    return Receiver(
        rut=receiver.text("RUTRecep"),
        name=receiver.text("RznSocRecep"),
        giro=receiver.text("GiroRecep"),
        address=receiver.text("DirRecep"),
        comuna=receiver.text("CmnaRecep"),
        city=receiver.text("CiudadRecep"),
        contact=receiver.text("Contacto"),
        email=receiver.text("CorreoRecep"),
        internal_code=receiver.text("CdgIntRecep"),
        foreign_number=foreign.text("NumId"),
        foreign_nationality=foreign.text("Nacionalidad"),
        foreign_document=foreign.integer("TipoDocID"),
        postal_address=receiver.text("DirPostal"),
        postal_comuna=receiver.text("CmnaPostal"),
        postal_city=receiver.text("CiudadPostal"),
    )


def _line(line: _Node) -> Line:
    price = line.number("PrcItem")
    return Line(
        name=line.text("NmbItem"),
        quantity=line.number("QtyItem"),
        price=price,
        unit=line.text("UnmdItem"),
        description=line.text("DscItem"),
        lump_sum=line.integer("MontoItem") if price is None else None,
        indicator=line.integer("IndExe"),
        discount_percent=line.number("DescuentoPct"),
        discount_amount=line.integer("DescuentoMonto"),
        surcharge_percent=line.number("RecargoPct"),
        surcharge_amount=line.integer("RecargoMonto"),
        tax_codes=tuple(int(code) for code in line.texts("CodImpAdic")),
        codes=tuple((code.text("TpoCodigo"), code.text("VlrCodigo")) for code in line.all("CdgItem")),
        made_on=line.day("FchElabor"),
        expires_on=line.day("FchVencim"),
    )


def _global_discount(row: _Node) -> GlobalDiscount:
    return GlobalDiscount(
        kind=row.text("TpoMov"),
        value=Decimal(row.text("ValorDR")),
        is_percent=row.text("TpoValor") == "%",
        text=row.text("GlosaDR"),
        indicator=row.integer("IndExeDR"),
    )


def _reference(row: _Node) -> Reference:
    return Reference(
        doc_type=row.text("TpoDocRef"),
        folio=row.text("FolioRef"),
        date=date.fromisoformat(row.text("FchRef")),
        code=row.integer("CodRef"),
        reason=row.text("RazonRef"),
        is_global=row.text("IndGlobal") == "1",
        other_rut=row.text("RUTOtr"),
    )


def _payment(identity: _Node) -> Payment:
    return Payment(
        form=identity.integer("FmaPago"),
        due_date=identity.day("FchVenc"),
        term_code=identity.text("TermPagoCdg"),
        term_text=identity.text("TermPagoGlosa"),
        term_days=identity.integer("TermPagoDias"),
        installments=tuple(
            Installment(date.fromisoformat(row.text("FchPago")), int(row.text("MntPago")), row.text("GlosaPagos"))
            for row in identity.all("MntPagos")
        ),
        method=identity.text("MedioPago"),
        account_type=identity.text("TpoCtaPago"),
        account_number=identity.text("NumCtaPago"),
        bank=identity.text("BcoPago"),
        paid_on=identity.day("FchCancel"),
        paid_amount=identity.integer("MntCancel"),
        balance=identity.integer("SaldoInsol"),
    )


def _transport(transport: _Node) -> Transport:
    driver = transport.child("Chofer")
    departure = transport.text("HraSalida")
    return Transport(
        plate=transport.text("Patente"),
        trailer_plate=transport.text("PatenteCarro"),
        carrier_rut=transport.text("RUTTrans"),
        driver_rut=driver.text("RUTChofer"),
        driver_name=driver.text("NombreChofer"),
        address=transport.text("DirDest"),
        comuna=transport.text("CmnaDest"),
        city=transport.text("CiudadDest"),
        departure_date=transport.day("FchSalida"),
        departure_time=time.fromisoformat(departure) if departure else None,
        arrival_date=transport.day("FchLlegada"),
    )


def _totals(document: _Node, totals: _Node) -> Totals:
    return Totals(
        lines=tuple(
            LineAmount(
                int(line.text("MontoItem")), line.integer("DescuentoMonto") or 0, line.integer("RecargoMonto") or 0
            )
            for line in document.all("Detalle")
        ),
        net=totals.integer("MntNeto"),
        exempt=totals.integer("MntExe"),
        vat=totals.integer("IVA"),
        taxes=tuple(_tax(tax) for tax in totals.all("ImptoReten")),
        total=int(totals.text("MntTotal")),
        slaughter_base=totals.integer("MntBase"),
        margin_base=totals.integer("MntMargenCom"),
        vat_not_withheld=totals.integer("IVANoRet"),
        construction_credit=totals.integer("CredEC"),
        deposit=totals.integer("GrntDep"),
        not_billable=totals.integer("MontoNF"),
        period_total=totals.integer("MontoPeriodo"),
        payable=totals.integer("VlrPagar"),
        taxed_lines=sum("IndExe" not in line for line in document.all("Detalle")) if "MntNeto" in totals else 0,
    )


def _tax(tax: _Node) -> TaxAmount:
    code = int(tax.text("TipoImp"))
    kind = TAX_KINDS.get(code)
    return TaxAmount(code, tax.number("TasaImp"), int(tax.text("MontoImp")), bool(kind and kind.effect == WITHHOLD))
