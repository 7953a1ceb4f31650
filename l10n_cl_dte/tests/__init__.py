# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from . import (
    test_access,
    test_amounts,
    test_caf,
    test_certificate,
    test_delivery,
    test_folios,
    test_locked,
    test_messages,
    test_notes,
    test_partner,
    test_posting,
    test_screens,
    test_sii_call,
    test_status,
)
