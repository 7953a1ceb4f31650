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

    def test_amounts_and_order_of_lines(self):
        product = self.move.invoice_line_ids[0]
        dollar = self.env.ref("base.USD").id
        for line in (product, *self.move.line_ids.filtered(lambda line: line.display_type in ("tax", "payment_term"))):
            for values in (
                {"balance": line.balance + 1},
                {"debit": 7, "credit": 0},
                {"amount_currency": line.amount_currency - 1},
                {"currency_id": dollar},
                {"display_type": "line_section"},
            ):
                with self.subTest(line=line.display_type, values=values):
                    self.refuse(lambda line=line, values=values: line.write(values))
        self.refuse(lambda: product.write({"sequence": product.sequence + 1}))

    def test_notes_are_printed_and_sections_are_not(self):
        self.move = self.post(
            lines=[
                {"name": "Servicio", "quantity": 1, "price_unit": 1000},
                {"name": "Detalle", "display_type": "line_note", "tax_ids": []},
                {"name": "Otros", "display_type": "line_section", "tax_ids": []},
            ]
        )
        _product, note, section = self.move.invoice_line_ids.sorted("sequence")
        self.assertIn(b"<DscItem>Detalle</DscItem>", self.move._dte_xml())
        for values in ({"name": "Otro"}, {"sequence": note.sequence + 10}, {"display_type": "line_section"}):
            with self.subTest(values=values):
                self.refuse(lambda values=values: note.write(values))
        note.write({"name": "Detalle", "sequence": note.sequence})
        section.name = "Varios"
        self.refuse(lambda: section.write({"display_type": "line_note"}))

    def test_lines_come_and_go_only_before_signing(self):
        for display_type in ("product", "line_note"):
            values = {"move_id": self.move.id, "name": "Otro", "display_type": display_type, "price_unit": 0}
            with self.subTest(values=values):
                self.refuse(lambda values=values: self.env["account.move.line"].create(values))
        draft = self.make(lines=[{"name": "Nota", "display_type": "line_note", "tax_ids": []}])
        self.refuse(lambda: draft.invoice_line_ids.write({"move_id": self.move.id}))
        self.refuse(lambda: self.move.invoice_line_ids.write({"move_id": draft.id}))
        self.refuse(self.move.invoice_line_ids.with_context(force_delete=True).unlink)

    def test_equal_amounts_and_free_fields_may_be_written(self):
        for line in self.move.line_ids:
            values = {name: line[name] for name in ("balance", "debit", "credit", "amount_currency", "sequence")}
            line.write({**values, "currency_id": line.currency_id.id, "display_type": line.display_type})
            line.write({"tax_ids": [(6, 0, line.tax_ids.ids)], "discount_date": False})
        term = self.move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        term.write({"name": "Cuota única", "date_maturity": "2030-01-01"})
        self.move.write({"payment_reference": "OC 77"})
        self.assertEqual(self.move.state, "posted")

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
