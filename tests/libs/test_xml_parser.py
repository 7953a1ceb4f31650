# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import pytest
from libs import xml_parser
from libs.exceptions import XmlError

LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><l>&i;</l>"
)


def code_of(data, **options):
    with pytest.raises(XmlError) as caught:
        xml_parser.parse(data, **options)
    return caught.value.code


@pytest.mark.parametrize("data", [b"", b" \n\t"])
def test_nothing(data):
    assert code_of(data) == "xml_empty"


def test_size_has_a_limit():
    data = b"<a>" + b"x" * 93 + b"</a>"
    assert xml_parser.parse(data, max_bytes=100) is not None
    assert code_of(data, max_bytes=99) == "xml_too_big"
    assert code_of(b"<a/>" + b" " * xml_parser.MAX_BYTES) == "xml_too_big"


def nested(depth):
    return b"<a>" * depth + b"</a>" * depth


def test_depth_has_a_limit():
    assert xml_parser.parse(nested(xml_parser.MAX_DEPTH)) is not None
    assert code_of(nested(xml_parser.MAX_DEPTH + 1)) == "xml_too_deep"
    assert code_of(nested(100_000)) == "xml_malformed"


def test_number_has_a_limit(monkeypatch):
    monkeypatch.setattr(xml_parser, "MAX_TAGS", 10)
    monkeypatch.setattr(xml_parser, "MAX_ATTRIBUTES", 3)
    assert xml_parser.parse(b"<a>" + b"<b/>" * 8 + b"</a>") is not None
    assert xml_parser.parse(b"<a b='' c='' d=''/>") is not None
    assert code_of(b"<a b = '' c='' d='' e=''/>") == "xml_too_many"
    for encoding in ("utf-8", "iso-8859-1", "ISO8859-15", "windows-1252", "us-ascii", "utf-16", "utf-16-le", "utf-32"):
        text = f'<?xml version="1.0"  encoding="{encoding}"?><a>{"<b/>" * 10}</a>'
        assert code_of(text.encode(encoding)) == "xml_too_many", encoding


@pytest.mark.parametrize("encoding", ["utf-7", "cp037", "cp500"])
def test_encodings_in_which_nothing_can_be_counted(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>'
    for data in (text.encode("ascii") + "<a/>".encode(encoding), (text + "<a/>").encode(encoding)):
        assert code_of(data) == "xml_malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE a><a/>",
        b"<!doctype a><a/>",
        b'<?xml version="1.0"?>\n<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        LAUGHS.encode(),
    ],
)
def test_a_dtd_is_refused_before_parsing(data):
    assert code_of(data) == "xml_doctype"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"])
@pytest.mark.parametrize("text", ["<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", LAUGHS])
def test_a_dtd_in_an_encoding_that_hides_it(encoding, text):
    declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}'
    for data in (text.encode(encoding), declared.encode(encoding)):
        assert code_of(data) in ("xml_doctype", "xml_malformed")


def test_an_external_entity_is_never_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    for encoding in ("utf-8", "utf-16"):
        data = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'.encode(encoding)
        with pytest.raises(XmlError) as caught:
            xml_parser.parse(data)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"<a>", b"<a></b>", b"a", b"<a>&nada;</a>", b"\xff\xfe", b"<a>\x00</a>", b"<a a='1' a='2'/>"]
)
def test_what_is_not_xml(data):
    assert code_of(data) == "xml_malformed"


def test_bytes_that_are_not_in_the_declared_encoding():
    assert code_of('<?xml version="1.0" encoding="UTF-8"?><a>ñ</a>'.encode("iso-8859-1")) == "xml_malformed"
    assert code_of(b'<?xml version="1.0" encoding="nada"?><a/>') == "xml_malformed"


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n\n \t", b"\n\xef\xbb\xbf\n"])
def test_what_may_stand_before_the_declaration(before):
    assert xml_parser.parse(before + b'<?xml version="1.0"?><a/>').tag == "a"


def test_comments_and_instructions_have_no_name_and_end_no_text():
    root = xml_parser.parse(b"<a>1<!-- 2 -->3<?p i?><b/></a>")
    assert root.text == "13"
    assert [xml_parser.local_name(child) for child in root] == ["", "b"]


ANSWER = b'<s:a xmlns:s="urn:s"><s:b>1</s:b><b> 2 </b><c><b>3</b></c><d/></s:a>'


def test_elements_are_found_by_local_name():
    root = xml_parser.parse(ANSWER)
    assert xml_parser.text_of(root, "b") == "1"
    assert xml_parser.text_of(root, "c", "b") == "3"
    assert xml_parser.text_of(root, "c", "x") == xml_parser.text_of(root, "x") == xml_parser.text_of(root, "d") == ""
    assert xml_parser.find_local(root, "c", "x") is None
    assert xml_parser.first_text(root, "b") == "1"
    assert xml_parser.first_text(root, "x") == xml_parser.first_text(root, "d") == ""
    assert xml_parser.first_text(root[2], "b") == "3"


def test_canonical_form_of_a_document():
    root = xml_parser.parse(
        "<?xml version='1.0'?><b z='1' a=\"'&quot;\" xmlns='urn:x'>\r\n<c/>ñ&apos;&lt;</b>".encode()
    )
    assert xml_parser.canonical(root).decode() == '<b xmlns="urn:x" a="\'&quot;" z="1">\n<c></c>ñ\'&lt;</b>'
