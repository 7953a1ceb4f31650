# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The symbol holds the bytes of the TED, at error correction 5 and without ECI, in the size of the manual."""

from __future__ import annotations

import io
import re

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from libs import issue, timbre
from libs.exceptions import SignatureError
from pdf417gen.codes import CODES
from pdf417gen.error_correction import compute_error_correction_code_words
from PIL import Image

from tests.libs import documents

WORD_OF_PATTERN = [{pattern: word for word, pattern in enumerate(table)} for table in CODES]
ECI_WORDS = {925, 926, 927}


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("L")


def decode(png: bytes) -> bytes:
    found = zxingcpp.read_barcodes(picture(png), zxingcpp.BarcodeFormat.PDF417)
    assert len(found) == 1
    return found[0].bytes


def read_words(png: bytes) -> tuple[list[int], list[int]]:
    """Row indicators on the left, and the words of the symbol, by the tables of another library."""
    image = picture(png)
    width, height = image.width // 2, image.height // 6
    indicators, words = [], []
    for row in range(height):
        bits = "".join("1" if image.getpixel((2 * x, 6 * row)) == 0 else "0" for x in range(width))
        found = [WORD_OF_PATTERN[row % 3][int(bits[at : at + 17], 2)] for at in range(17, width - 18, 17)]
        indicators.append(found[0])
        words += found[1:-1]
    return indicators, words


@pytest.fixture(scope="module")
def ted(cafs, signer):
    dte = documents.make_dte(receiver=documents.make_receiver(name="Ñandú & Cía <Ltda> áéíóú ÁÉÍÓÚ ¿ü?"))
    signed = issue.issue(dte, cafs[33], signer, documents.SIGNED_AT)
    assert timbre.ted_of(signed.xml) == signed.ted.encode("iso-8859-1")
    return timbre.ted_of(signed.xml)


@pytest.mark.parametrize(("width", "height"), [(72, 30), (52, 38), (50, 40), (90, 40)])
def test_the_symbol_holds_the_ted(ted, width, height):
    drawn = timbre.draw(ted, width=width, max_height=height)
    assert decode(drawn.png) == ted == drawn.ted
    assert drawn.width == width
    assert 20 <= drawn.height <= height
    image = picture(drawn.png)
    assert image.height / image.width == pytest.approx(drawn.height / drawn.width)


def test_error_correction_is_5_and_nothing_is_announced(ted):
    indicators, words = read_words(timbre.draw(ted).png)
    data, correction = words[: words[0]], words[words[0] :]
    assert (indicators[1] % 30) // 3 == 5
    assert len(correction) == 64
    assert correction == list(compute_error_correction_code_words(data, 5))
    assert not ECI_WORDS & set(data)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=("Cc",)), max_size=300))
def test_any_latin_text_comes_back(text):
    content = b"<TED><DD>" + text.encode("iso-8859-1") + b"</DD></TED>" + b"relleno " * 60
    drawn = timbre.draw(content)
    assert decode(drawn.png) == content
    assert 20 <= drawn.height <= 30


def test_line_breaks_of_a_signature_stay(ted):
    broken = ted.replace(b"</FRMT>", b"\n</FRMT>").replace(b"==", b"=\n=")
    assert decode(timbre.draw(broken).png) == broken


def test_bytes_of_no_table_are_held_too(ted):
    """A CAF may hold them in the name of the company, and what the SII signed is stamped as it is."""
    content = ted.replace(b"<RE>", bytes(range(0x7F, 0xA0)) + b"<RE>")
    drawn = timbre.draw(content)
    assert decode(drawn.png) == content
    _, words = read_words(drawn.png)
    assert not ECI_WORDS & set(words[: words[0]])


def test_what_no_symbol_can_hold_is_refused():
    with pytest.raises(SignatureError, match="timbre_unprintable"):
        timbre.draw(b"<TED>" + b"\xf1a1" * 1500)


def test_white_space_between_tags_is_not_stamped():
    xml = b'<DTE><Documento><TED version="1.0">\n  <DD><IT1>a  b</IT1>\r\n<F>1</F></DD>\n</TED></Documento></DTE>'
    assert timbre.ted_of(xml) == b'<TED version="1.0"><DD><IT1>a  b</IT1><F>1</F></DD></TED>'


@pytest.mark.parametrize("xml", [b"<DTE/>", b"<DTE><TED>1</TED><TED>2</TED></DTE>"])
def test_a_document_has_one_timbre(xml):
    with pytest.raises(SignatureError, match="timbre_missing"):
        timbre.ted_of(xml)


def test_the_shape_is_of_the_manual():
    with pytest.raises(ValueError, match="5 to 9 cm"):
        timbre.draw(b"x", width=49)
    assert re.search("1.5", timbre.__doc__)
