# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import date, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestFigures(DteCommon):
    def figures(self):
        return self.env["dte.figures"]._figures(self.company)

    def sum_up(self):
        self.env["dte.daily"].sudo()._sum_up(self.company)

    def in_state(self, state, **values):
        document = self.post().dte_document_id.sudo()
        document._set_state(state, **values)
        return document

    def test_a_company_that_has_issued_nothing(self):
        figures = self.figures()
        self.assertEqual([figures[name] for name in ("to_send", "queued", "retry", "waiting", "pending")], [0] * 5)
        self.assertEqual((figures["breaker"], figures["contingency"]["on"]), ("closed", False))
        self.assertIsNone(figures["waiting_since"])
        self.assertIsNone(figures["sii"]["last_answer_age"])
        self.assertEqual({row["dte_type"]: row["free"] for row in figures["folios"]}, dict.fromkeys(
            ("33", "34", "56", "61"), 100))  # fmt: skip

    def test_each_state_is_counted_where_it_belongs(self):
        self.post()
        self.post().dte_document_id.sudo().queued_at = fields.Datetime.now()
        for state in ("sent", "unknown", "no_answer", "failed", "rejected", "contingency", "accepted", "objected"):
            self.in_state(state)
        self.in_state("rejected", superseded=True)
        figures = self.figures()
        names = (
            "to_send", "queued", "waiting", "unknown", "no_answer", "failed_without_action",
            "rejected_without_action", "pending",
        )  # fmt: skip
        self.assertEqual({name: figures[name] for name in names}, dict.fromkeys(names, 1))
        self.assertTrue(figures["queued_since"] and figures["waiting_since"] and figures["to_send_since"])

    def test_what_really_was_sent(self):
        self.send(self.post())
        figures = self.figures()
        envio = self.env["dte.envio"].search([("company_id", "=", self.company.id)])
        self.assertEqual((figures["waiting"], figures["waiting_since"]), (1, envio.first_attempted_at))
        self.assertEqual(figures["sii"]["availability"], 100.0)
        self.assertLess(figures["sii"]["last_answer_age"], 60)
        self.assertGreaterEqual(figures["sii"]["calls"], 2)

    def test_retries_and_their_success(self):
        self.fault("http_status", service="upload", status=503, count=9)
        move = self.post()
        self.send(move)
        self.assertEqual(self.figures()["retry"], 1)
        self.assertIsNone(self.figures()["retry_success"])
        self.env["dte.failed.queue"].sudo().search([("company_id", "=", self.company.id)]).write(
            {"state": "success", "success_date": fields.Datetime.now()}
        )
        self.sum_up()
        self.assertEqual((self.figures()["retry"], self.figures()["retry_success"]), (0, 100.0))

    def test_what_is_given_up_late_is_counted_on_that_day(self):
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        row = self.env["dte.failed.queue"].sudo().search([("move_id", "=", move.id)])
        row.write({"failed_date": "2026-01-05 12:00:00", "last_retry_date": "2026-01-06 12:00:00"})
        self.sum_up()
        self.assertIsNone(self.figures()["retry_success"])
        row.with_env(self.admin_env).action_abandon()
        self.assertEqual(row.state, "abandoned")
        self.sum_up()
        self.assertEqual(self.figures()["retry_success"], 0.0)
        ended = self.env["dte.dashboard"]._ended_retries(self.company)
        self.assertEqual(row.search(ended), row)
        # A row of the time before this was written down.
        row.write({"abandoned_date": False, "last_retry_date": fields.Datetime.now()})
        self.assertEqual(row.search(ended), row)

    def test_burn_rate_and_days(self):
        moves = [self.post() for _number in range(4)]
        folios = self.folios("33")
        self.assertEqual(
            folios["days_left"],
            (folios["expires_on"] - self.company._dte_now().date()).days + 1,
            "without a day summed up only the expiry counts",
        )
        moves[0].dte_document_id.sudo().signed_at = fields.Datetime.now() - timedelta(days=2)
        self.sum_up()
        self.assertEqual(
            self.folios("33") | {"expires_on": None, "days_left": None},
            {"dte_type": "33", "free": 96, "per_day": 2.0, "expires_on": None, "days_left": None},
        )
        self.assertEqual(self.folios("33")["days_left"], 48)

    def folios(self, dte_type):
        return next(row for row in self.figures()["folios"] if row["dte_type"] == dte_type)

    def test_days_left(self):
        days_left = self.env["dte.figures"]._days_left
        today = date(2026, 7, 1)
        for stock, per_day, expected in (
            ([], 1.0, 0),
            ([(100, None)], 0.0, None),
            ([(100, None)], 10.0, 10),
            ([(100, date(2026, 7, 4))], 10.0, 4),
            ([(100, date(2026, 7, 4))], 0.0, 4),
            # What is left of the first range expires; the second one begins then.
            ([(100, date(2026, 7, 4)), (50, date(2026, 12, 1))], 10.0, 9),
            ([(10, date(2026, 7, 4)), (50, date(2026, 7, 3))], 10.0, 3),
        ):
            self.assertEqual(days_left(stock, per_day, today), expected, stock)

    def test_days_are_summed_up_and_corrected_later(self):
        self.send(self.post())
        self.sum_up()
        today = self.env["dte.daily"]._window(self.company, 1)
        self.assertEqual((today.issued, today.issued_by_type, today.accepted), (1, {"33": 1}, 0))
        self.assertEqual((today.sii_calls, today.sii_availability), (today.sii_answered, 100.0))
        self.ask(self.env["account.move"].search([("company_id", "=", self.company.id)]))
        self.sum_up()
        self.assertEqual((today.issued, today.accepted), (1, 1))
        self.assertEqual(self.figures()["archive"]["documents"], 1)
        backup = self.env["dte.backup"].search([("company_id", "=", self.company.id)])
        self.assertEqual(self.figures()["archive"]["bytes"], backup.xml_size)
        self.assertEqual(len(self.env["dte.daily"].search([("company_id", "=", self.company.id)])), 1)

    def test_the_job(self):
        self.post()
        self.run_job("dte.daily", "_cron_sum_up")
        self.assertEqual(self.env["dte.daily"]._window(self.company, 1).issued, 1)

    def test_one_company_stops_no_other(self):
        self.post()
        broken = self.env["res.company"].sudo().create({"name": "Otra"})
        days = type(self.env["dte.daily"])
        measure = days._measure

        def fail_for_one(model, company):
            measure(model, company)
            if company == broken:
                model.env.cr.execute("SELECT 1 / 0")

        companies = broken | self.company.sudo()
        with (
            patch.object(type(self.env["dte.figures"]), "_companies", lambda model: companies.with_env(model.env)),
            patch.object(days, "_measure", fail_for_one),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_daily", "odoo.sql_db"),
        ):
            self.run_job("dte.daily", "_cron_sum_up")
        self.assertEqual(self.env["dte.daily"]._window(self.company, 1).issued, 1)
        self.assertFalse(self.env["dte.daily"].sudo().search([("company_id", "=", broken.id)]))

    def test_archive(self):
        backup = self.post().dte_document_id.sudo().backup_id
        self.assertEqual((self.figures()["archive"]["damaged"], self.figures()["archive"]["checked_at"]), (0, None))
        backup.check_state = "damaged"
        self.assertEqual(self.figures()["archive"]["damaged"], 1)

    def test_only_managers_sum_up(self):
        with self.assertRaises(AccessError):
            self.env["dte.daily"].action_update()
        self.post()
        self.admin_env["dte.daily"].action_update()
        self.assertTrue(self.env["dte.daily"].search([("company_id", "=", self.company.id)]))

    def test_counts_use_the_partial_indexes(self):
        self.post()
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        self.env.cr.execute(
            SQL(
                "EXPLAIN SELECT state, COUNT(*) FROM dte_document WHERE company_id = 1 AND environment = 'simulator'"
                " AND state NOT IN ('accepted', 'objected', 'imported') AND superseded IS NOT TRUE GROUP BY state"
            )
        )
        plan = "\n".join(row[0] for row in self.env.cr.fetchall())
        self.assertIn("open_live", plan)
