# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from libs import issue, xsd_validator
from libs.exceptions import ConfigurationError, XmlError
from libs.xsd_validator import DTE_SCHEMA, ENVIO_SCHEMA, REQUIRED_FILES, SchemaSet
from lxml import etree

from tests.libs.documents import SIGNED_AT, make_dte


@pytest.fixture(scope="module")
def files(schemas):
    return {path.name: path.read_bytes() for path in Path(os.environ["DTE_SCHEMAS"]).glob("*.xsd")}


@pytest.fixture(scope="module")
def dte(cafs, signer):
    return issue.issue(make_dte(), cafs[33], signer, SIGNED_AT).xml


def packed(files, folder="", method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(f"{folder}{name}", data)
    return out.getvalue()


def code_of(action, *args):
    with pytest.raises(ConfigurationError) as caught:
        action(*args)
    return caught.value.code


def test_findings_name_the_element_and_the_line(dte, schemas):
    broken = dte.replace(b"<Folio>7</Folio>", b"<Folio>siete</Folio>").replace(b"<NroLinDet>1<", b"<NroLinDet>0<")
    found = schemas.validate(broken, DTE_SCHEMA)
    assert [problem.element for problem in found if "atomic type" in problem.message] == ["Folio", "NroLinDet"]
    lines = broken.split(b"\n")
    assert all(problem.element.encode() in lines[problem.line - 1] for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "element"),
    [
        (b"<RznSoc>", b"<RznSocial>", "RznSocial"),
        (b"<FchEmis>2026-10-05<", b"<FchEmis>05-10-2026<", "FchEmis"),
        (b"<MntTotal>3570<", b"<MntTotal>35.70<", "MntTotal"),
        (b"<GiroEmis>", b"<GiroEmis></GiroEmis><GiroEmis>", "GiroEmis"),
        (b'version="1.0">\n<Documento', b'version="2.0">\n<Documento', "DTE"),
    ],
)
def test_what_the_schema_refuses(old, new, element, dte, schemas):
    changed = dte.replace(old, new, 1).replace(b"</RznSoc>", b"</RznSocial>" if b"RznSocial" in new else b"</RznSoc>")
    assert changed != dte
    assert element in [problem.element for problem in schemas.validate(changed, DTE_SCHEMA)]


def test_a_declared_document_and_a_fragment(dte, schemas):
    assert schemas.validate(dte, DTE_SCHEMA) == []
    assert schemas.validate(b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + dte, DTE_SCHEMA) == []


def test_bytes_that_are_not_xml(schemas):
    with pytest.raises(XmlError):
        schemas.validate(b"<DTE", DTE_SCHEMA)


def test_threads_do_not_take_each_others_findings(dte, schemas):
    """The log of a compiled schema is shared: another thread's validation empties it."""
    broken = dte.replace(b"<Folio>7</Folio>", b"<Folio>siete</Folio>")
    expected = {broken: schemas.validate(broken, DTE_SCHEMA), dte: []}
    assert expected[broken]
    with ThreadPoolExecutor(8) as pool:
        for xml, found in pool.map(lambda xml: (xml, schemas.validate(xml, DTE_SCHEMA)), [broken, dte] * 500):
            assert found == expected[xml]


def test_a_refusal_without_findings_is_not_taken_for_valid(dte, files, monkeypatch):
    class Refusing:
        error_log = ()

        def __init__(self, root):
            pass

        def validate(self, root):
            return False

    monkeypatch.setattr(xsd_validator.etree, "XMLSchema", Refusing)
    (problem,) = SchemaSet(files).validate(dte, DTE_SCHEMA)
    assert (problem.line, problem.element) == (1, "DTE")
    assert problem.message


def test_a_schema_is_compiled_once(dte, files, monkeypatch):
    compiled = []
    real = etree.XMLSchema
    monkeypatch.setattr(xsd_validator.etree, "XMLSchema", lambda root: compiled.append(1) or real(root))
    schemas = SchemaSet(files)
    for _ in range(3):
        schemas.validate(dte, DTE_SCHEMA)
        schemas.validate(dte, ENVIO_SCHEMA)
    assert len(compiled) == 2


@pytest.mark.parametrize("name", sorted(REQUIRED_FILES))
def test_an_incomplete_set(name, files, tmp_path):
    less = {key: data for key, data in files.items() if key != name}
    assert code_of(SchemaSet, less) == "schemas_incomplete"
    assert code_of(xsd_validator.from_zip, packed(less)) == "schemas_incomplete"
    for key, data in less.items():
        (tmp_path / key).write_bytes(data)
    assert code_of(xsd_validator.from_folder, tmp_path) == "schemas_incomplete"


def test_the_zip_of_the_sii(dte, files):
    assert xsd_validator.from_zip(packed(files, "schema_dte/")).validate(dte, DTE_SCHEMA) == []
    assert xsd_validator.from_zip(packed(files, "a\\b\\")).validate(dte, DTE_SCHEMA) == []
    assert xsd_validator.from_zip(packed(files, method=zipfile.ZIP_STORED)).validate(dte, DTE_SCHEMA) == []


def test_a_zip_that_is_none():
    assert code_of(xsd_validator.from_zip, b"PK\x03\x04 no") == "schemas_unreadable"
    assert code_of(xsd_validator.from_zip, b"") == "schemas_unreadable"


def test_a_damaged_zip(files):
    data = bytearray(packed(files, method=zipfile.ZIP_DEFLATED))
    data[60:400] = b"\x00" * 340
    assert code_of(xsd_validator.from_zip, bytes(data)) == "schemas_unreadable"


def test_a_zip_bomb(files):
    assert code_of(xsd_validator.from_zip, packed({"a.xsd": b"x" * (3 * 1024 * 1024)})) == "schemas_unreadable"
    assert code_of(xsd_validator.from_zip, packed({f"{n}.xsd": b"" for n in range(201)})) == "schemas_unreadable"


@pytest.mark.parametrize(
    "damage",
    [
        lambda files: {DTE_SCHEMA: b"not a schema"},
        lambda files: {DTE_SCHEMA: files[DTE_SCHEMA][:5000]},
        lambda files: {DTE_SCHEMA: files[DTE_SCHEMA].replace(b"SiiTypes_v10.xsd", b"Otro_v10.xsd")},
        lambda files: {"SiiTypes_v10.xsd": b"<a/>"},
    ],
)
def test_schemas_that_do_not_compile(damage, dte, files):
    broken = SchemaSet(files | damage(files))
    assert code_of(broken.validate, dte, DTE_SCHEMA) == "schemas_unreadable"


def test_nothing_is_read_outside_the_set(dte, files, tmp_path):
    outside = tmp_path / "Fuera.xsd"
    outside.write_bytes(files["SiiTypes_v10.xsd"])
    changed = files[DTE_SCHEMA].replace(b"SiiTypes_v10.xsd", outside.as_uri().encode())
    broken = SchemaSet(files | {DTE_SCHEMA: changed})
    assert code_of(broken.validate, dte, DTE_SCHEMA) == "schemas_unreadable"


def test_the_copy_of_the_package(dte, packaged_schemas):
    assert packaged_schemas.validate(dte, DTE_SCHEMA) == []


def test_a_machine_without_the_package(monkeypatch):
    monkeypatch.setattr(xsd_validator.importlib.util, "find_spec", lambda name: None)
    assert code_of(xsd_validator.from_cl_sii) == "schemas_incomplete"
