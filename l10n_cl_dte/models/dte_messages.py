# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Codes of the pipeline and of the SII as sentences in the user's language: what is wrong and what to do."""

import logging
import re
from collections import defaultdict

from odoo.tools import LazyTranslate

from ..libs.exceptions import DocumentError

_lt = LazyTranslate(__name__)
_logger = logging.getLogger(__name__)

# Problems of a document, found before a folio is taken. Each sentence follows "record, field: ".
PROBLEMS = {
    "missing": _lt("is missing. Fill it in."),
    "too_many": _lt("there are %(count)s and the SII admits at most %(limit)s."),
    "rut_invalid": _lt("%(value)s is not a valid RUT. Write it like 76543210-3."),
    "text_unwritable": _lt("the SII cannot read these characters: %(characters)s. Remove them."),
    "value_not_allowed": _lt("%(value)s is not an allowed value."),
    "date_out_of_range": _lt("the date %(value)s is outside what the SII admits."),
    "period_reversed": _lt("the service period ends before it begins."),
    "activity_code_malformed": _lt("%(value)s is not an activity code of the SII. It has six digits."),
    "price_out_of_range": _lt("the SII admits prices from 0.000001; this one is %(value)s."),
    "quantity_out_of_range": _lt("the SII admits quantities from 0.000001; this one is %(value)s."),
    "item_code_not_allowed": _lt(
        "the product code is longer than 35 characters or holds characters that cannot be sent."
    ),
    "tax_code_unknown": _lt("the tax has the SII code %(value)s, which cannot be issued. Correct the tax's SII code."),
    "tax_on_exempt_line": _lt("an exempt line cannot carry additional taxes. Remove them."),
    "withholding_not_allowed": _lt(
        "the tax with SII code %(value)s is a withholding of the buyer. It belongs only in notes that correct a "
        "purchase invoice (46). Remove it."
    ),
    "gross_mixed": _lt("some prices include VAT and others do not. Use one kind of price in the whole document."),
    "gross_with_taxes": _lt("prices with tax included cannot be combined with additional taxes. Use net prices."),
    "line_amount_negative": _lt("the amount is %(amount)s and cannot be negative. Correct price or discount."),
    "line_amount_must_be_zero": _lt("the amount must be zero here and is %(amount)s."),
    "needs_taxed_line": _lt(
        "every line is exempt. An invoice with VAT (33) needs a taxed line: use an exempt invoice (34) or add the VAT."
    ),
    "needs_billable_line": _lt("an invoice with VAT (33) needs at least one line with VAT."),
    "exempt_with_vat": _lt("an exempt invoice (34) cannot have lines with VAT. Remove the tax or use an invoice (33)."),
    "total_negative": _lt("the total is negative (%(amount)s)."),
    "total_too_big": _lt("the total has more digits than the SII admits."),
    "discount_out_of_range": _lt("a global discount of %(value)s is not possible."),
    "discount_exceeds_lines": _lt("the global discounts are larger than the lines that they apply to."),
    "discount_without_lines": _lt("there are no lines that the global discount applies to."),
    "driver_incomplete": _lt("the driver needs both a name and a RUT."),
    "internal_transfer_receiver": _lt("in an internal transfer the receiver is the company itself."),
    "discount_must_be_percent": _lt(
        "a global discount in pesos is not possible when lines have different additional taxes. Use discounts per line."
    ),
    "not_in_this_type": _lt("does not belong in this type of document. Remove it."),
    "note_without_reference": _lt(
        "a credit or debit note needs a reference to the document that it corrects, with its reason. Add it in the "
        "tab Electronic document."
    ),
    "note_needs_single_reference": _lt("a note that annuls or corrects text must refer to one single document."),
    "note_reference_not_tax_document": _lt("a note can only correct a tax document, not a document of type %(type)s."),
    "note_on_dispatch_guide": _lt("a dispatch guide cannot be corrected with a credit note."),
    "debit_annuls_only_credit": _lt("a debit note can only annul a credit note."),
    "annulment_total_differs": _lt(
        "the note annuls a document of %(expected)s but amounts to %(amount)s. Make both equal or choose "
        '"Corrects amounts".'
    ),
    "text_correction_with_amounts": _lt(
        "a text correction must have all amounts zero; this one amounts to %(amount)s."
    ),
    "reference_folio_malformed": _lt('the folio of the reference has 1 to 18 characters; this one is "%(value)s".'),
    "reference_folio_zero": _lt("folio 0 is only for a global reference, and a global reference has folio 0."),
    "reference_not_issued": _lt("the referenced document is not issued yet. Post it first."),
    "reference_rejected": _lt("the referenced document was rejected by the SII. Correct it before this note."),
    "reference_other_receiver": _lt(
        "the referenced document was issued to %(expected)s and this note is for %(value)s. A note goes to the "
        "receiver of the document that it corrects."
    ),
    "reference_other_environment": _lt(
        "the referenced invoice was issued in the environment %(environment)s. Refer to a document of this one."
    ),
    "reference_differs_from_link": _lt(
        "%(value)s is not what the referenced invoice has: %(expected)s. Correct it, or choose another invoice."
    ),
    "currency_not_pesos": _lt("the currency is %(value)s. This document must be in Chilean pesos (CLP)."),
    "company_currency_not_pesos": _lt("the company's currency must be the Chilean peso (CLP)."),
    "totals_differ": _lt(
        "the SII's rules give a total of %(expected)s and the invoice says %(amount)s. Check taxes and discounts of "
        "the lines."
    ),
    "resolution_missing": _lt(
        "the resolution for this environment is missing. Fill it in in Invoicing > Configuration > Settings."
    ),
    "certificate_missing": _lt("there is no digital certificate. Load one in Invoicing > Configuration > Settings."),
    "certificate_expired": _lt("the digital certificate expired on %(date)s. Load a current one."),
    "certificate_not_yet_valid": _lt("the digital certificate is valid only from %(date)s."),
    "certificate_without_rut": _lt(
        "the digital certificate does not say its holder's RUT. Fill it in in the certificate."
    ),
    "simulator_missing": _lt(
        "the address of the simulator is missing. Fill it in in Invoicing > Configuration > Settings."
    ),
    "journal_other_environment": _lt(
        "the journal already holds documents of the environment %(environment)s. Use another journal for %(current)s."
    ),
    "caf_none": _lt(
        "there are no folios for %(type)s in the environment %(environment)s. Ask the SII for folios and load the CAF "
        "file in Invoicing > Electronic documents > Folios (CAF)."
    ),
    "caf_used_up": _lt(
        "the folios for %(type)s are used up (%(count)s needed, %(available)s left). Ask the SII for more and load the "
        "CAF file in Invoicing > Electronic documents > Folios (CAF)."
    ),
    "caf_all_expired": _lt(
        "the folios for %(type)s expired on %(date)s. Ask the SII for new ones and load the CAF file in Invoicing > "
        "Electronic documents > Folios (CAF); annul the expired ones at the SII."
    ),
    "caf_later_than_document": _lt(
        "the folios for %(type)s were authorised on %(date)s, after the date of the document. Use a date from then on."
    ),
    "type_unsupported": _lt("documents of type %(type)s cannot be issued from here."),
    "dte_bytes_unreadable": _lt("the archived document cannot be read."),
    "envio_empty": _lt("there is no document to send."),
    "envio_too_many": _lt("the envelope has %(count)s documents and the SII admits at most %(limit)s."),
    "envio_repeated": _lt("the document of type %(type)s with folio %(folio)s is in the envelope twice."),
    "envio_other_issuer": _lt(
        "the document of type %(type)s with folio %(folio)s was issued by another company than the one that sends it."
    ),
    "schema_invalid": _lt("line %(line)s, %(element)s: %(message)s"),
}

# Errors of configuration, as whole sentences.
ERRORS = {
    "caf_damaged": _lt(
        "This is not a CAF file of the SII, or it is damaged (%(detail)s). Download it again from the SII."
    ),
    "caf_key_unsupported": _lt("This CAF has a key of a kind that is not used any more. Ask the SII for new folios."),
    "caf_other_company": _lt("This CAF belongs to %(caf)s; the company is %(company)s."),
    "caf_other_environment": _lt(
        "This CAF (IDK %(idk)s) is not for the environment %(environment)s. Folios of certification and of production "
        "cannot be mixed."
    ),
    "caf_forged": _lt("The SII's signature on this CAF is not valid. Download the file again from the SII."),
    "caf_key_mismatch": _lt("The private key of this CAF does not match its public key. Download the file again."),
    "caf_range_invalid": _lt("The folio range %(first)s to %(last)s is not valid."),
    "caf_from_future": _lt("This CAF is dated %(date)s, in the future. Check the date of the server."),
    "caf_type_unsupported": _lt("Documents of type %(type)s are not supported yet."),
    "caf_overlaps": _lt("The range %(first)s to %(last)s overlaps with a CAF that is already loaded: %(other)s."),
    "caf_expired": _lt("The folios %(first)s to %(last)s expired on %(date)s. Load a current CAF."),
    "caf_later_than_document": _lt("The CAF was authorised on %(date)s, after the date of the document."),
    "caf_does_not_cover": _lt("No loaded CAF covers the folio %(folio)s of type %(type)s."),
    "certificate_missing": _lt("There is no digital certificate. Load one in Invoicing > Configuration > Settings."),
    "simulator_missing": _lt(
        "The address of the simulator is missing. Fill it in in Invoicing > Configuration > Settings."
    ),
    "certificate_passphrase_wrong": _lt("The passphrase does not open this certificate file. Type it again."),
    "certificate_unreadable": _lt("This is not a certificate file (.pfx or .p12)."),
    "certificate_without_key": _lt(
        "The file does not hold both a certificate and its private key. Export it again with the key."
    ),
    "certificate_key_unsupported": _lt(
        "The key of this certificate is not RSA of at least 1024 bits, as the SII needs."
    ),
    "certificate_expired": _lt("The certificate expired on %(date)s. Load a current one."),
    "certificate_not_yet_valid": _lt("The certificate is valid only from %(date)s."),
    "certificate_without_rut": _lt(
        "The certificate does not say its holder's RUT. Type the RUT of the person it belongs to."
    ),
    "public_key_unreadable": _lt("This is not a public key in PEM format."),
    "schemas_incomplete": _lt(
        "The schema files %(files)s are missing from the zip. Load the SII's file schema_dte.zip."
    ),
    "schemas_unreadable": _lt("The schema file %(file)s cannot be read. Load the SII's file schema_dte.zip."),
    "xml_malformed": _lt("The file is not well-formed XML."),
    "simulator_silent": _lt("The simulator does not answer (%(reason)s). Look at its address in the settings."),
    "sii_login_refused": _lt(
        "The SII does not accept the certificate (%(sii_code)s %(sii_text)s). Check at the SII that its holder is "
        "registered as a user of the company, in this environment."
    ),
    "sii_login_failed": _lt("The SII did not log us in (%(sii_code)s %(sii_text)s). Try again in a few minutes."),
    "sii_no_seed": _lt("The SII does not give out seeds now. Try again in a few minutes."),
    "sii_unreachable": _lt("The SII cannot be reached (%(reason)s). Nothing was sent; try again in a few minutes."),
    "sii_answer_unreadable": _lt("The SII answered something that is not an answer (HTTP %(http_status)s)."),
    "sii_no_answer": _lt("The SII did not answer (%(reason)s) after the document had left."),
    "sii_token_refused": _lt("The SII did not accept the session, also after a new login. Try again in a few minutes."),
    "sii_refused_request": _lt("The SII's server refused the request (HTTP %(http_status)s). Nothing was sent."),
    "sii_upload_not_taken": _lt("The SII did not take the file (%(sii_code)s %(sii_text)s). It can be sent again."),
    "sii_upload_refused": _lt("The SII refused the file (%(sii_code)s): %(sii_text)s"),
    "sii_upload_forbidden": _lt(
        "The SII does not let this sender send for this company (%(sii_code)s %(sii_text)s). Give the certificate's "
        "holder the permission at the SII and send again."
    ),
    "sii_question_failed": _lt("The SII did not answer the question about the document (%(sii_code)s %(sii_text)s)."),
    "sii_file_lost": _lt("The SII lost the file before validating it (%(sii_code)s %(sii_text)s)."),
    "sii_signature_refused": _lt(
        "The SII refused the signature of every envelope (%(sii_code)s %(sii_text)s): probably the certificate's "
        "holder may not sign for this company. Correct that at the SII and send again."
    ),
    "real_sii_forbidden": _lt(
        "This database is a copy or runs tests: it must not reach the SII. Use the environment Simulator."
    ),
    "company_incomplete": _lt("%(problems)s"),
    "archive_damaged": _lt(
        "The archived document is damaged: it cannot be sent. Repair it in Invoicing > Electronic documents > Archive."
    ),
    "sii_upload_status_unknown": _lt("The SII answered with a code that its manuals do not list (%(sii_code)s)."),
}

# What a document's state means and what happens next, shown to the accountant.
STATES = {
    "to_send": _lt("Signed and archived. It has not been sent to the SII yet: press Send DTE."),
    "queued": _lt("It leaves by itself within minutes; Send DTE sends it at once."),
    "paused": _lt(
        "Sending is paused for the company, because the SII refuses the sender: correct that at the SII or in the "
        "settings, then press Send DTE."
    ),
    "other_environment": _lt(
        "It was issued in the environment %(environment)s and is sent only while the company works there."
    ),
    "waiting": _lt("Waits for %(document)s: it can be sent once the SII has accepted that document."),
    "split": _lt(
        "The SII refused the envelope in which it travelled. It leaves again in a smaller one, to find out which "
        "document is to blame."
    ),
    "split_waiting": _lt(
        "The SII refused the signature of the envelope in which it travelled. It leaves again once the other half of "
        "the documents has its answer."
    ),
    "ask_first": _lt("The SII is asked about it before anything is sent: %(when)s."),
    "retry_next": _lt("Next attempt: %(when)s (retry %(number)s of %(total)s)."),
    "attempts_used_up": _lt(
        "%(count)s attempts failed. It is not tried again by itself: press Send DTE once the SII can be reached."
    ),
    "given_up": _lt("%(user)s stopped the attempts to send it. Press Send DTE to send it after all."),
    "held": _lt(
        "Kept in contingency. It is signed, stamped and archived: print it and hand it over. It leaves when a person "
        "uploads what waits or ends the contingency."
    ),
    "held_automatic": _lt(
        "Kept in contingency because the SII does not answer. It is signed, stamped and archived: print it and hand it "
        "over. It leaves by itself when the SII answers again."
    ),
    "held_leaves": _lt("It was kept in contingency, which is over: it leaves by itself within minutes."),
    "sending": _lt("It is being sent right now."),
    "sent": _lt("The SII has received it with track id %(track_id)s and is validating it."),
    "no_answer": _lt(
        "The SII has had it for days and gives no verdict. It is not asked any more by itself: look the document up at "
        'the SII, press "Ask the SII", or let a manager send it again if the SII does not have it.'
    ),
    "sent_without_id": _lt(
        "The SII has received it, but its answer with the track id was lost. The SII is asked about the document "
        "itself."
    ),
    "superseded": _lt("Replaced by a corrected version with the same folio."),
    "being_corrected": _lt("Taken back to be corrected: confirm the invoice to issue it again with the same folio."),
    "accepted": _lt("Accepted by the SII."),
    "accepted_unknown_repairs": _lt(
        "Accepted by the SII. Whether it found anything to repair in this document stands in its result mail."
    ),
    "objected": _lt(
        "Accepted by the SII with repairs: it is valid. The reasons are in the SII's result mail; correct them with a "
        "credit or debit note if needed."
    ),
    "rejected": _lt(
        "Rejected by the SII: it is not a valid document. The reasons are in the SII's result mail. Press Correct to "
        "issue it again with the same folio."
    ),
    "accepted_unknown_repairs_known": _lt(
        "Accepted by the SII: it is valid. Its result mail tells of something to repair, which is listed; correct it "
        "with a credit or debit note if needed."
    ),
    "rejected_known": _lt(
        "Rejected by the SII: it is not a valid document. What the SII found is listed with what to look at. Press "
        "Correct to issue it again with the same folio."
    ),
    "objected_known": _lt(
        "Accepted by the SII with repairs: it is valid. What the SII found is listed; correct it with a credit or "
        "debit note if needed."
    ),
    "rejected_whole_known": _lt(
        "Rejected by the SII with its whole envelope (%(sii_code)s %(sii_text)s): it is not a valid document. What the "
        "SII found is listed with what to look at. Press Correct to issue it again with the same folio."
    ),
    "rejected_whole": _lt(
        "Rejected by the SII with its whole envelope (%(sii_code)s %(sii_text)s): it is not a valid document. The "
        "reasons are in the SII's result mail. Press Correct to issue it again with the same folio."
    ),
    "rejected_no_trace": _lt(
        "The SII does not have it a day after its envelope was validated: it has rejected it. The reasons are in the "
        "SII's result mail."
    ),
    "unknown": _lt(
        "The SII may or may not have received it. It is not sent again until the SII has been asked, so that it does "
        "not arrive twice."
    ),
    "unknown_next": _lt("The SII is asked about it: %(when)s."),
    "sender_died": _lt("The server stopped while it was being sent."),
    "restored": _lt("Restored from the archive, which does not say what the SII answered."),
    "imported": _lt(
        'Issued and sent by another system. What the SII said about it is not known here: press "Ask the SII".'
    ),
    "imported_missing": _lt(
        "Issued by another system. The SII does not have it: look for it there and in that system. It is not sent "
        "from here."
    ),
    "imported_other": _lt(
        "Issued by another system. The SII has something under its folio but does not confirm these bytes: it may "
        "have rejected them, or the folio was annulled. Look it up at the SII."
    ),
    "reference_rejected": _lt("Not sent: the document that it corrects, %(document)s, was rejected by the SII."),
}


def describe(env, table: dict, code: str, params: dict | None = None) -> str:
    """Return the sentence of a code in the environment's language; an unknown code is shown as it is."""
    if code not in table:
        _logger.warning("dte_message_missing code=%s", code)
        return code
    values = defaultdict(str, {name: "" if value is None else value for name, value in (params or {}).items()})
    sentence = env._(table[code])
    text = " ".join((sentence % values).split())
    # What the SII did not say leaves a gap in brackets.
    return re.sub(r"\s*\(\s*\)", "", text).replace(" )", ")")


def describe_calls(env, params: dict) -> str:
    """Return what a breaker saw, in words: how many calls failed, which kind of call and how."""
    calls = env["dte.sii.call"]
    outcomes = dict(calls._fields["outcome"]._description_selection(env))
    services = dict(calls._fields["service"]._description_selection(env))
    outcome, service = outcomes.get(params.get("outcome"), ""), services.get(params.get("service"), "")
    if params.get("count"):
        return env._(
            "%(count)s calls in a row failed, the last one: %(service)s, %(outcome)s.",
            count=params["count"], service=service, outcome=outcome,
        )  # fmt: skip
    return env._("%(service)s: %(outcome)s.", service=service, outcome=outcome)


def describe_error(env, error) -> str:
    """Return what to tell the user about a `libs` error: its sentence, or those of all its problems."""
    if isinstance(error, DocumentError):
        return " ".join(dict.fromkeys(_describe_problem(env, problem) for problem in error.problems))
    return describe(env, ERRORS, error.code, error.params)


def _describe_problem(env, problem) -> str:
    sentence = describe(env, PROBLEMS, problem.code, problem.params)
    return f"{problem.path}: {sentence}" if problem.path else sentence[:1].upper() + sentence[1:]
