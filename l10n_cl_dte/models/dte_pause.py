# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..const import ENVIRONMENTS
from . import dte_messages

_ACTIVITY = "l10n_cl_dte.mail_activity_dte"


class DtePause(models.Model):
    """The jobs send nothing for a company until a person has looked: the SII refuses the sender, not the documents.

    A row is inserted beside the result of an upload and never locked by it; any number of open rows is one pause. Who
    presses Send DTE has looked, and ends it.
    """

    _name = "dte.pause"
    _description = "Pause in Sending Electronic Documents"
    _order = "id desc"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    environment = fields.Selection(ENVIRONMENTS, required=True, readonly=True)
    envio_id = fields.Many2one("dte.envio", string="Envelope", readonly=True, ondelete="restrict")
    message_code = fields.Char(required=True, readonly=True)
    message_params = fields.Json(readonly=True)
    message = fields.Text(compute="_compute_message")
    told = fields.Boolean(readonly=True)
    resumed_at = fields.Datetime(string="Resumed On", readonly=True)
    resumed_by = fields.Many2one("res.users", readonly=True, ondelete="set null")

    _open = models.Index("(company_id, environment) WHERE resumed_at IS NULL")

    @api.depends("message_code", "message_params")
    @api.depends_context("lang")
    def _compute_message(self):
        for pause in self:
            pause.message = dte_messages.describe(
                self.env, dte_messages.ERRORS, pause.message_code, pause.message_params
            )

    @api.model
    def _begin(self, company, environment, error_code: str, params: dict, envio=None):
        """Pause a company in an environment because of an error of configuration; once for the same cause."""
        if error_code in self._open_ones(company, environment).mapped("message_code"):
            return
        self.create(
            {
                "company_id": company.id,
                "environment": environment,
                "envio_id": envio.id if envio else False,
                "message_code": error_code,
                "message_params": params or False,
            }
        )

    @api.model
    def _open_ones(self, company, environment):
        # sudo: that sending is paused, and why, is told to everybody who sees a document
        return self.sudo().search(
            [("company_id", "=", company.id), ("environment", "=", environment), ("resumed_at", "=", False)]
        )

    @api.model
    def _is_paused(self, company, environment) -> bool:
        return bool(self._open_ones(company, environment))

    @api.model
    def _resume(self, company, environment):
        """End the pause of a company, because a person sends."""
        self._open_ones(company, environment)._end()

    def _end(self):
        self.write({"resumed_at": fields.Datetime.now(), "resumed_by": self.env.uid})
        self.company_id.partner_id.activity_unlink([_ACTIVITY])

    def action_resume(self):
        """Let the jobs send again."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(self.env._('You need the role "Electronic documents: user" to resume sending.'))
        self.check_access("read")
        # sudo: nobody has the right to write pauses; ending one is the only thing that people may do
        self.sudo()._end()

    @api.model
    def _tell_left_over(self):
        """Call a person for each company that is paused: one open activity on the company's contact."""
        for pause in self.search([("told", "=", False), ("resumed_at", "=", False)]).try_lock_for_update():
            company = pause.company_id
            partner = company.partner_id
            if not partner.activity_search([_ACTIVITY]):
                responsible = company._dte_responsible()
                env = self.env(context={**self.env.context, "lang": responsible.lang})
                partner.activity_schedule(
                    _ACTIVITY,
                    summary=env._("Electronic documents: sending is paused"),
                    note=Markup("<p>%s</p>") % pause.with_env(env).message,
                    user_id=responsible.id,
                )
            pause.told = True
