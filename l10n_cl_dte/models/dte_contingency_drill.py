# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The drill: an outage that the simulator plays, so that people have seen a contingency before the real one."""

from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from ..libs import simulator_control
from ..libs.exceptions import DteError
from . import dte_messages

MAX_MINUTES = 30


class DteContingency(models.Model):
    _inherit = "dte.contingency"

    def start_drill(self, minutes: int = 2) -> dict:
        """Let the simulator play an outage and call it until the contingency opens by itself. Commits.

        From there on everything goes its usual way: documents are kept, the SII is asked, they leave, and the episode,
        marked as a drill, is recorded.

        :param minutes: how long the outage lasts, 1 to 30
        :return: see `get_status`
        :raises UserError: in another environment than the simulator, or when a contingency is on
        """
        self._check_manager()
        company = self._company()
        self._check_drill(company, minutes)
        contingency = self._of_or_new(company, "simulator")
        contingency._lock()
        try:
            url = company._dte_base_url("simulator")
            simulator_control.play_outage(url, minutes * 60.0)
            contingency.drill_until = fields.Datetime.now() + timedelta(minutes=minutes)
            # The calls below are logged, and judged, in transactions of their own.
            self.env["ir.cron"]._commit_progress()
            for _call in range(company.dte_breaker_failures):
                self._ask_seed(company, "simulator", url, service="login")
        except DteError as error:
            raise UserError(dte_messages.describe_error(self.env, error)) from error
        self.env["ir.cron"]._commit_progress()
        self.env.invalidate_all()
        return self.get_status(company.id)

    def _check_drill(self, company, minutes):
        if company.dte_environment != "simulator":
            raise UserError(
                self.env._(
                    "A drill plays an outage in the simulator: choose the environment Simulator in the settings first. "
                    "The SII itself cannot be made to fail."
                )
            )
        if not 1 <= minutes <= MAX_MINUTES:
            raise UserError(self.env._("A drill lasts 1 to %s minutes.", MAX_MINUTES))
        if not company.dte_breaker_failures:
            raise UserError(
                self.env._("The settings say that contingency never opens by itself: there is nothing to practise.")
            )
        if self._is_on(company):
            raise UserError(self.env._("%s is in contingency already.", company.name))
