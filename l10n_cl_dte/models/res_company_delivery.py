# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How a company sends: to which host, in what portions, when again, and who is called when it fails."""

import logging
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import config, str2bool

from ..libs import simulator_control
from ..libs.exceptions import ConfigurationError, DteError
from ..libs.sii_soap_client import BASE_URLS, UPLOAD_SECONDS, SiiClient
from .dte_messages import describe_error

_logger = logging.getLogger(__name__)

SII_DOMAIN = "sii.cl"
RETRY_HOURS = "1, 2, 4, 8, 16"
MAX_RETRIES = 20
# Changing one of these may be what a pause waits for.
_CURES = frozenset(
    (
        "dte_environment", "dte_certificate_id", "dte_simulator_url", "dte_simulator_resolution_date",
        "dte_certification_resolution_date", "dte_production_resolution_number", "dte_production_resolution_date",
    )
)  # fmt: skip


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_envio_size = fields.Integer(
        string="Documents per Envelope", default=50, help="How many documents travel in one envelope, 1 to 500."
    )
    dte_upload_seconds = fields.Integer(
        string="Upload Time Limit",
        default=lambda _self: int(UPLOAD_SECONDS),
        help="Seconds that sending one envelope may take.",
    )
    dte_grace_minutes = fields.Integer(
        string="Minutes before Sending Again",
        default=8,
        help="When the SII does not answer an upload and does not know its documents, the same bytes go again after "
        "this time. It recognises them as the same for 15 minutes.",
    )
    dte_retry_hours = fields.Char(
        string="Hours between Attempts",
        default=RETRY_HOURS,
        help="When a document certainly did not reach the SII, it is sent again after so many hours each. After the "
        "last attempt a person decides.",
    )
    dte_poll_minutes = fields.Integer(
        string="Minutes between Questions",
        default=60,
        help="How often the SII is asked about the same envelope once the first hour is over.",
    )
    dte_no_answer_days = fields.Integer(
        string="Days until No Answer",
        default=7,
        help="A document without a verdict for so long is left to a person.",
    )
    dte_responsible_id = fields.Many2one(
        "res.users",
        string="Responsible for Electronic Documents",
        help="Who gets an activity when a document needs a person.",
    )

    _dte_envio_size_bounds = models.Constraint(
        "CHECK (dte_envio_size BETWEEN 1 AND 500)", "An envelope holds 1 to 500 documents."
    )
    _dte_upload_seconds_bounds = models.Constraint(
        "CHECK (dte_upload_seconds BETWEEN 10 AND 140)", "The upload time limit is 10 to 140 seconds."
    )
    _dte_poll_bounds = models.Constraint(
        "CHECK (dte_poll_minutes BETWEEN 5 AND 1440)", "The SII is asked about an envelope every 5 to 1440 minutes."
    )
    _dte_no_answer_bounds = models.Constraint(
        "CHECK (dte_no_answer_days BETWEEN 1 AND 60)", "A document waits 1 to 60 days for its verdict."
    )
    _dte_grace_bounds = models.Constraint(
        "CHECK (dte_grace_minutes BETWEEN 1 AND 13)", "The same bytes are sent again after 1 to 13 minutes."
    )

    @api.constrains("dte_retry_hours")
    def _check_dte_retry_hours(self):
        for company in self:
            try:
                hours = company._dte_retry_hours()
            except ValueError:
                hours = []
            if not 1 <= len(hours) <= MAX_RETRIES or not all(0 < hour <= 24 * 30 for hour in hours):
                raise ValidationError(
                    self.env._(
                        "The hours between attempts are numbers separated by commas, for example: %s", RETRY_HOURS
                    )
                )

    def _dte_retry_hours(self) -> list[float]:
        """Return the hours to wait before each further attempt."""
        return [float(hour) for hour in (self.dte_retry_hours or RETRY_HOURS).split(",") if hour.strip()]

    def write(self, vals):
        result = super().write(vals)
        if _CURES & vals.keys():
            for company in self:
                self.env["dte.pause"]._resume(company, company.dte_environment)
        return result

    def _dte_responsible(self):
        """Return who acts when a document needs a person: the one in the settings, else a manager of documents."""
        self.ensure_one()
        # sudo: who is responsible is not a secret, whoever triggers the message
        company = self.sudo()
        if company.dte_responsible_id:
            return company.dte_responsible_id
        return company._dte_managers()[:1]

    def _dte_managers(self):
        """Return the managers of electronic documents of the company, the administrator when there is none."""
        # sudo: who they are is not a secret, whoever triggers the message
        company = self.sudo()
        managers = company.env.ref("l10n_cl_dte.group_dte_manager").all_user_ids.filtered(
            lambda user: user.active and not user.share and company in user.company_ids
        )
        root = company.env.ref("base.user_root")
        return (managers - root).sorted("id") or company.env.ref("base.user_admin")

    # -- the line to the SII --

    def _dte_base_url(self, environment: str) -> str:
        """Return scheme and host of an environment.

        :raises ConfigurationError: `simulator_missing`, or `real_sii_forbidden` in a copy of a database and in tests
        """
        self.ensure_one()
        if environment != "simulator":
            if self._dte_is_copy():
                raise ConfigurationError("real_sii_forbidden")
            return BASE_URLS[environment]
        if not self.dte_simulator_url:
            raise ConfigurationError("simulator_missing", error_type="unavailable")
        host = urlsplit(self.dte_simulator_url).hostname or ""
        if host == SII_DOMAIN or host.endswith(f".{SII_DOMAIN}"):
            raise ConfigurationError("real_sii_forbidden")
        return self.dte_simulator_url

    def _dte_ask_simulator_key(self):
        """Take over the key that signs the simulator's CAFs: another simulator has another one. Uses the network.

        Nothing happens when no simulator answers, or not with a key: the setup screen tells when there is none.
        """
        if self.dte_environment != "simulator" or not self.dte_simulator_url:
            return
        try:
            key = simulator_control.read_caf_key(self._dte_base_url("simulator"))
            if key != self.dte_simulator_key:
                with self.env.cr.savepoint():
                    self.dte_simulator_key = key
        except (DteError, ValidationError) as error:
            _logger.info("dte_simulator_key_not_given company_id=%s reason=%s", self.id, error)

    @api.model
    def _dte_is_copy(self) -> bool:
        """Tell whether this database may not speak for the company: it is neutralized, or tests are running."""
        # sudo: a parameter that only administrators read; whether the database is a copy is no secret
        neutralized = self.env["ir.config_parameter"].sudo().get_param("database.is_neutralized")
        return str2bool(neutralized or "", False) or bool(config["test_enable"])

    def _dte_client(self, environment: str) -> SiiClient:
        """Return a client of the SII in an environment, which logs in as the certificate's holder when needed.

        :raises ConfigurationError: as `_dte_base_url`
        """
        self.ensure_one()
        tokens = self.env["dte.sii.session"]._token_source(self, environment)
        return SiiClient(self._dte_base_url(environment), tokens, upload_seconds=float(self.dte_upload_seconds))

    def action_dte_test_connection(self):
        """Log in at the SII with the certificate and tell the result."""
        self.ensure_one()
        self.check_access("write")
        try:
            credentials = self._dte_load_credentials()
            client = SiiClient(self._dte_base_url(self.dte_environment))
            with self.env["dte.sii.call"]._logged(self, self.dte_environment, "login"):
                client.login(credentials)
        except DteError as error:
            raise UserError(describe_error(self.env, error)) from error
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The SII accepted the certificate of %s.", self.dte_certificate_rut),
            },
        }
