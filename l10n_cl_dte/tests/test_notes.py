# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import DteCommon
from .simulated import make_customer


@tagged("post_install_l10n", "post_install", "-at_install")
class TestNotes(DteCommon):
    def reverse(self, move, code="1", modify=False, **values):
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"journal_id": move.journal_id.id, "reason": "Devolución", "dte_code": code, **values})
        )
        action = wizard.modify_moves() if modify else wizard.refund_moves()
        return self.env["account.move"].browse(action["res_id"])

    def debit(self, move, **values):
        wizard = (
            self.env["account.debit.note"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"reason": "Intereses", **values})
        )
        return self.env["account.move"].browse(wizard.create_debit()["res_id"])

    def test_annulment(self):
        invoice = self.post()
        note = self.reverse(invoice)
        self.assertRecordValues(
            note.dte_reference_ids,
            [{"doc_code": "33", "folio": "1", "code": "1", "reason": "Devolución", "origin_move_id": invoice.id}],
        )
        self.assertEqual(note.l10n_latam_document_type_id.code, "61")
        note.action_post()
        self.assertEqual(note.dte_document_id.reference_ids, invoice.dte_document_id)

    def test_annulment_must_have_the_same_total(self):
        note = self.reverse(self.post())
        note.invoice_line_ids[0].price_unit = 500
        with self.assertRaisesRegex(UserError, "annuls a document of"):
            note.action_post()
        note.dte_reference_ids.code = "3"
        note.action_post()
        self.assertEqual(note.dte_folio, 1)

    def test_text_correction(self):
        invoice = self.post()
        with self.assertRaisesRegex(UserError, "Write what the document says"):
            self.reverse(invoice, "2")
        note = self.reverse(invoice, "2", dte_original_text="Comercio", dte_corrected_text="Ferretería")
        self.assertEqual((note.amount_total, len(note.invoice_line_ids)), (0, 1))
        note.invoice_line_ids[0].price_unit = 10
        with self.assertRaisesRegex(UserError, "must have all amounts zero"):
            note.action_post()
        note.invoice_line_ids[0].price_unit = 0
        note.action_post()
        self.assertIn(b"Donde dice: Comercio. Debe decir: Ferreter", note._dte_xml())

    def test_reverse_and_create_invoice(self):
        invoice = self.post()
        draft = self.reverse(invoice, modify=True)
        note = self.env["account.move"].search([("reversed_entry_id", "=", invoice.id)])
        self.assertEqual((note.state, note.dte_status, draft.state), ("posted", "to_send", "draft"))
        self.assertFalse(draft.dte_reference_ids)

    def test_reversal_by_code(self):
        invoice = self.post()
        note = invoice._reverse_moves([{"invoice_date": invoice.invoice_date}])
        self.assertEqual(note.l10n_latam_document_type_id.code, "61")
        self.assertEqual(note.dte_reference_ids.code, "1")

    def test_debit_note_corrects_amounts(self):
        note = self.debit(self.post())
        self.assertRecordValues(note.dte_reference_ids, [{"doc_code": "33", "folio": "1", "code": "3"}])
        self.assertEqual(note.l10n_latam_document_type_id.code, "56")
        note.invoice_line_ids = [(0, 0, {"name": "Interés", "quantity": 1, "price_unit": 10})]
        note.action_post()
        self.assertEqual(note.dte_folio, 1)

    def test_debit_note_annuls_a_credit_note(self):
        invoice = self.post()
        credit = self.reverse(invoice)
        credit.action_post()
        note = self.debit(credit)
        self.assertRecordValues(note.dte_reference_ids, [{"doc_code": "61", "folio": "1", "code": "1"}])
        note.action_post()
        self.assertEqual(note.amount_total, credit.amount_total)

    def test_debit_note_cannot_annul_an_invoice(self):
        note = self.debit(self.post(), dte_code="1")
        with self.assertRaisesRegex(UserError, "can only annul a credit note"):
            note.action_post()

    def test_note_on_a_draft(self):
        invoice = self.make()
        reference = {"document_type_id": invoice.l10n_latam_document_type_id.id, "folio": "1", "code": "1"}
        note = self.make(dte_type="61", dte_reference_ids=[(0, 0, {**reference, "origin_move_id": invoice.id})])
        with self.assertRaisesRegex(UserError, "not issued yet"):
            note.action_post()

    def note(self, code="3", link=None, dte_type="61", **reference):
        """Return a draft note with one reference to an invoice with folio 1 of the default company, typed by hand."""
        values = {
            "document_type_id": self.env.ref("l10n_cl.dc_a_f_dte").id,
            "folio": "1",
            "date": self.company._dte_now().date(),
            "code": code,
            "origin_move_id": link and link.id,
            **reference,
        }
        return self.make(dte_type=dte_type, dte_reference_ids=[(0, 0, values)])

    def refuse(self, note, words):
        with self.assertRaisesRegex(UserError, words):
            note.action_post()
        self.assertFalse(note.dte_document_id)

    def test_what_is_typed_must_agree_with_the_link(self):
        invoice = self.post()
        other = self.post()
        for words, values in (
            ("reference 1, folio: 2 is not what", {"folio": "2"}),
            ("reference 1, document type: .* is not what", {"document_type_id": self.env.ref("l10n_cl.dc_y_f_dte").id}),
            ("reference 1, date: 2026-01-05 is not what", {"date": "2026-01-05"}),
            ("reference 1, folio: 0 is not what", {"folio": "0", "is_global": True}),
        ):
            with self.subTest(values=values):
                self.refuse(self.note(link=invoice, **values), f"(?i){words}")
        self.refuse(self.note(code=False, dte_type="33", link=other), "reference 1, folio: 1 is not what")
        note = self.note(link=invoice, folio=" 0001")
        note.action_post()
        self.assertEqual(note.dte_reference_ids._document(), invoice.dte_document_id)

    def test_a_linked_invoice_without_a_document_type_says_nothing_about_the_folio(self):
        """Invoices that were brought from another system into a journal without document types have other numbers."""
        journal = self.other_journal(l10n_latam_use_documents=False, dte_enabled=False)
        brought = self.make(journal=journal, l10n_latam_document_type_id=False)
        brought.action_post()
        note = self.note(link=brought, folio="5678", date="2026-01-05")
        note.action_post()
        self.assertFalse(note.dte_reference_ids._document())

    def test_typed_references_find_our_documents(self):
        invoice = self.post()
        note = self.note(folio="001")
        reference = note.dte_reference_ids
        self.assertEqual(reference._document(), invoice.dte_document_id)
        for values in (
            {"folio": "2"},
            {"folio": "1A"},
            {"folio": "²"},
            {"folio": "9" * 18},
            {"folio": "0", "is_global": True},
            {"document_type_id": self.env.ref("l10n_cl.dc_y_f_dte").id},
        ):
            with self.subTest(values=values):
                reference.write({"document_type_id": self.env.ref("l10n_cl.dc_a_f_dte").id, "folio": "1", **values})
                self.assertFalse(reference._document())

    def test_documents_of_other_environments_and_superseded_ones_are_not_found(self):
        document = self.post().dte_document_id.sudo()
        reference = self.note().dte_reference_ids
        for values in ({"environment": "certification"}, {"superseded": True}):
            before = {name: document[name] for name in values}
            document.write(values)
            self.assertFalse(reference._document())
            document.write(before)
        self.assertEqual(reference._document(), document)

    def test_a_linked_document_of_another_environment(self):
        invoice = self.post()
        invoice.dte_document_id.sudo().environment = "certification"
        self.refuse(self.note(link=invoice), "issued in the environment Certification")

    def test_a_note_goes_to_the_receiver_of_the_document(self):
        """The SII objects to it (REF-3-751)."""
        invoice = self.post()
        other = make_customer(self.env, "Otra Ltda.", "77123456-9")
        for link in (invoice, None):
            with self.subTest(link=link):
                note = self.note(link=link)
                note.partner_id = other
                self.refuse(note, "was issued to 88888888-8 and this note is for 77123456-9")
        # A contact of the receiver, or the receiver by another name, is the same taxpayer.
        note = self.note(link=invoice)
        note.partner_id = self.env["res.partner"].create({"name": "Bodega", "parent_id": self.customer.id})
        self.assertNotIn("was issued to", str(note._dte_reference_problems()))
        # Text in another document is no correction.
        self.post(partner=other, dte_reference_ids=[(0, 0, self.note(code=False).dte_reference_ids.copy_data()[0])])

    def test_typed_references_are_checked_like_linked_ones(self):
        invoice = self.post()
        annulment = self.note(code="1")
        annulment.invoice_line_ids[0].price_unit = 500
        self.refuse(annulment, "annuls a document of")
        self.refuse(self.note(code="2"), "must have all amounts zero")
        self.refuse(self.note(code="2", folio="77"), "must have all amounts zero")
        invoice.dte_document_id.sudo().state = "rejected"
        self.refuse(self.note(), "was rejected by the SII")

    def test_everything_is_accepted(self):
        invoice = self.post()
        exempt = self.post(dte_type="34")
        self.send(invoice + exempt)
        self.ask(invoice + exempt)
        annulment = self.reverse(invoice)
        text = self.reverse(exempt, "2", dte_original_text="A", dte_corrected_text="B")
        amounts = self.debit(exempt)
        amounts.invoice_line_ids = [(0, 0, {"name": "Interés", "quantity": 1, "price_unit": 10, "tax_ids": [(5,)]})]
        notes = annulment + text + amounts
        notes.action_post()
        self.send(notes)
        self.ask(notes)
        self.assertEqual(notes.mapped("dte_status"), ["accepted"] * 3)
        self.assertEqual(len(self.held()), 5)
        self.assertFalse([held["codes"] for held in self.held().values() if held["codes"]])

    def test_foreign_vendor_credit_note_still_posts(self):
        """The stock l10n_cl reads references that only this addon has."""
        vendor = self.env["res.partner"].create(
            {"name": "Foreign Inc.", "country_id": self.env.ref("base.us").id, "l10n_cl_sii_taxpayer_type": "4"}
        )
        journal = self.company_data["default_journal_purchase"]
        note = self.env["account.move"].create(
            {
                "move_type": "in_refund",
                "journal_id": journal.id,
                "partner_id": vendor.id,
                "invoice_date": "2026-11-01",
                "l10n_latam_document_type_id": self.env.ref("l10n_cl.dc_nc_f_dte").id,
                "l10n_latam_document_number": "5",
                "invoice_line_ids": [(0, 0, {"name": "X", "quantity": 1, "price_unit": 10, "tax_ids": [(5,)]})],
                "dte_reference_ids": [
                    (0, 0, {"document_type_id": self.env.ref("l10n_cl.dc_fc_f_dte").id, "folio": "1"})
                ],
            }
        )
        note.action_post()
        self.assertEqual(note.state, "posted")
        self.assertFalse(note.dte_document_id)
