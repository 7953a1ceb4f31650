# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The check whether the holder of the certificate may act for the company, and the question to the SII behind it."""

from odoo import fields, models
from odoo.tools import LazyTranslate, format_datetime

from ..libs.exceptions import AuthenticationError, DteError
from ..libs.sii_answers import EnvelopeStatus
from ..libs.sii_soap_client import SiiClient
from ..libs.sii_status import ENVELOPE_STATES, Outcome
from ..models import dte_messages

_lt = LazyTranslate(__name__)

# An envelope that is not there: only who may ask for the company is told so.
NO_TRACK_ID = "1"

# What follows from an answer: state of the check and its sentence. Other codes are those of `dte_messages.ERRORS`.
PERMITTED = ("ok", "permitted")
REFUSED = ("missing", "not_permitted")
UNCLEAR = ("warning", "permission_unclear")
SENTENCES = {
    "permitted": _lt("The SII took the certificate of %(rut)s and lets its holder ask for the company."),
    "not_permitted": _lt(
        "The SII took the certificate, but its holder (RUT %(rut)s) may not act for the company: give the permission "
        "at the SII (%(sii_code)s %(sii_text)s)."
    ),
    "permission_unclear": _lt(
        "The SII took the certificate of %(rut)s, but did not say whether its holder may act for the company "
        "(%(sii_code)s %(sii_text)s). Try again later."
    ),
}


def judge(answer: EnvelopeStatus) -> tuple[str, str]:
    """Return what the answer about an envelope that is not there says: state of the check and code of its sentence.

    Source: estado_envio (OI2004), codes of QueryEstUp; see `sii_status`.
    """
    if (answer.state, answer.err_code) == ("-11", "1"):
        return PERMITTED
    meaning = ENVELOPE_STATES.get(answer.state)
    if meaning is None or meaning.outcome in (Outcome.RETRY, Outcome.REAUTHENTICATE):
        return UNCLEAR
    return REFUSED if meaning.outcome is Outcome.CONFIGURATION else PERMITTED


class DteSetupLine(models.TransientModel):
    _inherit = "dte.setup.line"

    def _go_login(self):
        """Log in with the certificate and ask one question for the company; note the answer. Uses the network."""
        company = self._company().sudo()  # sudo: the manager may try the company's own certificate
        company.write(
            {"dte_permission_answer": self._ask_permission(company), "dte_permission_asked_at": fields.Datetime.now()}
        )
        state, text = self.env["dte.setup.checks"]._check_login(company)
        self.write({"state": state, "text": text})
        return True

    def _ask_permission(self, company) -> dict:
        """Return what `dte_permission_answer` of the company holds."""
        environment = company.dte_environment
        log = self.env["dte.sii.call"]
        try:
            credentials = company._dte_load_credentials()
            with log._logged(company, environment, "login"):
                token = SiiClient(company._dte_base_url(environment)).login(credentials)
            client = SiiClient(company._dte_base_url(environment), lambda _renew: token)
            with log._logged(company, environment, "envelope_status"):
                answer = client.envelope_status(company.vat, NO_TRACK_ID)
        except AuthenticationError as error:
            # The certificate was good enough for the token that is refused here.
            state, code = UNCLEAR
            return {"state": state, "code": code, "params": {**error.params, "rut": credentials.holder_rut}}
        except DteError as error:
            state = "missing" if error.error_type == "certificate" else "warning"
            return {"state": state, "code": error.code, "params": error.params}
        state, code = judge(answer)
        params = {"rut": credentials.holder_rut, "sii_code": answer.state, "sii_text": answer.text}
        return {"state": state, "code": code, "params": params}


class DteSetupChecks(models.AbstractModel):
    _inherit = "dte.setup.checks"

    def _check_login(self, company):
        """Tell what the SII answered last; only a button asks it."""
        last = self.env["dte.sii.call"].sudo().search(  # sudo: see _run
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("service", "=", "login"),
            ],
            limit=1,
        )  # fmt: skip
        answer, asked_at = company.dte_permission_answer, company.dte_permission_asked_at
        if last and last.outcome != "ok" and (not answer or last.called_at > asked_at):
            outcome = dict(last._fields["outcome"]._description_selection(self.env))[last.outcome]
            state = "missing" if last.outcome == "certificate" else "warning"
            return state, self.env._(
                "%(date)s: the last login failed (%(outcome)s).", date=self._when(last.called_at), outcome=outcome
            )
        if answer:
            table = SENTENCES if answer["code"] in SENTENCES else dte_messages.ERRORS
            text = dte_messages.describe(self.env, table, answer["code"], answer["params"])
            return answer["state"], f"{self._when(asked_at)}: {text}"
        if last:
            return "warning", self.env._(
                "%s: the SII took the certificate. Whether its holder may act for the company has not been tried.",
                self._when(last.called_at),
            )
        return "warning", self.env._("Not tried yet.")

    def _when(self, moment) -> str:
        return format_datetime(self.env, moment, dt_format="short")
