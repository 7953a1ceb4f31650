# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Big envelopes and many requests; the figures are properties of the suite (--junitxml)."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sii_simulator.database import Database
from sii_simulator.ledger import Ledger

from .client import Sii, reception

DOCUMENTS = 2000
THREADS = 8
SEEDS = 800


def test_envelope_of_2000_documents(logged, record_testsuite_property):
    logged.caf(33)
    now = logged.now()
    drafts = [logged.draft(signed=now, date=now.date().isoformat()) for _ in range(DOCUMENTS)]
    data = logged.envelope(*drafts)
    started = time.monotonic()
    answer = reception(logged.sii.upload(data, logged.issuer))
    uploaded = time.monotonic() - started
    assert answer["STATUS"] == "0"
    logged.control.ok("process")
    processed = time.monotonic() - started - uploaded
    counts = logged.sii.est_up(logged.issuer, answer["TRACKID"])
    assert (counts["INFORMADOS"], counts["ACEPTADOS"]) == (str(DOCUMENTS), str(DOCUMENTS))
    figures = {
        "megabytes": round(len(data) / 1e6, 1),
        "upload_seconds": round(uploaded, 2),
        "process_seconds": round(processed, 2),
        "peak_megabytes": peak_megabytes(logged.server.process.pid),
    }
    for name, value in figures.items():
        record_testsuite_property(name, value)
    assert uploaded + processed < 60
    assert figures["peak_megabytes"] < 1000


def test_several_hundred_requests_a_second(logged, record_testsuite_property):
    def ask(_number):
        return Sii(logged.sii.url, logged.person).seed()

    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        seeds = list(pool.map(ask, range(SEEDS)))
    rate = SEEDS / (time.monotonic() - started)
    record_testsuite_property("requests_per_second", round(rate))
    assert len(set(seeds)) == SEEDS
    assert rate > 100


def test_simultaneous_copies_give_one_track_id(logged):
    data = logged.envelope(logged.draft())
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _number: reception(logged.sii.upload(data, logged.issuer)), range(THREADS)))
    assert sorted(answer["STATUS"] for answer in answers) == ["0"] + ["99"] * (THREADS - 1)


def test_the_ledger_keeps_one_of_simultaneous_copies(tmp_path):
    """The same without a server in between, with threads that change places all the time."""
    ledger = Ledger(Database(tmp_path / "ledger.sqlite"))
    fields = {"sender": "11111111-1", "company": "76543210-3", "filename": "envio.xml"}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for number in range(50):
                copies = [str(number).encode()] * THREADS
                receipts = pool.map(lambda data: ledger.store_upload(fields, data, 1000.0, 900, True), copies)
                assert sorted(receipt.status for receipt in receipts) == [0] + [99] * (THREADS - 1)
    finally:
        sys.setswitchinterval(interval)


def peak_megabytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
