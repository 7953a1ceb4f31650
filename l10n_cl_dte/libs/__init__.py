# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The DTE pipeline without Odoo: dataclasses and bytes in, bytes or typed errors out.

Nothing here imports Odoo, opens a database cursor, reads the clock or knows a language: times are arguments (naive
America/Santiago wall time), errors carry codes, and the models above turn codes into sentences.
"""
