# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from . import (
    account_debit_note,
    account_move_reversal,
    account_move_send_wizard,
    contingency_wizard,
    dte_archive_export,
    dte_archive_restore,
    dte_certificate_load,
    dte_demo,
    dte_files_load,
    dte_import,
    dte_secret,
    dte_setup,
    dte_setup_checks,
    dte_setup_permission,
)
