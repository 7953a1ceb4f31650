# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import io
import zipfile
from datetime import date
from decimal import Decimal

from ..libs import caf as caf_lib
from ..libs import envio as envio_lib
from ..libs import issue as issue_lib
from ..libs.dte import Dte, Issuer, Line, Receiver

DECLARATION = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
DEFLATED = zipfile.ZIP_DEFLATED


class OtherSystem:
    """Another system that issued documents for a company, with CAFs of its own."""

    def __init__(self, test, rut: str):
        self.rut = rut
        self.test = test
        self.credentials = test.company.sudo()._dte_credentials()
        self.now = test.company._dte_now()
        self.cafs = {}

    def caf(self, dte_type=33, first=1001, last=3000):
        if dte_type not in self.cafs:
            self.cafs[dte_type] = caf_lib.parse_caf(
                self.test.simulator.caf(self.rut, dte_type, first, last, name="Empresa Ñandú")
            )
        return self.cafs[dte_type]

    def issue(self, folio: int, dte_type=33, price=1000) -> bytes:
        """Return a signed `<DTE>` in ISO-8859-1."""
        issuer = Issuer(self.rut, "Empresa Ñandú", "Servicios", ("620200",), "Calle 1", "Santiago", "Santiago")
        receiver = Receiver("88888888-8", "Ferretería", "Comercio", "Calle 2", "Ñuñoa", "Santiago")
        lines = (Line(f"Artículo {folio}", Decimal(1), Decimal(price)),)
        dte = Dte(dte_type, folio, self.now.date(), issuer, receiver, lines)
        return issue_lib.issue(dte, self.caf(dte_type), self.credentials, self.now).xml

    def envelope(self, *documents: bytes) -> bytes:
        caratula = envio_lib.Caratula(self.rut, self.credentials.holder_rut, date(2026, 1, 2), 0, self.now)
        return envio_lib.build_envio(caratula, documents, self.credentials)


def pack(files: dict[str, bytes], encrypted=()) -> bytes:
    """Return a ZIP; entries of `encrypted` are marked as such."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for info in archive.infolist():
            if info.filename in encrypted:
                info.flag_bits |= 1
    content = bytearray(target.getvalue())
    for name in encrypted:
        # The local header says it too: its flags stand 24 bytes before the name.
        at = content.index(name.encode()) - 24
        content[at] |= 1
    return bytes(content)
