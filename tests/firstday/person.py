# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A person at Odoo's screens, who finds things by the words that stand there and waits until the screen has answered."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

# Of a screen that Odoo renders; a whole installation is waited for elsewhere.
PATIENCE_MILLISECONDS = 60_000


@dataclass
class Step:
    """What one step of the guide was: its title, everything that could be read meanwhile, and its seconds."""

    title: str
    seen: set[str] = field(default_factory=set)
    seconds: float = 0.0


class Person:
    """Clicks and types. Methods return when the screen shows what came of it."""

    def __init__(self, page: Page, pictures: Path):
        self.page = page
        self.pictures = pictures
        self.steps: list[Step] = []
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    # -- steps and pictures --

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One numbered step of the guide."""
        self.steps.append(Step(title))
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.picture("failed")
            raise
        self.look()
        self.steps[-1].seconds = time.monotonic() - began

    def look(self):
        """Take in every word that can be read now."""
        if self.steps:
            self.steps[-1].seen.update(line.strip() for line in self.page.inner_text("body").splitlines())

    def picture(self, name: str):
        """Leave a screenshot NN-name.png, NN being the step, and take in what it says."""
        self.look()
        self.page.screenshot(path=self.pictures / f"{len(self.steps):02}-{name}.png")

    # -- finding --

    @property
    def window(self) -> Locator:
        """The window on top if there is one, else the whole screen."""
        windows = self.page.locator(".modal:not(.o_inactive_modal) .modal-content")
        return windows.last if windows.count() else self.page.locator("body")

    def field(self, name: str) -> Locator:
        return self.window.locator(f".o_field_widget[name='{name}']:visible").first

    def line(self, text: str) -> Locator:
        """The row of a list that has this text in one of its cells."""
        return self.window.locator("tr.o_data_row", has_text=text).first

    # -- doing --

    def type(self, name: str, text: str):
        """Fill a field with a text."""
        box = self.field(name).locator("input, textarea").first
        box.fill(text)
        box.press("Tab")

    def pick(self, name: str, text: str, typed: str = ""):
        """Choose a record that the field offers when a part of its name is typed."""
        box = self.field(name).locator("input").first
        box.click()
        box.fill(typed or text)
        offered = self.page.locator(".o-autocomplete--dropdown-menu .o-autocomplete--dropdown-item", has_text=text)
        offered.first.click()
        expect(self.page.locator(".o-autocomplete--dropdown-menu")).to_have_count(0)

    def choose(self, name: str, label: str):
        """Choose one of a few values: a round button, or a list that opens."""
        widget = self.field(name)
        if widget.locator("input[type=radio]").count():
            widget.get_by_label(label, exact=True).click()
            return
        box = widget.locator("input, button").first
        box.click()
        self.page.locator(".o_select_menu_item, .o-dropdown-item", has_text=label).first.click()

    def press(self, label: str, within: Locator | None = None):
        """Press a button or a link that says this."""
        self.look()
        (within or self.window).locator("button:visible, a:visible", has_text=words(label)).first.click()
        self.rest()

    def menu(self, app: str, *labels: str):
        """Go through the menus: the application, then the words of its bar."""
        self.page.click(".o_navbar_apps_menu button")
        self.page.locator(".o-dropdown--menu .o_app", has_text=words(app)).click()
        bar = self.page.locator(".o_main_navbar")
        expect(bar.locator(".o_menu_brand")).to_have_text(app)
        for number, label in enumerate(labels):
            place = bar if not number else self.page.locator(".o-dropdown--menu")
            self.look()
            place.get_by_text(label, exact=True).first.click()
        self.rest()

    def rest(self):
        """Wait until Odoo has answered everything it was asked."""
        self.page.wait_for_function("() => !document.querySelector('.o_blockUI')")
        self.look()

    def save(self):
        """Save the record of the form and wait until it is."""
        self.page.locator(".o_form_button_save:visible").click()
        expect(self.page.locator(".o_form_button_save:visible")).to_have_count(0)
        self.look()


def words(label: str) -> re.Pattern:
    return re.compile(rf"^\s*{re.escape(label)}\s*$")
