# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The parts of the simulator, put together over one data folder."""

import fcntl
import os
import signal
import threading

from .authority import Authority
from .clock import Clock
from .database import Database
from .engine import Engine
from .errors import UsageError
from .faults import Faults
from .ledger import Ledger
from .registry import Registry
from .result_mail import open_box
from .schemas import Schemas
from .sessions import Sessions
from .settings import Settings


class Store:
    """What lives in the data folder: ledger, registry, authority, clock and settings. Enough for the commands."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database = Database(folder / "ledger.sqlite")
        self.clock = Clock(self.database)
        self.settings = Settings(self.database)
        self.authority = Authority(folder / "authority", self.clock)
        self.registry = Registry(self.database)
        self.ledger = Ledger(self.database)

    def close(self):
        self.database.close()


class Simulator(Store):
    """A store that serves: sessions, schemas, faults and the engine that judges envelopes."""

    def __init__(self, folder, schemas_folder, seed):
        super().__init__(folder)
        self._lock = _own(folder)
        self.schemas = Schemas(schemas_folder)
        self.sessions = Sessions(self.database, self.clock, self.settings, self.authority)
        self.faults = Faults(self.clock, seed)
        self.engine = Engine(self)
        self.stopping = threading.Event()
        self.failed = False

    def start(self):
        self.engine.start()

    def stop(self):
        self.stopping.set()
        self.engine.stop()
        self.close()

    def abort(self):
        """Ends the server after a defect of its own."""
        self.failed = True
        os.kill(os.getpid(), signal.SIGTERM)

    def reset(self):
        """Forgets ledger, registry, tokens, faults, clock, settings and mails; the authority stays."""
        with self.engine.paused():
            self.database.erase()
            self.clock.reset()
            self.settings.reset()
            self.faults.clear()
            open_box(self).clear()


def _own(folder):
    """The open lock file of a folder, which only one server may serve; the lock ends with the process."""
    file = (folder / "serve.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"another simulator serves {folder}: stop it, or use another --data") from error
    return file
