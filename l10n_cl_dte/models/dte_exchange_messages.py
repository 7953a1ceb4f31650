# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The codes of the exchange between taxpayers as sentences. Source: RespuestaEnvioDTE_v10.xsd."""

from odoo.tools import LazyTranslate

from .dte_messages import describe

_lt = LazyTranslate(__name__)

# EstadoRecepEnv, of an envelope.
ENVELOPE_CODES = {
    "0": _lt("The customer's system received the envelope."),
    "1": _lt("The customer's system refused the envelope: it does not fit the schema."),
    "2": _lt("The customer's system refused the envelope: its signature is not good."),
    "3": _lt("The customer's system refused the envelope: it is for another RUT."),
    "90": _lt("The customer's system refused the envelope: it had it already."),
    "91": _lt("The customer's system refused the envelope: it could not be read."),
    "99": _lt("The customer's system refused the envelope for another reason."),
}
# EstadoRecepDTE, of a document.
RECEPTION_CODES = {
    "0": _lt("The customer's system received the document."),
    "1": _lt("The customer's system did not take the document: its signature is not good."),
    "2": _lt("The customer's system did not take the document: the issuer's RUT is not right."),
    "3": _lt("The customer's system did not take the document: the receiver's RUT is not right."),
    "4": _lt("The customer's system did not take the document: it had it already."),
    "99": _lt("The customer's system did not take the document for another reason."),
}
# EstadoDTE, of a document.
RESULT_CODES = {
    "0": _lt("The customer accepts the document."),
    "1": _lt("The customer accepts the document with discrepancies."),
    "2": _lt("The customer rejects the document."),
}
RECEIPT = _lt("The customer acknowledges having received the goods or services (Ley 19.983).")

# What is wrong with a signature.
SIGNATURES = {
    "signature_missing": _lt("there is none"),
    "signature_malformed": _lt("it is not built as it must be"),
    "signature_wrong_reference": _lt("it signs something else"),
    "signature_algorithm": _lt("it uses an algorithm that the SII does not allow"),
    "signature_key_mismatch": _lt("its key is not the one in its certificate"),
    "signature_weak_key": _lt("its key is too short"),
    "signature_invalid": _lt("the content was changed after it was signed"),
    "signature_self_signed": _lt("its certificate was issued by nobody but its holder"),
    "signature_in_future": _lt("it is dated in the future"),
    "signature_outside_validity": _lt("its certificate was not valid at the moment that it names"),
}

# What came of a mail, and why a file in it was not used.
FINDINGS = {
    "answer_taken": _lt("%(document)s: the answer was taken."),
    "answer_repeated": _lt("%(document)s: the same answer came before."),
    "result_taken": _lt("The SII's result of the envelope %(track_id)s was read, and the SII is asked about it."),
    "result_unknown_envelope": _lt("%(file)s is about the envelope %(track_id)s, which was not sent from here."),
    "result_incomplete": _lt("%(file)s does not say which envelope it is about."),
    "answer_forged": _lt("%(file)s is signed badly (%(reason)s): it was not used. It may be forged."),
    "receipt_forged": _lt(
        "The receipt for type %(type)s folio %(folio)s is signed badly (%(reason)s): it was not used. It may be forged."
    ),
    "receipt_other_signer": _lt(
        "The receipt for type %(type)s folio %(folio)s names %(rut)s as its signer, but the certificate is not of that "
        "person: it was not used."
    ),
    "answer_refused_by_schema": _lt("%(file)s does not fit the SII's schema: it was not used."),
    "answer_other_company": _lt("%(file)s answers documents of %(rut)s, which is not this company."),
    "answer_other_receiver": _lt(
        "%(file)s: %(rut)s answers for type %(type)s folio %(folio)s, which was issued to somebody else. It was not "
        "used."
    ),
    "answer_other_data": _lt(
        "%(file)s: date or total of type %(type)s folio %(folio)s are not those of our document. It was not used."
    ),
    "answer_unknown_document": _lt("%(file)s: there is no document of type %(type)s with folio %(folio)s."),
    "answer_unknown_envelope": _lt("%(file)s is about an envelope that was not sent to %(rut)s from here."),
    "answer_unknown_code": _lt("%(file)s: the code %(code)s of type %(type)s folio %(folio)s is not known."),
    "answer_about_nothing": _lt("%(file)s answers nothing."),
    "answer_malformed": _lt("%(file)s lacks something that it must say, or says it in a way that cannot be read."),
    "answer_other_file": _lt("%(file)s is of another kind of file."),
    "answer_too_long": _lt("%(file)s has more rows than are read."),
    "xml_too_big": _lt("%(file)s is bigger than what is read."),
    "xml_doctype": _lt("%(file)s declares entities or a DTD, which is refused."),
    "xml_too_many": _lt("%(file)s has more elements than are read."),
    "xml_too_deep": _lt("%(file)s is nested too deeply, which is refused."),
    "xml_malformed": _lt("%(file)s is not readable XML."),
    "xml_empty": _lt("%(file)s is empty."),
    "file_of_nobody": _lt("%(file)s is a %(root)s, which nothing here reads."),
    "too_many_files": _lt("There were more files than are read (%(limit)s); the others were left."),
    "failed": _lt("%(file)s could not be taken because of an error here. The log of the server says why."),
}

# Why a document was not handed over.
PROBLEMS = {
    "mail_failed": _lt("The mail could not be handed to the mail server: %(reason)s"),
    "mail_bounced": _lt("The mail came back: the mail server of %(email)s did not take it. Correct the address."),
    "copy_of_database": _lt("This database is a copy: nothing that waited is mailed from it."),
    "exchange_to_sii": _lt("The receiver of the archived document is the SII itself, which has it already."),
    "exchange_other_receiver": _lt("The archived document is for another receiver: %(rut)s."),
    "unexpected": _lt("It could not be prepared. The log of the server says why."),
}


def describe_finding(env, code: str, params: dict | None) -> str:
    """Return a finding in the reader's language."""
    params = dict(params or {})
    if params.get("reason") in SIGNATURES:
        params["reason"] = env._(SIGNATURES[params["reason"]])
    return describe(env, FINDINGS, code, params)
