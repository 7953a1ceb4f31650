# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import SQL

from .common import DteCommon

STATES = ("to_send", "sent", "no_answer", "unknown", "failed", "rejected", "contingency", "accepted", "objected")


class DashboardCommon(DteCommon):
    def in_state(self, state, **values):
        document = self.post().dte_document_id.sudo()
        document._set_state(state, **values)
        document._tell()
        return document

    def fill(self):
        """One document of each state, and what must not be counted."""
        for state in STATES:
            self.in_state(state)
        self.in_state("retry", retry_at=fields.Datetime.now() + timedelta(hours=1), failures=1, error_type="timeout")
        self.in_state("rejected", superseded=True)


@tagged("post_install_l10n", "post_install", "-at_install")
class TestDashboard(DashboardCommon):
    def overview(self, user=None):
        [company] = self.env(user=user or self.dte_user)["dte.dashboard"].get_overview()["companies"]
        self.assertEqual(company["id"], self.company.id)
        return company

    def tiles(self, user=None):
        return {tile["key"]: tile for tile in self.overview(user)["tiles"]}

    def count(self, action):
        return self.env[action["res_model"]].search_count(action["domain"])

    def test_every_number_opens_what_it_counts(self):
        self.fill()
        tiles = self.tiles()
        expected = {"to_send": 1, "retry": 2, "pending": 1, "rejected": 1, "stuck": 2, "waiting": 1}
        for key, count in expected.items():
            self.assertEqual((key, tiles[key]["count"]), (key, count))
            self.assertEqual(self.count(tiles[key]["action"]), count, key)
        for key, tile in tiles.items():
            if tile["action"]:
                self.env[tile["action"]["res_model"]].search(tile["action"]["domain"])
            else:
                # Certificates are the administrator's.
                self.assertEqual(key, "certificate")
        self.assertTrue(self.tiles(self.admin)["certificate"]["action"])

    def test_folios(self):
        self.post()
        rows = {row["type"]: row for row in self.overview()["folios"]}
        self.assertEqual({name: row["left"] for name, row in rows.items()},
                         {"33": "99", "34": "100", "56": "100", "61": "100"})  # fmt: skip
        self.assertEqual(self.env["dte.caf"].search(rows["61"]["action"]["domain"]).mapped("dte_type"), ["61"])

    def test_looking_makes_no_row(self):
        self.fill()
        self.env.flush_all()
        counts = "SELECT (SELECT SUM(n_tup_ins + n_tup_upd) FROM pg_stat_xact_user_tables)"
        self.env.cr.execute(counts)
        before = self.env.cr.fetchone()
        self.env["dte.dashboard"].get_overview()
        self.env.flush_all()
        self.env.cr.execute(counts)
        self.assertEqual(self.env.cr.fetchone(), before)

    def test_retries_that_ended(self):
        document = self.in_state("retry", failures=1, retry_at=fields.Datetime.now(), error_type="timeout")
        document._set_state("accepted")
        document._tell()
        self.env["dte.daily"].sudo()._sum_up(self.company)
        tile = self.tiles()["retry_success"]
        self.assertEqual((tile["value"], self.count(tile["action"])), ("100 %", 1))

    def test_days_of_the_sii(self):
        self.assertEqual(self.overview()["days"], [])
        now = fields.Datetime.now()
        for days, outcomes in ((3, ("ok", "ok", "ok", "timeout")), (0, ("ok",))):
            for outcome in outcomes:
                self.env.cr.execute(SQL(
                    "INSERT INTO dte_sii_call (company_id, environment, service, outcome, milliseconds, called_at)"
                    " VALUES (%s, 'simulator', 'upload', %s, 200, %s)",
                    self.company.id, outcome, now - timedelta(days=days, minutes=1)))  # fmt: skip
        self.env["dte.daily"].sudo()._sum_up(self.company)
        days = self.overview(self.admin)["days"]
        past = next(day for day in days if day["calls"] == 4)
        self.assertEqual((past["percent"], past["milliseconds"]), (75.0, 200))
        self.assertEqual((days[-1]["percent"], days[-1]["calls"]), (100.0, 1))
        for day, count in ((past, 4), (days[-1], 1)):
            self.assertEqual(day["action"]["res_model"], "dte.sii.call")
            self.assertEqual(self.admin_env["dte.sii.call"].search_count(day["action"]["domain"]), count)
        # The log of calls is the managers'.
        self.assertEqual(self.overview()["days"][-1]["action"]["res_model"], "dte.daily")

    def test_status(self):
        self.assertEqual(self.overview()["status"]["tone"], "success")
        self.env["dte.pause"].sudo()._begin(self.company, "simulator", "sii_upload_forbidden", {})
        status = self.overview()["status"]
        self.assertEqual((status["tone"], self.count(status["action"])), ("danger", 1))
        self.env["dte.pause"].sudo()._resume(self.company, "simulator")
        self.env["contingency.wizard"].create({"reason": "maintenance"}).with_user(self.admin).sudo().action_enable()
        self.assertIn("In contingency", self.overview()["status"]["text"])

    def test_alerts_are_shown(self):
        self.in_state("rejected")
        self.run_job("dte.alert", "_cron_alerts")
        [alert] = self.overview()["alerts"]
        self.assertIn("rejected", alert["text"])
        self.assertEqual(self.count(alert["action"]), 1)

    def test_alerts_do_not_contradict_the_numbers(self):
        """They are written every 15 minutes; what the screen shows of them is of this moment."""
        document = self.in_state("rejected")
        self.run_job("dte.alert", "_cron_alerts")
        other = self.in_state("rejected")
        [alert] = self.overview()["alerts"]
        self.assertIn(": 2.", alert["text"])
        self.assertIn("press Correct", alert["step"])
        for solved in document + other:
            solved._set_state("accepted")
        self.assertEqual(self.overview()["alerts"], [])

    def test_what_is_to_be_sent_says_who_acts(self):
        def detail():
            return self.tiles()["to_send"]["detail"]

        self.assertEqual(detail(), "Nothing waits to be sent")
        document = self.in_state("to_send")
        self.assertEqual(detail(), "Wait for Send DTE: 1")
        document.queued_at = fields.Datetime.now()
        self.assertEqual(detail(), "They leave by themselves")

    def test_the_companies_of_the_switcher(self):
        other = self.env["res.company"].sudo().create({"name": "Otra", "country_id": self.env.ref("base.cl").id})
        dashboard = self.env(user=self.dte_user)["dte.dashboard"]
        names = [company["id"] for company in dashboard.get_overview()["companies"]]
        self.assertEqual(names, self.company.ids)
        self.dte_user.sudo().company_ids += other
        alone = dashboard.with_context(allowed_company_ids=other.ids)
        self.assertEqual(alone.get_overview()["companies"], [])

    def test_rights(self):
        invoicing = new_test_user(
            self.env(su=True), "factura", "account.group_account_invoice", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        with self.assertRaises(AccessError):
            self.env(user=invoicing)["dte.dashboard"].get_overview()

    def test_the_overview_is_the_first_entry_of_the_menu(self):
        root = self.env.ref("l10n_cl_dte.dte_menu_root")
        first = self.env["ir.ui.menu"].sudo().search([("parent_id", "=", root.id)], order="sequence, id", limit=1)
        self.assertEqual(first.action, self.env.ref("l10n_cl_dte.dte_dashboard_action").sudo())


@tagged("post_install_l10n", "post_install", "-at_install", "dte_browser")
class TestDashboardScreens(DashboardCommon, HttpCase):
    """The overview in a real browser: from the menu to the list behind a number and back."""

    def test_overview(self):
        self.fill()
        self.dte_user.sudo().password = self.dte_user.login
        self.run_job("dte.alert", "_cron_alerts")
        self.start_tour("/odoo/dte-documents", "dte_dashboard_tour", login=self.dte_user.login)
