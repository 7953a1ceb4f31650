# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64

from cryptography import x509

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..libs.checks import rut_is_valid
from ..libs.credentials import read_holder_rut


class CertificateCertificate(models.Model):
    _inherit = "certificate.certificate"

    scope = fields.Selection(selection_add=[("l10n_cl_dte", "Chilean electronic documents")])
    dte_holder_rut = fields.Char(
        string="Holder's RUT",
        compute="_compute_dte_holder_rut",
        store=True,
        readonly=False,
        help="RUT of the person to whom the certificate belongs. Read from the certificate; some do not say it.",
    )

    @api.depends("pem_certificate")
    def _compute_dte_holder_rut(self):
        for certificate in self:
            content = certificate.with_context(bin_size=False).pem_certificate
            rut = content and read_holder_rut(x509.load_pem_x509_certificate(base64.b64decode(content)))
            certificate.dte_holder_rut = rut or certificate.dte_holder_rut

    @api.constrains("dte_holder_rut")
    def _check_dte_holder_rut(self):
        for certificate in self.filtered("dte_holder_rut"):
            if not rut_is_valid(certificate.dte_holder_rut):
                raise ValidationError(
                    self.env._("%s is not a valid RUT. Write it like 11111111-1.", certificate.dte_holder_rut)
                )
