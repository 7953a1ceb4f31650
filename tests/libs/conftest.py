# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Keys are made once per run. Random examples are the same in each run unless HYPOTHESIS_PROFILE=explore."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from libs import caf, credentials, xsd_validator

from tests import authority

_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile("default", deadline=None, derandomize=True, max_examples=100, suppress_health_check=_QUIET)
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def signer():
    return credentials.load_pem(*authority.make_pem())


@pytest.fixture(scope="session")
def cafs():
    """One authorisation per supported type, folios 1 to 1000."""
    return {dte_type: caf.parse_caf(authority.make_caf(dte_type)) for dte_type in (33, 34, 52, 56, 61)}


@pytest.fixture(scope="session")
def ca_key():
    """The public key in the place of the SII's that signs authorisations."""
    return authority.ca_key().public_key()


@pytest.fixture(scope="session")
def schemas():
    """The complete official schemas."""
    folder = os.environ.get("DTE_SCHEMAS")
    if not folder:
        pytest.fail("DTE_SCHEMAS is not set: run `make setup`, which fetches the SII's schemas, then `make test`")
    return xsd_validator.from_folder(folder)


@pytest.fixture(scope="session")
def packaged_schemas():
    """The older copy inside the cl-sii package."""
    return xsd_validator.from_cl_sii()
