# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from __future__ import annotations

import pytest
from libs.checks import find_problems
from libs.dte import compute_totals

from tests import authority
from tests.libs.certification_set import CASES
from tests.libs.documents import make_dte, make_line, make_receiver, make_reference


def document_of(name):
    case = CASES[name]
    changes = dict(case.changes)
    references = (make_reference("SET", "7", reason="CASO 4959502-1"),)
    if case.refers:
        referred, code = case.refers
        doc_type = str(CASES[referred].dte_type) if referred in CASES else "46"
        references += (make_reference(doc_type, "3", code, reason=case.reason),)
    if changes.get("transfer_type") == 5:
        changes["receiver"] = make_receiver(rut=authority.ISSUER)
    return make_dte(case.dte_type, case.lines, references=references, **changes)


@pytest.mark.parametrize("name", CASES)
def test_totals_of_the_set(name):
    dte = document_of(name)
    totals = compute_totals(dte)
    assert (totals.net, totals.exempt, totals.vat, totals.total) == CASES[name].totals
    assert find_problems(dte) == []


def test_line_amounts_of_the_discounted_cases():
    lines = compute_totals(document_of("basic 2")).lines
    assert [(line.discount, line.amount) for line in lines] == [(138974, 1846367), (184687, 1134508)]
    assert [line.amount for line in compute_totals(document_of("basic 6")).lines] == [679081, 767537]


@pytest.mark.parametrize("name", ["purchase 2", "purchase 3"])
def test_notes_of_the_purchase_set_withhold_the_whole_iva(name):
    totals = compute_totals(document_of(name))
    assert [(tax.code, tax.amount, tax.withheld) for tax in totals.taxes] == [(15, 581215, True)]
    assert totals.vat_not_withheld is None


def test_the_purchase_invoice_of_the_set_had_these_amounts():
    lines = [make_line(quantity="1088", price="8250"), make_line(quantity="41", price="4591")]
    totals = compute_totals(make_dte(61, lines))
    assert (totals.net, totals.vat) == (9164231, 1741204)
