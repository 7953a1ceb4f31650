# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import os

from odoo.exceptions import AccessError, UserError
from odoo.tests import TransactionCase, tagged

from ..wizards.dte_demo import RUT
from .simulated import Simulator, make_invoice


@tagged("post_install_l10n", "post_install", "-at_install")
class TestDemoCompany(TransactionCase):
    """One click on a fresh company of a fresh database, with a simulator that runs."""

    def setUp(self):
        super().setUp()
        self.simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
        self.simulator.call("POST", "reset")
        self.company = self.env["res.company"].create({"name": "Nueva"})
        admin = self.env.ref("base.user_admin")
        admin.write({"company_ids": [(4, self.company.id)]})
        # What the demo of a developer or another test may have left.
        self.env["dte.caf"].search([("issuer_rut", "=", RUT)]).unlink()
        self.env = self.env(user=admin, context={"allowed_company_ids": self.company.ids})
        self.company = self.company.with_env(self.env)

    def wizard(self, **values):
        return self.env["dte.demo"].create(
            {"company_id": self.company.id, "simulator_url": self.simulator.url, **values}
        )

    def test_one_click(self):
        action = self.wizard().action_create()
        self.assertEqual((action["res_model"], self.company.dte_environment), ("dte.setup", "simulator"))
        setup = self.env["dte.setup"].browse(action["res_id"])
        missing = setup.line_ids.filtered(lambda line: line.state == "missing")
        self.assertEqual(missing.mapped("code"), [], missing.mapped("text"))
        journal = self.env["account.journal"].search([("company_id", "=", self.company.id), ("dte_enabled", "=", True)])
        customer = self.env["res.partner"].search([("vat", "=", "77123456-9")], limit=1)
        move = make_invoice(journal, customer, [{"name": "Servicio", "quantity": 1, "price_unit": 1000}])
        move.action_post()
        self.assertEqual(move.dte_folio, 1)
        with self.assertRaisesRegex(UserError, "fresh"):
            self.wizard().action_create()

    def test_never_in_production(self):
        self.company.dte_environment = "production"
        with self.assertRaisesRegex(UserError, "in production"):
            self.wizard().action_create()
        self.assertEqual(self.company.name, "Nueva")

    def test_a_company_with_a_life_of_its_own(self):
        self.company.partner_id.vat = "77123456-9"
        with self.assertRaisesRegex(UserError, "RUT of its own"):
            self.wizard().action_create()
        self.assertEqual(self.company.name, "Nueva")

    def test_without_a_simulator(self):
        with self.assertRaisesRegex(UserError, "does not answer"), self.env.cr.savepoint():
            self.wizard(simulator_url="http://127.0.0.1:9").action_create()
        self.assertEqual(self.company.name, "Nueva")

    def test_who_may(self):
        user = self.env["res.users"].create(
            {
                "name": "Manager",
                "login": "demo_manager",
                "company_id": self.company.id,
                "company_ids": [(6, 0, self.company.ids)],
                "group_ids": [(6, 0, self.env.ref("l10n_cl_dte.group_dte_manager").ids)],
            }
        )
        with self.assertRaises(AccessError):
            self.env(user=user)["dte.demo"].create({"company_id": self.company.id, "simulator_url": "http://a"})
