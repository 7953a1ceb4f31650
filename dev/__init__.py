# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How the project runs on a machine: set-up, databases, tests, demo. Not shipped with the addon."""
