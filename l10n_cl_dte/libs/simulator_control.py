# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Asks the local simulator to play an outage, for drills."""

from __future__ import annotations

import requests

from .exceptions import NotDelivered

_SECONDS = 10


def play_outage(base_url: str, seconds: float) -> None:
    """Let every service of the SII at the simulator answer that it is unavailable (HTTP 503) for so long.

    :param base_url: scheme and host of a simulator; never one of the SII
    :raises NotDelivered: `simulator_silent`: nothing answers there, or it is no simulator
    """
    fault = {"kind": "http_status", "status": 503, "for_seconds": seconds}
    try:
        response = requests.post(
            f"{base_url.rstrip('/')}/control/faults",
            json={"faults": [fault]},
            timeout=_SECONDS,
            allow_redirects=False,
        )
        response.raise_for_status()
    except requests.exceptions.RequestException as error:
        raise NotDelivered("simulator_silent", reason=type(error).__name__) from error
