# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A private PostgreSQL cluster in .run/pg: own data, socket folder and port; role `odoo`, no password.

It listens on 127.0.0.1 and on a socket in its own folder only. PostgreSQL refuses to run as root: then it runs
as the user `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from dev.common import RUN, Stop, made_whole, need_space, say, tail

LINK = RUN / "pg"
ROLE = "odoo"
# sun_path holds 108 bytes with the closing zero.
SOCKET_PATH_LIMIT = 107

SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 256MB
effective_cache_size = 2GB
random_page_cost = 1.1
max_parallel_workers_per_gather = 0
jit = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 2GB
checkpoint_timeout = 15min
timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
log_min_messages = warning
include 'dev.conf'
"""
ACCESS = f"""
local all {ROLE} trust
host all {ROLE} 127.0.0.1/32 trust
"""


class Cluster:
    """The cluster of this clone. `bin` is the folder of PostgreSQL's programs."""

    def __init__(self, bin_folder: str):
        self.bin = Path(bin_folder)
        self.account = server_account()

    @property
    def home(self) -> Path:
        """The real folder behind .run/pg."""
        return LINK.resolve()

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def port(self) -> int:
        return int((self.home / "port").read_text(encoding="ascii"))

    def pid(self) -> int | None:
        """Process id of the running server of this cluster, None when it does not run.

        A postmaster.pid that is left over may name a process that is somebody else's by now: see owns.
        """
        recorded = self.recorded_pid()
        return recorded if recorded and self.owns(recorded) else None

    def recorded_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="ascii").split("\n")[0])
        except (OSError, ValueError):
            return None

    def owns(self, pid: int | str) -> bool:
        """Whether that process belongs to this server: its processes work in its data folder, others do not."""
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data
        except OSError:
            return False

    def ensure(self) -> None:
        """Make the cluster if there is none, start it if it does not run, apply PG_FSYNC."""
        if not (LINK / "data" / "PG_VERSION").exists():
            self.create()
        if not self.pid():
            self.start()
            return
        self.wait_until_ready()
        if (self.data / "dev.conf").read_text(encoding="utf-8") != self.settings():
            self.write(self.data / "dev.conf", self.settings())
            self.control("reload")

    def create(self) -> None:
        need_space(RUN, 1)
        self.delete()
        make_home(self.account)
        with made_whole(self.data) as part:
            self.give(part)
            options = [
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
            ]
            self.run("initdb", "-D", str(part), *options)
            with (part / "postgresql.conf").open("a", encoding="utf-8") as settings:
                settings.write(SETTINGS)
            self.write(part / "pg_hba.conf", ACCESS)
            self.write(part / "dev.conf", durability())
            # In single-user mode, so that the superuser needs no door in pg_hba.conf.
            self.run(
                "postgres",
                "--single",
                "-D",
                str(part),
                "postgres",
                text=f"CREATE ROLE {ROLE} LOGIN CREATEDB\n",
            )

    def settings(self) -> str:
        folder = str(self.home).replace("'", "''")
        return f"port = {self.port}\nunix_socket_directories = '\"{folder}\"'\n{durability()}"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises Stop with the end of its log."""
        self.keep_port()
        self.write(self.data / "dev.conf", self.settings())
        self.clear_leftovers()
        self.log.touch()
        self.give(self.log)
        try:
            self.control("start", "-w", "-t", "60", "-l", str(self.log))
        except Stop as problem:
            raise Stop(
                f"PostgreSQL does not start.\n{problem}\n{tail(self.log)}\nLog: {self.log}\n"
                "`make clean` removes this cluster and its databases; the next command makes a new one."
            ) from None

    def wait_until_ready(self) -> None:
        """A server that somebody else started just now may still be on its way up."""
        until = time.monotonic() + 60
        command = [str(self.bin / "pg_isready"), "-q", "-h", str(self.home), "-p", str(self.port)]
        while subprocess.run(command, check=False, env=server_environment()).returncode:
            if time.monotonic() > until:
                raise Stop(f"PostgreSQL runs but does not answer.\n{tail(self.log)}\nLog: {self.log}")
            time.sleep(0.1)

    def clear_leftovers(self) -> None:
        """Remove the lock files of a server that was killed, once its last process is gone.

        They name a pid. PostgreSQL takes it for the old server when it is a zombie by now (in a container nobody
        may collect it) or another program of the same user, and then refuses to start.
        """
        until = time.monotonic() + 30
        while any(self.owns(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            if time.monotonic() > until:
                raise Stop(f"Processes of an old PostgreSQL server still use {self.data}.")
            time.sleep(0.02)
        for path in (self.data / "postmaster.pid", *self.home.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)

    def stop(self, mode: str = "fast") -> bool:
        """Stop the server; `immediate` ends it as a crash would. False when it was not running."""
        if not self.pid():
            return False
        self.control("stop", "-w", "-t", "60", "-m", mode)
        return True

    def kill(self) -> None:
        """End the server with SIGKILL and wait until its children are gone: the next start recovers."""
        if pid := self.pid():
            os.kill(pid, signal.SIGKILL)
            self.clear_leftovers()

    def remove(self) -> None:
        """Stop the server and delete all of its files."""
        self.stop("immediate")
        self.delete()

    def delete(self) -> None:
        if LINK.is_symlink():
            shutil.rmtree(self.home, ignore_errors=True)
            LINK.unlink()
        elif LINK.exists():
            shutil.rmtree(LINK)

    def keep_port(self) -> None:
        """Keep the port of last time when it is still free, else choose a free one."""
        kept = self.home / "port"
        if not kept.exists() or not is_free(self.port):
            part = self.home / "port.part"
            part.write_text(str(free_port()), encoding="ascii")
            part.replace(kept)

    def write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        self.give(path)

    def give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def control(self, action: str, *options: str) -> None:
        self.run("pg_ctl", action, "-s", "-D", str(self.data), *options)

    def run(self, program: str, *options: str, text: str = "") -> None:
        """Run one of PostgreSQL's programs as the server's user. Raises Stop with what it printed."""
        with tempfile.TemporaryFile("w+") as output:
            # A file, not a pipe: the server that pg_ctl starts would keep a pipe open for ever.
            done = subprocess.run(
                [str(self.bin / program), *options],
                input=text.encode(),
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                start_new_session=True,
                env=server_environment(),
                **as_user(self.account),
            )
            output.seek(0)
            if done.returncode:
                raise Stop(f"{program} {options[0]} failed (exit code {done.returncode}).\n{output.read().strip()}")


def server_account():
    """The account to run the server as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise Stop(
            "PostgreSQL refuses to run as root and this system has no user `postgres`: "
            "install the system's PostgreSQL package, or run this as an ordinary user."
        ) from None


def as_user(account) -> dict:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def server_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    # The user is for the knocking of pg_ctl and pg_isready: a stranger's would fill the log with refusals.
    return {**kept, "LC_ALL": "C.UTF-8", "PGUSER": ROLE, "PGDATABASE": "postgres"}


def make_home(account) -> None:
    """Make .run/pg, or a folder in /var/tmp behind that name when the server could not use it there."""
    LINK.mkdir(mode=0o700)
    if account:
        os.chown(LINK, account.pw_uid, account.pw_gid)
    too_long = len(os.fsencode(LINK / ".s.PGSQL.65535.lock")) > SOCKET_PATH_LIMIT
    entered = subprocess.run(["test", "-w", str(LINK)], check=False, cwd="/", **as_user(account)).returncode == 0
    if entered and not too_long:
        return
    LINK.rmdir()
    home = Path(tempfile.mkdtemp(prefix="l10n_cl_dte-pg-", dir="/var/tmp"))
    if account:
        os.chown(home, account.pw_uid, account.pw_gid)
    LINK.symlink_to(home)
    why = "its path is too long for a socket" if too_long else "the user postgres cannot enter this clone"
    say(f"  PostgreSQL's files are in {home}, because {why}; `make clean` removes them")


def durability() -> str:
    """Settings that PG_FSYNC=on turns to those of a real server; off is faster, and enough for most tests."""
    value = "on" if os.environ.get("PG_FSYNC") in ("on", "1") else "off"
    return f"fsync = {value}\nsynchronous_commit = {value}\nfull_page_writes = {value}\n"


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
