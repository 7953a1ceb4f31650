# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""multipart/form-data (RFC 7578), byte exact."""

import re
from dataclasses import dataclass

# The manual of the SII writes a colon after form-data.
BOUNDARY = re.compile(r'^multipart/form-data\s*[;:]\s*boundary="?([^";]+)"?', re.IGNORECASE)
NAME = re.compile(r'\bname="([^"]*)"')
FILENAME = re.compile(r'\bfilename="([^"]*)"')


class BadForm(Exception):
    """The body is not a form; `truncated` when its end is missing."""

    def __init__(self, message, truncated=False):
        super().__init__(message)
        self.truncated = truncated


@dataclass(frozen=True)
class Part:
    content: bytes
    filename: str | None

    def text(self):
        return self.content.decode("iso-8859-1").strip()


def parse(content_type, body):
    """The parts by name. Raises BadForm."""
    match = BOUNDARY.match(content_type.strip())
    if not match:
        raise BadForm("Content-Type is not multipart/form-data with a boundary")
    delimiter = b"--" + match[1].strip().encode("iso-8859-1")
    if not body.startswith(delimiter):
        raise BadForm("the body does not begin with the boundary")
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if not pieces[-1].startswith(b"--"):
        raise BadForm("the closing boundary is missing", truncated=True)
    return dict(_part(piece) for piece in pieces[1:-1])


def _part(piece):
    head, blank, content = piece.partition(b"\r\n\r\n")
    headers = head.decode("iso-8859-1")
    name, filename = NAME.search(headers), FILENAME.search(headers)
    if not blank or not name:
        raise BadForm("a part has no name")
    return name[1], Part(content, filename[1] if filename else None)
