# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from libs import uploaded_files, xml_parser

ADDON = Path(uploaded_files.__file__).parents[1]
MEGABYTES = 1024
# Prints how many KB the process took at its peak more than before it did something.
MEASURE = """
import io, sys
from libs import foreign_document, uploaded_files
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
data = sys.stdin.buffer.read()
before = peak()
try:
    for entry in uploaded_files.read_entries(io.BytesIO(data), "subido"):
        if not entry.problem:
            foreign_document.cut_documents(entry.content)
except Exception as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""


def peak_kilobytes(data: bytes) -> int:
    """Return what reading an upload takes, libxml2 included, in a process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read where Linux tells it")
    command = [sys.executable, "-c", MEASURE]
    result = subprocess.run(command, input=data, capture_output=True, cwd=ADDON, check=True)
    return int(result.stdout)


def pack(names, content=b"<a/>") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def directory_of(entries: int, told: int, zip64: bool = False) -> bytes:
    """Return a ZIP that holds nothing but a directory of folders, whose end tells another number of them."""
    header = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0) + b"a/"
    directory = header * entries
    end = b""
    if zip64:
        place = len(directory)
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, len(directory), 0)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)
    size = 0 if zip64 else len(directory)
    # The first bytes tell that it is a ZIP.
    start = b"PK\x03\x04"
    return start + directory + end + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, told, told, size, len(start), 0)


def read(data: bytes):
    return list(uploaded_files.read_entries(io.BytesIO(data), "subido"))


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"<b/>" * 5_000_000 + b"</a>",
        b"<a>" + b"<QtyItem>1</QtyItem>" * 1_000_000 + b"</a>",
        b"<a " + b" ".join(b'a%d=""' % number for number in range(1_000_000)) + b"/>",
        b"<a>" + b"<QtyItem>1</QtyItem>" * (xml_parser.MAX_TAGS // 2 - 2) + b"</a>",
        directory_of(400_000, 1),
        directory_of(400_000, 1, zip64=True),
        directory_of(40_000, 40_000),
        pack(["1.xml"], b"<a>" + b"<b/>" * 400_000 + b"</a>"),
    ],
    ids=["empty elements", "elements", "attributes", "most that is read", "lies", "zip64", "many", "packed"],
)
def test_the_memory_that_an_upload_takes(data):
    assert peak_kilobytes(data) < 200 * MEGABYTES


def hiding(data: bytes) -> bytes:
    """Return the ZIP with what looks like another end inside its end, in a field that Python does not look at."""
    return data[:-18] + b"PK\x05\x06" + data[-14:]


@pytest.mark.parametrize(
    "data",
    [
        directory_of(400_000, 1),
        directory_of(40_000, 40_000),
        directory_of(9, 9, zip64=True),
        hiding(directory_of(40_000, 40_000)),
    ],
)
def test_the_directory_of_a_zip_is_bounded_before_it_is_read(data, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert [entry.problem for entry in read(data)] == ["zip_too_many"]


def test_zips_that_are_read():
    assert [entry.name for entry in read(pack(["a/", "a/1.xml", "2.xml"]))] == ["a/1.xml", "2.xml"]
    assert read(pack([])) == []
    names = [f"{'n' * 150}{number}.xml" for number in range(uploaded_files.MAX_ENTRIES)]
    assert len(read(pack(names))) == uploaded_files.MAX_ENTRIES
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.xml", b"<a/>")
        archive.comment = b"PK" * 30_000
    assert [entry.content for entry in read(file.getvalue())] == [b"<a/>"]


def test_a_zip_without_its_end_is_damaged():
    assert [entry.problem for entry in read(pack(["1.xml"])[:-30])] == ["zip_damaged"]
