# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from datetime import datetime, timezone

from cryptography.hazmat.primitives import serialization

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..libs import credentials as credentials_lib
from ..libs.checks import rut_is_valid
from ..libs.exceptions import ConfigurationError
from ..models.dte_messages import describe_error


class DteCertificateLoad(models.TransientModel):
    """Load the .pfx or .p12 file of the person who signs. The passphrase opens it once and is not kept."""

    _name = "dte.certificate.load"
    _description = "Load Digital Certificate"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    certificate_file = fields.Binary(required=True, attachment=False)
    certificate_filename = fields.Char()
    passphrase = fields.Char(required=True)
    holder_rut = fields.Char(
        string="Holder's RUT", help="Only for certificates that do not say the RUT of their holder. Like 11111111-1."
    )

    def action_load(self):
        """Check the file, store certificate and key and make it the company's."""
        self.ensure_one()
        content = base64.b64decode(self.with_context(bin_size=False).certificate_file)
        credentials, rut = self._read(content, self.passphrase, self.holder_rut)
        certificate = self._store(self.company_id, self.certificate_filename or rut, credentials, rut)
        self.company_id.dte_certificate_id = certificate
        self.unlink()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    @api.model
    def _read(self, content: bytes, passphrase: str, holder_rut: str = "") -> tuple[credentials_lib.Credentials, str]:
        """Return what a .pfx or .p12 file holds and the RUT of its holder.

        :param holder_rut: for a certificate that does not say it
        :raises UserError: when it cannot be used
        """
        try:
            credentials = credentials_lib.load_pkcs12(content, passphrase)
            rut = credentials.holder_rut or (holder_rut or "").strip().upper().replace(".", "")
            if not rut:
                raise ConfigurationError("certificate_without_rut")
            problem = credentials.find_validity_problem(datetime.now(timezone.utc))
            if problem:
                certificate = credentials.certificate
                expired = problem == "certificate_expired"
                day = certificate.not_valid_after_utc if expired else certificate.not_valid_before_utc
                raise ConfigurationError(problem, date=day.date())
        except ConfigurationError as error:
            raise UserError(describe_error(self.env, error)) from error
        if not rut_is_valid(rut):
            raise UserError(self.env._("%s is not a valid RUT. Write it like 11111111-1.", rut))
        return credentials, rut

    @api.model
    def _store(self, company, name: str, credentials, rut: str):
        """Store certificate and key for a company and return the certificate."""
        key = self.env["certificate.key"].create(
            {
                "name": f"{name}.key",
                "company_id": company.id,
                "content": base64.b64encode(
                    credentials.private_key.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    )
                ),
            }
        )
        return self.env["certificate.certificate"].create(
            {
                "name": name,
                "company_id": company.id,
                "scope": "l10n_cl_dte",
                "private_key_id": key.id,
                "dte_holder_rut": rut,
                "content": base64.b64encode(credentials.certificate.public_bytes(serialization.Encoding.PEM)),
            }
        )
