# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import io
from unittest.mock import patch

from pypdf import PdfReader

from odoo.exceptions import UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..libs import print_words, timbre
from ..libs.exceptions import SignatureError
from ..models.dte_backup import XML_DECLARATION
from .common import ServedCursor
from .exchange import ExchangeCommon


class SendPrintCommon(ExchangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.customer.email = "cliente@cliente.example"

    def setUp(self):
        super().setUp()
        # What the PDF looks like is another test's business.
        reports = type(self.env["ir.actions.report"])
        self.startPatcher(patch.object(reports, "_pre_render_qweb_pdf", lambda *_args, **_values: (b"", "pdf")))
        self.startPatcher(
            patch.object(
                type(self.env["account.move.send"]), "_prepare_invoice_pdf_report",
                lambda _self, data: [
                    values.update(
                        pdf_attachment_values={
                            "name": f"{move.id}.pdf", "raw": b"%PDF-1.4", "mimetype": "application/pdf",
                            "res_model": move._name, "res_id": move.id, "res_field": "invoice_pdf_report_file",
                        }
                    )
                    for move, values in data.items()
                ],
            )
        )  # fmt: skip

    def wizard(self, move, **values):
        return self.env["account.move.send.wizard"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create(values)  # fmt: skip

    def alerts(self, moves, **values):
        """Return the alerts about electronic documents by their code."""
        if len(moves) == 1:
            alerts = self.wizard(moves, **values).alerts
        else:
            wizard = self.env["account.move.send.batch.wizard"].with_context(
                active_ids=moves.ids, active_model="account.move"
            )
            alerts = wizard.create({"move_ids": [(6, 0, moves.ids)]}).alerts
        return {code: alert for code, alert in (alerts or {}).items() if code.startswith("cl_dte")}

    def attachments(self, move):
        return {file.name: file.raw for file in move.message_ids.attachment_ids}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestSendPrint(SendPrintCommon):
    def test_the_document_leaves_and_the_customer_gets_pdf_and_xml(self):
        move = self.post()
        wizard = self.wizard(move)
        self.assertTrue(wizard.extra_edi_checkboxes["cl_dte"]["checked"])
        name = move.dte_document_id.sudo().backup_id.xml_filename
        self.assertIn(name, [file["name"] for file in wizard.mail_attachments_widget])
        with self.mock_smtplib_connection():
            wizard.action_send_and_print()
        self.assertTrue(move.dte_is_queued)
        self.assertEqual(move.dte_status, "to_send")
        self.assertFalse(self.held())
        files = self.attachments(move)
        self.assertEqual(files[name], XML_DECLARATION + move._dte_xml())
        self.assertEqual(files[f"{move.id}.pdf"], b"%PDF-1.4")
        self.run_job()
        self.assertEqual(move.dte_status, "sent")

    def test_the_box_can_be_left_out_and_says_so(self):
        move = self.post()
        wizard = self.wizard(move)
        wizard.extra_edi_checkboxes = {"cl_dte": {**wizard.extra_edi_checkboxes["cl_dte"], "checked": False}}
        self.assertIn("cl_dte_left_out", wizard.alerts)
        with self.mock_smtplib_connection():
            wizard.action_send_and_print()
        self.assertFalse(move.dte_is_queued)

    def test_the_xml_can_be_left_out(self):
        move = self.post()
        wizard = self.wizard(move)
        name = move.dte_document_id.sudo().backup_id.xml_filename
        wizard.mail_attachments_widget = [
            {**file, "skip": True} if file["name"] == name else file for file in wizard.mail_attachments_widget
        ]
        with self.mock_smtplib_connection():
            wizard.action_send_and_print()
        self.assertNotIn(name, self.attachments(move))

    def test_what_was_sent_needs_no_box(self):
        move = self.accepted()
        self.assertNotIn("cl_dte", self.wizard(move).extra_edis or {})
        self.assertFalse(self.alerts(move))

    def clerk(self):
        """Return a user who may invoice and mail invoices, and may not send documents."""
        return new_test_user(
            self.env(su=True), "print_clerk", "account.group_account_invoice", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip

    def test_only_who_may_send_documents_has_the_box(self):
        clerk = self.clerk()
        send = self.env["account.move.send"]
        move = self.post()
        self.assertTrue(send._is_cl_dte_applicable(move))
        self.assertFalse(send.with_user(clerk)._is_cl_dte_applicable(move.with_user(clerk)))

    def test_everything_that_is_missing_is_told_at_once(self):
        move = self.post()
        self.customer.dte_exchange_email = False
        self.company.sudo().write({"dte_certificate_id": False, "dte_simulator_resolution_date": False})
        alerts = self.alerts(move)
        company = alerts[f"cl_dte_company_{self.company.id}"]
        self.assertEqual(company["level"], "danger")
        self.assertRegex(company["message"], "resolution.*certificate")
        self.assertEqual(alerts["cl_dte_no_address"]["action"]["res_model"], "res.partner")
        with self.assertRaisesRegex(UserError, "cannot leave"):
            self.wizard(move).action_send_and_print()

    def test_an_administrator_is_led_to_the_settings(self):
        move = self.post()
        self.company.sudo().dte_certificate_id = False
        admin = self.admin_env["account.move"].browse(move.id)
        wizard = self.admin_env["account.move.send.wizard"].with_context(
            active_model="account.move", active_ids=admin.ids
        )
        alert = wizard.create({}).alerts[f"cl_dte_company_{self.company.id}"]
        self.assertTrue(alert["action"])

    def test_a_rejected_document_goes_to_nobody(self):
        move, other = self.accepted(), self.accepted()
        move.dte_document_id.sudo()._set_state("rejected")
        for moves in (move, move | other):
            alert = self.alerts(moves)["cl_dte_not_valid"]
            self.assertEqual((alert["level"], alert["action"]["res_id"]), ("danger", move.id))
        with self.assertRaisesRegex(UserError, "rejected"):
            self.wizard(move).action_send_and_print()
        with mute_logger("odoo.addons.account.models.account_move_send"), self.assertRaises(UserError):
            self.env["account.move.send"]._generate_and_send_invoices(move)
        self.assertFalse(move.is_move_sent)

    def test_a_rejected_document_is_not_mailed_as_a_pro_forma_either(self):
        good, bad = self.accepted(), self.accepted()
        bad.dte_document_id.sudo()._set_state("rejected")

        def pro_forma(_self, move, data):
            values = {"name": "proforma.pdf", "raw": b"%PDF-1.4", "res_model": move._name, "res_id": move.id}
            data["proforma_pdf_attachment_values"] = values

        send = self.env["account.move.send"]
        with (
            self.mock_smtplib_connection(),
            patch.object(type(send), "_prepare_invoice_proforma_pdf_report", pro_forma),
        ):
            send._generate_and_send_invoices(
                good | bad, allow_raising=False, allow_fallback_pdf=True, sending_methods=["email"]
            )
        self.assertEqual((good.is_move_sent, bad.is_move_sent), (True, False))
        self.assertIn("is not sent to the customer", bad.message_ids[0].body)
        self.assertFalse(self.attachments(bad))
        self.assertTrue(self.attachments(good))

    def test_other_states_are_told(self):
        for state, code in (
            ("failed", "cl_dte_failed"),
            ("unknown", "cl_dte_unclear"),
            ("contingency", "cl_dte_contingency"),
        ):
            with self.subTest(state=state):
                move = self.post()
                move.dte_document_id.sudo()._set_state(state)
                self.assertIn(code, self.alerts(move))

    def test_what_the_sii_does_not_take_goes_to_nobody(self):
        move, other = self.post(), self.post()
        for document in (move | other).dte_document_id.sudo():
            document._set_state("failed", "sii_upload_refused", error_type="validation")
        for moves in (move, move | other):
            self.assertEqual(self.alerts(moves)["cl_dte_refused"]["level"], "danger")
        self.assertNotIn("cl_dte", self.wizard(move).extra_edi_checkboxes or {})
        with self.assertRaisesRegex(UserError, "correct it"):
            self.wizard(move).action_send_and_print()
        move.sudo().sending_data = {
            "author_user_id": self.dte_user.id, "author_partner_id": self.dte_user.partner_id.id
        }  # fmt: skip
        with self.mock_smtplib_connection():
            self.run_job("account.move", "_cron_account_move_send")
        self.assertEqual((move.is_move_sent, move.dte_status), (False, "failed"))

    def test_what_failed_leaves_again_only_when_a_person_ticks_the_box(self):
        line, given_up, other = self.post(), self.post(), self.post()
        line.dte_document_id.sudo()._set_state("failed", "sii_unreachable", error_type="connection")
        # The type of error of a split envelope is left over.
        given_up.dte_document_id.sudo()._set_state("to_send", error_type="validation")
        given_up.dte_document_id.sudo()._give_up()
        for move in (line, given_up):
            with self.subTest(code=move.dte_document_id.message_code), self.mock_smtplib_connection():
                box = self.wizard(move).extra_edi_checkboxes["cl_dte"]
                self.assertFalse(box["checked"])
                self.assertFalse(self.wizard(move).extra_edis)
                self.wizard(move).action_send_and_print()
                self.assertEqual((move.is_move_sent, move.dte_status), (True, "failed"))
        batch = self.env["account.move.send.batch.wizard"].create({"move_ids": [(6, 0, (line | other).ids)]})
        self.assertEqual(batch.summary_data["cl_dte"]["count"], 1)
        wizard = self.wizard(line)
        wizard.extra_edi_checkboxes = {"cl_dte": {**wizard.extra_edi_checkboxes["cl_dte"], "checked": True}}
        with self.mock_smtplib_connection():
            wizard.action_send_and_print()
        self.assertTrue(line.dte_is_queued)

    def test_a_pause_is_told(self):
        move = self.post()
        self.env["dte.pause"].sudo()._begin(self.company.sudo(), "simulator", "sii_upload_refused", {})
        self.assertIn(f"cl_dte_paused_{self.company.id}", self.alerts(move))

    def test_a_batch_leaves_in_the_background(self):
        moves = self.post() | self.post() | self.post()
        wizard = self.env["account.move.send.batch.wizard"].create({"move_ids": [(6, 0, moves.ids)]})
        wizard.action_send_and_print()
        self.assertTrue(all(move.sending_data for move in moves))
        self.assertFalse(moves[0].dte_is_queued)
        with self.mock_smtplib_connection():
            self.run_job("account.move", "_cron_account_move_send")
        for move in moves:
            self.assertTrue(move.dte_is_queued)
            self.assertIn(move.dte_document_id.sudo().backup_id.xml_filename, self.attachments(move))
        self.run_job()
        self.assertEqual(set(moves.mapped("dte_status")), {"sent"})

    def test_a_batch_sends_no_document_for_who_may_not(self):
        moves = self.post() | self.post()
        batch = self.env["account.move.send.batch.wizard"].with_user(self.clerk())
        batch.create({"move_ids": [(6, 0, moves.ids)]}).action_send_and_print()
        with self.mock_smtplib_connection():
            self.run_job("account.move", "_cron_account_move_send")
        self.assertTrue(all(moves.mapped("is_move_sent")))
        self.assertFalse(any(moves.mapped("dte_is_queued")))

    def test_who_sent_the_invoice_is_told_when_its_document_has_left(self):
        move, *batch = self.post(), self.post(), self.post()
        with self.mock_smtplib_connection():
            self.wizard(move).action_send_and_print()
        boss = new_test_user(
            self.env(su=True), "print_boss", "l10n_cl_dte.group_dte_manager", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        moves = self.env["account.move"].union(*batch)
        wizard = self.env["account.move.send.batch.wizard"].with_user(boss).create({"move_ids": [(6, 0, moves.ids)]})
        wizard.action_send_and_print()
        with self.mock_smtplib_connection():
            self.run_job("account.move", "_cron_account_move_send")
        self.assertEqual(move.dte_document_id.sudo().queued_by, self.dte_user)
        self.assertEqual(moves.dte_document_id.sudo().queued_by, boss)
        system = self.post()
        with self.mock_smtplib_connection():
            self.env(user=self.env.ref("base.user_root"))["account.move.send"]._generate_and_send_invoices(system)
        self.assertTrue(system.dte_is_queued)
        self.assertFalse(system.dte_document_id.sudo().queued_by)

    def lock(self, busy):
        """Let somebody else work on some documents."""
        documents = self.registry["dte.document"]
        lock = documents.try_lock_for_update
        patcher = patch.object(
            documents, "try_lock_for_update",
            lambda found, **options: lock(found.browse([each for each in found.ids if each not in busy.ids])),
        )  # fmt: skip
        patcher.start()
        self.addCleanup(patcher.stop)
        return patcher

    def test_what_somebody_else_works_on_is_not_handed_over(self):
        move = self.post()
        self.lock(move.dte_document_id)
        with self.mock_smtplib_connection(), self.assertRaisesRegex(UserError, "Somebody else is working on"):
            self.wizard(move).action_send_and_print()
        self.assertFalse(move.is_move_sent)

    def test_a_batch_comes_back_to_what_somebody_else_works_on(self):
        busy, waiting, free = self.post(), self.post(), self.post()
        waiting.dte_document_id.sudo().queued_at = "2026-01-01"
        moves = busy | waiting | free
        moves.sudo().sending_data = {
            "author_user_id": self.dte_user.id, "author_partner_id": self.dte_user.partner_id.id
        }  # fmt: skip
        lock = self.lock((busy | waiting).dte_document_id)
        for sent in (False, True):
            with self.mock_smtplib_connection():
                self.run_job("account.move", "_cron_account_move_send")
            self.assertEqual(moves.mapped("is_move_sent"), [sent, True, True], "what is queued leaves by itself")
            self.assertEqual(moves.mapped("dte_is_queued"), [sent, True, True])
            self.assertEqual(bool(busy.sending_data), not sent)
            said = " ".join(str(body) for body in busy.message_ids.mapped("body"))
            self.assertNotIn("Somebody else is working", said, "the job looks again in a moment")
            if not sent:
                lock.stop()

    def test_a_document_that_does_not_leave_from_here_is_told(self):
        move = self.post()
        self.company.sudo().vat = "76543210-3"
        self.assertNotIn("cl_dte", self.wizard(move).extra_edis or {})
        alerts = self.alerts(move)
        self.assertIn("cl_dte_stranded", alerts)
        self.assertNotIn("cl_dte_left_out", alerts, "there is no box to tick")

    def test_a_document_rejected_meanwhile_stays_out_of_the_batch(self):
        good, bad = self.accepted(), self.accepted()
        (good | bad).sudo().sending_data = {
            "author_user_id": self.dte_user.id, "author_partner_id": self.dte_user.partner_id.id
        }  # fmt: skip
        bad.dte_document_id.sudo()._set_state("rejected")
        with self.mock_smtplib_connection():
            self.run_job("account.move", "_cron_account_move_send")
        self.assertEqual((good.is_move_sent, bad.is_move_sent), (True, False))
        self.assertIn("is not sent to the customer", bad.message_ids[0].body)

    def test_the_xml_goes_with_the_invoice_where_that_is_chosen(self):
        self.company.sudo().dte_exchange_when = "invoice"
        move = self.post()
        with self.mock_smtplib_connection():
            self.wizard(move).action_send_and_print()
        self.assertFalse(self.rows(move))
        self.run_job()
        self.ask(move)
        self.assertEqual(self.rows(move).state, "to_send")
        other = self.accepted()
        self.assertFalse(self.rows(other))
        with self.mock_smtplib_connection():
            self.wizard(other).action_send_and_print()
        self.assertEqual(self.rows(other).state, "to_send")

    def test_other_invoices_are_as_before(self):
        journal = self.other_journal(dte_enabled=False)
        move = self.post(journal=journal)
        self.assertFalse(self.alerts(move))
        self.assertNotIn("cl_dte", self.wizard(move).extra_edis or {})
        self.assertIsNone(move._dte_customer_file())
        self.assertEqual(move._dte_portal_values(), {})


@tagged("post_install_l10n", "post_install", "-at_install")
class TestSentPaper(ServedCursor, ExchangeCommon, HttpCase):
    """The PDF that leaves with the mail, really made; with a server, which gives wkhtmltopdf the styles."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.customer.email = "cliente@cliente.example"

    def in_background(self, moves, author=None):
        """Let the job send invoices that a user has left to it in the batch window."""
        author = author or self.dte_user
        moves.sudo().sending_data = {"author_user_id": author.id, "author_partner_id": author.partner_id.id}
        job = self.env(user=self.env.ref("base.user_root"), context={"force_report_rendering": True})
        # In the cursor of the test, which the server needs too while wkhtmltopdf asks it for the styles.
        self.patch(type(job["ir.cron"]), "_commit_progress", lambda *_args, **_values: 0)
        with self.mock_smtplib_connection():
            job["account.move"]._cron_account_move_send()

    def mailed(self, move) -> str:
        """Return the text of the only PDF that went with the last mail about an invoice."""
        files = move.message_ids.sorted("id").filtered("attachment_ids")[-1].attachment_ids
        [pdf] = [file.raw for file in files if file.mimetype == "application/pdf"]
        return " ".join(" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages)

    def send_now(self, move, **settings):
        """Press Send; return the text of the PDF that was mailed."""
        send = self.env["account.move.send"].with_context(force_report_rendering=True)
        with self.mock_smtplib_connection():
            send._generate_and_send_invoices(move.with_env(send.env), sending_methods=["email"], **settings)
        return self.mailed(move)

    def test_the_paper_of_what_leaves_now_says_nothing_of_waiting(self):
        move = self.post()
        self.assertNotIn("PENDIENTE", self.send_now(move))
        self.assertTrue(move.dte_is_queued)
        file = move.invoice_pdf_report_id
        self.run_job()
        self.assertEqual((move.dte_status, move.invoice_pdf_report_id), ("sent", file), "it says what it said")

    def test_the_paper_of_what_nobody_asked_to_send_says_so(self):
        move = self.post()
        self.assertIn("PENDIENTE DE ENV", self.send_now(move, extra_edis=[]))
        self.assertNotIn("PENDIENTE", self.send_now(move))

    def test_a_paper_that_is_clicked_away_does_not_come_back_as_a_new_one(self):
        move = self.post()
        self.send_now(move, extra_edis=[])
        send = self.env["account.move.send"].with_context(force_report_rendering=True)
        files = send._get_default_mail_attachments_widget(move.with_env(send.env), self.env["mail.template"])
        self.assertIn(move.invoice_pdf_report_id.id, [file["id"] for file in files])
        chosen = [{**file, "skip": file["mimetype"] == "application/pdf"} for file in files]
        with self.mock_smtplib_connection():
            send._generate_and_send_invoices(
                move.with_env(send.env), sending_methods=["email"], mail_attachments_widget=chosen
            )
        self.assertTrue(move.dte_is_queued)
        attached = move.message_ids.sorted("id").filtered("attachment_ids")[-1].attachment_ids
        self.assertEqual([file.name.rpartition(".")[2] for file in attached], ["xml"])

    def test_the_kept_paper_goes_when_the_document_is_held(self):
        move = self.post()
        self.send_now(move)
        contingency = self.env["dte.contingency"].sudo()
        contingency.create({"company_id": self.company.id, "environment": "simulator"})._begin("manual")
        self.run_job()
        self.assertEqual(move.dte_status, "contingency")
        self.assertFalse(move.invoice_pdf_report_id)
        self.assertEqual(move._dte_sheet()["mark"], print_words.CONTINGENCY)

    def test_what_cannot_be_printed_stops_no_other(self):
        damaged, undrawable, good = (self.post() for _ in range(3))
        self.replace_archive(damaged.sudo().dte_document_id.backup_id, b"<DTE>otra cosa</DTE>")
        draw = timbre.draw

        def refuse(ted, **sizes):
            if ted == timbre.ted_of(undrawable._dte_xml()):
                raise SignatureError("timbre_unprintable")
            return draw(ted, **sizes)

        self.patch(timbre, "draw", refuse)
        with mute_logger("odoo.addons.l10n_cl_dte.models.dte_backup"):
            self.in_background(damaged | undrawable | good)
        moves = damaged | undrawable | good
        self.assertEqual(moves.mapped("is_move_sent"), [False, False, True])
        self.assertEqual(moves.mapped("dte_is_queued"), [False, False, True])
        self.assertFalse(any(moves.mapped("sending_data")), "they would come first for ever")
        self.assertIn(f"N° {good.dte_folio}", self.mailed(good))
        self.assertRegex(damaged.message_ids[0].body, "is not sent to the customer.*cannot be printed.*Restore")
        self.assertRegex(undrawable.message_ids[0].body, "cannot be printed: its timbre")

    def test_what_cannot_be_printed_anew_stops_no_other(self):
        damaged, good = self.post(), self.post()
        self.send_now(damaged, extra_edis=[])
        self.assertTrue(damaged.invoice_pdf_report_id)
        self.replace_archive(damaged.sudo().dte_document_id.backup_id, b"<DTE>otra cosa</DTE>")
        with mute_logger("odoo.addons.l10n_cl_dte.models.dte_backup"):
            self.in_background(damaged | good)
        self.assertEqual((damaged.dte_is_queued, good.dte_is_queued, good.is_move_sent), (False, True, True))

    def test_what_cannot_be_printed_is_told_on_the_screen(self):
        move = self.post()
        self.replace_archive(move.sudo().dte_document_id.backup_id, b"<DTE>otra cosa</DTE>")
        wizard = self.env["account.move.send.wizard"].with_context(active_model="account.move", active_ids=move.ids)
        for allow_fallback_pdf in (False, True):
            with self.subTest(fallback=allow_fallback_pdf), self.mock_smtplib_connection():
                if allow_fallback_pdf:
                    wizard.create({}).action_send_and_print(allow_fallback_pdf=True)
                else:
                    with self.assertRaisesRegex(UserError, "cannot be printed"):
                        wizard.create({}).action_send_and_print()
                self.assertFalse(self.emails)
                self.assertFalse(move.is_move_sent)


@tagged("post_install_l10n", "post_install", "-at_install")
class TestPortal(ServedCursor, SendPrintCommon, HttpCase):
    def setUp(self):
        super().setUp()
        self.move = self.accepted()
        self.link = f"/my/invoices/{self.move.id}"
        self.token = self.move.sudo()._portal_ensure_token()

    def get(self, path, **parameters):
        self.env.flush_all()
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return self.url_open(f"{path}?{query}", allow_redirects=False)

    def test_who_has_the_link_sees_status_and_xml(self):
        page = self.get(self.link, access_token=self.token)
        self.assertIn("Accepted by the SII", page.text)
        self.assertIn(f"{self.link}/dte?access_token={self.token}", page.text)
        self.assertNotIn(self.move.dte_track_id, page.text)
        file = self.get(f"{self.link}/dte", access_token=self.token)
        self.assertEqual(file.content, XML_DECLARATION + self.move._dte_xml())
        self.assertIn("attachment", file.headers["Content-Disposition"])
        self.assertIn("ISO-8859-1", file.headers["Content-Type"])

    def test_nobody_else_does(self):
        for parameters in ({}, {"access_token": "x"}, {"access_token": self.accepted().sudo()._portal_ensure_token()}):
            answer = self.get(f"{self.link}/dte", **parameters)
            self.assertEqual(answer.status_code, 303)
            self.assertNotIn(b"<DTE", answer.content)

    def test_portal_users_see_their_own(self):
        def user(login, partner):
            return self.env["res.users"].sudo().create(
                {
                    "name": login, "login": login, "password": login, "partner_id": partner.id,
                    "group_ids": [(6, 0, [self.env.ref("base.group_portal").id])],
                }
            )  # fmt: skip

        user("portal_own", self.env["res.partner"].create({"name": "Ana", "parent_id": self.customer.id}))
        user("portal_other", self.env["res.partner"].create({"name": "Eva"}))
        self.move.sudo().message_subscribe(partner_ids=self.customer.ids)
        self.authenticate("portal_own", "portal_own")
        self.assertEqual(self.get(f"{self.link}/dte").status_code, 200)
        self.authenticate("portal_other", "portal_other")
        self.assertEqual(self.get(f"{self.link}/dte").status_code, 303)

    def test_what_is_not_valid_is_not_handed_out(self):
        self.move.dte_document_id.sudo()._set_state("rejected")
        page = self.get(self.link, access_token=self.token)
        self.assertIn("Not valid", page.text)
        self.assertNotIn(f"{self.link}/dte", page.text)
        self.assertEqual(self.get(f"{self.link}/dte", access_token=self.token).status_code, 303)

    def test_states_in_the_customers_words(self):
        for state, words in (
            ("to_send", "has not validated"),
            ("sent", "has not validated"),
            ("contingency", "contingency"),
        ):
            self.move.dte_document_id.sudo()._set_state(state)
            self.assertIn(words, self.move._dte_portal_values()["text"])
            self.assertIn("without tax validity", self.move._dte_portal_values()["text"])

    def test_paper_and_portal_say_the_same_of_what_failed(self):
        document = self.move.dte_document_id.sudo()
        for error, words, mark, offered in (
            ("connection", "has not validated", "PENDIENTE DE ENV", True),
            ("certificate", "has not validated", "PENDIENTE DE ENV", True),
            ("validation", "Not valid", "DEBE CORREGIRSE", False),
        ):
            with self.subTest(error=error):
                document._set_state("failed", error_type=error)
                shown, sheet = self.move._dte_portal_values(), self.move._dte_sheet()
                self.assertIn(words, shown["text"])
                self.assertIn(mark, sheet["mark"])
                self.assertEqual((shown["has_xml"], sheet["void"]), (offered, not offered))
