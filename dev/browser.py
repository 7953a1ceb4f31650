# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The machine's Chromium, driven as a person does: for the walk through the first day and for the screenshots."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dev.env import Env

# Also how long Odoo may take to show a screen the first time, when it builds the assets.
PATIENCE_MILLISECONDS = 90_000


@contextlib.contextmanager
def page(env: Env, url: str, width: int = 1366, height: int = 900, locale: str = "es-CL") -> Iterator[Page]:
    """A window of a browser without history, for the time of the block.

    :param url: what relative addresses begin with (`page.goto("/odoo")`)
    :param width, height: in pixels
    """
    # Chromium's sandbox does not work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=env.browser, args=options)
        context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": height},
            locale=locale,
            timezone_id="America/Santiago",
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        try:
            yield context.new_page()
        finally:
            browser.close()


def draw(env: Env, svg: Path) -> Path:
    """Write a picture beside its source, as PNG with a transparent ground and the size that the source says."""
    png = svg.with_suffix(".png")
    with page(env, "about:blank") as window:
        window.set_content(f"<body style='margin: 0'>{svg.read_text(encoding='utf-8')}</body>")
        window.locator("svg").screenshot(path=png, omit_background=True)
    return png


def log_in(page: Page, login: str, password: str) -> None:
    """Fill the login form and wait for Odoo's web client."""
    page.goto("/web/login")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    page.click("form.oe_login_form button[type=submit]")
    page.wait_for_selector(".o_web_client")
