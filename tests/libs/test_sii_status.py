# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Every code of the SII's manuals is classified, and nothing else is."""

from __future__ import annotations

import pytest
from libs import sii_status
from libs.sii_status import Outcome

TOKEN_REFUSED = dict.fromkeys(("001", "002", "003", "1", "2", "3"), Outcome.REAUTHENTICATE)
QUERY_FAILED = (
    dict.fromkeys(
        ("004", "005", "007", "107", "-1", "-2", "-4", "-5", "-7", "-8", "-9", "-11", "-12", "-14"), Outcome.RETRY
    )
    | dict.fromkeys(("106", "-3", "-6", "-10", "-13"), Outcome.CONFIGURATION)
)  # fmt: skip

ENVELOPE = (
    dict.fromkeys(("REC", "SOK", "CRT", "FOK", "PDR", "PRD", "PEN", "DNK"), Outcome.TRANSIENT)
    | {"EPR": Outcome.PROCESSED, "RPT": Outcome.REPEATED}
    | dict.fromkeys(("RSC", "RFR", "RCT", "RCO", "RCH", "VOF"), Outcome.REJECTED)
    | dict.fromkeys(("RPR", "RLV"), Outcome.OBJECTED)
    | TOKEN_REFUSED
    | QUERY_FAILED
)
DOCUMENT = (
    dict.fromkeys(("DOK", "TMD", "TMC", "MMD", "MMC", "AND", "ANC"), Outcome.ACCEPTED)
    | {"DNK": Outcome.TRANSIENT, "FAU": Outcome.NOT_RECEIVED, "EMP": Outcome.CONFIGURATION}
    | dict.fromkeys(("FNA", "FAN"), Outcome.REJECTED)
    | TOKEN_REFUSED
    | QUERY_FAILED
)
UPLOAD = {
    "0": Outcome.ACCEPTED,
    "1": Outcome.CONFIGURATION,
    "2": Outcome.REJECTED,
    "3": Outcome.RETRY,
    "5": Outcome.REAUTHENTICATE,
    "6": Outcome.CONFIGURATION,
    "7": Outcome.REJECTED,
    "8": Outcome.REJECTED,
    "9": Outcome.RETRY,
    "99": Outcome.REPEATED,
}
TOKEN = (
    {"00": Outcome.ACCEPTED}
    | dict.fromkeys(("06", "07", "08", "09", "12"), Outcome.RETRY)
    | dict.fromkeys(("01", "02", "03", "04", "05", "10", "11", "21", "-3", "-07"), Outcome.CONFIGURATION)
)


def outcomes(table):
    return {code: meaning.outcome for code, meaning in table.items()}


def test_every_state_of_an_envelope():
    assert outcomes(sii_status.ENVELOPE_STATES) == ENVELOPE
    assert {code: sii_status.envelope_meaning(code).outcome for code in ENVELOPE} == ENVELOPE


def test_every_state_of_a_document():
    assert outcomes(sii_status.DOCUMENT_STATES) == DOCUMENT
    assert {code: sii_status.document_meaning(code).outcome for code in DOCUMENT} == DOCUMENT


def test_every_status_of_an_upload():
    assert outcomes(sii_status.UPLOAD_STATUSES) == UPLOAD


def test_every_state_of_a_login():
    assert outcomes(sii_status.TOKEN_STATES) == TOKEN


@pytest.mark.parametrize("code", ["", "XYZ", "-99", "epr", "EPR ", "999", "00"])
def test_a_code_of_no_manual_concludes_nothing(code):
    assert sii_status.envelope_meaning(code).outcome is Outcome.TRANSIENT
    assert sii_status.document_meaning(code).outcome is Outcome.TRANSIENT


def test_minus_eleven_is_a_wrong_question_only_with_error_1():
    assert sii_status.envelope_meaning("-11", "1").outcome is Outcome.CONFIGURATION
    for err_code in ("", "0", "2", "9"):
        assert sii_status.envelope_meaning("-11", err_code).outcome is Outcome.RETRY
    assert sii_status.envelope_meaning("REC", "1").outcome is Outcome.TRANSIENT


def test_a_processed_envelope_is_not_an_accepted_one():
    assert sii_status.envelope_meaning("EPR").outcome is not Outcome.ACCEPTED
    assert Outcome.ACCEPTED not in outcomes(sii_status.ENVELOPE_STATES).values()


def test_every_code_is_explained():
    for table in ("ENVELOPE_STATES", "DOCUMENT_STATES", "UPLOAD_STATUSES", "TOKEN_STATES"):
        assert all(meaning.explanation for meaning in getattr(sii_status, table).values())
