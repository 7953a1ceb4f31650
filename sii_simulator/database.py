# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SQLite file that holds everything the simulator must not forget."""

import sqlite3
import threading
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS company (
    rut TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL,
    resolution_number INTEGER NOT NULL, resolution_date TEXT NOT NULL, acteco TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS company_user (
    company TEXT NOT NULL, rut TEXT NOT NULL,
    sign INTEGER NOT NULL, send INTEGER NOT NULL, query INTEGER NOT NULL, PRIMARY KEY (company, rut));
CREATE TABLE IF NOT EXISTS folio_range (
    company TEXT NOT NULL, type INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    annulled INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS folio_range_key ON folio_range (company, type, annulled, first);
CREATE TABLE IF NOT EXISTS seed (value TEXT PRIMARY KEY, issued REAL NOT NULL, used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS token (value TEXT PRIMARY KEY, rut TEXT NOT NULL, issued REAL NOT NULL);
CREATE TABLE IF NOT EXISTS upload (
    id INTEGER PRIMARY KEY, track_id INTEGER UNIQUE, received REAL NOT NULL, sender TEXT NOT NULL,
    company TEXT NOT NULL, filename TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    status INTEGER NOT NULL, detail TEXT NOT NULL, body BLOB, schema_checked INTEGER NOT NULL DEFAULT 0,
    phase INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT '',
    errors TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS upload_sha256 ON upload (sha256);
CREATE INDEX IF NOT EXISTS upload_open ON upload (track_id) WHERE track_id IS NOT NULL AND state = '';
CREATE TABLE IF NOT EXISTS document (
    id INTEGER PRIMARY KEY, track_id INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    issuer TEXT NOT NULL, type INTEGER NOT NULL, folio INTEGER NOT NULL, receiver TEXT NOT NULL,
    date TEXT NOT NULL, total TEXT NOT NULL, signature TEXT NOT NULL, sha256 TEXT NOT NULL,
    state TEXT NOT NULL, codes TEXT NOT NULL DEFAULT '[]', modified TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS document_key ON document (issuer, type, folio);
CREATE INDEX IF NOT EXISTS document_track ON document (track_id);
CREATE TABLE IF NOT EXISTS result_mail (id INTEGER PRIMARY KEY, track_id INTEGER NOT NULL, due REAL NOT NULL);
CREATE TABLE IF NOT EXISTS question (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, operation TEXT NOT NULL, company TEXT NOT NULL, track_id INTEGER,
    type INTEGER, folio INTEGER);
CREATE TABLE IF NOT EXISTS verdict (id INTEGER PRIMARY KEY, spec TEXT NOT NULL, uses INTEGER NOT NULL);
"""

ERASED_BY_RESET = (
    "DELETE FROM company",
    "DELETE FROM company_user",
    "DELETE FROM folio_range",
    "DELETE FROM seed",
    "DELETE FROM token",
    "DELETE FROM upload",
    "DELETE FROM document",
    "DELETE FROM result_mail",
    "DELETE FROM question",
    "DELETE FROM verdict",
    "DELETE FROM setting WHERE key != 'last_track'",
)


class Database:
    """One connection, shared by all threads under one lock.

    With the write-ahead log and synchronous=NORMAL a committed row survives the death of the process (not
    of the machine), at a tenth of a millisecond a commit.
    """

    def __init__(self, path):
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)

    def close(self):
        with self._lock:
            self._connection.close()

    def all(self, sql, *values):
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql, *values):
        with self._lock:
            return self._connection.execute(sql, values).fetchone()

    def run(self, sql, *values):
        """Executes one statement; returns the id of the row it inserted."""
        with self._lock:
            return self._connection.execute(sql, values).lastrowid

    @contextmanager
    def transaction(self):
        """Everything inside is committed together, or not at all; other threads wait."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def value(self, key, default=None):
        row = self.one("SELECT value FROM setting WHERE key = ?", key)
        return row["value"] if row else default

    def set_value(self, key, text):
        self.run("INSERT OR REPLACE INTO setting VALUES (?, ?)", key, text)

    def erase(self):
        """Forgets everything but the last track id, which is never given twice."""
        with self.transaction():
            for statement in ERASED_BY_RESET:
                self.run(statement)
