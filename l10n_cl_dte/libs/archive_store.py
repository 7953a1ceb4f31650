# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The second copy: files below an archive target, which is a folder or any address that fsspec knows.

With `transport.py` the only file that touches the world. A name in the archive holds a whole file or none: in a folder
the bytes are written under a temporary name, synced, and renamed; object stores publish an object when it is whole.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec

from .exceptions import DteError

# Written when the target is chosen. Without it the folder is not the one that was meant: an unmounted disk looks like
# an empty folder, and a copy written there would share the fate of the server.
MARKER = "l10n_cl_dte-archive"
_MARKER_TEXT = b"Archive of signed tax documents. Keep this file: without it nothing is written here.\n"
_TEMPORARY = ".part"
# Only names that are made here: a mark or a document, eight hexadecimal digits, and the ending.
_LEFTOVER = re.compile(rf"^\.(?:{MARKER}|\d{{2,3}}-\d{{1,10}}(?:-v\d+)?\.(?:xml|json))\.[0-9a-f]{{8}}\{_TEMPORARY}$")

# An object appears when it is written completely, and moving one means copying it.
_OBJECT_STORES = {"abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oci", "oss", "s3", "s3a"}
_LOCAL = {"file", "local"}


class ArchiveError(DteError):
    """The archive target could not be used.

    Codes: `archive_target_invalid` (not an absolute folder or known address), `archive_target_missing` (no folder, or
    not the prepared one), `archive_target_failed` (refused, full, away) and `archive_file_missing`.
    """

    error_type = "unavailable"


def open_store(url: str) -> FolderStore | RemoteStore:
    """Return the store at an absolute path or fsspec address. Nothing is read or written yet.

    :raises ArchiveError: `archive_target_invalid`
    """
    url = url.strip()
    protocol, separator, rest = url.partition("://")
    if not separator or protocol in _LOCAL:
        path = Path(rest if separator else url)
        if not path.is_absolute():
            raise ArchiveError("archive_target_invalid", target=_shown(url))
        return FolderStore(path)
    return RemoteStore(url)


def _shown(url: str) -> str:
    """Return an address without what may be a password in it."""
    protocol, separator, rest = url.partition("://")
    return protocol + separator + rest.rpartition("@")[2].partition("?")[0]


class FolderStore:
    """Files below a folder of this machine, a mounted disk or a network share."""

    def __init__(self, base: Path):
        self.base = base

    @property
    def path(self) -> Path:
        """The folder."""
        return self.base

    def prepare(self):
        """Mark the folder as the archive. It must exist: a folder made here would hide a disk that is not mounted."""
        if not self.base.is_dir():
            raise ArchiveError("archive_target_missing", target=str(self.base))
        self._write(MARKER, _MARKER_TEXT)

    def check(self):
        """Refuse a folder that was never prepared, or whose disk is not mounted."""
        if not self._path(MARKER).is_file():
            raise ArchiveError("archive_target_missing", target=str(self.base))

    def put(self, key: str, content: bytes):
        """Write a file so that its name holds the whole content or what it held before, also when power fails."""
        self.check()
        self._write(key, content)

    def get(self, key: str) -> bytes:
        """Return the bytes of a file.

        :raises ArchiveError: `archive_file_missing`, or the target's own
        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            self.check()
            raise ArchiveError("archive_file_missing", file=key) from None
        except OSError as error:
            raise ArchiveError("archive_target_failed", detail=_reason(error)) from error

    def remove(self, key: str):
        """Delete a file; nothing happens when there is none."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveError("archive_target_failed", detail=_reason(error)) from error

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a folder of the archive, sorted within each folder."""
        self.check()
        for folder, names, files in os.walk(self._path(prefix)):
            names.sort()
            for name in sorted(files):
                yield (Path(folder) / name).relative_to(self.base).as_posix()

    def remove_leftovers(self, seconds: int) -> int:
        """Delete what killed processes left, when it is older than that; return how many files."""
        self.check()
        before, count = time.time() - seconds, 0
        for folder, _names, files in os.walk(self.base):
            for name in filter(_LEFTOVER.match, files):
                path = Path(folder) / name
                try:
                    if path.stat().st_mtime < before:
                        path.unlink()
                        count += 1
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise ArchiveError("archive_target_failed", detail=_reason(error)) from error
        return count

    def _path(self, key: str) -> Path:
        return self.base.joinpath(*PurePosixPath(key).parts)

    def _write(self, key: str, content: bytes):
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
        try:
            made = self._make_folders(path.parent)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            for folder in (path.parent, *made):
                _sync_folder(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ArchiveError("archive_target_failed", detail=_reason(error)) from error

    def _make_folders(self, folder: Path) -> list[Path]:
        """Make the folders down to this one and return those whose list of names has changed."""
        missing = []
        while folder != self.base and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for child in reversed(missing):
            child.mkdir(exist_ok=True)
        return [child.parent for child in missing]


def _sync_folder(folder: Path):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    """Return the kind of an error for the log of the row: no paths, no addresses, no keys."""
    return getattr(error, "strerror", None) or type(error).__name__


class RemoteStore:
    """Files behind fsspec: S3 and its like, SFTP, WebDAV, whatever is installed."""

    path = None

    def __init__(self, url: str):
        try:
            self.fs, base = fsspec.core.url_to_fs(url)
        except Exception as error:
            # A backend raises whatever its client library raises, here and in _call.
            raise ArchiveError("archive_target_invalid", target=_shown(url)) from error
        self.base = base.rstrip("/")
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self._publishes_whole = bool(protocols & _OBJECT_STORES)

    def prepare(self):
        """See FolderStore."""
        self._write(MARKER, _MARKER_TEXT)

    def check(self):
        """See FolderStore."""
        if not self._call("exists", self._path(MARKER)):
            raise ArchiveError("archive_target_missing", target=_shown(self.base))

    def put(self, key: str, content: bytes):
        """See FolderStore."""
        self._write(key, content)

    def get(self, key: str) -> bytes:
        """See FolderStore."""
        try:
            return self._call("cat_file", self._path(key))
        except ArchiveError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ArchiveError("archive_file_missing", file=key) from error
            raise

    def remove(self, key: str):
        """See FolderStore."""
        if self._call("exists", self._path(key)):
            self._call("rm_file", self._path(key))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See FolderStore."""
        self.check()
        try:
            found = self._call("find", self._path(prefix).rstrip("/"))
        except ArchiveError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            found = []
        for path in sorted(found):
            yield path.removeprefix(f"{self.base}/")

    def remove_leftovers(self, seconds: int) -> int:
        """See FolderStore. Object stores have none."""
        if self._publishes_whole:
            return 0
        before, count = time.time() - seconds, 0
        for path in self._call("find", self.base):
            if _LEFTOVER.match(path.rpartition("/")[2]) and self._call("modified", path).timestamp() < before:
                self._call("rm_file", path)
                count += 1
        return count

    def _path(self, key: str) -> str:
        return f"{self.base}/{key}"

    def _write(self, key: str, content: bytes):
        path = self._path(key)
        if self._publishes_whole:
            self._call("pipe_file", path, content)
            return
        folder, _slash, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(4)}{_TEMPORARY}"
        self._call("makedirs", folder, exist_ok=True)
        self._call("pipe_file", temporary, content)
        self._call("mv", temporary, path)

    def _call(self, method: str, *arguments, **options):
        try:
            return getattr(self.fs, method)(*arguments, **options)
        except Exception as error:
            raise ArchiveError("archive_target_failed", detail=_reason(error)) from error
