# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Write EnvioDTE files with hard content, one case a file, and the key that proves their CAFs.

The last ones are envelopes for the customer: each holds the document of the first case of its type.

Keys, CAFs and certificate are made anew by the simulator's authority. Exit code 1 when a case cannot be built, or is
refused by the schemas, by xmlsec, by the timbre check, or has other totals than the SII expects.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "l10n_cl_dte")]

from libs import caf, credentials, envio, exchange, issue, xml_reader, xml_verifier, xsd_validator  # noqa: E402
from libs.dte import SUPPORTED_TYPES, Dte, Totals  # noqa: E402
from libs.exceptions import DteError  # noqa: E402

from tests import authority  # noqa: E402
from tests.libs.certification_set import CASES as CERTIFICATION_CASES  # noqa: E402
from tests.samples.cases import Samples  # noqa: E402

CAF_AGE = timedelta(days=30)
RESOLUTION_DATE = datetime.fromisoformat("2026-01-15").date()


class Authority:
    """The simulator's authority, asked through its command line.

    :param folder: where it keeps its keys; they are worth nothing after the run
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def _ask(self, command: str, *options: str):
        arguments = [sys.executable, "-m", "sii_simulator", command, "--data", str(self._folder), *options]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"The simulator's authority failed at {command}: {done.stderr.strip()}")

    def write_public_key(self, path: Path):
        self._ask("ca", "-o", str(path))

    def caf(self, dte_type: int, today) -> caf.Caf:
        path = self._folder / f"caf_{dte_type}.xml"
        numbers = ("--type", str(dte_type), "--from", "1", "--to", "1000", "--date", str(today - CAF_AGE))
        name = ("--rut", authority.ISSUER, "--name", "SERVICIOS Y CIA ÑUÑOA LIMITADA")
        self._ask("caf", *name, *numbers, "-o", str(path))
        return caf.parse_caf(path.read_bytes())

    def certificate(self) -> credentials.Credentials:
        path, passphrase = self._folder / "person.p12", secrets.token_hex()
        name = ("--rut", authority.HOLDER, "--name", "Persona de Prueba")
        self._ask("certificate", *name, "--passphrase", passphrase, "-o", str(path))
        return credentials.load_pkcs12(path.read_bytes(), passphrase)


class Maker:
    """Builds and checks the envelope of a case."""

    def __init__(self, source: Authority, public_key: bytes, now: datetime):
        self.signed_at = now
        self.cafs = {dte_type: source.caf(dte_type, now.date()) for dte_type in SUPPORTED_TYPES}
        self.signer = source.certificate()
        self.ca_key = caf.load_public_key(public_key)
        self.schemas = load_schemas()

    def envelope(self, documents: list[Dte]) -> tuple[bytes, list[Totals]]:
        signed = [issue.issue(dte, self.cafs[dte.dte_type], self.signer, self.signed_at) for dte in documents]
        xml = envio.build_envio(self._caratula(), [document.xml for document in signed], self.signer)
        return xml, [document.totals for document in signed]

    def for_customer(self, xml: bytes, number: int) -> tuple[bytes, list[Totals]]:
        """The envelope that hands the one document of an envelope to its receiver."""
        [document] = xml_verifier.split_documents(xml)
        read = xml_reader.read(document)
        caratula = dataclasses.replace(self._caratula(), receiver_rut=read.dte.receiver.rut)
        return exchange.build_for_customer(caratula, document, self.signer, number), [read.totals]

    def _caratula(self):
        return envio.Caratula(
            authority.ISSUER, self.signer.holder_rut, RESOLUTION_DATE, 0, self.signed_at + timedelta(minutes=1)
        )

    def faults(self, xml: bytes) -> list[str]:
        """Return what schemas, signatures and timbres have against an envelope."""
        inside = xml_verifier.split_documents(xml)
        faults = [f"schema: {found.element} {found.message}" for found in self._schema_problems(xml, inside)]
        for report in xml_verifier.verify_envio(xml):
            if not report.valid or report.context != "as written":
                faults.append(f"signature of {report.holder}: {report.problem or report.context}")
        for document in inside:
            faults += xml_verifier.verify_timbre(document, simulator_key=self.ca_key).problems
        faults += ["a line over 4000 bytes" for line in xml.split(b"\n") if len(line) > 4000]
        return faults

    def _schema_problems(self, xml, inside):
        yield from self.schemas.validate(xml, xsd_validator.ENVIO_SCHEMA)
        for document in inside:
            yield from self.schemas.validate(document, xsd_validator.DTE_SCHEMA)


def load_schemas() -> xsd_validator.SchemaSet:
    folder = os.environ.get("DTE_SCHEMAS")
    if not folder:
        raise SystemExit(
            "DTE_SCHEMAS is not set: run `make setup`, which fetches the SII's schemas, then `make samples`"
        )
    return xsd_validator.from_folder(folder)


def differing_totals(name: str, totals: Totals) -> list[str]:
    """Compare a case of the certification set with what the SII expects."""
    case = CERTIFICATION_CASES.get(name.removeprefix("certification_").replace("_", " "))
    found = (totals.net, totals.exempt, totals.vat, totals.total)
    return [f"totals {found}, expected {case.totals}"] if case and found != case.totals else []


class Writer:
    """Writes the files, prints a row for each, and counts those that have faults."""

    def __init__(self, out: Path, maker: Maker):
        self.out, self.maker = out, maker
        self.written = self.failed = 0

    def write(self, name: str, documents: list[Dte], build: Callable[[], tuple[bytes, list[Totals]]]) -> bytes:
        """Return the envelope, b"" when it cannot be built."""
        self.written += 1
        path = self.out / f"{self.written:03d}_{documents[0].dte_type}_{name}.xml"
        try:
            xml, totals = build()
            faults = self.maker.faults(xml) + differing_totals(name, totals[0])
            path.write_bytes(xml)
        except DteError as error:
            xml, totals, faults = b"", [], [str(error)]
        self.failed += bool(faults)
        amount = f"{sum(total.total for total in totals):,}"
        sys.stdout.write(f"{'FAILED' if faults else 'ok':7}{path.name:62}{len(documents):4}{amount:>22}{len(xml):>9}\n")
        sys.stdout.writelines(f"       {fault}\n" for fault in faults)
        return xml


def write_all(out: Path, maker: Maker) -> int:
    """Write every case and return how many failed."""
    writer, first = Writer(out, maker), {}
    for name, documents in Samples(maker.signed_at.date()).all():
        xml = writer.write(name, documents, functools.partial(maker.envelope, documents))
        if xml and len(documents) == 1:
            first.setdefault(documents[0].dte_type, (documents, xml))
    for dte_type, (documents, xml) in sorted(first.items()):
        build = functools.partial(maker.for_customer, xml, number=dte_type)
        writer.write("for_the_customer", documents, build)
    sys.stdout.write(f"{writer.written} cases in {out}, {writer.failed} failed\n")
    return writer.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    now = datetime.now(ZoneInfo("America/Santiago")).replace(tzinfo=None, microsecond=0)
    with tempfile.TemporaryDirectory() as folder:
        source = Authority(Path(folder))
        source.write_public_key(out / "ca.pem")
        maker = Maker(source, (out / "ca.pem").read_bytes(), now)
        return 1 if write_all(out, maker) else 0


if __name__ == "__main__":
    sys.exit(main())
