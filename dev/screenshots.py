# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""`make screenshots`: the pictures of the documentation, taken of a company that the simulator has judged."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from dev import browser, databases, odoo_server, pictures, simulator
from dev.common import LOG, ROOT, RUN, Stop, locked, say, step, tail, write_json
from dev.env import Env
from dev.postgres import free_port

NAME = "screenshots"
STAGE = ROOT / "dev" / "screenshots_stage.py"
FOLDER = RUN / NAME
IMAGES = ROOT / "docs" / "images"
STORE = ROOT / databases.ADDON / "static" / "description"
# language of the folder: (locale of the browser, login)
LANGUAGES = {"es": ("es-CL", "camila"), "en": ("en-US", "camila.en")}


def screenshots(env: Env) -> int:
    """Make the company, serve it, take the pictures into docs/images and the app store's into the addon."""
    seconds: dict[str, float] = {}
    with locked(RUN / f"{NAME}.lock"):
        shutil.rmtree(FOLDER, ignore_errors=True)
        (FOLDER / "archive").mkdir(parents=True)
        with step("database", seconds):
            databases.create(env, NAME)
        with mail_sink() as mail_port, simulator.running(env, f"{NAME}-simulator", FOLDER / "simulator") as url:
            stage = Stage(env, {"simulator": url, "control": control_of_simulator(), "mail_port": mail_port})
            with step("history", seconds):
                stage.play("history")
            # No jobs: what is on a picture does not depend on when it is taken.
            with odoo_server.running(env, f"{NAME}-odoo", NAME, url, "--max-cron-threads=0") as server:
                taken = take_all(env, server.url, stage, seconds)
        databases.drop(env, NAME)
    for name in pictures.STORE:
        shutil.copyfile(IMAGES / "en" / f"{name}.png", STORE / f"{name}.png")
    for addon in databases.ADDONS:
        browser.draw(env, ROOT / addon / "static" / "description" / "icon.svg")
    write_json(RUN / f"{NAME}.json", {"pictures": taken, "seconds": seconds})
    say(f"{len(taken)} pictures in {IMAGES.relative_to(ROOT)}, {sum(taken.values()) // 1000} kB")
    return 0


class Stage:
    """Plays acts of dev/screenshots_stage.py and knows what they told."""

    def __init__(self, env: Env, told: dict):
        self._env = env
        self.told = {
            **told,
            "password": secrets.token_urlsafe(12),
            "archive": str(FOLDER / "archive"),
            "folder": str(FOLDER),
        }

    def play(self, act: str) -> None:
        """Raises Stop with the end of the log when it fails."""
        file, log = FOLDER / "stage.json", LOG / f"{NAME}-{act}.log"
        file.touch(mode=0o600)
        file.write_text(json.dumps({**self.told, "act": act}), encoding="utf-8")
        variables = {
            "SCREENSHOTS_FILE": str(file),
            "DTE_SIMULATOR_URL": self.told["simulator"],
            "PYTHONPATH": f"{ROOT}:{self._env.odoo_pythonpath}",
        }
        if databases.run_script(self._env, NAME, STAGE, log, **variables):
            raise Stop(f"The stage for the pictures ({act}) failed.\n{tail(log, 40)}\nFull log: {log}")
        self.told = json.loads(file.read_text(encoding="utf-8"))


def control_of_simulator() -> str:
    """Return scheme and host of the port that no fault of the simulator touches."""
    ready = json.loads((FOLDER / "simulator" / "server.json").read_text(encoding="utf-8"))
    return ready["control"].removesuffix("/control")


@contextlib.contextmanager
def mail_sink() -> Iterator[int]:
    """A mail server on this machine that takes everything and keeps nothing; gives its port."""
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def take_all(env: Env, url: str, stage: Stage, seconds: dict[str, float]) -> dict[str, int]:
    """Take the pictures of each act in each language; size in bytes by path below docs/images."""
    taken: dict[str, int] = {}
    for act, scenes in pictures.ACTS.items():
        if act != "history":
            with step(act, seconds):
                stage.play(act)
        for language, (locale, login) in LANGUAGES.items():
            with step(f"{act} {language}", seconds), browser.page(env, url, locale=locale) as page:
                browser.log_in(page, login, stage.told["password"])
                camera = pictures.Camera(page, IMAGES / language, language, stage.told)
                for scene in scenes:
                    scene(camera)
                taken |= {f"{language}/{name}.png": size for name, size in camera.taken.items()}
    return taken
