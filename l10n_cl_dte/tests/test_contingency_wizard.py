# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import socket
import time
from unittest.mock import patch

from lxml import etree
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL, mute_logger

from .common import DteCommon

WAITING = 10_000
# Folios far from those of the test's own documents.
FIRST_FOLIO = 1_000_000
ACTIONS = (
    "action_enable", "action_disable", "action_disable_and_send", "action_disable_and_leave", "action_start_drill",
)  # fmt: skip


class WizardCommon(DteCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        groups = "l10n_cl_dte.group_dte_manager,base.group_partner_manager"
        cls.manager = cls.user_with("Jefa DTE", groups)

    @classmethod
    def user_with(cls, name, groups, company=None):
        company = company or cls.company.sudo()
        root_env = cls.env(su=True)
        return new_test_user(
            root_env, f"{name.split()[0].lower()}_{company.id}", groups, name=name, lang="en_US",
            tz="America/Santiago", company_id=company.id, company_ids=[(6, 0, company.ids)],
        )  # fmt: skip

    def wizard(self, user=None, **values):
        return self.env_of(user or self.manager)["contingency.wizard"].create(values)

    def env_of(self, user):
        return self.env(user=user, context={"allowed_company_ids": user.company_ids.ids, "lang": "en_US"})

    def press(self, wizard, action):
        """Press a button of the wizard; return the wizard that it shows."""
        with self.committing() as env:
            shown = getattr(wizard.with_env(env(user=wizard.env.user)), action)()
        wizard.invalidate_recordset()
        self.assertEqual((shown["res_model"], shown["res_id"]), (wizard._name, wizard.id))
        return wizard

    def hold(self, count=1):
        """Enable contingency and send new invoices in it."""
        self.press(self.wizard(reason="maintenance"), "action_enable")
        moves = self.env["account.move"].union(*(self.post() for _number in range(count)))
        self.send(moves)
        moves.invalidate_recordset()
        self.assertEqual(set(moves.mapped("dte_status")), {"contingency"})
        return moves

    def upload(self, size=50):
        with self.committing() as env:
            return env(user=self.manager)["dte.contingency"].upload_pending_batch(size)


@tagged("post_install_l10n", "post_install", "-at_install")
class TestContingencyWizard(WizardCommon):
    def test_opening_makes_no_row_and_asks_nobody(self):
        with patch.object(socket.socket, "connect", side_effect=AssertionError):
            wizard = self.wizard(user=self.dte_user)
            self.assertFalse(wizard.is_enabled or wizard.waiting or wizard.is_manager)
            self.assertIn("Not in contingency", wizard.status_text)
        self.assertFalse(self.env["dte.contingency"].sudo().search([("company_id", "=", self.company.id)]))
        self.assertFalse(self.env["dte.sii.call"].sudo().search([("company_id", "=", self.company.id)]))

    def test_enable_and_disable(self):
        wizard = self.press(self.wizard(reason="maintenance", comment="Aviso del SII"), "action_enable")
        self.assertTrue(wizard.is_enabled)
        self.assertIn("Aviso del SII", wizard.status_text)
        self.assertIn(self.manager.name, wizard.status_text)
        self.press(wizard, "action_disable")
        self.assertFalse(wizard.is_enabled)
        episode = self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])
        self.assertEqual((episode.reason, episode.opened_by, episode.closed_by), ("maintenance", *(self.manager,) * 2))

    def test_disabling_asks_what_becomes_of_documents(self):
        moves = self.hold(2)
        wizard = self.press(self.wizard(), "action_disable")
        self.assertEqual((wizard.step, wizard.is_enabled, wizard.waiting), ("disable", True, 2))
        self.press(wizard, "action_back")
        self.assertEqual((wizard.step, wizard.is_enabled), ("status", True))
        self.press(wizard, "action_disable_and_leave")
        self.assertEqual((wizard.step, wizard.is_enabled, wizard.is_uploading), ("status", False, False))
        self.assertEqual((set(moves.mapped("dte_status")), self.uploads()), ({"contingency"}, []))

    def test_disable_and_send(self):
        moves = self.hold(2)
        wizard = self.press(self.wizard(), "action_disable_and_send")
        self.assertEqual((wizard.step, wizard.is_enabled, wizard.is_uploading), ("status", False, True))
        self.assertEqual(self.upload()["uploaded"], 2)
        moves.invalidate_recordset()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})

    def test_readers_see_the_status_and_change_nothing(self):
        self.hold()
        wizard = self.wizard(user=self.dte_user)
        self.assertEqual((wizard.is_enabled, wizard.waiting, wizard.is_manager), (True, 1, False))
        for action in ACTIONS:
            with self.subTest(action), self.assertRaises(AccessError):
                getattr(wizard, action)()
        self.assertTrue(self.wizard().is_enabled)

    def test_readers_have_no_buttons(self):
        def buttons(user):
            arch = self.env(user=user)["contingency.wizard"].get_view(view_type="form")["arch"]
            return {button.get("name") for button in etree.fromstring(arch).iterfind(".//footer/button")} - {None}

        self.assertEqual(buttons(self.dte_user), set())
        self.assertEqual(buttons(self.manager), {*ACTIONS, "action_back"} - {"action_start_drill"})

    def test_other_companies_stay_out(self):
        self.hold()
        other = self.env["res.company"].sudo().create({"name": "Otra", "country_id": self.env.ref("base.cl").id})
        stranger = self.user_with("Ajena DTE", "l10n_cl_dte.group_dte_manager", other)
        self.assertFalse(self.wizard(user=stranger).is_enabled)
        with self.assertRaises(AccessError):
            self.wizard(user=stranger, company_id=self.company.id)
        with self.assertRaises(AccessError):
            self.wizard().with_user(stranger).action_disable()
        self.assertEqual(self.env_of(stranger)["dte.contingency.pending"].search_count([]), 0)
        self.assertEqual(self.env_of(stranger)["dte.contingency.episode"].search_count([]), 0)

    def test_values_have_bounds(self):
        for values in ({"batch_size": 0}, {"batch_size": 501}, {"drill_minutes": 0}):
            with self.subTest(values), mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
                self.wizard(**values)

    def test_drill_is_for_the_simulator(self):
        self.company.sudo().dte_environment = "certification"
        with self.assertRaises(UserError):
            self.wizard().action_start_drill()

    def test_folios_that_end_are_announced(self):
        wizard = self.wizard()
        self.assertFalse(wizard.folio_text)
        caf = self.env["dte.caf"].search([("company_id", "=", self.company.id), ("dte_type", "=", "33")])
        self.env.cr.execute("UPDATE dte_caf SET folio_to = 12 WHERE id = %s", [caf.id])
        caf.invalidate_recordset()
        self.assertIn("12 folios are left", self.wizard().folio_text)
        today = self.company._dte_now().date()
        self.env.cr.execute(
            "UPDATE dte_caf SET folio_to = 100, expires_on = %s WHERE id = %s", [fields.Date.add(today, days=5), caf.id]
        )
        caf.invalidate_recordset()
        self.assertIn("100 folios serve until", self.wizard().folio_text)
        self.env.cr.execute(
            "UPDATE dte_caf SET expires_on = %s WHERE id = %s", [fields.Date.add(today, days=-1), caf.id]
        )
        caf.invalidate_recordset()
        self.assertEqual(len(self.wizard().folio_text.splitlines()), 1)
        self.assertIn("no folios left", self.wizard().folio_text)

    def test_it_opens_fast_with_many_documents(self):
        make_waiting(self, self.hold().dte_document_id)
        model = self.env(user=self.manager)["contingency.wizard"]
        arch = etree.fromstring(model.get_view(view_type="form")["arch"])
        spec = {node.get("name"): {} for node in arch.iter("field")}
        began = time.monotonic()
        shown = model.onchange({}, [], spec)["value"]
        seconds = time.monotonic() - began
        self.assertEqual(shown["waiting"], WAITING + 1)
        self.assertLess(seconds, 1)


def make_waiting(test, document):
    """Copy a held document and its row in the record many times."""
    test.env.flush_all()
    same = ("company_id", "environment", "dte_type", "document_type_id", "issuer_rut", "receiver_rut", "issue_date",
            "signed_at", "amount_total", "state", "failures", "ask_first", "told", "queued_at",
            "is_contingency")  # fmt: skip
    columns = SQL(", ").join(SQL.identifier(name) for name in same)
    test.env.cr.execute(
        SQL(
            "INSERT INTO dte_document (%s, folio, version) SELECT %s, %s + number, 1"
            " FROM dte_document, generate_series(1, %s) number WHERE id = %s",
            columns, columns, FIRST_FOLIO, WAITING, document.id,
        )
    )  # fmt: skip
    test.env.cr.execute(
        SQL(
            "INSERT INTO dte_contingency_pending (document_id, episode_id, company_id, environment, dte_type, folio,"
            " rut_emisor, issue_date, stored_date, state, uploaded)"
            " SELECT document.id, row.episode_id, document.company_id, document.environment, document.dte_type,"
            " document.folio, document.issuer_rut, document.issue_date, row.stored_date, row.state, false"
            " FROM dte_document document, dte_contingency_pending row"
            " WHERE row.document_id = %s AND document.company_id = %s AND document.folio > %s",
            document.id, test.company.id, FIRST_FOLIO,
        )
    )  # fmt: skip
    test.env.cr.execute("ANALYZE dte_document")
    test.env.cr.execute("ANALYZE dte_contingency_pending")
    test.env.invalidate_all()


@tagged("post_install_l10n", "post_install", "-at_install")
class TestContingencyBanner(WizardCommon):
    def test_invoices_tell_it_while_it_lasts(self):
        move = self.hold()
        draft = self.make()
        for invoice in (move, draft):
            self.assertIn("Documents waiting for the SII: 1", invoice.with_context(lang="en_US").dte_contingency_banner)
        wizard = self.press(self.wizard(), "action_disable_and_leave")
        self.assertIn("Documents waiting for the SII: 1", self.make().with_context(lang="en_US").dte_contingency_banner)
        self.upload()
        self.assertFalse(wizard.is_enabled)
        self.assertEqual(self.make().dte_contingency_banner, "")

    def test_only_those_concerned_are_told(self):
        self.hold()
        bill = self.env["account.move"].new({"move_type": "in_invoice"})
        self.assertEqual(bill.dte_contingency_banner, "")
        plain = self.make(journal=self.other_journal(dte_enabled=False, code="SINDTE"), dte_type=None)
        self.assertEqual(plain.dte_contingency_banner, "")
        clerk = self.user_with("Ayudante sin rol", "account.group_account_invoice")
        self.assertFalse(self.make().with_user(clerk).dte_contingency_banner)
        form = self.env["account.move"].with_user(clerk).get_view(view_type="form")["arch"]
        self.assertNotIn("dte_contingency_banner", form)

    def test_many_invoices_cost_one_look(self):
        self.hold()
        moves = self.env["account.move"].union(*(self.make() for _number in range(5)))
        status = type(self.env["dte.contingency"])
        self.env.invalidate_all()
        with patch.object(status, "get_status", side_effect=status.get_status, autospec=True) as looked:
            moves.mapped("dte_contingency_banner")
        self.assertEqual(looked.call_count, 1)
