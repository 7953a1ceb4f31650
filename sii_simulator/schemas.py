# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Validation against the official XSD, with errors in the words of the SII's Oracle parser."""

import re
import threading

from lxml import etree

from .errors import UsageError

ENVELOPE_SCHEMA = "EnvioDTE_v10.xsd"
MAX_ERRORS = 10
# The schema would take a zone and fractions of a second; the format document wants neither.
TIMES = ("FchResol", "TmstFirmaEnv", "FchEmis", "FE", "FA", "TSTED", "TmstFirma")
TIME = re.compile(r"\d{4}-\d\d-\d\d(T(?!24)\d\d:\d\d:\d\d)?")
# libxml2 writes names as {namespace}name; the SII's parser writes the name alone.
QUALIFIED = re.compile(r"\{[^}]*\}")
ELEMENT = re.compile(r"Element '([^']*)'")
VALUE = re.compile(r"The value '([^']*)'")
ATTRIBUTE_VALUE = re.compile(
    r"attribute '([^']*)': The value '([^']*)' does not match the fixed value constraint '([^']*)'"
)
EXPECTED = re.compile(r"Expected is (?:one of )?\( ([^ ,)]+)")


class Schemas:
    """The schema of EnvioDTE, compiled once from the folder with the official files."""

    def __init__(self, folder):
        path = folder / ENVELOPE_SCHEMA
        if not path.is_file():
            raise UsageError(
                f"{path} does not exist: give the folder of the official schemas with --schemas or DTE_SCHEMAS"
            )
        self._schema = etree.XMLSchema(etree.parse(str(path)))
        # The error log belongs to the compiled schema, so that one validation at a time may use it.
        self._lock = threading.Lock()

    def errors(self, root):
        """Texts like "LSX-00213: ..."; empty when the envelope is valid."""
        with self._lock:
            if not self._schema.validate(root.getroottree()):
                return [oracle_text(entry) for entry in list(self._schema.error_log)[:MAX_ERRORS]]
        return [
            f'LSX-00333: literal "{element.text}" is not valid with respect to the pattern ({tag})'
            for tag in TIMES
            for element in root.iter(f"{{*}}{tag}")
            if not TIME.fullmatch((element.text or "").strip())
        ][:MAX_ERRORS]


def oracle_text(entry):
    """One libxml2 error as the SII words it; the numbers are those seen at the SII, the wording is theirs in gist."""
    message = QUALIFIED.sub("", entry.message)
    element = _first(ELEMENT, message)
    kind = entry.type_name
    fixed = ATTRIBUTE_VALUE.search(message)
    if fixed:
        return f'LSX-00265: attribute "{fixed[1]}" value "{fixed[2]}" is wrong (must be "{fixed[3]}")'
    if kind == "SCHEMAV_ELEMENT_CONTENT":
        if "Missing child" in message or "Expected is" in message:
            expected = _first(EXPECTED, message)
            return f'LSX-00213: only 0 occurrences of particle "{expected}", minimum is 1 ({element})'
        return f'LSX-00204: extra data at end of complex element "{element}"'
    value = _first(VALUE, message)
    if kind == "SCHEMAV_CVC_ENUMERATION_VALID":
        return f'LSX-00290: invalid enumeration choice "{value}" ({element})'
    if not value:
        return f'LSX-00009: data missing for type "#simple" ({element})'
    return f'LSX-00333: literal "{value}" is not valid with respect to the pattern ({element})'


def _first(pattern, message):
    match = pattern.search(message)
    return match[1] if match else ""
