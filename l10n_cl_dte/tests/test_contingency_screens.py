# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.tests import HttpCase, tagged

from .test_contingency_wizard import WizardCommon


@tagged("post_install_l10n", "post_install", "-at_install", "dte_browser")
class TestContingencyScreens(WizardCommon, HttpCase):
    """The manual path in a real browser, against the simulator, in both orders."""

    def setUp(self):
        super().setUp()
        self.manager.sudo().password = self.manager.login

    def walk(self, tour, path="/odoo/dte-documents"):
        self.start_tour(path, tour, login=self.manager.login)

    def hold_two(self):
        self.walk("dte_contingency_enable_tour")
        moves = self.make() + self.make()
        for move in moves:
            self.walk("dte_contingency_send_tour", f"/odoo/customer-invoices/{move.id}")
        moves.invalidate_recordset()
        self.assertEqual(moves.mapped("dte_status"), ["contingency"] * 2)
        return moves

    def check_sent(self, moves):
        moves.invalidate_recordset()
        self.assertEqual(moves.mapped("dte_status"), ["sent"] * 2)
        self.assertEqual(sorted(folio for _type, folio in self.held()), sorted(moves.mapped("dte_folio")))
        self.assertEqual(moves.mapped("is_contingency"), [True] * 2)

    def test_upload_then_disable(self):
        moves = self.hold_two()
        self.walk("dte_contingency_upload_then_disable_tour")
        self.check_sent(moves)
        self.assertEqual(len(self.uploads()), 2)

    def test_disable_then_upload(self):
        moves = self.hold_two()
        self.walk("dte_contingency_disable_then_upload_tour")
        self.check_sent(moves)
        self.assertEqual(len(self.uploads()), 1)
