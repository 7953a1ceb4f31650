# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a caller may rely on: the class says what may be done, the type and the code go to the queue."""

from __future__ import annotations

import pytest
from libs import exceptions
from libs.exceptions import DocumentError, NotDelivered, Problem

ERROR_TYPES = {"timeout", "connection", "unavailable", "validation", "certificate", "unknown"}


def classes():
    return [item for item in vars(exceptions).values() if isinstance(item, type) and issubclass(item, Exception)]


def test_every_class_has_a_type_of_the_queue():
    assert {item.error_type for item in classes()} <= ERROR_TYPES


def test_only_errors_of_not_delivered_allow_to_send_again():
    safe = {item.__name__ for item in classes() if issubclass(item, NotDelivered)}
    assert safe == {"NotDelivered", "AuthenticationError"}


def test_an_error_has_a_code_and_its_details():
    error = NotDelivered("sii_unreachable", error_type="timeout", reason="refused")
    assert (error.code, error.error_type, error.params) == ("sii_unreachable", "timeout", {"reason": "refused"})
    assert str(error) == "sii_unreachable (reason=refused)"
    assert str(NotDelivered("sii_unreachable")) == "sii_unreachable"
    assert NotDelivered.error_type == "connection"


def test_a_document_error_lists_every_problem():
    error = DocumentError([Problem("missing", "lines"), Problem("too_many", "references", {"limit": 40})])
    assert str(error) == "document_invalid: lines: missing; references: too_many {'limit': 40}"
    assert [problem.code for problem in error.problems] == ["missing", "too_many"]
    assert str(DocumentError([Problem("envio_empty")])) == "document_invalid: -: envio_empty"


def test_problems_are_values():
    assert Problem("missing", "lines") == Problem("missing", "lines")
    with pytest.raises(AttributeError):
        Problem("missing").code = "x"
