# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What stands in files that somebody uploads: XML, or ZIP files of XML. One entry in memory at a time, all bounded."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from .xml_parser import MAX_BYTES

MEGABYTE = 1024 * 1024
MAX_ENTRIES = 20_000
# All that a ZIP says of its entries; a name takes up to some 200 bytes of it.
_MAX_DIRECTORY = MAX_ENTRIES * 256
# All that is unpacked from one ZIP.
MAX_TOTAL = 1024 * MEGABYTE
# XML packs 5 to 30 times smaller. What packs better is made to fill a memory or a disk.
MAX_RATIO = 200
_RATIO_FROM = MEGABYTE
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = _END = b"PK\x05\x06"
_ZIP64, _ZIP64_LOCATOR_SIZE = b"PK\x06\x07", 20
# Signature, four numbers of disks and entries, size and place of the directory, length of the comment.
# Source: APPNOTE.TXT of PKWARE, 4.3.16.
_END_RECORD = struct.Struct("<4s4H2LH")
_MAX_COMMENT = 0xFFFF
_METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Entry:
    """One file, or why it was not read.

    :ivar problem: "" or `file_too_big`, `file_encrypted`, `file_bomb`, `file_nested`, `file_unpacking`,
        `file_total_too_big`, `zip_damaged`, `zip_too_many`
    """

    name: str
    content: bytes = field(default=b"", repr=False)
    problem: str = ""
    params: dict = field(default_factory=dict)


def read_entries(file: BinaryIO, name: str, first: int = 0) -> Iterator[Entry]:
    """Yield what an uploaded file holds: the file itself, or each entry of a ZIP in its order, folders left out.

    :param file: seekable, open for reading
    :param name: how it was called when it was uploaded
    :param first: how many entries were read before and are passed over
    """
    start = file.read(len(_ZIP))
    file.seek(0)
    if start in (_ZIP, _EMPTY_ZIP):
        yield from _read_zip(file, name, first)
    elif not first:
        content = file.read(MAX_BYTES + 1)
        yield _too_big(name) if len(content) > MAX_BYTES else Entry(name, content)


def _too_big(name: str) -> Entry:
    return Entry(name, problem="file_too_big", params={"limit": MAX_BYTES // MEGABYTE})


def _is_crowded(file: BinaryIO) -> bool:
    """Tell whether a ZIP has too many entries, from its end: Python reads the whole directory when it opens one.

    ZIP64 is for more entries, and for larger ones, than are read here.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END_RECORD.size - _MAX_COMMENT - _ZIP64_LOCATOR_SIZE))
    tail = file.read()
    file.seek(0)
    # The last one that is whole, which is the one that Python takes.
    at = tail.rfind(_END, 0, max(0, len(tail) - _END_RECORD.size + len(_END)))
    if at < 0:
        return False
    _signature, _disk, _start, _here, count, directory, _offset, _comment = _END_RECORD.unpack_from(tail, at)
    return (
        count > MAX_ENTRIES
        or directory > _MAX_DIRECTORY
        or tail[max(0, at - _ZIP64_LOCATOR_SIZE) : at].startswith(_ZIP64)
    )


def _read_zip(file: BinaryIO, name: str, first: int) -> Iterator[Entry]:
    if _is_crowded(file):
        yield Entry(name, problem="zip_too_many", params={"limit": MAX_ENTRIES})
        return
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield Entry(name, problem="zip_damaged")
        return
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > MAX_ENTRIES:
            yield Entry(name, problem="zip_too_many", params={"limit": MAX_ENTRIES})
            return
        # What was passed over counts as read: the bound is one of the ZIP.
        total = sum(min(info.file_size, MAX_BYTES) for info in infos[:first])
        for info in infos[first:]:
            total += min(info.file_size, MAX_BYTES)
            if total > MAX_TOTAL:
                yield Entry(info.filename, problem="file_total_too_big", params={"limit": MAX_TOTAL // MEGABYTE})
            else:
                yield _read_entry(archive, info)


def _read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    """Unpack one entry; `file_size` is what the ZIP says of itself, and not more than that is unpacked."""
    name = info.filename
    if info.flag_bits & _ENCRYPTED:
        return Entry(name, problem="file_encrypted")
    if info.compress_type not in _METHODS:
        return Entry(name, problem="file_unpacking")
    if info.file_size > _RATIO_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return Entry(name, problem="file_bomb")
    if info.file_size > MAX_BYTES:
        return _too_big(name)
    try:
        with archive.open(info) as packed:
            content = packed.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
        return Entry(name, problem="file_unpacking")
    if content.startswith((_ZIP, _EMPTY_ZIP)):
        return Entry(name, problem="file_nested")
    return Entry(name, content)
