# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import logging
import random
import re
import time
import tracemalloc
from collections import Counter
from types import SimpleNamespace
from unittest.mock import patch

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs import foreign_document, xml_verifier
from ..wizards import dte_import
from .archive import ArchiveCommon
from .common import new_rut
from .foreign import DECLARATION, OtherSystem, pack
from .simulated import register_company

_logger = logging.getLogger(__name__)


class ImportCommon(ArchiveCommon):
    def setUp(self):
        super().setUp()
        self.other = OtherSystem(self, self.rut)

    def upload(self, files: dict[str, bytes], user=None):
        """Upload files and return the wizard before the button is pressed."""
        env = self.env(user=user or self.manager_env().uid)
        attachments = env["ir.attachment"].create([{"name": name, "raw": raw} for name, raw in files.items()])
        return env["dte.import"].create({"company_id": self.company.id, "file_ids": [(6, 0, attachments.ids)]})

    def press(self, wizard):
        with self.committing() as env:
            wizard.with_env(env(user=wizard.env.uid)).action_import()
        return wizard

    def take(self, **files):
        return self.press(self.upload({name.replace("__", "."): content for name, content in files.items()}))

    def counts(self, wizard):
        return wizard.imported, wizard.present, wizard.conflicts, wizard.refused

    def said(self, wizard):
        return {line.name: line.reason for line in wizard.line_ids}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestImport(ImportCommon):
    def test_one_document(self):
        xml = self.other.issue(1001)
        wizard = self.take(a__xml=DECLARATION + xml)
        self.assertEqual((self.counts(wizard), wizard.state), ((1, 0, 0, 0), "done"))
        [document] = self.documents()
        self.assertEqual((document.state, document.environment, document.folio), ("imported", "simulator", 1001))
        self.assertEqual((document.receiver_name, document.amount_total), ("Ferretería", 1190))
        backup = document.backup_id
        self.assertEqual((backup.origin, backup._row_xml(), backup.track_id), ("imported", xml, False))
        self.assertIn("another system", document.message)
        self.assertFalse(wizard.file_ids, "the archive has them")
        self.seal()
        self.assertEqual(self.codes(), [])
        self.assertEqual(backup._check(), [])

    def test_every_form_of_a_file(self):
        documents = [self.other.issue(folio) for folio in range(1001, 1007)]
        files = {
            "declared.xml": DECLARATION + documents[0],
            "bare.xml": documents[1],
            "utf8.xml": (b'<?xml version="1.0" encoding="UTF-8"?>' + documents[2].decode("latin-1").encode()),
            "bom.xml": b"\xef\xbb\xbf" + documents[3].decode("latin-1").encode(),
            "envelope.xml": self.other.envelope(*documents[4:]),
        }
        wizard = self.press(self.upload(files))
        self.assertEqual(self.counts(wizard), (6, 0, 0, 0), self.said(wizard))
        self.assertEqual([row._row_xml() for row in self.rows()], documents)

    def test_the_same_document_in_another_file(self):
        """Alone and inside an envelope of another writer the bytes differ, the signed document does not."""
        xml = self.other.issue(1001)
        inner = re.sub(rb' xmlns="http://www.sii.cl/SiiDte"', b"", xml, count=1)
        envelope = self.other.envelope(xml).replace(xml, inner)
        self.assertNotIn(xml, envelope)
        wizard = self.take(b__xml=envelope, c__xml=DECLARATION + xml, d__xml=xml)
        self.assertEqual(self.counts(wizard), (1, 2, 0, 0), self.said(wizard))
        [row] = self.rows()
        self.assertTrue(xml_verifier.verify_dte(row._row_xml()).valid)
        self.copy_files()
        self.assertEqual(row.file_state, "written")
        self.assertEqual(row._check(), [])

    def test_conflict(self):
        first, second = self.other.issue(1001), self.other.issue(1001, price=2000)
        wizard = self.take(a__xml=first, b__xml=second)
        self.assertEqual(self.counts(wizard), (1, 0, 1, 0))
        self.assertEqual(self.rows()._row_xml(), first)
        self.assertIn("not stored", self.said(wizard)["b.xml"])

    def test_a_document_of_ours(self):
        """What was issued here is recognised, and keeps its state."""
        move = self.post()
        wizard = self.take(a__xml=DECLARATION + move._dte_xml())
        self.assertEqual(self.counts(wizard), (0, 1, 0, 0))
        self.assertEqual(move.dte_status, "to_send")

    def test_forged(self):
        xml = self.other.issue(1001)
        stranger = OtherSystem(self, new_rut())
        files = {
            "changed.xml": xml.replace(b"Art\xedculo", b"Art\xedcul0"),
            "unsigned.xml": re.sub(rb"<Signature .*</Signature>", b"", xml, flags=re.DOTALL),
            "stranger.xml": stranger.issue(1001),
            "type.xml": xml.replace(b"<TipoDTE>33<", b"<TipoDTE>99<"),
            "folio.xml": xml.replace(b"<Folio>1001<", b"<Folio>99999999999<"),
            "frma.xml": re.sub(rb"(<FRMA[^>]*>)....", rb"\1AAAA", xml),
            "comment.xml": b"<a><!-- " + xml + b" --></a>",
            "hidden.xml": b"<a><!-- " + xml + b" -->" + xml + b"</a>",
            "entity.xml": b'<!DOCTYPE a [<!ENTITY b "c">]>' + xml,
            "text.xml": b"hola",
            "empty.xml": b"",
            "other.xml": b"<libro/>",
            "dte.xml": b"<DTE></DTE>",
            "cut.xml": xml[:-200],
        }
        with patch.object(dte_import, "NAMED", 100):
            wizard = self.press(self.upload(files))
        self.assertEqual(self.counts(wizard), (0, 0, 0, len(files)))
        self.assertFalse(self.rows())
        said = self.said(wizard)
        self.assertIn("changed after", said["changed.xml"])
        self.assertIn("not signed", said["unsigned.xml"])
        self.assertIn(stranger.rut, said["stranger.xml"])
        self.assertIn("99", said["type.xml"])
        self.assertIn("cannot be read", said["folio.xml"])
        self.assertIn("CAF", said["frma.xml"] + str(wizard.line_ids.mapped("reason")))
        self.assertIn("no electronic document", said["comment.xml"])
        self.assertIn("told apart", said["hidden.xml"])
        self.assertIn("entities", said["entity.xml"])
        self.assertIn("not XML", said["text.xml"])
        self.assertIn("empty", said["empty.xml"])
        self.assertIn("no electronic document", said["other.xml"])
        self.assertIn("cannot be read", said["dte.xml"])
        self.assertIn("cut off", said["cut.xml"])

    def test_one_that_makes_the_code_fail_stops_no_other(self):
        first, second, third = (self.other.issue(folio) for folio in (1001, 1002, 1003))
        prove, cut = foreign_document.prove, foreign_document.cut_documents

        def failing(xml, *args):
            if xml == second:
                # As a query that fails: what came before must not be lost with it.
                self.env.cr.execute("SELECT 1 / 0")
            return prove(xml, *args)

        def unreadable(content):
            if content == b"odd":
                raise RuntimeError("odd")
            return cut(content)

        with (
            patch.object(foreign_document, "prove", failing),
            patch.object(foreign_document, "cut_documents", unreadable),
            mute_logger("odoo.sql_db", "odoo.addons.l10n_cl_dte.wizards.dte_import"),
        ):
            wizard = self.press(self.upload({"a.xml": first, "b.xml": second, "c.xml": b"odd", "d.xml": third}))
        self.assertEqual((self.counts(wizard), wizard.state), ((2, 0, 0, 2), "done"))
        self.assertIn("error here", self.said(wizard)["b.xml"])
        self.assertIn("error here", self.said(wizard)["c.xml"])
        self.assertEqual(sorted(self.documents().mapped("folio")), [1001, 1003])

    def test_stamped_by_nobody(self):
        """A document signed by anybody, with a timbre of another CAF authority, proves nothing."""
        key = rsa.generate_private_key(65537, 2048).public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.company.sudo().dte_simulator_key = key.public_bytes(serialization.Encoding.PEM, form).decode()
        wizard = self.take(a__xml=self.other.issue(1001))
        self.assertEqual(self.counts(wizard), (0, 0, 0, 1))
        self.assertIn("SII's signature", self.said(wizard)["a.xml"])

    def test_bad_zips(self):
        xml = self.other.issue(1001)
        inner = pack({"a.xml": xml})
        files = {
            "good.xml": DECLARATION + xml,
            "bomb.xml": b" " * 30_000_000,
            "secret.xml": DECLARATION + self.other.issue(1002),
            "inner.zip": inner,
            "../../etc/passwd": b"root",
        }
        wizard = self.take(a__zip=pack(files, encrypted=["secret.xml"]), b__zip=inner[:-30], c__zip=pack({}))
        said = self.said(wizard)
        self.assertEqual(self.counts(wizard), (1, 0, 0, 5), said)
        self.assertIn("hundreds of times", said["bomb.xml"])
        self.assertIn("encrypted", said["secret.xml"])
        self.assertIn("ZIP inside", said["inner.zip"])
        self.assertIn("damaged", said["b.zip"])

    def test_folios(self):
        """Gaps are told and the next folio follows, whether or not the CAF was loaded before."""
        files = {f"{folio}.xml": self.other.issue(folio) for folio in (1001, 1002, 1005, 1010)}
        wizard = self.take(a__zip=pack(files))
        [used] = wizard.range_ids
        self.assertEqual((used.dte_type, used.first, used.last, used.count), ("33", 1001, 1010, 4))
        self.assertEqual(used.gaps, "1003-1004, 1006-1009")
        self.assertEqual(used.following, 1, "the folios loaded first are 1 to 100")
        self.env["dte.caf"].sudo().search(
            [("dte_type", "=", "33"), ("company_id", "=", self.company.id)]
        ).active = False
        self.simulator.call("POST", "reset")
        register_company(self.company, self.simulator)
        self.load_caf(33, 1001, 1100)
        self.assertEqual(self.post().dte_folio, 1011)

    def test_never_sent_from_here(self):
        self.take(a__xml=self.other.issue(1001))
        [document] = self.documents()
        with self.committing() as env:
            document.with_env(env(user=self.manager_env().uid)).action_send()
        self.run_job("dte.envio", "_cron_send")
        self.assertEqual((document.state, self.uploads()), ("imported", []))

    def test_ask(self):
        """Only what the SII confirms is accepted."""
        known, unknown = self.other.issue(1001), self.other.issue(1002)
        with self.committing() as env:
            client = self.company.with_env(env).sudo()._dte_client("simulator")
            client.upload(self.other.credentials.holder_rut, self.rut, "otro.xml", self.other.envelope(known))
        self.simulator.call("POST", "process")
        self.take(a__xml=known, b__xml=unknown)
        accepted, missing = self.documents()
        with self.committing() as env:
            (accepted | missing).with_env(env).action_check_status()
        self.assertEqual((accepted.state, missing.state), ("accepted", "imported"))
        self.assertIn("does not have it", missing.message)

    def test_a_note_does_not_wait_for_it(self):
        """Nothing of ours would end the waiting."""
        self.take(a__xml=self.other.issue(1001))
        document_type = self.env["l10n_latam.document.type"].search(
            [("code", "=", "33"), ("country_id.code", "=", "CL")]
        )
        reference = {"document_type_id": document_type.id, "folio": "1001", "code": "3", "reason": "Devolución",
                     "date": self.company._dte_now().date()}  # fmt: skip
        note = self.make(dte_type="61", dte_reference_ids=[(0, 0, reference)])
        note.action_post()
        self.assertFalse(note.dte_document_id.sudo().reference_ids)

    def test_survives_the_database(self):
        """From the archive folder it comes back as what it is."""
        self.lose(lambda: self.take(a__xml=self.other.issue(1001)), self.copy_files)
        self.assertFalse(self.documents())
        self.assertEqual(self.restore().restored, 1)
        [document] = self.documents()
        self.assertEqual(
            (document.state, document.ask_first, document.backup_id.origin), ("imported", False, "imported")
        )

    def test_time_runs_out(self):
        files = {f"{folio}.xml": self.other.issue(folio) for folio in range(1001, 1006)}
        wizard = self.upload({"a.zip": pack(files), "b.xml": self.other.issue(1006)})
        with (
            patch.object(dte_import, "BATCH", 2),
            patch.object(dte_import, "time", SimpleNamespace(monotonic=Clock(5))),
        ):
            self.press(wizard)
        self.assertEqual(wizard.state, "partial")
        self.assertLess(wizard.imported, 6)
        self.assertEqual(len(self.documents()), wizard.imported)
        self.press(wizard)
        self.assertEqual((wizard.state, self.counts(wizard), wizard.files_read), ("done", (6, 0, 0, 0), 6))

    def test_who_may(self):
        with self.assertRaises(AccessError):
            self.upload({"a.xml": b""}, user=self.dte_user.id)
        wizard = self.upload({"a.xml": b""})
        wizard.file_ids = False
        with self.assertRaisesRegex(UserError, "Choose the files"):
            wizard.action_import()


class Clock:
    """Lets the time run out after some looks at it."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self):
        self.looks -= 1
        return 0 if self.looks > 0 else 10_000


@tagged("post_install_l10n", "post_install", "-at_install")
class TestImportMixed(ImportCommon):
    """The ZIP as people have it: 500 files, many of them something else."""

    def mixed(self):
        files = {}
        stranger = OtherSystem(self, new_rut())
        good = [self.other.issue(folio) for folio in range(1001, 1291)]
        for number, xml in enumerate(good):
            files[f"33/{number}.xml"] = DECLARATION + xml
        for start in range(1301, 1331, 3):
            files[f"envio/{start}.xml"] = self.other.envelope(*(self.other.issue(start + step) for step in range(3)))
        for number in range(60):
            xml = self.other.issue(1401 + number)
            files[f"mala/{number}.xml"] = DECLARATION + xml.replace(b"Art\xedculo", b"Art\xedcul0")
        for number in range(40):
            files[f"ajena/{number}.xml"] = DECLARATION + stranger.issue(1001 + number)
        for number in range(40):
            files[f"copia/{number}.xml"] = good[number]
        for number in range(30):
            files[f"notas/{number}.txt"] = b"apuntes del contador %d" % number
        huge = base64.b64encode(random.randbytes(16_000_000))  # noqa: S311 - what cannot be packed
        for number in range(4):
            files[f"enorme/{number}.xml"] = huge
        for number in range(26):
            files[f"entidad/{number}.xml"] = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "b">]><d>&a;</d>'
        return files

    def test_mixed(self):
        files = self.mixed()
        self.assertEqual(len(files), 500)
        wizard = self.upload({"todo.zip": pack(files)})
        began = time.monotonic()
        self.press(wizard)
        seconds = time.monotonic() - began
        _logger.info("dte_import_measured files=500 seconds=%.1f", seconds)
        self.assertEqual(wizard.state, "done")
        self.assertEqual(wizard.files_read, 500)
        self.assertEqual(self.counts(wizard), (320, 40, 0, 160))
        folders = Counter(line.name.split("/")[0] for line in wizard.line_ids)
        self.assertEqual(folders, {"mala": 60, "ajena": 40, "copia": 40, "notas": 30, "enorme": 4, "entidad": 26})
        reasons = {line.name.split("/")[0]: line.reason for line in wizard.line_ids}
        self.assertIn("changed after", reasons["mala"])
        self.assertIn("another company", reasons["ajena"])
        self.assertIn("is here already", reasons["copia"])
        self.assertIn("not XML", reasons["notas"])
        self.assertIn("MB", reasons["enorme"])
        self.assertIn("entities", reasons["entidad"])
        [used] = wizard.range_ids
        self.assertEqual((used.first, used.last, used.count, used.gaps), (1001, 1330, 320, "1291-1300"))
        self.assertLess(seconds, 60)

    def test_memory(self):
        """One file of a ZIP is in memory at a time, whatever the ZIP unpacks to."""
        text = b"<a>%s</a>" % base64.b64encode(random.randbytes(3_000_000))  # noqa: S311 - what packs badly
        wizard = self.upload({"todo.zip": pack({f"{number}.xml": text for number in range(20)})})
        self.env.flush_all()
        self.env.invalidate_all()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.press(wizard)
        self.assertEqual(wizard.refused, 20)
        self.assertLess(tracemalloc.get_traced_memory()[1], 30_000_000)
