# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Uploads and documents: what was received, and what became of it."""

import hashlib
import json
from dataclasses import dataclass

from .states import REFUSED_WHOLE

FIRST_TRACK = 250_000_000
ACCEPTED, OBJECTED, REJECTED, PENDING = "accepted", "objected", "rejected", "pending"


@dataclass(frozen=True)
class Receipt:
    """Outcome of storing a file: STATUS 0 and its track id, or 99 with the earlier one and how often it came."""

    status: int
    track_id: int
    times: int = 1


class Ledger:
    def __init__(self, database):
        self._database = database

    # Uploads

    def store_upload(self, fields, data, moment, dedupe_seconds, is_schema_checked):
        """Keeps a file for validation, unless the same bytes came less than `dedupe_seconds` ago.

        The look and the insertion are one transaction: of two simultaneous copies one gets STATUS 99.
        `fields`: sender, company, filename; `moment`: simulated seconds. Returns a Receipt.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        with self._database.transaction():
            earlier = self._recent_copy(sha256, moment - dedupe_seconds)
            if earlier:
                times = 1 + self._attempts(sha256, earlier["received"])
                receipt = Receipt(99, earlier["track_id"], times)
                self._insert_upload(fields, moment, sha256, len(data), 99, f"copy of {earlier['track_id']}")
            else:
                receipt = Receipt(0, self._next_track())
                row = self._insert_upload(fields, moment, sha256, len(data), 0, "")
                sql = "UPDATE upload SET track_id = ?, body = ?, schema_checked = ? WHERE id = ?"
                self._database.run(sql, receipt.track_id, data, int(is_schema_checked), row)
        return receipt

    def note_refusal(self, fields, data, moment, status, detail):
        """Remembers an upload that was answered with another STATUS; its bytes are not kept."""
        self._insert_upload(fields, moment, hashlib.sha256(data).hexdigest(), len(data), status, detail)

    def upload(self, track_id):
        """Row of an upload without its bytes, which may be many, or None."""
        sql = (
            "SELECT track_id, received, sender, company, sha256, schema_checked, phase, outcome, state, errors"
            " FROM upload WHERE track_id = ?"
        )
        return self._database.one(sql, track_id)

    def body(self, track_id):
        """The bytes of an upload as they came, or None."""
        row = self._database.one("SELECT body FROM upload WHERE track_id = ?", track_id)
        return row["body"] if row else None

    def open_uploads(self):
        """Uploads without a final state, oldest first, without their bytes."""
        sql = (
            "SELECT track_id, received, phase, outcome FROM upload"
            " WHERE track_id IS NOT NULL AND state = '' ORDER BY track_id"
        )
        return self._database.all(sql)

    def first_copy(self, upload):
        """Track id of an earlier envelope with the same bytes that was not refused as a whole, or None."""
        sql = (
            "SELECT track_id FROM upload WHERE sha256 = ? AND track_id < ? AND state NOT IN (?, ?, ?, ?)"
            " ORDER BY track_id LIMIT 1"
        )
        row = self._database.one(sql, upload["sha256"], upload["track_id"], *REFUSED_WHOLE)
        return row["track_id"] if row else None

    def save_check(self, track_id, outcome, errors, documents):
        """Result of the checks of the envelope: an outcome ("" = pass) with its errors, and the pending documents."""
        with self._database.transaction():
            sql = "UPDATE upload SET phase = 1, outcome = ?, errors = ? WHERE track_id = ?"
            self._database.run(sql, outcome, json.dumps(errors), track_id)
            for document in documents:
                self._insert_document(track_id, document)

    def settle(self, track_id, state, mail_due):
        """Gives an envelope its final state, and plans the mail with its result for `mail_due` (simulated seconds)."""
        with self._database.transaction():
            self._settle(track_id, state, mail_due)

    # Documents

    def documents(self, track_id):
        return self._database.all("SELECT * FROM document WHERE track_id = ? ORDER BY id", track_id)

    def received(self, issuer, kind, folio):
        """The accepted or objected document with that folio, or None."""
        sql = "SELECT * FROM document WHERE issuer = ? AND type = ? AND folio = ? AND state IN (?, ?)"
        return self._database.one(sql, issuer, kind, folio, ACCEPTED, OBJECTED)

    def was_rejected(self, issuer, kind, folio):
        sql = "SELECT 1 FROM document WHERE issuer = ? AND type = ? AND folio = ? AND state = ?"
        return self._database.one(sql, issuer, kind, folio, REJECTED) is not None

    def versions(self, issuer, kind, folio):
        """Every document that came with that folio, the valid one first, then the newest first."""
        sql = (
            "SELECT * FROM document WHERE issuer = ? AND type = ? AND folio = ?"
            " ORDER BY state IN ('accepted', 'objected') DESC, id DESC"
        )
        return self._database.all(sql, issuer, kind, folio)

    def save_review(self, track_id, results, modifications, mail_due):
        """Final state of an envelope whose documents were reviewed.

        `results`: (document id, state, findings as dicts); `modifications`: (issuer, type, folio, letters), the
        documents that accepted notes modify.
        """
        with self._database.transaction() as database:
            for key, state, findings in results:
                database.run("UPDATE document SET state = ?, codes = ? WHERE id = ?", state, json.dumps(findings), key)
            for issuer, kind, folio, letters in modifications:
                sql = "UPDATE document SET modified = ? WHERE issuer = ? AND type = ? AND folio = ? AND state IN (?, ?)"
                database.run(sql, letters, issuer, kind, folio, ACCEPTED, OBJECTED)
            self._settle(track_id, "EPR", mail_due)

    # Questions

    def note_question(self, operation, company, moment, *, track_id=None, kind=None, folio=None):
        """Remembers that somebody asked about an envelope or a document."""
        sql = "INSERT INTO question (at, operation, company, track_id, type, folio) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.run(sql, moment, operation, company, track_id, kind, folio)

    def questions(self, clock, company=None, since=0.0):
        """The questions as a JSON-ready list, oldest first."""
        rows = self._database.all("SELECT * FROM question WHERE at >= ? ORDER BY id", since)
        keys = ("operation", "company", "type", "folio")
        return [
            {
                **{key: row[key] for key in keys},
                "track_id": _track(row["track_id"]),
                "at": clock.local(row["at"]).isoformat(),
            }
            for row in rows
            if company in (None, row["company"])
        ]

    # Listings

    def listing(self, clock, issuer=None, since=0.0):
        """Everything as JSON-ready lists, oldest first."""
        uploads = [row for row in self._uploads(since) if issuer in (None, row["company"])]
        documents = [document_dict(row) for row in self._documents(since) if issuer in (None, row["issuer"])]
        outcomes = {}
        for document in documents:
            keys = ("type", "folio", "state")
            outcomes.setdefault(document["track_id"], []).append({key: document[key] for key in keys})
        listed = [_upload_dict(row, clock, outcomes.get(_track(row["track_id"]), [])) for row in uploads]
        return {"uploads": listed, "documents": documents}

    def _settle(self, track_id, state, mail_due):
        self._database.run("UPDATE upload SET state = ?, phase = 2 WHERE track_id = ?", state, track_id)
        self._database.run("INSERT INTO result_mail (track_id, due) VALUES (?, ?)", track_id, mail_due)

    def _uploads(self, since):
        sql = (
            "SELECT track_id, received, sender, company, filename, sha256, size, status, detail, phase, outcome,"
            " state, errors FROM upload WHERE received >= ? ORDER BY id"
        )
        return self._database.all(sql, since)

    def _documents(self, since):
        sql = (
            "SELECT document.* FROM document JOIN upload ON upload.track_id = document.track_id"
            " WHERE received >= ? ORDER BY document.id"
        )
        return self._database.all(sql, since)

    def _recent_copy(self, sha256, after):
        sql = "SELECT * FROM upload WHERE sha256 = ? AND status = 0 AND received > ? ORDER BY track_id LIMIT 1"
        return self._database.one(sql, sha256, after)

    def _attempts(self, sha256, since):
        sql = "SELECT count(*) AS times FROM upload WHERE sha256 = ? AND received >= ? AND status IN (0, 99)"
        return self._database.one(sql, sha256, since)["times"]

    def _next_track(self):
        track = int(self._database.value("last_track", str(FIRST_TRACK))) + 1
        self._database.set_value("last_track", str(track))
        return track

    def _insert_upload(self, fields, moment, sha256, size, status, detail):
        sql = (
            "INSERT INTO upload (received, sender, company, filename, sha256, size, status, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        who = (fields["sender"], fields["company"], fields["filename"])
        return self._database.run(sql, moment, *who, sha256, size, status, detail)

    def _insert_document(self, track_id, document):
        sql = (
            "INSERT INTO document (track_id, start, length, issuer, type, folio, receiver, date, total, signature,"
            " sha256, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._database.run(sql, track_id, *document, PENDING)


def document_dict(row):
    """A document as the control API shows it."""
    keys = ("issuer", "type", "folio", "receiver", "date", "total", "state", "sha256")
    shown = {key: row[key] for key in keys}
    shown["total"] = int(row["total"]) if row["total"].isdecimal() else row["total"]
    return {
        **shown,
        "codes": json.loads(row["codes"]),
        "modified": row["modified"],
        "track_id": _track(row["track_id"]),
    }


def _upload_dict(row, clock, outcomes):
    keys = ("sender", "company", "filename", "sha256", "size", "status", "detail")
    shown = {key: row[key] for key in keys}
    shown["state"] = row["state"] or None
    shown["at"] = clock.local(row["received"]).isoformat()
    return {**shown, "track_id": _track(row["track_id"]), "errors": json.loads(row["errors"]), "documents": outcomes}


def _track(number):
    return f"{number:010d}" if number else None
