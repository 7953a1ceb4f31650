# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestLocked(DteCommon):
    """A signed document stays as it is."""

    def setUp(self):
        super().setUp()
        self.move = self.post()

    def refuse(self, action, words="signed"):
        with self.assertRaisesRegex(UserError, words), self.env.cr.savepoint():
            action()
        self.env.invalidate_all()
        self.assertEqual(self.move.state, "posted")

    def test_state(self):
        self.refuse(self.move.button_draft)
        self.refuse(self.move.button_cancel)
        self.refuse(lambda: self.move.write({"state": "draft"}))
        self.assertFalse(self.move.show_reset_to_draft_button)

    def test_header(self):
        for values in (
            {"partner_id": self.company.partner_id.id},
            {"name": "FAC 000099"},
            {"invoice_date": "2026-01-01"},
            {"l10n_latam_document_type_id": self.env.ref("l10n_cl.dc_y_f_dte").id},
            {"dte_payment_form": "3"},
        ):
            with self.subTest(values=values):
                self.refuse(lambda values=values: self.move.write(values))

    def test_pipeline_fields_are_not_written_by_people(self):
        draft = self.make()
        for move, values in (
            (self.move, {"dte_document_id": False}),
            (self.move, {"dte_environment": "production"}),
            (draft, {"dte_document_id": self.move.dte_document_id.id}),
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                move.write(values)
        with self.assertRaises(AccessError):
            self.make(dte_document_id=self.move.dte_document_id.id)

    def test_same_values_may_be_written(self):
        self.move.write({"invoice_date_due": self.move.invoice_date_due, "name": self.move.name, "ref": "OC 1"})
        self.assertEqual(self.move.ref, "OC 1")

    def test_lines(self):
        line = self.move.invoice_line_ids[0]
        for values in ({"quantity": 9}, {"price_unit": 1}, {"name": "Otro"}, {"discount": 5}, {"tax_ids": [(5,)]}):
            with self.subTest(values=values):
                self.refuse(lambda values=values: line.write(values))

    def test_references(self):
        order = self.env.ref("l10n_cl.dc_odc")
        values = {"move_id": self.move.id, "document_type_id": order.id, "folio": "1"}
        self.refuse(lambda: self.env["dte.reference"].create(values))

    def test_deletion(self):
        self.refuse(self.move.unlink, "")
        document = self.move.dte_document_id.sudo()
        self.refuse(document.unlink, "cannot be deleted")
        self.refuse(document.backup_id.unlink, "cannot be deleted")

    def test_archive_is_append_only(self):
        backup = self.move.dte_document_id.sudo().backup_id
        for values in ({"folio": 2}, {"xml_content": b"eA=="}, {"sha256": "0"}, {"move_id": False}):
            with self.subTest(values=values):
                self.refuse(lambda values=values: backup.write(values), "cannot be changed")
        backup.write({"track_id": "0000000001"})
        self.refuse(lambda: backup.write({"track_id": "0000000002"}), "cannot be changed")

    def test_the_database_keeps_the_document_of_an_invoice(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.env.cr.execute("UPDATE account_move SET dte_document_id = NULL WHERE id = %s", [self.move.id])
            self.env.cr.execute("DELETE FROM account_move_line WHERE move_id = %s", [self.move.id])
            self.env.cr.execute("DELETE FROM account_move WHERE id = %s", [self.move.id])

    def test_payment_still_works(self):
        self.env["account.payment.register"].with_context(active_model="account.move", active_ids=self.move.ids).create(
            {}
        )._create_payments()
        self.assertIn(self.move.payment_state, ("paid", "in_payment"))
