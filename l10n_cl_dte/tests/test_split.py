# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from odoo.tests import tagged

from .common import DteCommon


@tagged("post_install_l10n", "post_install", "-at_install")
class TestSplit(DteCommon):
    """An envelope refused as a whole: one bad document stops nobody."""

    def post_many(self, count):
        return self.env["account.move"].union(*(self.post() for _number in range(count)))

    def settle(self, moves, rounds=8):
        """Let the jobs run until nothing moves any more."""
        for _round in range(rounds):
            self.simulator.call("POST", "process")
            self.run_job(method="_cron_check_status")
            self.run_job()
        return moves.mapped("dte_status")

    def pauses(self):
        return self.env["dte.pause"].search([("company_id", "=", self.company.id), ("resumed_at", "=", False)])

    def damage(self, move):
        """Give a document a schema error that we would not make, with a hash that fits."""
        backup = move.dte_document_id.sudo().backup_id
        xml = move._dte_xml().replace(b"<TipoDTE>33</TipoDTE>", b"<TipoDTE>33</TipoDTE>\n")
        bad = xml.replace(b"<RznSoc>", b"<RznSocX>").replace(b"</RznSoc>", b"</RznSocX>")
        self.replace_archive(backup, bad)
        return move

    def test_schema_refused_at_upload(self):
        moves = self.post_many(5)
        guilty = self.damage(moves[3])
        self.send(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertIn("refused the envelope in which it travelled", moves[0].dte_message)
        self.settle(moves)
        self.assertEqual((moves - guilty).mapped("dte_status"), ["accepted"] * 4)
        self.assertEqual(guilty.dte_status, "failed")
        self.assertTrue(guilty.sudo().activity_ids)
        self.assertFalse(self.pauses())

    def test_schema_refused_later(self):
        self.settings(schema_errors="rsc")
        moves = self.post_many(4)
        guilty = self.damage(moves[0])
        self.send(moves)
        self.settle(moves)
        self.assertEqual((moves - guilty).mapped("dte_status"), ["accepted"] * 3)
        self.assertEqual(guilty.dte_status, "rejected")

    def test_halves_are_served_before_others(self):
        moves = self.post_many(4)
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(moves)
        others = self.post_many(2)
        others.dte_document_id.sudo().queued_at = "2026-01-01"
        self.run_job()
        first = self.env["dte.envio"].search([("company_id", "=", self.company.id)], order="id")
        self.assertEqual(first.mapped("document_count"), [4, 2, 2, 2])
        self.assertEqual(first[1:3].parent_id, first[0])
        self.assertEqual(first[1:3].document_ids, moves.dte_document_id)

    def test_nobody_else_takes_a_reserved_document(self):
        moves = self.post_many(2)
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(moves)
        documents = moves.dte_document_id.sudo()
        halves = documents.split_envio_id
        self.assertEqual(len(halves), 2)
        self.assertFalse(documents.search(documents._sendable_domain(self.company)))
        self.send(moves[0])
        self.assertEqual(moves.mapped("dte_status"), ["sent", "to_send"])
        self.assertEqual(moves[0].dte_document_id.envio_id, halves[0])

    def test_signature_refused_for_one_document(self):
        """Both halves of the first split tell the document from the sender."""
        moves = self.post_many(4)
        self.send(moves)
        self.fault("rfr", count=1)
        self.settle(moves, rounds=1)
        self.fault("rfr", count=1)
        self.assertEqual(set(self.settle(moves)), {"accepted"})
        self.assertFalse(self.pauses())

    def test_signature_refused_for_the_sender(self):
        """A sender without permission to sign: no document is to blame, and no more is sent until a person looks."""
        moves = self.post_many(4)
        self.fault("rfr", count=99)
        self.send(moves)
        self.settle(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertTrue(self.pauses())
        self.assertIn("Sending is paused", moves[0].dte_message)
        envios = self.env["dte.envio"].search([("company_id", "=", self.company.id)])
        self.assertEqual(
            envios.mapped("document_count"), [2, 2, 4], "no half is halved before the other has its answer"
        )
        uploads = len(self.uploads())
        self.run_job()
        self.assertEqual(len(self.uploads()), uploads)
        self.assertEqual(len(self.company.partner_id.sudo().activity_ids), 1)
        self.simulator.call("DELETE", "faults")
        self.send(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"}, moves.mapped("dte_message"))
        self.assertFalse(self.pauses())
        self.assertFalse(self.company.partner_id.sudo().activity_ids)
        self.assertEqual(set(self.settle(moves)), {"accepted"}, moves.mapped("dte_message"))

    def test_the_same_documents_in_the_same_second(self):
        """A new envelope is no copy of the refused one: the SII must not answer with the verdict of that one."""
        moves = self.post_many(2)
        now = self.company._dte_now()
        self.fault("upload_status", status=1, count=1)
        with patch.object(type(self.company), "_dte_now", lambda _company: now):
            self.send(moves)
            self.send(moves)
        envios = self.env["dte.envio"].search([("company_id", "=", self.company.id)])
        self.assertEqual(envios.mapped("document_count"), [2, 2])
        self.assertEqual(len(set(envios.mapped("sha256"))), 2)

    def halves_waiting(self):
        moves = self.post_many(2)
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        self.send(moves)
        self.assertEqual(len(moves.dte_document_id.sudo().split_envio_id), 2)
        return moves

    def test_halves_of_another_environment_stay(self):
        moves = self.halves_waiting()
        self.company.sudo().write(
            {"dte_environment": "certification", "dte_certification_resolution_date": "2026-01-02"}
        )
        self.send(moves)
        self.run_job()
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertEqual(len(self.uploads()), 1)

    def test_given_up_while_reserved(self):
        """A person takes a document out of a half: it is free again, and the half goes without it."""
        moves = self.halves_waiting()
        document = moves[0].dte_document_id.sudo()
        document._give_up()
        self.run_job()
        self.assertEqual(moves.mapped("dte_status"), ["failed", "sent"])
        document._reopen()
        self.run_job()
        self.assertEqual(moves.mapped("dte_status"), ["sent", "sent"])

    def test_single_document(self):
        move = self.post()
        self.fault("rfr")
        self.send(move)
        self.assertEqual(self.settle(move), ["rejected"])

    def test_wrong_cover_pauses(self):
        moves = self.post_many(2)
        self.company.sudo().dte_simulator_resolution_date = "2020-02-02"
        self.send(moves)
        self.settle(moves)
        self.assertEqual(set(moves.mapped("dte_status")), {"to_send"})
        self.assertEqual(len(self.uploads()), 1)
        # Correcting the setting ends the pause.
        self.company.sudo().dte_simulator_resolution_date = "2026-01-02"
        self.assertEqual(set(self.settle(moves)), {"accepted"})

    def test_file_lost_by_the_sii(self):
        move = self.post()
        self.send(move)
        self.fault("stuck", service="query_up", estado="VOF")
        self.ask(move)
        self.assertEqual(move.dte_status, "retry")
