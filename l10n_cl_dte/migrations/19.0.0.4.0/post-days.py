# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The overview, the alerts and the monitoring read summed up days; those that passed before this version have none."""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Let the job sum them up as soon as jobs run again, rather than in the coming night."""
    api.Environment(cr, SUPERUSER_ID, {}).ref("l10n_cl_dte.ir_cron_daily")._trigger()
