# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import binascii
import logging

from cryptography import x509
from psycopg2 import errors as pgerrors

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import format_date

from ..libs import caf as caf_lib
from ..libs.exceptions import ConfigurationError
from ..models.dte_messages import describe_error

_logger = logging.getLogger(__name__)

MAX_FILES = 200
MAX_BYTES = 256 * 1024
# Both begin a .pfx or .p12 file and no XML: DER's sequence tag.
_DER = b"\x30"


class DteFilesLoad(models.TransientModel):
    """Load CAF and certificate files by the dozen: each is checked by itself and none stands in the way of another.

    The files hold private keys. They travel in a column of this row, not as attachments whose files stay on the disk
    for days; only who gave them reads the row, and they are gone from it before they are read.
    """

    _name = "dte.files.load"
    _description = "Load Folios and Certificates"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    # A list of files, each with its `name` and its `content` in base64.
    files = fields.Json()
    passphrase = fields.Char(help="Opens the certificates. It is tried on each of them and then forgotten.")
    line_ids = fields.One2many("dte.files.load.line", "load_id", readonly=True)
    is_done = fields.Boolean(readonly=True)

    def action_load(self):
        """Load every file that is in order and list what became of each. Commits.

        :raises UserError: without files, or with too many; they have to be chosen again
        """
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        files, passphrase = self.files or [], self.passphrase or ""
        # Whatever goes wrong from here on, keys and passphrase do not come back with a rollback.
        self.write({"files": False, "passphrase": False})
        self.env["ir.cron"]._commit_progress()
        if not files:
            raise UserError(self.env._("Choose the files first."))
        if len(files) > MAX_FILES:
            raise UserError(self.env._("At most %s files at once. Choose fewer of them.", MAX_FILES))
        self.is_done = True
        self.line_ids = [(0, 0, self._load_one(file, passphrase)) for file in files]
        return self._reopen()

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Load Folios and Certificates"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }

    def action_more(self):
        """Go back to the choice of files."""
        self.ensure_one()
        self.write({"is_done": False, "line_ids": [(5,)]})
        return self._reopen()

    def _load_one(self, file: dict, passphrase: str) -> dict:
        """Load one file; return the values of its line."""
        name = str(file.get("name") or "?")[-200:]
        try:
            content = base64.b64decode(file.get("content") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            content = b""
        try:
            if not content or len(content) > MAX_BYTES:
                raise UserError(self.env._("It is empty, or too large for a CAF or a certificate."))
            with self.env.cr.savepoint():
                load = self._load_certificate if content.startswith(_DER) else self._load_caf
                return {"name": name, **load(name, content, passphrase)}
        except (UserError, AccessError) as error:
            return {"name": name, "result": "refused", "text": str(error)}
        except pgerrors.UniqueViolation:
            return {"name": name, "result": "present", "text": self.env._("Somebody else has just loaded it.")}
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            # The request cannot be repeated, as its files are gone.
            text = self.env._("Something else was written at the same moment. Load it again.")
            return {"name": name, "result": "refused", "text": text}
        except Exception:
            _logger.exception("dte_file_not_loaded company_id=%s", self.company_id.id)
            text = self.env._("It could not be read, for a reason that the log of the server tells.")
            return {"name": name, "result": "refused", "text": text}

    def _load_caf(self, name: str, content: bytes, _passphrase: str) -> dict:
        same = self._find_same_caf(content)
        if same:
            return {"result": "present", "text": self._describe_caf(same)}
        caf = self.env["dte.caf"].create(
            {"caf_file": base64.b64encode(content), "caf_filename": name, "company_id": self.company_id.id}
        )
        return {"result": "loaded", "text": self._describe_caf(caf)}

    def _find_same_caf(self, content: bytes):
        """Return the CAF with the same range and key, empty when it is not loaded."""
        try:
            parsed = caf_lib.parse_caf(content)
        except ConfigurationError as error:
            raise UserError(describe_error(self.env, error)) from error
        cafs = self.env["dte.caf"].with_context(active_test=False)
        found = cafs.search(
            [
                ("company_id", "=", self.company_id.id),
                ("environment", "=", self.company_id.dte_environment),
                ("issuer_rut", "=", parsed.issuer_rut),
                ("dte_type", "=", str(parsed.dte_type)),
                ("folio_from", "=", parsed.first),
                ("folio_to", "=", parsed.last),
            ],
            limit=1,
        )
        numbers = parsed.public_key.public_numbers()
        return found.filtered(lambda caf: caf._parsed().public_key.public_numbers() == numbers)

    def _describe_caf(self, caf) -> str:
        return self.env._(
            "%(type)s, folios %(first)s to %(last)s",
            type=caf.document_type_id.name or caf.dte_type, first=caf.folio_from, last=caf.folio_to,
        )  # fmt: skip

    def _load_certificate(self, name: str, content: bytes, passphrase: str) -> dict:
        if not self.env.user.has_group("base.group_system"):
            raise UserError(self.env._("Certificates are loaded by an administrator."))
        loader = self.env["dte.certificate.load"]
        credentials, rut = loader._read(content, passphrase)
        certificates = self.env["certificate.certificate"]
        own = certificates.search([("company_id", "=", self.company_id.id), ("scope", "=", "l10n_cl_dte")])
        same = own.filtered(lambda known: _is_same(known, credentials.certificate))[:1]
        certificate = same or loader._store(self.company_id, name, credentials, rut)
        if not self.company_id.dte_certificate_id:
            self.company_id.dte_certificate_id = certificate
        until = format_date(self.env, credentials.certificate.not_valid_after_utc.date())
        return {
            "result": "present" if same else "loaded",
            "text": self.env._("Certificate of %(rut)s, valid until %(date)s", rut=rut, date=until),
            "certificate_id": certificate.id,
        }


class DteFilesLoadLine(models.TransientModel):
    """What became of one file."""

    _name = "dte.files.load.line"
    _description = "Loaded File"

    load_id = fields.Many2one("dte.files.load", required=True, ondelete="cascade", index=True)
    name = fields.Char(string="File in the Upload", readonly=True)
    result = fields.Selection(
        [("loaded", "Loaded"), ("present", "Already there"), ("refused", "Not loaded")], readonly=True
    )
    text = fields.Char(string="What It Is", readonly=True)
    certificate_id = fields.Many2one("certificate.certificate", readonly=True, groups="base.group_system")
    is_in_use = fields.Boolean(compute="_compute_is_in_use")
    is_certificate = fields.Boolean(compute="_compute_is_in_use")

    @api.depends("load_id.company_id.dte_certificate_id")
    def _compute_is_in_use(self):
        for line in self:
            # sudo: managers see that a line is a certificate, which only administrators read
            own = line.sudo()
            line.is_certificate = bool(own.certificate_id)
            line.is_in_use = line.is_certificate and own.load_id.company_id.dte_certificate_id == own.certificate_id

    def action_use(self):
        """Let the company sign with this certificate."""
        self.ensure_one()
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(self.env._("Only an administrator chooses the certificate."))
        self.load_id.company_id.dte_certificate_id = self.certificate_id
        return self.load_id._reopen()


def _is_same(certificate, other: x509.Certificate) -> bool:
    content = certificate.with_context(bin_size=False).pem_certificate
    return bool(content) and x509.load_pem_x509_certificate(base64.b64decode(content)) == other
