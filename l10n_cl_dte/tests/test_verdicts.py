# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import time
from datetime import timedelta
from unittest.mock import Mock, patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs.sii_answers import DocumentStatus
from ..libs.sii_soap_client import SiiClient
from .test_result_mail import REJECTED, REPAIRED, ResultMailCommon

POLL = "odoo.addons.l10n_cl_dte.models.dte_envio_poll"


class VerdictsCommon(ResultMailCommon):
    def script(self, move, outcome):
        spec = {"outcome": outcome} if isinstance(outcome, str) else outcome
        kind = int(move.dte_document_id.dte_type)
        self.simulator.call("POST", "verdict", issuer=self.rut, type=kind, folio=move.dte_folio, **spec)

    def send_kinds(self, kinds):
        """Send one envelope; `kinds` are pairs of a type and an outcome. Return the invoices."""
        moves = self.env["account.move"].union(*(self.post(dte_type=dte_type) for dte_type, _outcome in kinds))
        for move, (_dte_type, outcome) in zip(moves, kinds, strict=True):
            self.script(move, outcome)
        self.send(moves)
        self.assertEqual(len(self.envio(moves)), 1)
        return moves

    def send_alone(self, *outcomes):
        """Send each in an envelope of its own."""
        return self.env["account.move"].union(*(self.send_scripted(outcome) for outcome in outcomes))

    def poll(self):
        """Let the job ask about what is sent, after the SII has judged it."""
        self.simulator.call("POST", "process")
        with mute_logger(POLL):
            self.run_job(method="_cron_check_status")

    def not_found(self):
        """Let the SII not find any document."""
        return patch.object(SiiClient, "document_status", return_value=DocumentStatus("FAU", "", "3", ""))

    def answering(self, states):
        """Let the SII answer so about these folios; `states` are codes by folio."""
        real = SiiClient.document_status

        def status(client, asker, question):
            if question.folio in states:
                return DocumentStatus(states[question.folio], "", "", "")
            return real(client, asker, question)

        return patch.object(SiiClient, "document_status", status)

    def calls(self):
        found = self.env["dte.sii.call"].sudo().search([("company_id", "=", self.company.id)])
        return {name: len(rows) for name, rows in found.grouped("service").items()}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestVerdicts(VerdictsCommon):
    """What the job concludes from answers of the SII that one document alone does not show."""

    def test_fifty_documents_with_each_verdict(self):
        kinds = [("33", REJECTED if n % 10 == 3 else REPAIRED if n % 10 == 7 else "accept") for n in range(40)]
        kinds += [("34", "accept")] * 10
        moves = self.send_kinds(kinds)
        self.assertEqual(self.envio(moves).document_count, 50)
        self.poll()
        expected = ["rejected" if outcome is REJECTED else "accepted" for _kind, outcome in kinds]
        self.assertEqual(moves.mapped("dte_status"), expected)
        held = self.held()
        for move in moves:
            state = held[int(move.dte_document_id.dte_type), move.dte_folio]["state"]
            self.assertEqual(move.dte_status == "rejected", state == "rejected")
        doubts = [kind == "33" and outcome is not REJECTED for kind, outcome in kinds]
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), doubts)
        calls = self.calls()
        self.assertEqual((calls["envelope_status"], calls["document_status"]), (1, 40), "34 is told by its counts")
        self.assertRecordValues(
            self.envio(moves), [{"state": "processed", "informed": 50, "accepted": 42, "objected": 4, "rejected": 4}]
        )
        # The mail says which of them have repairs.
        self.deliver(self.simulator_mails()[0])
        self.assertEqual(moves.mapped("dte_status"), expected)
        repaired = moves.filtered(lambda move: move.dte_document_id.repairs_unknown)
        self.assertEqual(repaired.mapped("dte_folio"), [n + 1 for n in range(40) if n % 10 == 7])
        self.assertEqual(set(repaired.dte_document_id.reason_ids.mapped("code")), {"HED-2-260"})

    def test_all_kinds_alike_need_no_other_question(self):
        moves = self.send_kinds([("33", "accept")] * 3 + [("34", "object")] * 2)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted"] * 3 + ["objected"] * 2)
        self.assertNotIn("document_status", self.calls())

    def test_a_type_missing_from_the_counters(self):
        """The other type is told by them; about the missing one the SII is asked one by one."""
        self.settings(drop_types=[34])
        moves = self.send_kinds([("33", "accept"), ("33", "accept"), ("34", "accept"), ("34", "reject")])
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted", "accepted", "sent"])
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [False, False, True, False])
        self.assertEqual(self.calls()["document_status"], 2)
        # For hours the SII does not find what it has: only a day later that means that it was rejected.
        self.poll()
        self.assertEqual(moves[3].dte_status, "sent")
        self.wait(hours=25)
        self.poll()
        self.assertEqual(moves[3].dte_status, "rejected")
        self.assertIn("a day after", moves[3].dte_message)

    def test_a_valid_document_that_the_sii_does_not_find_yet(self):
        """Its type is missing from the counters: another of the SII's services may be slow."""
        self.settings(drop_types=[34])
        moves = self.send_kinds([("33", "accept"), ("34", "accept")])
        with self.not_found():
            self.poll()
            self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent"])
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted"])

    def test_more_documents_not_found_than_rejected(self):
        """Which of them the SII has rejected is not known then: none is."""
        moves = self.send_kinds([("33", "accept"), ("33", "reject"), ("33", "accept")])
        with self.not_found():
            self.poll()
            self.assertEqual(moves.mapped("dte_status"), ["sent"] * 3)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted"])

    def test_a_day_begins_when_the_sii_has_finished(self):
        """Its queue may be longer than a day: then it does not find at first what it has just accepted."""
        self.settings(drop_types=[34])
        moves = self.send_kinds([("33", "accept"), ("34", "reject")])
        self.fault("stuck", service="query_up", estado="PDR", count=2)
        self.poll()
        self.wait(hours=30)
        self.poll()
        self.assertFalse(self.envio(moves).validated_at)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent"])
        validated_at = self.envio(moves).validated_at
        self.assertLess(fields.Datetime.now() - validated_at, timedelta(minutes=1))
        self.poll()
        self.assertEqual((moves[1].dte_status, self.envio(moves).validated_at), ("sent", validated_at))
        self.wait(hours=23)
        self.poll()
        self.assertEqual(moves[1].dte_status, "sent")
        self.wait(hours=2)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected"])

    def test_a_day_begins_when_a_second_copy_was_refused(self):
        """The first one, which nobody can ask about, may have waited as long."""
        move = self.send_scripted("reject")
        self.envio(move).sudo().twice = True
        self.fault("stuck", service="query_up", estado="PDR", count=1)
        self.fault("stuck", service="query_up", estado="RPT", count=2)
        self.poll()
        self.wait(hours=30)
        self.poll()
        self.assertEqual(move.dte_status, "sent")
        self.wait(hours=25)
        self.poll()
        self.assertEqual(move.dte_status, "rejected")

    def test_a_slow_valid_document_beside_a_rejected_one_without_an_answer(self):
        """As many are not found as were rejected, but it is not this one."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "accept", "reject")])
        slow, guilty = moves[1:].mapped("dte_folio")
        with self.answering({slow: "FAU", guilty: "-8"}):
            self.poll()
            self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent", "sent"])
        with self.answering({slow: "FAU"}):
            self.poll()
            self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent", "sent"])
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted", "rejected"])

    def test_what_the_counts_point_to_needs_no_answer_about_the_others(self):
        """Both that are left were rejected; the one without an answer is asked about again."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "reject", "reject")])
        with self.answering({moves[1].dte_folio: "-8"}):
            self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent", "rejected"])
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "rejected"])

    def test_a_document_without_an_answer_for_a_day(self):
        """What the SII does not find a day later it has rejected, also where the counts leave it open."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "accept", "reject")])
        with self.answering({moves[1].dte_folio: "-8"}):
            self.poll()
            self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent", "sent"])
            self.wait(hours=25)
            self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent", "rejected"])

    def test_more_documents_not_found_than_rejected_for_a_day(self):
        moves = self.send_kinds([("33", "accept"), ("33", "reject"), ("33", "accept")])
        with self.not_found():
            self.poll()
            self.wait(hours=25)
            self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["sent"] * 3)

    def test_the_missing_type_comes_later(self):
        self.fault("drop_type", type=34, count=1)
        moves = self.send_kinds([("33", "accept"), ("34", "object")])
        self.fault("query_error", service="query_dte", estado="-8", count=1)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "sent"])
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "objected"])

    def test_every_stage_before_the_verdict(self):
        move = self.send_scripted("accept")
        self.fault("not_registered", count=2)
        for state in ("REC", "SOK", "CRT", "FOK", "PDR", "PRD", "PEN", "XYZ"):
            self.fault("stuck", service="query_up", estado=state, count=1)
        shown = []
        for _question in range(10):
            self.poll()
            self.assertEqual(move.dte_status, "sent")
            shown.append(self.envio(move).sii_state)
        self.assertEqual(shown, ["-11", "-11", "REC", "SOK", "CRT", "FOK", "PDR", "PRD", "PEN", "XYZ"])
        self.poll()
        self.assertEqual(move.dte_status, "accepted")

    def test_errors_at_random(self):
        """-8 and its like conclude nothing, wherever they come."""
        moves = self.send_alone("accept", "reject", "object", "accept", "reject", "object")
        expected = ["accepted", "rejected", "objected"] * 2
        self.fault("query_error", estado="-8", probability=0.5)
        for _round in range(12):
            self.poll()
            for status, verdict in zip(moves.mapped("dte_status"), expected, strict=True):
                self.assertIn(status, ("sent", verdict))
        self.simulator.call("DELETE", "faults")
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), expected)

    def test_no_permission_to_ask(self):
        for estado in ("106", "-3", "-6", "-10", "-13"):
            move = self.send_scripted("accept")
            self.fault("query_error", service="query_up", estado=estado, count=1)
            self.poll()
            self.assertEqual((move.dte_status, self.envio(move).sii_state), ("sent", estado))
            self.assertTrue(self.envio(move).may_not_ask)
            self.poll()
            self.assertEqual(move.dte_status, "accepted")
            self.assertFalse(self.envio(move).may_not_ask)

    def test_a_person_is_called_when_the_sii_may_not_be_asked(self):
        """Once, at once and not after the days without a verdict; it is over when the SII answers."""
        moves = self.send_alone("accept", "accept", "accept")
        self.envio(moves[2]).sudo().write({"may_not_ask": True, "next_poll_date": False})
        self.fault("query_error", service="query_up", estado="106", count=4)
        job = self.env.ref("l10n_cl_dte.ir_cron_alerts").sudo()
        triggers = self.env["ir.cron.trigger"].sudo()
        triggers.search([("cron_id", "=", job.id)]).unlink()
        self.poll()
        woken = triggers.search([("cron_id", "=", job.id)])
        self.assertTrue(woken)
        self.assertTrue(all(row.call_at <= fields.Datetime.now() for row in woken))
        woken.unlink()
        self.poll()
        self.assertFalse(triggers.search([("cron_id", "=", job.id)]), "it knows already")
        for _run in range(2):
            self.run_job("dte.alert", "_cron_alerts")
        alert = self.env["dte.alert"].sudo().search([("company_id", "=", self.company.id)])
        self.assertRecordValues(alert, [{"kind": "questions", "figures": {"count": 2}, "solved_at": False}])
        self.assertEqual(alert.activity_ids.user_id, self.company.sudo()._dte_responsible())
        self.assertEqual(self.env["dte.envio"].search(alert.action_open()["domain"]).mapped("sii_state"), ["106"] * 2)
        self.poll()
        self.run_job("dte.alert", "_cron_alerts")
        self.assertTrue(alert.solved_at)
        self.assertEqual(set(moves[:2].mapped("dte_status")), {"accepted"})
        self.assertFalse(self.env["dte.pause"]._is_paused(self.company, "simulator"), "sending goes on")

    def test_no_permission_to_ask_about_documents(self):
        moves = self.send_kinds([("33", "accept"), ("33", "reject")])
        with patch.object(SiiClient, "document_status", return_value=DocumentStatus("-6", "", "", "")):
            self.poll()
        self.assertEqual((set(moves.mapped("dte_status")), self.envio(moves).may_not_ask), ({"sent"}, True))

    def test_a_refused_token_is_renewed_once_for_all(self):
        moves = self.send_alone("accept", "reject", "accept")
        logins = self.calls()["login"]
        self.fault("token_refused", service="query_up", count=1)
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted"])
        self.assertEqual(self.calls()["login"], logins + 1)

    def test_tokens_refused_again_and_again(self):
        """Nothing can be asked: no envelope loses anything, and the SII is not bothered for each of them."""
        moves = self.send_alone("accept", "reject", "accept")
        self.fault("token_refused", count=99)
        self.poll()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})
        asked = self.simulator.call("GET", f"questions?issuer={self.rut}")["questions"]
        self.assertEqual(len(asked), 2, "once, and once more with a new token")
        self.simulator.call("DELETE", "faults")
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted"])

    def test_web_pages_instead_of_answers_about_documents(self):
        moves = self.send_kinds([("33", "accept"), ("33", "reject")])
        self.fault("html", service="query_dte", count=99)
        with patch.object(SiiClient, "_pause", return_value=True):
            self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["sent", "sent"])
        self.simulator.call("DELETE", "faults")
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected"])

    def test_both_forms_of_every_answer(self):
        """About the envelope, a document, and a document by its signature."""
        for form, body_first in (("A", True), ("A", False), ("B", True), ("B", False)):
            with self.subTest(form=form, body_first=body_first):
                self.settings(soap_form=form, body_first=body_first)
                mixed = self.send_kinds([("33", "accept"), ("33", "reject")])
                alone = self.send_scripted("reject")
                self.poll()
                self.assertEqual((mixed | alone).mapped("dte_status"), ["accepted", "rejected", "rejected"])

    def test_whole_refusals_of_documents_that_are_not_there(self):
        for estado in ("RSC", "RFR", "RCO", "RCH"):
            with self.subTest(estado=estado):
                move = self.send_scripted("reject")
                self.fault("stuck", service="query_up", estado=estado, count=1)
                self.poll()
                self.assertEqual((move.dte_status, self.envio(move).state), ("rejected", "rejected"))
                self.assertIn(estado, move.dte_message)

    def test_whole_refusals_of_documents_that_are_there(self):
        """Another copy was accepted: the refused one changes nothing."""
        for estado in ("RSC", "RFR", "RCO", "RCH", "RPT"):
            with self.subTest(estado=estado):
                move = self.send_scripted("accept")
                self.fault("stuck", service="query_up", estado=estado, count=1)
                self.poll()
                self.assertEqual((move.dte_status, move.dte_document_id.repairs_unknown), ("accepted", True))

    def test_accepted_with_repairs_as_a_whole(self):
        for estado in ("RPR", "RLV"):
            with self.subTest(estado=estado):
                move = self.send_scripted("object")
                self.fault("stuck", service="query_up", estado=estado, count=1)
                self.poll()
                self.assertEqual(move.dte_status, "objected")


@tagged("post_install_l10n", "post_install", "-at_install")
class TestRuns(VerdictsCommon):
    """A run of the job ends in time, whatever the SII does, and asks about each envelope once."""

    def due(self, moves):
        now = fields.Datetime.now()
        self.env.invalidate_all()
        return self.envio(moves).filtered(lambda envio: envio.state == "sent" and envio.next_poll_date <= now)

    def triggers(self):
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        return self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)])

    def due_triggers(self):
        return self.triggers().filtered(lambda row: row.call_at <= fields.Datetime.now())

    def test_what_fails_unexpectedly_is_put_off(self):
        """It would wake the job again and again otherwise, with a question each time."""
        moves = self.send_alone("accept", "accept")
        with patch.object(SiiClient, "envelope_status", side_effect=ValueError("x")):
            self.poll()
        self.assertFalse(self.due(moves))
        self.poll()
        self.assertEqual(set(moves.mapped("dte_status")), {"accepted"})

    def test_a_slow_sii(self):
        """What it has answered is kept, and the next question goes on from there."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "reject", "accept", "reject")])
        asked = []
        with patch(f"{POLL}.ASK_SECONDS", -1):
            while "sent" in moves.mapped("dte_status") and len(asked) < 9:
                before = self.calls().get("document_status", 0)
                self.poll()
                asked.append(self.calls()["document_status"] - before)
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted", "rejected"])
        self.assertLessEqual(len(asked), 6, "those found before the others were are asked about once more")
        self.assertEqual(set(asked), {1})

    def test_a_slow_sii_and_a_document_that_it_does_not_find_yet(self):
        """It is not taken for the rejected one before there was a turn for all of them."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "reject", "accept", "accept")])
        slow = self.envio(moves).document_ids[0]
        self.assertNotEqual(slow, moves[1].dte_document_id)
        with patch(f"{POLL}.ASK_SECONDS", -1), self.answering({slow.folio: "FAU"}):
            for _run in range(9):
                self.poll()
                self.assertNotIn("rejected", moves.mapped("dte_status"))
        self.poll()
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "rejected", "accepted", "accepted"])

    def test_a_slow_sii_and_fifty_documents(self):
        """Ten questions a turn: also the rejected ones, more than a turn has time for, get their verdict."""
        outcomes = ["reject" if n % 4 == 3 else "object" if n % 10 == 6 else "accept" for n in range(50)]
        moves = self.send_kinds([("33", outcome) for outcome in outcomes])
        clock, real = Mock(wraps=time), SiiClient.document_status
        seconds = 0

        def status(*args):
            nonlocal seconds
            seconds += 3
            return real(*args)

        clock.monotonic.side_effect = lambda: seconds
        status_module = "odoo.addons.l10n_cl_dte.models.dte_envio_status"
        polls = 0
        with (
            patch(f"{status_module}.time", clock),
            patch(f"{POLL}.time", clock),
            patch.object(SiiClient, "document_status", status),
        ):
            while "sent" in moves.mapped("dte_status") and polls < 20:
                self.poll()
                polls += 1
        expected = ["rejected" if outcome == "reject" else "accepted" for outcome in outcomes]
        self.assertEqual(moves.mapped("dte_status"), expected)
        self.assertLessEqual(polls, 7)

    def test_a_slow_sii_is_asked_again_soon(self):
        """What had no turn does not wait as long as what has an answer."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "reject", "accept")])
        envio = self.envio(moves)
        envio.polls = 6
        with patch(f"{POLL}.ASK_SECONDS", -1):
            self.poll()
            self.assertEqual(envio.polls, 6, "it is no answer about the envelope")
            self.assertLess(envio.next_poll_date, fields.Datetime.now() + timedelta(minutes=2))
            self.wait(hours=2)
            self.poll()
        left = envio.next_poll_date - fields.Datetime.now()
        self.assertTrue(timedelta(minutes=4) < left < timedelta(minutes=6), left)
        self.poll()
        self.assertEqual(set(moves.mapped("dte_status")), {"accepted", "rejected"})
        self.assertRecordValues(envio, [{"polls": 7, "next_poll_date": False}])

    def test_a_slow_sii_and_documents_without_an_answer(self):
        """They do not use up the time of those that it was never asked about."""
        moves = self.send_kinds([("33", outcome) for outcome in ("accept", "reject", "accept", "accept")])
        in_turn, real = self.envio(moves).document_ids, SiiClient.document_status
        stuck, asked = set(in_turn[:2].mapped("folio")), []

        def status(client, asker, question):
            asked.append(question.folio)
            if question.folio in stuck:
                return DocumentStatus("-8", "", "", "")
            return real(client, asker, question)

        with patch(f"{POLL}.ASK_SECONDS", -1), patch.object(SiiClient, "document_status", status):
            for _run in range(7):
                self.poll()
        self.assertEqual(in_turn.mapped("state"), ["sent", "sent", "sent", "accepted"], "each of them may be rejected")
        self.assertEqual(asked, [*in_turn.mapped("folio"), *in_turn[:3].mapped("folio")])
        self.poll()
        self.assertEqual(in_turn.mapped("state"), ["accepted", "accepted", "rejected", "accepted"])

    def test_a_slow_sii_does_not_refuse_what_it_was_not_asked_about(self):
        move = self.send_scripted("accept")
        self.fault("stuck", service="query_up", estado="RCH", count=1)
        with patch(f"{POLL}.ASK_SECONDS", -1):
            self.poll()
        self.assertEqual(move.dte_status, "accepted")

    def run_as_job(self, seconds):
        """Run with so many seconds of a job's time left; return its progress."""
        self.simulator.call("POST", "process")
        self.make_polls_due()
        self.triggers().unlink()
        with self.committing() as env:
            job = env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
            job, progress = job._add_progress()
            context = {**job.env.context, "cron_id": job.id, "cron_end_time": time.monotonic() + seconds}
            env(context=context)["dte.envio"].sudo()._cron_check_status()
            return progress.id

    def test_its_time_is_over(self):
        moves = self.send_alone("accept", "accept", "accept")
        progress = self.env["ir.cron.progress"].sudo().browse(self.run_as_job(-1))
        self.assertEqual((progress.done, set(moves.mapped("dte_status"))), (0, {"sent"}))
        self.assertTrue(self.due_triggers(), "it goes on at once")

    def test_its_time_ends_meanwhile(self):
        moves = self.send_alone("accept", "accept", "accept")
        real, clock = SiiClient.envelope_status, Mock(wraps=time)

        def slow(*args):
            clock.monotonic.side_effect = lambda: time.monotonic() + 3600
            return real(*args)

        with (
            patch("odoo.addons.base.models.ir_cron.time", clock),
            patch.object(SiiClient, "envelope_status", slow),
        ):
            progress = self.env["ir.cron.progress"].sudo().browse(self.run_as_job(60))
        self.assertEqual((progress.done, sorted(moves.mapped("dte_status"))), (1, ["accepted", "sent", "sent"]))
        self.assertTrue(self.due_triggers())
        progress = self.env["ir.cron.progress"].sudo().browse(self.run_as_job(60))
        self.assertEqual((progress.done, set(moves.mapped("dte_status"))), (2, {"accepted"}))

    def test_a_document_without_answer_is_told_once(self):
        self.settings(delays={"process": 36_000_000})
        move = self.send_scripted("accept")
        self.envio(move).first_attempted_at -= timedelta(days=8)
        with mute_logger(POLL):
            self.run_job(method="_cron_check_status")
        notes = move.sudo().message_ids
        with self.committing() as env:
            move.with_env(env).action_dte_status()
        self.assertEqual((move.dte_status, move.sudo().message_ids), ("no_answer", notes))
