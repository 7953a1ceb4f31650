# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run in Odoo's shell: post the drafts of one journal one by one, each in the request loop that Odoo gives a user.

Waits for the starting signal (an advisory lock that the test holds), so that several of these run at once. Writes how
often Odoo had to run a request again, which a user would not see, to RESULT_FILE.
"""

import json
import os
from pathlib import Path

from odoo.service.model import retrying

START = 77


def main(env):
    drafts = json.loads(Path(os.environ["DRAFTS_FILE"]).read_text())[int(os.environ["JOURNAL"])]
    calls = 0
    env["account.move"].browse(drafts[0]).display_name  # noqa: B018 - load the registry before the race
    env.cr.rollback()
    env.cr.execute("SELECT pg_advisory_lock_shared(%s)", [START])
    env.cr.commit()
    for move_id in drafts:

        def request(move_id=move_id):
            nonlocal calls
            calls += 1
            env["account.move"].browse(move_id).action_post()

        retrying(request, env)
        env.cr.commit()
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps({"posted": len(drafts), "replays": calls - len(drafts)}))


main(env)  # noqa: F821 - Odoo's shell defines it
