# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents with hard content, one case a file. A case is a name and one or more documents.

Notes refer to documents of other cases of the same run, so that the whole folder can be sent in its order; only the
notes of a purchase invoice refer to one that was never sent, since the addon does not issue those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal

from libs.dte import (
    Dte,
    GlobalDiscount,
    Installment,
    Issuer,
    Payment,
    Receiver,
    Reference,
    ReferenceUnit,
    Retainer,
    TaxOverride,
    Transport,
)

from tests import authority
from tests.libs.certification_set import CASES as CERTIFICATION_CASES
from tests.libs.documents import make_issuer, make_line, make_lump, make_receiver

GOODS_TRANSPORT = {
    "plate": "BBCC12",
    "carrier_rut": "77123456-9",
    "driver_rut": "11111111-1",
    "driver_name": "Juan Ñanculef O'Ryan",
    "address": "Camino a Melipilla 12.345",
    "comuna": "Maipú",
    "city": "Santiago",
}
TRANSFERS = {
    1: "sale",
    2: "sale_to_be_made",
    3: "consignment",
    4: "free_delivery",
    5: "internal_transfer",
    6: "other_no_sale",
    7: "return",
    8: "export_transfer",
    9: "export_sale",
}
FUEL_TAX = TaxOverride(28, amount=8250)


def percent(value, indicator=None, kind="D", text="") -> GlobalDiscount:
    return GlobalDiscount(kind, Decimal(value), True, text, indicator)


def pesos(value, indicator=None, kind="D", text="") -> GlobalDiscount:
    return GlobalDiscount(kind, Decimal(value), False, text, indicator)


def text_of(length: int, last: str) -> str:
    """Words of exactly `length` characters, the last one being `last`."""
    return ("Producto de prueba " * 10)[: length - 2].strip().ljust(length - 1, "x") + last


class Samples:
    """Makes the cases of one run; each document gets the next folio of its type."""

    def __init__(self, today: date):
        self.today = today
        self._folios = Counter()
        self._made: dict[str, Dte] = {}

    def all(self) -> Iterator[tuple[str, list[Dte]]]:
        """Yield name and documents of each case, in an order in which they can be sent."""
        for group in (
            self.texts,
            self.numbers,
            self.discounts,
            self.sizes,
            self.taxes,
            self.totals,
            self.headers,
            self.references,
            self.guides,
            self.notes,
            self.certification,
            self.several,
        ):
            for name, made in group():
                documents = made if isinstance(made, list) else [made]
                self._made[name] = documents[0]
                yield name, documents

    def make(self, dte_type: int = 33, lines=None, **changes) -> Dte:
        self._folios[dte_type] += 1
        values: dict = {
            "issuer": make_issuer(),
            "receiver": make_receiver(),
            "lines": tuple(lines or [make_line()]),
        }
        if dte_type == 52:
            values |= {"transfer_type": 1, "transport": Transport(**GOODS_TRANSPORT)}
        return Dte(dte_type, self._folios[dte_type], self.today, **values | changes)

    def refer(self, name: str, code: int | None = None, reason: str = "") -> Reference:
        """Refer to the document of an earlier case."""
        referred = self._made[name]
        return Reference(str(referred.dte_type), str(referred.folio), referred.issue_date, code, reason)

    def order(self, folio: str = "4500012345", doc_type: str = "801", **changes) -> Reference:
        return Reference(doc_type, folio, self.today - timedelta(days=7), **changes)

    def texts(self):
        hostile = 'O\'Higgins & Cía <"S.A.">'
        yield (
            "names_with_ampersand_quotes_and_accents",
            self.make(
                lines=[make_line(hostile, description="Ñandú & 'comillas' \"dobles\" <x> ]]> á é í ó ú ü ° « »")],
                receiver=make_receiver(name=hostile, giro="Ñuñoa & Cía", address='Av. "Uno" N° 1 & 2'),
            ),
        )
        yield (
            "names_of_more_than_100_characters",
            self.make(
                lines=[
                    make_line(
                        "Servicio de mantención preventiva y correctiva "
                        "de equipos de climatización & ventilación de las regiones del sur"
                    )
                ],
                receiver=make_receiver(name=text_of(130, "ñ"), giro=text_of(60, "&"), address=text_of(90, "&")),
            ),
        )
        yield (
            "names_cut_beside_special_characters",
            self.make(
                lines=[make_line(text_of(length, last)) for length in (40, 41, 80, 81, 100) for last in "&ñ"],
                receiver=make_receiver(name=text_of(40, "&")),
            ),
        )
        yield (
            "double_spaces_and_no_break_spaces",
            self.make(
                lines=[make_line("Doble  espacio   y\xa0no separable", description="dos  espacios")],
                receiver=make_receiver(name="Comercial  Dos  Espacios"),
            ),
        )
        yield (
            "dashes_quotes_euro_and_ellipsis",
            self.make(
                lines=[make_line("Café – “especial” — 10 € … Marca™ • l’eau\u200b", description="n\u0303 Šk")],
            ),
        )
        yield "description_of_1000_ampersands", self.make(lines=[make_line(description="&" * 1000)])

    def numbers(self):
        yield (
            "quantities_and_prices_with_six_decimals",
            self.make(
                lines=[
                    make_line("Tercio", "0.333333", "1000"),
                    make_line("Millonésima", "0.000001", "999999"),
                    make_line("Precio fino", "12345.678901", "0.123457"),
                ]
            ),
        )
        yield "neto_1350_rounds_half_up", self.make(lines=[make_lump(amount=1350)])
        yield "free_line_beside_a_paid_one", self.make(lines=[make_line(price="0"), make_line()])
        yield "amounts_of_fifteen_digits", self.make(lines=[make_line(quantity="999999", price="999999999")])

    def discounts(self):
        yield (
            "line_discount_to_zero",
            self.make(lines=[make_line(discount_percent=Decimal(100)), make_line("Pagado", "1", "990")]),
        )
        yield (
            "line_discounts_and_surcharges",
            self.make(
                lines=[
                    make_line("Porcentaje", "7", "333", discount_percent=Decimal("12.5")),
                    make_line("Pesos", "7", "333", discount_amount=331),
                    make_line("Recargo", "7", "333", surcharge_percent=Decimal("3.33")),
                    make_line("Ambos", "7", "333", discount_percent=Decimal("0.5"), surcharge_amount=10),
                ]
            ),
        )
        yield (
            "global_discount_over_taxed_and_exempt_lines",
            self.make(
                lines=[make_lump(amount=10001), make_lump("Exento", 5001, indicator=1)],
                global_discounts=(percent("10", text="10% afectos"), percent("10", 1, text="10% exentos")),
            ),
        )
        yield (
            "global_discount_and_surcharge_in_pesos",
            self.make(
                lines=[make_lump(amount=10001)],
                global_discounts=(pesos("1000", text="Descuento"), pesos("500", kind="R", text="Flete & seguro")),
            ),
        )
        yield (
            "twenty_global_discounts",
            self.make(
                lines=[make_lump(amount=100000)],
                global_discounts=tuple(percent("1.25", text=f"Descuento {number}") for number in range(20)),
            ),
        )
        yield (
            "global_discount_to_zero",
            self.make(
                61,
                [make_lump(amount=1000, indicator=1)],
                references=(self.refer("global_discount_over_taxed_and_exempt_lines", 3, "Sin monto"),),
                global_discounts=(percent("100", 1),),
            ),
        )

    def sizes(self):
        yield (
            "sixty_lines",
            self.make(
                lines=[
                    make_line(f"Ítem número {number} & accesorios", "1.5", "1990.55", unit="UN") for number in range(60)
                ]
            ),
        )
        yield "forty_references", self.make(references=tuple(self.order(str(number)) for number in range(1, 41)))

    def taxes(self):
        yield (
            "slaughter_of_cattle_17",
            self.make(
                lines=[make_lump("Vacuno en vara", 250000, tax_codes=(17,), retainer=Retainer(slaughter_base=300000))]
            ),
        )
        yield (
            "meat_18_and_flour_19",
            self.make(
                lines=[make_lump("Carne", 100001, tax_codes=(18,)), make_lump("Harina", 700000, tax_codes=(19,))]
            ),
        )
        yield "jewels_23", self.make(lines=[make_lump("Collar de oro", 333333, tax_codes=(23,))])
        yield (
            "drinks_24_25_26_27_and_271",
            self.make(
                lines=[
                    make_line(name, "12", price, tax_codes=(code,))
                    for name, price, code in (
                        ("Pisco", "4990.5", 24),
                        ("Vino tinto", "3333.33", 25),
                        ("Cerveza", "990.25", 26),
                        ("Agua mineral", "450", 27),
                        ("Bebida azucarada", "870.75", 271),
                    )
                ]
            ),
        )
        yield (
            "taxes_under_a_global_discount",
            self.make(
                lines=[make_lump("Cerveza", 10001, tax_codes=(26,)), make_lump("Vaso", 5003)],
                global_discounts=(percent("7.5"),),
            ),
        )
        yield (
            "fuel_tax_of_an_informed_amount_28",
            self.make(
                lines=[make_line("Petróleo diésel", "100", "900", unit="LT", tax_codes=(28,))],
                tax_overrides=(FUEL_TAX,),
            ),
        )

    def totals(self):
        yield "gross_prices", self.make(lines=[make_lump("Bruto", 680), make_lump("Otro", 86710)], gross_prices=True)
        yield (
            "gross_prices_with_exempt_line_and_discount",
            self.make(
                lines=[make_lump(amount=86710), make_lump("Exento", 55, indicator=1)],
                gross_prices=True,
                global_discounts=(percent("3.3"),),
            ),
        )
        yield (
            "not_billable_lines_and_previous_balance",
            self.make(
                lines=[
                    make_lump(amount=1000),
                    make_lump("Cobro ajeno", 700, indicator=2),
                    make_lump("Abono", 900, indicator=6),
                ],
                previous_balance=-50,
            ),
        )
        yield (
            "packaging_deposit",
            self.make(lines=[make_lump(amount=1000), make_lump("Garantía envases", 500, indicator=3)]),
        )
        yield "construction_credit", self.make(lines=[make_lump("Avance de obra", 12345679)], construction_credit=True)
        yield "exempt_invoice", self.make(34, [make_line("Clases", "3", "2745.5", unit="Hora"), make_lump(amount=7)])
        yield (
            "exempt_invoice_with_discount",
            self.make(34, [make_lump(amount=9999)], global_discounts=(percent("5", 1),)),
        )
        yield (
            "taxed_and_exempt_lines",
            self.make(lines=[make_line(), make_line("Libro exento", "1", "5990", indicator=1)]),
        )

    def headers(self):
        day = self.today
        yield (
            "service_period",
            self.make(service_indicator=1, period_from=day - timedelta(days=30), period_to=day - timedelta(days=1)),
        )
        yield (
            "thirty_installments_and_payment_terms",
            self.make(
                payment=Payment(
                    form=2,
                    due_date=day + timedelta(days=900),
                    term_code="CRED",
                    term_text="Crédito a 30 cuotas & intereses",
                    term_days=900,
                    installments=tuple(
                        Installment(day + timedelta(days=30 * number), 119, f"Cuota {number} & última")
                        for number in range(1, 31)
                    ),
                    method="CH",
                    account_type="CORRIENTE",
                    account_number="00-123-45678-9",
                    bank="Banco de Crédito & Fomento",
                )
            ),
        )
        yield (
            "paid_in_cash_with_balance",
            self.make(payment=Payment(form=1, paid_on=day, paid_amount=3000, balance=570, method="EF")),
        )
        yield "free_of_charge", self.make(payment=Payment(form=3))
        yield "full_issuer_and_receiver", self.make(issuer=self._full_issuer(), receiver=self._full_receiver())
        yield (
            "tourist_invoice",
            self.make(
                receiver=make_receiver(
                    rut="55555555-5",
                    name="Müller, Jürgen",
                    foreign_number="C01X0006H",
                    foreign_nationality="504",
                    foreign_document=1,
                ),
                tourist=True,
            ),
        )
        yield "requester_and_mandator", self.make(requester_rut="11111111-1", mandator_rut="15000005-K")
        yield (
            "product_codes_dates_and_reference_unit",
            self.make(
                lines=[
                    make_line(
                        codes=(("EAN13", "7801234567894"), ("INT1", "A&B-01"), ("DUN14", "17801234567891")),
                        unit="CAJA",
                        made_on=day - timedelta(days=100),
                        expires_on=day + timedelta(days=400),
                        reference=ReferenceUnit(Decimal("24.5"), "BOT", Decimal("61.224489")),
                    )
                ],
                receiver=make_receiver(rut="15000005-K"),
            ),
        )

    def _full_issuer(self) -> Issuer:
        return make_issuer(
            activity_codes=("475201", "011101", "620200", "829900"),
            phones=("+56 2 2345 6789", "600 123 4567"),
            email="facturacion@ferreteria-nunoa.example",
            branch_name="Casa Matriz Ñuñoa",
            branch_code="81303347",
            seller_code="Vendedora: Sofía Peña",
            extra_id="PUNTO-7",
        )

    def _full_receiver(self) -> Receiver:
        return make_receiver(
            internal_code="CLI-0001 & B",
            contact="Depto. de Pagos, señora Núñez",
            email="intercambio@constructora.example",
            postal_address="Casilla 123",
            postal_comuna="Providencia",
            postal_city="Santiago",
        )

    def references(self):
        yield (
            "purchase_order_801_and_hes",
            self.make(
                references=(
                    self.order(reason="Orden de compra Nº 4.500.012.345"),
                    self.order("1000123456", "HES", reason="Hoja de entrada de servicios"),
                    self.order("OC-15/2026 & B", "802"),
                )
            ),
        )
        yield (
            "all_the_guides_of_the_month",
            self.make(references=(Reference("52", "0", self.today, reason="Guías del mes", is_global=True),)),
        )

    def guides(self):
        own = make_receiver(rut=authority.ISSUER, name="SERVICIOS Y CIA ÑUÑOA LIMITADA")
        for transfer, name in TRANSFERS.items():
            is_sale = transfer in (1, 9)
            changes: dict = {
                "transfer_type": transfer,
                "dispatch_type": 1 + transfer % 3,
                "receiver": own if transfer == 5 else make_receiver(),
                "transport": Transport(
                    **GOODS_TRANSPORT,
                    trailer_plate="JJKK34",
                    departure_date=self.today,
                    departure_time=time(8, 5, 9),
                    arrival_date=self.today + timedelta(days=1),
                ),
            }
            if transfer in (8, 9):
                changes["issuer"] = make_issuer(
                    export_transfer_code=1, export_authorization="4321", export_authorization_date=self.today
                )
            lines = [
                make_line('Tablones ø 2"', "78.5", "1990" if is_sale else None, unit="UN"),
                make_line("Clavos", "3", None),
            ]
            yield f"guide_{transfer}_{name}", self.make(52, lines if not is_sale else lines[:1], **changes)
        yield (
            "guide_with_lines_that_are_no_sale",
            self.make(
                52,
                [
                    make_line(),
                    make_line("Muestra", "1", None, indicator=4),
                    make_line("A rebajar", "2", None, indicator=5),
                ],
                references=(self.refer("guide_3_consignment"),),
            ),
        )

    def notes(self):
        yield (
            "credit_note_annuls",
            self.make(
                61,
                references=(self.refer("taxed_and_exempt_lines", 1, "Anula factura"),),
                lines=self._made["taxed_and_exempt_lines"].lines,
            ),
        )
        yield (
            "credit_note_corrects_text",
            self.make(
                61,
                [make_lump('Donde dice Giro "A & B" debe decir Giro Ñ', 0)],
                references=(self.refer("neto_1350_rounds_half_up", 2, "Corrige giro"),),
            ),
        )
        yield (
            "credit_note_lowers_amounts",
            self.make(
                61,
                [make_line("Devolución", "1", "990", discount_percent=Decimal("12.5"))],
                references=(self.refer("line_discount_to_zero", 3, "Devolución de mercaderías"),),
                payment=Payment(form=1),
            ),
        )
        yield (
            "debit_note_raises_amounts",
            self.make(
                56,
                [make_lump("Intereses por mora", 1351)],
                references=(self.refer("neto_1350_rounds_half_up", 3, "Intereses & gastos"),),
            ),
        )
        annulled = self._made["credit_note_lowers_amounts"]
        yield (
            "debit_note_annuls_credit_note",
            self.make(
                56, annulled.lines, references=(self.refer("credit_note_lowers_amounts", 1, "Anula nota de crédito"),)
            ),
        )
        yield (
            "credit_note_of_a_gross_invoice",
            self.make(61, [make_lump("Bruto", 680)], references=(self.refer("gross_prices", 3),), gross_prices=True),
        )
        yield (
            "credit_note_of_an_exempt_invoice",
            self.make(61, [make_lump("Clase no dada", 7, indicator=1)], references=(self.refer("exempt_invoice", 3),)),
        )
        yield (
            "credit_note_of_a_boleta_after_six_months",
            self.make(
                61,
                no_reduction=True,
                references=(Reference("39", "1234", self.today - timedelta(days=200), 3, "Devolución tardía"),),
            ),
        )
        purchase = Reference("46", "9", self.today - timedelta(days=3), 3, "Devolución")
        yield (
            "credit_note_with_partial_retention_34",
            self.make(61, [make_line("Trigo", "10", "1000", unit="QQ", tax_codes=(34,))], references=(purchase,)),
        )
        yield (
            "credit_note_with_total_retention_15",
            self.make(
                61,
                [make_lump("Chatarra", 10007, tax_codes=(15,))],
                references=(purchase,),
                global_discounts=(percent("10"),),
            ),
        )
        yield (
            "credit_note_with_additional_tax",
            self.make(
                61,
                [make_line("Pisco", "1", "4990.5", tax_codes=(24,))],
                references=(self.refer("drinks_24_25_26_27_and_271", 3),),
            ),
        )

    def certification(self):
        for number, (name, case) in enumerate(CERTIFICATION_CASES.items(), 1):
            references = [Reference("SET", str(number), self.today, reason=f"CASO 4959502-{number}")]
            if case.refers:
                references.append(self._certification_reference(*case.refers, case.reason))
            changes = dict(case.changes)
            if changes.get("transfer_type") == 5:
                changes["receiver"] = make_receiver(rut=authority.ISSUER)
            yield (
                f"certification_{name.replace(' ', '_')}",
                self.make(case.dte_type, case.lines, references=tuple(references), **changes),
            )

    def _certification_reference(self, name: str, code: int, reason: str) -> Reference:
        if name in CERTIFICATION_CASES:
            return self.refer(f"certification_{name.replace(' ', '_')}", code, reason)
        return Reference("46", "9", self.today, code, reason)

    def several(self):
        yield (
            "envelope_of_every_type",
            [
                self.make(),
                self.make(34),
                self.make(52, transport=Transport(**GOODS_TRANSPORT)),
                self.make(56, references=(self.refer("neto_1350_rounds_half_up", 3),)),
                self.make(61, references=(self.refer("neto_1350_rounds_half_up", 3),)),
                self.make(lines=[make_line("Ñ & 'comillas'")]),
            ],
        )
        yield "envelope_of_fifty_documents", [self.make() for _ in range(50)]
