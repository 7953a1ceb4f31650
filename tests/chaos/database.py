# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The runner's own connections to its database; they come back after a restart of the server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg2
import psycopg2.extras

from dev.env import Env

PATIENCE = 60.0


def is_lost(error: psycopg2.Error) -> bool:
    """Tell whether the connection ended; psycopg2 uses the plain DatabaseError when it ends amid a statement."""
    return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)) or not error.pgcode


class Database:
    """One connection in autocommit, shared by threads; `select` and `run` try again when the server went away."""

    def __init__(self, env: Env, name: str):
        self._env = env
        self.name = name
        self._connection = None
        self._lock = threading.Lock()

    def connect(self):
        """Return a new connection in autocommit; waits until the server is there."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                connection = psycopg2.connect(
                    host=self._env.pg_host,
                    port=self._env.pg_port,
                    user=self._env.pg_user,
                    dbname=self.name,
                    application_name="chaos",
                )
            except psycopg2.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                connection.autocommit = True
                return connection

    def select(self, statement: str, *values) -> list[dict]:
        return self._try(lambda cursor: (cursor.execute(statement, values or None), cursor.fetchall())[1])

    def value(self, statement: str, *values):
        """Return the first column of the first row, None when there is none."""
        rows = self.select(statement, *values)
        return next(iter(rows[0].values())) if rows else None

    def run(self, statement: str, *values) -> None:
        self._try(lambda cursor: cursor.execute(statement, values or None))

    def _try(self, action):
        until = time.monotonic() + PATIENCE
        with self._lock:
            while True:
                if self._connection is None:
                    self._connection = self.connect()
                try:
                    with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                        return action(cursor)
                except psycopg2.Error as error:
                    if not is_lost(error) or time.monotonic() > until:
                        raise
                    self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator:
        """Give a cursor of a connection of its own; committed at the end of the block."""
        connection = self.connect()
        connection.autocommit = False
        try:
            with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                yield cursor
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None
