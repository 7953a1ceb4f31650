# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The answers of customers that the addon's tests use, found by their path: that package is Odoo's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[2] / "l10n_cl_dte" / "tests" / "customer_answers.py"
_spec = importlib.util.spec_from_file_location("customer_answers", _PATH)
answers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(answers)
