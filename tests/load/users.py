# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The users of a load run, as locust plays them; a process of its own, because locust changes Python's sockets.

Reads the file that it is told (`url`, `database`, `passwords`, `moves`, `seconds`) and writes its calls to another one.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

# Before everything that opens connections.
import gevent
from gevent.event import Event
from locust import User, constant_pacing, task
from locust.env import Environment

from tests.chaos.rpc import Browser, Gone, Refused

PACE_SECONDS = 2.0
LOGIN_SECONDS = 60
# What a document says right after the call: a job may have been quicker.
AFTER = ("to_send", "sending", "sent", "accepted", "objected", "unknown", "retry")


class Clerk(User):
    """Presses Send in Background for one invoice after the other, and looks whether it says so."""

    wait_time = constant_pacing(PACE_SECONDS)

    def on_start(self):
        told = self.environment.parsed_options
        login, password = told["waiting"].pop()
        self.moves = list(told["moves"][login])
        self.browser = Browser(told["url"], told["database"], login, password)
        self.browser.log_in()
        self.read(self.moves[0])
        # Nobody calls before everybody is there; and they do not call all at once.
        told["there"].append(self)
        place = len(told["there"]) / len(told["passwords"])
        told["begin"].wait()
        gevent.sleep(place * PACE_SECONDS)

    @task
    def send(self):
        move = self.moves.pop()
        began, problem = time.monotonic(), ""
        try:
            notice = self.browser.press("account.move", "action_send_dte_async", [move])
        except (Gone, Refused) as error:
            problem = str(error)
        seconds = time.monotonic() - began
        problem = problem or self.look(move, notice)
        self.environment.parsed_options["calls"].append({"move": move, "seconds": seconds, "problem": problem})

    def look(self, move, notice) -> str:
        """Return what is wrong with what the user sees now, or an empty text. Not measured."""
        try:
            seen = self.read(move)
        except (Gone, Refused) as error:
            return f"after the call: {error}"
        if notice["tag"] != "display_notification" or notice["params"]["type"] != "success":
            return f"an unexpected answer: {notice}"
        if seen["dte_status"] not in AFTER or (seen["dte_status"] == "to_send" and not seen["dte_is_queued"]):
            return f"it is not queued: {seen}"
        return ""

    def read(self, move):
        return self.browser.call("account.move", "read", [move], ["dte_status", "dte_is_queued", "dte_message"])[0]


def main(stage: Path, result: Path):
    told = json.loads(stage.read_text(encoding="utf-8"))
    told |= {"waiting": list(told["passwords"].items()), "calls": [], "there": [], "begin": Event()}
    problems = []
    environment = Environment(user_classes=[Clerk], parsed_options=told)
    environment.events.user_error.add_listener(
        lambda user_instance, exception, **_more: problems.append(f"{type(exception).__name__}: {exception}")
    )
    runner = environment.create_local_runner()
    users = len(told["passwords"])
    runner.start(users, spawn_rate=users)
    with gevent.Timeout(LOGIN_SECONDS):
        while len(told["there"]) < users:
            gevent.sleep(0.1)
    told["begin"].set()
    gevent.sleep(told["seconds"])
    # Calls on their way come to their end.
    environment.stop_timeout = PACE_SECONDS * 10
    runner.quit()
    runner.greenlet.join()
    result.write_text(json.dumps({"calls": told["calls"], "problems": problems}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
