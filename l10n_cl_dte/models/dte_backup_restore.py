# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import logging
from dataclasses import dataclass, field
from datetime import date, timezone

from odoo import api, fields, models

from ..const import ENVIRONMENTS, SANTIAGO
from ..libs import archive_layout
from ..libs.archive_layout import SIDECAR, Facts, Place
from ..libs.archive_store import ArchiveError
from ..libs.exceptions import DocumentError
from .dte_backup_file import is_signed

_logger = logging.getLogger(__name__)

# Documents restored between two commits.
BATCH = 100


@dataclass
class RestoreResult:
    """What became of the files: counts, and `{code, name}` of each that was refused."""

    restored: int = 0
    present: int = 0
    repaired: int = 0
    updated: int = 0
    problems: list[dict] = field(default_factory=list)


class DteBackup(models.Model):
    """Rebuilding archive and documents from the archive folder alone."""

    _inherit = "dte.backup"

    @api.model
    def _restorable(self, company, store, *, first: date | None = None, last: date | None = None):
        """Return the places of the company's documents in the folder, in the order in which they are restored.

        Companion files whose document is missing are places too, so that they are named.

        :param first: only documents of this month and later
        """
        keys = set()
        for prefix in self._prefixes(company, first, last):
            for key in store.keys(prefix):
                keys.add(key.removesuffix(SIDECAR) + ".xml" if key.endswith(SIDECAR) else key)
        places = (archive_layout.parse_key(key) for key in keys)
        known = dict(ENVIRONMENTS)
        own = (place for place in places if place and place.issuer_rut == company.vat and place.environment in known)
        return sorted(own, key=lambda place: (place.environment, place.dte_type, place.folio, place.version))

    @api.model
    def _prefixes(self, company, first: date | None, last: date | None) -> list[str]:
        """Return the folders to look into: those of the months, or everything."""
        if not first or not last:
            return [""]
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [
            Place(environment, company.vat, 0, 0, 1, number // 12, number % 12 + 1).key.rpartition("/")[0]
            for environment, _label in ENVIRONMENTS
            for number in months
        ]

    @api.model
    def _restore_batch(self, company, store, places, result: RestoreResult, wanted=None):
        """Restore documents; everything about a file is checked before a row is made. Commit after it.

        :param wanted: tells from the facts of a document whether it is among those asked for
        """
        for place in places:
            try:
                xml, facts, known = self._read_place(company, store, place)
                if wanted and not wanted(facts):
                    continue
                self._restore_one(company, place, xml, facts, known, result)
            except ArchiveError as error:
                if error.code.startswith("archive_target"):
                    raise
                result.problems.append({"code": error.code, "name": place.key})

    @api.model
    def _read_place(self, company, store, place: Place) -> tuple[bytes, Facts, dict]:
        """Return bytes, facts and companion of a file that is what its name says, with a valid signature.

        :raises ArchiveError: when it is not
        """
        known = archive_layout.read_sidecar(self._stored(store, place.sidecar_key))
        xml = self._stored(store, place.key)
        if not xml:
            raise ArchiveError("archive_file_empty")
        if known.get("sha256", hashlib.sha256(xml).hexdigest()) != hashlib.sha256(xml).hexdigest():
            raise ArchiveError("archive_hash_differs")
        try:
            facts = archive_layout.read_facts(xml)
        except DocumentError as error:
            raise ArchiveError("archive_unreadable") from error
        inside = (facts.issuer_rut, facts.dte_type, facts.folio, facts.issue_date.year, facts.issue_date.month)
        if inside != (place.issuer_rut, place.dte_type, place.folio, place.year, place.month):
            raise ArchiveError("archive_name_differs")
        if not is_signed(xml):
            raise ArchiveError("archive_signature_invalid")
        if not known.get("signed_at"):
            known = known | {"signed_at": utc_of(facts)}
        return xml, facts, known

    @api.model
    def _restore_one(self, company, place: Place, xml: bytes, facts: Facts, known: dict, result: RestoreResult):
        identity = {
            "company_id": company.id,
            "environment": place.environment,
            "dte_type": str(place.dte_type),
            "folio": place.folio,
            "version": place.version,
        }
        existing = self.search([(name, "=", value) for name, value in identity.items()])
        if existing:
            self._restore_existing(existing, xml, known, result)
            return
        if not self.env["dte.document"]._type_of(str(place.dte_type)):
            raise ArchiveError("archive_type_unknown")
        document = self.env["dte.document"]._without_archive(identity, facts)
        backup = self.create(
            {
                **identity,
                "rut_emisor": place.issuer_rut,
                "issue_date": facts.issue_date,
                "xml_content": base64.b64encode(xml),
                "xml_size": len(xml),
                "sha256": hashlib.sha256(xml).hexdigest(),
                "track_id": known.get("track_id") or False,
                # Both are written once, and together: a date alone would keep the SII's answer out.
                "sent_date": known.get("track_id") and known.get("sent_at") or False,
                "file_state": "written",
                "file_key": place.key,
                "file_generation": company.dte_archive_generation,
                "file_document_state": known.get("state") or False,
                "move_id": document.move_id.id,
                "origin": "imported" if known.get("origin") == "imported" else False,
            }
        )
        if document:
            document.backup_id = backup
            document._adopt(known)
        else:
            document._restore(company, backup, place, facts, known)
        result.restored += 1

    @api.model
    def _restore_existing(self, backup, xml: bytes, known: dict, result: RestoreResult):
        if not backup._fits(xml):
            raise ArchiveError("archive_conflict")
        damaged = backup._row_xml() != xml
        if damaged:
            backup.write({"xml_content": base64.b64encode(xml)})
            result.repaired += 1
        if backup._documents().get(backup.id, self.env["dte.document"])._adopt(known):
            result.updated += 1
        elif not damaged:
            result.present += 1


def utc_of(facts: Facts) -> str:
    """Return the time of the signature as the database keeps it, the beginning of its day when it is not said."""
    moment = facts.signed_at
    if moment is None:
        return fields.Datetime.to_string(fields.Datetime.to_datetime(facts.issue_date))
    return fields.Datetime.to_string(moment.replace(tzinfo=SANTIAGO).astimezone(timezone.utc).replace(tzinfo=None))
