# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import io
import os
import re
from pathlib import Path

import pypdfium2
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from odoo.exceptions import UserError
from odoo.tests import HttpCase, tagged

from ..libs import print_words, timbre
from .common import DteCommon, ServedCursor
from .simulated import make_customer

INVOICE_REPORT = "account.account_invoices"
ROLL_REPORT = "l10n_cl_dte.action_report_invoice_roll"
LEGENDS = ("Timbre Electrónico SII", "Res. 0 de 2026", "Verifique documento: www.sii.cl")
DPI = 300
MM = 72 / 25.4


class Paper:
    """A printed PDF: its pages as text and what its timbres hold and how large they are."""

    def __init__(self, content: bytes, name: str):
        self.content = content
        # To look at what the tests print: DTE_PRINT_FOLDER=folder make test PART=odoo
        if folder := os.environ.get("DTE_PRINT_FOLDER"):
            Path(folder, f"{name}.pdf").write_bytes(content)
        self.reader = PdfReader(io.BytesIO(content))
        self.pages = [" ".join(page.extract_text().split()) for page in self.reader.pages]

    def timbres(self, page: int) -> list:
        """Decode the page as a scanner at 300 dpi sees it: (bytes, left, width, height), in millimetres."""
        document = pypdfium2.PdfDocument(self.content)
        image = document[page].render(scale=DPI / 72).to_pil().convert("L")
        found = []
        for code in zxingcpp.read_barcodes(image, zxingcpp.BarcodeFormat.PDF417):
            corners = (code.position.top_left, code.position.top_right, code.position.bottom_left)
            left, right, bottom = corners[0].x, corners[1].x, corners[2].y
            found.append((code.bytes, *(round(v / DPI * 25.4, 1) for v in (left, right - left, bottom - corners[0].y))))
        document.close()
        return found


@tagged("post_install_l10n", "post_install", "-at_install")
class TestPrint(ServedCursor, DteCommon, HttpCase):
    """The paper, read back from the PDF itself; with a server, which gives wkhtmltopdf the styles."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Made once: what a test makes is gone after it.
        for name in ("web.report_assets_common", "web.report_assets_pdf"):
            cls.env["ir.qweb"].sudo()._get_asset_bundle(name, css=True, js=False, autoprefix=True).css()

    def print(self, moves, report=INVOICE_REPORT) -> Paper:
        reports = self.env["ir.actions.report"].with_context(force_report_rendering=True)
        content, kind = reports._render_qweb_pdf(report, moves.ids)
        self.assertEqual(kind, "pdf")
        return Paper(content, f"{self._testMethodName}_{report.rpartition('.')[2]}")

    def assert_on(self, page: str, *words):
        for text in words:
            self.assertIn(" ".join(text.split()), page)

    def assert_timbre(self, paper, page, move, width=72):
        [(content, left, found, height)] = paper.timbres(page)
        self.assertEqual(content, timbre.ted_of(move._dte_xml()))
        self.assertGreaterEqual(left, 20)
        self.assertAlmostEqual(found, width, delta=2)
        self.assertTrue(20 <= height <= 40, height)
        self.assert_on(paper.pages[page], *LEGENDS)

    def dotted(self, rut):
        return print_words.dotted_rut(rut)

    def accept(self, moves):
        self.send(moves)
        self.ask(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"accepted"})

    def assert_head(self, page, move, title):
        self.assert_on(
            page, f"R.U.T.: {self.dotted(self.rut)}", title, f"N° {move.dte_folio}", "S.I.I. - SANTIAGO CENTRO",
            self.company.name, "Servicios de informática y venta de equipos",
            "Casa Matriz: Av. Libertador Bernardo O'Higgins 1449, Santiago",
            self.customer.name, self.dotted(self.customer.vat), "Comercio al por menor", "Calle Nueva 100",
            "Providencia", print_words.long_day(move.invoice_date),
        )  # fmt: skip

    # -- types --

    def test_invoice(self):
        product = self.env["product.product"].sudo().create({"name": "Taladro", "default_code": "TAL-500"})
        move = self.make(
            [
                {"product_id": product.id, "name": "Taladro percutor 500 W", "quantity": 2.5, "price_unit": 45_990.5,
                 "discount": 10},
                {"name": "Asesoría técnica\nEn terreno, según pauta", "quantity": 1, "price_unit": 120_000,
                 "tax_ids": [(5,)]},
            ]
        )  # fmt: skip
        order = self.env["l10n_latam.document.type"].search([("code", "=", "801"), ("country_id.code", "=", "CL")])
        move.dte_reference_ids = [
            (
                0,
                0,
                {
                    "document_type_id": order.id,
                    "folio": "OC-4711",
                    "date": move.invoice_date,
                    "reason": "Orden mensual",
                },
            )
        ]
        move.invoice_payment_term_id = self.env.ref("account.account_payment_term_30days")
        move.action_post()
        self.accept(move)
        paper = self.print(move)
        fiscal, transferable = paper.pages
        for page in paper.pages:
            self.assert_head(page, move, "FACTURA ELECTRÓNICA")
            self.assert_on(
                page, "TAL-500", "Taladro percutor 500 W", "2,5", "45.990,5", "11.498 (10%)", "103.478",
                "Asesoría técnica", "En terreno, según pauta", "Exento", "120.000",
                "Orden de Compra", "OC-4711", "Orden mensual", "Crédito", "Vencimiento",
                "Monto Neto $ 103.478", "Monto Exento $ 120.000", "IVA (19%) $ 19.661", "Monto Total $ 243.139",
            )  # fmt: skip
            self.assertNotIn("PENDIENTE", page)
        self.assertNotIn("CEDIBLE", fiscal)
        self.assertNotIn("Acuse de Recibo", fiscal)
        self.assert_on(
            transferable, "CEDIBLE", "Acuse de Recibo", "Nombre:", "R.U.T.:", "Fecha:", "Recinto:", "Firma:",
            print_words.RECEIPT_DECLARATION,
        )  # fmt: skip
        for page in range(2):
            self.assert_timbre(paper, page, move)
        box = paper.reader.pages[0].mediabox
        self.assertEqual((round(box.width / MM), round(box.height / MM)), (216, 279))
        self.assertLess(len(paper.content), 500_000)

    def test_exempt_invoice_has_neither_net_nor_vat(self):
        move = self.post([{"name": "Curso", "quantity": 1, "price_unit": 100_000}], "34")
        paper = self.print(move)
        self.assertEqual(len(paper.pages), 2)
        self.assert_head(paper.pages[0], move, "FACTURA NO AFECTA O EXENTA ELECTRÓNICA")
        self.assert_on(paper.pages[0], "Monto Exento $ 100.000", "Monto Total $ 100.000", "PENDIENTE DE ENVÍO AL SII")
        for word in ("Neto", "IVA"):
            self.assertNotIn(word, paper.pages[0])
        self.assert_on(paper.pages[1], "CEDIBLE")
        self.assert_timbre(paper, 0, move)

    def test_notes_have_no_transferable_copy(self):
        invoice = self.post()
        credit = self.reverse(invoice)
        debit_wizard = self.env["account.debit.note"].with_context(active_model="account.move", active_ids=invoice.ids)
        debit = self.env["account.move"].browse(
            debit_wizard.create({"reason": "Intereses", "copy_lines": True}).create_debit()["res_id"]
        )
        debit.action_post()
        paper = self.print(credit | debit)
        self.assertEqual(len(paper.pages), 2)
        for page, note, title in (
            (0, credit, "NOTA DE CRÉDITO ELECTRÓNICA"),
            (1, debit, "NOTA DE DÉBITO ELECTRÓNICA"),
        ):
            self.assert_head(paper.pages[page], note, title)
            self.assert_on(
                paper.pages[page], "Factura Electrónica", str(invoice.dte_folio), print_words.day(invoice.invoice_date)
            )
            self.assertNotIn("CEDIBLE", paper.pages[page])
            self.assertNotIn("Acuse de Recibo", paper.pages[page])
            self.assert_timbre(paper, page, note)

    def reverse(self, invoice):
        wizard = self.env["account.move.reversal"].with_context(active_model="account.move", active_ids=invoice.ids)
        action = wizard.create({"reason": "Anula factura", "journal_id": invoice.journal_id.id}).refund_moves()
        note = self.env["account.move"].browse(action["res_id"])
        note.action_post()
        return note

    # -- length --

    def test_sixty_lines_take_as_many_pages_as_they_need(self):
        name = "PERFIL DE ALUMINIO ANODIZADO NEGRO MATE 40X40X2 MM LARGO 6 METROS Ñ"
        lines = [{"name": f"{name} {n:02}", "quantity": n, "price_unit": 1234.5} for n in range(1, 61)]
        move = self.post(lines)
        paper = self.print(move)
        fiscal, transferable = self.assert_numbered(paper)
        self.assertGreaterEqual(fiscal, 3)
        for page in paper.pages:
            self.assert_on(page, "FACTURA ELECTRÓNICA", f"N° {move.dte_folio}", "Descripción")
        for number in range(fiscal - 1):
            self.assert_on(paper.pages[number], "Continúa en la hoja siguiente")
        self.assertEqual(paper.timbres(0), [])
        printed = " ".join(paper.pages[:fiscal])
        for number in range(1, 61):
            self.assertEqual(printed.count(f"{name} {number:02}"), 1)
        self.assert_timbre(paper, fiscal - 1, move)
        self.assert_timbre(paper, fiscal + transferable - 1, move)

    def assert_numbered(self, paper):
        """Every page of the file is one that was planned; return how many each copy has."""
        found = [re.search(r"Hoja (\d+) de (\d+)", page) for page in paper.pages]
        self.assertTrue(all(found), paper.pages)
        numbers = [(int(match[1]), int(match[2])) for match in found]
        counts = [count for number, count in numbers if number == 1]
        self.assertEqual(numbers, [(number, count) for count in counts for number in range(1, count + 1)])
        return counts

    def test_longest_texts(self):
        self.customer.write(
            {
                "name": "SOCIEDAD COMERCIALIZADORA E IMPORTADORA DE MAQUINARIA Y REPUESTOS Ñ & CÍA. DEL SUR LIMITADA",
                "street": "AVENIDA PRESIDENTE EDUARDO FREI MONTALVA KILÓMETRO 19,5 BODEGA 1234-B",
                "l10n_cl_activity_description": "IMPORTACIÓN Y VENTA DE MAQUINARIA PESADA",
            }
        )
        description = "Descripción extensa, con tildes y eñes. " * 24
        lines = [{"name": f"{'M' * 80}\n{description}", "quantity": 1, "price_unit": 999_999_999}] * 4
        move = self.post(lines)
        paper = self.print(move)
        self.assert_on(paper.pages[0], "SOCIEDAD COMERCIALIZADORA E IMPORTADORA", "KILÓMETRO 19,5", "999.999.999")
        ends = [page for page in paper.pages if "Monto Total" in page]
        self.assertEqual(len(ends), 2)
        for page in ends:
            self.assert_on(page, "Monto Total $ 4.759.999.995", *LEGENDS)
        self.assert_numbered(paper)
        # Nothing is so wide that the page shrinks.
        self.assert_timbre(paper, paper.pages.index(ends[0]), move)
        self.assertEqual(len(self.print(move, ROLL_REPORT).pages), 2)

    # -- who and where --

    def test_customer_who_reads_english(self):
        self.env["res.lang"].sudo()._activate_lang("en_US")
        foreign = make_customer(
            self.env, "Acme Industries GmbH Agencia en Chile", "59000000-0", street="Friedrichstraße 100, Berlin",
            lang="en_US",
        )  # fmt: skip
        paper = self.print(self.post(partner=foreign))
        self.assert_on(
            paper.pages[0], "Acme Industries GmbH Agencia en Chile", "59.000.000-0", "Friedrichstraße 100, Berlin",
            "FACTURA ELECTRÓNICA", "Señor(es)", "Monto Total", "Descripción",
        )  # fmt: skip

    def test_paper_says_what_was_signed(self):
        move = self.post()
        name = self.customer.name
        self.customer.name = "Otro Nombre S.A."
        paper = self.print(move)
        self.assert_on(paper.pages[0], name)
        self.assertNotIn("Otro Nombre", paper.pages[0])

    def test_name_typed_in_windows(self):
        """The SII wrote the apostrophe into the CAF as a byte that ISO-8859-1 does not have."""
        cafs = self.admin_env["dte.caf"]
        cafs.search([("company_id", "=", self.company.id), ("dte_type", "=", "34")]).active = False
        content = self.simulator.caf(self.rut, 34, 101, 110, name="Forestal O\x92Higgins")
        cafs.create({"caf_file": base64.b64encode(content), "company_id": self.company.id})
        move = self.post(dte_type="34")
        self.assertIn(b"O\x92Higgins", move._dte_xml())
        self.assert_timbre(self.print(move), 0, move)

    def test_letterhead_installments_and_global_discount(self):
        self.company.sudo().write(
            {
                "primary_color": "#b7e3f4",
                "report_footer": "<p>Horario de atención: lunes a viernes</p>",
                "external_report_layout_id": self.env.ref("web.external_layout_boxed").id,
            }
        )
        terms = (
            self.env["account.payment.term"]
            .sudo()
            .create(
                {
                    "name": "Mitad al día, mitad a 30 días",
                    "line_ids": [(0, 0, {"value": "percent", "value_amount": 50, "nb_days": days}) for days in (0, 30)],
                }
            )
        )
        lines = [
            {"name": f"Módulo {number}", "quantity": 3, "price_unit": 125_000, "discount": 5} for number in range(4)
        ]
        lines.append({"name": "Descuento por volumen", "quantity": 1, "price_unit": -25_000})
        move = self.post(lines, invoice_payment_term_id=terms.id)
        paper = self.print(move)
        self.assertEqual(len(paper.pages), 2)
        self.assert_on(
            paper.pages[0], "18.750 (5%)", "Descuento por volumen $ -25.000", "Pagos programados",
            "Mitad al día, mitad a 30 días", "Monto Neto $ 1.400.000", "Horario de atención: lunes a viernes",
        )  # fmt: skip
        self.assert_timbre(paper, 0, move)
        self.assertEqual(move._dte_contrast("#b7e3f4"), "#000000")
        self.assertEqual(move._dte_contrast("#102030"), "#ffffff")

    def test_no_logo_rather_than_odoos_placeholder(self):
        """A company that has chosen none begins with a picture that says "Your logo"."""
        company = self.company.sudo()
        company.logo = company._get_logo()
        move = self.post([{"name": "Asesoría", "quantity": 1, "price_unit": 1000}])
        self.assertEqual(len(self.print(move).reader.pages[0].images), 1, "the timbre")
        logo = io.BytesIO()
        Image.new("RGB", (120, 60), "#204060").save(logo, "PNG")
        company.logo = base64.b64encode(logo.getvalue())
        self.assertEqual(len(self.print(move).reader.pages[0].images), 2)

    def test_transferable_copy_can_be_left_out(self):
        self.company.sudo().dte_print_transferable = False
        self.assertEqual(len(self.print(self.post()).pages), 1)

    # -- roll --

    def test_roll(self):
        move = self.post([{"name": f"Producto {n}", "quantity": n, "price_unit": 990} for n in range(1, 16)])
        paper = self.print(move, ROLL_REPORT)
        self.assertEqual(len(paper.pages), 2)
        for page in paper.pages:
            self.assert_head(page, move, "FACTURA ELECTRÓNICA")
            self.assert_on(page, "Producto 15", "15 x $ 990", "Monto Total $ 141.372")
        self.assert_on(paper.pages[1], "CEDIBLE", "Acuse de Recibo", print_words.RECEIPT_DECLARATION)
        for page in range(2):
            self.assert_timbre(paper, page, move, width=52)
        self.assertEqual(round(paper.reader.pages[0].mediabox.width / MM), 80)

    def test_company_chooses_the_roll(self):
        self.company.sudo().dte_paper = "roll"
        paper = self.print(self.post())
        self.assertEqual(round(paper.reader.pages[0].mediabox.width / MM), 80)
        self.assertEqual(len(paper.pages), 2)

    # -- marks --

    def test_contingency_is_marked_until_the_sii_has_it(self):
        self.env["dte.contingency"]._of(self.company, "simulator")
        move = self.post()
        document = move.sudo().dte_document_id
        document._set_state("contingency", is_contingency=True)
        self.assert_on(self.print(move).pages[0], "EMITIDO EN CONTINGENCIA: PENDIENTE DE ENVÍO AL SII")
        document._set_state("sent")
        self.assertEqual(move._dte_sheet()["mark"], "")

    def test_marks_of_the_other_states(self):
        move = self.post()
        document = move.sudo().dte_document_id
        for state, mark, void in (
            ("to_send", "PENDIENTE DE ENVÍO", False),
            ("unknown", "PENDIENTE DE CONFIRMACIÓN", False),
            ("failed", "PENDIENTE DE ENVÍO", False),
            ("accepted", "", False),
            ("objected", "", False),
            ("rejected", "DOCUMENTO NO VÁLIDO: RECHAZADO", True),
        ):
            document._set_state(state)
            sheet = move._dte_sheet()
            self.assertIn(mark, sheet["mark"])
            self.assertEqual((bool(sheet["mark"]), sheet["void"]), (bool(mark), void))
        self.assert_on(self.print(move).pages[0], "DOCUMENTO NO VÁLIDO: RECHAZADO POR EL SII", "SIN VALIDEZ TRIBUTARIA")
        document.superseded = True
        self.assertIn("REEMPLAZADO", move._dte_sheet()["mark"])

    def test_the_kept_pdf_follows_the_document(self):
        """Odoo keeps the PDF of the first mail for ever; it may not say for ever what held for an hour."""
        reports = {"force_report_rendering": True, "lang": "es_CL"}
        move = self.post().with_context(**reports)
        send = self.env["account.move.send"].with_context(**reports)

        def kept():
            return move._get_invoice_legal_documents("pdf", allow_fallback=True)

        def page(file):
            return " ".join(PdfReader(io.BytesIO(file["content"])).pages[0].extract_text().split())

        send._generate_and_send_invoices(move, sending_methods=[], extra_edis=[])
        self.assertTrue(move.invoice_pdf_report_id)
        name = kept()["filename"]
        self.assert_on(page(kept()), "PENDIENTE DE ENVÍO AL SII")
        self.send(move)
        self.assertFalse(move.invoice_pdf_report_id)
        self.assertFalse(move.highlight_send_button)
        self.assertNotIn("PENDIENTE", page(kept()))
        self.assertEqual(kept()["filename"], name)
        send._generate_and_send_invoices(move, sending_methods=[])
        file = move.invoice_pdf_report_id
        self.ask(move)
        self.assertEqual((move.dte_status, move.invoice_pdf_report_id), ("accepted", file), "nothing to say anew")
        move.sudo().dte_document_id._set_state("rejected")
        move.sudo().dte_document_id._tell()
        self.assert_on(page(kept()), "DOCUMENTO NO VÁLIDO: RECHAZADO POR EL SII")

    def test_what_leaves_by_itself_has_no_mark(self):
        move, note_of = self.post(), self.post()
        document, contingency = move.sudo().dte_document_id, self.env["dte.contingency"].sudo()
        document.queued_at = "2026-01-01"
        self.assertEqual(move._dte_sheet()["mark"], "")
        self.assertNotIn("PENDIENTE", self.print(move).pages[0])
        row = contingency.create({"company_id": self.company.id, "environment": "simulator", "enabled": True})
        self.assertEqual(move._dte_sheet()["mark"], print_words.NOT_SENT)
        row.enabled = False
        document.reference_ids = note_of.sudo().dte_document_id
        self.assertEqual(move._dte_sheet()["mark"], print_words.NOT_SENT)
        document.reference_ids = False
        pause = self.env["dte.pause"].sudo()
        pause._begin(self.company.sudo(), "simulator", "sii_upload_refused", {})
        self.assertEqual(move._dte_sheet()["mark"], print_words.NOT_SENT)
        pause._resume(self.company.sudo(), "simulator")
        self.assertEqual(move._dte_sheet()["mark"], "")
        document._set_state("retry")
        self.assertEqual(move._dte_sheet()["mark"], print_words.NOT_SENT)

    def test_draft_is_no_document(self):
        paper = self.print(self.make())
        self.assertEqual(len(paper.pages), 1)
        self.assert_on(paper.pages[0], "BORRADOR", "NO ES DOCUMENTO VÁLIDO", "Monto Total $ 1.190")
        self.assertEqual(paper.timbres(0), [])
        for word in ("R.U.T.: " + self.dotted(self.rut), "S.I.I.", "Timbre", "CEDIBLE", "N° 1"):
            self.assertNotIn(word, paper.pages[0])

    def test_draft_without_customer_is_printed_as_any_invoice(self):
        move = self.make()
        move.partner_id = False
        self.assertIsNone(move._dte_sheet())
        self.assertNotIn("FACTURA ELECTRÓNICA", self.print(move).pages[0])

    # -- together --

    def test_several_at_once(self):
        moves = self.post() | self.make() | self.post(dte_type="34")
        paper = self.print(moves)
        self.assertEqual(["BORRADOR" in page for page in paper.pages], [False, False, True, False, False], paper.pages)

    def test_without_intact_copy_nothing_is_printed(self):
        move = self.post()
        backup = move.sudo().dte_document_id.backup_id
        self.replace_archive(backup, b"<DTE>otra cosa</DTE>", keep_hash=True)
        self.patch(self.registry["dte.backup"], "_find_intact", lambda backup: b"")
        with self.assertRaisesRegex(UserError, "cannot be printed"):
            move._dte_sheet()

    def test_other_invoices_keep_their_paper(self):
        bill = self.env["account.move"].new({"move_type": "in_invoice"})
        self.assertNotIn("l10n_cl_dte", bill._get_name_invoice_report())
