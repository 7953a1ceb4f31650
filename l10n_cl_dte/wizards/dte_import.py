# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import io
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import LazyTranslate

from ..const import ENVIRONMENTS
from ..libs import foreign_document
from ..libs.exceptions import DocumentError, XmlError
from ..libs.uploaded_files import read_entries
from ..models.dte_messages import describe

_lt = LazyTranslate(__name__)
_logger = logging.getLogger(__name__)

# A request may take two or three minutes; what is left is imported when the button is pressed again.
SECONDS = 75
# Documents between two commits.
BATCH = 100
# Files and documents that were not imported, shown one by one; all are counted.
NAMED = 2000
# Gaps shown of one type.
GAPS = 30

REASONS = {
    "file_too_big": _lt("It is larger than %(limit)s MB."),
    "file_encrypted": _lt("It is encrypted in the ZIP. Unpack it with its password and import the result."),
    "file_bomb": _lt("It unpacks to hundreds of times its size, which no document does. It was not unpacked."),
    "file_nested": _lt("It is a ZIP inside the ZIP, which is not opened. Import that one by itself."),
    "file_unpacking": _lt("It cannot be unpacked: the ZIP is damaged here, or was packed by an unusual method."),
    "file_total_too_big": _lt("The ZIP unpacks to more than %(limit)s MB. Divide it into several ones."),
    "zip_damaged": _lt("The ZIP is damaged. Pack or download it again."),
    "zip_too_many": _lt("The ZIP holds more than %(limit)s files. Divide it into several ones."),
    "file_gone": _lt("The uploaded file is not there any more. Upload it again."),
    "xml_empty": _lt("It is empty."),
    "xml_too_big": _lt("It is larger than an electronic document can be."),
    "xml_doctype": _lt("It declares entities or a document type, which an electronic document never does."),
    "xml_too_many": _lt("It has more elements than are read at once: divide it into several files."),
    "xml_too_deep": _lt("Its elements are nested deeper than in any electronic document."),
    "xml_malformed": _lt("It is not XML, or it is cut off or damaged."),
    "foreign_no_document": _lt("It is XML but holds no electronic document (DTE)."),
    "foreign_encoding": _lt("It has characters that an electronic document cannot have, or an unknown encoding."),
    "foreign_not_cuttable": _lt(
        "Comments or prefixes stand around its documents, so that they cannot be told apart as they were signed."
    ),
    "foreign_issuer": _lt("It is of another company: its issuer is %(rut)s."),
    "foreign_type": _lt("Documents of type %(type)s are not known here."),
    "foreign_conflict": _lt(
        "Another document with this type and folio is here already. This one was not stored: compare both and keep "
        "this file."
    ),
    "foreign_repeated": _lt("This very document is here already."),
    "dte_bytes_unreadable": _lt("Type, folio, date, RUT or total are missing or cannot be read."),
    "signature_missing": _lt("It is not signed."),
    "signature_malformed": _lt("The signature is incomplete or not built as the SII prescribes."),
    "signature_wrong_reference": _lt("The signature is of something else than this document."),
    "signature_algorithm": _lt("The signature was made by a method that the SII does not admit."),
    "signature_key_mismatch": _lt("The key beside the signature is not that of its certificate."),
    "signature_weak_key": _lt("The key of the signature is too short."),
    "signature_invalid": _lt("The signature is not valid: the document was changed after it was signed."),
    "timbre_missing": _lt("It has no timbre."),
    "timbre_malformed": _lt("The timbre cannot be read."),
    "timbre_signature_invalid": _lt("The timbre is not valid: it was changed, or made with the key of another CAF."),
    "timbre_differs": _lt("The timbre tells other data than the document."),
    "caf_forged": _lt("The SII's signature on the folios (CAF) in the timbre is not valid."),
    "caf_does_not_cover": _lt("The folios (CAF) in the timbre do not cover its type and folio."),
    "caf_other_company": _lt("The folios (CAF) in the timbre are of another company."),
    "unexpected": _lt("It could not be read because of an error here. The log of the server says why. Keep this file."),
}


@dataclass
class _Work:
    """What one press of the button does, in counts, and where it stands."""

    read: int = 0
    imported: int = 0
    present: int = 0
    conflicts: int = 0
    refused: int = 0
    uncommitted: int = 0
    lines: list[dict] = field(default_factory=list)


class DteImport(models.TransientModel):
    """Import documents of another system: ZIP files, or XML files of one document or of an envelope.

    It can be repeated: what is here already is recognised.
    """

    _name = "dte.import"
    _description = "Import Past Documents"

    company_id = fields.Many2one("res.company", required=True, default=lambda self: self.env.company)
    # Not `attachment_ids`, which would show the files of the record.
    file_ids = fields.Many2many("ir.attachment", string="Files")
    files_read = fields.Integer(readonly=True)
    imported = fields.Integer(readonly=True)
    present = fields.Integer(string="Already Here", readonly=True)
    conflicts = fields.Integer(string="In Conflict", readonly=True)
    refused = fields.Integer(readonly=True)
    line_ids = fields.One2many("dte.import.line", "import_id", readonly=True)
    range_ids = fields.One2many("dte.import.range", "import_id", readonly=True)
    state = fields.Selection(
        [("new", "New"), ("partial", "More to read"), ("done", "Done")], default="new", readonly=True
    )
    # Which files were read to their end, and how many entries of the next one: {attachment id: entries}.
    positions = fields.Json(readonly=True)

    def action_import(self):
        """Import until all is read or the time is used up; press again for the rest. Commits."""
        self.ensure_one()
        self.env["dte.backup"]._check_manager()
        self.check_access("write")
        # sudo: the manager decides; documents and archive are written by code only
        company, documents = self.company_id.sudo(), self.env["dte.document"].sudo()
        if not company.vat:
            raise UserError(self.env._("Set the RUT of the company first: only its own documents are imported."))
        if not self.file_ids:
            raise UserError(self.env._("Choose the files first: a ZIP, or one or several XML files."))
        self.file_ids.check_access("read")
        deadline = time.monotonic() + SECONDS
        done = all([self._import_file(documents, company, file, deadline) for file in self.file_ids.sorted("id")])
        self._show_ranges(documents, company)
        self.state = "done" if done else "partial"
        if done:
            # The archive has them: no second copy stays behind.
            self.file_ids.unlink()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Import Past Documents"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _import_file(self, documents, company, file, deadline: float) -> bool:
        """Import one uploaded file from where it was left; returns whether it was read to its end. Commits."""
        key, work = str(file.id), _Work()
        position = (self.positions or {}).get(key, 0)
        if position is None:
            return True
        simulator_key = company._dte_simulator_public_key()
        try:
            with _opened(file) as stream:
                for entry in read_entries(stream, file.name, position):
                    if time.monotonic() > deadline:
                        self._note(work, key, position)
                        return False
                    self._import_entry(documents, company, entry, simulator_key, work)
                    position += 1
                    if work.uncommitted >= BATCH:
                        self._note(work, key, position)
                        work = _Work()
        except FileNotFoundError:
            work.refused += 1
            work.lines.append(_line(file.name, "refused", ("file_gone", {})))
        self._note(work, key, None)
        return True

    def _import_entry(self, documents, company, entry, simulator_key, work: _Work):
        work.read += 1
        work.uncommitted += 1
        if entry.problem:
            work.refused += 1
            work.lines.append(_line(entry.name, "refused", (entry.problem, entry.params)))
            return
        try:
            found = foreign_document.cut_documents(entry.content)
        except (XmlError, DocumentError) as error:
            work.refused += 1
            work.lines.append(_line(entry.name, "refused", (error.code, error.params)))
            return
        except Exception:
            _logger.exception("dte_import_failed file=%r", entry.name[-200:])
            work.refused += 1
            work.lines.append(_line(entry.name, "refused", ("unexpected", {})))
            return
        for number, xml in enumerate(found, start=1):
            name = entry.name if len(found) == 1 else f"{entry.name} ({number})"
            self._import_document(documents, company, name, xml, simulator_key, work)

    def _import_document(self, documents, company, name: str, xml: bytes, simulator_key, work: _Work):
        work.uncommitted += 1
        try:
            with self.env.cr.savepoint():
                is_new = documents._import(company, xml, simulator_key)
            if is_new:
                work.imported += 1
            else:
                work.present += 1
                work.lines.append(_line(name, "present", ("foreign_repeated", {})))
        except DocumentError as error:
            if error.code == "foreign_conflict":
                work.conflicts += 1
            else:
                work.refused += 1
            result = "conflict" if error.code == "foreign_conflict" else "refused"
            work.lines.append(_line(name, result, *((problem.code, problem.params) for problem in error.problems)))
        except XmlError as error:
            work.refused += 1
            work.lines.append(_line(name, "refused", (error.code, error.params)))
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception:
            # Thousands of others shall not wait for it.
            _logger.exception("dte_import_failed file=%r", name[-200:])
            work.refused += 1
            work.lines.append(_line(name, "refused", ("unexpected", {})))

    def _note(self, work: _Work, key: str, position: int | None):
        """Write what was done and where to go on; None when the file was read to its end. Commits."""
        self.write(
            {
                "files_read": self.files_read + work.read,
                "imported": self.imported + work.imported,
                "present": self.present + work.present,
                "conflicts": self.conflicts + work.conflicts,
                "refused": self.refused + work.refused,
                "positions": {**(self.positions or {}), key: position},
                "line_ids": [(0, 0, line) for line in work.lines[: max(0, NAMED - len(self.line_ids))]],
            }
        )
        self.env["ir.cron"]._commit_progress()
        # Thousands of documents shall not pile up in memory.
        self.env.invalidate_all()

    def _show_ranges(self, documents, company):
        """Deduce from all documents of the company which folios were used and which comes next."""
        self.range_ids.unlink()
        cafs = self.env["dte.caf"].sudo()  # sudo: see action_import
        today = company._dte_now().date()
        for used in documents._folio_ranges(company):
            gaps = used.pop("gaps")
            texts = [str(first) if first == last else f"{first}-{last}" for first, last in gaps[:GAPS]]
            if len(gaps) > GAPS:
                texts.append(self.env._("and %s more", len(gaps) - GAPS))
            following = 0
            if used["environment"] == company.dte_environment:
                usable = cafs._usable(company, used["dte_type"], today)
                last = usable._last_used_in_ranges()
                following = next((last[caf.id] + 1 for caf in usable if last[caf.id] < caf.folio_to), 0)
            self.env["dte.import.range"].create(
                {**used, "import_id": self.id, "gaps": ", ".join(texts), "following": following}
            )

    def action_open_documents(self):
        """Show the documents that another system issued."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Issued Elsewhere"),
            "res_model": "dte.document",
            "view_mode": "list,form",
            "domain": [("company_id", "=", self.company_id.id), ("state", "=", "imported")],
        }


class DteImportLine(models.TransientModel):
    """A file or document that was not imported, and why."""

    _name = "dte.import.line"
    _description = "File Not Imported"

    import_id = fields.Many2one("dte.import", required=True, ondelete="cascade", index=True)
    name = fields.Char(string="File in the Upload", readonly=True)
    result = fields.Selection(
        [("refused", "Not imported"), ("conflict", "In conflict"), ("present", "Already here")], readonly=True
    )
    # All that is wrong with it, as [[code, params], ...].
    problems = fields.Json(readonly=True)
    reason = fields.Char(compute="_compute_reason")

    @api.depends("problems")
    @api.depends_context("lang")
    def _compute_reason(self):
        for line in self:
            line.reason = " ".join(describe(self.env, REASONS, code, params) for code, params in line.problems or [])


class DteImportRange(models.TransientModel):
    """The folios of one type that have a document here."""

    _name = "dte.import.range"
    _description = "Folios in Use"

    import_id = fields.Many2one("dte.import", required=True, ondelete="cascade", index=True)
    environment = fields.Selection(ENVIRONMENTS, readonly=True)
    dte_type = fields.Char(string="Type Code", readonly=True)
    first = fields.Integer(string="First Folio", readonly=True, aggregator=False)
    last = fields.Integer(string="Last Folio", readonly=True, aggregator=False)
    count = fields.Integer(string="Documents", readonly=True, aggregator=False)
    gaps = fields.Char(string="Missing Between Them", readonly=True)
    following = fields.Integer(
        string="Next Folio",
        readonly=True,
        aggregator=False,
        help="0: no loaded CAF of the environment has folios left.",
    )


def _line(name: str, result: str, *problems: tuple[str, dict]) -> dict:
    # A name in a ZIP may be anything.
    shown = "".join(character if character.isprintable() else "?" for character in name)[-200:]
    return {"name": shown, "result": result, "problems": [[code, params] for code, params in problems]}


@contextmanager
def _opened(file):
    """Open an uploaded file without reading all of it into memory.

    :raises FileNotFoundError: when it is gone
    """
    if file.store_fname:
        with open(file._full_path(file.store_fname), "rb") as stream:
            yield stream
    else:
        yield io.BytesIO(file.raw or b"")
