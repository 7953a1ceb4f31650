# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..libs.exceptions import NotDelivered
from ..libs.sii_soap_client import SiiClient
from .test_contingency import ContingencyCommon

BREAKER_LOG = "odoo.addons.l10n_cl_dte.models.dte_contingency_breaker"


class BreakerCommon(ContingencyCommon):
    def setUp(self):
        super().setUp()
        # The quick tries inside a call need no real seconds here.
        self.startPatcher(patch.object(SiiClient, "_pause", return_value=True))
        self.enterContext(mute_logger(BREAKER_LOG))

    def down(self, count=999):
        self.fault("http_status", status=503, count=count)

    def up(self):
        self.simulator.call("DELETE", "faults")

    def call(self, *outcomes, service="upload", environment="simulator"):
        """Log calls with these outcomes, as the code that makes them does."""
        with self.committing() as env:
            for outcome in outcomes:
                env["dte.sii.call"]._insert(self.company.id, environment, service, outcome, 10)

    def breaker(self):
        self.env.invalidate_all()
        return self.contingency().breaker or "closed"

    def probe(self, times=1):
        """Let the time of the next probe come and run the job."""
        for _time in range(times):
            self.env.flush_all()
            self.env.cr.execute(SQL("UPDATE dte_contingency SET probe_at = now() AT TIME ZONE 'UTC' - interval '1 s'"))
            self.env.invalidate_all()
            self.run_contingency()


@tagged("post_install_l10n", "post_install", "-at_install")
class TestBreaker(BreakerCommon):
    """What opens it, and what does not."""

    def test_three_failures_in_a_row(self):
        self.call("timeout", "connection")
        self.assertFalse(self.contingency())
        self.call("unavailable")
        self.assertEqual(self.breaker(), "open")
        contingency = self.contingency()
        self.assertTrue(contingency.enabled and contingency.automatic)
        self.assertFalse(contingency.enabled_by)
        self.assertEqual(contingency.reason, "sii_unavailable")
        self.assertIn("3 calls in a row failed, the last one: Upload, Unavailable", contingency.episode_id.trigger)
        self.assertIn("by itself", self.status()["message"])

    def test_answers_in_between(self):
        self.call("timeout", "timeout", "ok", "timeout", "timeout")
        self.assertEqual(self.breaker(), "closed")

    def test_what_never_opens_it(self):
        """The SII answers, whatever it says: rejected documents, a bad certificate, codes that nobody knows."""
        self.call(*["validation"] * 5, *["certificate"] * 5, *["unknown"] * 5)
        self.assertEqual(self.breaker(), "closed")

    def test_rejected_documents_for_real(self):
        self.fault("upload_status", status=7, detail="LSX-00213", count=9)
        for _number in range(4):
            self.send(self.post())
        self.fault("upload_status", status=1, count=9)
        for _number in range(4):
            self.send(self.post())
        self.assertEqual(self.breaker(), "closed")
        self.assertFalse(self.contingency())

    def test_a_full_queue_never_opens_it(self):
        moves = [self.post() for _number in range(5)]
        for move in moves:
            move.dte_document_id.sudo()._set_state("failed", "sii_unreachable", error_type="connection")
        self.run_job()
        self.assertEqual(self.breaker(), "closed")

    def test_uploads_alone(self):
        """The SII's form may be down while its questions are answered."""
        for _time in range(3):
            self.call("timeout")
            self.call("ok", service="envelope_status")
        self.assertEqual(self.breaker(), "open")

    def test_old_failures(self):
        self.call("timeout", "timeout")
        self.env.cr.execute(SQL("UPDATE dte_sii_call SET called_at = called_at - interval '61 minutes'"))
        self.call("timeout")
        self.assertEqual(self.breaker(), "closed")

    def test_settings(self):
        self.company.sudo().dte_breaker_failures = 5
        self.call(*["timeout"] * 4)
        self.assertEqual(self.breaker(), "closed")
        self.call("timeout")
        self.assertEqual(self.breaker(), "open")

    def test_never_by_itself(self):
        self.company.sudo().dte_breaker_failures = 0
        self.call(*["timeout"] * 9)
        self.assertFalse(self.contingency())

    def test_other_environment(self):
        self.call("timeout", "timeout", "timeout", environment="certification")
        self.assertEqual(self.contingency().mapped("environment"), ["certification"])
        self.assertFalse(self.status()["enabled"])

    def test_no_address_is_no_outage(self):
        """Nobody was called, so nothing failed."""
        self.company.sudo().dte_simulator_url = False
        for _number in range(4):
            with self.assertRaisesRegex(UserError, "simulator"):
                self.send(self.post())
        self.assertFalse(self.contingency())

    def test_a_person_insists(self):
        """Who ends the contingency while the SII is away is obeyed; only new failures open it again."""
        self.call("timeout", "timeout", "timeout")
        self.as_manager("disable_contingency")
        self.assertEqual(self.breaker(), "closed")
        self.env.cr.execute(SQL("UPDATE dte_sii_call SET called_at = called_at - interval '2 seconds'"))
        self.call("timeout", "timeout")
        self.assertFalse(self.contingency().enabled)
        self.call("timeout")
        self.assertTrue(self.contingency().enabled)
        self.assertEqual(len(self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])), 2)

    def test_taken_over_by_a_person(self):
        self.call("timeout", "timeout", "timeout")
        status = self.enable("maintenance", "aviso del SII")
        self.assertFalse(status["automatic"])
        self.assertIn("set by", status["message"])
        self.probe(3)
        self.assertEqual(self.breaker(), "closed")
        self.assertTrue(self.contingency().enabled)
        self.assertEqual(
            self.contingency().episode_id.event_ids.mapped("kind"),
            ["enabled", "taken_over", "breaker_half_open", "breaker_closed"],
        )

    def test_the_person_whose_call_opens_it(self):
        """No error: the document is kept and leaves later."""
        self.call("timeout", "timeout")
        move = self.post()

        def authenticate(_client):
            # The row of a failed login does not outlive the login's transaction here, as it does with real cursors.
            self.env["dte.sii.call"]._insert(self.company.id, "simulator", "login", "timeout", 10)
            raise NotDelivered("sii_unreachable", error_type="timeout")

        with patch.object(SiiClient, "authenticate", authenticate):
            notice = self.send(move)
        self.assertEqual(move.dte_status, "contingency")
        self.assertIn("Kept in contingency", notice["message"])
        self.assertIn("leaves by itself when the SII answers again", notice["message"])

    def test_an_upload_that_opens_it(self):
        """The failed documents are kept too, without waiting for their next attempt."""
        self.send(self.post())
        self.call("timeout", "timeout")
        move = self.post()
        self.fault("upload_status", status=9, count=1)
        self.send(move)
        self.assertEqual(move.dte_status, "contingency")
        self.assertIn("did not take the file", move.dte_message)

    def test_nobody_calls_a_silent_sii(self):
        """While it is away only probes are made: no polls, no questions, no logins, no uploads."""
        sent, unknown = self.post(), self.post()
        self.send(sent)
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        self.send(unknown)
        self.assertEqual((sent.dte_status, unknown.dte_status), ("sent", "unknown"))
        self.call("timeout", "timeout", "timeout")
        self.wait(hours=1)
        self.company.sudo().dte_envio_size = 1
        move = self.post()
        with (
            patch.object(SiiClient, "_ask") as ask,
            patch.object(SiiClient, "_post_once") as upload,
            patch.object(SiiClient, "authenticate") as login,
        ):
            self.send(move | unknown)
            self.run_job()
            self.run_job(method="_cron_check_status")
            self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
            self.run_contingency()
        for call in (ask, upload, login):
            call.assert_not_called()
        self.assertEqual((move.dte_status, unknown.dte_status), ("contingency", "unknown"))
        self.down()
        self.probe()
        last = self.env["dte.sii.call"].sudo().search([("company_id", "=", self.company.id)], limit=1)
        self.assertEqual((last.service, last.outcome), ("probe", "unavailable"))

    def test_asking_changes_nothing(self):
        answer = self.as_manager("ask_sii", user=self.dte_user)
        self.assertTrue(answer["answers"])
        self.assertEqual(answer["message"], "The SII answers.")
        self.down()
        for _time in range(4):
            answer = self.as_manager("ask_sii", user=self.dte_user)
        self.assertFalse(answer["answers"])
        self.assertTrue(answer["message"])
        self.assertFalse(self.contingency())


@tagged("post_install_l10n", "post_install", "-at_install")
class TestDrain(BreakerCommon):
    """The way back."""

    def outage(self, count=1):
        """Open the contingency and return invoices that it keeps."""
        self.call("timeout", "timeout", "timeout")
        moves = self.env["account.move"].union(*(self.post() for _number in range(count)))
        self.send(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"contingency"})
        return moves

    def test_it_comes_back(self):
        """Two good probes, one document, then the rest in order; then it closes itself."""
        self.company.sudo().dte_envio_size = 2
        moves = self.outage(5)
        self.probe()
        self.assertEqual((self.breaker(), self.contingency().good_probes), ("open", 1))
        self.assertFalse(self.uploads())
        self.probe()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        sizes = [len(upload["documents"]) for upload in self.uploads()]
        self.assertEqual(sizes, [1, 2, 2])
        contingency = self.contingency()
        self.assertFalse(contingency.enabled)
        self.assertFalse(contingency.disabled_by)
        episode = contingency.episode_id
        self.assertEqual((episode.held_count, episode.uploaded_count), (5, 5))
        self.assertEqual(
            episode.event_ids.mapped("kind"),
            ["enabled", "breaker_half_open", "breaker_closed", "closed"],
        )
        self.assertTrue(episode.ended_at)

    def test_a_bad_probe_counts_from_the_start(self):
        self.outage()
        self.probe()
        self.down()
        self.probe()
        self.assertEqual((self.breaker(), self.contingency().good_probes), ("open", 0))
        self.up()
        self.probe()
        self.assertEqual((self.breaker(), self.contingency().good_probes), ("open", 1))

    def test_it_fails_at_the_trial(self):
        moves = self.outage(3)
        self.fault("upload_status", status=9, count=1)
        self.probe(2)
        self.assertEqual(self.breaker(), "open")
        self.assertEqual(set(moves.mapped("dte_status")), {"contingency"})
        self.assertEqual(sorted(moves.dte_document_id.mapped("failures")), [0, 0, 1])
        [failed] = moves.filtered(lambda move: move.dte_document_id.failures)
        self.probe(2)
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        tried = self.env["dte.envio"].search([("document_count", "=", 1), ("state", "=", "sent")])
        self.assertNotEqual(tried.document_ids.move_id, failed, "the one that failed is not tried first")

    def test_it_fails_during_the_drain(self):
        self.company.sudo().dte_envio_size = 1
        moves = self.outage(6)
        self.fault("upload_status", status=9, count=1, after=2)
        self.probe(2)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["contingency"] * 3 + ["retry"] + ["sent"] * 2)
        self.assertTrue(self.contingency().enabled)
        self.assertEqual(self.contingency().episode_id.waiting_count, 3)
        self.run_job()
        self.run_contingency()
        self.assertEqual(sorted(moves.mapped("dte_status")), ["retry"] + ["sent"] * 5)
        self.assertFalse(self.contingency().enabled, "one bad document stops nobody")
        self.wait(hours=1)
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(self.contingency().episode_id.uploaded_count, 6)

    def test_down_again_during_the_drain(self):
        """It opens again in the same episode, and what had failed is kept too."""
        self.company.sudo().dte_envio_size = 1
        moves = self.outage(6)
        self.fault("upload_status", status=9, count=3, after=2)
        self.probe(2)
        self.run_contingency()
        self.run_contingency()
        self.assertEqual(self.breaker(), "open")
        self.run_job()
        self.assertEqual(sorted(moves.mapped("dte_status")), ["contingency"] * 4 + ["sent"] * 2)
        self.assertEqual(self.contingency().episode_id.waiting_count, 4)
        self.probe(2)
        self.run_contingency()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(self.contingency().episode_id.uploaded_count, 6)
        self.assertEqual(len(self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])), 1)

    def test_silent_again_during_the_drain(self):
        """One upload without an answer is enough: the next calls would wait as long as this one did."""
        self.company.sudo().dte_envio_size = 1
        moves = self.outage(4)
        self.fault("cut", service="upload", step="body_received", count=1, after=2)
        self.probe(2)
        self.assertEqual(self.breaker(), "open")
        self.assertEqual(sorted(moves.mapped("dte_status")), ["contingency"] + ["sent"] * 2 + ["unknown"])
        self.assertEqual(len(self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])), 1)

    def test_issued_while_it_drains(self):
        """New documents queue up behind those that waited longer."""
        self.outage()
        contingency = self.contingency()
        contingency._set_breaker("closed")
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "contingency")
        self.run_contingency()
        self.assertEqual(move.dte_status, "sent")
        self.assertFalse(self.contingency().enabled)

    def test_nothing_was_held(self):
        self.call("timeout", "timeout", "timeout")
        self.probe(2)
        self.assertEqual(self.breaker(), "closed")
        self.assertFalse(self.contingency().enabled)

    def test_only_one_sender(self):
        """A person and the job do not send at the same time."""
        moves = self.outage(2)
        with patch("odoo.addons.l10n_cl_dte.models.dte_contingency_drain.advisory_guard") as guard:
            guard.return_value.__enter__.return_value = False
            result = self.as_manager("upload_pending_batch")
            self.probe(2)
        self.assertEqual((result["uploaded"], result["remaining"]), (0, 2))
        self.assertIn("another process", result["message"])
        self.assertFalse(self.uploads())
        self.assertEqual(set(moves.mapped("dte_status")), {"contingency"})

    def test_a_person_uploads_while_the_sii_is_thought_to_be_away(self):
        moves = self.outage(2)
        result = self.as_manager("upload_pending_batch", 1)
        self.assertEqual((result["uploaded"], result["remaining"]), (1, 1))
        self.assertEqual(self.breaker(), "closed", "an upload that came through proves more than probes")
        self.run_contingency()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertFalse(self.contingency().enabled)

    def test_paused(self):
        """The SII refuses the sender: nothing is drained until a person has looked, and the pause says so."""
        moves = self.outage(2)
        self.fault("upload_status", status=1, count=1)
        self.probe(2)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["contingency", "to_send"])
        self.assertTrue(self.env["dte.pause"]._is_paused(self.company, "simulator"))
        self.run_contingency()
        self.run_job()
        self.assertEqual(set(moves.mapped("dte_status")), {"contingency"})
        self.as_manager("upload_pending_batch")
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})

    def test_an_answer_that_is_lost_during_the_drain(self):
        moves = self.outage(2)
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        self.probe(2)
        self.assertEqual(sorted(moves.mapped("dte_status")), ["contingency", "unknown"])
        self.probe(2)
        self.wait(minutes=3)
        self.run_job()
        self.run_contingency()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        self.assertEqual(self.contingency().episode_id.uploaded_count, 2)
        held = self.simulator.documents(self.rut)
        self.assertEqual(len(held), 2)

    def test_the_drill(self):
        status = self.as_manager("start_drill", 1)
        self.assertTrue(status["enabled"] and status["drill"])
        self.assertIn("drill", status["banner"])
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "contingency")
        self.probe()
        self.assertEqual(self.contingency().good_probes, 0, "the outage is real, though it is played")

    def test_no_drill_elsewhere(self):
        self.company.sudo().write(
            {"dte_environment": "certification", "dte_certification_resolution_date": "2026-01-02"}
        )
        with self.assertRaisesRegex(UserError, "simulator"):
            self.as_manager("start_drill")
        with self.assertRaises(AccessError):
            self.as_manager("start_drill", user=self.dte_user)
