# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The timbre as the PDF417 symbol that stands on paper.

The symbol is made by zxing-cpp, in half a millisecond; pdf417gen needs forty times as long. Both write text, numbers
and bytes in the mode that takes least room, which the SII's reader accepts, and neither can be told to use bytes only.
The SII's symbols announce no table (ECI): a PDF417 symbol holds ISO-8859-1 without that. For `bytes` zxing-cpp says
that they are binary unless it is told that the table is unknown. Given text it would announce one for the bytes 0x80 to
0x9F, which no ISO-8859-1 table has and the name in a CAF may, if it was typed in Windows.
Source: Manual de muestras impresas v4.0, section 1.5; Instructivo técnico de emisión (PDF417, error correction 5).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

import zxingcpp

from .exceptions import SignatureError
from .xml_verifier import cut_elements

ERROR_CORRECTION = "5"
# Manual, section 1.5: 2 x 5 to 4 x 9 cm.
MIN_WIDTH, MAX_WIDTH = 50.0, 90.0
MIN_HEIGHT, MAX_HEIGHT = 20.0, 40.0

# Modules: start and stop patterns with the two row indicators, and one word. A row is three modules high.
_FRAME_MODULES = 17 * 4 + 1
_WORD_MODULES = 17
_ROW_MODULES = 3
_MIN_COLUMNS, _MAX_COLUMNS = 8, 30
# What a TED takes, somewhat high: a column too many is cheaper than a second symbol.
_WORDS_PER_BYTE = 0.76
_CORRECTION_WORDS = 64
# Pixels of a module: what is printed must not be made of half pixels, more would only cost time.
_PIXELS = 2

_BETWEEN_TAGS = re.compile(rb">\s+<")

_TO_DIGITS = bytes(48 if level < 128 else 49 for level in range(256))
_WIDENED = [int("".join(bit * _PIXELS for bit in f"{byte:08b}"), 2).to_bytes(_PIXELS, "big") for byte in range(256)]


@dataclass(frozen=True, slots=True)
class Timbre:
    """A symbol ready to be printed: `png` without margins, `width` and `height` in millimetres, `ted` what it holds."""

    png: bytes
    width: float
    height: float
    ted: bytes


def ted_of(xml: bytes) -> bytes:
    """Return the TED of a signed document as the SII stamps it: its own bytes, without white space between tags.

    :param xml: `<DTE>...</DTE>` in ISO-8859-1, as archived
    :raises SignatureError: `timbre_missing`
    """
    found = cut_elements(xml, b"TED")
    if len(found) != 1:
        raise SignatureError("timbre_missing")
    return _BETWEEN_TAGS.sub(b"><", found[0])


def draw(ted: bytes, *, width: float = 72.0, max_height: float = 30.0) -> Timbre:
    """Draw the symbol of a TED.

    :param ted: flattened, ISO-8859-1, see :func:`ted_of`
    :param width: millimetres on paper, 50 to 90
    :param max_height: millimetres, 25 to 40; of the shapes that fit, the highest is taken, which has the widest modules
    :raises SignatureError: `timbre_unprintable` when it is too long
    """
    if not MIN_WIDTH <= width <= MAX_WIDTH or not 1.25 * MIN_HEIGHT <= max_height <= MAX_HEIGHT:
        raise ValueError("the timbre is 5 to 9 cm wide and 2 to 4 cm high")
    columns = _guess_columns(len(ted), width, max_height)
    while columns <= _MAX_COLUMNS:
        image = _encode(ted, columns)
        height = _height(columns, image.shape[0] // _ROW_MODULES, width)
        if MIN_HEIGHT <= height <= max_height or (height < MIN_HEIGHT and columns == 1):
            return Timbre(_png(image), width, height, ted)
        columns += 1 if height > max_height else -1
    raise SignatureError("timbre_unprintable")


def _encode(ted: bytes, columns: int):
    """Return the symbol as a grey image of one pixel a module."""
    try:
        symbol = zxingcpp.create_barcode(
            ted, zxingcpp.BarcodeFormat.PDF417, eci="Unknown", ec_level=ERROR_CORRECTION, columns=columns
        )
    except ValueError as error:
        raise SignatureError("timbre_unprintable") from error
    return symbol.to_image(1, add_quiet_zones=False)


def _height(columns: int, rows: int, width: float) -> float:
    return rows * _ROW_MODULES * width / (columns * _WORD_MODULES + _FRAME_MODULES)


def _guess_columns(size: int, width: float, max_height: float) -> int:
    """Return the fewest columns that can fit, so that a symbol is seldom made twice."""
    words = size * _WORDS_PER_BYTE + _CORRECTION_WORDS
    columns = _MIN_COLUMNS
    while columns < _MAX_COLUMNS and _height(columns, -(-words // columns), width) > max_height:
        columns += 1
    return columns


def _png(image) -> bytes:
    """Write the symbol as PNG, black on white, one bit a pixel.

    By hand, since Pillow needs longer to widen the modules than the whole symbol takes. Each pixel row is
    written once; those that repeat it are filtered to zeros.
    """
    height, width = image.shape
    levels = bytes(image).translate(_TO_DIGITS)
    padding = b"1" * (-width % 8)
    digits = b"".join([levels[at : at + width] + padding for at in range(0, len(levels), _ROW_MODULES * width)])
    packed = int(digits, 2).to_bytes(len(digits) // 8, "big")
    pixels = b"".join([_WIDENED[byte] for byte in packed])
    stride = (width + len(padding)) // 8 * _PIXELS
    used = -(-width * _PIXELS // 8)
    repeats = (b"\2" + bytes(used)) * (_ROW_MODULES * _PIXELS - 1)
    lines = [b"\0" + pixels[at : at + used] + repeats for at in range(0, len(pixels), stride)]
    header = struct.pack(">IIBBBBB", width * _PIXELS, height * _PIXELS, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(kind, data) for kind, data in chunks])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
