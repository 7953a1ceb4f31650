# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Documents that another system issued: taken into the archive, and asked about when a person wants to know.

What they are is proven by their own bytes; what the SII said about them is not, so their state claims nothing.
"""

import logging
import time

from psycopg2 import errors as pgerrors

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..libs import foreign_document
from ..libs.exceptions import DocumentError, DteError, Problem
from ..libs.foreign_document import ForeignDocument
from . import dte_messages
from .dte_backup_restore import utc_of

_logger = logging.getLogger(__name__)

# A person waits for the answers.
ASK_SECONDS = 60


class DteDocument(models.Model):
    _inherit = "dte.document"

    # -- taking in --

    @api.model
    def _import(self, company, xml: bytes, simulator_key=None) -> bool:
        """Prove a document of another system and archive it; returns whether it is new here.

        :param xml: the `<DTE>` in ISO-8859-1
        :raises DocumentError: with what is wrong with it; nothing was written
        :raises XmlError: when it cannot be read
        """
        facts = foreign_document.read_facts(xml, company.vat)
        document_type = self._type_of(str(facts.dte_type))
        if not document_type:
            raise _refusal("foreign_type", type=facts.dte_type)
        document = foreign_document.prove(xml, facts, simulator_key)
        if self._is_imported(company, document):
            return False
        try:
            with self.env.cr.savepoint():
                self._create_imported(company, document, document_type)
        except pgerrors.UniqueViolation as error:
            # Another process has taken the folio in this moment.
            raise _refusal("foreign_conflict") from error
        return True

    @api.model
    def _is_imported(self, company, found: ForeignDocument) -> bool:
        """Tell whether this very document is here, whichever file it came in.

        :raises DocumentError: `foreign_conflict`: another one is here under its folio
        """
        domain = [
            ("company_id", "=", company.id),
            ("environment", "=", found.environment),
            ("dte_type", "=", str(found.facts.dte_type)),
            ("folio", "=", found.facts.folio),
        ]
        rows = self.env["dte.backup"].search(domain)
        signature = foreign_document.signature_value(found.xml)
        if any(row._fits(found.xml) for row in rows):
            return True
        # In an envelope and alone the same signed document is written with other namespaces.
        if any(foreign_document.signature_value(row._find_intact()) == signature for row in rows):
            return True
        if rows or self.search_count(domain, limit=1):
            raise _refusal("foreign_conflict")
        return False

    @api.model
    def _create_imported(self, company, found: ForeignDocument, document_type):
        facts = found.facts
        document = self.create(
            {
                "company_id": company.id,
                "environment": found.environment,
                "dte_type": str(facts.dte_type),
                "document_type_id": document_type.id,
                "folio": facts.folio,
                "issuer_rut": company.vat,
                "receiver_rut": facts.receiver_rut,
                "receiver_name": facts.receiver_name,
                "issue_date": facts.issue_date,
                "signed_at": utc_of(facts),
                "amount_total": facts.total,
                "state": "imported",
                "elsewhere": True,
                "caf_id": self._caf_of(company, found.environment, str(facts.dte_type), facts.folio).id,
            }
        )
        document.backup_id = self.env["dte.backup"]._archive(document, found.xml, "imported")
        _logger.info(
            "dte_status_changed company=%s type=%s folio=%s from=file to=imported",
            document.issuer_rut, document.dte_type, document.folio,
        )  # fmt: skip
        return document

    # -- folios --

    @api.model
    def _folio_ranges(self, company) -> list[dict]:
        """Return for each environment and type which folios have a document: first, last, count, and the gaps.

        :return: `environment, dte_type, first, last, count, gaps`, the gaps as list of (first, last)
        """
        self.flush_model(["company_id", "environment", "dte_type", "folio"])
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT environment, dte_type, MIN(folio) AS first, MAX(folio) AS last, COUNT(*) AS count,
                       COALESCE(json_agg(json_build_array(folio + 1, next - 1) ORDER BY folio)
                                FILTER (WHERE next > folio + 1), '[]') AS gaps
                  FROM (SELECT environment, dte_type, folio,
                               LEAD(folio) OVER (PARTITION BY environment, dte_type ORDER BY folio) AS next
                          FROM dte_document WHERE company_id = %s GROUP BY environment, dte_type, folio) used
              GROUP BY environment, dte_type ORDER BY environment, dte_type
                """,
                company.id,
            )
        )
        return [{**row, "gaps": [tuple(gap) for gap in row["gaps"]]} for row in rows]

    # -- asking --

    def _ask_about_imported(self):
        """Ask the SII about those issued elsewhere. Only one that it accepted with our signature is accepted. Commits.

        :raises UserError: when the SII cannot be asked
        """
        deadline = time.monotonic() + ASK_SECONDS
        imported = self.filtered(lambda document: document.state == "imported")
        for (company, environment), documents in imported.grouped(
            lambda document: (document.company_id, document.environment)
        ).items():
            try:
                client, asker = company._dte_client(environment), company._dte_load_credentials().holder_rut
                for document in documents:
                    if time.monotonic() > deadline:
                        return
                    document._note_standing(document._standing(client, asker))
                    self.env["ir.cron"]._commit_progress()
                    document._tell_and_commit()
            except DteError as error:
                raise UserError(dte_messages.describe_error(self.env, error)) from error

    def _note_standing(self, standing: str):
        """Record what the SII said about a document issued elsewhere; it is never sent from here."""
        if not self.try_lock_for_update() or self.state != "imported":
            return
        if standing == "ours":
            self._set_state("accepted", repairs_unknown=True)
        else:
            self.message_code = "imported_missing" if standing == "nothing" else "imported_other"


def _refusal(code: str, **params) -> DocumentError:
    return DocumentError([Problem(code, params=params)], code)
