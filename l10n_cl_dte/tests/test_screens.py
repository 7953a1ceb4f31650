# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.tests import HttpCase, tagged

from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install", "dte_browser")
class TestScreens(DteCommon, HttpCase):
    """What a person clicks, in a real browser, against the simulator."""

    def setUp(self):
        super().setUp()
        self.env["res.lang"].sudo()._activate_lang("es_CL")
        modules = ["base", "web", "account", "l10n_latam_invoice_document", "l10n_cl", "l10n_cl_dte"]
        self.env["ir.module.module"].sudo()._load_module_terms(modules, ["es_CL"])
        self.dte_user.sudo().write({"lang": "es_CL", "password": self.dte_user.login})

    def test_send_and_ask(self):
        move = self.make()
        self.start_tour(f"/odoo/customer-invoices/{move.id}", "dte_send_tour", login=self.dte_user.login)
        move.invalidate_recordset()
        self.assertEqual((move.dte_status, move.dte_folio), ("accepted", 1))
        self.assertEqual([held["state"] for held in self.held().values()], ["accepted"])

    def test_send_from_the_list(self):
        moves = self.post() + self.post()
        self.start_tour("/odoo/customer-invoices", "dte_bulk_send_tour", login=self.dte_user.login)
        moves.invalidate_recordset()
        self.assertEqual(moves.mapped("dte_status"), ["sent", "sent"])
        self.assertEqual(len(self.uploads()), 1)
