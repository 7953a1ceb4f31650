# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib

from odoo import api, fields, models, tools
from odoo.exceptions import UserError

from ..libs import xsd_validator
from ..libs.exceptions import ConfigurationError
from .dte_messages import describe_error


class DteSchemaSet(models.Model):
    """The SII's schemas, loaded by an administrator from its zip. Without one the cl-sii package's copy is used."""

    _name = "dte.schema.set"
    _description = "SII Schemas"
    _order = "id desc"

    name = fields.Char(required=True, default="schema_dte.zip")
    archive = fields.Binary(
        string="Zip File", required=True, attachment=True, help="schema_dte.zip as the SII publishes it."
    )
    sha256 = fields.Char(string="SHA-256", compute="_compute_sha256", store=True)
    active = fields.Boolean(default=True)

    @api.depends("archive")
    def _compute_sha256(self):
        for schemas in self:
            content = schemas.with_context(bin_size=False).archive
            schemas.sha256 = hashlib.sha256(base64.b64decode(content)).hexdigest() if content else False

    @api.constrains("archive")
    def _check_archive(self):
        for schemas in self:
            try:
                loaded = schemas._load(schemas.id)
                loaded.validate(b"<DTE/>", xsd_validator.DTE_SCHEMA)
                loaded.validate(b"<EnvioDTE/>", xsd_validator.ENVIO_SCHEMA)
            except ConfigurationError as error:
                raise UserError(describe_error(self.env, error)) from error

    @api.model_create_multi
    def create(self, vals_list):
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        self.env.registry.clear_cache()
        return super().write(vals)

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()

    @api.model
    def _validate_dte(self, xml: bytes) -> list[xsd_validator.SchemaProblem]:
        """Return what the schemas refuse in a signed `<DTE>`."""
        # sudo: schemas are the same for everybody and hold no secret
        newest = self.sudo().search([], limit=1)
        try:
            return self._load(newest.id).validate(xml, xsd_validator.DTE_SCHEMA)
        except ConfigurationError as error:
            raise UserError(describe_error(self.env, error)) from error

    @api.model
    def _refuses(self, xml: bytes, schema: str) -> bool:
        """Tell whether a schema refuses a file of somebody else's. What the set lacks refuses nothing.

        :raises XmlError: when the bytes cannot be parsed
        """
        # sudo: schemas are the same for everybody and hold no secret
        for schemas in (self._load(loaded.id) for loaded in [*self.sudo().search([]), self.browse()]):
            if schemas.has(schema):
                return bool(schemas.validate(xml, schema))
        return False

    @api.model
    @tools.ormcache("schema_set_id")
    def _load(self, schema_set_id: int | bool) -> xsd_validator.SchemaSet:
        """Return the set, compiled once per process."""
        if not schema_set_id:
            return xsd_validator.from_cl_sii()
        schemas = self.sudo().browse(schema_set_id).with_context(bin_size=False)
        return xsd_validator.from_zip(base64.b64decode(schemas.archive))
