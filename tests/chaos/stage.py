# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a run stands on: its database, the simulator, and Odoo with several processes, which is started again like a
supervisor would when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev import databases, odoo_server, processes, simulator
from dev.common import LOG, RUN, Stop, locked, tail
from dev.env import Env
from dev.postgres import Cluster, free_port
from tests.chaos import holds, queue
from tests.chaos.database import Database
from tests.chaos.plan import USERS, company_of
from tests.chaos.rpc import Browser, Sii

NAME = "chaos"
ARCHIVE = RUN / "chaos-archive"
HERE = Path(__file__).parent
# A copied database believes that what its sequences logged ahead in the template is in its own log, and after a crash
# they would count from where they were (seen with PostgreSQL 15).
SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, last_value)
FROM pg_sequences WHERE last_value IS NOT NULL
"""
STRANGERS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
AND datname NOT IN (%s, 'postgres') AND pid != pg_backend_pid()
"""


@dataclass(frozen=True)
class Sizes:
    """How big the stage is: documents in an envelope of each company, and processes of Odoo that serve users.

    By default small enough that a few envelopes are needed, and that halving one takes few steps.
    """

    envios: tuple[int, int] = (20, 6)
    workers: int = 3


class Stage:
    """The running programs. `told` is what tests/chaos/prepare.py found: ids of companies, journals, customers."""

    def __init__(self, env: Env, url: str, control: str, told: dict, workers: int, has_queue: bool = False):
        self.env = env
        # Whether OCA's job runner is at work beside Odoo's scheduler.
        self.has_queue = has_queue
        self._workers = workers
        self.url = url
        self.told = told
        self.database = Database(env, NAME)
        self._postgres = Database(env, "postgres")
        self.sii = Sii(control)
        self.port = free_port()
        self.odoo_starts = 0
        # When Odoo's connections were cut last, on the monotonic clock.
        self.dropped_at = -1000.0
        self._cluster = Cluster(env.pg_bin)
        self._process = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    # -- Odoo --

    def start_odoo(self) -> None:
        self._start()
        self._watcher.start()
        log = LOG / "chaos-odoo.log"
        odoo_server.wait_until_served(self._process, f"http://127.0.0.1:{self.port}/web/login", log)

    def _start(self):
        command = databases.serve_command(self.env, NAME, self.port, "--gevent-port", str(free_port()))
        # By TCP, so that the port of a connection tells whose it is.
        command += ["--db_host", "127.0.0.1"]
        workers, variables = self._workers, {"DTE_SIMULATOR_URL": self.url}
        if self.has_queue:
            command += queue.OPTIONS
            workers += queue.CAPACITY
            variables |= queue.VARIABLES
        command += ["--workers", str(workers), "--max-cron-threads", "2"]
        with (LOG / "chaos-odoo.log").open("a") as output:
            self._process = subprocess.Popen(
                command,
                cwd=RUN,
                env=self.env.variables(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        processes.remember("chaos-odoo", self._process)
        self.odoo_starts += 1

    def _watch(self):
        while not self._stopping.wait(0.3):
            if self._process.poll() is not None:
                # Its workers notice that it is gone only after a while and would keep the port.
                self._kill_group()
                self._start()

    def _kill_group(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def is_worker(self, pid: int) -> bool:
        """Tell whether a process is one that our Odoo has forked."""
        try:
            return os.getpgid(pid) == self._process.pid != pid
        except ProcessLookupError:
            return False

    def stop_odoo(self) -> None:
        self._stopping.set()
        self._watcher.join()
        processes.end(self._process.pid, 10)
        self._kill_group()
        self._process.wait()
        processes.stop("chaos-odoo")

    def close(self) -> None:
        self.database.close()
        self._postgres.close()

    # -- users --

    def browser(self, login: str) -> Browser:
        url = f"http://127.0.0.1:{self.port}"
        return Browser(url, NAME, login, self.told["passwords"][login])

    def company(self, user: int) -> dict:
        return self.told["companies"][company_of(user)]

    def kills_by_sii(self) -> int:
        """Count the processes that the simulator has killed: its log tells whether there was one."""
        log = (LOG / "chaos-simulator.log").read_text(encoding="utf-8")
        return len(re.findall(r"event=kill pid=\d+ found=yes", log))

    # -- PostgreSQL --

    def restart_postgres(self, mode: str) -> None:
        """Stop and start the clone's own cluster. Waits until no other command uses it."""
        until = time.monotonic() + 60
        with locked(databases.LOCK):
            while self.database.value(STRANGERS, NAME):
                if time.monotonic() > until:
                    raise Stop("Another command uses PostgreSQL here; `make chaos` restarts it. Run it alone.")
                time.sleep(0.5)
            self._cluster.stop(mode)
            self._cluster.start()
        self.dropped_at = time.monotonic()

    def drop_connections(self) -> None:
        """End every connection of Odoo, as a network that fails or an administrator does."""
        self.database.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'odoo-%'"
        )
        self.dropped_at = time.monotonic()

    def wake_crons(self) -> None:
        """Tell Odoo's cron processes that there is work; they listen in the database `postgres`."""
        self._postgres.run("SELECT pg_notify('cron_trigger', %s)", NAME)

    def wake_runner(self) -> None:
        """Let the job runner look for jobs whose process died, which it does every minute by itself."""
        self.database.run(queue.POKE)


@contextlib.contextmanager
def opened(env: Env, documents: int, sizes: Sizes, has_queue: bool = False) -> Iterator[Stage]:
    """A fresh database, the simulator and Odoo for the time of the block. One run at a time in a clone."""
    LOG.mkdir(parents=True, exist_ok=True)
    end_leftovers()
    (LOG / "chaos-odoo.log").unlink(missing_ok=True)
    data = RUN / "chaos-simulator"
    shutil.rmtree(ARCHIVE, ignore_errors=True)
    ARCHIVE.mkdir()
    databases.create(env, NAME, databases.QUEUE_ADDON if has_queue else databases.ADDON)
    try:
        # The cluster runs with synchronous_commit off; a crash of PostgreSQL may not lose what was committed here.
        databases.sql(env, 'ALTER DATABASE :"name" SET synchronous_commit = on', name=NAME)
        databases.sql(env, SEQUENCES, NAME)
        with simulator.running(env, "chaos-simulator", data) as url:
            told = prepare(env, documents, url, sizes.envios)
            control = json.loads((data / "server.json").read_text(encoding="utf-8"))["control"]
            stage = Stage(env, url, control, told, sizes.workers, has_queue)
            holds.install(stage.database)
            try:
                stage.start_odoo()
                yield stage
            finally:
                stage.stop_odoo()
                stage.close()
    finally:
        Cluster(env.pg_bin).ensure()
        if "KEEP" not in os.environ:
            databases.drop(env, NAME)


def end_leftovers() -> None:
    """End what an aborted run left: Odoo's processes form a group, which outlives its first process."""
    pid = processes.remembered("chaos-odoo")
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    processes.stop("chaos-odoo")


def prepare(env: Env, documents: int, url: str, envio_sizes: tuple[int, int]) -> dict:
    logins = [f"user_{company_of(user)}_{user}" for user in range(USERS)] + ["manager_0", "manager_1"]
    path = RUN / "chaos-stage.json"
    path.touch(mode=0o600)
    told = {
        "documents": documents,
        "url": url,
        "archive": str(ARCHIVE),
        "envio_sizes": envio_sizes,
        "passwords": {login: secrets.token_urlsafe(9) for login in logins},
    }
    path.write_text(json.dumps(told), encoding="utf-8")
    log = LOG / "chaos-prepare.log"
    if databases.run_script(env, NAME, HERE / "prepare.py", log, CHAOS_FILE=str(path), DTE_SIMULATOR_URL=url):
        raise Stop(f"The companies could not be set up.\n{tail(log, 40)}\nFull log: {log}")
    return json.loads(path.read_text(encoding="utf-8"))
