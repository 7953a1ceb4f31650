# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..wizards.dte_files_load import MAX_FILES
from .common import DteCommon, new_rut


@tagged("post_install_l10n", "post_install", "-at_install")
class TestFilesLoad(DteCommon):
    """A dozen files at once: none stands in the way of another."""

    def load(self, files, passphrase="", user=None):
        wizard = self.chosen(files, passphrase, user)
        self.press(wizard)
        return wizard

    def chosen(self, files, passphrase="", user=None):
        listed = [{"name": name, "content": base64.b64encode(content).decode()} for name, content in files.items()]
        return self.env(user=user or self.admin)["dte.files.load"].create(
            {"company_id": self.company.id, "files": listed, "passphrase": passphrase}
        )

    def press(self, wizard):
        with self.committing() as env:
            wizard.with_env(wizard.env(cr=env.cr)).action_load()

    def results(self, wizard):
        return {line.name: line.result for line in wizard.line_ids}

    def certificate(self, rut="11111111-1", **options):
        content, passphrase = self.simulator.certificate(rut, **options)
        return base64.b64decode(content), passphrase

    def test_a_dozen(self):
        files = {f"33-{n}.xml": self.simulator.caf(self.rut, 33, n, n + 99, name="E") for n in range(1001, 2001, 100)}
        files["again.xml"] = files["33-1001.xml"]
        files["other.xml"] = self.simulator.caf(new_rut(), 33, 1, 10, name="Otra")
        files["overlap.xml"] = files["33-1101.xml"].replace(b"<D>1101<", b"<D>1100<")
        files["text.xml"] = b"hola"
        files["empty.xml"] = b""
        files["big.xml"] = b"<" * 300_000
        wizard = self.load(files)
        results = self.results(wizard)
        self.assertEqual([results[f"33-{n}.xml"] for n in range(1001, 2001, 100)], ["loaded"] * 10)
        self.assertEqual(results["again.xml"], "present")
        bad = ("other.xml", "overlap.xml", "text.xml", "empty.xml", "big.xml")
        self.assertEqual([results[name] for name in bad], ["refused"] * 5)
        said = {line.name: line.text for line in wizard.line_ids}
        self.assertIn("belongs to", said["other.xml"])
        self.assertIn("folios 1001 to 1100", said["33-1001.xml"])
        cafs = self.env["dte.caf"].search([("folio_from", ">", 1000), ("company_id", "=", self.company.id)])
        self.assertEqual(len(cafs), 10)
        self.assertFalse(wizard.files, "keys do not stay behind")

    def test_certificates(self):
        """One passphrase is tried on all; those that it does not open are listed."""
        first, passphrase = self.certificate("12345678-5", name="Uno")
        locked, _other = self.certificate("11111111-1")
        before = self.company.sudo().dte_certificate_id
        caf = self.simulator.caf(self.rut, 33, 1001, 1100, name="E")
        wizard = self.load({"uno.pfx": first, "dos.pfx": locked, "caf.xml": caf, "uno copia.pfx": first}, passphrase)
        self.assertEqual(
            self.results(wizard),
            {"uno.pfx": "loaded", "dos.pfx": "refused", "caf.xml": "loaded", "uno copia.pfx": "present"},
        )
        self.assertFalse(wizard.passphrase)
        self.assertEqual(self.company.sudo().dte_certificate_id, before, "who signs is chosen by a person")
        line = wizard.line_ids[0]
        self.assertIn("12345678-5", line.text)
        line.action_use()
        self.assertEqual(self.company.dte_certificate_rut, "12345678-5")
        line.invalidate_recordset()
        self.assertTrue(line.is_in_use)

    def test_the_first_certificate_signs(self):
        self.company.sudo().dte_certificate_id = False
        content, passphrase = self.certificate()
        self.load({"a.pfx": content}, passphrase)
        self.assertEqual(self.company.dte_certificate_rut, "11111111-1")

    def test_who_may(self):
        with self.assertRaises(AccessError):
            self.load({"a.xml": b"x"}, user=self.dte_user)
        self.dte_user.sudo().group_ids += self.env.ref("l10n_cl_dte.group_dte_manager")
        content, passphrase = self.certificate()
        caf = self.simulator.caf(self.rut, 33, 1001, 1100, name="E")
        wizard = self.load({"a.pfx": content, "b.xml": caf}, passphrase, user=self.dte_user)
        self.assertEqual(self.results(wizard), {"a.pfx": "refused", "b.xml": "loaded"})
        self.assertFalse(wizard.line_ids[0].is_certificate)
        with self.assertRaises(AccessError):
            wizard.line_ids[0].action_use()
        with self.assertRaisesRegex(UserError, "Choose the files"):
            self.press(wizard)

    def test_keys_are_read_by_nobody_else(self):
        other = self.dte_user.sudo().copy({"login": "otra", "company_ids": [(6, 0, self.company.ids)]})
        (self.dte_user.sudo() | other).group_ids += self.env.ref("l10n_cl_dte.group_dte_manager")
        caf = self.simulator.caf(self.rut, 33, 1001, 1100, name="E")
        wizard = self.chosen({"a.xml": caf}, "clave", user=self.dte_user)
        theirs = wizard.with_user(other)
        self.assertFalse(theirs.search([("id", "=", wizard.id)]))
        with self.assertRaises(AccessError):
            theirs.read(["files", "passphrase"])
        self.press(wizard)
        with self.assertRaises(AccessError):
            wizard.line_ids.with_user(other).read(["name"])

    def test_keys_are_gone_whatever_goes_wrong(self):
        wizard = self.chosen({f"{n}.xml": b"x" for n in range(MAX_FILES + 1)}, "clave")
        self.env.flush_all()
        try:
            # Odoo's assertRaises would roll back what was committed too.
            self.press(wizard)
            self.fail("too many files were taken")
        except UserError as error:
            self.assertIn("At most", str(error))
        self.env.invalidate_all()
        self.assertEqual((bool(wizard.files), wizard.passphrase, wizard.is_done), (False, False, False))

    def test_an_odd_file_stops_no_other(self):
        caf = self.simulator.caf(self.rut, 33, 1001, 1100, name="E")
        wizards = self.registry["dte.files.load"]
        for error, words in ((ZeroDivisionError, "the log"), (SerializationFailure, "Load it again")):
            with (
                patch.object(wizards, "_load_certificate", side_effect=error),
                mute_logger("odoo.addons.l10n_cl_dte.wizards.dte_files_load"),
            ):
                wizard = self.load({"odd.pfx": b"\x30x", "caf.xml": caf})
            self.assertEqual(self.results(wizard)["odd.pfx"], "refused")
            self.assertNotEqual(self.results(wizard)["caf.xml"], "refused")
            self.assertIn(words, wizard.line_ids[0].text)
