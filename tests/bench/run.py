# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a document costs, in multiples of one RSA-2048 private operation.

A signature cannot be avoided and takes the same work everywhere, so multiples of it can be compared between machines.
Processor time is measured, so that waiting for a busy machine does not count, and such an operation is timed beside
every run of the work: what slows one slows the other. A figure is the median over many rounds, in the best of several
passes: a neighbour on the same core, which hits Python harder than RSA, seldom stays for all of them.

What sending costs is measured by the clock, see `delivery.py`. Writes a JSON file and exits 1 when a figure misses its
bar.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "l10n_cl_dte")]

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding  # noqa: E402
from libs import caf, credentials, envio, issue, timbre, xml_verifier, xsd_validator  # noqa: E402
from libs.dte import Dte, Issuer, Line, Receiver  # noqa: E402

from tests import authority  # noqa: E402
from tests.bench import delivery  # noqa: E402

SIGNED_AT = datetime.fromisoformat("2026-10-05T11:30:45")
CARATULA = envio.Caratula(authority.ISSUER, authority.HOLDER, date(2014, 8, 22), 80, SIGNED_AT)

ROUNDS = 8
# Of `delivery.measure`: documents of each kind, held ones, envelopes of one document and of 50 that are due.
SIZES, SHORT_SIZES = (1000, 10_000, 2000, 100), (200, 500, 100, 10)
BARS = {
    "dte_1_line_units": 1.8,
    "dte_60_lines_units": 3.5,
    "timbre_units": 3.0,
    "envio_500_units_per_document": 2.0,
    "envio_500_peak_mb": 60.0,
    "growth_of_lines": 1.5,
    "growth_of_documents": 1.25,
    "growth_of_envelopes": 1.5,
    "key_loads_per_batch": 0.0,
}
MEANING = {
    "rsa_us": "microseconds of one RSA-2048 private operation",
    "caf_signature_units": "one signature with a CAF's key of 512 bits",
    "caf_load_units": "reading a CAF and its key",
    "certificate_load_units": "reading a certificate and its key, with the arithmetic check",
    "dte_1_line_units": "checked, stamped, written and signed: 1 line",
    "dte_10_lines_units": "10 lines",
    "dte_30_lines_units": "30 lines",
    "dte_60_lines_units": "60 lines",
    "input_60_lines_units": "making the dataclasses of 60 lines",
    "dte_60_lines_with_input_units": "both together",
    "xsd_10_lines_units": "validation of a document of 10 lines",
    "verify_10_lines_units": "verification of its signature",
    "timbre_units": "the PDF417 of a timbre, from archived bytes to PNG; the CAF's signature as short as the SII's",
    "envio_1_units_per_document": "1 document of 10 lines from data to envelope, per document",
    "envio_50_units_per_document": "50 documents",
    "envio_500_units_per_document": "500 documents",
    "envio_500_peak_mb": "memory of 500 documents above the idle process",
    "growth_of_lines": "cost of a line between 30 and 60 over its cost between 1 and 30",
    "enveloping_200_units": "the envelope alone around 200 documents, per document",
    "enveloping_2000_units": "around 2000",
    "growth_of_documents": "cost of a document among 500 over its cost among 50",
    "growth_of_envelopes": "cost of enveloping a document among 2000 over its cost among 200",
    "key_loads_per_batch": "keys read while 500 documents are made",
}


@dataclass
class Clock:
    """Times pieces of work beside RSA operations.

    :ivar rounds: of each measurement; a round takes the best of five runs, so that an interruption does not count
    """

    key: object
    rounds: int
    rsa: list[float] = field(default_factory=list)

    def rsa_seconds(self) -> float:
        seconds = _seconds(lambda: self.key.sign(b"x" * 100, padding.PKCS1v15(), hashes.SHA1()))  # noqa: S303
        self.rsa.append(seconds)
        return seconds

    def units(self, work, rounds: int | None = None) -> float:
        """Return the median over rounds of the time of `work` over that of the RSA operations between its runs."""
        return self.units_of({"": work}, rounds)[""]

    def units_of(self, works: dict, rounds: int | None = None) -> dict:
        """The same for several pieces of work in turn, so that they can be compared with each other."""
        ratios = [self._round(works) for _ in range(rounds or self.rounds)]
        return {name: statistics.median(ratio[name] for ratio in ratios) for name in works}

    def _round(self, works: dict) -> dict:
        best = dict.fromkeys(works, float("inf"))
        rsa = float("inf")
        for _ in range(5):
            rsa = min(rsa, self.rsa_seconds())
            for name, work in works.items():
                best[name] = min(best[name], _seconds(work))
        return {name: seconds / rsa for name, seconds in best.items()}


def _seconds(work) -> float:
    """Return the processor time of this thread; a virtual clock may stand still for once, which says nothing."""
    started = time.thread_time()
    work()
    return time.thread_time() - started or math.inf


def make_lines(count: int) -> tuple[Line, ...]:
    """Lines as a shop has them: a name with accents, a quantity with decimals, a price, a unit."""
    return tuple(
        Line(
            f"Cerámica nº {number} 60x60 & accesorios",
            Decimal("3.5"),
            Decimal("1234.56"),
            unit="M2",
            description="Caja de 4 unidades, partida del mes",
        )
        for number in range(count)
    )


def make_dte(lines: tuple[Line, ...], folio: int = 1) -> Dte:
    issuer = Issuer(
        authority.ISSUER,
        "Servicios y Cía Ñuñoa Limitada",
        "Ferretería",
        ("475201",),
        "Av. Uno 123",
        "Ñuñoa",
        "Santiago",
    )
    receiver = Receiver(
        "77123456-9", "Comercial O'Higgins & Hijos", "Construcción", "Calle 2", "Providencia", "Santiago"
    )
    return Dte(33, folio, SIGNED_AT.date(), issuer, receiver, lines)


class Bench:
    """The keys of one run, and one method per group of figures."""

    def __init__(self, clock: Clock, schemas: xsd_validator.SchemaSet):
        self.clock = clock
        self.schemas = schemas
        self.caf_data = authority.make_caf()
        self.pem = authority.make_pem()
        self.caf = caf.parse_caf(self.caf_data)
        self.signer = credentials.load_pem(*self.pem)

    def issue(self, dte: Dte) -> bytes:
        return issue.issue(dte, self.caf, self.signer, SIGNED_AT).xml

    def envelope(self, count: int) -> bytes:
        """From data to envelope, documents of 10 lines."""
        documents = [self.issue(make_dte(make_lines(10), folio)) for folio in range(1, count + 1)]
        return envio.build_envio(CARATULA, documents, self.signer)

    def memory(self) -> dict[str, float]:
        """Must come first: the highest mark of the process never goes down."""
        idle = _memory("VmRSS")
        self.envelope(500)
        return {"envio_500_peak_mb": (_memory("VmHWM") - idle) / 1024}

    def key_loads(self) -> dict[str, float]:
        return {"key_loads_per_batch": _count_key_loads(lambda: self.envelope(500))}

    def keys(self) -> dict[str, float]:
        sign = self.caf.private_key.sign
        return {
            "caf_signature_units": self.clock.units(lambda: sign(b"x" * 600, padding.PKCS1v15(), hashes.SHA1())),  # noqa: S303
            "caf_load_units": self.clock.units(lambda: caf.parse_caf(self.caf_data), 1),
            "certificate_load_units": self.clock.units(lambda: credentials.load_pem(*self.pem), 1),
        }

    def documents(self) -> dict[str, float]:
        names = {1: "dte_1_line_units", 10: "dte_10_lines_units", 30: "dte_30_lines_units", 60: "dte_60_lines_units"}
        works = {name: partial(self.issue, make_dte(make_lines(count))) for count, name in names.items()}
        return self.clock.units_of(works | {"input_60_lines_units": lambda: make_dte(make_lines(60))})

    def reading(self) -> dict[str, float]:
        signed = self.issue(make_dte(make_lines(10)))
        problems = self.schemas.validate(signed, xsd_validator.DTE_SCHEMA)
        if problems or not xml_verifier.verify_dte(signed).valid:
            raise SystemExit(f"The document that is measured is not valid: {problems}")
        return {
            "xsd_10_lines_units": self.clock.units(lambda: self.schemas.validate(signed, xsd_validator.DTE_SCHEMA)),
            "verify_10_lines_units": self.clock.units(lambda: xml_verifier.verify_dte(signed)),
        }

    def printing(self) -> dict[str, float]:
        # The SII signs CAFs with keys of 512 bits, so that its timbres are shorter than those of the other figures.
        stamp = caf.parse_caf(authority.make_caf(signer=authority.caf_key(1)))
        signed = issue.issue(make_dte(make_lines(10)), stamp, self.signer, SIGNED_AT).xml
        return {"timbre_units": self.clock.units(lambda: timbre.draw(timbre.ted_of(signed)))}

    def envelopes(self) -> dict[str, float]:
        repeats = {1: 10, 50: 2, 500: 1}
        return {
            f"envio_{count}_units_per_document": statistics.median(self._envio_units(count) for _ in range(times))
            for count, times in repeats.items()
        } | {f"enveloping_{count}_units": self._enveloping_units(count) for count in (200, 2000)}

    def _envio_units(self, count: int) -> float:
        """Cost per document: of making one of given lines, and its share of the envelope."""
        lines, documents, times, rsa = make_lines(10), [], [], []
        for folio in range(1, count + 1):
            times.append(_seconds(lambda folio=folio: documents.append(self.issue(make_dte(lines, folio)))))
            rsa.append(self.clock.rsa_seconds())
        enveloping = min(_seconds(lambda: envio.build_envio(CARATULA, documents, self.signer)) for _ in range(5))
        making = [min(times[at : at + 5]) / min(rsa[at : at + 5]) for at in range(0, count, 5)]
        return statistics.median(making) + enveloping / count / statistics.median(rsa)

    def _enveloping_units(self, count: int) -> float:
        """Cost per document of the envelope alone, around documents that differ in their folio."""
        signed = self.issue(make_dte(make_lines(10)))
        documents = [signed.replace(b"<Folio>1<", b"<Folio>%d<" % folio) for folio in range(1, count + 1)]
        return self.clock.units(lambda: envio.build_envio(CARATULA, documents, self.signer), 1) / count


def measure(bench: Bench, passes: int) -> dict[str, float]:
    """Return every figure: of the costs the best pass, of the growths the median.

    A figure over its bar gets more passes, up to five times as many: a neighbour may stay for some seconds.
    """
    fixed = bench.memory() | bench.key_loads()
    costs, growths = {}, []
    for number in range(1, 5 * passes + 1):
        found = bench.keys() | bench.documents() | bench.reading() | bench.printing() | bench.envelopes()
        costs = {name: min(cost, costs.get(name, cost)) for name, cost in found.items()}
        growths.append(_growths(found))
        figures = fixed | costs | {name: statistics.median(row[name] for row in growths) for name in growths[0]}
        if number >= passes and not over_the_bar(figures, BARS):
            break
    return figures | {
        "rsa_us": statistics.median(bench.clock.rsa) * 1_000_000,
        "dte_60_lines_with_input_units": figures["dte_60_lines_units"] + figures["input_60_lines_units"],
    }


def over_the_bar(figures: dict[str, float], bars: dict[str, float]) -> list[str]:
    return [name for name, bar in bars.items() if figures[name] > bar]


def under_the_floor(figures: dict[str, float]) -> list[str]:
    return [name for name, floor in delivery.FLOORS.items() if figures[name] < floor]


def _growths(costs: dict[str, float]) -> dict[str, float]:
    """Return what a line or a document costs among many over what it costs among few: 1 when the cost is linear."""
    first = (costs["dte_30_lines_units"] - costs["dte_1_line_units"]) / 29
    last = (costs["dte_60_lines_units"] - costs["dte_30_lines_units"]) / 30
    return {
        "growth_of_lines": last / first,
        "growth_of_documents": costs["envio_500_units_per_document"] / costs["envio_50_units_per_document"],
        "growth_of_envelopes": costs["enveloping_2000_units"] / costs["enveloping_200_units"],
    }


def _memory(name: str) -> int:
    """Return a line of the kernel's report on this process, in KiB."""
    report = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in report.splitlines() if line.startswith(f"{name}:"))


def _count_key_loads(work) -> float:
    loads = []
    real = serialization.load_pem_private_key
    serialization.load_pem_private_key = lambda *args, **options: loads.append(1) or real(*args, **options)
    try:
        work()
    finally:
        serialization.load_pem_private_key = real
    return float(len(loads))


def load_schemas() -> xsd_validator.SchemaSet:
    folder = os.environ.get("DTE_SCHEMAS")
    if not folder:
        raise SystemExit("DTE_SCHEMAS is not set: run `make setup`, which fetches the SII's schemas, then `make bench`")
    return xsd_validator.from_folder(folder)


def show(figures: dict[str, float]) -> list[str]:
    """Print the table and return the names of the figures that miss their bar."""
    missed = over_the_bar(figures, BARS | delivery.BARS) + under_the_floor(figures)
    bars = {name: f"at most {bar:g}" for name, bar in (BARS | delivery.BARS).items()}
    bars |= {name: f"at least {floor:g}" for name, floor in delivery.FLOORS.items()}
    for name, meaning in (MEANING | delivery.MEANING).items():
        mark = "MISSED" if name in missed else ""
        sys.stdout.write(f"{name:32}{figures[name]:10.3f}  {bars.get(name, ''):13}{mark:8}{meaning}\n")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", nargs="?", type=Path, default=ROOT / ".run" / "bench.json")
    parser.add_argument("--short", action="store_true", help="fewer passes and documents")
    options = parser.parse_args()
    schemas = load_schemas()
    clock = Clock(authority.rsa_key(), ROUNDS)
    figures = measure(Bench(clock, schemas), 8 if options.short else 24)
    figures |= delivery.measure(*(SHORT_SIZES if options.short else SIZES))
    missed = show(figures)
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    if missed:
        sys.stdout.write(f"Missed the bar: {', '.join(missed)}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
