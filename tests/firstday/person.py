# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A person at Odoo's screens, who finds things by the words that stand there and awaits what comes of each click."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError, expect

# Within it a screen shows what is there already; asking again comes no faster than that.
A_MOMENT_MILLISECONDS = 3_000


@dataclass
class Step:
    """One step of the guide: its title, all that could be read meanwhile, and how long it took."""

    title: str
    seen: set[str] = field(default_factory=set)
    seconds: float = 0.0


class Person:
    """Clicks and types. What was read and how long it took is kept for each step."""

    def __init__(self, page: Page, pictures: Path):
        self.page = page
        self.pictures = pictures
        self.steps: list[Step] = []
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    # -- steps and pictures --

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.steps.append(Step(title))
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.page.screenshot(path=self.pictures / f"{len(self.steps):02}-failed.png")
            raise
        self.look()
        self.steps[-1].seconds = time.monotonic() - began

    def look(self):
        """Read the screen."""
        seen = self.steps[-1].seen
        seen.update(line.strip() for line in self.page.inner_text("body").splitlines())
        hints = "nodes => nodes.map(node => node.placeholder || node.value || node.title)"
        seen.update(self.page.locator("[placeholder]:visible, input:visible, [title]:visible").evaluate_all(hints))

    def picture(self, name: str):
        """Leave the screenshot NN-name.png, NN being the number of the step."""
        self.look()
        self.page.screenshot(path=self.pictures / f"{len(self.steps):02}-{name}.png")

    # -- finding --

    @property
    def window(self) -> Locator:
        """The window on top, else the whole screen."""
        windows = self.page.locator(".modal:not(.o_inactive_modal) .modal-content")
        return windows.last if windows.count() else self.page.locator("body")

    def field(self, name: str) -> Locator:
        return self.window.locator(f".o_field_widget[name='{name}']:visible").first

    def line(self, text: str) -> Locator:
        """The row of a list with a cell that says this."""
        cell = self.page.locator("td", has_text=exactly(text))
        return self.page.locator("tr.o_data_row", has=cell).first

    # -- doing --

    def press(self, label: str, within: Locator | None = None):
        """Press the button or link that says this."""
        button = (within or self.window).locator("button:visible, a:visible", has_text=exactly(label)).first
        button.wait_for()
        self.look()
        button.click()

    def press_until(self, button: Locator, result: Locator, seconds: float, reload: bool = False):
        """Press a button again and again until something else is on the screen.

        :param reload: load the page again while the button is not there either
        """
        until = time.monotonic() + seconds
        while not result.is_visible():
            assert time.monotonic() < until, f"{result} did not come"
            if button.is_visible():
                self.look()
                with contextlib.suppress(TimeoutError):
                    button.click(timeout=A_MOMENT_MILLISECONDS)
            elif reload:
                self.page.reload()
            with contextlib.suppress(TimeoutError):
                button.or_(result).first.wait_for(timeout=A_MOMENT_MILLISECONDS)
            with contextlib.suppress(TimeoutError):
                result.wait_for(timeout=A_MOMENT_MILLISECONDS)

    def menu(self, app: str, *labels: str):
        """Choose an application and go through the menus of its bar."""
        self.page.click(".o_navbar_apps_menu button")
        self.look()
        self.page.locator(".o-dropdown--menu .o_app", has_text=exactly(app)).click()
        expect(self.page.locator(".o_main_navbar .o_menu_brand")).to_have_text(app)
        place = self.page.locator(".o_main_navbar .o_menu_sections")
        for label in labels:
            entry = place.get_by_text(label, exact=True).first
            entry.wait_for()
            self.look()
            entry.click()
            place = self.page.locator(".o-dropdown--menu")

    def type(self, name: str, text: str):
        box = self.field(name).locator("input, textarea").first
        box.fill(text)
        box.press("Tab")

    def pick(self, name: str, text: str):
        """Choose one of the records that are offered when something is typed."""
        self.field(name).locator("input").first.fill(text)
        offered = self.page.locator(".o-autocomplete--dropdown-item", has_text=text)
        offered.first.click()
        expect(offered).to_have_count(0)

    def choose(self, name: str, label: str):
        """Choose one of a few values, of round buttons or of a list that opens."""
        widget = self.field(name)
        if widget.locator("input[type=radio]").count():
            widget.get_by_label(label, exact=True).click()
        else:
            widget.locator("input").first.click()
            self.page.locator(".o_select_menu_item", has_text=exactly(label)).click()

    def tick(self, name: str):
        self.field(name).locator("input[type=checkbox]").check()

    # -- saving and coming back --

    def save(self, reloads: bool = False):
        """Save the form. Forms of companies and settings load the whole page again."""
        self.look()
        loaded = self.page.expect_event("load") if reloads else contextlib.nullcontext()
        with loaded:
            self.page.locator(".o_form_button_save:visible").click()
        if not reloads:
            expect(self.page.locator(".o_form_button_save:visible")).to_have_count(0)
        expect(self.page.locator(".o_main_navbar")).to_be_visible()

    def back(self, title: str):
        """Return to a screen that is named above the present one."""
        self.page.locator(".breadcrumb a:visible, .o_breadcrumb a:visible", has_text=title).first.click()


def exactly(text: str) -> re.Pattern:
    return re.compile(rf"^\s*{re.escape(text)}\s*$")
