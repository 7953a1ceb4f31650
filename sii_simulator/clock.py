# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The simulated clock: real time plus an adjustable offset, read as Chilean wall time."""

import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

from .errors import UsageError

SANTIAGO = ZoneInfo("America/Santiago")


class Clock:
    """Simulated time. The offset is kept in the database, so that it survives a restart."""

    def __init__(self, database):
        self._database = database
        self._offset = float(database.value("clock_offset", "0"))

    def epoch(self):
        """Simulated seconds since 1970, for durations."""
        return time.time() + self._offset

    def local(self, epoch=None):
        """Naive Santiago time, to the second, of `epoch` or of now."""
        moment = datetime.fromtimestamp(self.epoch() if epoch is None else epoch, SANTIAGO)
        return moment.replace(tzinfo=None, microsecond=0)

    def offset(self):
        return self._offset

    def set_local(self, moment):
        """Makes the naive Santiago time `moment` be now."""
        self._store(epoch_of(moment) - time.time())

    def advance(self, seconds):
        self._store(self._offset + seconds)

    def reset(self):
        self._store(0.0)

    def _store(self, offset):
        self._offset = float(offset)
        self._database.set_value("clock_offset", repr(self._offset))


def epoch_of(moment):
    """Seconds since 1970 of a naive Santiago time."""
    return moment.replace(tzinfo=SANTIAGO).timestamp()


def read_moment(text):
    """Naive Santiago time written as 2026-05-31T10:00:00; None stays None. Raises UsageError."""
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{text!r} is not a time like 2026-05-31T10:00:00") from error


def read_day(text):
    """Date written as AAAA-MM-DD. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{text!r} is not a date AAAA-MM-DD") from error
