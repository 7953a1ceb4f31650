# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Errors of the simulator's own interfaces (command line and control API)."""


class UsageError(Exception):
    """The caller asked for something impossible; the message says what to do instead."""


class Dropped(Exception):
    """The connection must be closed without (the rest of) an answer: an injected fault."""
