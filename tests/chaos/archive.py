# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Whether the archive is whole: rows match their hashes, the chain of seals is closed, and the files are there.

Pure apart from the folder that it is told to read. It does not use the addon's own checks.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True)
class Row:
    """A row of the archive. `identity` is what its seal must say, `file_key` the path of its file, if any."""

    id: int
    company_id: int
    name: str
    content: bytes
    sha256: str
    identity: str
    file_key: str


@dataclass(frozen=True)
class Seal:
    company_id: int
    number: int
    backup_id: int
    identity: str
    previous_hash: str
    hash: str


ROWS = """
SELECT id, company_id, dte_type || ' ' || folio || ' of ' || rut_emisor || ', version ' || version AS name,
    xml_content, sha256, CASE WHEN file_state = 'written' THEN file_key END AS file_key,
    concat_ws('|', company_id, environment, dte_type, folio, version, rut_emisor, to_char(issue_date, 'YYYY-MM-DD'),
        to_char(create_date, 'YYYY-MM-DD'), sha256) AS identity
FROM dte_backup ORDER BY id
"""
SEALS = """
SELECT company_id, number, backup_id, identity, previous_hash, hash FROM dte_backup_seal ORDER BY company_id, number
"""


def read(database) -> tuple[list[Row], list[Seal]]:
    rows = [
        Row(
            row["id"],
            row["company_id"],
            row["name"],
            # Odoo keeps what is in a Binary column in base64.
            base64.b64decode(row["xml_content"]),
            row["sha256"],
            row["identity"],
            row["file_key"] or "",
        )
        for row in database.select(ROWS)
    ]
    return rows, [Seal(**seal) for seal in database.select(SEALS)]


def find_problems(rows: list[Row], seals: list[Seal], folder: Path) -> list[str]:
    """Return one sentence for each thing that is wrong."""
    return [*_row_problems(rows), *_chain_problems(rows, seals), *_file_problems(rows, folder)]


def _row_problems(rows):
    for row in rows:
        if hashlib.sha256(row.content).hexdigest() != row.sha256:
            yield f"{row.name}: the archive row does not match its hash"


def _chain_problems(rows, seals):
    chains = defaultdict(list)
    for seal in seals:
        chains[seal.company_id].append(seal)
    for company_id, chain in chains.items():
        before = NOTHING_BEFORE
        for number, seal in enumerate(sorted(chain, key=lambda one: one.number), 1):
            own = hashlib.sha256(f"{seal.previous_hash}|{seal.identity}".encode()).hexdigest()
            if (seal.number, seal.previous_hash, seal.hash) != (number, before, own):
                yield f"seal {seal.number} of company {company_id} does not follow from the one before"
            before = seal.hash
    sealed = defaultdict(list)
    for seal in seals:
        sealed[seal.backup_id].append((seal.company_id, seal.identity))
    for row in rows:
        if sealed.pop(row.id, []) != [(row.company_id, row.identity)]:
            yield f"{row.name}: there is no seal that says what the archive row says, or more than one"
    for backup_id in sealed:
        yield f"a seal names the archive row {backup_id}, which does not exist"


def _file_problems(rows, folder):
    expected = set()
    for row in rows:
        path = folder / row.file_key
        expected.add(path)
        if not row.file_key or not path.is_file():
            yield f"{row.name}: there is no file"
        elif path.read_bytes() != row.content:
            yield f"{row.name}: the file differs from the archive row"
    for path in sorted(set(folder.rglob("*.xml")) - expected):
        yield f"the file {path.relative_to(folder)} belongs to no archive row"
