# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What a stranger sees first: page and icon of each addon in the app store, and pictures that documents name."""

import ast
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from dev import databases, pictures, screenshots
from dev.common import ROOT

ICON_SIZE = (256, 256)
# Of one picture; a page with ten of them still opens at once.
MAX_BYTES = 150_000
EXTERNAL = re.compile(r"^(?:[a-z]+:|//)", re.IGNORECASE)
MARKDOWN_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)|<img[^>]+src=\"([^\"]+)\"")
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


class Page(HTMLParser):
    """Tags of a page, and the addresses that they name."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.undescribed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.addresses += [values[name] for name in ("src", "href", "srcset", "data", "action") if values.get(name)]
        if tag == "img" and not values.get("alt"):
            self.undescribed.append(values.get("src", ""))


def description(addon: str):
    return ROOT / addon / "static" / "description"


def named_in(document) -> list[str]:
    found = MARKDOWN_IMAGE.findall(document.read_text(encoding="utf-8"))
    return [first or second for first, second in found]


@pytest.mark.parametrize("addon", databases.ADDONS)
def test_page_of_the_app_store(addon):
    folder = description(addon)
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "style", "link", "iframe", "html", "body"} & set(page.tags)
    assert not [address for address in page.addresses if EXTERNAL.match(address)]
    assert not [address for address in page.addresses if not (folder / address).is_file()]
    assert not page.undescribed
    assert not re.search(r"https?://|\son\w+=", text)


@pytest.mark.parametrize("addon", databases.ADDONS)
def test_icon(addon):
    with Image.open(description(addon) / "icon.png") as icon:
        assert (icon.format, icon.size, icon.mode) == ("PNG", ICON_SIZE, "RGBA")
        # The ground is transparent, and something is drawn.
        assert icon.getpixel((0, 0))[3] == 0
        assert len(icon.getcolors(ICON_SIZE[0] * ICON_SIZE[1])) > 5
    assert (description(addon) / "icon.svg").is_file()


@pytest.mark.parametrize("addon", databases.ADDONS)
def test_images_of_the_manifest(addon):
    manifest = ast.literal_eval((ROOT / addon / "__manifest__.py").read_text(encoding="utf-8"))
    assert not [name for name in manifest.get("images", []) if not (ROOT / addon / name).is_file()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pictures_that_a_document_names(document):
    assert not [name for name in named_in(document) if EXTERNAL.match(name) or not (document.parent / name).is_file()]


def test_the_readme_shows_pictures():
    assert len(named_in(ROOT / "README.md")) >= 3


def test_each_language_has_the_same_pictures():
    names = {
        language: {path.name for path in (screenshots.IMAGES / language).glob("*")}
        for language in screenshots.LANGUAGES
    }
    assert names["es"] == names["en"]
    assert names["es"]
    assert {f"{name}.png" for name in pictures.STORE} <= names["en"]


@pytest.mark.parametrize("folder", [screenshots.IMAGES, *map(description, databases.ADDONS)], ids=str)
def test_pictures_are_small(folder):
    for path in folder.rglob("*.png"):
        assert path.stat().st_size <= MAX_BYTES, path
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width <= 1366
