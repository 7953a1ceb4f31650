# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Tests that need no Odoo. A package, so that `tests` does not mean the addon's own l10n_cl_dte/tests."""
