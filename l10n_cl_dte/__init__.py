# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.http import request

from . import controllers, models, report, wizards
from .models.dte_archive_triggers import drop_guards


def post_init_hook(env):
    """Lead the person who installs in the browser to the setup screen; elsewhere nobody waits for it."""
    if request:
        env.ref("l10n_cl_dte.dte_setup_todo").state = "open"


def uninstall_hook(env):
    """Take away the functions that guard the archive; its tables go with the addon."""
    drop_guards(env.cr)
