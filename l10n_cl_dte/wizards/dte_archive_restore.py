# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import time

from odoo import fields, models
from odoo.exceptions import UserError

from ..libs.archive_store import ArchiveError
from ..models.archive_messages import tell, tell_error
from ..models.dte_backup_restore import BATCH, RestoreResult

# A request may take two or three minutes; what is left is restored when the button is pressed again.
SECONDS = 75
# Refused files shown by name.
NAMED = 200


class DteArchiveRestore(models.TransientModel):
    """Bring documents back from the archive folder. What is there already stays as it is, so it can be repeated."""

    _name = "dte.archive.restore"
    _description = "Restore from the Archive Folder"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    scope = fields.Selection(
        [("all", "Everything"), ("period", "Documents of a period"), ("document", "One document")],
        required=True,
        default="all",
    )
    date_from = fields.Date(string="From")
    date_to = fields.Date(string="To")
    dte_type = fields.Char(string="Type Code")
    folio = fields.Integer()
    restored = fields.Integer(readonly=True)
    present = fields.Integer(string="Already There", readonly=True)
    repaired = fields.Integer(string="Rows Repaired", readonly=True)
    updated = fields.Integer(string="Brought up to Date", readonly=True)
    refused = fields.Integer(readonly=True)
    # What was asked for when the files were read: `remaining` counts those of that question.
    asked = fields.Char(readonly=True)
    remaining = fields.Integer(string="Still to Read", readonly=True)
    report = fields.Text(string="Refused Files", readonly=True)
    is_done = fields.Boolean(readonly=True)

    def _question(self) -> str:
        parts = {
            "period": (self.date_from, self.date_to),
            "document": (self.dte_type, self.folio),
        }.get(self.scope, ())
        return "|".join(map(str, (self.company_id.id, self.scope, *parts)))

    def action_restore(self):
        """Restore in batches until all is read or the time is used up. Commits."""
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        self.check_access("write")
        # sudo: the manager decides, the archive's own code writes archive and documents
        backups = self.env["dte.backup"].sudo()
        if self.asked != self._question():
            self.write({"asked": self._question(), "remaining": 0})
        company, result = self.company_id.sudo(), RestoreResult()
        if not company.vat:
            raise UserError(self.env._("Set the RUT of the company first: only its own documents are restored."))
        try:
            store = company._dte_archive_store()
            if not store:
                raise UserError(self.env._("Set the archive folder in the settings first."))
            store.check()
            places = self._choose(backups, company, store)
            deadline = time.monotonic() + SECONDS
            done = 0
            while done < len(places) and time.monotonic() < deadline:
                backups._restore_batch(company, store, places[done : done + BATCH], result, self._is_wanted)
                done = min(done + BATCH, len(places))
                self.env["ir.cron"]._commit_progress()
        except ArchiveError as error:
            raise UserError(tell_error(self.env, error)) from error
        self._show(result, len(places) - done)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Restore from the Archive Folder"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _choose(self, backups, company, store) -> list:
        """Return the places to read, without those that are there already when time ran out before."""
        if self.scope == "period" and not (self.date_from and self.date_to and self.date_from <= self.date_to):
            raise UserError(self.env._("Choose the first and the last day of the period."))
        if self.scope == "document" and not (self.dte_type and self.folio):
            raise UserError(self.env._("Write the type code and the folio of the document."))
        period = self.scope == "period"
        places = backups._restorable(
            company, store, first=period and self.date_from or None, last=period and self.date_to or None
        )
        if self.scope == "document":
            places = [
                place for place in places if (str(place.dte_type), place.folio) == (self.dte_type.strip(), self.folio)
            ]
            if not places:
                raise UserError(self.env._("The archive folder has no such document of this company."))
        return places[len(places) - self.remaining :] if self.remaining else places

    def _is_wanted(self, facts) -> bool:
        return self.scope != "period" or self.date_from <= facts.issue_date <= self.date_to

    def _show(self, result: RestoreResult, remaining: int):
        lines = [f"{problem['name']}: {tell(self.env, problem['code'])}" for problem in result.problems]
        before = self.remaining and self.report or ""
        again = bool(self.remaining)
        self.write(
            {
                "restored": result.restored + (self.restored if again else 0),
                "present": result.present + (self.present if again else 0),
                "repaired": result.repaired + (self.repaired if again else 0),
                "updated": result.updated + (self.updated if again else 0),
                "refused": len(lines) + (self.refused if again else 0),
                "remaining": remaining,
                "report": "\n".join(filter(None, [before, *lines[:NAMED]])),
                "is_done": not remaining,
            }
        )
