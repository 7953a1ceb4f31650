# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What the pictures show: each scene goes to a screen, does what a person would do there, and takes one picture.

Everything is found by names of the product, which are the same in each language, and awaited; nothing waits a time.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pypdfium2
from PIL import Image
from playwright.sync_api import Locator, Page

COLOURS = 256
# How many pictures of a screen are taken until two in a row are equal.
TRIES = 40
# Screens that stand still: no transitions, no blinking cursor, no bubble over the page, nobody who comes and goes.
STILL = """
*, *::before, *::after { animation: none !important; transition: none !important; caret-color: transparent !important }
.o_notification_manager, .o-mail-ImStatus { visibility: hidden !important }
"""
SETTLED = """() => document.fonts.status === 'loaded'
    && [...document.images].every(image => image.complete || image.loading === 'lazy')
    && ![...document.querySelectorAll('.o_loading_indicator, .o_web_client .fa-spin')].some(one => one.offsetParent)"""
FOCUS_NOTHING = "() => document.activeElement?.blur()"
# What the app store's page shows, in English.
STORE = ("overview", "invoice-accepted", "invoice-rejected", "printed-document")
MARGIN = 6
# High enough for all of a screen whose picture ends with its content.
TALL = 1500


class Camera:
    """Takes pictures of one language into one folder.

    :param told: what dev/screenshots_stage.py made: ids of invoices, address of the portal, folder
    :ivar taken: bytes of each picture by its name
    """

    def __init__(self, page: Page, folder: Path, language: str, told: dict):
        self.page, self.folder, self.language, self.told = page, folder, language, told
        self.taken: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def go(self, path: str, awaited: str, height: int = 900) -> None:
        """Open a screen in a window of that height and wait until a selector is seen."""
        self.page.set_viewport_size({"width": 1366, "height": height})
        self.page.goto(path)
        self.page.add_style_tag(content=STILL)
        self.page.locator(awaited).first.wait_for()

    def invoice(self, which: str, tab: str) -> None:
        self.go(f"/odoo/customer-invoices/{self.told['ids'][which]}", f"a[name={tab}]", TALL)
        self.page.locator(f"a[name={tab}]").click()
        self.page.locator(f"a[name={tab}].active").wait_for()

    def state_of_document(self) -> tuple[Locator, Locator]:
        """Return what the tab Electronic Document of an invoice begins with: status and timeline."""
        return self.page.locator("[name=dte_environment]"), self.page.locator("[name=action_dte_download_xml]")

    def menu(self, name: str, awaited: str, height: int = 900) -> None:
        """Open an entry of the menu Electronic Documents over the overview."""
        self.go("/odoo/dte-overview", ".o_dte_company canvas", height)
        self.page.locator("[data-menu-xmlid='l10n_cl_dte.dte_menu_root']").click()
        self.page.locator(f"[data-menu-xmlid='l10n_cl_dte.{name}']").click()
        self.page.locator(awaited).first.wait_for()

    def take(self, name: str, *until: Locator) -> None:
        """Keep a picture of the window, down to the end of the lowest of some elements if there are any."""
        self._keep(name, self._still(until))

    def keep_image(self, name: str, image: Image.Image) -> None:
        """Keep an image that comes from elsewhere."""
        out = io.BytesIO()
        image.save(out, "PNG")
        self._keep(name, out.getvalue())

    def _clip(self, until: tuple[Locator, ...]) -> dict:
        size = self.page.viewport_size
        boxes = [one.bounding_box() for one in until]
        ends = [box["y"] + box["height"] + MARGIN for box in boxes] or [size["height"]]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], max(ends))}

    def _still(self, until: tuple[Locator, ...]) -> bytes:
        """Return the picture once two in a row are equal."""
        self.page.wait_for_function(SETTLED)
        self.page.evaluate(FOCUS_NOTHING)
        self.page.mouse.move(0, 0)
        before = None
        for _number in range(TRIES):
            picture = self.page.screenshot(clip=self._clip(until), animations="disabled")
            if picture == before:
                return picture
            before = picture
        raise AssertionError(f"{self.page.url} does not stand still")

    def _keep(self, name: str, picture: bytes) -> None:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        path = self.folder / f"{name}.png"
        image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        self.taken[name] = path.stat().st_size


# -- the first act: a company on a usual day --


def overview(camera: Camera) -> None:
    camera.go("/odoo/dte-overview", ".o_dte_company canvas", TALL)
    camera.take("overview", camera.page.locator(".o_dte_company").last)


def invoices(camera: Camera) -> None:
    camera.go("/odoo/customer-invoices", ".o_data_row")
    camera.take("invoices")


def accepted(camera: Camera) -> None:
    camera.invoice("accepted", "dte_tab")
    camera.take("invoice-accepted", *camera.state_of_document())


def rejected(camera: Camera) -> None:
    camera.invoice("rejected", "dte_tab")
    camera.take("invoice-rejected", *camera.state_of_document())


def objected(camera: Camera) -> None:
    camera.invoice("objected", "dte_tab")
    camera.take("invoice-repairs", *camera.state_of_document())


def exchange(camera: Camera) -> None:
    camera.invoice("accepted", "dte_exchange_tab")
    camera.take("exchange", camera.page.locator("[name=dte_answer_ids]"))


def send_and_print(camera: Camera) -> None:
    camera.go(f"/odoo/customer-invoices/{camera.told['ids']['fresh']}", "button[name=action_invoice_sent]:visible")
    camera.page.locator("button[name=action_invoice_sent]:visible").first.click()
    camera.page.locator(".modal .o_mail_attachment, .modal [name=mail_attachments_widget]").first.wait_for()
    camera.take("send-and-print")


def setup(camera: Camera) -> None:
    camera.go("/odoo/action-l10n_cl_dte.dte_setup_action", ".o_data_row", TALL)
    camera.take("setup", camera.page.locator(".o_data_row").last)


def folios(camera: Camera) -> None:
    camera.go("/odoo/dte-folios", ".o_data_row")
    camera.take("folios", camera.page.locator(".o_data_row").last)


def documents(camera: Camera) -> None:
    camera.go("/odoo/dte-documents", ".o_data_row")
    camera.take("documents")


def alerts(camera: Camera) -> None:
    camera.go("/odoo/dte-alerts", ".o_data_row")
    camera.take("alerts", camera.page.locator(".o_data_row").last)


def archive_check(camera: Camera) -> None:
    camera.go("/odoo/dte-archive-checks", ".o_data_row")
    camera.page.locator(".o_data_row td.o_data_cell").first.click()
    camera.page.locator(".o_form_view").wait_for()
    camera.take("archive-check", camera.page.locator(".o_form_sheet"))


def settings(camera: Camera) -> None:
    camera.go("/odoo/action-account.action_account_config", "#dte_setup")
    camera.page.locator("#dte_setup").evaluate("element => element.scrollIntoView({block: 'center'})")
    camera.take("settings")


def printed_document(camera: Camera) -> None:
    answer = camera.page.request.get(
        f"/report/pdf/account.report_invoice_with_payments/{camera.told['ids']['accepted']}"
    )
    with pypdfium2.PdfDocument(answer.body()) as pdf:
        camera.keep_image("printed-document", pdf[0].render(scale=1.5).to_pil())


def portal(camera: Camera) -> None:
    camera.page.context.clear_cookies()
    camera.go(camera.told["portal"], "iframe", 1060)
    camera.page.frame_locator("iframe").locator(".o_dte_logo").first.wait_for()
    camera.take("portal")


# -- the second act: files of another system --


def import_result(camera: Camera) -> None:
    camera.menu("dte_import_menu", ".modal footer", 980)
    chosen = camera.page.locator(".modal input[type=file]")
    chosen.set_input_files(str(Path(camera.told["folder"]) / f"respaldo-{camera.language}.zip"))
    camera.page.locator(".modal [name=file_ids] .o_attachment, .modal .o_dte_files li").first.wait_for()
    camera.page.locator(".modal button[name=action_import]:visible").click()
    camera.page.locator(".modal .o_data_row").first.wait_for()
    camera.take("import-result")


# -- the third act: the SII is away --


def contingency(camera: Camera) -> None:
    camera.menu("contingency_wizard_menu", ".modal .o_dte_contingency .text-success")
    camera.take("contingency")


def held(camera: Camera) -> None:
    camera.invoice("held", "dte_tab")
    camera.take("invoice-held", *camera.state_of_document())


def overview_in_contingency(camera: Camera) -> None:
    camera.go("/odoo/dte-overview", ".o_dte_company canvas", TALL)
    camera.take("overview-contingency", camera.page.locator(".o_dte_company").last)


Scene = Callable[[Camera], None]
ACTS: dict[str, tuple[Scene, ...]] = {
    "history": (
        overview, invoices, accepted, rejected, objected, exchange, send_and_print, setup, folios, documents, alerts,
        archive_check, settings, printed_document, portal,
    ),
    "import": (import_result,),
    "contingency": (overview_in_contingency, contingency, held),
}  # fmt: skip
