# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a company needs before it issues, looked up where it is used: nothing is ticked off by hand."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import LazyTranslate, config, format_date, format_datetime

from ..libs.archive_store import ArchiveError
from ..libs.checks import rut_is_valid
from ..libs.exceptions import ConfigurationError
from ..models.archive_messages import tell_error
from ..models.dte_document import VERDICTS
from ..models.dte_messages import describe_error
from .contingency_wizard import FEW_FOLIOS, FEW_PART

_lt = LazyTranslate(__name__)

# What nearly every company needs; the other types are needed by some.
NEEDED_TYPES = ("33", "61")
VAT_CODE = 14
JOBS = (
    "ir_cron_send", "ir_cron_retry", "ir_cron_check_status", "ir_cron_contingency", "ir_cron_alerts",
    "ir_cron_archive_files", "ir_cron_archive_seal", "ir_cron_archive_scrub", "ir_cron_archive_cleanup",
    "ir_cron_exchange", "ir_cron_daily", "ir_cron_webhook",
)  # fmt: skip
# A scheduler that works has run the sending job within this time.
JOB_HOURS = 24
# Days in which a mail shows that mails arrive, where no server of Odoo's fetches them.
MAIL_DAYS = 30

# Each check with its name, in the order in which a person goes through them.
CHECKS = {
    "company": _lt("Company data"),
    "rut": _lt("RUT"),
    "giro": _lt("Activity description (giro)"),
    "activities": _lt("Activity codes"),
    "office": _lt("SII office"),
    "environment": _lt("SII environment"),
    "resolution": _lt("Resolution"),
    "certificate": _lt("Digital certificate"),
    "login": _lt("Permission at the SII"),
    "caf_33": _lt("Folios: invoice (33)"),
    "caf_61": _lt("Folios: credit note (61)"),
    "caf_34": _lt("Folios: exempt invoice (34)"),
    "caf_56": _lt("Folios: debit note (56)"),
    "journal": _lt("Journal that issues"),
    "taxes": _lt("Taxes"),
    "mail_out": _lt("Outgoing mail"),
    "mail_in": _lt("Incoming mail"),
    "archive": _lt("Archive folder"),
    "jobs": _lt("Scheduled jobs"),
    "test": _lt("Test document"),
}


class DteSetupChecks(models.AbstractModel):
    """One method per check: it returns the state (`ok`, `warning` or `missing`) and a sentence. None uses the network.

    Other addons add to `_checks` and define `_check_<code>(company)`.
    """

    _name = "dte.setup.checks"
    _description = "Setup Checks"

    @api.model
    def _checks(self) -> dict:
        return CHECKS

    @api.model
    def _run(self, company) -> list[dict]:
        """Return `code, state, text` of every check of a company."""
        # sudo: the screen is for managers; it tells whether something is there, no secret
        company = company.sudo()
        found = []
        for code in self._checks():
            state, text = self._check(company, code)
            found.append({"code": code, "state": state, "text": text})
        return found

    @api.model
    def _check(self, company, code: str) -> tuple[str, str]:
        if code.startswith("caf_"):
            return self._check_caf(company, code.removeprefix("caf_"))
        return getattr(self, f"_check_{code}")(company)

    # -- the company --

    def _check_company(self, company):
        missing = [
            label
            for name, label in (
                ("name", self.env._("name")),
                ("street", self.env._("street")),
                ("dte_comuna", self.env._("comuna")),
                ("city", self.env._("city")),
            )
            if not (company[name] or "").strip()
        ]
        if company.country_code != "CL":
            missing.append(self.env._("country (Chile)"))
        if company.currency_id.name != "CLP":
            missing.append(self.env._("currency (Chilean pesos)"))
        if missing:
            return "missing", self.env._("Fill in: %s.", ", ".join(missing))
        return "ok", f"{company.name}, {company.street}, {company.dte_comuna}, {company.city}"

    def _check_rut(self, company):
        if not company.vat:
            return "missing", self.env._("The company has no RUT.")
        if not rut_is_valid(company.vat):
            return "missing", self.env._("%s is not a valid RUT. Write it like 76543210-3.", company.vat)
        return "ok", company.vat

    def _check_giro(self, company):
        giro = company.partner_id.l10n_cl_activity_description
        if not giro:
            return "missing", self.env._("Write what the company does, as it is registered at the SII.")
        return "ok", giro

    def _check_activities(self, company):
        if not company._dte_activity_code_list():
            return "missing", self.env._("Write the activity codes under which the company is registered at the SII.")
        return "ok", company.dte_activity_codes

    def _check_office(self, company):
        if not company.dte_sii_office:
            return "missing", self.env._("Write the SII office that is printed under the box with the RUT.")
        return "ok", company.dte_sii_office

    def _check_environment(self, company):
        environment = self._environment_label(company)
        if company.dte_environment == "production":
            return "ok", self.env._("%s: documents are real.", environment)
        if company.dte_environment == "simulator":
            if not company.dte_simulator_url:
                return "missing", self.env._("Write the address of the simulator.")
            if not company.dte_simulator_key:
                return "missing", self.env._(
                    "%s has not given the key of its folios: start the simulator and save the settings again.",
                    company.dte_simulator_url,
                )
        return "ok", self.env._("%s: documents have no tax validity.", environment)

    def _check_resolution(self, company):
        environment = self._environment_label(company)
        number, day = company._dte_resolution()
        if not day or (company.dte_environment == "production" and not number):
            return "missing", self.env._("%s: number or date of the resolution is missing.", environment)
        text = self.env._(
            "%(environment)s: number %(number)s of %(date)s.",
            environment=environment, number=number, date=format_date(self.env, day),
        )  # fmt: skip
        if company.dte_environment == "certification" and not company.dte_production_resolution_date:
            return "warning", self.env._("%s The one of production is not written down yet.", text)
        return "ok", text

    # -- the person who signs --

    def _check_certificate(self, company):
        try:
            company._dte_load_credentials()
        except ConfigurationError as error:
            return "missing", describe_error(self.env, error)
        expiry = company.dte_certificate_expiry
        text = self.env._(
            "%(holder)s, RUT %(rut)s, valid until %(date)s.",
            holder=company.dte_certificate_subject, rut=company.dte_certificate_rut,
            date=format_date(self.env, expiry),
        )  # fmt: skip
        days = (expiry - fields.Datetime.now()).days
        return ("warning" if days < company.dte_alert_certificate_days else "ok"), text

    # -- folios, journal, taxes --

    def _check_caf(self, company, dte_type: str):
        today = company._dte_now().date()
        # sudo: see _run
        cafs = self.env["dte.caf"].sudo()._usable(company, dte_type, today)
        last = cafs._last_used_in_ranges()
        cafs = cafs.filtered(lambda caf: last[caf.id] < caf.folio_to)
        free = sum(caf.folio_to - last[caf.id] for caf in cafs)
        if not free:
            text = self.env._("%s: no folios are left. Load a CAF.", self._environment_label(company))
            return ("missing" if dte_type in NEEDED_TYPES else "warning"), text
        text = self.env._("%(count)s folios, the next one is %(folio)s.", count=free, folio=last[cafs[0].id] + 1)
        expiries = [caf.expires_on for caf in cafs if caf.expires_on]
        if expiries:
            text = self.env._("%(text)s Valid until %(date)s.", text=text, date=format_date(self.env, max(expiries)))
        size = sum(caf.folio_to - caf.folio_from + 1 for caf in cafs)
        is_few = free < min(FEW_FOLIOS, size / FEW_PART)
        expires = len(expiries) == len(cafs) and (max(expiries) - today).days < company.dte_alert_caf_days
        return ("warning" if is_few or expires else "ok"), text

    def _check_journal(self, company):
        # sudo: see _run
        journals = (
            self.env["account.journal"].sudo().search([("company_id", "=", company.id), ("dte_enabled", "=", True)])
        )
        usable = journals.filtered(lambda journal: journal.dte_environment in (False, company.dte_environment))
        if usable:
            return "ok", ", ".join(usable.mapped("name"))
        if journals:
            return "missing", self.env._(
                "The journals that issue belong to another environment. Let another sales journal issue in %s.",
                self._environment_label(company),
            )
        return "missing", self.env._("No sales journal issues electronic documents: tick it in one of them.")

    def _check_taxes(self, company):
        # sudo: see _run
        taxes = self.env["account.tax"].sudo().search([("company_id", "=", company.id), ("type_tax_use", "=", "sale")])
        vat = taxes.filtered(lambda tax: tax.l10n_cl_sii_code == VAT_CODE)
        if not vat:
            return "missing", self.env._("No sales tax has the SII code 14 (VAT). Load the Chilean chart of accounts.")
        without = taxes.filtered(lambda tax: tax.amount and not tax.l10n_cl_sii_code)
        if without:
            return "warning", self.env._(
                "Invoices with these taxes cannot be issued, as they have no SII code: %s.",
                ", ".join(without.mapped("name")),
            )
        return "ok", ", ".join(taxes.mapped("name"))

    # -- mail, archive, jobs --

    def _check_mail_out(self, company):
        if not company.email:
            return "missing", self.env._("The company has no e-mail address.")
        # sudo: see _run
        servers = self.env["ir.mail_server"].sudo().search([], limit=5)
        if servers:
            return "ok", f"{company.email} ({', '.join(servers.mapped('name'))})"
        return "warning", self.env._(
            "%(email)s. No outgoing mail server is set up; mail goes to %(server)s.",
            email=company.email, server=config["smtp_server"],
        )  # fmt: skip

    def _check_mail_in(self, company):
        address = company.dte_mail_address
        if not company.alias_domain_id:
            return "warning", self.env._("No mail domain is set: answers of customers and the SII are not read here.")
        if not address:
            return "warning", self.env._(
                "Electronic documents have no mail address: customers and the SII cannot answer to it. Give them one."
            )
        # sudo: see _run
        servers = self.env["fetchmail.server"].sudo().search([("state", "=", "done")], limit=5)
        if servers:
            return "ok", f"{address} ({', '.join(servers.mapped('name'))})"
        since = fields.Datetime.now() - timedelta(days=MAIL_DAYS)
        arrived = [("company_id", "=", company.id), ("create_date", ">=", since)]
        # sudo: see _run
        if self.env["dte.mail"].sudo().search_count(arrived, limit=1):
            return "ok", self.env._("%s. Mails arrive.", address)
        return "warning", self.env._(
            "%s. No incoming mail server is confirmed and no mail has arrived: set one up, or let your mail server "
            "hand the mails of this address to Odoo.",
            address,
        )

    def _check_archive(self, company):
        try:
            store = company._dte_archive_store()
            if not store:
                return "warning", self.env._("There is no second copy of the documents outside the database yet.")
            # An address beyond this machine is not asked only to show a screen.
            if store.path:
                store.check()
        except ArchiveError as error:
            return "missing", tell_error(self.env, error)
        return "ok", self.env._("%(count)s documents, %(pending)s without a second copy.",
                                count=company.dte_archive_count, pending=company.dte_archive_pending)  # fmt: skip

    def _check_jobs(self, company):
        # sudo: see _run
        crons = self.env["ir.cron"].sudo()
        for name in JOBS:
            crons += self.env.ref(f"l10n_cl_dte.{name}", raise_if_not_found=False) or crons.browse()
        stopped = crons.filtered(lambda cron: not cron.active)
        if len(crons) < len(JOBS):
            return "missing", self.env._("%s jobs of the addon were deleted: upgrade it.", len(JOBS) - len(crons))
        if stopped:
            return "missing", self.env._("These do not run: %s.", ", ".join(stopped.mapped("name")))
        last = self.env.ref("l10n_cl_dte.ir_cron_send").sudo().lastcall
        if not last:
            return "warning", self.env._("They are active and have not run yet: look again in a minute.")
        if (fields.Datetime.now() - last).total_seconds() > JOB_HOURS * 3600:
            return "warning", self.env._("They are active but have not run for a day: does Odoo's scheduler run?")
        return "ok", self.env._("All are active. Last sending: %s",
                                format_datetime(self.env, last, dt_format="short"))  # fmt: skip

    # -- the test document --

    def _check_test(self, company):
        if company.dte_environment == "production":
            return "ok", self.env._("None is issued in production.")
        move = company.dte_test_move_id.filtered(lambda move: move.dte_environment == company.dte_environment)
        document = move.dte_document_id
        if not document:
            return "warning", self.env._("No test document has been issued in this environment yet.")
        text = f"{document.display_name}: {document._explain()}"
        if document.state in ("accepted", "objected"):
            return "ok", text
        return ("missing" if document.state in (*VERDICTS, "failed") else "warning"), text

    def _environment_label(self, company) -> str:
        return dict(company._fields["dte_environment"]._description_selection(self.env))[company.dte_environment]
