# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs import issue as issue_lib
from ..libs.exceptions import ConfigurationError
from .common import DteCommon
from .simulated import make_customer


@tagged("post_install_l10n", "post_install", "-at_install")
class TestFolios(DteCommon):
    def folios(self, moves):
        return [move.dte_folio for move in moves]

    def test_consecutive_and_by_type(self):
        first, second, exempt = self.post(), self.post(), self.post(dte_type="34")
        self.assertEqual(self.folios(first + second + exempt), [1, 2, 1])
        self.assertEqual(first.name, "FAC 000001")
        self.assertEqual(first.dte_environment, "simulator")

    def test_two_journals_share_the_folios(self):
        other = self.other_journal(dte_enabled=True)
        moves = self.make() + self.make(journal=other) + self.make()
        moves.action_post()
        self.assertEqual(sorted(self.folios(moves)), [1, 2, 3])
        self.assertEqual(self.post(journal=other).dte_folio, 4)

    def test_cafs_are_used_in_order(self):
        used = self.admin_env["dte.caf"].search([("dte_type", "=", "56"), ("company_id", "=", self.company.id)])
        used.active = False
        self.load_caf(33, 501, 502)
        self.load_caf(33, 301, 302)
        self.admin_env["dte.caf"].search([("folio_from", "=", 1), ("dte_type", "=", "33")]).active = False
        moves = self.make() + self.make() + self.make()
        moves.action_post()
        self.assertEqual(sorted(self.folios(moves)), [301, 302, 501])
        self.assertEqual(self.post().dte_folio, 502)
        with self.assertRaisesRegex(UserError, "used up"):
            self.make().action_post()

    def test_each_timbre_is_made_with_the_caf_of_its_folio(self):
        self.admin_env["dte.caf"].search([("folio_from", "=", 1), ("dte_type", "=", "33")]).active = False
        cafs = self.load_caf(33, 301, 301) + self.load_caf(33, 501, 501)
        moves = self.make() + self.make()
        moves.action_post()
        self.assertEqual(moves.dte_document_id.sudo().caf_id.sorted("folio_from"), cafs.sudo())
        self.send(moves)
        self.ask(moves)
        self.assertEqual({held["state"] for held in self.held().values()}, {"accepted"})

    def test_no_caf(self):
        self.admin_env["dte.caf"].search([("dte_type", "=", "34")]).unlink()
        move = self.make(dte_type="34")
        with self.assertRaisesRegex(UserError, "There are no folios|there are no folios"):
            move.action_post()
        self.assertEqual((move.state, move.name), ("draft", False))

    def test_not_enough_for_a_batch_takes_none(self):
        self.admin_env["dte.caf"].search([("folio_from", "=", 1), ("dte_type", "=", "33")]).active = False
        self.load_caf(33, 301, 302)
        moves = self.make() + self.make() + self.make()
        with self.assertRaisesRegex(UserError, "3 needed, 2 left"):
            moves.action_post()
        self.assertEqual(moves.mapped("state"), ["draft"] * 3)
        self.assertEqual(self.post().dte_folio, 301)

    def test_expired_caf_is_refused_and_nothing_spent(self):
        now = self.company._dte_now() + timedelta(days=190)
        move = self.make()
        with patch.object(self.registry["res.company"], "_dte_now", lambda company: now):
            with self.assertRaisesRegex(UserError, "expired on"):
                move.action_post()
            self.assertFalse(move.name)
            fresh = self.load_caf(33, 501, 510, date=str(now.date() - timedelta(days=1)))
            move.invoice_date = now.date()
            move.action_post()
        self.assertEqual(move.dte_folio, fresh.folio_from)

    def test_last_day_of_a_caf(self):
        caf = self.admin_env["dte.caf"].search([("folio_from", "=", 1), ("dte_type", "=", "33")])
        for day, usable in ((caf.expires_on, True), (caf.expires_on + timedelta(days=1), False)):
            now = self.company._dte_now().replace(year=day.year, month=day.month, day=day.day)
            with patch.object(self.registry["res.company"], "_dte_now", lambda company, now=now: now):
                found = self.env["dte.caf"]._usable(self.company, "33", day)
                self.assertEqual(bool(found), usable)

    def test_a_caf_younger_than_the_invoice_is_not_used(self):
        """HED-3-305: the SII rejects a document dated before its CAF."""
        yesterday = self.company._dte_now().date() - timedelta(days=1)
        with self.assertRaisesRegex(UserError, "authorised on"):
            self.make(invoice_date=str(yesterday)).action_post()
        self.load_caf(33, 501, 502, date=str(yesterday - timedelta(days=3)))
        moves = self.make() + self.make(invoice_date=str(yesterday)) + self.make()
        moves.action_post()
        self.assertEqual(moves[1].dte_folio, 501)
        self.assertEqual(sorted(self.folios(moves[0] + moves[2])), [1, 2])

    def test_failing_signature_gives_the_folio_back(self):
        move = self.make()
        with (
            patch.object(issue_lib, "issue", side_effect=ConfigurationError("caf_damaged", detail="x")),
            self.assertRaises(UserError),
        ):
            move.action_post()
        self.assertEqual(self.post().dte_folio, 1)
        move.invalidate_recordset()
        self.assertEqual(move.state, "draft")

    def test_rolled_back_savepoint_gives_the_folio_back(self):
        class Undo(Exception):
            pass

        move = self.make()
        try:
            with self.env.cr.savepoint():
                move.action_post()
                raise Undo
        except Undo:
            move.invalidate_recordset()
        moves = self.make() + self.make()
        moves.action_post()
        self.assertEqual(sorted(self.folios(moves)), [1, 2])

    def test_validation_error_spends_nothing(self):
        bad = make_customer(self.env, "Sin giro", "12345678-5", l10n_cl_activity_description=False)
        with self.assertRaises(UserError):
            (self.make() + self.make(partner=bad)).action_post()
        self.assertEqual(self.post().dte_folio, 1)

    def test_typed_number_is_no_folio(self):
        move = self.make()
        move.name = "FAC 000077"
        move.action_post()
        self.assertEqual((move.name, move.dte_folio), ("FAC 000001", 1))

    def test_documents_without_invoice_count(self):
        """Restored or imported documents have no invoice, but their folios are spent."""
        document = self.post().dte_document_id.sudo()
        document.copy({"folio": 7, "move_id": False, "envio_ids": False})
        self.assertEqual(self.post().dte_folio, 8)

    def test_numbers_above_the_ranges_do_not_count(self):
        document = self.post().dte_document_id.sudo()
        document.copy({"folio": 5000, "move_id": False, "envio_ids": False})
        self.assertEqual(self.post().dte_folio, 2)

    def test_the_database_refuses_a_second_document(self):
        document = self.post().dte_document_id.sudo()
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaisesRegex(IntegrityError, "dte_document_unique_live_folio"),
            self.env.cr.savepoint(),
        ):
            document.copy({"move_id": False, "envio_ids": False})

    def test_journal_is_bound_to_its_first_environment(self):
        self.post()
        self.assertEqual(self.journal.dte_environment, "simulator")
        self.company.sudo().write(
            {"dte_environment": "certification", "dte_certification_resolution_date": "2026-01-02"}
        )
        with self.assertRaisesRegex(UserError, "already holds documents of the environment"):
            self.make().action_post()

    def test_caf_loaded_in_the_same_transaction_counts(self):
        self.admin_env["dte.caf"].search([("folio_from", "=", 1), ("dte_type", "=", "33")]).active = False
        self.load_caf(33, 301, 301)
        self.post()
        self.load_caf(33, 501, 501)
        self.assertEqual(self.post().dte_folio, 501)

    def test_other_journals_work_as_before(self):
        plain = self.other_journal(dte_enabled=False)
        move = self.post(journal=plain)
        self.assertEqual(move.state, "posted")
        self.assertFalse(move.dte_document_id)
        self.assertFalse(move.dte_environment)

    def test_other_document_types_are_refused_in_the_journal(self):
        with self.assertRaisesRegex(UserError, "choose one of the types"):
            self.make(dte_type="39").action_post()
