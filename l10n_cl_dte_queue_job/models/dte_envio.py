# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The places where the addon wakes Odoo's scheduler: here it asks for a job instead."""

from datetime import timedelta

from odoo import api, fields, models

# So much later the scheduler looks for what the runner did not do: it may be busy, stopped, or not set up at all.
NET = timedelta(minutes=1)


class DteEnvio(models.Model):
    _inherit = "dte.envio"

    @api.model
    def _wake_job(self, companies, at=None):
        # EXTENDS l10n_cl_dte
        companies._dte_enqueue_after_commit("_dte_job_send", at)
        return super()._wake_job(companies, (at or fields.Datetime.now()) + NET)

    @api.model
    def _wake_poller(self, company, at):
        # EXTENDS l10n_cl_dte
        company._dte_enqueue_after_commit("_dte_job_ask", at)
        return super()._wake_poller(company, at + NET)
