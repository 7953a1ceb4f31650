# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from . import controllers, models, report, wizards
from .models.dte_archive_triggers import drop_guards


def uninstall_hook(env):
    """Take away the functions that guard the archive; its tables go with the addon."""
    drop_guards(env.cr)
