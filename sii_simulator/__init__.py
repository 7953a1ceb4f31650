# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A local SII: an HTTP(S) server that behaves as the certification site does on the classic channel."""
