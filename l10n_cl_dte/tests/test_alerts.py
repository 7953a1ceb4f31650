# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import copy
from datetime import date, datetime, timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import dte_alert, dte_alert_messages
from .common import DteCommon

LONG_AGO = fields.Datetime.to_datetime("2026-02-20 00:00:00")
TODAY = fields.Datetime.to_datetime("2026-03-02 00:00:00")
# Nothing is wrong in these.
CALM = {
    "retry": 0, "retry_success": None, "contingency": {"on": False, "drill": False, "since": None}, "pending": 0,
    "folios": [{"dte_type": "33", "free": 1000, "per_day": 1.0, "expires_on": None, "days_left": 1000}],
    "certificate_days": 300, "archive": {"damaged": 0, "check_damaged": 0}, "rejected_without_action": 0,
    "failed_without_action": 0, "no_answer": 0, "questions_refused": 0,
}  # fmt: skip


@tagged("post_install_l10n", "post_install", "-at_install")
class TestAlerts(DteCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The administrator manages every company; here only she does.
        cls.chief = new_test_user(
            cls.env(su=True), f"chief_{cls.company.id}", "l10n_cl_dte.group_dte_manager", name="Jefa", lang="en_US",
            tz="America/Santiago", company_id=cls.company.id, company_ids=[(6, 0, cls.company.ids)],
        )  # fmt: skip
        cls.company.sudo().dte_responsible_id = cls.chief
        cls.company.sudo().dte_alert_user_ids = cls.chief
        cls.alerts = cls.env["dte.alert"].sudo().with_user(cls.env.ref("base.user_root"))

    def figures(self, **changes):
        figures = copy.deepcopy(CALM)
        for name, value in changes.items():
            figures[name] = {**figures[name], **value} if isinstance(value, dict) else value
        return figures

    def job(self, hour=7, day=date(2026, 3, 2), **changes):
        """Run the job once at an hour in Chile, with these figures."""
        local = datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)
        figures = type(self.env["dte.figures"])
        company = type(self.company)
        now = self.env["dte.alert.digest"]._utc(local)
        with (
            patch.object(figures, "_figures", lambda _self, _company: self.figures(**changes)),
            patch.object(figures, "_companies", lambda _self: self.company.sudo()),
            patch.object(company, "_dte_now", lambda _self: local),
            patch.object(fields.Datetime, "now", lambda *_args: now),
            self.committing() as env,
        ):
            env(user=self.env.ref("base.user_root"))["dte.alert"]._cron_alerts()

    def open_ones(self):
        self.env.flush_all()
        return self.alerts.search([("company_id", "=", self.company.id), ("solved_at", "=", False)])

    def kinds(self):
        return sorted(self.open_ones().mapped("kind"))

    def mails(self, user=None):
        """Return the subjects of what was sent to a person, oldest first."""
        found = self.env["mail.message"].sudo().search(
            [("partner_ids", "in", (user or self.chief).partner_id.ids),
             ("message_type", "=", "user_notification")], order="id",
        )  # fmt: skip
        return found.mapped("subject")

    def activities(self):
        return self.env["mail.activity"].sudo().search([("res_model", "=", "dte.alert"),
                                                        ("user_id", "=", self.chief.id)])  # fmt: skip

    def test_each_kind_begins_and_ends(self):
        today = date(2026, 3, 2)
        wrong = {
            "queue": {"retry": 11},
            "retry_success": {"retry_success": 79.9},
            "contingency": {"contingency": {"on": True, "since": LONG_AGO}, "pending": 4},
            "folios": {"folios": [{"dte_type": "33", "free": 14, "per_day": 1.0, "expires_on": None}]},
            "caf": {"folios": [{"dte_type": "33", "free": 9, "per_day": 0.0, "expires_on": today + timedelta(29)}]},
            "certificate": {"certificate_days": 29},
            "archive": {"archive": {"check_damaged": 2}},
            "rejected": {"rejected_without_action": 1},
            "stuck": {"no_answer": 1},
            "questions": {"questions_refused": 1},
        }
        self.assertEqual(wrong.keys(), dict(dte_alert.KINDS).keys())
        for kind, figures in wrong.items():
            self.job(**figures)
            self.assertEqual(self.kinds(), [kind])
            alert = self.open_ones()
            self.assertTrue(alert.text and alert.step and "%" not in alert.text.replace(" %", ""), alert.text)
            self.assertEqual(alert.start_text, alert.text)
            self.job()
            self.assertEqual(self.kinds(), [])
            self.assertTrue(alert.solved_at)

    def test_the_limit_itself_is_normal(self):
        self.job(
            retry=10, retry_success=80.0, certificate_days=30,
            contingency={"on": True, "since": TODAY},
            folios=[{"dte_type": "33", "free": 15, "per_day": 1.0, "expires_on": date(2026, 4, 1)}],
        )  # fmt: skip
        self.assertEqual(self.kinds(), [])

    def test_folios_that_are_used_up(self):
        self.job(folios=[{"dte_type": "33", "free": 0, "per_day": 0.0, "expires_on": None}])
        self.assertEqual(self.kinds(), ["folios"])
        self.assertIn("(33): 0", self.open_ones().text)

    def test_a_drill_is_no_alert(self):
        self.job(contingency={"on": True, "drill": True, "since": LONG_AGO})
        self.assertEqual(self.kinds(), [])

    def test_an_expired_certificate_says_so(self):
        self.job(certificate_days=-1)
        self.assertIn("has expired", self.open_ones().text)

    def test_a_figure_at_its_limit_does_not_flap(self):
        for count in (11, 10, 11, 9, 12, 10):
            self.job(retry=count)
        self.assertEqual(self.mails(), [f"Long retry queue, {self.company.name}"])
        self.assertEqual(self.open_ones().figures["count"], 10)
        self.assertEqual(self.open_ones().start_figures["count"], 11)
        self.job(retry=8)
        self.assertEqual(self.kinds(), [])
        for percent in (79.0, 81.0, 79.5, 84.9):
            self.job(retry_success=percent)
        self.assertEqual(len(self.mails()), 2)
        self.job(retry_success=85.0)
        self.assertEqual(self.kinds(), [])
        for free in (14, 16, 14, 17):
            self.job(folios=[{"dte_type": "33", "free": free, "per_day": 1.0, "expires_on": None}])
        self.assertEqual(len(self.mails()), 3)
        self.job(folios=[{"dte_type": "33", "free": 18, "per_day": 1.0, "expires_on": None}])
        self.assertEqual(self.kinds(), [])

    def test_one_mail_when_it_begins_and_one_activity_until_it_is_solved(self):
        for count in (11, 15, 300):
            self.job(retry=count)
        self.assertEqual(len(self.mails()), 1)
        self.assertEqual(len(self.activities()), 1)
        self.assertIn("Documents in the retry queue: 11", self.activities().note)
        self.job()
        self.assertFalse(self.activities())
        self.job(retry=12)
        self.assertEqual((len(self.mails()), len(self.activities())), (2, 1))

    def test_many_rejected_documents_are_one_message(self):
        for count in (1, 40, 200):
            self.job(rejected_without_action=count)
        self.assertEqual(len(self.mails()), 1)
        # Each invoice has its own activity already.
        self.assertFalse(self.activities())

    def test_documents_for_a_person_make_activities_and_no_mail_each(self):
        moves = self.post() | self.post() | self.post()
        for move, state in zip(moves, ("rejected", "rejected", "failed"), strict=True):
            move.dte_document_id.sudo()._set_state(state)
        self.run_job()
        self.assertEqual(moves.sudo().activity_ids.mapped("user_id"), self.chief)
        self.assertEqual([len(move.sudo().activity_ids) for move in moves], [1, 1, 1])
        self.assertFalse(self.mails())
        self.run_job("dte.alert", "_cron_alerts")
        self.assertEqual(
            sorted(self.mails()),
            [f"Documents need attention, {self.company.name}", f"Documents rejected, {self.company.name}"],
        )

    def test_a_long_contingency(self):
        """Who is told, from how many hours on, and whether at all is set as for the other alerts."""
        self.company.sudo().dte_alert_contingency_hours = 6
        self.job(contingency={"on": True, "since": TODAY + timedelta(hours=5)})
        self.assertEqual(self.kinds(), [])
        other = new_test_user(
            self.env(su=True), f"other_{self.company.id}", "l10n_cl_dte.group_dte_manager", lang="en_US",
            company_id=self.company.id, company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        for _run in range(2):
            self.job(contingency={"on": True, "since": TODAY})
        self.assertEqual(self.mails(), [f"Long contingency, {self.company.name}"])
        self.assertFalse(self.mails(other), "somebody else was chosen")
        self.assertIn("for 6 hours or more", self.open_ones().text)
        self.open_ones().start_figures = {"count": 3}
        self.assertIn("for 24 hours or more", self.open_ones().start_text, "begun under version 0.4")
        self.assertFalse(self.activities(), "the managers have one since it began")
        self.company.sudo().dte_alert_contingency = False
        self.job(contingency={"on": True, "since": TODAY})
        self.assertEqual(self.kinds(), [])
        self.company.sudo().dte_alert_contingency_hours = 24
        self.company.sudo().dte_alert_contingency = True
        self.job(contingency={"on": True, "since": TODAY})
        self.assertEqual(self.kinds(), [])
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"), self.env.cr.savepoint():
            self.company.sudo().dte_alert_contingency_hours = 0
            self.env.flush_all()

    def test_a_mail_that_fails_is_written_by_the_next_run(self):
        alert = type(self.alerts)
        with (
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_alert"),
            patch.object(alert, "_call", side_effect=RuntimeError("database gone")),
        ):
            self.job(retry=11)
        self.assertEqual((self.kinds(), self.mails()), (["queue"], []))
        self.assertFalse(self.open_ones().told)
        self.job(retry=11)
        self.job(retry=11)
        self.assertEqual(len(self.mails()), 1)

    def test_one_open_alert_of_a_kind(self):
        self.job(retry=11)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"), self.env.cr.savepoint():
            self.alerts._begin(self.company.sudo(), "queue", {"count": 11, "limit": 10})
            self.env.flush_all()

    def test_what_is_switched_off_ends_and_tells_nothing(self):
        self.job(retry=11)
        self.company.sudo().dte_alert_queue = False
        self.job(retry=500)
        self.assertEqual((self.kinds(), len(self.mails())), ([], 1))
        self.assertFalse(self.activities())

    def test_thresholds_are_the_companys(self):
        self.company.sudo().write({"dte_alert_queue_over": 100, "dte_alert_certificate_days": 5})
        self.job(retry=100, certificate_days=5)
        self.assertEqual(self.kinds(), [])
        self.job(retry=101, certificate_days=4)
        self.assertEqual(self.kinds(), ["certificate", "queue"])

    def test_alerts_of_another_environment_end(self):
        self.job(retry=11)
        self.open_ones().environment = "certification"
        self.job(retry=11)
        self.assertEqual(self.open_ones().mapped("environment"), ["simulator"])

    def test_the_summary_goes_once_a_day_to_each(self):
        second = new_test_user(
            self.env(su=True), "segunda", "l10n_cl_dte.group_dte_user", company_id=self.company.id, lang="en_US",
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        self.company.sudo().dte_alert_user_ids = self.chief + second
        subject = f"Electronic documents of {self.company.name}: summary of the day"
        self.job(7, retry=11, certificate_days=3)
        self.assertNotIn(subject, self.mails())
        for hour in (8, 8.5, 23):
            self.job(hour, retry=11, certificate_days=3)
        self.assertEqual([self.mails(user).count(subject) for user in (self.chief, second)], [1, 1])
        self.job(8.25, date(2026, 3, 3), retry=11)
        self.assertEqual([self.mails(user).count(subject) for user in (self.chief, second)], [2, 2])
        body = self.env["mail.message"].sudo().search([("subject", "=", subject)], order="id desc", limit=1).body
        self.assertIn("Documents in the retry queue: 11", body)

    def test_no_summary_when_there_is_nothing_to_tell(self):
        self.job(9)
        self.job(9, date(2026, 3, 3))
        self.assertFalse(self.mails())

    def test_what_begins_after_the_hour_is_in_the_summary_of_the_next_day(self):
        self.job(15, retry=11)
        self.assertEqual(len(self.mails()), 1)
        self.job(8, date(2026, 3, 3), retry=11)
        self.assertEqual(len(self.mails()), 2)

    def test_the_summary_says_what_was_solved(self):
        self.job(15, retry=11)
        self.job(16)
        self.job(9, date(2026, 3, 3))
        message = self.env["mail.message"].sudo().search(
            [("partner_ids", "in", self.chief.partner_id.ids)], order="id desc", limit=1)  # fmt: skip
        self.assertIn("Solved since yesterday", message.body)
        self.job(9, date(2026, 3, 4))
        self.assertEqual(len(self.mails()), 2)

    def test_without_a_choice_the_managers_are_told(self):
        self.company.sudo().dte_alert_user_ids = False
        self.assertEqual(self.company._dte_alert_users(), self.company._dte_managers())
        self.assertIn(self.chief, self.company._dte_alert_users())
        self.company.sudo().dte_alert_user_ids = self.dte_user
        self.assertEqual(self.company._dte_alert_users(), self.dte_user)

    def test_one_company_stops_no_other(self):
        another = self.env["res.company"].sudo().create({"name": "Otra"})
        model, both = type(self.env["dte.figures"]), [self.company.id, another.id]
        issuing = patch.object(model, "_companies", lambda figures: figures.env["res.company"].browse(both))
        failing = patch.object(model, "_figures", side_effect=ValueError)
        with issuing, failing as asked, mute_logger("odoo.addons.l10n_cl_dte.models.dte_alert"):
            self.run_job("dte.alert", "_cron_alerts")
        self.assertEqual({call.args[0].id for call in asked.call_args_list}, set(both))

    def test_the_real_figures(self):
        self.post().dte_document_id.sudo()._set_state("rejected")
        self.run_job("dte.alert", "_cron_alerts")
        self.assertEqual(self.kinds(), ["rejected"])
        action = self.open_ones().with_user(self.dte_user).action_open()
        self.assertEqual(self.env[action["res_model"]].search_count(action["domain"]), 1)

    def test_every_kind_has_its_words(self):
        kinds = dict(dte_alert.KINDS).keys()
        self.assertEqual(kinds, dte_alert_messages.STEPS.keys())
        self.assertEqual(kinds, dte_alert_messages.FACTS.keys() - {"certificate_expired"})
        for kind in kinds:
            self.assertIn(f"dte_alert_{kind}", self.company._fields)
            self.assertTrue(hasattr(self.alerts, f"_wrong_{kind}"))

    def test_rights(self):
        self.job(retry=11)
        alert = self.open_ones().with_user(self.dte_user)
        self.assertTrue(alert.text)
        with self.assertRaises(AccessError):
            alert.write({"told": False})
        with self.assertRaises(AccessError):
            alert.unlink()
        with self.assertRaises(AccessError):
            self.env["dte.alert.digest"].search([])
        other = self.env["res.company"].sudo().create({"name": "Otra"})
        stranger = new_test_user(
            self.env(su=True), "ajena", "l10n_cl_dte.group_dte_user", company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        self.assertFalse(alert.with_user(stranger).with_context(allowed_company_ids=other.ids).search([]))

    def test_settings(self):
        settings = self.admin_env["res.config.settings"]
        settings.create({"dte_alert_queue_over": 25, "dte_alert_rejected": False}).execute()
        self.assertEqual((self.company.dte_alert_queue_over, self.company.dte_alert_rejected), (25, False))
