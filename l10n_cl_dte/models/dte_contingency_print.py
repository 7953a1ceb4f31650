# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models


class DteContingencyEpisode(models.Model):
    _inherit = "dte.contingency.episode"

    def action_print(self):
        """Return the download of the incident report."""
        self.check_access("read")
        # The report does not use the company's layout, so nobody has to choose one first.
        return self.env.ref("l10n_cl_dte.action_report_contingency").report_action(self, config=False)
