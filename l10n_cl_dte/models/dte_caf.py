# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from datetime import date

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ..const import ENVIRONMENTS, INVOICE_TYPES
from ..libs import caf as caf_lib
from ..libs.exceptions import ConfigurationError, Problem
from .dte_messages import ERRORS, describe, describe_error

# Types that folios can be loaded for: those issued from invoices and dispatch guides.
CAF_TYPES = (*INVOICE_TYPES, "52")


class DteCaf(models.Model):
    """A range of folios that the SII authorised, with the key that stamps its documents.

    Nothing is counted here: which folios are used is read from the documents and invoices, so it cannot drift.
    """

    _name = "dte.caf"
    _description = "Folio Authorisation (CAF)"
    _order = "company_id, environment, dte_type, folio_from"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, default=lambda self: self.env.company, ondelete="restrict"
    )
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    issuer_rut = fields.Char(string="RUT", required=True, readonly=True)
    dte_type = fields.Char(string="Type Code", required=True, readonly=True)
    document_type_id = fields.Many2one("l10n_latam.document.type", compute="_compute_document_type_id")
    folio_from = fields.Integer(string="First Folio", required=True, readonly=True, aggregator=False)
    folio_to = fields.Integer(string="Last Folio", required=True, readonly=True, aggregator=False)
    authorized_on = fields.Date(string="Authorised On", required=True, readonly=True)
    expires_on = fields.Date(
        string="Valid Until", readonly=True, help="Last day on which documents may be signed with it."
    )
    warn_on = fields.Date(readonly=True)
    active = fields.Boolean(default=True, help="An archived CAF gives no more folios.")
    caf_file = fields.Binary(string="CAF File", store=False, help="The XML file as downloaded from the SII.")
    caf_filename = fields.Char(store=False)
    # Holds the private key: read only by the code that stamps.
    xml_content = fields.Binary(attachment=False, required=True, readonly=True, groups=fields.NO_ACCESS)
    used = fields.Integer(compute="_compute_stock")
    free = fields.Integer(compute="_compute_stock")
    state = fields.Selection(
        [
            ("active", "In use"),
            ("expiring", "Expires soon"),
            ("exhausted", "Used up"),
            ("expired", "Expired"),
            ("archived", "Archived"),
        ],
        compute="_compute_stock",
    )

    _unique_range = models.UniqueIndex("(issuer_rut, environment, dte_type, folio_from)", "This CAF is already loaded.")
    _range_order = models.Constraint(
        "CHECK (folio_from > 0 AND folio_from <= folio_to)", "The folio range is not valid."
    )

    @api.depends("dte_type", "folio_from", "folio_to")
    def _compute_display_name(self):
        for caf in self:
            caf.display_name = f"{caf.dte_type}: {caf.folio_from} - {caf.folio_to}" if caf.dte_type else "CAF"

    @api.depends("dte_type")
    def _compute_document_type_id(self):
        types = self.env["l10n_latam.document.type"].search(
            [("country_id.code", "=", "CL"), ("code", "in", self.mapped("dte_type"))]
        )
        by_code = {doc_type.code: doc_type for doc_type in types}
        for caf in self:
            caf.document_type_id = by_code.get(caf.dte_type)

    @api.depends("folio_from", "folio_to", "expires_on", "active")
    def _compute_stock(self):
        today = self.env["res.company"]._dte_now().date()
        saved = self.filtered(lambda caf: caf.id and caf.folio_from)
        last, used = saved._last_used_in_ranges(), saved._count_used()
        for caf in self:
            if caf not in saved:
                caf.used = caf.free = 0
                caf.state = False
                continue
            caf.used = used[caf.id]
            caf.free = caf.folio_to - last[caf.id]
            if not caf.active:
                caf.state = "archived"
            elif not caf.free:
                caf.state = "exhausted"
            elif caf.expires_on and caf.expires_on < today:
                caf.state = "expired"
            elif caf.warn_on and (caf.warn_on - today).days < 30:
                caf.state = "expiring"
            else:
                caf.state = "active"

    # -- loading --

    @api.model_create_multi
    def create(self, vals_list):
        self.check_access("create")
        for vals in vals_list:
            self._read_file_into(vals)
        self.env["account.move"]._get_sequence_cache().clear()
        # sudo: who may load a CAF may not read its key afterwards, and the key is a field of the new row
        cafs = super(DteCaf, self.sudo()).create(vals_list).with_env(self.env)
        cafs.check_access("create")
        return cafs

    def write(self, vals):
        vals = {name: value for name, value in vals.items() if name not in ("caf_file", "caf_filename")}
        if not self.env.su and vals.keys() - {"active"}:
            # readonly is for screens: what the SII authorised must not change by a call from outside either
            raise AccessError(self.env._("A CAF is as the SII authorised it: it can only be archived or restored."))
        self.env["account.move"]._get_sequence_cache().clear()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_used(self):
        used = self._count_used()
        for caf in self:
            if used[caf.id]:
                raise UserError(
                    self.env._("The CAF %s has documents and cannot be deleted. Archive it.", caf.display_name)
                )

    @api.onchange("caf_file")
    def _onchange_caf_file(self):
        if self.caf_file:
            vals = {"caf_file": self.caf_file, "company_id": self.company_id.id}
            self._read_file_into(vals)
            vals.pop("xml_content")
            self.update(vals)

    @api.model
    def _read_file_into(self, vals: dict):
        """Fill `vals` from the uploaded file, or say what is wrong with it."""
        content = vals.pop("caf_file", None)
        vals.pop("caf_filename", None)
        if not content:
            raise UserError(self.env._("Choose the CAF file that you downloaded from the SII."))
        company = self.env["res.company"].browse(vals.get("company_id") or self.env.company.id)
        data = base64.b64decode(content)
        try:
            caf = caf_lib.parse_caf(data)
        except ConfigurationError as error:
            raise UserError(describe_error(self.env, error)) from error
        texts = [
            describe(self.env, ERRORS, problem.code, problem.params) for problem in self._file_problems(company, caf)
        ]
        if texts:
            raise UserError("\n".join(texts))
        vals.update(
            company_id=company.id,
            environment=company.dte_environment,
            issuer_rut=caf.issuer_rut,
            dte_type=str(caf.dte_type),
            folio_from=caf.first,
            folio_to=caf.last,
            authorized_on=caf.authorized_on,
            expires_on=caf.last_day(),
            warn_on=caf.warning_day(),
            xml_content=base64.b64encode(data),
        )

    def _file_problems(self, company, caf: caf_lib.Caf) -> list[Problem]:
        labels = dict(company._fields["dte_environment"]._description_selection(self.env))
        problems = caf_lib.find_problems(
            caf,
            issuer_rut=company.vat or "",
            environment=company.dte_environment,
            today=company._dte_now().date(),
            simulator_key=company._dte_simulator_public_key(),
        )
        for problem in problems:
            if "environment" in problem.params:
                problem.params["environment"] = labels[problem.params["environment"]]
        if str(caf.dte_type) not in CAF_TYPES:
            problems.append(Problem("caf_type_unsupported", "dte_type", {"type": caf.dte_type}))
        # sudo: a range of the same RUT may stand in a company that the user does not see
        overlapping = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("issuer_rut", "=", caf.issuer_rut),
                    ("environment", "=", company.dte_environment),
                    ("dte_type", "=", str(caf.dte_type)),
                    ("folio_from", "<=", caf.last),
                    ("folio_to", ">=", caf.first),
                ],
                limit=1,
            )
        )
        if overlapping:
            params = {"first": caf.first, "last": caf.last, "other": overlapping.display_name}
            problems.append(Problem("caf_overlaps", "first", params))
        return problems

    def _parsed(self) -> caf_lib.Caf:
        """Return the CAF with its key, parsed; keep it for a batch."""
        self.ensure_one()
        # sudo: the key is closed to everybody; it is lent to stamp a document that the user may post
        content = self.sudo().with_context(bin_size=False).xml_content
        return caf_lib.parse_caf(base64.b64decode(content), trusted=True)

    # -- folios --

    @api.model
    def _usable(self, company, dte_type: str, issue_date: date):
        """Return the CAFs that may give a folio to a document of this date, in the order in which they are used.

        Used up ones are among them: what is used is decided under the lock of the folio itself.
        """
        today = company._dte_now().date()
        # sudo: posting needs the folios whatever the user's role; company and environment are given
        return self.sudo().search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("dte_type", "=", dte_type),
                ("issuer_rut", "=", company.vat),
                ("authorized_on", "<=", min(issue_date, today)),
                "|",
                ("expires_on", "=", False),
                ("expires_on", ">=", today),
            ],
            order="folio_from",
        )

    @api.model
    def _covering(self, company, dte_type: str, folio: int):
        """Return the CAF that authorises a folio, also when it is archived."""
        # sudo: see _usable
        caf = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("company_id", "=", company.id),
                    ("environment", "=", company.dte_environment),
                    ("dte_type", "=", dte_type),
                    ("folio_from", "<=", folio),
                    ("folio_to", ">=", folio),
                ],
                limit=1,
            )
        )
        if not caf:
            error = ConfigurationError("caf_does_not_cover", folio=folio, type=dte_type)
            raise UserError(describe_error(self.env, error))
        return caf

    def _last_used_in_range(self) -> int:
        """Return the highest folio of the range that a document or invoice holds, or the one before the range."""
        self.ensure_one()
        return self._last_used_in_ranges()[self.id]

    def _last_used_in_ranges(self) -> dict[int, int]:
        """Return what _last_used_in_range says of each CAF, by id."""
        if not self:
            return {}
        self.flush_model(["company_id", "environment", "dte_type", "folio_from", "folio_to"])
        self.env["dte.document"].flush_model(["company_id", "environment", "dte_type", "folio"])
        self.env["account.move"].flush_model(
            ["company_id", "dte_environment", "l10n_latam_document_type_id", "name", "sequence_number"]
        )
        rows = self.env.execute_query(
            SQL(
                """
                SELECT caf.id, COALESCE(GREATEST(
                    (SELECT MAX(folio) FROM dte_document
                      WHERE company_id = caf.company_id AND environment = caf.environment AND dte_type = caf.dte_type
                        AND folio BETWEEN caf.folio_from AND caf.folio_to),
                    -- LATERAL: the last of each type is one step in the index, a join reads all invoices of the range
                    (SELECT MAX(used.last) FROM l10n_latam_document_type doc_type, LATERAL
                      (SELECT MAX(sequence_number) AS last FROM account_move
                        WHERE company_id = caf.company_id AND dte_environment = caf.environment
                          AND l10n_latam_document_type_id = doc_type.id AND name IS NOT NULL
                          AND sequence_number BETWEEN caf.folio_from AND caf.folio_to) used
                      WHERE doc_type.code = caf.dte_type)),
                    caf.folio_from - 1)
                  FROM dte_caf caf
                 WHERE caf.id IN %s
                """,
                tuple(self.ids),
            )
        )
        return dict(rows)

    def _count_used(self) -> dict[int, int]:
        """Return for each CAF, by id, how many folios of its range documents hold."""
        if not self:
            return {}
        self.flush_model(["company_id", "environment", "dte_type", "folio_from", "folio_to"])
        self.env["dte.document"].flush_model(["company_id", "environment", "dte_type", "folio"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT caf.id, COUNT(DISTINCT document.folio)
                  FROM dte_caf caf
             LEFT JOIN dte_document document
                    ON document.company_id = caf.company_id AND document.environment = caf.environment
                   AND document.dte_type = caf.dte_type
                   AND document.folio BETWEEN caf.folio_from AND caf.folio_to
                 WHERE caf.id IN %s
              GROUP BY caf.id
                """,
                tuple(self.ids),
            )
        )
        return dict(rows)

    @api.model
    def _find_shortage(self, company, document_type, issue_dates: list[date]) -> Problem | None:
        """Return why there are not enough folios for documents of these dates, None when there are."""
        code = document_type.code
        labels = dict(company._fields["dte_environment"]._description_selection(self.env))
        params = {"type": document_type.display_name, "environment": labels[company.dte_environment]}
        days = sorted(set(issue_dates))
        candidates = self._usable(company, code, days[-1])
        last = candidates._last_used_in_ranges()
        for day in days:
            # A folio authorised later serves no document of this day or before.
            needed = sum(other <= day for other in issue_dates)
            usable = candidates.filtered(lambda caf, day=day: caf.authorized_on <= day)
            available = sum(caf.folio_to - last[caf.id] for caf in usable)
            if available < needed:
                break
        else:
            return None
        # sudo: see _usable
        loaded = self.sudo().search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("dte_type", "=", code),
            ]
        )
        last = loaded._last_used_in_ranges()
        with_room = loaded.filtered(lambda caf: last[caf.id] < caf.folio_to)
        if not loaded:
            return Problem("caf_none", "folios", params)
        today = company._dte_now().date()
        expired = with_room.filtered(lambda caf: caf.expires_on and caf.expires_on < today)
        younger = (with_room - expired).filtered(lambda caf: caf.authorized_on > day)
        if expired and not usable:
            return Problem("caf_all_expired", "folios", params | {"date": max(expired.mapped("expires_on"))})
        if younger:
            authorized_on = min(younger.mapped("authorized_on"))
            return Problem("caf_later_than_document", "folios", params | {"date": authorized_on})
        return Problem("caf_used_up", "folios", params | {"count": needed, "available": available})
