# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Moves each envelope through its states as simulated time passes: REC, SOK, CRT, FOK, PDR, then EPR or a rejection."""

import threading
from itertools import accumulate

from .envelope import EnvelopeRejected, check
from .result_mail import ResultMail
from .review import Review

# Stages in the order of time, and the state an envelope shows once the stage has come.
SHOWN = {"registered": "REC", "schema": "SOK", "caratula": "CRT", "firma": "FOK", "process": "PDR"}
# The stage at which a rejection of the whole envelope becomes known.
SHOWN_REJECTION = {"RPT": "schema", "RSC": "schema", "RCT": "caratula", "RFR": "firma"}
IDLE = 3600


class Engine:
    """One thread that validates what is due. Only it decides, so that folios are judged in the order of arrival."""

    def __init__(self, simulator):
        self._simulator = simulator
        self._mail = ResultMail(simulator)
        self._due = threading.Condition()
        self._work = threading.Lock()
        self._pending = False
        self._stopped = False
        self._thread = threading.Thread(target=self._guarded, name="engine", daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        with self._due:
            self._stopped = True
            self._due.notify()
        self._thread.join()

    def wake(self):
        """Something changed: an upload, the clock, the settings."""
        with self._due:
            self._pending = True
            self._due.notify()

    def process_all(self):
        """Gives every open envelope its final state and sends every mail, whatever the delays."""
        with self._work:
            self._advance(force=True)

    def paused(self):
        """A context in which nothing is being validated."""
        return self._work

    def send_mail(self, upload):
        self._mail.send(upload)

    def state(self, upload):
        """State of an upload row now, or None while it is not yet registered."""
        if upload["state"]:
            return upload["state"]
        times = self._times(upload)
        now = self._simulator.clock.epoch()
        if now < times["registered"]:
            return None
        reached = [stage for stage in SHOWN if now >= times[stage]]
        if not upload["phase"]:
            reached = reached[:1]
        state = SHOWN[reached[-1]]
        return self._simulator.settings["processing_state"] if state == "PDR" else state

    def _guarded(self):
        try:
            self._run()
        finally:
            if not self._stopped:
                # A defect of the simulator must stop it: without this thread no envelope would ever be judged.
                self._simulator.abort()

    def _run(self):
        wait = 0.0
        while True:
            with self._due:
                self._due.wait_for(lambda: self._pending or self._stopped, timeout=wait)
                self._pending = False
                if self._stopped:
                    return
            with self._work:
                wait = self._advance()

    def _advance(self, force=False):
        """Does what is due; returns the seconds until the next thing is."""
        now = float("inf") if force else self._simulator.clock.epoch()
        moments = [self._move(row, now) for row in self._simulator.ledger.open_uploads()]
        moments += self._mail.send_due(now)
        waits = [moment - self._simulator.clock.epoch() for moment in moments if moment is not None]
        return max(0.0, min(waits, default=IDLE))

    def _move(self, row, now):
        """Takes one envelope as far as it may go; returns when it can go on, or None when it is settled."""
        times = self._times(row)
        track, outcome = row["track_id"], row["outcome"]
        if row["phase"] == 0:
            if now < times["schema"]:
                return times["schema"]
            outcome = self._check(track)
        due = times[SHOWN_REJECTION[outcome]] if outcome else times["final"]
        if now < due:
            return due
        ledger = self._simulator.ledger
        mail_due = self._simulator.clock.epoch() + self._simulator.settings["delays"]["mail"]
        if outcome:
            ledger.settle(track, outcome, mail_due)
        else:
            ledger.save_review(track, *Review(self._simulator, ledger.upload(track)).run(), mail_due)
        return None

    def _check(self, track):
        upload = self._simulator.ledger.upload(track)
        outcome, errors, documents = "", [], []
        try:
            documents = check(self._simulator, upload)
        except EnvelopeRejected as rejection:
            outcome, errors = rejection.outcome, rejection.errors
        self._simulator.ledger.save_check(track, outcome, errors, documents)
        return outcome

    def _times(self, row):
        """Simulated second at which each stage comes."""
        delays = self._simulator.settings["delays"]
        stages = [*SHOWN, "final"]
        moments = accumulate((delays[stage] for stage in stages), initial=row["received"])
        return dict(zip(stages, list(moments)[1:], strict=True))
