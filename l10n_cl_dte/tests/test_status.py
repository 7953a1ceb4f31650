# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..libs.sii_soap_client import SiiClient
from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestStatus(DteCommon):
    def script(self, move, outcome):
        self.simulator.call(
            "POST", "verdict", issuer=self.rut, type=int(move.dte_document_id.dte_type), folio=move.dte_folio,
            outcome=outcome,
        )  # fmt: skip

    def send_scripted(self, *outcomes, **values):
        moves = self.env["account.move"].union(*(self.post(**values) for _outcome in outcomes))
        for move, outcome in zip(moves, outcomes, strict=True):
            self.script(move, outcome)
        self.send(moves)
        return moves

    def test_accepted(self):
        moves = self.send_scripted("accept")
        self.assertIn("Accepted by the SII", self.ask(moves)["message"])
        self.assertEqual(moves.dte_status, "accepted")
        envio = moves.dte_document_id.envio_id
        self.assertRecordValues(envio, [{"state": "processed", "informed": 1, "accepted": 1, "sii_state": "EPR"}])

    def test_objected_is_valid(self):
        moves = self.send_scripted("object")
        self.assertIn("with repairs: it is valid", self.ask(moves)["message"])
        self.assertEqual(moves.dte_status, "objected")

    def test_rejected(self):
        moves = self.send_scripted("reject")
        told = self.ask(moves)
        self.assertIn("Rejected by the SII", told["message"])
        self.assertEqual((moves.dte_status, told["type"]), ("rejected", "warning"))

    def test_a_second_copy_is_rejected_but_not_the_document(self):
        """After the database was restored from an older dump documents leave again that the SII has accepted."""
        for answer in ("counts", "whole"):
            with self.subTest(answer=answer):
                move = self.post()
                with self.earlier(minutes=5):
                    self.send_elsewhere(move)
                if answer == "whole":
                    self.fault("rfr")
                self.send(move)
                self.ask(move)
                self.assertEqual((move.dte_status, move.dte_document_id.repairs_unknown), ("accepted", True))

    def earlier(self, **delta):
        """Sign as at an earlier time: an envelope signed within the same second has the same bytes."""
        moment = self.company._dte_now() - timedelta(**delta)
        return patch.object(type(self.company), "_dte_now", lambda _company: moment)

    def test_rejected_is_not_concluded_while_the_sii_cannot_be_asked(self):
        moves = self.send_scripted("reject")
        self.fault("http_status", service="query_dte_av", status=503, count=9)
        with patch.object(SiiClient, "_pause", return_value=True), self.assertRaises(UserError):
            self.ask(moves)
        self.assertEqual(moves.dte_status, "sent")
        self.simulator.call("DELETE", "faults")
        self.ask(moves)
        self.assertEqual(moves.dte_status, "rejected")

    def test_a_receipt_is_not_acceptance(self):
        self.settings(delays={"process": 3600})
        moves = self.send_scripted("accept")
        with self.committing() as env:
            moves.with_env(env).action_dte_status()
        self.assertEqual(moves.dte_status, "sent")

    def test_mixed_envelope(self):
        moves = self.send_scripted("accept", "reject", "accept")
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted"])
        self.assertFalse(any(moves.dte_document_id.mapped("repairs_unknown")))

    def test_envelope_with_each_verdict(self):
        moves = self.send_scripted("accept", "object", "reject")
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted", "rejected"])
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [True, True, False])
        self.assertIn("result mail", moves[0].dte_message)

    def test_objected_and_rejected(self):
        moves = self.send_scripted("object", "reject")
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["objected", "rejected"])

    def test_answers_that_do_not_fit_conclude_nothing(self):
        moves = self.send_scripted("accept", "object")
        self.fault("query_error", service="query_dte", estado="FAU", count=2)
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["sent", "sent"])
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted"])

    def test_counters_without_a_type(self):
        self.settings(drop_types=[33])
        moves = self.send_scripted("accept", "reject")
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent"])
        self.wait(hours=25)
        self.ask(moves)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected"])

    def test_rejected_as_a_whole(self):
        self.fault("rfr")
        moves = self.send_scripted("accept")
        self.assertIn("RFR", self.ask(moves)["message"])
        self.assertEqual((moves.dte_status, moves.dte_document_id.envio_id.state), ("rejected", "rejected"))

    def test_the_words_of_the_sii_are_no_html(self):
        """They are shown as they are in what calls a person."""
        move = self.post()
        params = {"sii_code": "RCH", "sii_text": "<b>monto</b> < 0"}
        with self.committing() as env:
            document = move.dte_document_id.with_env(env(su=True))
            document._set_state("rejected", "rejected_whole", params)
            document._tell_and_commit()
            pause = env["dte.pause"].sudo()
            pause._begin(self.company.with_env(env), "simulator", "sii_upload_refused", params)
            pause._tell_left_over()
        for record in (move, self.company.partner_id):
            self.assertIn("&lt;b&gt;monto&lt;/b&gt; &lt; 0", record.sudo().activity_ids.note)

    def test_wrong_resolution_is_not_the_documents_fault(self):
        self.company.sudo().dte_simulator_resolution_date = "2020-02-02"
        moves = self.send_scripted("accept")
        self.ask(moves)
        self.assertEqual((moves.dte_status, moves.dte_document_id.envio_id.state), ("to_send", "rejected"))
        self.assertIn("RCT", moves.dte_message)
        self.company.sudo().dte_simulator_resolution_date = "2026-01-02"
        self.send(moves)
        self.ask(moves)
        self.assertEqual(moves.dte_status, "accepted")

    def test_first_seconds(self):
        moves = self.send_scripted("accept")
        self.fault("not_registered", count=1)
        with self.committing() as env:
            moves.with_env(env).action_dte_status()
        self.assertEqual(moves.dte_status, "sent")
        self.ask(moves)
        self.assertEqual(moves.dte_status, "accepted")

    def test_random_error_concludes_nothing(self):
        moves = self.send_scripted("accept")
        self.fault("query_error", estado="-8", count=1)
        self.ask(moves)
        self.assertEqual(moves.dte_status, "sent")
        self.ask(moves)
        self.assertEqual(moves.dte_status, "accepted")

    def test_token_refused_once(self):
        moves = self.send_scripted("accept")
        self.fault("token_refused", service="query_up", count=1)
        self.ask(moves)
        self.assertEqual(moves.dte_status, "accepted")

    def test_web_page_is_said(self):
        moves = self.send_scripted("accept")
        self.fault("html", service="query_up", count=9)
        with self.assertRaisesRegex(UserError, "not an answer"):
            self.ask(moves)
        self.assertEqual(moves.dte_status, "sent")

    def test_both_soap_forms(self):
        for form, body_first in (("A", True), ("B", False)):
            with self.subTest(form=form):
                self.settings(soap_form=form, body_first=body_first)
                moves = self.send_scripted("accept")
                self.ask(moves)
                self.assertEqual(moves.dte_status, "accepted")

    def test_cron_asks_about_all_and_survives_a_bad_answer(self):
        moves = [self.send_scripted("accept") for _number in range(3)]
        self.simulator.call("POST", "process")
        self.fault("html", service="query_up", count=3)
        with self.assertLogs("odoo.addons.l10n_cl_dte.models.dte_envio_poll", "WARNING") as logs:
            self.run_job(method="_cron_check_status")
        self.assertIn("sii_status_query_failed", logs.output[0])
        statuses = sorted(move.dte_status for move in moves)
        self.assertEqual(statuses, ["accepted", "accepted", "sent"])
        self.run_job(method="_cron_check_status")
        self.assertEqual({move.dte_status for move in moves}, {"accepted"})

    def test_status_is_found_and_grouped(self):
        move = self.send_scripted("accept")
        self.ask(move)
        model = self.env["account.move"]
        self.assertIn(move, model.search([("dte_status", "=", "accepted")]))
        groups = dict(model._read_group([("id", "=", move.id)], ["dte_status"], ["__count"]))
        self.assertEqual(groups, {"accepted": 1})

    def test_timeline_tells_the_story(self):
        move = self.send_scripted("accept")
        self.ask(move)
        timeline = str(move.dte_timeline)
        for words in ("Signed, stamped and archived with folio 1", "Sent to the SII", move.dte_track_id, "EPR"):
            self.assertIn(words, timeline)
        document = move.dte_document_id
        entries = document._timeline_entries()
        self.assertEqual([entry.tone for entry in entries], ["info"] * 4 + ["success"])
        self.assertEqual(entries[-1], (document.verdict_at, "Accepted by the SII.", "success"))

    def test_timeline_tells_what_comes_next(self):
        move = self.post()
        document = move.dte_document_id.sudo()
        self.assertEqual([entry.tone for entry in document._timeline_entries()], ["info"])
        self.send(move)
        self.assertEqual(document._timeline_entries()[-1][::2], (document.envio_id.next_poll_date, "next"))
        now = fields.Datetime.now()
        later = now + timedelta(hours=1)
        for state, values, moment in (
            ("retry", {"retry_at": later}, later),
            ("to_send", {"queued_at": now}, now),
        ):
            document._set_state(state, **values)
            self.assertEqual(document._timeline_entries()[-1][::2], (moment, "next"), state)
        document.superseded = True
        self.assertNotIn("next", [entry.tone for entry in document._timeline_entries()])

    def test_timeline_of_an_upload_that_failed(self):
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "retry")
        failure, later = move.dte_document_id._timeline_entries()[-2:]
        envio = move.dte_document_id.sudo().envio_id
        self.assertEqual(failure, (envio.answered_at, envio.message, "warning"))
        self.assertEqual((later.tone, later.moment), ("next", move.dte_document_id.retry_at))
