# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from psycopg2.pool import PoolError

from odoo.tests import TransactionCase, tagged
from odoo.tools import mute_logger

from ..libs.exceptions import NotDelivered

LOGGER = "odoo.addons.l10n_cl_dte.models.dte_sii_call"


@tagged("post_install_l10n", "post_install", "-at_install")
class TestSiiCall(TransactionCase):
    """What happened at the SII counts more than its row in the log."""

    def logged(self, service="upload"):
        return self.env["dte.sii.call"]._logged(self.env.company, "simulator", service)

    def no_cursor(self):
        return patch.object(self.env.registry, "cursor", side_effect=PoolError("The Connection Pool Is Full"))

    def test_a_row_that_cannot_be_written_keeps_the_result(self):
        def call():
            with self.logged():
                return "0000000123"

        with self.no_cursor(), self.assertLogs(LOGGER, "WARNING") as logs:
            self.assertEqual(call(), "0000000123")
        self.assertIn("The Connection Pool Is Full", logs.output[0])

    def test_a_row_that_cannot_be_written_keeps_the_error(self):
        with self.no_cursor(), self.assertLogs(LOGGER, "WARNING"), self.assertRaises(NotDelivered), self.logged():
            raise NotDelivered("sii_unreachable", reason="refused")

    def test_a_row_that_the_database_refuses(self):
        with self.enter_registry_test_mode(), mute_logger("odoo.sql_db"):
            with self.assertLogs(LOGGER, "WARNING"), self.logged(service=None):
                pass
            with self.logged():
                pass
        self.assertEqual(self.env["dte.sii.call"].search([], limit=1).outcome, "ok")
