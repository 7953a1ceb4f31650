# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""RUT: module 11 check digit and the forms in which the number arrives."""

import re
from itertools import cycle

from .errors import UsageError

SII = "60803000-K"
PATTERN = re.compile(r"([0-9]{1,8})-([0-9K])")


def check_digit(number):
    """Check digit (0-9 or K) of the integer `number`."""
    total = sum(int(digit) * weight for digit, weight in zip(reversed(str(number)), cycle(range(2, 8))))
    return "0123456789K"[-total % 11]


def is_valid(rut):
    """True for `12345678-5`: no dots, no leading zero, capital K, right check digit."""
    match = PATTERN.fullmatch(rut)
    return bool(match) and not rut.startswith("0") and check_digit(match[1]) == match[2]


def normalise(text):
    """The RUT in a loosely written text (dots, zeros on the left, small k), or None."""
    rut = text.strip().replace(".", "").upper().lstrip("0")
    return rut if is_valid(rut) else None


def checked(text):
    """The text, when it is a valid RUT. Raises UsageError."""
    if not isinstance(text, str) or not is_valid(text):
        raise UsageError(f"{text!r} is not a RUT: write it as 76543210-3, with its check digit")
    return text


def join(number, digit):
    """RUT of the two halves sent as separate fields, zeros on the left removed."""
    return f"{number.strip().lstrip('0')}-{digit.strip().upper()}"
