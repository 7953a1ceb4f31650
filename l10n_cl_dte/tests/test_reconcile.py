# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""An upload without an answer: nothing is lost, nothing is accepted twice, and no state is shown that is not true."""

from contextlib import suppress
from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo.exceptions import UserError
from odoo.sql_db import db_connect
from odoo.tests import tagged

from ..const import GUARD_ENVIO
from ..libs.sii_soap_client import SiiClient
from .common import DteCommon


class Killed(BaseException):
    """The process ends here."""


@tagged("post_install_l10n", "post_install", "-at_install")
class TestReconcile(DteCommon):
    def setUp(self):
        super().setUp()
        self.move = self.post()
        self.document = self.move.dte_document_id.sudo()

    @property
    def envio(self):
        return self.document.envio_id

    def lose_answer(self, **fault):
        self.fault("cut", service="upload", **{"step": "stored", **fault})
        self.send(self.move)
        self.assertEqual((self.move.dte_status, self.envio.state), ("unknown", "unknown"))

    def kill(self, at="upload"):
        """End the process before the upload, or right after it."""
        patched = patch.object(SiiClient, "upload", side_effect=Killed)
        if at == "receipt":
            patched = patch.object(type(self.envio), "_commit_result", side_effect=Killed)
        with suppress(Killed), patched:
            self.send(self.move)
        self.env.invalidate_all()
        self.assertEqual((self.move.dte_status, self.envio.state), ("sending", "sending"))

    def statuses(self):
        return [upload["status"] for upload in self.uploads()]

    def accepted_once(self):
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "accepted")
        self.assertEqual(self.held()[33, self.move.dte_folio]["state"], "accepted")
        self.assertEqual(self.statuses().count(0), 1, "the SII took the document exactly once")

    def test_received_and_known(self):
        """The SII knows the document: the same bytes bring back the first track id."""
        self.lose_answer()
        self.simulator.call("POST", "process")
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses()), ("sent", [0, 99]))
        self.assertEqual(self.move.dte_track_id, self.uploads()[0]["track_id"])
        self.assertFalse(self.envio.twice)
        self.accepted_once()

    def test_received_but_still_in_validation(self):
        """FAU is no proof of absence: inside the SII's memory the same bytes bring back the first track id."""
        self.settings(delays={"process": 36000})
        self.lose_answer()
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses()), ("sent", [0, 99]))
        self.accepted_once()

    def test_never_received(self):
        self.lose_answer(step="body_received")
        self.assertFalse(self.uploads())
        content = self.envio.with_context(bin_size=False).content
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses()), ("sent", [0]))
        self.assertEqual(self.envio.with_context(bin_size=False).content, content, "the same bytes")
        self.assertEqual(self.envio.attempts, 2)
        self.accepted_once()

    def test_the_job_is_woken_in_time(self):
        """Its own interval added to the grace could pass the SII's memory."""
        self.lose_answer()
        job = self.env.ref("l10n_cl_dte.ir_cron_send").sudo()
        calls = self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]).mapped("call_at")
        # A moment later where another runner has a job of its own at that time.
        self.assertTrue(any(timedelta(0) <= call - self.envio.due_at <= timedelta(minutes=2) for call in calls))

    def test_nothing_is_sent_before_the_grace(self):
        self.lose_answer(step="body_received")
        self.wait(minutes=7)
        self.run_job()
        self.send(self.move)
        self.assertFalse(self.uploads())
        self.assertIn("The SII is asked about it", self.move.dte_message)

    def test_killed_before_the_upload(self):
        self.kill()
        self.run_job()
        self.assertEqual((self.move.dte_status, self.uploads()), ("unknown", []))
        self.assertIn("The server stopped", self.move.dte_message)
        self.wait(minutes=9)
        self.run_job()
        self.accepted_once()

    def test_killed_after_the_sii_took_it(self):
        self.kill(at="receipt")
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual(self.statuses(), [0, 99])
        self.accepted_once()

    def test_a_sender_that_lives_is_left_alone(self):
        self.kill()
        self.wait(minutes=30)
        # Another session holds the guard, as the sender does while it uploads.
        with db_connect(self.env.cr.dbname).cursor() as cr:
            cr.execute("SELECT pg_advisory_xact_lock(%s, %s)", (GUARD_ENVIO, self.envio.id))
            self.run_job()
            self.assertEqual((self.move.dte_status, self.uploads()), ("sending", []))
        self.run_job()
        self.assertEqual(self.move.dte_status, "sent")

    def test_a_free_guard_alone_allows_nothing(self):
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.run_job()
        self.assertEqual(len(self.uploads()), 1)

    def test_long_stop(self):
        """Sent again so late that the SII takes it as new: the second copy is rejected, the document is not."""
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.wait(hours=2)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses()), ("sent", [0, 0]))
        self.assertTrue(self.envio.twice)
        self.ask(self.move)
        states = [upload["state"] for upload in self.uploads()]
        self.assertNotEqual(states[0], states[1], "the SII refuses the second copy")
        self.assertEqual(self.move.dte_status, "accepted")
        self.assertEqual(self.held()[33, self.move.dte_folio]["state"], "accepted")

    def test_long_stop_rejected_copy_is_no_verdict(self):
        """The first copy is still in validation when the second one is refused: nothing is concluded yet."""
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.wait(hours=2)
        self.run_job()
        self.fault("stuck", service="query_up", estado="RPT")
        with self.committing() as env:
            self.move.with_env(env).action_dte_status()
        self.assertEqual(self.move.dte_status, "sent")
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "accepted")

    def test_late_copy_without_an_answer(self):
        """Both copies were taken in silence: the id that is read at the third upload is the second copy's."""
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.wait(hours=2)
        self.fault("cut", service="upload", step="stored")
        self.run_job()
        self.assertEqual(self.move.dte_status, "unknown")
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses(), self.envio.twice), ("sent", [0, 0, 99], True))
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "accepted")

    def test_rejected_in_both_copies(self):
        """A rejected document is "not received" for ever: after a day nothing can be in validation any more."""
        self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=self.move.dte_folio, outcome="reject",
                            count=2)  # fmt: skip
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.wait(hours=2)
        self.run_job()
        self.ask(self.move)
        self.assertEqual((self.move.dte_status, self.envio.twice), ("sent", True))
        self.wait(hours=25)
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "rejected")
        with self.committing() as env:
            self.move.with_env(env).action_dte_correct()
        self.assertEqual(self.move.state, "draft")

    def test_known_but_too_late_for_the_track_id(self):
        self.kill(at="receipt")
        self.simulator.call("POST", "process")
        self.wait(hours=2)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.move.dte_track_id), ("sent", False))
        self.assertIn("answer with the track id was lost", self.move.dte_message)
        self.assertEqual(len(self.uploads()), 1)
        self.ask(self.move)
        self.assertEqual((self.move.dte_status, self.document.repairs_unknown), ("accepted", True))

    def test_refused_connection_of_the_second_try_proves_nothing(self):
        self.settings(delays={"process": 36000})
        self.lose_answer()
        self.wait(minutes=9)
        self.fault("upload_status", status=9)
        self.run_job()
        self.assertEqual(self.move.dte_status, "unknown")
        self.wait(minutes=5)
        self.run_job()
        self.accepted_once()

    def test_sii_cannot_be_asked(self):
        self.lose_answer()
        self.wait(minutes=9)
        self.fault("http_status", status=503, count=99)
        with patch.object(SiiClient, "_pause", return_value=True):
            self.run_job()
        self.assertEqual((self.move.dte_status, len(self.uploads())), ("unknown", 1))
        self.assertTrue(self.envio.due_at)
        with patch.object(SiiClient, "_pause", return_value=True), self.assertRaises(UserError):
            self.send(self.move)

    def test_a_refused_second_copy_says_nothing_about_the_first(self):
        """The SII knows the document; the upload that should read its track id is refused for another reason."""
        self.lose_answer()
        self.simulator.call("POST", "process")
        self.wait(minutes=9)
        for status in (2, 7, 1):
            with self.subTest(status=status):
                self.envio.write({"state": "unknown", "track_id": False})
                self.document._set_state("unknown")
                self.fault("upload_status", service="upload", status=status, count=1)
                self.run_job()
                self.assertEqual((self.move.dte_status, self.move.dte_track_id), ("sent", False))
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "accepted")

    def test_a_refused_second_copy_while_the_first_is_in_validation(self):
        self.settings(delays={"process": 36000})
        self.lose_answer()
        self.wait(minutes=9)
        self.fault("upload_status", service="upload", status=7, count=1)
        self.run_job()
        self.assertEqual(self.move.dte_status, "unknown")
        self.simulator.call("POST", "process")
        self.wait(hours=1)
        self.run_job()
        self.ask(self.move)
        self.assertEqual(self.move.dte_status, "accepted")

    def test_bytes_that_never_pass_reach_a_person_in_the_end(self):
        self.lose_answer(step="body_received")
        self.fault("upload_status", service="upload", status=7, detail="LSX-00213", count=99)
        self.wait(minutes=9)
        self.run_job()
        self.assertEqual(self.move.dte_status, "unknown")
        self.wait(hours=25)
        self.run_job()
        self.assertEqual(self.move.dte_status, "failed")

    def test_question_that_is_refused_is_asked_another_way(self):
        self.lose_answer()
        self.simulator.call("POST", "process")
        self.wait(minutes=9)
        self.fault("no_query_permission", service="query_dte_av", count=9)
        self.run_job()
        self.assertEqual((self.move.dte_status, self.statuses()), ("sent", [0, 99]))

    def test_data_that_do_not_match_mean_received(self):
        self.lose_answer()
        self.simulator.call("POST", "process")
        self.wait(hours=1)
        self.fault("dnk", service="query_dte_av", count=1)
        self.run_job()
        self.assertEqual((self.move.dte_status, len(self.uploads())), ("sent", 1))

    def test_a_person_asks(self):
        self.lose_answer()
        self.simulator.call("POST", "process")
        told = self.ask(self.move)
        self.assertIn("Accepted", told["message"])
        self.assertEqual((self.move.dte_status, self.statuses()), ("accepted", [0, 99]))

    def test_result_is_written_again_after_a_conflict(self):
        """Another transaction touched the row during the upload: the track id is not lost with the replay."""
        calls = []
        record = type(self.envio)._record_receipt

        def conflict(envio, *args):
            calls.append(args)
            if len(calls) == 1:
                raise SerializationFailure
            return record(envio, *args)

        with patch.object(type(self.envio), "_record_receipt", conflict):
            self.send(self.move)
        self.assertEqual((len(calls), self.move.dte_status, len(self.uploads())), (2, "sent", 1))

    def test_a_replayed_request_sends_nothing(self):
        """Odoo runs a request again after a serialization failure: it meets the claim of its first run."""
        self.settings(delays={"process": 36000})
        self.kill(at="receipt")
        self.send(self.move)
        self.assertEqual(len(self.uploads()), 1)

    def test_timeline_says_that_it_went_twice(self):
        self.lose_answer(step="body_received")
        self.wait(minutes=9)
        self.run_job()
        self.assertIn("Sent again, the same bytes", str(self.move.dte_timeline))
