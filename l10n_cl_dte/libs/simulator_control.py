# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Asks the local simulator for what only a simulator gives: an outage for a drill, keys and folios for a demo."""

from __future__ import annotations

import base64

import requests

from .exceptions import NotDelivered

_SECONDS = 10


def play_outage(base_url: str, seconds: float) -> None:
    """Let every service of the SII at the simulator answer that it is unavailable (HTTP 503) for so long.

    :param base_url: scheme and host of a simulator; never one of the SII
    :raises NotDelivered: `simulator_silent`: nothing answers there, or it is no simulator
    """
    fault = {"kind": "http_status", "status": 503, "for_seconds": seconds}
    _call(base_url, "POST", "faults", {"faults": [fault]})


def read_caf_key(base_url: str) -> str:
    """Return the public key (PEM) that signs the simulator's CAFs.

    :raises NotDelivered: as `play_outage`, as all functions here
    """
    return _json(_call(base_url, "GET", "ca"), "caf_key")


def register_company(base_url: str, company: dict) -> None:
    """Make a company and its users known: rut, name, resolution_number, resolution_date, acteco and users."""
    _call(base_url, "POST", "company", company)


def make_certificate(base_url: str, rut: str, name: str, passphrase: str) -> bytes:
    """Return a PKCS#12 file of a person."""
    answer = _call(base_url, "POST", "certificate", {"rut": rut, "name": name, "passphrase": passphrase})
    return base64.b64decode(_json(answer, "pkcs12"))


def make_caf(base_url: str, rut: str, dte_type: int, first: int, last: int) -> bytes:
    """Return a CAF file for folios that the simulator has not given out."""
    return _call(base_url, "POST", "caf", {"rut": rut, "type": dte_type, "from": first, "to": last}).content


def _call(base_url: str, method: str, action: str, data: dict | None = None) -> requests.Response:
    try:
        response = requests.request(
            method,
            f"{base_url.rstrip('/')}/control/{action}",
            json=data,
            timeout=_SECONDS,
            allow_redirects=False,
        )
        response.raise_for_status()
    except requests.exceptions.RequestException as error:
        raise NotDelivered("simulator_silent", reason=type(error).__name__) from error
    return response


def _json(response: requests.Response, name: str) -> str:
    try:
        return response.json()[name]
    except (requests.exceptions.JSONDecodeError, KeyError, TypeError) as error:
        raise NotDelivered("simulator_silent", reason=type(error).__name__) from error
