# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..const import ENVIRONMENTS

XML_DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'

# Filled in once, when the SII has given them.
_LATE_FIELDS = frozenset(("track_id", "sent_date"))


class DteBackup(models.Model):
    """The archive: the exact bytes of each signed document, written before anything is sent and never changed."""

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
    xml_content = fields.Binary(string="XML", required=True, readonly=True, attachment=False)
    xml_file = fields.Binary(string="XML File", compute="_compute_xml_file")
    xml_filename = fields.Char(string="File Name", compute="_compute_xml_filename")
    sha256 = fields.Char(string="SHA-256", required=True, readonly=True)
    track_id = fields.Char(string="Track ID", readonly=True)
    sent_date = fields.Datetime(string="Sent On", readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="restrict"
    )

    _unique_version = models.UniqueIndex(
        "(company_id, environment, dte_type, folio, version)", "This document is already archived."
    )

    @api.depends("dte_type", "folio")
    def _compute_display_name(self):
        for backup in self:
            backup.display_name = f"{backup.dte_type}-{backup.folio}"

    @api.depends("rut_emisor", "dte_type", "folio")
    def _compute_xml_filename(self):
        for backup in self:
            backup.xml_filename = f"{backup.rut_emisor}_T{backup.dte_type}F{backup.folio}.xml"

    @api.depends("xml_content")
    def _compute_xml_file(self):
        """The document as a file of its own: what is signed and enveloped has no XML declaration."""
        for backup in self:
            xml = base64.b64decode(backup.with_context(bin_size=False).xml_content or b"")
            backup.xml_file = base64.b64encode(XML_DECLARATION + xml)

    @api.model
    def _archive(self, document, xml: bytes):
        """Write the archive row of a document, in the transaction that signs it."""
        # sudo: the archive is written by signing alone, nobody has the right to write it
        return self.sudo().create(
            {
                "company_id": document.company_id.id,
                "environment": document.environment,
                "dte_type": document.dte_type,
                "folio": document.folio,
                "version": document.version,
                "rut_emisor": document.issuer_rut,
                "xml_content": base64.b64encode(xml),
                "sha256": hashlib.sha256(xml).hexdigest(),
                "move_id": document.move_id.id,
            }
        )

    def write(self, vals):
        late = _LATE_FIELDS & vals.keys()
        if vals.keys() - late or any(backup[name] for backup in self for name in late):
            raise UserError(self.env._("The archive of electronic documents cannot be changed."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The archive of electronic documents cannot be deleted."))

    def action_download_xml(self):
        """Return the download of the document as a file of its own."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/dte.backup/{self.id}/xml_file/{self.xml_filename}?download=true",
            "target": "download",
        }

    def action_view_invoice(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }
