# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Cases of the SII's certification set 4959502: their lines, and exactly the totals that the SII expects.

Source: set de pruebas (básico, guías, exento, compra) handed out by the SII; quantities change with each applicant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from libs.dte import GlobalDiscount, Line

from tests.libs.documents import make_line, make_lump


@dataclass(frozen=True)
class Case:
    """`refers` names the case and the CodRef of a note; `totals` are neto, exempt, IVA and total."""

    dte_type: int
    lines: tuple[Line, ...]
    totals: tuple
    refers: tuple[str, int] | None = None
    reason: str = ""
    changes: dict = field(default_factory=dict)


def _panuelo(quantity):
    return make_line("Pañuelo AFECTO", quantity, "3947", discount_percent=Decimal(7))


def _second_item(quantity):
    return make_line("ITEM 2 AFECTO", quantity, "3005", discount_percent=Decimal(14))


_MIXED = (
    make_line("Pintura B&W AFECTO", "38", "4594"),
    make_line("ITEM 2 AFECTO", "193", "3422"),
    make_line("ITEM 3 SERVICIO EXENTO", "1", "35005", indicator=1),
)
_RETURNED_PURCHASE = (
    make_line("Producto 1", "363", "8250", tax_codes=(15,)),
    make_line("Producto 2", "14", "4591", tax_codes=(15,)),
)
_HOURS = make_line("HORAS PROGRAMADOR", "3", "2745", unit="Hora")

CASES = {
    "basic 1": Case(
        33,
        (make_line("Cajón AFECTO", "146", "2237"), make_line("Relleno AFECTO", "62", "3695")),
        (555692, None, 105581, 661273),
    ),
    "basic 2": Case(33, (_panuelo("503"), _second_item("439")), (2980875, None, 566366, 3547241)),
    "basic 3": Case(33, _MIXED, (835018, 35005, 158653, 1028676)),
    "basic 4": Case(
        33,
        (
            make_line("ITEM 1 AFECTO", "252", "3846"),
            make_line("ITEM 2 AFECTO", "107", "4373"),
            make_line("ITEM 3 SERVICIO EXENTO", "2", "6801", indicator=1),
        ),
        (1221538, 13602, 232092, 1467232),
        changes={"global_discounts": (GlobalDiscount("D", Decimal(15), True, "Descuento global ítems afectos"),)},
    ),
    "basic 5": Case(
        61,
        (make_lump("Donde dice Giro Uno debe decir Giro Dos", 0),),
        (None, None, None, 0),
        ("basic 1", 2),
        "CORRIGE GIRO DEL RECEPTOR",
    ),
    "basic 6": Case(
        61,
        (_panuelo("185"), _second_item("297")),
        (1446618, None, 274857, 1721475),
        ("basic 2", 3),
        "DEVOLUCION DE MERCADERIAS",
    ),
    "basic 7": Case(61, _MIXED, (835018, 35005, 158653, 1028676), ("basic 3", 1), "ANULA FACTURA"),
    "basic 8": Case(
        56,
        (make_lump("Donde dice Giro Uno debe decir Giro Dos", 0),),
        (0, None, 0, 0),
        ("basic 5", 1),
        "ANULA NOTA DE CREDITO ELECTRONICA",
    ),
    "guide 1": Case(
        52,
        tuple(make_line(f"ITEM {number}", quantity, None) for number, quantity in enumerate(("78", "122", "83"), 1)),
        (0, None, 0, 0),
        changes={"transfer_type": 5},
    ),
    "guide 2": Case(
        52,
        (make_line("ITEM 1", "345", "7061"), make_line("ITEM 2", "666", "1621")),
        (3515631, None, 667970, 4183601),
        changes={"transfer_type": 1, "dispatch_type": 2},
    ),
    "guide 3": Case(
        52,
        (make_line("ITEM 1", "168", "1949"), make_line("ITEM 2", "412", "5519")),
        (2601260, None, 494239, 3095499),
        changes={"transfer_type": 1, "dispatch_type": 1},
    ),
    "exempt 1": Case(34, (_HOURS,), (None, 8235, None, 8235)),
    "exempt 2": Case(
        61,
        (make_line("HORAS PROGRAMADOR", "1", "2745", unit="Hora", indicator=1),),
        (None, 2745, None, 2745),
        ("exempt 1", 3),
        "MODIFICA MONTO",
    ),
    "exempt 3": Case(34, (_HOURS,), (None, 8235, None, 8235)),
    "exempt 4": Case(
        61,
        (make_line("HORAS PROGRAMADOR", "3", "2745", unit="Hora", indicator=1),),
        (None, 8235, None, 8235),
        ("exempt 3", 1),
        "ANULA FACTURA",
    ),
    "exempt 5": Case(
        56,
        (make_line("HORAS PROGRAMADOR", "2", "2745", unit="Hora", indicator=1),),
        (None, 5490, None, 5490),
        ("exempt 1", 3),
        "MODIFICA MONTO",
    ),
    "purchase 2": Case(61, _RETURNED_PURCHASE, (3059024, None, 581215, 3059024), ("purchase 1", 3), "DEVOLUCION"),
    "purchase 3": Case(56, _RETURNED_PURCHASE, (3059024, None, 581215, 3059024), ("purchase 2", 1), "ANULA NOTA"),
}
