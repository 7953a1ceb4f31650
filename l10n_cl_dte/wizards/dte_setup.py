# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import UserError

TEST_RECEIVER = "60803000-K"
# State of a test document that the SII still has to judge.
OPEN = ("to_send", "sending", "sent", "unknown", "retry", "no_answer", "contingency")
# Of these, those that the SII is asked about; the others are sent.
ASKED = ("sent", "unknown", "sending", "no_answer")


class DteSetup(models.TransientModel):
    """The screen of the first day: what is there, what is missing, and the way to it."""

    _name = "dte.setup"
    _description = "Setup of Electronic Documents"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    environment = fields.Selection(related="company_id.dte_environment")
    line_ids = fields.One2many("dte.setup.line", "setup_id", readonly=True)
    missing = fields.Integer(compute="_compute_counts")
    warnings = fields.Integer(compute="_compute_counts")

    @api.depends("line_ids.state")
    def _compute_counts(self):
        for setup in self:
            setup.missing = len(setup.line_ids.filtered(lambda line: line.state == "missing"))
            setup.warnings = len(setup.line_ids.filtered(lambda line: line.state == "warning"))

    @api.depends("company_id")
    def _compute_display_name(self):
        for setup in self:
            setup.display_name = self.env._("Setup: %s", setup.company_id.name)

    @api.model
    def _open(self):
        """Return the action that shows the screen for the current company, checked now."""
        setup = self.create({})
        setup._refresh()
        return setup._action()

    def _action(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Setup of Electronic Documents"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "current",
        }

    def web_read(self, specification):
        # Whoever comes back from where something was filled in reads what is there now.
        for setup in self.exists():
            setup._refresh()
        return super().web_read(specification)

    # It writes what it has checked, so it is not for a replica of the database that only reads.
    web_read._readonly = False

    def _refresh(self):
        lines = {line.code: line for line in self.line_ids}
        for number, found in enumerate(self.env["dte.setup.checks"]._run(self.company_id)):
            values = {"sequence": number, **found}
            line = lines.get(found["code"])
            if line:
                line.write(values)
            else:
                self.line_ids = [(0, 0, values)]

    def action_refresh(self):
        """Check everything again."""
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        self._refresh()
        return True


class DteSetupLine(models.TransientModel):
    """One check and what came out of it."""

    _name = "dte.setup.line"
    _description = "Setup Check"
    _order = "sequence, id"

    setup_id = fields.Many2one("dte.setup", required=True, ondelete="cascade", index=True)
    sequence = fields.Integer()
    code = fields.Char(required=True, readonly=True)
    name = fields.Char(compute="_compute_name")
    state = fields.Selection([("ok", "In order"), ("warning", "Look at it"), ("missing", "Missing")], readonly=True)
    text = fields.Char(readonly=True)
    is_waiting = fields.Boolean(compute="_compute_is_waiting")

    @api.depends("code", "state")
    def _compute_is_waiting(self):
        for line in self:
            line.is_waiting = line.code == "test" and line._open_test().dte_status in ASKED

    @api.depends("code")
    @api.depends_context("lang")
    def _compute_name(self):
        checks = self.env["dte.setup.checks"]._checks()
        for line in self:
            line.name = line.code in checks and self.env._(checks[line.code])

    def _company(self):
        return self.setup_id.company_id

    def action_go(self):
        """Open what this check is about, or do what it asks for."""
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        code = "caf" if self.code.startswith("caf_") else self.code
        return getattr(self, f"_go_{code}")()

    # -- places --

    def _go_company(self):
        return self._form("res.company", self._company().id)

    _go_rut = _go_company

    def _go_environment(self):
        return self._settings("dte_environment")

    def _go_giro(self):
        if self.env.user.has_group("base.group_system"):
            return self._settings("dte_company")
        # Managers may not open the settings, but this stands on the company's contact too.
        action = self._form("res.partner", self._company().partner_id.id)
        return self._show(action, "l10n_cl_activity_description")

    def _go_activities(self):
        return self._settings("dte_company")

    _go_office = _go_activities

    def _go_resolution(self):
        return self._settings("dte_resolution")

    def _go_certificate(self):
        self._check_administrator()
        return self._go_caf()

    def _go_caf(self):
        action = self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_files_load_action")
        return {**action, "context": {"default_company_id": self._company().id}}

    def _go_journal(self):
        domain = [("type", "=", "sale"), ("company_id", "=", self._company().id)]
        journals = self.env["account.journal"].search(domain, limit=2)
        if len(journals) == 1:
            return self._show(self._form("account.journal", journals.id), "dte_enabled")
        action = self.env["ir.actions.act_window"]._for_xml_id("account.action_account_journal_form")
        return {**action, "domain": domain}

    def _go_taxes(self):
        if self.state == "missing":
            return self._settings("chart_template")
        return self.env["ir.actions.act_window"]._for_xml_id("account.action_tax_form")

    def _go_mail_out(self):
        if not self._company().email:
            return self._show(self._go_company(), "email")
        self._check_administrator()
        return self.env["ir.actions.act_window"]._for_xml_id("base.action_ir_mail_server_list")

    def _go_mail_in(self):
        if not self._company().alias_domain_id:
            return self._settings("alias_domain_id", "base_setup.action_general_configuration")
        if not self._company().dte_mail_address:
            return self._settings("dte_mail_alias_name")
        self._check_administrator()
        return self.env["ir.actions.act_window"]._for_xml_id("mail.action_email_server_tree")

    def _go_archive(self):
        return self._settings("dte_archive")

    def _go_jobs(self):
        self._check_administrator()
        action = self.env["ir.actions.act_window"]._for_xml_id("base.ir_cron_act")
        domain = [("model_id.model", "=like", "dte.%"), ("active", "in", (True, False))]
        return {**action, "domain": domain, "context": {}}

    def _form(self, model: str, record_id: int) -> dict:
        return {"type": "ir.actions.act_window", "res_model": model, "res_id": record_id, "views": [(False, "form")]}

    def _settings(self, field: str, action: str = "account.action_account_config") -> dict:
        self._check_administrator()
        # The settings are those of the company that the reader works in.
        if self._company() != self.env.company:
            raise UserError(self.env._("Change to the company %s first.", self._company().name))
        return self._show(self.env["ir.actions.act_window"]._for_xml_id(action), field)

    def _show(self, action: dict, field: str) -> dict:
        return {
            "type": "ir.actions.client",
            "tag": "l10n_cl_dte.show_field",
            "params": {"action": action, "field": field},
        }

    def _check_administrator(self):
        if not self.env.user.has_group("base.group_system"):
            raise UserError(self.env._("This is set by an administrator. Ask yours."))

    # -- the test document --

    def _go_test(self):
        """Issue a test document and send it, or ask about the one that waits. Commits."""
        company = self._company()
        if company.dte_environment == "production":
            raise UserError(self.env._("A test document is never issued in production: it would be a real one."))
        move = self._open_test()
        if move:
            result = move.action_dte_status() if move.dte_status in ASKED else move.action_send_to_sii()
        else:
            move = self._issue_test(company)
            result = move.action_send_to_sii()
        self.setup_id._refresh()
        return result

    def _open_test(self):
        """Return the test document of this environment that has no verdict yet, empty when there is none."""
        company = self._company()
        return company.dte_test_move_id.filtered(
            lambda move: move.dte_environment == company.dte_environment and move.dte_status in OPEN
        )

    def _issue_test(self, company):
        """Post an invoice of a few pesos to the SII itself, in a journal of its own."""
        document_type = self.env["l10n_latam.document.type"].search(
            [("code", "=", "33"), ("country_id.code", "=", "CL")], limit=1
        )
        journal = self._test_journal(company)
        line = {
            "name": self.env._("Test document"),
            "quantity": 1,
            "price_unit": 100,
            "tax_ids": [(6, 0, company.account_sale_tax_id.ids)],
        }
        move = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "journal_id": journal.id,
                "partner_id": self._test_receiver().id,
                "invoice_date": company._dte_now().date(),
                "l10n_latam_document_type_id": document_type.id,
                "invoice_line_ids": [(0, 0, line)],
            }
        )
        move.action_post()
        # sudo: a note for this screen; managers may not write companies
        company.sudo().dte_test_move_id = move
        self.env["ir.cron"]._commit_progress()
        return move

    def _test_journal(self, company):
        """Return a journal for test documents: the first document binds a journal to its environment for ever."""
        name = self.env._("Test documents (%s)", self.env["dte.setup.checks"]._environment_label(company))
        code = {"simulator": "TSIM", "certification": "TCER"}[company.dte_environment]
        journals = self.env["account.journal"].with_company(company)
        own = journals.search([("company_id", "=", company.id), ("code", "=", code), ("dte_enabled", "=", True)])
        if own:
            return own[0]
        sales = journals.search([("company_id", "=", company.id), ("type", "=", "sale")], limit=1)
        if not sales:
            raise UserError(self.env._("The company has no sales journal. Load the Chilean chart of accounts first."))
        return journals.create(
            {
                "name": name,
                "code": code,
                "type": "sale",
                "company_id": company.id,
                "default_account_id": sales.default_account_id.id,
                "l10n_latam_use_documents": True,
                "dte_enabled": True,
                "show_on_dashboard": False,
            }
        )

    def _test_receiver(self):
        partners = self.env["res.partner"]
        # One that Odoo brings has no address, which an invoice needs.
        found = partners.search(
            [("vat", "=", TEST_RECEIVER), ("street", "!=", False), ("l10n_cl_activity_description", "!=", False)],
            limit=1,
        )
        return found or partners.create(
            {
                "name": "Servicio de Impuestos Internos",
                "is_company": True,
                "vat": TEST_RECEIVER,
                "country_id": self.env.ref("base.cl").id,
                "l10n_latam_identification_type_id": self.env.ref("l10n_cl.it_RUT").id,
                "l10n_cl_sii_taxpayer_type": "1",
                "l10n_cl_activity_description": "Administración pública",
                "street": "Teatinos 120",
                "dte_comuna": "Santiago",
                "city": "Santiago",
            }
        )
