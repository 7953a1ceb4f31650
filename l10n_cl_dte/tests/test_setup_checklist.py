# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta
from unittest.mock import patch

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..libs import simulator_control, transport
from ..libs.exceptions import AuthenticationError
from ..libs.sii_answers import EnvelopeStatus
from ..libs.sii_soap_client import SiiClient
from ..wizards.dte_setup_checks import JOBS
from ..wizards.dte_setup_permission import judge
from .archive import ArchiveCommon
from .simulated import load_certificate, register_company


@tagged("post_install_l10n", "post_install", "-at_install")
class TestSetupChecklist(ArchiveCommon):
    def setUp(self):
        super().setUp()
        self.manager = self.manager_env().user

    def open_screen(self):
        env = self.env(user=self.manager.id)
        return env["dte.setup"].browse(env["dte.setup"]._open()["res_id"])

    def line(self, code, setup=None):
        [line] = (setup or self.open_screen()).line_ids.filtered(lambda line: line.code == code)
        return line

    def state(self, code):
        return self.line(code).state

    def press(self, line):
        with self.committing() as env:
            result = line.with_env(env(user=self.manager.id)).action_go()
        return result

    def test_a_company_that_can_issue(self):
        with patch.object(transport, "post", side_effect=AssertionError("a screen asks nobody"), create=True):
            setup = self.open_screen()
        states = {line.code: line.state for line in setup.line_ids}
        self.assertEqual(setup.missing, 0, setup.line_ids.mapped("text"))
        for code in ("company", "rut", "giro", "activities", "office", "certificate", "caf_33", "journal"):
            self.assertEqual(states[code], "ok", self.line(code, setup).text)
        self.assertIn("11111111-1", self.line("certificate", setup).text)
        self.assertIn("the next one is 1", self.line("caf_33", setup).text)
        self.assertTrue(all(setup.line_ids.mapped("name")))

    def test_what_is_missing_is_said(self):
        company = self.company.sudo()
        for code, record, values, words in (
            ("company", company, {"street": False}, "street"),
            ("company", company.partner_id, {"city": False, "dte_comuna": False}, "comuna"),
            ("rut", company.partner_id, {"vat": False}, "no RUT"),
            ("giro", company.partner_id, {"l10n_cl_activity_description": False}, "what the company does"),
            ("activities", company, {"dte_activity_codes": False}, "activity codes"),
            ("office", company, {"dte_sii_office": False}, "office"),
            ("resolution", company, {"dte_simulator_resolution_date": False}, "resolution"),
            ("certificate", company, {"dte_certificate_id": False}, "no digital certificate"),
            ("journal", self.journal.sudo(), {"dte_enabled": False}, "No sales journal"),
            ("mail_out", company, {"email": False}, "e-mail"),
            ("jobs", self.env.ref("l10n_cl_dte.ir_cron_send").sudo(), {"active": False}, "do not run"),
        ):
            with self.subTest(code, words=words):
                before = {name: record[name] for name in values}
                record.write(values)
                line = self.line(code)
                self.assertEqual(line.state, "missing")
                self.assertIn(words, line.text)
                record.write({name: getattr(value, "id", value) for name, value in before.items()})
                self.assertNotEqual(self.state(code), "missing")

    def test_folios(self):
        cafs = self.env["dte.caf"].sudo().search([("company_id", "=", self.company.id)])
        cafs.active = False
        self.assertEqual([self.state(f"caf_{code}") for code in (33, 61, 34, 56)], ["missing"] * 2 + ["warning"] * 2)
        cafs.active = True
        self.assertEqual(self.state("caf_33"), "ok")
        for _number in range(2):
            self.post()
        self.assertIn("98 folios, the next one is 3", self.line("caf_33").text)
        cafs.filtered(lambda caf: caf.dte_type == "33").expires_on = self.company._dte_now().date() + timedelta(days=3)
        self.assertEqual(self.state("caf_33"), "warning")

    def test_certificate_near_its_end(self):
        soon = self.company._dte_now() + timedelta(days=5)
        certificate = self.simulator.certificate(to=soon.isoformat())
        load_certificate(self.company.with_env(self.admin_env), *certificate)
        self.assertEqual(self.state("certificate"), "warning")

    def test_taxes(self):
        tax = self.company.sudo().account_sale_tax_id
        tax.copy({"name": "Sin código", "l10n_cl_sii_code": 0})
        line = self.line("taxes")
        self.assertEqual(line.state, "warning")
        self.assertIn("Sin código", line.text)
        sales = [("company_id", "=", self.company.id), ("type_tax_use", "=", "sale")]
        self.env["account.tax"].sudo().search(sales).l10n_cl_sii_code = 0
        self.manager.sudo().group_ids += self.env.ref("base.group_system")
        line = self.line("taxes")
        self.assertEqual(line.state, "missing")
        self.assertEqual(line.action_go()["params"]["field"], "chart_template")

    def test_archive(self):
        self.assertEqual(self.state("archive"), "ok")
        for path in self.folder.iterdir():
            path.unlink()
        self.assertEqual(self.state("archive"), "missing")
        self.company.sudo().dte_archive_url = False
        self.assertEqual(self.state("archive"), "warning")

    def test_incoming_mail(self):
        company = self.company.sudo()
        company.dte_mail_alias_name = False
        company.alias_domain_id = False
        servers = self.env["fetchmail.server"].sudo()
        servers.search([]).active = False
        self.manager.sudo().group_ids += self.env.ref("base.group_system")

        def look(words, state="warning"):
            line = self.line("mail_in")
            self.assertEqual(line.state, state)
            self.assertIn(words, line.text)
            return line

        line = look("No mail domain")
        self.assertEqual(line.action_go()["params"]["field"], "alias_domain_id")
        company.alias_domain_id = company.env["mail.alias.domain"].create({"name": f"empresa{company.id}.example"})
        line = look("no mail address")
        self.assertEqual(line.action_go()["params"]["field"], "dte_mail_alias_name")
        company.dte_mail_alias_name = "dte"
        line = look("No incoming mail server")
        self.assertEqual(line.action_go()["res_model"], "fetchmail.server")
        server = servers.create({"name": "Correo", "server_type": "imap", "server": "imap.example"})
        look("No incoming mail server")
        server.state = "done"
        look("Correo", "ok")
        server.active = False
        self.env["dte.mail"].sudo().create({"company_id": company.id})
        look("Mails arrive", "ok")

    def test_coming_back_shows_what_is_there_now(self):
        """A line stays the same row, so that a button pressed meanwhile finds it."""
        self.company.sudo().dte_sii_office = False
        setup = self.open_screen()
        line = self.line("office", setup)
        self.assertEqual(line.state, "missing")
        self.company.sudo().dte_sii_office = "ÑUÑOA"
        [values] = setup.web_read({"missing": {}, "line_ids": {"fields": {"state": {}, "text": {}}}})
        self.assertEqual(values["missing"], 0)
        shown = {row["id"]: (row["state"], row["text"]) for row in values["line_ids"]}
        self.assertEqual(shown[line.id], ("ok", "ÑUÑOA"))

    def test_a_page_that_was_left_open_for_days(self):
        setup = self.open_screen()
        setup.unlink()
        self.assertEqual(setup.web_read({"missing": {}}), [])

    def test_environment(self):
        company = self.company.sudo()
        address, key = company.dte_simulator_url, company.dte_simulator_key
        self.assertIn("no tax validity", self.line("environment").text)
        company.write({"dte_simulator_url": False, "dte_simulator_key": False})
        self.assertIn("address of the simulator", self.line("environment").text)
        settings = self.admin_env["res.config.settings"]
        settings.create({"dte_simulator_url": "http://127.0.0.1:1"}).set_values()
        line = self.line("environment")
        self.assertEqual(line.state, "missing", "nothing answers there, and saving goes on")
        self.assertIn("http://127.0.0.1:1", line.text)
        settings.create({"dte_simulator_url": address}).set_values()
        self.assertEqual((company.dte_simulator_key, self.state("environment")), (key, "ok"))
        other = rsa.generate_private_key(65537, 2048).public_key()
        company.dte_simulator_key = other.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        settings.create({}).set_values()
        self.assertEqual(company.dte_simulator_key, key, "of the simulator that is there now")
        with patch.object(simulator_control, "read_caf_key", return_value="no key"):
            settings.create({}).set_values()
        self.assertEqual(company.dte_simulator_key, key)
        company.dte_environment = "production"
        self.assertIn("real", self.line("environment").text)

    def test_an_only_journal_is_opened_itself(self):
        sales = self.env["account.journal"].sudo().search(
            [("type", "=", "sale"), ("company_id", "=", self.company.id), ("id", "!=", self.journal.id)]
        )  # fmt: skip
        sales.active = False
        action = self.line("journal").action_go()
        self.assertEqual(action["params"]["field"], "dte_enabled")
        self.assertEqual(action["params"]["action"]["res_id"], self.journal.id)
        sales[:1].active = True
        self.journal.sudo().copy()
        self.assertEqual(self.line("journal").action_go()["res_model"], "account.journal")

    def test_outgoing_mail_leads_to_what_is_missing(self):
        self.manager.sudo().group_ids += self.env.ref("base.group_system")
        self.assertEqual(self.line("mail_out").action_go()["res_model"], "ir.mail_server")
        self.company.sudo().email = False
        self.assertEqual(self.line("mail_out").action_go()["params"]["field"], "email")

    def test_jobs_that_never_ran(self):
        self.env.ref("l10n_cl_dte.ir_cron_send").sudo().lastcall = False
        line = self.line("jobs")
        self.assertEqual(line.state, "warning")
        self.assertIn("not run yet", line.text)

    def test_nobody_is_led_to_the_screen_after_an_installation_without_browser(self):
        todo = self.env.ref("l10n_cl_dte.dte_setup_todo").sudo()
        self.assertEqual(todo.state, "done")
        self.assertEqual(todo.action_launch()["url"], "/odoo/dte-setup")
        self.assertEqual(self.env.ref("l10n_cl_dte.dte_setup_action").sudo().path, "dte-setup")

    def test_every_job_is_looked_at(self):
        own = [("module", "=", "l10n_cl_dte"), ("model", "=", "ir.cron")]
        self.assertEqual(sorted(self.env["ir.model.data"].sudo().search(own).mapped("name")), sorted(JOBS))
        for name in JOBS:
            cron = self.env.ref(f"l10n_cl_dte.{name}").sudo()
            cron.active = False
            line = self.line("jobs")
            self.assertEqual(line.state, "missing")
            self.assertIn(cron.name, line.text)
            cron.active = True

    def test_try_now(self):
        line = self.line("login")
        self.press(line)
        self.assertEqual(line.state, "ok")
        self.assertIn("11111111-1", line.text)
        register_company(self.company, self.simulator, query=False)
        self.press(line)
        self.assertEqual(line.state, "missing")
        self.assertIn("may not act", line.text)
        again = self.line("login")
        self.assertEqual((again.state, again.text), ("missing", line.text), "a later look forgets nothing")
        self.company.sudo().dte_simulator_url = "http://127.0.0.1:9"
        self.assertIn("has not been tried", self.line("login").text)
        self.press(line)
        self.assertEqual(line.state, "warning")

    def test_an_answer_holds_for_its_certificate(self):
        self.press(self.line("login"))
        self.company.sudo().write({"dte_environment": "simulator", "dte_sii_office": "OTRA"})
        self.assertEqual(self.state("login"), "ok", "nothing was changed that it depends on")
        self.company.sudo().dte_certificate_id = False
        line = self.line("login")
        self.assertEqual(line.state, "warning")
        self.assertIn("has not been tried", line.text)

    def test_a_login_that_fails_later_counts(self):
        self.press(self.line("login"))
        later = fields.Datetime.now() + timedelta(minutes=1)
        self.env["dte.sii.call"].sudo().create(
            {
                "company_id": self.company.id, "environment": "simulator", "service": "login",
                "outcome": "certificate", "called_at": later,
            }
        )  # fmt: skip
        self.assertEqual(self.state("login"), "missing")

    def test_what_the_sii_may_answer(self):
        for state, err_code, found in (
            ("-11", "1", "ok"),
            ("-11", "2", "warning"),
            ("EPR", "", "ok"),
            ("106", "", "missing"),
            ("-3", "", "missing"),
            ("-6", "", "missing"),
            ("-10", "", "missing"),
            ("-13", "", "missing"),
            ("-4", "", "warning"),
            ("107", "", "warning"),
            ("XYZ", "", "warning"),
        ):
            with self.subTest(state=state, err_code=err_code):
                self.assertEqual(judge(EnvelopeStatus(state, "", err_code, ()))[0], found)
        line = self.line("login")
        refusal = AuthenticationError("sii_token_refused", sii_code="003", sii_text="TOKEN NO EXISTE")
        with patch.object(SiiClient, "envelope_status", side_effect=refusal):
            self.press(line)
        self.assertEqual(line.state, "warning")
        self.assertIn("003 TOKEN NO EXISTE", line.text)

    def test_document(self):
        """It goes the way of every document, in a journal of its own, and its verdict is shown."""
        line = self.line("test")
        self.assertEqual(line.state, "warning")
        self.press(line)
        move = self.company.sudo().dte_test_move_id
        self.assertEqual((move.dte_status, move.amount_total), ("sent", 119))
        self.assertTrue(line.is_waiting)
        self.assertNotEqual(move.journal_id, self.journal)
        self.assertFalse(self.journal.dte_environment, "the company's own journal stays free for production")
        self.simulator.call("POST", "process")
        setup = self.open_screen()
        self.press(self.line("test", setup))
        self.assertEqual(move.dte_status, "accepted")
        line = self.line("test")
        self.assertEqual(line.state, "ok")
        self.assertIn("Accepted", line.text)
        self.assertFalse(line.is_waiting)
        self.assertEqual(len(self.documents()), 1, "the second press asked, it issued nothing")

    def test_never_in_production(self):
        line = self.line("test")
        self.company.sudo().dte_environment = "production"
        with self.assertRaisesRegex(UserError, "never issued in production"):
            line.action_go()
        self.assertEqual((self.state("test"), len(self.documents())), ("ok", 0))

    def test_every_button_leads_somewhere(self):
        self.manager.sudo().group_ids += self.env.ref("base.group_system")
        for line in self.open_screen().line_ids:
            if line.code not in ("login", "test"):
                action = line.action_go()
                self.assertIn(action["type"], ("ir.actions.act_window", "ir.actions.client"), line.code)

    def test_who_may(self):
        with self.assertRaises(AccessError):
            self.env(user=self.make_user())["dte.setup"]._open()
        with self.assertRaisesRegex(UserError, "administrator"):
            self.line("archive").action_go()

    def make_user(self):
        return self.dte_user.sudo().copy(
            {"login": "otra", "group_ids": [(6, 0, self.env.ref("l10n_cl_dte.group_dte_user").ids)]}
        )
