# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import date

import pytest
from libs import archive_layout
from libs.archive_layout import Place
from libs.archive_store import MARKER, ArchiveError, FolderStore, open_store
from libs.exceptions import DocumentError
from libs.issue import issue

from tests.libs import documents


@pytest.mark.parametrize(
    ("place", "key"),
    [
        (Place("production", "76543210-3", 33, 7, 1, 2026, 3), "2026/03/76543210-3/33-7.xml"),
        (Place("production", "76543210-K", 61, 7, 2, 2026, 12), "2026/12/76543210-K/61-7-v2.xml"),
        (Place("certification", "76543210-3", 33, 7, 1, 2026, 3), "_certification/2026/03/76543210-3/33-7.xml"),
    ],
)
def test_names(place, key):
    assert place.key == key
    assert archive_layout.parse_key(key) == place
    assert place.sidecar_key == key[:-4] + ".json"


@pytest.mark.parametrize(
    "key", ["x.xml", "2026/03/76543210-3/33-7.json", "2026/03/../33-7.xml", "2026/03/76543210-3/.33-7.xml.ab.part"]
)
def test_other_names(key):
    assert archive_layout.parse_key(key) is None


def test_facts(signer, cafs):
    dte = documents.make_dte()
    signed = issue(dte, cafs[33], signer, documents.SIGNED_AT)
    facts = archive_layout.read_facts(signed.xml)
    assert (facts.dte_type, facts.folio, facts.issue_date) == (33, 7, date(2026, 10, 5))
    assert facts.receiver_name == dte.receiver.name
    assert (facts.total, facts.signed_at) == (signed.totals.total, documents.SIGNED_AT)


@pytest.mark.parametrize("xml", [b"", b"<DTE/>", b"PERURS8+"])
def test_no_facts(xml):
    with pytest.raises(DocumentError):
        archive_layout.read_facts(xml)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b"{"])
def test_unreadable_companion(content):
    assert archive_layout.read_sidecar(content) == {}


@pytest.mark.parametrize("remote", [False, True])
def test_store(tmp_path, remote):
    store = open_store(f"memory://{tmp_path}" if remote else str(tmp_path))
    with pytest.raises(ArchiveError, match="archive_target_missing"):
        store.check()
    store.prepare()
    store.put("a/b/1.xml", b"one")
    store.put("a/b/1.xml", b"two")
    assert store.get("a/b/1.xml") == b"two"
    assert sorted(store.keys()) == ["a/b/1.xml", MARKER]
    assert list(store.keys("a/b")) == ["a/b/1.xml"]
    assert list(store.keys("c")) == []
    with pytest.raises(ArchiveError, match="archive_file_missing"):
        store.get("a/2.xml")
    store.remove("a/b/1.xml")
    store.remove("a/b/1.xml")
    assert list(store.keys("a")) == []


def test_folder_must_exist(tmp_path):
    with pytest.raises(ArchiveError, match="archive_target_missing"):
        FolderStore(tmp_path / "no").prepare()


def test_addresses():
    for url in ("relative", "nonsense://user:secret@host/x"):
        with pytest.raises(ArchiveError, match="archive_target_invalid") as caught:
            open_store(url)
        assert "secret" not in str(caught.value)
