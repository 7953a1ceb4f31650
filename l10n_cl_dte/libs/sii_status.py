# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What each code of the SII means for us.

Source: Manual del desarrollador externo: envío de DTE (OI2003), consulta de estado de envío and de DTE (OI2004),
QueryEstDteAv (OIFE2006), autenticación automática (OI2007). A code that is not listed is transient: the SII is asked
again, and nothing is concluded from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What to do with an answer."""

    TRANSIENT = "transient"  # the SII works on it: ask again later
    PROCESSED = "processed"  # the envelope is done, the counts tell about its documents
    ACCEPTED = "accepted"
    OBJECTED = "objected"  # accepted with repairs: valid
    REJECTED = "rejected"
    REPEATED = "repeated"  # the SII had it already: the first copy decides
    NOT_RECEIVED = "not_received"
    RETRY = "retry"  # the question failed, not the document
    REAUTHENTICATE = "reauthenticate"
    CONFIGURATION = "configuration"  # a person must change a permission or a setting


@dataclass(frozen=True, slots=True)
class Meaning:
    """Class of a code and what the SII's manuals say about it, in short."""

    outcome: Outcome
    explanation: str


def _meanings(outcome: Outcome, **codes: str) -> dict[str, Meaning]:
    return {code: Meaning(outcome, text) for code, text in codes.items()}


_REAUTHENTICATE = {
    code: Meaning(Outcome.REAUTHENTICATE, text)
    for code, text in {
        "001": "token does not exist",
        "002": "token inactive",
        "003": "token does not exist",
        "1": "token does not exist",
        "2": "token inactive",
        "3": "token does not exist",
    }.items()
}

_QUERY_FAILURES = {
    code: Meaning(Outcome.RETRY, text)
    for code, text in {
        "004": "internal error",
        "005": "internal error",
        "007": "internal error",
        "107": "return error",
        "-1": "no state in the answer",
        "-2": "return error",
        "-4": "reading the data failed",
        "-5": "data error",
        "-7": "data error",
        "-8": "data error",
        "-9": "data error",
        "-11": "not registered yet",
        "-12": "query error",
        "-14": "answer data error",
    }.items()
} | {
    code: Meaning(Outcome.CONFIGURATION, text)
    for code, text in {
        "106": "the user may not send or ask for this company",
        "-3": "the user's RUT does not exist",
        "-6": "the user is not authorised",
        "-10": "the user's RUT is not valid",
        "-13": "no user RUT",
    }.items()
}

ENVELOPE_STATES: dict[str, Meaning] = (
    _meanings(
        Outcome.TRANSIENT,
        REC="envelope received",
        SOK="schema validated",
        CRT="caratula validated",
        FOK="envelope signature validated",
        PDR="being processed",
        PRD="being processed",
        PEN="pending",
        DNK="not known yet",
    )
    | _meanings(Outcome.PROCESSED, EPR="envelope processed")
    | _meanings(
        Outcome.REJECTED,
        RSC="rejected: schema",
        RFR="rejected: signature, or the sender lacks permission",
        RCT="rejected: caratula",
        RCO="rejected: consistency",
        RCH="rejected",
        VOF="file not found",
    )
    | _meanings(Outcome.REPEATED, RPT="rejected: sent before")
    | _meanings(Outcome.OBJECTED, RPR="accepted with repairs", RLV="accepted with slight repairs")
    | _REAUTHENTICATE
    | _QUERY_FAILURES
)

DOCUMENT_STATES: dict[str, Meaning] = (
    _meanings(
        Outcome.ACCEPTED,
        DOK="received, the data match",
        TMD="text modified by a debit note",
        TMC="text modified by a credit note",
        MMD="amounts modified by a debit note",
        MMC="amounts modified by a credit note",
        AND="annulled by a debit note",
        ANC="annulled by a credit note",
    )
    | _meanings(Outcome.TRANSIENT, DNK="received, but the data of the question do not match")
    | _meanings(Outcome.NOT_RECEIVED, FAU="not received")
    | _meanings(Outcome.REJECTED, FNA="folio not authorised", FAN="folio annulled")
    | _meanings(Outcome.CONFIGURATION, EMP="company not authorised to issue")
    | _REAUTHENTICATE
    | _QUERY_FAILURES
)

UPLOAD_STATUSES: dict[str, Meaning] = {
    "0": Meaning(Outcome.ACCEPTED, "upload received, not validated"),
    "1": Meaning(Outcome.CONFIGURATION, "the sender may not send for this company"),
    "2": Meaning(Outcome.REJECTED, "file size refused"),
    "3": Meaning(Outcome.RETRY, "file cut on the way"),
    "5": Meaning(Outcome.REAUTHENTICATE, "not authenticated"),
    "6": Meaning(Outcome.CONFIGURATION, "company not authorised to send files"),
    "7": Meaning(Outcome.REJECTED, "schema not valid"),
    "8": Meaning(Outcome.REJECTED, "envelope signature not valid"),
    "9": Meaning(Outcome.RETRY, "the SII's system is blocked"),
    "99": Meaning(Outcome.REPEATED, "these bytes were sent before"),
}

TOKEN_STATES: dict[str, Meaning] = {
    "00": Meaning(Outcome.ACCEPTED, "token created"),
    "01": Meaning(Outcome.CONFIGURATION, "request not readable"),
    "02": Meaning(Outcome.CONFIGURATION, "request not readable"),
    "03": Meaning(Outcome.CONFIGURATION, "request not readable"),
    "04": Meaning(Outcome.CONFIGURATION, "no signature"),
    "05": Meaning(Outcome.CONFIGURATION, "signature not valid"),
    "06": Meaning(Outcome.RETRY, "seed does not exist"),
    "07": Meaning(Outcome.RETRY, "message error"),
    "08": Meaning(Outcome.RETRY, "seed expired"),
    "09": Meaning(Outcome.RETRY, "message error"),
    "12": Meaning(Outcome.RETRY, "error"),
    "10": Meaning(Outcome.CONFIGURATION, "certificate not registered at the SII"),
    "11": Meaning(Outcome.CONFIGURATION, "certificate does not exist"),
    "21": Meaning(Outcome.CONFIGURATION, "the key is not the certificate's"),
    "-3": Meaning(Outcome.CONFIGURATION, "authentication error"),
    "-07": Meaning(Outcome.CONFIGURATION, "the user may not log in with a certificate"),
}

_UNKNOWN = Meaning(Outcome.TRANSIENT, "code not in the manuals")


def envelope_meaning(state: str, err_code: str = "") -> Meaning:
    """Return the meaning of ESTADO in QueryEstUp.

    :param err_code: ERR_CODE beside it; with -11, 1 says that the envelope is not of this company (a wrong question)
        and 2 that it is not registered yet
    """
    if state == "-11" and err_code == "1":
        return Meaning(Outcome.CONFIGURATION, "the envelope is not of this company")
    return ENVELOPE_STATES.get(state, _UNKNOWN)


def document_meaning(state: str) -> Meaning:
    """Return the meaning of ESTADO in QueryEstDte and QueryEstDteAv."""
    return DOCUMENT_STATES.get(state, _UNKNOWN)
