# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from . import (
    test_access,
    test_archive_check,
    test_archive_files,
    test_archive_guard,
    test_amounts,
    test_caf,
    test_certificate,
    test_delivery,
    test_folios,
    test_locked,
    test_messages,
    test_notes,
    test_posting,
    test_screens,
    test_status,
)
