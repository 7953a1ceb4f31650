# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..const import ENVIRONMENTS

# The SII notes the repair DTE-1-650 when it receives a document more than so many days after its date.
LATE = timedelta(days=3)
# So long before a month ends its documents leave first: the tax period of a document should not end before it is sent.
MONTH_END = timedelta(days=2)
_STATE_OF = {
    "contingency": "held",
    "unknown": "unknown",
    "retry": "released",
    "to_send": "released",
    "failed": "failed",
}
_DELIVERED = ("sent", "no_answer", "accepted", "objected", "rejected")


class DteContingencyPending(models.Model):
    """One document that an episode of contingency held back, and what became of it.

    It follows the document, which decides alone what is sent and when (see `dte.document`).
    """

    _name = "dte.contingency.pending"
    _description = "Document Held in Contingency"
    _order = "issue_date, id"
    _check_company_auto = True

    episode_id = fields.Many2one("dte.contingency.episode", required=True, readonly=True, ondelete="restrict")
    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="restrict", index=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    dte_type = fields.Char(string="Type Code", required=True, readonly=True)
    folio = fields.Integer(required=True, readonly=True, aggregator=False)
    rut_emisor = fields.Char(string="Issuer RUT", required=True, readonly=True)
    issue_date = fields.Date(required=True, readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    xml_content = fields.Binary(related="document_id.xml_content", string="XML")
    document_state = fields.Selection(related="document_id.state", string="SII Status")
    stored_date = fields.Datetime(string="Held On", required=True, readonly=True, default=fields.Datetime.now)
    state = fields.Selection(
        [
            ("held", "Waiting"),
            ("unknown", "Outcome unknown"),
            ("uploaded", "Sent"),
            ("released", "Left to the retries"),
            ("failed", "Needs attention"),
            ("corrected", "Replaced by a corrected version"),
        ],
        required=True,
        readonly=True,
        default="held",
    )
    uploaded = fields.Boolean(compute="_compute_uploaded", store=True)
    uploaded_date = fields.Datetime(string="Sent On", readonly=True)
    track_id = fields.Char(string="Track ID", readonly=True)
    upload_error = fields.Text(string="Problem", compute="_compute_upload_error")
    urgent = fields.Boolean(compute="_compute_urgent", search="_search_urgent", help="It is late, or late soon.")

    _unique_document = models.UniqueIndex(
        "(document_id, episode_id)", "This document stands in the record of this contingency already."
    )
    _of_episode = models.Index("(episode_id, state)")
    _waiting = models.Index("(company_id, environment, issue_date, id) WHERE state = 'held'")

    @api.depends("document_id")
    def _compute_display_name(self):
        for row in self:
            row.display_name = row.document_id.display_name

    @api.depends("state")
    def _compute_uploaded(self):
        for row in self:
            row.uploaded = row.state == "uploaded"

    @api.depends("document_id.message", "state")
    @api.depends_context("lang", "tz")
    def _compute_upload_error(self):
        for row in self:
            has_problem = row.state != "uploaded" and row.document_id.message_code
            row.upload_error = has_problem and row.document_id.message

    # -- time goes on --

    @api.model
    def _urgent_before(self, company):
        """Return the day before which documents are late, or late soon: more than three days old, of a month that is
        over, or of one that ends within two days."""
        today = company._dte_now().date()
        return max(today - LATE, (today + MONTH_END).replace(day=1))

    @api.depends("issue_date", "company_id", "state")
    def _compute_urgent(self):
        for row in self:
            row.urgent = row.state != "uploaded" and row.issue_date < self._urgent_before(row.company_id)

    @api.model
    def _search_urgent(self, operator, value):
        if operator != "in":
            return NotImplemented
        domains = [
            Domain("company_id", "=", company.id) & Domain("issue_date", "<", self._urgent_before(company))
            for company in self.env.companies
        ]
        return Domain("state", "!=", "uploaded") & Domain.OR(domains)

    # -- figures of what waits now; the documents tell, because they are right at any moment --

    @api.model
    def _waiting_figures(self, company, halves: bool = False) -> tuple:
        """Return how many documents of a company are held, how many of these are urgent, and the oldest date.

        :param halves: count those too that are reserved for a part of a refused envelope, which contingency keeps back
        """
        self.env["dte.document"].flush_model(["state", "company_id", "environment", "issue_date", "split_envio_id"])
        self.env["dte.envio"].flush_model(["state", "company_id", "environment"])
        line = (company.id, company.dte_environment)
        held = SQL(
            "SELECT issue_date FROM dte_document WHERE company_id = %s AND environment = %s AND state = 'contingency'",
            *line,
        )
        reserved = SQL(
            "SELECT d.issue_date FROM dte_document d JOIN dte_envio e ON e.id = d.split_envio_id"
            " WHERE e.company_id = %s AND e.environment = %s AND e.state = 'planned' AND d.state = 'to_send'",
            *line,
        )
        self.env.cr.execute(
            SQL(
                "SELECT count(*), count(*) FILTER (WHERE issue_date < %s), min(issue_date) FROM (%s) waiting",
                self._urgent_before(company),
                SQL("%s UNION ALL %s", held, reserved) if halves else held,
            )
        )
        return self.env.cr.fetchone()

    # -- following the documents --

    @api.model
    def _store(self, documents, episode):
        """Give documents that are being held their rows in the record of an episode."""
        known = self.search([("document_id", "in", documents.ids), ("episode_id", "=", episode.id)])
        again = known.filtered(lambda row: row.state != "held")
        again.write({"state": "held", "track_id": False, "uploaded_date": False})
        self.create(
            [
                {
                    "episode_id": episode.id,
                    "document_id": document.id,
                    "company_id": document.company_id.id,
                    "environment": document.environment,
                    "dte_type": document.dte_type,
                    "folio": document.folio,
                    "rut_emisor": document.issuer_rut,
                    "issue_date": document.issue_date,
                    "move_id": document.move_id.id,
                }
                for document in documents - known.document_id
            ]
        )

    @api.model
    def _follow(self, documents):
        """Make the rows of these documents say what the documents say. The caller holds the documents' locks."""
        concerned = documents.filtered("is_contingency")
        rows = self.search([("document_id", "in", concerned.ids), ("state", "!=", "uploaded")])
        for row in rows:
            values = row._values_of(row.document_id)
            if any(row[name] != value for name, value in values.items()):
                row.write(values)

    def _values_of(self, document) -> dict:
        if document.superseded:
            return {"state": "corrected"}
        if document.state in _DELIVERED:
            envio = document.envio_id
            return {
                "state": "uploaded",
                "track_id": envio.track_id,
                "uploaded_date": envio.answered_at or fields.Datetime.now(),
            }
        return {"state": _STATE_OF.get(document.state, self.state)}

    # -- reading --

    def action_view_invoice(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    def action_view_document(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "dte.document",
            "res_id": self.document_id.id,
            "view_mode": "form",
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The record of a contingency cannot be deleted."))
