# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a company has on its desk before it begins: the SII's papers. Here they come from the local simulator."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import requests

RUT = "76543210-3"
COMPANY = "Servicios y Equipos Ñuñoa SpA"
ACTIVITIES = ["620200", "474100"]
RESOLUTION = "2026-01-02"
SIGNER = "11111111-1"
FOLIOS = 60
_SECONDS = 30


class Papers:
    """A certificate with its passphrase and a CAF of each type, as files; the company is registered."""

    def __init__(self, simulator: str, folder: Path):
        self.simulator = simulator
        self.passphrase = secrets.token_urlsafe(12)
        self._ask(
            "company",
            rut=RUT,
            name=COMPANY,
            resolution_number=0,
            resolution_date=RESOLUTION,
            acteco=ACTIVITIES,
            users=[{"rut": SIGNER, "sign": True, "send": True, "query": True}],
        )
        pkcs12 = self._ask("certificate", rut=SIGNER, name="Ana Firmante", passphrase=self.passphrase).json()["pkcs12"]
        self.files = [folder / "ana-firmante.pfx"]
        self.files[0].write_bytes(base64.b64decode(pkcs12))
        for dte_type in (33, 34, 56, 61):
            caf = self._ask("caf", rut=RUT, type=dte_type, **{"from": 1, "to": FOLIOS})
            self.files.append(folder / f"FoliosSII{RUT.partition('-')[0]}{dte_type}1.xml")
            self.files[-1].write_bytes(caf.content)

    def _ask(self, action: str, **data) -> requests.Response:
        answer = requests.post(f"{self.simulator}/control/{action}", json=data, timeout=_SECONDS)
        answer.raise_for_status()
        return answer

    def verdict(self, dte_type: int, folio: int) -> str:
        """Return how a document stands at the SII."""
        answer = requests.get(f"{self.simulator}/control/ledger", params={"issuer": RUT}, timeout=_SECONDS)
        [found] = [row for row in answer.json()["documents"] if (row["type"], row["folio"]) == (dte_type, folio)]
        return found["state"]
