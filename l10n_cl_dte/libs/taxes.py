# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Additional taxes and withholdings by SII code.

Source: Formato DTE v2.4.2, chapter 4 "Codificación tipos de impuestos y recargos". Rates that resolutions change (the
partial withholdings) are only defaults: a document may carry its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

VAT_CODE = 14

ADD = "add"
WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class TaxKind:
    """What a code of `CodImpAdic` does to the total.

    :ivar effect: "add" or "withhold"
    :ivar rate: per cent; None when the law gives an amount (per volume, on a margin) instead of a rate
    :ivar vat: the rate is the VAT rate of the document (total withholding)
    """

    effect: str
    rate: Decimal | None = None
    vat: bool = False


def _add(rate):
    return TaxKind(ADD, Decimal(rate))


def _partial(rate):
    return TaxKind(WITHHOLD, Decimal(rate))


_TOTAL = TaxKind(WITHHOLD, vat=True)
_INFORMED = TaxKind(ADD)

TAX_KINDS = {
    14: _INFORMED,
    15: _TOTAL,
    17: _add("5"),
    18: _add("5"),
    19: _add("12"),
    23: _add("15"),
    24: _add("31.5"),
    25: _add("20.5"),
    26: _add("20.5"),
    27: _add("10"),
    271: _add("18"),
    28: _INFORMED,
    30: _partial("10"),
    301: _TOTAL,
    31: _TOTAL,
    32: _partial("8"),
    321: _TOTAL,
    33: _partial("8"),
    331: _TOTAL,
    34: _partial("4"),
    341: _TOTAL,
    35: _INFORMED,
    36: _partial("10"),
    361: _TOTAL,
    37: _partial("10"),
    371: _TOTAL,
    38: _TOTAL,
    39: _TOTAL,
    41: _TOTAL,
    44: _add("15"),
    45: _add("50"),
    46: _TOTAL,
    47: _TOTAL,
    48: _partial("14"),
    481: _TOTAL,
    50: _INFORMED,
    51: _INFORMED,
    52: _INFORMED,
}

# Slaughter of cattle: the rate applies to a base of its own, not to the lines.
SLAUGHTER_CODE = 17

# Taxes on a margin: the margin is informed beside them in MntMargenCom.
MARGIN_CODES = frozenset({14, 50})

# Withholdings of the buyer: only in a purchase invoice (46) and in the notes that correct one.
WITHHOLDING_CODES = frozenset(code for code, kind in TAX_KINDS.items() if kind.effect == WITHHOLD)


def sii_code(code: int, rate: Decimal) -> int:
    """Return the SII's code for a tax of Odoo's chart, which books sugared drinks (18 %) under 26 instead of 271.

    :param rate: per cent, positive
    """
    return 271 if code == 26 and rate == 18 else code
