# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import random

from lxml import etree

from odoo.tests import tagged

from .common import DteCommon

NS = {"d": "http://www.sii.cl/SiiDte"}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestAmounts(DteCommon):
    """The books and the document must say the same, by the SII's rounding."""

    def totals(self, move):
        root = etree.fromstring(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + move._dte_xml())
        zone = root.find(".//d:Totales", NS)
        return {etree.QName(child).localname: child.text for child in zone if not len(child)} | {
            f"tax {tax.findtext('d:TipoImp', namespaces=NS)}": tax.findtext("d:MontoImp", namespaces=NS)
            for tax in zone.findall("d:ImptoReten", NS)
        }

    def agree(self, move):
        totals = self.totals(move)
        self.assertEqual(int(totals["MntTotal"]) + int(totals.get("MontoNF", 0)), round(move.amount_total))
        self.assertEqual(int(totals.get("MntNeto", 0)) + int(totals.get("MntExe", 0)), round(move.amount_untaxed))
        return totals

    def tax(self, code, amount, **values):
        return (
            self.env["account.tax"]
            .sudo()
            .create(
                {
                    "name": f"Impuesto {code} {amount}",
                    "amount": amount,
                    "type_tax_use": "sale",
                    "l10n_cl_sii_code": code,
                    "company_id": self.company.id,
                    "country_id": self.env.ref("base.cl").id,
                    **values,
                }
            )
        )

    def taxes_of_typed_line(self, move, **values):
        """Add a line as a person does, without choosing taxes."""
        move.write({"invoice_line_ids": [(0, 0, {"name": "A mano", "quantity": 1, "price_unit": 500, **values})]})
        return move.invoice_line_ids.filtered(lambda line: line.name == "A mano").tax_ids

    def test_typed_line_starts_with_the_vat_of_the_document(self):
        vat = self.company.account_sale_tax_id
        invoice = self.make()
        self.assertEqual(self.taxes_of_typed_line(invoice), vat)
        self.assertFalse(self.taxes_of_typed_line(self.make(dte_type="34")))
        product = self.env["product.product"].sudo().create({"name": "Exento", "taxes_id": [(5,)]})
        self.assertFalse(self.taxes_of_typed_line(self.make(), product_id=product.id))
        self.assertFalse(self.taxes_of_typed_line(self.make(dte_type="61")))
        invoice.action_post()
        note = self.make(dte_type="61", dte_reference_ids=[(0, 0, {**invoice._dte_reference_values(), "code": "3"})])
        self.assertEqual(self.taxes_of_typed_line(note), vat)

    def test_vat_half_up(self):
        """1350 x 19 % = 256.5, which the SII rounds to 257."""
        self.assertEqual(self.agree(self.post([{"name": "A", "quantity": 1, "price_unit": 1350}]))["IVA"], "257")

    def test_each_line_is_rounded(self):
        """Three lines of 0.5 pesos are 3 pesos for the SII and 1.5 for Odoo's global rounding."""
        lines = [{"name": "A", "quantity": 1, "price_unit": 0.5}] * 3 + [
            {"name": "B", "quantity": 1, "price_unit": 100}
        ]
        self.assertEqual(self.agree(self.post(lines))["MntNeto"], "103")

    def test_random_documents(self):
        seed = random.randrange(10**6)  # noqa: S311
        dice = random.Random(seed)  # noqa: S311
        for _round in range(15):
            lines = [
                {
                    "name": f"Ítem {number}",
                    "quantity": round(dice.uniform(0.01, 50), dice.choice((0, 2, 3))) or 1,
                    "price_unit": round(dice.uniform(1, 90000), dice.choice((0, 2))),
                    "discount": dice.choice((0, 0, 5, 33.33, 100, -10)),
                    **({"tax_ids": [(5, 0, 0)]} if number and dice.random() < 0.3 else {}),
                }
                for number in range(dice.randint(1, 12))
            ]
            with self.subTest(seed=seed, lines=lines):
                self.agree(self.post(lines))

    def test_gross_prices(self):
        vat = self.tax(14, 19, price_include_override="tax_included")
        for gross, net in ((680, 571), (86710, 72866), (29800, 25042), (4100, 3445)):
            line = {"name": "Bruto", "quantity": 1, "price_unit": gross, "tax_ids": [(6, 0, vat.ids)]}
            totals = self.agree(self.post([line]))
            self.assertEqual((totals["MntNeto"], totals["MntTotal"]), (str(net), str(gross)))

    def test_additional_taxes(self):
        vat = self.company.account_sale_tax_id
        beer, sugared = self.tax(26, 20.5), self.tax(26, 18)
        lines = [
            {"name": "Cerveza", "quantity": 3, "price_unit": 1333, "tax_ids": [(6, 0, (vat + beer).ids)]},
            {"name": "Bebida azucarada", "quantity": 7, "price_unit": 777, "tax_ids": [(6, 0, (vat + sugared).ids)]},
            {"name": "Pan", "quantity": 1, "price_unit": 990},
        ]
        totals = self.agree(self.post(lines))
        self.assertEqual((totals["tax 26"], totals["tax 271"]), ("820", "979"))

    def test_discount_on_one_kind_of_tax(self):
        vat = self.company.account_sale_tax_id
        beer = self.tax(26, 20.5)
        lines = [
            {"name": "Cerveza", "quantity": 3, "price_unit": 1333, "tax_ids": [(6, 0, (vat + beer).ids)]},
            {"name": "Descuento", "quantity": 1, "price_unit": -333, "tax_ids": [(6, 0, (vat + beer).ids)]},
        ]
        self.assertEqual(self.agree(self.post(lines))["tax 26"], "752")

    def test_not_billable(self):
        lines = [
            {"name": "Servicio", "quantity": 1, "price_unit": 1000},
            {"name": "Saldo anterior", "quantity": 1, "price_unit": 300, "tax_ids": [(5, 0, 0)], "dte_indicator": "2"},
            {"name": "Abono", "quantity": 1, "price_unit": -100, "tax_ids": [(5, 0, 0)], "dte_indicator": "6"},
        ]
        move = self.post(lines)
        totals = self.totals(move)
        self.assertEqual((totals["MntTotal"], totals["MontoNF"]), ("1190", "200"))
        self.assertEqual(move.amount_total, 1390)
        self.assertEqual(move.dte_document_id.amount_total, 1190)

    def test_free_of_charge(self):
        lines = [{"name": "Muestra", "quantity": 2, "price_unit": 5000, "discount": 100}]
        self.assertEqual(self.agree(self.post(lines))["MntTotal"], "0")

    def test_accepted_by_the_simulator(self):
        """What these tests produce must pass the simulator's own arithmetic without a repair."""
        self.test_additional_taxes()
        self.test_gross_prices()
        self.test_not_billable()
        self.test_random_documents()
        moves = self.env["account.move"].search([("dte_status", "=", "to_send"), ("company_id", "=", self.company.id)])
        self.send(moves)
        self.ask(moves)
        wrong = {key: held["codes"] for key, held in self.held().items() if held["state"] != "accepted"}
        self.assertFalse({key: codes for key, codes in wrong.items() if "HED-1-232" not in str(codes)})
        self.assertEqual(len(self.held()), len(moves))
