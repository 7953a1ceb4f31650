# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import binascii
import hashlib

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL
from odoo.tools.sql import column_exists, create_column

from ..const import ENVIRONMENTS
from ..libs import archive_layout, envio, xml_verifier
from ..libs.exceptions import DocumentError, XmlError
from . import dte_archive_triggers

XML_DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'

# Filled in once: by the SII's answer, or when a restored document finds its invoice.
_ONCE = frozenset(("track_id", "sent_date", "move_id"))
# Notes of the archive's own jobs about the copies of a row.
_BOOKKEEPING = frozenset(
    (
        "attachment_id", "sealed", "file_state", "file_key", "file_generation", "file_error", "file_params",
        "file_attempts", "file_retry_at", "file_document_state", "check_state", "check_code", "checked_at",
    )
)  # fmt: skip


class DteBackup(models.Model):
    """The archive: the exact bytes of each signed document, written before anything is sent and never changed.

    PostgreSQL refuses what must not happen (`dte_archive_triggers`); the checks here say it in the user's language.
    """

    _name = "dte.backup"
    _description = "Electronic Document Archive"
    _order = "id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    dte_type = fields.Char(string="Type Code", required=True, readonly=True)
    folio = fields.Integer(required=True, readonly=True, aggregator=False)
    version = fields.Integer(default=1, required=True, readonly=True, aggregator=False)
    rut_emisor = fields.Char(string="Issuer RUT", required=True, readonly=True)
    issue_date = fields.Date(string="Document Date", required=True, readonly=True)
    xml_content = fields.Binary(string="XML", required=True, readonly=True, attachment=False)
    xml_size = fields.Integer(string="Bytes", required=True, readonly=True)
    xml_file = fields.Binary(string="XML File", compute="_compute_xml_file")
    xml_filename = fields.Char(string="File Name", compute="_compute_xml_filename")
    sha256 = fields.Char(string="SHA-256", required=True, readonly=True)
    track_id = fields.Char(string="Track ID", readonly=True, index="btree_not_null")
    sent_date = fields.Datetime(string="Sent On", readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="restrict"
    )

    origin = fields.Selection(
        [("imported", "Issued elsewhere")], readonly=True, help="Empty for documents that were signed here."
    )
    attachment_id = fields.Many2one(
        "ir.attachment", readonly=True, index="btree_not_null", ondelete="set null", groups="base.group_system"
    )
    sealed = fields.Boolean(readonly=True, help="It is part of the chain that shows later changes.")

    _unique_version = models.UniqueIndex(
        "(company_id, environment, dte_type, folio, version)", "This document is already archived."
    )
    _by_date = models.Index("(company_id, issue_date)")
    _to_seal = models.Index("(company_id) WHERE sealed IS NOT TRUE")

    def _auto_init(self):
        # Rows from before these columns existed get them before PostgreSQL is told that they are required.
        cr = self.env.cr
        old = column_exists(cr, "dte_backup", "id") and not column_exists(cr, "dte_backup", "issue_date")
        if old:
            create_column(cr, "dte_backup", "issue_date", "date")
            create_column(cr, "dte_backup", "xml_size", "int4")
            cr.execute(
                """
                UPDATE dte_backup b
                   SET issue_date = COALESCE(
                           (SELECT MIN(d.issue_date) FROM dte_document d WHERE d.backup_id = b.id), create_date::date),
                       xml_size = octet_length(decode(convert_from(xml_content, 'LATIN1'), 'base64'))
                """
            )
        return super()._auto_init()

    def init(self):
        dte_archive_triggers.guard_backups(self.env.cr)

    @api.depends("dte_type", "folio")
    def _compute_display_name(self):
        for backup in self:
            backup.display_name = f"{backup.dte_type}-{backup.folio}"

    @api.depends("rut_emisor", "dte_type", "folio", "version")
    def _compute_xml_filename(self):
        for backup in self:
            backup.xml_filename = self._filename_of(backup.rut_emisor, backup.dte_type, backup.folio, backup.version)

    @api.model
    def _filename_of(self, rut: str, dte_type: str, folio: int, version: int) -> str:
        return f"{rut}_T{dte_type}F{folio}{f'_V{version}' if version > 1 else ''}.xml"

    @api.depends("xml_content")
    def _compute_xml_file(self):
        """The document as a file of its own: what is signed and enveloped has no XML declaration."""
        for backup in self:
            # sudo: a copy is looked up for who may read the row; the archive target itself is nobody's
            xml = backup.sudo()._find_intact()
            backup.xml_file = xml and base64.b64encode(XML_DECLARATION + xml)

    # -- writing --

    @api.model
    def _archive(self, document, xml: bytes, origin: str | None = None):
        """Write the archive row of a document, in the transaction that signs or imports it."""
        # sudo: the archive is written by signing alone, nobody has the right to write it
        backups = self.sudo()
        row = backups._row_of(document, xml)
        backup = backups.create(
            [{**row, "origin": origin or False, "attachment_id": backups._attach(document, xml).id}]
        )
        self._wake_jobs(document.company_id)
        return backup

    @api.model
    def _row_of(self, document, xml: bytes) -> dict:
        return {
            "company_id": document.company_id.id,
            "environment": document.environment,
            "dte_type": document.dte_type,
            "folio": document.folio,
            "version": document.version,
            "rut_emisor": document.issuer_rut,
            "issue_date": document.issue_date,
            "xml_content": base64.b64encode(xml),
            "xml_size": len(xml),
            "sha256": hashlib.sha256(xml).hexdigest(),
            "move_id": document.move_id.id,
        }

    @api.model
    def _wake_jobs(self, company):
        """Run the jobs of the archive soon after the commit, once per transaction."""
        data = self.env.cr.precommit.data
        jobs = ["ir_cron_archive_seal"]
        # sudo: whoever posts may not read the address of the archive
        if company.sudo().dte_archive_url:
            jobs.append("ir_cron_archive_files")
        for job in jobs:
            key = f"l10n_cl_dte.{job}"
            if key not in data:
                data[key] = True
                self._wake(job)

    @api.model
    def _wake(self, job: str):
        """Run a job soon after the commit; one that an administrator has deleted stops nobody."""
        cron = self.env.ref(f"l10n_cl_dte.{job}", raise_if_not_found=False)
        if cron:
            # sudo: jobs are the system's; users only wake them
            cron.sudo()._trigger()

    @api.model
    def _attach(self, document, xml: bytes):
        """Attach the document to its invoice, as a file of its own: where users look for it."""
        attachments = self.env["ir.attachment"]
        if not document.move_id:
            return attachments
        return attachments.create(
            {
                "name": self._filename_of(document.issuer_rut, document.dte_type, document.folio, document.version),
                "res_model": "account.move",
                "res_id": document.move_id.id,
                "raw": XML_DECLARATION + xml,
                "mimetype": "application/xml",
            }
        )

    def write(self, vals):
        once, content = _ONCE & vals.keys(), "xml_content" in vals
        if vals.keys() - once - _BOOKKEEPING - {"xml_content"} or any(backup[name] for backup in self for name in once):
            raise UserError(self.env._("The archive of electronic documents cannot be changed."))
        # The archived bytes themselves may be written again: they repair a damaged row.
        if content and any(_sha256(_decoded(vals["xml_content"])) != backup.sha256 for backup in self):
            raise UserError(self.env._("The archive of electronic documents cannot be changed."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_past_term_only(self):
        if self - self._past_term():
            raise UserError(self.env._("The archive of electronic documents cannot be deleted."))

    def _past_term(self):
        """Return those of these rows that may be deleted today."""
        rows = self.env.execute_query(
            SQL(
                "SELECT b.id FROM dte_backup b JOIN res_company c ON c.id = b.company_id"
                " WHERE b.id IN %s AND %s <= CURRENT_DATE",
                tuple(self.ids) or (0,),
                dte_archive_triggers.deletable_from_sql(),
            )
        )
        return self.browse([row[0] for row in rows])

    # -- reading --

    def _row_xml(self) -> bytes:
        """Return what the row holds, damaged or not."""
        self.ensure_one()
        return _decoded(self.with_context(bin_size=False).xml_content)

    def _fits(self, xml: bytes) -> bool:
        """Tell whether these are the archived bytes."""
        return _sha256(xml) == self.sha256

    def _find_intact(self) -> bytes:
        """Return the archived bytes from the first copy that is intact: row, file, attachment; b"" when none is."""
        self.ensure_one()
        xml = self._row_xml()
        if self._fits(xml):
            return xml
        for copy in (self._file_xml, self._attached_xml):
            xml = copy()
            if xml and self._fits(xml):
                return xml
        return b""

    def _attached_xml(self) -> bytes:
        """Return what the attachment of the invoice holds, b"" when there is none or its file is gone."""
        return (self.attachment_id.raw or b"").removeprefix(XML_DECLARATION)

    def _intact_xml(self) -> bytes:
        """Return the archived bytes, ISO-8859-1 without XML declaration.

        :raises UserError: when no copy is intact
        """
        xml = self._find_intact()
        if not xml:
            raise UserError(
                self.env._(
                    "No intact copy of %s was found. Bring back the archive folder or a database backup and press "
                    "Check Now in the archive.",
                    self.display_name,
                )
            )
        return xml

    def _check_is_there(self):
        """Refuse an empty recordset: what the archive of a document is after its legal term."""
        if not self:
            raise UserError(
                self.env._("The document is not in the archive any more: it was deleted after the years to keep it.")
            )
        self.ensure_one()

    @api.private
    def restore_dte_xml(self) -> bytes:
        """Return the signed document exactly as archived, from the best intact copy: row, file, then attachment.

        Bytes in ISO-8859-1 without XML declaration. For code; over RPC read the field `xml_file`.

        :raises UserError: when no copy is intact, or the document was deleted after its term
        """
        self._check_is_there()
        self.check_access("read")
        # sudo: see _compute_xml_file
        return self.sudo()._intact_xml()

    def action_download_xml(self):
        """Return the download of the document as a file of its own."""
        self._check_is_there()
        self.check_access("read")
        # sudo: see _compute_xml_file; a damaged document is told about instead of downloading nothing
        self.sudo()._intact_xml()
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/dte.backup/{self.id}/xml_file/{self.xml_filename}?download=true",
            "target": "download",
        }

    def action_view_invoice(self):
        """Open the invoice; a document restored from the archive may have none."""
        self.ensure_one()
        self.check_access("read")
        if not self.move_id:
            raise UserError(
                self.env._("%s has no invoice: it was restored from the archive folder or imported.", self.display_name)
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    # -- API --

    def _check_manager(self):
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager") and not self.env.su:
            raise AccessError(
                self.env._('You need the role "Electronic documents: manager" for this. Ask your administrator.')
            )

    @api.model
    def backup_dte(self, dte_type, folio, xml_content, track_id, move_id, rut_emisor=None):
        """Archive a signed document of an invoice and return its row, the existing one for the same bytes.

        Signing archives by itself; this is for documents whose current version has no archive row yet. Company and
        environment are those of the invoice's document.

        :param xml_content: the signed `<DTE>` as bytes or text, which is encoded in ISO-8859-1; never base64
        :param track_id: written when the row has none, may be empty
        :param move_id: id of the invoice
        :param rut_emisor: checked against the document when given
        :raises UserError: when the bytes are not that document, are not signed, or others are archived
        """
        self._check_manager()
        move = self.env["account.move"].browse(int(move_id)).exists()
        move.check_access("read")
        xml = xml_content.encode("iso-8859-1", "strict") if isinstance(xml_content, str) else bytes(xml_content)
        # sudo: the manager sees the invoice; documents and archive are written by code only
        document = move.sudo().dte_document_id
        if not document or (document.dte_type, document.folio) != (str(dte_type), int(folio)):
            raise UserError(
                self.env._("The invoice has no electronic document of type %(type)s with folio %(folio)s.",
                           type=dte_type, folio=folio)
            )  # fmt: skip
        if rut_emisor and rut_emisor != document.issuer_rut:
            raise UserError(self.env._("The issuer of the document is %s.", document.issuer_rut))
        return self.sudo()._backup_dte(document, xml.removeprefix(XML_DECLARATION), track_id).with_env(self.env)

    @api.model
    def _backup_dte(self, document, xml: bytes, track_id=None):
        """As `backup_dte`, for code inside."""
        rows = self.search(
            [
                ("company_id", "=", document.company_id.id),
                ("environment", "=", document.environment),
                ("dte_type", "=", document.dte_type),
                ("folio", "=", document.folio),
            ]
        )
        backup = rows.filtered(lambda row: row._fits(xml))[:1]
        if not backup:
            if document.backup_id or document.version in rows.mapped("version"):
                raise UserError(
                    self.env._(
                        "Other bytes are archived for %s, and the archive does not change. Correct the invoice to "
                        "issue a new version.",
                        document.display_name,
                    )
                )
            self._check_is_document(document, xml)
            backup = self._archive(document, xml)
            document.backup_id = backup
        if track_id and not backup.track_id:
            backup.track_id = track_id
        return backup

    def _check_is_document(self, document, xml: bytes):
        """Refuse bytes that are not the signed document."""
        try:
            # Sent as it is: an envelope of ours takes nothing else.
            envio.read_key(xml)
            facts = archive_layout.read_facts(xml)
            valid = xml_verifier.verify_dte(xml).valid
        except (DocumentError, XmlError) as error:
            raise UserError(self.env._("These bytes are not a signed electronic document.")) from error
        key = envio.DocumentKey(int(document.dte_type), document.folio, document.issuer_rut)
        if envio.DocumentKey(facts.dte_type, facts.folio, facts.issuer_rut) != key:
            raise UserError(self.env._("These bytes are another document than %s.", document.display_name))
        if not valid:
            raise UserError(self.env._("The signature of the document is not valid."))


def _decoded(content) -> bytes:
    """Return what a binary column stands for; b"" when it is so damaged that it is no base64."""
    try:
        return base64.b64decode(content or b"", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _sha256(xml: bytes) -> str:
    return hashlib.sha256(xml).hexdigest()
