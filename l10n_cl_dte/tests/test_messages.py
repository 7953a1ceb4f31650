# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import ast
import re
from pathlib import Path

from odoo.tests import TransactionCase, tagged

from .. import libs, models
from ..libs.exceptions import DocumentError, Problem
from ..models.dte_exchange_messages import PROBLEMS as EXCHANGE_PROBLEMS
from ..models.dte_messages import ERRORS, PROBLEMS, describe_error
from ..wizards.dte_import import REASONS

LIBS = Path(libs.__file__).parent
MODELS = Path(models.__file__).parent
ERROR_CLASSES = {
    "AuthenticationError",
    "ConfigurationError",
    "DeliveryUnknown",
    "NotDelivered",
    "PermanentError",
}


def raised_codes(file: Path, names: set) -> set:
    """Return the codes that are given to these classes in a module."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if getattr(call.func, "id", "") in names and call.args and isinstance(call.args[0], ast.Constant)
    }


@tagged("post_install_l10n", "post_install", "-at_install")
class TestMessages(TransactionCase):
    """Every code of the pipeline that can reach a person has a sentence."""

    def test_problems_of_documents(self):
        files = set(LIBS.glob("*.py")) - {LIBS / "caf.py", LIBS / "foreign_document.py"}
        codes = set().union(*(raised_codes(file, {"Problem"}) for file in files))
        self.assertGreater(len(codes), 30)
        self.assertIn("envio_repeated", codes)
        self.assertFalse(codes - PROBLEMS.keys() - EXCHANGE_PROBLEMS.keys())

    def test_problems_of_cafs(self):
        codes = raised_codes(LIBS / "caf.py", {"Problem"})
        self.assertIn("caf_forged", codes)
        self.assertFalse(codes - ERRORS.keys())

    def test_problems_of_imported_files(self):
        codes = raised_codes(LIBS / "foreign_document.py", {"Problem"}) | raised_codes(
            LIBS / "xml_parser.py", {"XmlError"}
        )
        codes |= raised_codes(MODELS / "dte_document_import.py", {"_refusal"})
        codes |= set(re.findall(r'problem="(\w+)"', (LIBS / "uploaded_files.py").read_text()))
        codes |= set(re.findall(r'"((?:signature|timbre|caf)_[a-z_]+)"', (LIBS / "xml_verifier.py").read_text()))
        for code in (
            "foreign_issuer",
            "foreign_conflict",
            "xml_doctype",
            "file_bomb",
            "signature_weak_key",
            "caf_forged",
        ):
            self.assertIn(code, codes)
        self.assertFalse(codes - REASONS.keys())

    def test_problems_of_records(self):
        codes = set().union(*(raised_codes(file, {"Problem"}) for file in MODELS.glob("*.py")))
        self.assertIn("reference_other_receiver", codes)
        self.assertFalse(codes - PROBLEMS.keys() - ERRORS.keys())

    def test_an_error_with_problems_lists_them_as_sentences(self):
        problems = [
            Problem("envio_repeated", params={"type": 33, "folio": 7}),
            Problem("dte_bytes_unreadable"),
            Problem("envio_too_many", params={"count": 2001, "limit": 2000}),
            Problem("missing", "receiver.giro"),
        ]
        self.assertEqual(
            describe_error(self.env, DocumentError(problems)),
            "The document of type 33 with folio 7 is in the envelope twice. The archived document cannot be read. "
            "The envelope has 2001 documents and the SII admits at most 2000. receiver.giro: is missing. Fill it in.",
        )

    def test_errors(self):
        codes = set().union(*(raised_codes(file, ERROR_CLASSES) for file in LIBS.glob("*.py")))
        self.assertGreater(len(codes), 20)
        self.assertFalse(codes - ERRORS.keys())
