# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..libs.sii_soap_client import SiiClient
from .common import DteCommon


class ContingencyCommon(DteCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = new_test_user(
            cls.admin_env,
            f"dte_manager_{cls.company.id}",
            groups="l10n_cl_dte.group_dte_manager",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
            email="jefa@example.com",
            lang="en_US",
        )
        cls.company.sudo().write({"dte_drain_seconds": 0, "dte_grace_minutes": 1})

    def contingency(self):
        return self.env["dte.contingency"].sudo().search([("company_id", "=", self.company.id)])

    def as_manager(self, method, *args, user=None):
        """Call a method of the API; what it commits stays in the test's transaction."""
        with self.committing() as env:
            api = env(user=user or self.manager)["dte.contingency"]
            return getattr(api, method)(*args)

    def status(self):
        return self.env["dte.contingency"].get_status(self.company.id)

    def enable(self, reason="manual", comment=None):
        return self.as_manager("enable_contingency", reason, comment)

    def run_contingency(self):
        self.run_job("dte.contingency", "_cron_contingency")

    def queue(self, move):
        """Note that somebody asked to send it, as Send DTE does before anything else."""
        move.dte_document_id.sudo().queued_at = fields.Datetime.now()
        return move

    def held(self, *moves):
        """Return the rows of the record of these invoices."""
        documents = self.env["account.move"].union(*moves).dte_document_id
        return self.env["dte.contingency.pending"].search([("document_id", "in", documents.ids)])


@tagged("post_install_l10n", "post_install", "-at_install")
class TestContingency(ContingencyCommon):
    """A person switches it."""

    def test_the_status_makes_no_row(self):
        reader = new_test_user(
            self.admin_env, f"reader_{self.company.id}", groups="l10n_cl_dte.group_dte_user",
            company_id=self.company.id, company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        status = self.env(user=reader)["dte.contingency"].get_status(self.company.id)
        self.assertFalse(status["enabled"])
        self.assertEqual((status["waiting"], status["breaker"], status["banner"]), (0, "closed", ""))
        self.assertIn("as usual", status["message"])
        self.assertFalse(self.contingency())

    def test_enable_and_two_invoices(self):
        """Both are signed, archived and kept; nothing goes to the SII and nobody waits for it."""
        status = self.enable("maintenance", "SII: mantención programada")
        self.assertTrue(status["enabled"])
        self.assertIn("mantención programada", status["message"])
        first, second = self.post(), self.post()
        self.fault("http_status", status=503, count=99)
        with patch.object(SiiClient, "authenticate") as login:
            notice = self.send(first | second)
        login.assert_not_called()
        self.assertIn("In contingency: 2", notice["message"])
        self.assertEqual((first.dte_status, second.dte_status), ("contingency", "contingency"))
        self.assertTrue(first.is_contingency)
        self.assertTrue(first._dte_xml())
        self.assertIn("It leaves when a person uploads", first.dte_message)
        self.assertEqual(self.held(first, second).mapped("state"), ["held", "held"])
        self.assertFalse(self.uploads())
        self.assertEqual(self.status()["waiting"], 2)

    def test_upload_then_disable(self):
        self.enable()
        moves = self.post() | self.post()
        self.send(moves)
        result = self.as_manager("upload_pending_batch")
        self.assertEqual((result["uploaded"], result["failed"], result["remaining"]), (2, 0, 0))
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.run_contingency()
        self.assertTrue(self.contingency().enabled, "what a person switched on, a person switches off")
        status = self.as_manager("disable_contingency")
        self.assertFalse(status["enabled"])
        rows = self.held(*moves)
        self.assertEqual(set(rows.mapped("state")), {"uploaded"})
        self.assertTrue(all(rows.mapped("uploaded")))
        self.assertEqual(set(rows.mapped("track_id")), set(moves.mapped("dte_track_id")))

    def test_disable_then_upload(self):
        self.enable()
        moves = self.post() | self.post()
        self.send(moves)
        status = self.as_manager("disable_contingency")
        self.assertEqual(status["waiting"], 2)
        self.assertIn("Documents waiting: 2", status["message"])
        self.assertIn("leaves by itself within minutes", moves[0].dte_message)
        result = self.as_manager("upload_pending_batch", 1)
        self.assertEqual((result["uploaded"], result["remaining"]), (1, 1))
        self.run_contingency()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(len(self.uploads()), 2)

    def test_what_was_asked_before_is_held_too(self):
        """Documents that the jobs would send, and those that failed; not what nobody asked to send."""
        queued, idle, failed = self.queue(self.post()), self.post(), self.post()
        self.fault("upload_status", status=9, count=1)
        self.send(failed)
        self.assertEqual(failed.dte_status, "retry")
        self.enable()
        self.run_job()
        self.assertEqual(
            [queued.dte_status, idle.dte_status, failed.dte_status], ["contingency", "to_send", "contingency"]
        )
        row = self.env["dte.failed.queue"].search([("document_id", "=", failed.dte_document_id.id)])
        self.assertEqual((row.state, row.next_retry_date), ("pending", False))
        self.run_job()
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.assertEqual(len(self.uploads()), 1, "only what was sent before")

    def test_the_claim_decides(self):
        """A sender that logged in before the contingency began claims nothing after."""
        move = self.queue(self.post())
        envios = self.env["dte.envio"].sudo()
        credentials = self.company.sudo()._dte_load_credentials()
        self.enable()
        self.assertFalse(envios._claim_fresh(self.company, credentials))
        self.assertFalse(envios._claim_retry(self.company, credentials))
        self.assertFalse(envios._claim_half_of(self.company, credentials))
        self.assertEqual(move.dte_status, "to_send")

    def test_halves_wait_too(self):
        """Parts of an envelope that was refused before the contingency began."""
        moves = self.post() | self.post()
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(moves)
        self.enable()
        with patch.object(SiiClient, "authenticate") as login:
            self.run_job()
            self.send(moves)
        login.assert_not_called()
        self.assertEqual(len(self.uploads()), 1)
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertIn("uploads what waits or ends the contingency", moves[0].dte_message)
        credentials = self.company.sudo()._dte_load_credentials()
        self.assertFalse(self.env["dte.envio"].sudo()._claim_half_of(self.company, credentials))

    def test_manual_is_not_drained_by_the_job(self):
        self.enable()
        move = self.post()
        self.send(move)
        self.run_contingency()
        self.run_job()
        self.assertEqual(move.dte_status, "contingency")

    def test_a_failed_upload_keeps_them(self):
        self.enable()
        move = self.post()
        self.send(move)
        self.fault("upload_status", status=9, count=1)
        result = self.as_manager("upload_pending_batch")
        self.assertEqual((result["uploaded"], result["failed"], result["remaining"]), (0, 1, 1))
        self.assertIn("did not take the file", result["message"])
        self.assertEqual(move.dte_status, "contingency")
        [row] = self.held(move)
        self.assertEqual(row.state, "held")
        self.assertIn("did not take the file", row.upload_error)
        self.assertEqual(self.as_manager("upload_pending_batch")["uploaded"], 1)

    def test_sent_by_hand_after_the_end(self):
        self.enable()
        move = self.post()
        self.send(move)
        self.as_manager("disable_contingency")
        self.send(move)
        self.assertEqual(move.dte_status, "sent")
        self.assertEqual(self.held(move).state, "uploaded")

    def test_given_up_and_corrected(self):
        self.enable()
        given_up, corrected = self.post(), self.post()
        self.send(given_up | corrected)
        given_up.dte_document_id.sudo()._give_up()
        given_up.dte_document_id.sudo()._tell()
        self.assertEqual((given_up.dte_status, self.held(given_up).state), ("failed", "failed"))
        with self.committing() as env:
            corrected.with_env(env).action_dte_correct()
        self.assertEqual(corrected.state, "draft")
        self.assertEqual(self.held(corrected).state, "corrected")
        self.assertEqual(self.status()["waiting"], 0)

    def test_refused_envelope_in_contingency(self):
        """Halves are uploaded by the person too, so that none is left behind."""
        self.enable()
        moves = self.post() | self.post()
        self.send(moves)
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        result = self.as_manager("upload_pending_batch")
        self.assertEqual((result["failed"], result["remaining"]), (2, 2))
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertEqual(set(self.held(*moves).mapped("state")), {"released"})
        self.run_job()
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertEqual(self.as_manager("upload_pending_batch")["remaining"], 1)
        self.assertEqual(self.as_manager("upload_pending_batch")["remaining"], 0)
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(set(self.held(*moves).mapped("state")), {"uploaded"})

    def test_twice(self):
        self.enable()
        with self.assertRaisesRegex(UserError, "already"):
            self.enable()
        self.as_manager("disable_contingency")
        with self.assertRaisesRegex(UserError, "not in contingency"):
            self.as_manager("disable_contingency")
        self.assertEqual(len(self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])), 1)

    def test_again_in_another_episode(self):
        """A document held twice stands in both records, and in both as sent."""
        self.enable()
        move = self.post()
        self.send(move)
        self.as_manager("disable_contingency")
        self.fault("upload_status", status=9, count=1)
        self.send(move)
        self.assertEqual((move.dte_status, self.held(move).state), ("retry", "released"))
        self.enable()
        self.run_job()
        self.assertEqual(sorted(self.held(move).mapped("state")), ["held", "held"])
        self.as_manager("upload_pending_batch")
        self.assertEqual(set(self.held(move).mapped("state")), {"uploaded"})
        self.assertEqual(len(self.held(move)), 2)

    def test_only_managers_switch(self):
        for call in (
            ("enable_contingency", "manual"),
            ("disable_contingency",),
            ("upload_pending_batch",),
            ("start_drill",),
        ):
            with self.assertRaises(AccessError):
                self.as_manager(*call, user=self.dte_user)
        self.assertFalse(self.contingency())

    def test_nobody_writes_by_hand(self):
        self.enable()
        self.send(self.post())
        api = self.env(user=self.manager)
        for name in ("dte.contingency", "dte.contingency.episode", "dte.contingency.event", "dte.contingency.pending"):
            row = api[name].search([("company_id", "=", self.company.id)], limit=1)
            self.assertTrue(row)
            with self.assertRaises(UserError):
                row.write({"company_id": self.company.id})
            with self.assertRaises(AccessError):
                row.unlink()
            with self.assertRaises(UserError):
                row.sudo().unlink()
        with self.assertRaises(UserError):
            api["dte.contingency.event"].sudo().search([], limit=1).write({"kind": "closed"})

    def test_other_company(self):
        """One company in contingency does not touch the other, and its record is not seen from there."""
        self.enable()
        other = self.env["res.company"].sudo().create({"name": "Otra Empresa SpA"})
        stranger = new_test_user(
            self.admin_env, f"stranger_{other.id}", groups="l10n_cl_dte.group_dte_manager",
            company_id=other.id, company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        env = self.env(user=stranger, context={"allowed_company_ids": other.ids})
        self.assertFalse(env["dte.contingency"].get_status(other.id)["enabled"])
        with self.assertRaises(AccessError):
            env["dte.contingency"].get_status(self.company.id)
        for name in ("dte.contingency", "dte.contingency.episode", "dte.contingency.event", "dte.contingency.pending"):
            self.assertFalse(env[name].search([("company_id", "=", self.company.id)]))
        self.assertFalse(self.env["dte.contingency"].sudo()._is_on(other))

    def test_the_environment_counts(self):
        """The contingency of one environment holds nothing back in another."""
        self.enable()
        self.company.sudo().write(
            {"dte_environment": "certification", "dte_certification_resolution_date": "2026-01-02"}
        )
        self.assertFalse(self.status()["enabled"])
        self.company.sudo().dte_environment = "simulator"
        self.assertTrue(self.status()["enabled"])

    def test_late_documents_come_first(self):
        today = self.company._dte_now().date()
        self.enable()
        young, old = self.post(), self.post()
        # Its folios were not authorised that long ago.
        old.dte_document_id.sudo().issue_date = today - timedelta(days=4)
        self.send(young)
        self.send(old)
        status = self.status()
        self.assertGreaterEqual(status["urgent"], 1)
        self.assertEqual(status["oldest"], today - timedelta(days=4))
        self.assertIn("more than 3 days", status["message"])
        self.assertTrue(self.held(old).urgent)
        self.assertIn(self.held(old), self.env["dte.contingency.pending"].search([("urgent", "=", True)]))
        self.as_manager("upload_pending_batch", 1)
        self.assertEqual((old.dte_status, young.dte_status), ("sent", "contingency"))

    def test_the_month_ends(self):
        before = self.env["dte.contingency.pending"]._urgent_before
        for now, limit in (
            ("2026-05-20 12:00", "2026-05-17"),
            ("2026-05-02 12:00", "2026-05-01"),
            ("2026-05-29 23:59", "2026-05-26"),
            ("2026-05-30 00:01", "2026-06-01"),
            ("2026-12-31 10:00", "2027-01-01"),
        ):
            moment = fields.Datetime.to_datetime(now + ":00")
            with patch.object(type(self.company), "_dte_now", lambda _company, moment=moment: moment):
                self.assertEqual(str(before(self.company)), limit, now)

    def test_people_are_told(self):
        self.enable("network", "corte de fibra")
        self.send(self.post())
        self.run_contingency()
        [episode] = self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])
        self.assertEqual(episode.sudo().activity_ids.user_id, self.company.sudo()._dte_managers())
        self.assertIn(self.manager, self.company.sudo()._dte_managers())

        def mails():
            found = (
                self.env["mail.message"]
                .sudo()
                .search(
                    [
                        ("model", "=", episode._name),
                        ("res_id", "=", episode.id),
                        ("partner_ids", "in", self.manager.partner_id.id),
                    ]
                )
            )
            self.assertEqual(set(found.notification_ids.mapped("notification_type")), {"email"})
            return found.sorted("id").mapped("subject")

        self.assertEqual(mails(), [f"{self.company.name} issues documents in contingency"])
        self.run_contingency()
        self.assertEqual(len(mails()), 1, "once")
        episode.sudo().started_at -= timedelta(hours=25)
        self.run_contingency()
        self.assertEqual(len(mails()), 1, "its length is told by an alert")
        self.as_manager("upload_pending_batch")
        self.as_manager("disable_contingency")
        self.run_contingency()
        self.assertEqual(mails()[1:], [f"The contingency of {self.company.name} has ended"])
        last = self.env["mail.message"].sudo().search([("subject", "=", mails()[1])], limit=1)
        self.assertIn("Documents held: 1. Sent: 1. Waiting: 0. With problems: 0.", last.body)
        self.assertFalse(episode.sudo().activity_ids)

    def test_the_record(self):
        self.enable("other", "prueba")
        moves = self.post() | self.post()
        self.send(moves)
        self.as_manager("upload_pending_batch", 1)
        self.as_manager("disable_contingency")
        [episode] = self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])
        self.assertEqual(
            [episode.held_count, episode.uploaded_count, episode.waiting_count, episode.failed_count], [2, 1, 1, 0]
        )
        self.assertEqual((episode.opened_by, episode.closed_by), (self.manager, self.manager))
        self.assertEqual(episode.event_ids.mapped("kind"), ["enabled", "disabled"])
        self.assertFalse(episode.automatic or episode.drill)
        self.run_contingency()
        episode.invalidate_recordset()
        self.assertEqual((episode.uploaded_count, episode.waiting_count), (2, 0))
