# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Envelopes of 0.1 were uploaded once; those without an answer can be found out about from now on."""


def migrate(cr, version):
    """Fill in what version 0.1 did not note."""
    cr.execute(
        "UPDATE dte_envio SET attempts = 1, first_attempted_at = attempted_at"
        " WHERE COALESCE(attempts, 0) = 0 AND state != 'planned' AND attempted_at IS NOT NULL"
    )
