# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Validation against the SII's schemas, which are not ours to ship.

They come from the zip that the SII publishes (loaded by an administrator), from a folder, or from the copy inside the
`cl-sii` package. They are compiled once per process and set.
"""

from __future__ import annotations

import importlib.util
import io
import re
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from . import xml_parser
from .exceptions import ConfigurationError

DTE_SCHEMA = "DTE_v10.xsd"
ENVIO_SCHEMA = "EnvioDTE_v10.xsd"
# Of customers' answers. They come in other zips of the SII, and the copy of `cl-sii` lacks them.
ANSWER_SCHEMA = "RespuestaEnvioDTE_v10.xsd"
RECEIPTS_SCHEMA = "EnvioRecibos_v10.xsd"
REQUIRED_FILES = frozenset((DTE_SCHEMA, ENVIO_SCHEMA, "SiiTypes_v10.xsd", "xmldsignature_v10.xsd"))

_MAX_SCHEMA_BYTES = 2 * 1024 * 1024
_MAX_FILES = 200
_BASE = "schema:///"


@dataclass(frozen=True)
class SchemaProblem:
    """One finding: line in the validated bytes, element (local name) and the validator's message in English."""

    line: int
    element: str
    message: str


class SchemaSet:
    """A set of schema files; each root schema is compiled when first used and kept.

    :param files: file name to bytes
    :raises ConfigurationError: `schemas_incomplete` when a file that DTE and EnvioDTE need is missing
    """

    def __init__(self, files: Mapping[str, bytes]):
        missing = sorted(REQUIRED_FILES - set(files))
        if missing:
            raise ConfigurationError("schemas_incomplete", files=", ".join(missing), error_type="validation")
        self._files = dict(files)
        self._compiled: dict[str, etree.XMLSchema] = {}
        # A compiled schema has one log of findings, which every validation empties, and threads share the schema.
        self._lock = threading.Lock()

    def has(self, schema: str) -> bool:
        """Tell whether the set holds a root schema."""
        return schema in self._files

    def validate(self, xml: bytes, schema: str) -> list[SchemaProblem]:
        """Return what the schema refuses, in order; an empty list means valid.

        :param xml: a whole document, or a `<DTE>` fragment in ISO-8859-1 without declaration
        :raises XmlError: when the bytes cannot be parsed
        """
        if not xml.startswith(b"<?xml"):
            xml = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + xml
        root = xml_parser.parse(xml)
        with self._lock:
            validator = self._schema(schema)
            if validator.validate(root):
                return []
            log = validator.error_log
        found = [SchemaProblem(entry.line, _element_of(entry.message), entry.message) for entry in log]
        # A refusal is never an empty list, which means valid.
        return found or [_unexplained(root, schema)]

    def _schema(self, name: str) -> etree.XMLSchema:
        if name not in self._compiled:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            parser.resolvers.add(_FileResolver(self._files))
            try:
                root = etree.fromstring(self._files[name], parser, base_url=_BASE + name)
                self._compiled[name] = etree.XMLSchema(root)
            except (KeyError, etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
                raise ConfigurationError("schemas_unreadable", file=name, error_type="validation") from error
        return self._compiled[name]


def _unexplained(root: etree._Element, schema: str) -> SchemaProblem:
    message = f"The document is not valid against {schema}; no reason was given."
    return SchemaProblem(root.sourceline, etree.QName(root).localname, message)


def _element_of(message: str) -> str:
    found = re.search(r"'\{[^}]*\}(\w+)'", message)
    return found[1] if found else ""


class _FileResolver(etree.Resolver):
    """Answers includes from the set alone: nothing is read from disk or network."""

    def __init__(self, files):
        super().__init__()
        self._files = files

    def resolve(self, url, _public_id, context):
        return self.resolve_string(self._files[url.rsplit("/", 1)[-1]], context, base_url=url)


def from_folder(folder: str | Path) -> SchemaSet:
    """Read every .xsd of a folder."""
    return SchemaSet({path.name: path.read_bytes() for path in Path(folder).glob("*.xsd")})


def from_zip(data: bytes) -> SchemaSet:
    """Read the .xsd files of a zip as the SII publishes it, in whatever folder they stand.

    :raises ConfigurationError: `schemas_unreadable` or `schemas_incomplete`
    """
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".xsd")]
            if len(members) > _MAX_FILES or any(entry.file_size > _MAX_SCHEMA_BYTES for entry in members):
                raise ConfigurationError("schemas_unreadable", file="zip", error_type="validation")
            for entry in members:
                files[entry.filename.replace("\\", "/").rsplit("/", 1)[-1]] = archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ConfigurationError("schemas_unreadable", file="zip", error_type="validation") from error
    return SchemaSet(files)


def from_cl_sii() -> SchemaSet:
    """Read the copy that the `cl-sii` package carries, without importing the package.

    :raises ConfigurationError: `schemas_incomplete` when the package or its copy is absent
    """
    spec = importlib.util.find_spec("cl_sii")
    files = {}
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location, "data", "ref", "factura_electronica", "schemas-xml")
        files.update({path.name: path.read_bytes() for path in folder.glob("*.xsd")})
    return SchemaSet(files)
