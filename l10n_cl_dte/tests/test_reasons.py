# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged

from ..models import dte_document_reason, dte_reasons
from .common import DteCommon

# Every code that the SII is known to answer with.
CODES = (
    "ENV-3-0", "ENV-3-6", "CRT-3-11", "CRT-3-19", "DTE-3-100", "DTE-3-101", "DTE-3-505", "DTE-3-601", "DTE-1-650",
    "CAF-3-516", "CAF-3-517", "TED-2-510", "TED-3-640", "TED-1-646", "TED-1-647", "HED-3-305", "HED-3-211",
    "HED-3-834", "HED-2-804", "HED-1-803", "HED-3-861", "HED-1-232", "HED-2-220", "HED-2-260", "HED-2-300",
    "HED-2-302", "DET-2-200", "DETL-3-854", "REF-3-415", "REF-3-750", "REF-3-751", "REF-3-758", "REF-2-780",
    "REF-2-781",
)  # fmt: skip
WITHOUT_CODE = ("Rut No Autorizado a Firmar", "DTE Sin Comuna Origen", "IVA debe declararse",
                "RVD no es obligatorio desde 2022-08-01")  # fmt: skip


class ReasonsCommon(DteCommon):
    def rejected(self, *texts, state="rejected"):
        document = self.post().dte_document_id
        document.sudo()._set_state(state)
        document._set_reasons(list(texts))
        return document

    def show(self, text, user=None, state="rejected"):
        reason = self.rejected(text, state=state).reason_ids
        return (reason.with_user(user) if user else reason).action_fix()


@tagged("post_install_l10n", "post_install", "-at_install")
class TestReasons(ReasonsCommon):
    def test_reading(self):
        for text, expected in {
            "(HED-3-305) Fecha Emision": ("HED-305", "3", 0, "Fecha Emision", "HED-3-305"),
            "(REF L[2] -3-758) CodRef": ("REF-758", "3", 2, "CodRef", "REF-3-758"),
            "(DET L[13]-2-200) Valor": ("DET-200", "2", 13, "Valor", "DET-2-200"),
            "DETL-3-854: Linea": ("DET-854", "3", 0, "Linea", "DET-3-854"),
            " (DTE-1-650)\n Fecha  de envio ": ("DTE-650", "1", 0, "Fecha de envio", "DTE-1-650"),
            "(CAF-3-517) CAF Vencido: (Firma_DTE[2026-01-02] - CAF[2025-01-01]) > 6 meses": (
                "CAF-517", "3", 0, "CAF Vencido: (Firma_DTE[2026-01-02] - CAF[2025-01-01]) > 6 meses", "CAF-3-517"),
            "(REF-3-750)": ("REF-750", "3", 0, "", "REF-3-750"),
            "DTE Sin Comuna Origen": ("", "", 0, "DTE Sin Comuna Origen", ""),
            "": ("", "", 0, "", ""),
        }.items():  # fmt: skip
            self.assertEqual(tuple(dte_reasons.read(text)), expected, text)

    def test_every_code_is_explained(self):
        found = [dte_reasons.read(f"({code}) texto") for code in CODES]
        self.assertFalse({finding.key for finding in found} ^ dte_reasons.EXPLANATIONS.keys())
        for text in [f"({code}) texto" for code in CODES] + list(WITHOUT_CODE):
            finding = dte_reasons.read(text)
            sentence, _place = dte_reasons.explain(finding.key, finding.text)
            self.assertTrue(str(sentence), text)

    def test_every_place_can_be_opened(self):
        places = {place for _sentence, place in [*dte_reasons.EXPLANATIONS.values(), *dte_reasons.TEXTS.values()]}
        self.assertEqual(places - {""}, dte_reasons.PLACES.keys())
        opener = dte_document_reason.DteDocumentReason
        for place in dte_reasons.PLACES.values():
            self.assertTrue(hasattr(opener, f"_open_{place.opens}"), place)

    def test_what_is_opened_says_with_which_views(self):
        # The web client opens these itself and needs to be told.
        for code in CODES:
            self.assertTrue(self.show(f"({code}) texto", self.admin)["params"]["action"]["views"], code)

    def test_the_places_of_the_invoice_are_on_its_form(self):
        arch = self.env["account.move"].get_view(view_type="form")["arch"]
        for place in dte_reasons.PLACES.values():
            if place.opens == "move":
                self.assertIn(f'name="{place.field}"', arch)
                self.assertTrue(not place.tab or f'name="{place.tab}"' in arch, place.tab)
        settings = self.admin_env["res.config.settings"].get_view(
            self.env.ref("account.res_config_settings_view_form").id, "form")["arch"]  # fmt: skip
        for place in dte_reasons.PLACES.values():
            if place.opens == "settings":
                self.assertTrue(f'name="{place.field}"' in settings or f'id="{place.field}"' in settings, place)

    def test_rows_of_a_document(self):
        document = self.rejected("(DTE-1-650) tarde", "(REF L[2] -3-758) CodRef", "(REF L[2] -3-758) CodRef")
        document.invalidate_recordset()
        reference, late = document.reason_ids
        self.assertEqual(
            [reference.code, reference.level, reference.line, reference.sii_text], ["REF-3-758", "3", 2, "CodRef"]
        )
        self.assertTrue(reference.explanation.startswith("Line 2: A credit or debit note must say"))
        self.assertEqual(reference.fix_label, "References")
        self.assertEqual(late.level, "1")
        self.assertEqual(document.move_id.dte_reason_ids, document.reason_ids)
        self.assertIn("What the SII found is listed", document.message)

    def test_reading_the_same_result_again_changes_nothing(self):
        document = self.rejected("(REF-3-750) no recibido", "(DTE-1-650) tarde")
        first = document.reason_ids
        document._set_reasons(["(REF-3-750) no recibido", "(DTE-1-650) tarde"])
        self.assertEqual(document.reason_ids, first)
        document._set_reasons(["(DTE-3-505) firma"])
        self.assertEqual(document.reason_ids.mapped("code"), ["DTE-3-505"])
        document._set_reasons([])
        self.assertFalse(document.reason_ids)
        self.assertIn("result mail", document.message)

    def test_an_unknown_code_shows_what_the_sii_says(self):
        reasons = self.rejected("(HED-3-999) Algo nuevo", "Otra cosa").reason_ids
        self.assertEqual(sorted(reasons.mapped("explanation")), ["Algo nuevo", "Otra cosa"])
        self.assertFalse(any(reasons.mapped("fix_label")))
        with self.assertRaises(UserError):
            reasons[0].action_fix()
        self.assertEqual(self.rejected("(HED-3-998)").reason_ids.explanation, "HED-3-998")

    def test_a_reason_opens_the_field_of_the_invoice(self):
        shown = self.show("(REF L[1] -3-758) CodRef")["params"]
        self.assertEqual((shown["tab"], shown["field"]), ("dte_tab", "dte_reference_ids"))
        self.assertEqual(shown["action"]["res_model"], "account.move")
        self.assertIn("Press Correct", shown["note"])
        self.assertIn("credit or debit note", self.show("(DTE-1-650) tarde", state="objected")["params"]["note"])

    def test_the_banner_of_the_invoice_leads_to_the_reasons(self):
        move = self.rejected("(REF L[1] -3-758) CodRef").move_id
        link = move.with_user(self.dte_user).alerts["dte_status"]
        self.assertEqual(link["action"]["params"]["field"], "dte_reason_ids")
        self.assertTrue(link["action_text"])
        invoicing = new_test_user(
            self.env(su=True), "factura", "account.group_account_invoice", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        self.assertNotIn("action", move.with_user(invoicing).alerts["dte_status"], "those are not on their screen")
        self.assertNotIn("action", self.rejected().move_id.with_user(self.dte_user).alerts["dte_status"])

    def test_on_the_invoice_itself_nothing_is_opened(self):
        reason = self.rejected("(DET L[1]-2-200) valor").reason_ids.with_context(dte_in_invoice=True)
        shown = reason.action_fix()["params"]
        self.assertEqual((shown["action"], shown["tab"], shown["field"]), (False, "invoice_tab", "invoice_line_ids"))

    def test_a_reason_opens_folios_and_documents(self):
        caf = self.show("(CAF-3-517) CAF Vencido")["params"]["action"]
        self.assertEqual(self.env["dte.caf"].search(caf["domain"]).mapped("dte_type"), ["33"])
        document = self.rejected("(DTE-3-101) folio")
        found = document.reason_ids.action_fix()["params"]["action"]
        self.assertEqual(self.env["dte.document"].search(found["domain"]), document)
        issuer = self.show("DTE Sin Comuna Origen")["params"]["action"]
        self.assertEqual((issuer["res_model"], issuer["res_id"]), ("res.partner", self.company.partner_id.id))

    def test_settings_are_for_administrators(self):
        with self.assertRaises(UserError):
            self.show("(CRT-3-19) resolucion")
        action = self.show("(CRT-3-19) resolucion", self.admin)["params"]["action"]
        self.assertEqual(action["res_model"], "res.config.settings")

    def test_rights(self):
        reason = self.rejected("(REF-3-750) no recibido").reason_ids
        with self.assertRaises(AccessError):
            reason.write({"sii_text": "x"})
        with self.assertRaises(AccessError):
            reason.unlink()
        with self.assertRaises(AccessError):
            reason.create({"document_id": reason.document_id.id, "company_id": self.company.id})
        other = self.env["res.company"].sudo().create({"name": "Otra"})
        stranger = new_test_user(
            self.env(su=True), "ajena", "l10n_cl_dte.group_dte_user", company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        self.assertFalse(reason.with_user(stranger).with_context(allowed_company_ids=other.ids).search([]))
        invoicing = new_test_user(
            self.env(su=True), "factura", "account.group_account_invoice", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        with self.assertRaises(AccessError):
            reason.with_user(invoicing).read(["code"])
        arch = self.env["account.move"].with_user(invoicing).get_view(view_type="form")["arch"]
        self.assertNotIn("dte_reason_ids", arch)


@tagged("post_install_l10n", "post_install", "-at_install", "dte_browser")
class TestReasonsScreens(ReasonsCommon, HttpCase):
    """From a rejected invoice to the field that has to be corrected, in a real browser."""

    def setUp(self):
        super().setUp()
        self.dte_user.sudo().password = self.dte_user.login

    def rejected_by_the_sii(self, *reasons):
        move = self.post()
        self.env.flush_all()
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=move.dte_folio, outcome="reject")
        self.send(move)
        self.ask(move)
        self.assertEqual(move.dte_status, "rejected")
        move.dte_document_id._set_reasons(list(reasons))
        return move

    def test_from_the_reason_to_the_field(self):
        move = self.rejected_by_the_sii("(REF L[1] -3-758) CodRef es obligatorio", "(HED-3-305) Fecha")
        self.start_tour(f"/odoo/customer-invoices/{move.id}", "dte_reason_tour", login=self.dte_user.login)
        move.invalidate_recordset()
        self.assertEqual(move.state, "draft")

    def test_a_rejected_invoice_is_put_right(self):
        """From the banner of the invoice to its acceptance, without leaving the screen."""
        move = self.rejected_by_the_sii("(HED-3-211) Encabezado")
        first = move.dte_document_id
        self.assertNotEqual(move.dte_payment_form, "2")
        self.start_tour(f"/odoo/customer-invoices/{move.id}", "dte_fix_rejected_tour", login=self.dte_user.login)
        self.env.invalidate_all()
        second = move.dte_document_id
        self.assertEqual((second.state, second.folio, second.version), ("accepted", first.folio, 2))
        self.assertEqual((first.state, first.superseded), ("rejected", True))
        self.assertIn(b"<FmaPago>2</FmaPago>", second._xml())
        self.assertEqual(self.held()[33, second.folio]["state"], "accepted")

    def test_correct_on_the_document(self):
        move = self.rejected_by_the_sii("(HED-3-211) Encabezado")
        self.start_tour(
            f"/odoo/dte-documents/{move.dte_document_id.id}", "dte_document_correct_tour", login=self.dte_user.login
        )  # fmt: skip
        move.invalidate_recordset()
        self.assertEqual((move.state, move.dte_folio), ("draft", 1))

    def test_from_the_document_to_the_invoice(self):
        document = self.rejected("(DET L[1]-2-200) Valor detalle")
        self.start_tour(
            f"/odoo/dte-documents/{document.id}", "dte_document_reason_tour", login=self.dte_user.login
        )  # fmt: skip
