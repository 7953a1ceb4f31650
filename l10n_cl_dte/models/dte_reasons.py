# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Why the SII rejects a document or objects to it: its codes in plain words, and where the cure is."""

import re
from typing import NamedTuple

from odoo.tools import LazyTranslate

_lt = LazyTranslate(__name__)

# Such as: (HED-3-305) text; (REF L[2] -3-758) text; DETL-3-854 text
_PATTERN = re.compile(
    r"\s*\(?\s*(?P<section>[A-Z]{3})\s*(?:L\s*(?:\[\s*(?P<line>\d+)\s*\])?)?\s*"
    r"-\s*(?P<level>[1-3])\s*-\s*(?P<number>\d+)\s*\)?[\s:.-]*(?P<text>.*)",
    re.DOTALL,
)
_WORDS = re.compile(r"\W+")


class Finding(NamedTuple):
    """One sentence of the SII about a document, read apart."""

    key: str  # of EXPLANATIONS, empty when the SII gives no code
    level: str  # 3 rejected, 2 repair, 1 light repair; empty when the SII gives no code
    line: int  # of the document, 0 when it is about no single line
    text: str  # the SII's words without the code
    code: str  # as the SII writes it, without the line


class Place(NamedTuple):
    """Where something can be looked at or put right."""

    label: str
    opens: str  # kind of screen, see dte.document.reason
    field: str = ""
    tab: str = ""


PLACES = {
    "lines": Place(_lt("Invoice lines"), "move", "invoice_line_ids", "invoice_tab"),
    "date": Place(_lt("Invoice date"), "move", "invoice_date"),
    "references": Place(_lt("References"), "move", "dte_reference_ids", "dte_tab"),
    "payment": Place(_lt("Form of payment"), "move", "dte_payment_form", "dte_tab"),
    "issuer": Place(_lt("Company address"), "issuer", "dte_comuna"),
    "activity": Place(_lt("Activity codes"), "settings", "dte_activity_codes"),
    "resolution": Place(_lt("Resolution"), "settings", "dte_resolution"),
    "certificate": Place(_lt("Digital certificate"), "settings", "dte_certificate"),
    "cafs": Place(_lt("Folios (CAF)"), "cafs"),
    "folio": Place(_lt("This folio"), "folio"),
    "schemas": Place(_lt("SII schemas"), "schemas"),
}

# Section and number -> sentence and place. The level is the SII's judgement and changes nothing in what is wrong.
EXPLANATIONS = {
    "ENV-0": (
        _lt(
            "The envelope does not have the form that the SII's schema asks for. The SII may use a newer schema than "
            "this system: load the current schema files and issue the document again."
        ),
        "schemas",
    ),
    "ENV-6": (
        _lt(
            "The person whose certificate signs may not sign or send for this company. Give that person the permission "
            "at the SII, or load the certificate of somebody who has it."
        ),
        "certificate",
    ),
    "CRT-11": (
        _lt(
            "The sender named in the envelope is not the person who uploaded it. Check whose RUT the digital "
            "certificate says."
        ),
        "certificate",
    ),
    "CRT-19": (
        _lt(
            "The number or the date of the resolution is not the one that the SII has for the company. Write it as it "
            "stands at the SII; in certification the number is 0."
        ),
        "resolution",
    ),
    "DTE-100": (
        _lt(
            "The SII has a document of this type and folio already: this was a second copy. Look at the documents with "
            "this folio before anything is issued again."
        ),
        "folio",
    ),
    "DTE-101": (
        _lt(
            "The SII received this folio before, with other data. Another system may have used it: look at the "
            "documents with this folio and issue with a new one."
        ),
        "folio",
    ),
    "DTE-505": (
        _lt(
            "The signature of the document does not fit its content or its certificate. Check that the certificate is "
            "in force, then issue the document again."
        ),
        "certificate",
    ),
    "DTE-601": (
        _lt("This folio was annulled at the SII. The document needs a folio that is in force."),
        "cafs",
    ),
    "DTE-650": (
        _lt(
            "The SII received it more than 3 days after its date. It is valid; send documents within 3 days of their "
            "date."
        ),
        "date",
    ),
    "CAF-516": (
        _lt("The folios (CAF) are not of this environment: folios for certification do not serve in production."),
        "cafs",
    ),
    "CAF-517": (
        _lt(
            "The folios (CAF) had expired when the document was signed: they serve for 6 months. Load current folios "
            "and issue the document with a new one."
        ),
        "cafs",
    ),
    "TED-510": (
        _lt(
            "The signature of the electronic stamp does not fit its content. The document is valid, but its printed "
            "stamp may not be recognised: check the CAF file that was loaded."
        ),
        "cafs",
    ),
    "TED-640": (
        _lt("The total of the document is not the one in its electronic stamp. Issue the document again."),
        "lines",
    ),
    "TED-646": (
        _lt("The electronic stamp is dated before the folios (CAF) were authorised. Use a later date or older folios."),
        "cafs",
    ),
    "TED-647": (
        _lt("The date of the electronic stamp is out of range. Check the date of the invoice and the server's clock."),
        "date",
    ),
    "HED-305": (
        _lt(
            "The date of the invoice is before the day on which its folio was authorised. Use a date from that day on, "
            "or folios that were authorised before."
        ),
        "date",
    ),
    "HED-211": (
        _lt("The head of the document has a value that this type of document may not carry, or lacks one."),
        "payment",
    ),
    "HED-834": (_lt("An export document needs its total in the other currency."), "lines"),
    "HED-804": (
        _lt("An export document should say the marks of its packages, or the container and its seal."),
        "lines",
    ),
    "HED-803": (_lt("The form of payment of this export document needs all amounts to be zero."), "payment"),
    "HED-861": (
        _lt(
            "An activity code of the company is not registered at the SII. Write the codes that stand in the company's "
            "page at the SII."
        ),
        "activity",
    ),
    "HED-232": (_lt("The net amount must be more than zero in this type of document."), "lines"),
    "HED-220": (_lt("The exempt amount is not the sum of the exempt lines."), "lines"),
    "HED-260": (_lt("The total of the settlement invoice does not fit its amounts."), "lines"),
    "HED-300": (_lt("A withholding has an amount but no rate. Check the taxes of the lines."), "lines"),
    "HED-302": (_lt("The total of the withholdings does not fit the withholding taxes of the lines."), "lines"),
    "DET-200": (
        _lt("The amount of a line is not its quantity by its price, less discounts, plus surcharges."),
        "lines",
    ),
    "DET-854": (_lt("The data of a line are incomplete or do not belong together."), "lines"),
    "REF-415": (
        _lt(
            "A reference to a document that this note may correct is missing; a credit note cannot correct a dispatch "
            "guide."
        ),
        "references",
    ),
    "REF-750": (
        _lt(
            "The SII has not received the document that this one refers to. Check type, folio and date of the "
            "reference, and send that document first."
        ),
        "references",
    ),
    "REF-751": (
        _lt(
            "The document that this one refers to was issued to another customer. A note goes to the customer of the "
            "document that it corrects."
        ),
        "references",
    ),
    "REF-758": (
        _lt("A credit or debit note must say what it does to the document: annul it, correct its text or its amounts."),
        "references",
    ),
    "REF-780": (
        _lt("The note annuls a document but has another total. Make both equal, or say that it corrects amounts."),
        "references",
    ),
    "REF-781": (_lt("A note that corrects text must have all its amounts zero."), "lines"),
}

# What the SII says without a code. Keys are lower-case words.
TEXTS = {
    "rut no autorizado a firmar": EXPLANATIONS["ENV-6"],
    "dte sin comuna origen": (
        _lt("The comuna of the company is missing in the document. Fill it in in the company's address."),
        "issuer",
    ),
    "iva debe declararse": (
        _lt("The document has no VAT where the SII expects it. Check the taxes of the lines and the type of document."),
        "lines",
    ),
    "rvd no es obligatorio": (
        _lt("The daily summary of receipts has not been asked for since August 2022. Nothing has to be done."),
        "",
    ),
}


def read(text: str) -> Finding:
    """Read a sentence of the SII apart; one without a code is kept as it is."""
    words = " ".join((text or "").split())
    found = _PATTERN.fullmatch(words)
    if not found:
        return Finding("", "", 0, words, "")
    section, level, number = found["section"], found["level"], int(found["number"])
    return Finding(
        f"{section}-{number}", level, int(found["line"] or 0), found["text"].strip(), f"{section}-{level}-{number}"
    )


def explain(key: str, text: str) -> tuple[str, str]:
    """Return the sentence that explains a finding and the place to look at; both empty when it is not known."""
    if key in EXPLANATIONS:
        return EXPLANATIONS[key]
    words = _WORDS.sub(" ", text.casefold()).strip()
    return next((entry for start, entry in TEXTS.items() if words.startswith(start)), ("", ""))
