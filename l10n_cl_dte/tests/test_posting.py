# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
from unittest.mock import patch

from lxml import etree

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..libs import xml_verifier
from .common import DteCommon
from .simulated import make_customer

NS = {"d": "http://www.sii.cl/SiiDte"}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestPosting(DteCommon):
    def xml(self, move):
        return etree.fromstring(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + move._dte_xml())

    def value(self, root, *names):
        return root.findtext(".//" + "/".join(f"d:{name}" for name in names), namespaces=NS)

    def refuse(self, move, *sentences):
        with self.assertRaises(UserError) as caught:
            move.action_post()
        for sentence in sentences:
            self.assertIn(sentence, str(caught.exception))
        move.invalidate_recordset()
        self.assertEqual((move.state, move.name), ("draft", False))
        return str(caught.exception)

    def test_posting_signs_stamps_and_archives_without_network(self):
        with patch("odoo.addons.l10n_cl_dte.libs.transport.post", side_effect=AssertionError) as network:
            move = self.post()
        network.assert_not_called()
        document = move.dte_document_id.sudo()
        self.assertEqual(document.state, "to_send")
        xml = move._dte_xml()
        self.assertEqual(document.backup_id.sha256, hashlib.sha256(xml).hexdigest())
        self.assertEqual(base64.b64decode(document.backup_id.xml_content), xml)
        self.assertTrue(xml_verifier.verify_dte(xml).valid)
        key = self.company.sudo()._dte_simulator_public_key()
        self.assertEqual(xml_verifier.verify_timbre(xml, simulator_key=key).problems, ())

    def test_customers_without_a_rut_of_their_own(self):
        """The SII's RUT for whoever has none is shared by many: it goes with name and address of each."""
        for name, dte_type in (("Jane Doe", "33"), ("Acme Industries GmbH", "34")):
            guest = make_customer(
                self.env, name, "55555555-5", l10n_cl_sii_taxpayer_type="3", l10n_cl_activity_description="Turista",
            )  # fmt: skip
            move = self.post(dte_type=dte_type, partner=guest)
            root = self.xml(move)
            self.assertEqual(self.value(root, "RUTRecep"), "55555555-5")
            self.assertEqual(self.value(root, "RznSocRecep"), name)
            self.assertEqual(self.value(root, "DD", "RR"), "55555555-5")
            self.send(move)
            self.ask(move)
            self.assertEqual(move.dte_status, "accepted")

    def test_a_number_of_another_country_is_no_rut_and_that_is_told_before_posting(self):
        abroad = make_customer(
            self.env, "Acme Industries GmbH", "DE136695976", l10n_cl_sii_taxpayer_type="4",
            country_id=self.env.ref("base.de").id,
            l10n_latam_identification_type_id=self.env.ref("l10n_latam_base.it_vat").id,
        )  # fmt: skip
        self.refuse(self.make(partner=abroad), "DE136695976 is not a valid RUT", "No folio was used")

    def test_customers_abroad_get_an_export_invoice_and_that_is_told_before_posting(self):
        abroad = make_customer(
            self.env, "Acme Industries Inc.", "55555555-5", l10n_cl_sii_taxpayer_type="4",
            country_id=self.env.ref("base.us").id,
        )  # fmt: skip
        self.refuse(self.make(partner=abroad), "foreign customers must be export type")

    def test_document_says_what_the_invoice_says(self):
        self.customer.write({"name": 'Añil & Cía "Ltda" <S.A.>', "email": "pagos@example.com", "ref": "C-77"})
        product = self.env["product.product"].sudo().create({"name": "Martillo", "default_code": "M-1"})
        move = self.post(
            [
                {
                    "product_id": product.id,
                    "name": "[M-1] Martillo\nMango de fibra",
                    "quantity": 2.5,
                    "price_unit": 1990.55,
                    "discount": 10,
                },
                {"name": "Con recargo", "quantity": 1, "price_unit": 1000, "discount": -5},
                {"name": "Exento", "quantity": 1, "price_unit": 500, "tax_ids": [(5, 0, 0)]},
                {"name": "Descuento global", "quantity": 1, "price_unit": -100},
            ],
            dte_service_indicator="3",
            dte_period_from="2026-10-01",
            dte_period_to="2026-10-31",
        )
        root = self.xml(move)
        self.assertEqual(self.value(root, "Receptor", "RznSocRecep"), 'Añil & Cía "Ltda" <S.A.>')
        self.assertEqual(self.value(root, "Receptor", "CdgIntRecep"), "C-77")
        self.assertEqual(self.value(root, "IdDoc", "IndServicio"), "3")
        self.assertEqual(self.value(root, "IdDoc", "PeriodoHasta"), "2026-10-31")
        self.assertEqual(self.value(root, "IdDoc", "FchEmis"), str(move.invoice_date))
        details = root.findall(".//d:Detalle", NS)
        self.assertEqual(len(details), 3)
        first = {etree.QName(element).localname: element.text for element in details[0].iter()}
        self.assertEqual(first["NmbItem"], "Martillo")
        self.assertEqual(first["DscItem"], "Mango de fibra")
        self.assertEqual(first["VlrCodigo"], "M-1")
        self.assertEqual((first["QtyItem"], first["PrcItem"]), ("2.5", "1990.55"))
        # 2.5 x 1990.55 = 4976.375 -> 4976; 10 % = 497.6 -> 498
        self.assertEqual((first["DescuentoMonto"], first["MontoItem"]), ("498", "4478"))
        self.assertEqual(details[1].findtext("d:RecargoMonto", namespaces=NS), "50")
        self.assertEqual(details[2].findtext("d:IndExe", namespaces=NS), "1")
        self.assertEqual(self.value(root, "DscRcgGlobal", "ValorDR"), "100")
        self.assertEqual(self.value(root, "Totales", "MntNeto"), str(4478 + 1050 - 100))
        self.assertEqual(self.value(root, "Totales", "MntExe"), "500")
        self.assertEqual(self.value(root, "Totales", "MntTotal"), str(int(move.amount_total)))

    def test_installments(self):
        term = (
            self.env["account.payment.term"]
            .sudo()
            .create(
                {
                    "name": "30/60",
                    "line_ids": [
                        (0, 0, {"value": "percent", "value_amount": 50, "nb_days": 30}),
                        (0, 0, {"value": "percent", "value_amount": 50, "nb_days": 60}),
                    ],
                }
            )
        )
        move = self.post(invoice_payment_term_id=term.id)
        root = self.xml(move)
        amounts = [int(element.text) for element in root.iterfind(".//d:MntPago", NS)]
        self.assertEqual(len(amounts), 2)
        self.assertEqual(sum(amounts), int(move.amount_total))
        self.assertEqual(self.value(root, "IdDoc", "FmaPago"), "2")
        self.assertEqual(self.value(root, "IdDoc", "FchVenc"), str(move.invoice_date_due))

    def test_cash(self):
        self.assertEqual(self.value(self.xml(self.post()), "IdDoc", "FmaPago"), "1")

    def test_all_problems_at_once(self):
        self.company.sudo().dte_activity_codes = False
        partner = make_customer(
            self.env, "Sin datos 😀", "12345678-5", street=False, dte_comuna=False, city=False,
            l10n_cl_activity_description=False,
        )  # fmt: skip
        move = self.make(
            [{"name": f"Línea 漢 {number}", "quantity": 1, "price_unit": 1} for number in range(61)], partner=partner
        )
        text = self.refuse(
            move,
            "activity codes: is missing",
            "Activity Description: is missing",
            "Street: is missing",
            "Comuna: is missing",
            "cannot read these characters: 😀",
            "there are 61 and the SII admits at most 60",
            "line 1 (Línea 漢 0), label: the SII cannot read these characters: 漢",
        )
        self.assertNotIn("Traceback", text)

    def test_problems_name_the_field_of_the_row(self):
        order = {"document_type_id": self.env.ref("l10n_cl.dc_odc").id, "folio": "7", "date": "2026-11-01"}
        move = self.make(
            [{"name": "", "quantity": 1, "price_unit": 1000}], dte_reference_ids=[(0, 0, {**order, "reason": "漢"})]
        )
        self.refuse(
            move,
            "line 1 (-), label: is missing",
            "reference 1, reason: the SII cannot read these characters: 漢",
        )

    def test_receiver_without_rut(self):
        partner = make_customer(self.env, "Sin RUT", False)
        self.refuse(self.make(partner=partner), "is missing")

    def test_no_customer(self):
        move = self.make()
        move.partner_id = False
        with self.assertRaises(UserError):
            move.action_post()

    def test_limits(self):
        line = {"name": "Servicio", "quantity": 1, "price_unit": 1000}
        order = self.env.ref("l10n_cl.dc_odc")
        references = [
            (0, 0, {"document_type_id": order.id, "folio": str(number), "date": "2026-11-01"}) for number in range(41)
        ]
        self.refuse(self.make(dte_reference_ids=references), "there are 41 and the SII admits at most 40")
        discounts = [{"name": "Descuento", "quantity": 1, "price_unit": -1}] * 21
        self.refuse(self.make([line, *discounts]), "there are 21 and the SII admits at most 20")
        self.assertEqual(self.post([line] * 60, dte_reference_ids=references[:40]).dte_folio, 1)
        self.assertEqual(self.post([line, *discounts[:20]]).dte_folio, 2)

    def test_invoice_without_taxed_line(self):
        self.refuse(
            self.make([{"name": "Exento", "quantity": 1, "price_unit": 100, "tax_ids": [(5, 0, 0)]}]),
            "use an exempt invoice (34)",
        )

    def test_exempt_invoice_with_vat(self):
        vat = self.company.account_sale_tax_id
        line = {"name": "Afecto", "quantity": 1, "price_unit": 100, "tax_ids": [(6, 0, vat.ids)]}
        self.refuse(self.make([line], dte_type="34"), "cannot have lines with VAT")

    def test_foreign_currency(self):
        dollar = self.env.ref("base.USD")
        dollar.sudo().active = True
        self.refuse(self.make(currency_id=dollar.id), "must be in Chilean pesos")

    def test_note_without_reference(self):
        self.refuse(self.make(dte_type="61"), "needs a reference to the document that it corrects")

    def test_missing_resolution(self):
        self.company.sudo().dte_simulator_resolution_date = False
        self.refuse(self.make(), "the resolution for this environment is missing")

    def test_discount_larger_than_lines(self):
        lines = [
            {"name": "Afecto", "quantity": 1, "price_unit": 100},
            {"name": "Exento", "quantity": 1, "price_unit": 900, "tax_ids": [(5, 0, 0)]},
            {"name": "Descuento", "quantity": 1, "price_unit": -200},
        ]
        self.refuse(self.make(lines), "larger than the lines")

    def test_purchase_withholding_on_a_sale(self):
        tax = self.env["account.tax"].sudo().create(
            {"name": "Ret. total", "amount": -19, "type_tax_use": "sale", "l10n_cl_sii_code": 15,
             "company_id": self.company.id, "country_id": self.env.ref("base.cl").id}
        )  # fmt: skip
        line = {
            "name": "Servicio",
            "quantity": 1,
            "price_unit": 1000,
            "tax_ids": [(6, 0, (self.company.account_sale_tax_id + tax).ids)],
        }
        self.refuse(self.make([line]), "withholding of the buyer")

    def test_schema_is_the_last_guard(self):
        """Should the pipeline write something that the schema refuses, the posting fails and the folio is back."""
        move = self.make()
        with (
            patch("odoo.addons.l10n_cl_dte.libs.xml_generator._write_totals", lambda *args: None),
            self.assertRaisesRegex(UserError, "line [0-9]+, "),
            self.env.cr.savepoint(),
        ):
            move.action_post()
        self.assertEqual(self.post().dte_folio, 1)

    def test_translated_errors(self):
        self.env["res.lang"].sudo()._activate_lang("es_CL")
        self.dte_user.sudo().lang = "es_CL"
        move = self.make(dte_type="61").with_context(lang="es_CL")
        with self.assertRaises(UserError) as caught:
            move.action_post()
        self.assertIn("No se ha usado ningún folio", str(caught.exception))
