# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import re
from datetime import date, datetime, timezone

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..const import ENVIRONMENTS, SANTIAGO
from ..libs import caf as caf_lib
from ..libs import credentials as credentials_lib
from ..libs.exceptions import ConfigurationError, Problem
from .dte_messages import PROBLEMS, describe, describe_error


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_environment = fields.Selection(
        ENVIRONMENTS,
        string="SII Environment",
        default="certification",
        required=True,
        help="Where documents are issued and sent. Documents keep the environment in which they were issued.",
    )
    dte_comuna = fields.Char(related="partner_id.dte_comuna", readonly=False)
    dte_activity_codes = fields.Char(
        string="Activity Codes",
        help="One to four activity codes of the SII (ACTECO), six digits each, separated by commas.",
    )
    dte_sii_office = fields.Char(string="SII Office", help="Regional office of the SII, as printed under the RUT box.")
    dte_simulator_url = fields.Char(string="Simulator Address")
    dte_simulator_key = fields.Text(
        string="Simulator CAF Key", help="Public key (PEM) that signs the simulator's CAF files."
    )
    dte_simulator_resolution_date = fields.Date(string="Resolution Date in the Simulator")
    dte_certification_resolution_date = fields.Date(
        string="Resolution Date in Certification",
        help="Date that the SII's certification site shows for the company. The number is 0 there.",
    )
    dte_production_resolution_number = fields.Integer(string="Resolution Number")
    dte_production_resolution_date = fields.Date(string="Resolution Date")
    dte_certificate_id = fields.Many2one(
        "certificate.certificate",
        string="Digital Certificate",
        groups="base.group_system",
        domain="[('company_id', '=', id)]",
        ondelete="restrict",
    )
    dte_certificate_subject = fields.Char(string="Certificate Holder", compute="_compute_dte_certificate")
    dte_certificate_rut = fields.Char(string="Holder's RUT", compute="_compute_dte_certificate")
    dte_certificate_expiry = fields.Datetime(string="Certificate Valid Until", compute="_compute_dte_certificate")

    @api.depends("dte_certificate_id")
    def _compute_dte_certificate(self):
        for company in self:
            # sudo: certificates are for administrators, but whose it is and until when is no secret
            certificate = company.sudo().dte_certificate_id
            company.dte_certificate_subject = certificate.subject_common_name
            company.dte_certificate_rut = certificate.dte_holder_rut
            company.dte_certificate_expiry = certificate.date_end

    @api.constrains("dte_activity_codes")
    def _check_dte_activity_codes(self):
        for company in self.filtered("dte_activity_codes"):
            codes = company._dte_activity_code_list()
            if len(codes) > 4 or not all(re.fullmatch(r"\d{6}", code) for code in codes):
                raise ValidationError(
                    self.env._("Activity codes are one to four numbers of six digits, separated by commas.")
                )

    @api.constrains("dte_simulator_key")
    def _check_dte_simulator_key(self):
        for company in self.filtered("dte_simulator_key"):
            try:
                caf_lib.load_public_key(company.dte_simulator_key.encode())
            except ConfigurationError as error:
                raise ValidationError(describe_error(self.env, error)) from error

    def _dte_activity_code_list(self) -> list[str]:
        return [code for code in re.split(r"[\s,;]+", self.dte_activity_codes or "") if code]

    @api.model
    def _dte_now(self) -> datetime:
        """Return the present as naive Santiago wall time, the SII's clock."""
        return datetime.now(SANTIAGO).replace(tzinfo=None, microsecond=0)

    def _dte_simulator_public_key(self):
        """Return the key that signs the simulator's CAFs, None outside that environment."""
        if self.dte_environment != "simulator" or not self.dte_simulator_key:
            return None
        return caf_lib.load_public_key(self.dte_simulator_key.encode())

    def _dte_resolution(self, environment: str | None = None) -> tuple[int, date]:
        """Return number and date of the resolution, in the current environment unless another one is given.

        The number is 0 outside production.
        """
        self.ensure_one()
        resolutions = {
            "simulator": (0, self.dte_simulator_resolution_date),
            "certification": (0, self.dte_certification_resolution_date),
            "production": (self.dte_production_resolution_number, self.dte_production_resolution_date),
        }
        return resolutions[environment or self.dte_environment]

    def _dte_find_problems(self) -> list[Problem]:
        """Return what the company lacks to sign and send in its current environment."""
        self.ensure_one()
        problems = []
        if self.currency_id.name != "CLP":
            problems.append(Problem("company_currency_not_pesos", "company.currency_id"))
        number, day = self._dte_resolution()
        if not day or (self.dte_environment == "production" and not number):
            problems.append(Problem("resolution_missing", "company.resolution"))
        if self.dte_environment == "simulator" and not self.dte_simulator_url:
            problems.append(Problem("simulator_missing", "company.simulator_url"))
        return problems + self._dte_certificate_problems()

    def _dte_certificate_problems(self) -> list[Problem]:
        # sudo: certificates are readable by administrators only; signing users need their dates
        certificate = self.sudo().dte_certificate_id
        if not certificate:
            return [Problem("certificate_missing", "company.certificate")]
        now = fields.Datetime.now()
        problems = []
        if certificate.date_end and certificate.date_end < now:
            day = fields.Date.to_string(certificate.date_end)
            problems.append(Problem("certificate_expired", "company.certificate", {"date": day}))
        if certificate.date_start and certificate.date_start > now:
            day = fields.Date.to_string(certificate.date_start)
            problems.append(Problem("certificate_not_yet_valid", "company.certificate", {"date": day}))
        if not certificate.dte_holder_rut:
            problems.append(Problem("certificate_without_rut", "company.certificate"))
        return problems

    def _dte_place(self, name: str | None) -> str:
        """Return the company and the field behind a path of the pipeline, as the user knows them."""
        labels = {
            "rut": self.env._("RUT"),
            "name": self.env._("name"),
            "giro": self.env._("activity description"),
            "address": self.env._("street"),
            "comuna": self.env._("comuna"),
            "city": self.env._("city"),
            "phones": self.env._("phone"),
            "email": self.env._("email"),
            "activity_codes": self.env._("activity codes"),
            "branch_code": self.env._("branch code of the journal"),
            "branch_name": self.env._("branch name of the journal"),
            "resolution": self.env._("resolution"),
            "certificate": self.env._("digital certificate"),
            "simulator_url": self.env._("simulator"),
            "currency_id": self.env._("currency"),
            "folios": self.env._("folios"),
        }
        return f"{self.name}, {labels[name]}" if name in labels else self.name

    def _dte_describe_problem(self, problem: Problem) -> str:
        """Return "company, field: sentence" for a problem of the company."""
        place = self._dte_place(problem.path.rpartition(".")[2])
        return f"{place}: " + describe(self.env, PROBLEMS, problem.code, problem.params)

    def _dte_credentials(self) -> credentials_lib.Credentials:
        """Return certificate and key of the person who signs, parsed; keep it for a batch, it is not cheap.

        :raises UserError: when there is none or it cannot be used
        """
        try:
            return self._dte_load_credentials()
        except ConfigurationError as error:
            text = describe_error(self.env, error)
            raise UserError(self.env._("%(company)s: %(problem)s", company=self.name, problem=text)) from error

    def _dte_load_credentials(self) -> credentials_lib.Credentials:
        """As `_dte_credentials`, for code that tells errors by their class.

        :raises ConfigurationError: when there is no certificate or it cannot be used
        """
        self.ensure_one()
        # sudo: only administrators may read keys; the right to sign is lent to who may post or send
        certificate = self.sudo().dte_certificate_id.with_context(bin_size=False)
        key = certificate.private_key_id
        if not certificate or not key:
            raise ConfigurationError("certificate_missing")
        credentials = credentials_lib.load_pem(
            base64.b64decode(certificate.pem_certificate),
            base64.b64decode(key.pem_key),
            passphrase=key.password or None,
            holder_rut=certificate.dte_holder_rut or "",
            trusted=True,
        )
        problem = credentials.find_validity_problem(datetime.now(timezone.utc))
        if problem:
            end = problem == "certificate_expired"
            day = certificate.date_end if end else certificate.date_start
            raise ConfigurationError(problem, date=fields.Date.to_date(day))
        if not credentials.holder_rut:
            raise ConfigurationError("certificate_without_rut")
        return credentials
