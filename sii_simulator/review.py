# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The verdict on each document of an envelope, in the order of the SII; an early error hides the later ones."""

import json
import re

from . import codes, references, required, timbre, totals, xmldsig
from .authority import holder_rut
from .codes import known, unnumbered
from .dte import check_signature, read_dte
from .envelope import check_certificate
from .ledger import ACCEPTED, OBJECTED, REJECTED

DAYS_TO_SEND = 3
OUTCOMES = {"accept": ACCEPTED, "object": OBJECTED, "reject": REJECTED}
DEFAULT_CODES = {"accept": [], "object": ["HED-2-220"], "reject": ["HED-3-861"]}


class Review:
    """Reviews the documents of one upload, one after the other: a later one sees the earlier ones accepted."""

    def __init__(self, simulator, upload):
        self._simulator = simulator
        self._upload = upload
        self._received = simulator.clock.local(upload["received"])
        self._accepted = {}
        self._fails_all = simulator.faults.take("reject_documents") is not None

    def run(self):
        """(results, modifications) for Ledger.save_review."""
        results, modifications = [], []
        body = self._simulator.ledger.body(self._upload["track_id"])
        for row in self._simulator.ledger.documents(self._upload["track_id"]):
            dte = read_dte(body, row["start"], row["length"])
            state, findings = self._judge(dte, row)
            results.append((row["id"], state, [finding.as_dict() for finding in findings]))
            if state != REJECTED:
                self._accepted[dte.type, dte.folio] = {**dict(row), "state": state}
                modifications += references.modifications(dte)
        return results, modifications

    def _judge(self, dte, row):
        scripted = take_verdict(self._simulator.database, dte)
        if scripted:
            return scripted
        findings = [] if not self._fails_all else [known("HED-3-861")]
        for step in (self._folio, self._caf, self._timbre, self._signature, self._content):
            if codes.rejects(findings):
                break
            findings += step(dte, row)
        if codes.rejects(findings):
            return REJECTED, findings
        return (OBJECTED if findings else ACCEPTED), findings

    def _folio(self, dte, row):
        """Repeated, annulled, or free. An accepted document, with or without repairs, spends its folio."""
        ledger = self._simulator.ledger
        earlier = self._find(dte.issuer, dte.type, dte.folio)
        if earlier:
            return [known("DTE-3-100" if earlier["sha256"] == row["sha256"] else "DTE-3-101")]
        reusable = self._simulator.settings["rejected_folio_reuse"]
        if not reusable and ledger.was_rejected(dte.issuer, dte.type, dte.folio):
            return [known("DTE-3-101")]
        if self._simulator.registry.is_annulled(dte.issuer, dte.type, dte.folio):
            return [known("DTE-3-601")]
        return []

    def _caf(self, dte, row):
        return timbre.review_caf(self._simulator, dte)

    def _timbre(self, dte, row):
        strict = self._simulator.settings["timbre_errors"] == "reject"
        return timbre.review_timbre(dte, self._received, strict)

    def _signature(self, dte, row):
        try:
            certificate = check_signature(dte)
            check_certificate(self._simulator, certificate, dte.signed.isoformat())
        except xmldsig.BadSignature as error:
            return [known("DTE-3-505", str(error))]
        if not self._simulator.registry.may("sign", holder_rut(certificate), dte.issuer):
            return [unnumbered("DTE", codes.REJECTS, "Rut No Autorizado a Firmar")]
        return []

    def _content(self, dte, row):
        findings = self._dates(dte)
        if dte.type not in required.COVERED:
            return findings
        activities = self._simulator.registry.activities(dte.issuer)
        declared = [element.text for element in dte.content.iterfind("Encabezado/Emisor/Acteco")]
        if activities and not set(declared) <= set(activities):
            findings.append(known("HED-3-861"))
        findings += required.review(dte)
        findings += references.review(dte, lambda kind, folio: self._find(dte.issuer, kind, folio))
        return findings + totals.review(dte)

    def _dates(self, dte):
        findings = []
        if dte.date.isoformat() < dte.text("TED/DD/CAF/DA/FA"):
            findings.append(known("HED-3-305"))
        if (self._received.date() - dte.date).days > DAYS_TO_SEND:
            findings.append(known("DTE-1-650"))
        return findings

    def _find(self, issuer, kind, folio):
        return self._accepted.get((kind, folio)) or self._simulator.ledger.received(issuer, kind, folio)


def take_verdict(database, dte):
    """(state, findings) scripted for this document, or None; a script is used up as often as it says."""
    for row in database.all("SELECT * FROM verdict WHERE uses > 0 ORDER BY id"):
        spec = json.loads(row["spec"])
        if _concerns(spec, dte):
            database.run("UPDATE verdict SET uses = uses - 1 WHERE id = ?", row["id"])
            names = spec.get("codes") or DEFAULT_CODES[spec["outcome"]]
            return OUTCOMES[spec["outcome"]], [known(name) for name in names]
    return None


def _concerns(spec, dte):
    return (
        spec["issuer"] == dte.issuer
        and spec.get("type") in (None, dte.type)
        and spec.get("folio") in (None, dte.folio)
        and spec.get("receiver") in (None, dte.receiver)
        and bool(re.search(spec.get("regex", ""), dte.text("Encabezado/Receptor/RznSocRecep")))
    )
