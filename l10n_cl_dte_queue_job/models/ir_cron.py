# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import time

from odoo import api, models

# Key of the context: when the turn of a job ends, on the monotonic clock.
DEADLINE = "l10n_cl_dte_job_deadline"


class IrCron(models.Model):
    _inherit = "ir.cron"

    @api.model
    def _commit_progress(self, processed=0, *, remaining=None, deactivate=False):
        # EXTENDS base: what runs in one of our jobs has a time limit too.
        left = super()._commit_progress(processed, remaining=remaining, deactivate=deactivate)
        deadline = self.env.context.get(DEADLINE)
        return left if deadline is None else min(left, max(deadline - time.monotonic(), 0))
