# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import format_date

from ..const import INVOICE_TYPES
from ..models.dte_contingency import REASONS

# A type whose folios are fewer than this, or than a tenth of what was authorised, is announced.
FEW_FOLIOS = 20
FEW_PART = 10
WARN_DAYS = 30


class ContingencyWizard(models.TransientModel):
    """Where a person sees the contingency of a company, turns it on and off, and uploads what waits.

    It holds nothing: what it shows and what it does is `dte.contingency`. Opening it reads counts and asks nobody; its
    widgets ask the SII and upload from the browser, one batch a call, so that a long upload can be left and taken up
    again.
    """

    _name = "contingency.wizard"
    _description = "Contingency"

    company_id = fields.Many2one("res.company", required=True, readonly=True, default=lambda self: self.env.company)
    environment = fields.Selection(related="company_id.dte_environment")
    step = fields.Selection(
        [("status", "Status"), ("disable", "Documents wait: what becomes of them?")], required=True, default="status"
    )
    is_uploading = fields.Boolean(help="The upload goes on as soon as the wizard is open.")
    is_enabled = fields.Boolean(compute="_compute_status")
    is_automatic = fields.Boolean(compute="_compute_status")
    is_drill = fields.Boolean(compute="_compute_status")
    status_text = fields.Text(compute="_compute_status")
    waiting = fields.Integer(string="Documents That Wait", compute="_compute_status")
    urgent = fields.Integer(compute="_compute_status")
    folio_text = fields.Text(compute="_compute_folio_text")
    is_manager = fields.Boolean(compute="_compute_is_manager")
    reason = fields.Selection(REASONS, required=True, default="manual")
    comment = fields.Char()
    batch_size = fields.Integer(string="Documents per Envelope", required=True, default=50)
    drill_minutes = fields.Integer(string="Minutes", required=True, default=2)

    _batch_size_bounds = models.Constraint(
        "CHECK (batch_size BETWEEN 1 AND 500)", "An envelope holds 1 to 500 documents."
    )
    _drill_minutes_bounds = models.Constraint(
        "CHECK (drill_minutes BETWEEN 1 AND 30)", "A drill lasts 1 to 30 minutes."
    )

    # -- what it shows --

    @api.depends("company_id")
    @api.depends_context("lang", "tz")
    def _compute_status(self):
        for wizard in self:
            status = wizard._contingency().get_status(wizard.company_id.id)
            wizard.is_enabled = status["enabled"]
            wizard.is_automatic = status["automatic"]
            wizard.is_drill = status["drill"]
            wizard.status_text = status["message"]
            wizard.waiting = status["waiting"]
            wizard.urgent = status["urgent"]

    @api.depends("company_id")
    @api.depends_context("uid")
    def _compute_is_manager(self):
        self.is_manager = self.env.user.has_group("l10n_cl_dte.group_dte_manager")

    @api.depends("company_id")
    @api.depends_context("lang")
    def _compute_folio_text(self):
        for wizard in self:
            texts = [wizard._folio_text(dte_type) for dte_type in INVOICE_TYPES]
            wizard.folio_text = "\n".join(filter(None, texts))

    def _folio_text(self, dte_type: str) -> str:
        """Return what is to be done about the folios of a type for documents that are not signed yet, or nothing."""
        company = self.company_id
        cafs = self.env["dte.caf"].search(
            [
                ("company_id", "=", company.id),
                ("environment", "=", company.dte_environment),
                ("dte_type", "=", dte_type),
            ]
        )
        if not cafs:
            return ""
        name = cafs[0].document_type_id.name or dte_type
        usable = self.env["dte.caf"]._usable(company, dte_type, company._dte_now().date())
        last = usable._last_used_in_ranges()
        free = {caf: caf.folio_to - last[caf.id] for caf in usable if last[caf.id] < caf.folio_to}
        if not free:
            return self.env._("%s: there are no folios left. Load a CAF, or nothing more can be confirmed.", name)
        count, size = sum(free.values()), sum(caf.folio_to - caf.folio_from + 1 for caf in free)
        if count < max(FEW_FOLIOS, size / FEW_PART):
            return self.env._("%(type)s: %(count)s folios are left.", type=name, count=count)
        limit = max(caf.expires_on or fields.Date.to_date("9999-12-31") for caf in free)
        if (limit - company._dte_now().date()).days < WARN_DAYS:
            return self.env._(
                "%(type)s: its %(count)s folios serve until %(date)s. Signed documents are not concerned.",
                type=name, count=count, date=format_date(self.env, limit),
            )  # fmt: skip
        return ""

    # -- what it does --

    def action_enable(self):
        """Turn the contingency on; take one over that opened by itself."""
        self._check_manager()
        self._contingency().enable_contingency(self.reason, self.comment)
        return self._reopened()

    def action_disable(self):
        """Turn the contingency off when nothing waits; otherwise ask what becomes of the documents."""
        self._check_manager()
        if self._contingency().get_status(self.company_id.id)["waiting"]:
            return self._reopened(step="disable")
        self._contingency().disable_contingency()
        return self._reopened()

    def action_disable_and_send(self):
        """Turn the contingency off and upload what waits."""
        self._check_manager()
        self._contingency().disable_contingency()
        return self._reopened(is_uploading=True)

    def action_disable_and_leave(self):
        """Turn the contingency off and leave what waits to the automatic sending."""
        self._check_manager()
        self._contingency().disable_contingency()
        return self._reopened()

    def action_back(self):
        return self._reopened()

    def action_open_pending(self):
        """Open the list of the documents that wait."""
        return self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_contingency_pending_action")

    def action_start_drill(self):
        """Play an outage with the simulator."""
        self._check_manager()
        self._contingency().start_drill(self.drill_minutes)
        return self._reopened()

    def _contingency(self):
        return self.env["dte.contingency"].with_company(self.company_id)

    def _check_manager(self):
        self.ensure_one()
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        self.check_access("write")

    def _reopened(self, **values):
        """Return the action that shows the wizard as things are now."""
        self.write({"step": "status", "is_uploading": False, **values})
        self.invalidate_recordset()
        action = self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.contingency_wizard_action")
        return {**action, "res_id": self.id}
