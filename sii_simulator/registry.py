# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Who exists for this SII: companies, their users with their permissions, and the authorised folios."""

import json

from .clock import read_day
from .errors import UsageError
from .rut import checked

PERMISSIONS = ("sign", "send", "query")


class Registry:
    def __init__(self, database):
        self._database = database

    def save_company(self, data):
        """Inserts or replaces a company and all its users.

        `data`: rut, resolution_number, resolution_date; optional name, email, acteco (codes; none: not
        checked), users (list of {rut, sign, send, query}; a permission left out is granted).
        Raises UsageError naming what is wrong.
        """
        rut = checked(data.get("rut"))
        number, day = data.get("resolution_number"), read_day(data.get("resolution_date")).isoformat()
        if type(number) is not int or number < 0:
            raise UsageError("resolution_number must be an integer (0 in certification)")
        acteco = [str(code) for code in data.get("acteco", [])]
        users = [
            (rut, checked(user.get("rut")), *(_granted(user, name) for name in PERMISSIONS))
            for user in data.get("users", [])
        ]
        name, email = data.get("name") or rut, data.get("email") or f"dte@{rut.lower()}.example"
        with self._database.transaction() as database:
            values = (rut, name, email, number, day, json.dumps(acteco))
            database.run("INSERT OR REPLACE INTO company VALUES (?, ?, ?, ?, ?, ?)", *values)
            database.run("DELETE FROM company_user WHERE company = ?", rut)
            for user in users:
                database.run("INSERT OR REPLACE INTO company_user VALUES (?, ?, ?, ?, ?)", *user)

    def company(self, rut):
        """Row of the company (rut, name, email, resolution_number, resolution_date, acteco), or None."""
        return self._database.one("SELECT * FROM company WHERE rut = ?", rut)

    def name_of(self, rut):
        row = self.company(rut)
        return row["name"] if row else None

    def activities(self, rut):
        """The registered activity codes (acteco) of a company; empty when none were given."""
        row = self.company(rut)
        return json.loads(row["acteco"]) if row else []

    def may(self, permission, user, company):
        """True when `user` holds `permission` ("sign", "send" or "query") for `company`."""
        row = self._database.one("SELECT * FROM company_user WHERE company = ? AND rut = ?", company, user)
        return bool(row and row[permission])

    def authorise(self, rut, kind, first, last):
        """Notes a range of folios as handed out. Raises UsageError when part of it already is."""
        sql = "SELECT 1 FROM folio_range WHERE company = ? AND type = ? AND annulled = 0 AND first <= ? AND last >= ?"
        if self._database.one(sql, rut, kind, last, first):
            raise UsageError(f"folios {first}-{last} of type {kind} are already authorised, at least in part")
        self._database.run("INSERT INTO folio_range VALUES (?, ?, ?, ?, 0)", rut, kind, first, last)

    def annul(self, rut, kind, first, last):
        """Annuls folios; only those that the SII never received can be. Raises UsageError otherwise."""
        if type(first) is not int or type(last) is not int or not 1 <= first <= last:
            raise UsageError("annul a range with 1 <= from <= to")
        sql = (
            "SELECT folio FROM document WHERE issuer = ? AND type = ? AND folio BETWEEN ? AND ?"
            " AND state IN ('accepted', 'objected')"
        )
        received = self._database.one(sql, rut, kind, first, last)
        if received:
            raise UsageError(f"folio {received['folio']} of type {kind} was received: it cannot be annulled")
        self._database.run("INSERT INTO folio_range VALUES (?, ?, ?, ?, 1)", rut, kind, first, last)

    def is_authorised(self, rut, kind, folio):
        return self._in_range(rut, kind, folio, 0)

    def is_annulled(self, rut, kind, folio):
        return self._in_range(rut, kind, folio, 1)

    def _in_range(self, rut, kind, folio, annulled):
        sql = "SELECT 1 FROM folio_range WHERE company = ? AND type = ? AND annulled = ? AND first <= ? AND last >= ?"
        return self._database.one(sql, rut, kind, annulled, folio, folio) is not None


def _granted(user, permission):
    value = user.get(permission, True)
    if not isinstance(value, bool):
        raise UsageError(f"permission {permission} must be true or false")
    return value
