# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Envelopes that wait for a verdict are asked about at a time of their own from now on."""


def migrate(cr, version):
    """Let those that wait already be asked about first of all."""
    cr.execute(
        "UPDATE dte_envio SET polls = 0, next_poll_date = now() AT TIME ZONE 'UTC'"
        " WHERE state = 'sent' AND next_poll_date IS NULL"
    )
