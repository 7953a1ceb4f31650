# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).


def uninstall_hook(env):
    """Take away what was made for each company: jobs that nobody could run, and channels that would keep ours."""
    channel = env.ref("l10n_cl_dte_queue_job.channel")
    own = env["queue.job.channel"].search([("parent_id", "=", channel.id)])
    names = own.mapped("complete_name")
    env["queue.job"].search([("channel", "in", names), ("state", "not in", ("started", "done", "cancelled"))]).unlink()
    own.unlink()
