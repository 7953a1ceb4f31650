# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What each kind of alert tells, by kind, in the user's language."""

from odoo.tools import LazyTranslate

_lt = LazyTranslate(__name__)

# What is, from the figures of the alert.
FACTS = {
    "queue": _lt("Documents in the retry queue: %(count)s (normal: %(limit)s or fewer)."),
    "retry_success": _lt("Retries that succeeded in the last 30 days: %(percent)s (normal: %(limit)s %% or more)."),
    "contingency": _lt("In contingency for %(hours)s hours or more. Documents that wait: %(count)s."),
    "folios": _lt("Folios run out. Left: %(stock)s."),
    "caf": _lt("Folios expire unused: %(stock)s."),
    "certificate": _lt("Days until the digital certificate expires: %(days)s."),
    "certificate_expired": _lt("The digital certificate has expired. Nothing can be issued or sent."),
    "archive": _lt("The check of the archive found what a person must look at: %(count)s."),
    "rejected": _lt("Documents rejected by the SII that wait for a person: %(count)s."),
    "stuck": _lt("Documents that could not be sent, or have no answer for days, and wait for a person: %(count)s."),
    "questions": _lt(
        "Envelopes about which the SII refuses to be asked: %(count)s. Their documents have left; their verdicts do "
        "not come."
    ),
}

# What to do about it.
STEPS = {
    "queue": _lt("Look at the errors in the retry queue: what they have in common is the cause."),
    "retry_success": _lt("Look at the given-up rows of the retry queue and at the calls to the SII."),
    "contingency": _lt("Look at the contingency: whether the SII answers again and what waits."),
    "folios": _lt(
        "Ask the SII for folios and load the CAF file, or archive the CAF of a type that is not used any more."
    ),
    "caf": _lt("Ask the SII for new folios, load the CAF file and annul at the SII what expires unused."),
    "certificate": _lt("Renew the certificate and load it in Invoicing > Configuration > Settings."),
    "archive": _lt("Open the archive check and follow what it says of each document."),
    "rejected": _lt("Open each one, read its reasons and press Correct."),
    "questions": _lt(
        "Open one and read what the SII says. Most often the certificate's holder lacks a permission at the SII: once "
        "it is given the questions go on by themselves."
    ),
    "stuck": _lt("Open each one: it says what happened and what to do."),
}
