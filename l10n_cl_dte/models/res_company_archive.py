# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from pathlib import Path

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL, config

from ..libs.archive_store import ArchiveError, open_store
from .archive_messages import tell_error
from .dte_archive_triggers import LEGAL_YEARS


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_archive_url = fields.Char(
        string="Archive Folder",
        groups="base.group_system",
        help="Where the second copy of each signed document is kept, outside the database and Odoo's files: the full "
        "path of a folder, like /mnt/archive, or an address that fsspec knows, like s3://bucket/folder.",
    )
    dte_archive_generation = fields.Integer(
        default=0,
        readonly=True,
        copy=False,
        help="Grows with each other folder: what was copied for an earlier one is copied again.",
    )
    dte_archive_years = fields.Integer(
        string="Years to Keep", default=LEGAL_YEARS, help="The law asks for six; it may be longer."
    )
    dte_archive_cleanup = fields.Boolean(
        string="Delete After That Term", help="Once a week, documents older than the term are deleted from the archive."
    )
    dte_archive_count = fields.Integer(string="Archived Documents", compute="_compute_dte_archive_figures")
    dte_archive_size = fields.Char(string="Size", compute="_compute_dte_archive_figures")
    dte_archive_pending = fields.Integer(string="Without a Second Copy", compute="_compute_dte_archive_figures")
    dte_archive_damaged = fields.Integer(string="Damaged", compute="_compute_dte_archive_figures")
    dte_archive_checked_at = fields.Datetime(string="Last Check", compute="_compute_dte_archive_figures")
    dte_archive_is_double = fields.Boolean(compute="_compute_dte_archive_is_double")

    _dte_archive_years_legal = models.Constraint(
        f"CHECK (dte_archive_years >= {LEGAL_YEARS})", "The law asks to keep tax documents at least six years."
    )

    @api.depends("dte_archive_url")
    def _compute_dte_archive_is_double(self):
        for company in self:
            # sudo: whether there is a second copy is no secret, only where
            company.dte_archive_is_double = bool(company.sudo().dte_archive_url)

    @api.depends_context("uid")
    def _compute_dte_archive_figures(self):
        """Count in the database, without reading a document."""
        figures = {}
        if self.ids:
            self.env["dte.backup"].flush_model()
            self.flush_model(["dte_archive_generation"])
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT b.company_id, COUNT(*), COALESCE(SUM(b.xml_size), 0),
                           COUNT(*) FILTER (WHERE b.file_state = 'pending'
                                               OR b.file_generation < c.dte_archive_generation),
                           COUNT(*) FILTER (WHERE b.check_state = 'damaged'), MAX(b.checked_at)
                      FROM dte_backup b JOIN res_company c ON c.id = b.company_id
                     WHERE b.company_id IN %s GROUP BY b.company_id
                    """,
                    tuple(self.ids),
                )
            )
            figures = {row[0]: row[1:] for row in rows}
        for company in self:
            count, size, pending, damaged, checked_at = figures.get(company.id, (0, 0, 0, 0, False))
            company.dte_archive_count = count
            company.dte_archive_size = f"{size / 1_000_000:.1f} MB"
            company.dte_archive_pending = pending
            company.dte_archive_damaged = damaged
            company.dte_archive_checked_at = checked_at

    @api.constrains("dte_archive_url")
    def _check_dte_archive_url(self):
        """Refuse a folder that would be lost together with Odoo's own files."""
        for company in self.filtered("dte_archive_url"):
            try:
                path = open_store(company.dte_archive_url).path
            except ArchiveError as error:
                raise ValidationError(tell_error(self.env, error)) from error
            data = Path(config["data_dir"]).resolve()
            if path and (path.resolve() == data or data in path.resolve().parents):
                raise ValidationError(
                    self.env._(
                        "The archive must lie outside Odoo's own folder %s, so that both are not lost together.",
                        config["data_dir"],
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        companies = super().create(vals_list)
        for company, vals in zip(companies, vals_list, strict=True):
            if vals.get("dte_archive_url"):
                company._dte_archive_prepare()
        return companies

    def write(self, vals):
        url = vals.get("dte_archive_url")
        # sudo: compared only; who may write the field is decided by its group
        changed = self.filtered(lambda company: url and company.sudo().dte_archive_url != url)
        result = super().write(vals)
        for company in changed:
            company._dte_archive_prepare()
        return result

    def _dte_archive_prepare(self):
        """Mark the archive as ours and let everything be copied there: it may be another one than before.

        Done when an address is set, or when an administrator says that this is the folder; never by the way: a disk
        that is not mounted looks like an empty folder.
        """
        self.ensure_one()
        try:
            self._dte_archive_store().prepare()
        except ArchiveError as error:
            raise UserError(tell_error(self.env, error)) from error
        self.dte_archive_generation += 1
        self.env["dte.backup"]._wake("ir_cron_archive_files")

    def _dte_archive_store(self):
        """Return the store of the second copies, None when none is set.

        :raises ArchiveError: `archive_target_invalid`
        """
        self.ensure_one()
        # sudo: the address is for administrators, who set it; copies are read and written by the archive's code
        url = self.sudo().dte_archive_url
        return open_store(url) if url else None
