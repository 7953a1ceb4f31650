# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Injected faults: what can go wrong, when it does, and how often it did."""

import logging
import random
import threading
from datetime import timedelta

from .clock import read_moment
from .errors import UsageError

_logger = logging.getLogger(__name__)

SERVICES = ("seed", "token", "upload", "query_up", "query_dte", "query_dte_av", "mail")
STEPS = {
    "hang": ("connected", "body_received", "stored"),
    "cut": ("connected", "body_received", "stored", "answering"),
    "kill": ("connected", "body_received", "stored", "answered"),
}

# Kind -> its own arguments with their defaults.
KINDS = {
    "refuse": {},
    "hang": {"step": "connected", "seconds": 3600.0},
    "cut": {"step": "stored", "reset": False},
    "tls_failure": {},
    "kill": {"step": "stored", "pid": 0},
    "http_status": {"status": 503, "processed": False},
    "html": {"processed": False},
    "empty": {"processed": False},
    "text": {"text": "Error 500", "processed": False},
    "soap_fault": {"text": "java.net.SocketTimeoutException: Read timed out", "processed": False},
    "slow": {"seconds": 30.0},
    "drip": {"seconds": 5.0},
    "truncate": {},
    "charset": {},
    "order": {},
    "token_refused": {},
    "no_session": {},
    "upload_error_page": {},
    "upload_status": {"status": 9, "detail": ""},
    "track_format": {"digits": 0},
    "not_registered": {},
    "query_error": {"estado": "-8"},
    "stuck": {"estado": "REC"},
    "no_query_permission": {},
    "drop_type": {"type": 61},
    "dnk": {},
    "reject_documents": {},
    "rfr": {},
    "duplicate_mail": {},
    "lose_mail": {},
}
WHEN = ("kind", "service", "count", "after", "probability", "from", "until", "for_seconds")


class Fault:
    """One switch. It fires while its window is open, its count is not used up and its dice agree."""

    def __init__(self, spec, seed, now):
        _check(spec)
        self.kind = spec["kind"]
        self.service = spec.get("service")
        self.args = {**KINDS[self.kind], **{key: spec[key] for key in KINDS[self.kind] if key in spec}}
        self.fired = 0
        self._spec = spec
        self._probability = spec.get("probability")
        self._first = read_moment(spec.get("from"))
        self._last = read_moment(spec.get("until"))
        if "for_seconds" in spec:
            self._last = (self._first or now) + timedelta(seconds=spec["for_seconds"])
        unlimited = self._probability is not None or self._first or self._last
        self._left = spec.get("count", None if unlimited else 1)
        self._skip = spec.get("after", 0)
        self._dice = random.Random(seed)  # noqa: S311  chosen by seed, so that a run can be repeated

    def is_open(self, now):
        """True inside the window of simulated time."""
        return (self._first is None or now >= self._first) and (self._last is None or now < self._last)

    def concerns(self, kind, service, step):
        if self.kind != kind or (self.service and self.service != service):
            return False
        return step is None or self.args["step"] == step

    def fires(self, now):
        """Decides one opportunity, and counts it."""
        if not self.is_open(now) or self._left == 0:
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._probability is not None and self._dice.random() >= self._probability:
            return False
        if self._left is not None:
            self._left -= 1
        self.fired += 1
        return True

    def report(self):
        return {**self._spec, "fired": self.fired, "left": self._left}


class Faults:
    """All switches of the server. They live in memory: a restart forgets them."""

    def __init__(self, clock, seed):
        self._clock = clock
        self._seed = seed
        self._lock = threading.Lock()
        self._faults = []
        self._totals = {}

    def add(self, specs):
        """Adds switches (dicts). Raises UsageError, without adding any, when one is not understood."""
        if not isinstance(specs, list):
            raise UsageError('"faults" must be a list of objects with a "kind"')
        now = self._clock.local()
        with self._lock:
            first = len(self._faults)
            seeds = [f"{self._seed}-{first + index}" for index in range(len(specs))]
            self._faults += [Fault(spec, seed, now) for spec, seed in zip(specs, seeds, strict=True)]

    def clear(self):
        with self._lock:
            self._faults = []
            self._totals = {}

    def report(self):
        with self._lock:
            return {"faults": [fault.report() for fault in self._faults], "fired": dict(self._totals)}

    def take(self, kind, service=None, step=None):
        """Arguments of the fault of this kind that fires here and now, or None."""
        if not self._faults:
            return None
        with self._lock:
            now = self._clock.local()
            for fault in self._faults:
                if fault.concerns(kind, service, step) and fault.fires(now):
                    self._totals[kind] = self._totals.get(kind, 0) + 1
                    _logger.info("event=fault kind=%s service=%s step=%s fired=%d", kind, service, step, fault.fired)
                    return fault.args
        return None

    def first_of(self, kinds, service):
        """(kind, arguments) of the first of `kinds` that fires, or (None, None)."""
        for kind in kinds:
            args = self.take(kind, service)
            if args is not None:
                return kind, args
        return None, None

    def is_refusing(self):
        """True while a "refuse" switch closes the listeners; counted once each time it begins."""
        if not self._faults:
            return False
        with self._lock:
            now = self._clock.local()
            refusing = [fault for fault in self._faults if fault.kind == "refuse" and fault.is_open(now)]
            for fault in refusing:
                if not fault.fired and fault.fires(now):
                    self._totals["refuse"] = self._totals.get("refuse", 0) + 1
                    _logger.info("event=fault kind=refuse")
            return any(fault.fired for fault in refusing)


def _check(spec):
    if not isinstance(spec, dict) or spec.get("kind") not in KINDS:
        raise UsageError(f"each fault needs a kind: {', '.join(KINDS)}")
    kind = spec["kind"]
    unknown = set(spec) - set(WHEN) - set(KINDS[kind])
    if unknown:
        raise UsageError(f"fault {kind} does not know {', '.join(sorted(unknown))}")
    if spec.get("service") not in (None, *SERVICES):
        raise UsageError(f"service must be one of {', '.join(SERVICES)}")
    if kind in STEPS and spec.get("step", KINDS[kind]["step"]) not in STEPS[kind]:
        raise UsageError(f"step of {kind} must be one of {', '.join(STEPS[kind])}")
    if kind == "refuse" and not {"until", "for_seconds"} & set(spec):
        raise UsageError("refuse needs until or for_seconds: nobody could ask the closed port to open again")
    if "service" in spec and (kind in ("refuse", "tls_failure") or spec.get("step") == "connected"):
        raise UsageError(f"{kind} acts before the service is known: leave service out")
    _check_values(spec)


def _check_values(spec):
    for key, default in KINDS[spec["kind"]].items():
        if not _fits(spec.get(key, default), default):
            raise UsageError(f"{key} must be like {default!r}")
    for key, default in (("count", 0), ("after", 0), ("probability", 0.0), ("for_seconds", 0.0)):
        value = spec.get(key, default)
        if not _fits(value, default) or value < 0:
            raise UsageError(f"{key} must be a {'whole ' if type(default) is int else ''}number, not negative")


def _fits(value, default):
    """True for a value of the type of the default; a whole number also serves where seconds are meant."""
    return type(value) is type(default) or (type(default) is float and type(value) is int)
