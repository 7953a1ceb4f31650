# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make demo`: a database with the addon, a simulator, one document of each type, and Odoo to see them."""

from __future__ import annotations

import os
import secrets
import shutil

from dev import databases, odoo_server, simulator
from dev.common import LOG, ROOT, RUN, Stop, flag, locked, say, tail
from dev.env import Env
from dev.postgres import is_free

DATABASE = "demo"
SCRIPT = ROOT / "dev" / "demo_issue.py"
PASSWORD = RUN / "demo-password"
ARCHIVE = RUN / "demo-archive"
GIVE_ADMIN_ITS_OWN = """
import os
env.ref("base.user_admin").password = os.environ["DTE_DEMO_PASSWORD"]
env.cr.commit()
"""


def demo(env: Env) -> int:
    """Issue, print the table, write .run/demo.json; then serve Odoo until Ctrl-C unless ONCE=1."""
    port = int(os.environ.get("PORT") or 8069)
    if not SCRIPT.exists():
        raise Stop(f"{SCRIPT.relative_to(ROOT)} does not exist.")
    if not flag("ONCE") and not is_free(port):
        raise Stop(f"Port {port} is taken by another program. Choose one: make demo PORT=8070")
    with locked(RUN / "demo.lock"):
        keep = flag("KEEP") and DATABASE in databases.names(env) and PASSWORD.exists()
        if not keep:
            prepare(env)
        with simulator.running(env, "demo-simulator", RUN / "demo-simulator", keep) as url:
            code = issue(env, url)
            return code if flag("ONCE") or code else serve(env, port, url)


def prepare(env: Env) -> None:
    """A fresh database whose user admin has a password made for it."""
    databases.create(env, DATABASE)
    # The archive of another database: its documents have the same folios.
    shutil.rmtree(ARCHIVE, ignore_errors=True)
    PASSWORD.touch(mode=0o600)
    PASSWORD.write_text(secrets.token_urlsafe(9), encoding="ascii")
    if databases.run_code(env, DATABASE, GIVE_ADMIN_ITS_OWN, DTE_DEMO_PASSWORD=PASSWORD.read_text(encoding="ascii")):
        raise Stop("The password of the demo's user could not be set; see the lines above.")


def issue(env: Env, url: str) -> int:
    """Run dev/demo_issue.py; its exit code."""
    result = RUN / "demo.json"
    result.unlink(missing_ok=True)
    log = LOG / "demo-issue.log"
    ARCHIVE.mkdir(exist_ok=True)
    variables = {"DTE_SIMULATOR_URL": url, "DTE_DEMO_RESULT": str(result), "DTE_DEMO_ARCHIVE": str(ARCHIVE)}
    code = databases.run_script(env, DATABASE, SCRIPT, log, **variables)
    if code:
        say(f"The demo failed (exit code {code}).\n{tail(log, 40)}\nFull log: {log}")
    elif not result.exists():
        raise Stop(f"The demo ended well but wrote no {result.relative_to(ROOT)}.")
    return code


def serve(env: Env, port: int, url: str) -> int:
    """Serve the database with its scheduled jobs until Ctrl-C; Odoo's exit code when it ends by itself."""
    try:
        with odoo_server.running(env, "demo-odoo", DATABASE, url, port=port) as server:
            say(
                f"\nOdoo:       http://localhost:{port}\nuser:       admin\n"
                f"password:   {PASSWORD.read_text(encoding='ascii')}\nsimulator:  {url}\n"
                f"log:        {server.log.relative_to(ROOT)}\nCtrl-C ends it."
            )
            return server.process.wait()
    except KeyboardInterrupt:
        say("\nstopping")
        return 0
