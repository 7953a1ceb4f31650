# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import ast
from pathlib import Path

from odoo.tests import TransactionCase, tagged

from .. import libs
from ..models.dte_messages import ERRORS, PROBLEMS

LIBS = Path(libs.__file__).parent
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
        codes = raised_codes(LIBS / "checks.py", {"Problem"})
        self.assertGreater(len(codes), 30)
        self.assertFalse(codes - PROBLEMS.keys())

    def test_problems_of_cafs(self):
        codes = raised_codes(LIBS / "caf.py", {"Problem"})
        self.assertIn("caf_forged", codes)
        self.assertFalse(codes - ERRORS.keys())

    def test_errors(self):
        codes = set().union(*(raised_codes(file, ERROR_CLASSES) for file in LIBS.glob("*.py")))
        self.assertGreater(len(codes), 20)
        self.assertFalse(codes - ERRORS.keys())
