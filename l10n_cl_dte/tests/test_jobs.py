# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from pathlib import Path
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import config, mute_logger

from ..libs.exceptions import ConfigurationError
from ..libs.sii_soap_client import SiiClient
from .common import DteCommon, new_rut
from .simulated import make_customer, make_invoice, set_up_company

NEUTRALIZE = Path(__file__).parents[1] / "data" / "neutralize.sql"


@tagged("post_install_l10n", "post_install", "-at_install")
class TestJobs(DteCommon):
    def post_many(self, count):
        return self.env["account.move"].union(*(self.post() for _number in range(count)))

    def queue(self, moves):
        moves.dte_document_id.sudo().queued_at = "2026-01-01"
        return moves

    def logins(self):
        calls = self.env["dte.sii.call"].sudo()
        return calls.search_count([("company_id", "=", self.company.id), ("service", "=", "login")])

    def counts(self):
        return self.env["dte.envio"].search([("company_id", "=", self.company.id)], order="id").mapped("document_count")

    def test_batches(self):
        self.company.sudo().dte_envio_size = 3
        moves = self.queue(self.post_many(7))
        self.run_job()
        self.assertEqual((self.counts(), self.logins()), ([3, 3, 1], 1))
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})

    def test_what_nobody_asked_for_stays(self):
        move = self.post()
        self.run_job()
        self.assertEqual((move.dte_status, self.uploads()), ("to_send", []))
        self.assertIn("press Send DTE", move.dte_message)

    def test_sent_by_the_job_when_the_button_could_not(self):
        """The login failed: the user is told, and the wish to send is not lost."""
        move = self.post()
        self.fault("http_status", service="seed", status=503, count=3)
        with (
            patch.object(SiiClient, "_pause", return_value=True),
            self.assertRaisesRegex(Exception, "leave by themsel"),
        ):
            self.send(move)
        self.assertEqual(move.dte_status, "to_send")
        self.assertIn("leaves by itself", move.dte_message)
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_wishes_survive_a_document_that_cannot_be_asked_about(self):
        """One of the selected documents is unknown and the SII is away: the others leave later all the same."""
        self.settings(delays={"process": 36000})
        self.fault("cut", service="upload", step="stored")
        unknown = self.post()
        self.send(unknown)
        move = self.post()
        self.fault("http_status", status=503, count=99)
        # assertRaises of Odoo would undo what was committed
        with patch.object(SiiClient, "_pause", return_value=True), self.assertRaisesRegex(UserError, "SII"):
            self.send(unknown | move)
        self.simulator.call("DELETE", "faults")
        self.run_job()
        self.assertEqual((unknown.dte_status, move.dte_status), ("unknown", "sent"))

    def test_a_failed_document_that_is_sent_again_leaves_later(self):
        self.fault("upload_status", status=7, detail="LSX-00213", count=1)
        move = self.post()
        self.send(move)
        self.assertEqual(move.dte_status, "failed")
        self.company.sudo().dte_simulator_url, url = "http://127.0.0.1:9", self.company.sudo().dte_simulator_url
        self.env["dte.sii.session"].sudo().search([]).unlink()
        with (
            patch.object(SiiClient, "_pause", return_value=True),
            self.assertRaisesRegex(UserError, "leave by themsel"),
        ):
            self.send(move)
        self.company.sudo().dte_simulator_url = url
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_a_failing_login_leaves_the_documents_alone(self):
        move = self.queue(self.post())
        self.fault("http_status", service="seed", status=503, count=3)
        with patch.object(SiiClient, "_pause", return_value=True):
            self.run_job()
        self.assertEqual((move.dte_status, move.dte_document_id.envio_ids.ids), ("to_send", []))

    def test_stops_while_the_sii_is_away(self):
        self.company.sudo().dte_envio_size = 1
        moves = self.queue(self.post_many(3))
        self.fault("upload_status", status=9, count=9)
        self.run_job()
        self.assertEqual(sorted(moves.mapped("dte_status")), ["retry", "to_send", "to_send"])

    def test_incomplete_company_is_paused_and_somebody_called(self):
        move = self.queue(self.post())
        self.company.sudo().dte_simulator_resolution_date = False
        self.run_job()
        self.assertEqual((move.dte_status, self.uploads()), ("to_send", []))
        activity = self.company.partner_id.sudo().activity_ids
        self.assertIn("resolution", activity.note)
        self.company.sudo().dte_simulator_resolution_date = "2026-01-02"
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_a_damaged_archive_row_stops_nobody(self):
        moves = self.queue(self.post_many(3))
        backups = moves.dte_document_id.sudo().backup_id
        for backup in backups[1:]:
            self.replace_archive(backup, b"<DTE/>", keep_hash=True)
        # Of the last one a copy is left: the attachment of the invoice.
        backups[1].attachment_id.unlink()
        self.run_job()
        self.assertEqual(moves.mapped("dte_status"), ["sent", "failed", "sent"])
        self.assertIn("archived document is damaged", moves[1].dte_message)

    def test_what_cannot_be_told_stops_nobody(self):
        """The sending job survives a projection that fails, and tells about the others."""
        moves = self.queue(self.post_many(2))
        tell = type(moves.dte_document_id)._tell_archive

        def broken(document):
            if document == moves[0].dte_document_id:
                raise ValueError("told to nobody")
            return tell(document)

        with (
            patch.object(type(moves.dte_document_id), "_tell_archive", broken),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_document_tell"),
        ):
            self.run_job()
            fresh = self.queue(self.post())
            self.run_job()
        self.assertEqual((moves | fresh).mapped("dte_status"), ["sent", "sent", "sent"])
        self.assertEqual(moves.dte_document_id.sudo().mapped("told"), [False, True])
        self.run_job()
        self.assertEqual(moves.dte_document_id.sudo().mapped("told"), [True, True])

    def test_a_failing_chore_stops_nobody(self):
        move = self.queue(self.post())
        with (
            patch.object(type(self.env["dte.envio"]), "_settle_left_over", side_effect=ValueError, __name__="settle"),
            self.assertLogs("odoo.addons.l10n_cl_dte.models.dte_envio_serve", "ERROR"),
        ):
            self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_retries_do_not_delay_fresh_documents(self):
        """Each turn serves a fresh envelope before one of retries."""
        self.company.sudo().dte_envio_size = 2
        old = self.post_many(6)
        old.dte_document_id.sudo().write({"state": "retry", "retry_at": "2026-01-01", "failures": 1})
        fresh = self.queue(self.post_many(1))
        self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        envios = self.env["dte.envio"].search([("company_id", "=", self.company.id)], order="id")
        self.assertEqual(envios[0].document_ids, fresh.dte_document_id)
        self.assertEqual(envios.mapped("document_count"), [1, 2, 2, 2])

    def test_companies_take_turns(self):
        other = self.second_company()
        self.company.sudo().dte_envio_size = 1
        other.dte_envio_size = 1
        mine = self.queue(self.post_many(2))
        theirs = self.post_in(other) | self.post_in(other)
        self.queue(theirs)
        self.run_job()
        envios = self.env["dte.envio"].sudo().search([("company_id", "in", (self.company.id, other.id))], order="id")
        self.assertEqual(set(envios[:2].company_id.ids), {self.company.id, other.id}, "one of each in the first turn")
        self.assertEqual({move.dte_status for move in (*mine, *theirs)}, {"sent"})

    def test_trouble_of_one_company_is_not_the_others(self):
        other = self.second_company()
        theirs = self.queue(self.post_in(other))
        mine = self.queue(self.post())
        other.dte_simulator_resolution_date = False
        self.run_job()
        self.assertEqual((mine.dte_status, theirs.dte_status), ("sent", "to_send"))

    def test_an_unexpected_error_of_one_company_is_not_the_others(self):
        """A database error leaves the cursor unusable until it is rolled back."""
        other = self.second_company()
        theirs, mine = self.queue(self.post_in(other)), self.queue(self.post())
        turn = type(self.env["dte.envio"])._serve_turn

        def broken(envios, company, *args):
            if company == other:
                envios.env.cr.execute("SELECT 1 / 0")
            return turn(envios, company, *args)

        with (
            patch.object(type(self.env["dte.envio"]), "_serve_turn", broken),
            mute_logger("odoo.sql_db", "odoo.addons.l10n_cl_dte.models.dte_envio_serve"),
        ):
            self.run_job()
        self.assertEqual((mine.dte_status, theirs.dte_status), ("sent", "to_send"))

    def second_company(self):
        """Return another company that issues, with one folio range."""
        company = self.admin_env["res.company"].create(
            {
                "name": "Otra Empresa",
                "country_id": self.env.ref("base.cl").id,
                "currency_id": self.env.ref("base.CLP").id,
            }
        )
        self.admin_env["account.chart.template"].try_loading("cl", company)
        company = company.with_env(self.env(user=self.admin, context={"allowed_company_ids": company.ids}))
        rut = new_rut()
        set_up_company(company, self.simulator, rut)
        company.env["dte.caf"].create(
            {"caf_file": base64.b64encode(self.simulator.caf(rut, 33, 1, 9)), "company_id": company.id}
        )
        return company

    def post_in(self, company):
        journal = company.env["account.journal"].search(
            [("type", "=", "sale"), ("company_id", "=", company.id)], limit=1
        )
        journal.dte_enabled = True
        customer = make_customer(company.env, "Cliente de la otra", "77777777-7")
        move = make_invoice(journal, customer, [{"name": "Servicio", "quantity": 1, "price_unit": 1000}])
        move.action_post()
        return move

    def test_real_sii_is_out_of_reach_of_tests_and_copies(self):
        for environment in ("certification", "production"):
            with self.assertRaises(ConfigurationError):
                self.company._dte_base_url(environment)
        self.company.sudo().dte_simulator_url = "https://palena.sii.cl"
        with self.assertRaises(ConfigurationError):
            self.company._dte_base_url("simulator")
        with patch.dict(config.options, {"test_enable": False}):
            self.assertIn("palena", self.company._dte_base_url("production"))
            self.env["ir.config_parameter"].sudo().set_param("database.is_neutralized", True)
            with self.assertRaisesRegex(ConfigurationError, "real_sii_forbidden"):
                self.company._dte_base_url("production")

    def test_neutralize(self):
        self.send(self.post())
        self.company.sudo().write({"dte_environment": "production", "dte_archive_url": f"memory://{self.rut}"})
        self.env.flush_all()
        self.env.cr.execute(NEUTRALIZE.read_text(encoding="utf-8"))
        self.env.invalidate_all()
        company = self.company.sudo()
        self.assertEqual(
            (
                company.dte_environment,
                company.dte_simulator_url,
                company.dte_archive_url,
                company.dte_certificate_id.ids,
            ),
            ("simulator", False, False, []),
        )
        self.assertFalse(self.env["dte.sii.session"].sudo().search([]))
