# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import logging
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..libs import sii_result_mail
from .common import DteCommon

MAIL_LOG = "odoo.addons.l10n_cl_dte.models.dte_result_mail"
THREAD_LOG = "odoo.addons.mail.models.mail_thread"


def result_file(rut, track_id, documents="", sender="11111111-1", state="EPR - Envio Procesado", between=""):
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<RESULTADO_ENVIO><IDENTIFICACION>'
        f"<RUTEMISOR>{rut}</RUTEMISOR><RUTENVIA>{sender}</RUTENVIA><TRACKID>{track_id}</TRACKID>"
        f"<TMSTRECEPCION>01/06/2026 10:00:00</TMSTRECEPCION><ESTADO>{state}</ESTADO></IDENTIFICACION>"
        f"{between}<REVISIONENVIO>{documents}</REVISIONENVIO></RESULTADO_ENVIO>\n"
    )


def revision(folio, *details, kind="33", state="RCH - DTE Rechazado"):
    listed = "".join(f"<DETALLE>{detail}</DETALLE>" for detail in details)
    return f"<REVISIONDTE><FOLIO>{folio}</FOLIO><TIPODTE>{kind}</TIPODTE><ESTADO>{state}</ESTADO>{listed}</REVISIONDTE>"


class ResultMailCommon(DteCommon):
    def mail(self, content, to="resultados@example.com", subtype="xml", **headers):
        """Return the bytes of a mail with a file."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "siidte@sii.example", to, "Resultado de Revision Envio"
        message["Message-Id"] = make_msgid(domain="sii.example")
        for name, value in headers.items():
            message[name.replace("_", "-")] = value
        message.set_content("Estado del Envio")
        if isinstance(content, bytes):
            message.add_attachment(content, maintype="application", subtype=subtype, filename="DTEMAIL1.xml")
        elif content is not None:
            message.add_attachment(content, subtype=subtype, filename="DTEMAIL1.xml", charset="utf-8")
        return message.as_bytes()

    def simulator_mails(self):
        """Return the bytes of the mails of the company, as the simulator wrote them."""
        mails = self.simulator.call("GET", "mailbox")["mails"]
        return [base64.b64decode(mail["raw_base64"]) for mail in mails if self.rut in mail["subject"]]

    def deliver(self, raw, model="dte.result.mail"):
        """Give a mail to the gateway as an incoming mail server does; nothing may be sent because of it."""
        before = self.env["mail.mail"].sudo().search_count([])
        messages = self.env["mail.message"].sudo().search_count([])
        result = self.env(user=self.env.ref("base.user_root"), su=True)["mail.thread"].message_process(model, raw)
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self.env["mail.mail"].sudo().search_count([]), before, "somebody was written back to")
        if not model:
            return self.env["dte.mail"].sudo().browse(result)
        self.assertFalse(result)
        self.assertEqual(self.env["mail.message"].sudo().search_count([]), messages, "the mail was kept")

    def send_scripted(self, *outcomes):
        moves = self.env["account.move"].union(*(self.post() for _outcome in outcomes))
        for move, outcome in zip(moves, outcomes, strict=True):
            spec = {"outcome": outcome} if isinstance(outcome, str) else outcome
            self.simulator.call("POST", "verdict", issuer=self.rut, type=33, folio=move.dte_folio, **spec)
        self.send(moves)
        return moves

    def envio(self, moves):
        return moves.dte_document_id.sudo().envio_id

    def codes(self, move):
        return move.dte_document_id.reason_ids.sorted("id").mapped("code")


REJECTED = {"outcome": "reject", "codes": ["HED-3-305", "TED-3-640"]}
REPAIRED = {"outcome": "object", "codes": ["HED-2-260"]}


@tagged("post_install_l10n", "post_install", "-at_install")
class TestResultMail(ResultMailCommon):
    """The SII's own mails, as the simulator writes them."""

    def test_reasons_come_before_the_verdict_and_show_after_it(self):
        move = self.send_scripted(REJECTED)
        self.simulator.call("POST", "process")
        [raw] = self.simulator_mails()
        self.deliver(raw)
        document = move.dte_document_id
        self.assertEqual((move.dte_status, document.shows_reasons), ("sent", False))
        self.assertEqual(self.codes(move), ["HED-3-305", "TED-3-640"])
        self.run_job(method="_cron_check_status")
        self.assertEqual((move.dte_status, document.shows_reasons), ("rejected", True))
        self.assertIn("What the SII found is listed", move.dte_message)
        self.assertEqual(self.codes(move), ["HED-3-305", "TED-3-640"])
        self.assertIn("before the day on which", document.reason_ids[0].explanation)

    def test_reasons_come_after_the_verdict(self):
        move = self.send_scripted(REJECTED)
        self.ask(move)
        self.assertIn("result mail", move.dte_message)
        [raw] = self.simulator_mails()
        self.deliver(raw)
        self.assertEqual((move.dte_status, move.dte_document_id.shows_reasons), ("rejected", True))
        self.assertEqual(self.codes(move), ["HED-3-305", "TED-3-640"])

    def test_the_job_asks_at_once(self):
        """Not when the mail says so, but because it does."""
        self.settings(delays={"process": 3600})
        move = self.send_scripted("accept")
        self.run_job(method="_cron_check_status")
        envio = self.envio(move)
        envio.write({"polls": 8, "next_poll_date": fields.Datetime.now() + timedelta(hours=1),
                     "polled_at": fields.Datetime.now() - timedelta(minutes=30)})  # fmt: skip
        job = self.env.ref("l10n_cl_dte.ir_cron_check_status").sudo()
        self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]).unlink()
        self.settings(delays={"process": 0})
        self.simulator.call("POST", "process")
        self.deliver(self.simulator_mails()[0])
        self.assertLessEqual(envio.next_poll_date, fields.Datetime.now())
        self.assertTrue(self.env["ir.cron.trigger"].sudo().search([("cron_id", "=", job.id)]))
        self.assertEqual(move.dte_status, "sent")
        with self.committing() as env:
            env["dte.envio"].sudo()._cron_check_status()
        self.assertEqual(move.dte_status, "accepted")

    def test_which_document_of_a_mixed_envelope_has_repairs(self):
        moves = self.send_scripted("accept", REPAIRED, REJECTED)
        self.ask(moves)
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [True, True, False])
        self.deliver(self.simulator_mails()[0])
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted", "rejected"])
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [False, True, False])
        self.assertEqual(list(map(self.codes, moves)), [[], ["HED-2-260"], ["HED-3-305", "TED-3-640"]])
        self.assertEqual(moves.dte_document_id.mapped("shows_reasons"), [False, True, True])
        self.assertIn("something to repair, which is listed", moves[1].dte_message)
        self.assertNotIn("mail", moves[0].dte_message)

    def test_the_mail_comes_before_the_verdict(self):
        """The usual order: what it says about repairs is settled when the SII's counts agree."""
        moves = self.send_scripted("accept", REPAIRED, REJECTED)
        self.simulator.call("POST", "process")
        self.deliver(self.simulator_mails()[0])
        self.assertEqual(moves.mapped("dte_status"), ["sent"] * 3)
        self.run_job(method="_cron_check_status")
        self.assertEqual(moves.mapped("dte_status"), ["accepted", "accepted", "rejected"])
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [False, True, False])
        self.assertEqual(list(map(self.codes, moves)), [[], ["HED-2-260"], ["HED-3-305", "TED-3-640"]])

    def test_a_whole_envelope(self):
        self.fault("rfr")
        move = self.send_scripted("accept")
        self.ask(move)
        self.assertIn("result mail", move.dte_message)
        errors = "<ERRORENVIO><DETERRENVIO>(ENV-3-6) Rut No Autorizado a Firmar</DETERRENVIO></ERRORENVIO>"
        self.deliver(self.mail(result_file(self.rut, move.dte_track_id, state="RFR - Rechazado", between=errors)))
        self.assertEqual(self.codes(move), ["ENV-3-6"])
        self.assertIn("listed with what to look at", move.dte_message)

    def test_the_same_mail_again(self):
        self.fault("duplicate_mail", count=1)
        move = self.send_scripted(REJECTED)
        self.ask(move)
        first, second = self.simulator_mails()
        self.deliver(first)
        reasons = move.dte_document_id.reason_ids
        self.deliver(second)
        self.deliver(first)
        self.assertEqual(move.dte_document_id.reason_ids, reasons)

    def conflicts(self, count):
        """Let so many tries to take a mail meet another process."""
        model = type(self.env["dte.envio"])
        left, real = [SerializationFailure("x")] * count, model._take_result

        def take(envio, result):
            real(envio, result)
            if left:
                raise left.pop()

        return patch.object(model, "_take_result", take)

    def test_a_mail_that_meets_the_job_is_taken_again(self):
        move = self.send_scripted(REJECTED)
        self.ask(move)
        listed = revision(move.dte_folio, "(HED-3-305) Firma")
        result = sii_result_mail.read_result(result_file(self.rut, move.dte_track_id, listed))
        with self.assertRaises(SerializationFailure), self.conflicts(4), self.committing() as env:
            self.envio(move).with_env(env(su=True))._take_result_safely(result)
        self.assertFalse(self.codes(move))
        with self.conflicts(3), self.committing() as env:
            self.envio(move).with_env(env(su=True))._take_result_safely(result)
        self.assertEqual(self.codes(move), ["HED-3-305"])

    def test_a_mail_is_taken_with_care(self):
        move = self.send_scripted(REJECTED)
        self.ask(move)
        with patch.object(type(self.env["dte.envio"]), "_take_result_safely") as take:
            self.deliver(self.simulator_mails()[0])
        take.assert_called_once()

    def test_many_mails_are_no_storm_of_questions(self):
        self.settings(delays={"process": 36_000_000})
        move = self.send_scripted("accept")
        raw = self.mail(result_file(self.rut, move.dte_track_id))
        envio = self.envio(move)
        self.deliver(raw)
        self.assertLessEqual(envio.next_poll_date, fields.Datetime.now())
        self.run_job(method="_cron_check_status")
        self.deliver(raw)
        self.assertGreater(envio.next_poll_date, fields.Datetime.now() + timedelta(seconds=50))
        self.wait(hours=2)
        self.run_job(method="_cron_check_status")
        self.assertEqual(move.dte_status, "sent")
        self.deliver(raw)
        self.assertGreater(envio.next_poll_date, fields.Datetime.now() + timedelta(minutes=4))

    def test_after_a_week_without_answer(self):
        self.settings(delays={"process": 36_000_000})
        move = self.send_scripted("accept")
        self.envio(move).first_attempted_at -= timedelta(days=8)
        with mute_logger("odoo.addons.l10n_cl_dte.models.dte_envio_poll"):
            self.run_job(method="_cron_check_status")
        self.assertEqual(move.dte_status, "no_answer")
        self.settings(delays={"process": 0})
        self.simulator.call("POST", "process")
        self.deliver(self.simulator_mails()[0])
        self.run_job(method="_cron_check_status")
        self.assertEqual(move.dte_status, "accepted")
        self.assertFalse(move.sudo().activity_ids)

    def test_asked_for_again(self):
        """After a day the SII is asked to mail the result again; it does, and it is read."""
        self.fault("lose_mail", count=1)
        self.fault("stuck", service="query_up", count=1)
        move = self.send_scripted(REJECTED)
        self.simulator.call("POST", "process")
        self.assertFalse(self.simulator_mails())
        self.wait(hours=25)
        self.run_job(method="_cron_check_status")
        [raw] = self.simulator_mails()
        self.deliver(raw)
        self.run_job(method="_cron_check_status")
        self.assertEqual((move.dte_status, self.codes(move)), ("rejected", ["HED-3-305", "TED-3-640"]))


@tagged("post_install_l10n", "post_install", "-at_install")
class TestFalseMail(ResultMailCommon):
    """Mails that anybody can write."""

    def ignored(self, raw, reason="no_result", level=logging.INFO):
        with self.assertLogs(MAIL_LOG, level) as logs:
            self.deliver(raw)
        self.assertIn(reason, "\n".join(logs.output))

    def test_a_mail_rejects_nothing(self):
        """It says that an accepted document was rejected, before and after the SII has spoken."""
        move = self.send_scripted("accept")
        forged = self.mail(result_file(self.rut, move.dte_track_id, revision(move.dte_folio, "(DTE-3-505) Firma")))
        self.deliver(forged)
        self.assertEqual((move.dte_status, move.dte_document_id.shows_reasons), ("sent", False))
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")
        self.assertFalse(move.dte_document_id.reason_ids)
        self.deliver(forged)
        self.assertEqual(move.dte_status, "accepted")
        self.assertFalse(move.dte_document_id.reason_ids)

    def test_a_mail_accepts_nothing(self):
        move = self.send_scripted("reject")
        row = "<SUBTOTAL><TIPODOC>33</TIPODOC><INFORMADO>1</INFORMADO><ACEPTA>1</ACEPTA></SUBTOTAL>"
        forged = self.mail(result_file(self.rut, move.dte_track_id, between=f"<ESTADISTICA>{row}</ESTADISTICA>"))
        self.deliver(forged)
        self.assertEqual(move.dte_status, "sent")
        self.ask(move)
        self.assertEqual(move.dte_status, "rejected")
        self.deliver(forged)
        self.assertEqual(move.dte_status, "rejected")

    def test_doubt_is_not_dispelled_by_a_mail_that_says_otherwise(self):
        moves = self.send_scripted("accept", REPAIRED, REJECTED)
        self.ask(moves)
        listed = revision(moves[0].dte_folio, "(HED-2-260) x") + revision(moves[1].dte_folio, "(DTE-3-505) x")
        self.deliver(self.mail(result_file(self.rut, moves[0].dte_track_id, listed)))
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [True, True, False])
        self.assertEqual(self.codes(moves[1]), [], "what was received was not rejected")

    def test_nor_by_one_that_said_so_before_the_verdict(self):
        moves = self.send_scripted("accept", REPAIRED, REJECTED)
        listed = revision(moves[0].dte_folio, "(HED-2-260) x") + revision(moves[2].dte_folio, "(DTE-3-505) x")
        row = "<SUBTOTAL><TIPODOC>33</TIPODOC><INFORMADO>3</INFORMADO><ACEPTA>2</ACEPTA><RECHAZO>1</RECHAZO></SUBTOTAL>"
        statistics = f"<ESTADISTICA>{row}</ESTADISTICA>"
        self.deliver(self.mail(result_file(self.rut, moves[0].dte_track_id, listed, between=statistics)))
        self.ask(moves)
        self.assertEqual(moves.dte_document_id.mapped("repairs_unknown"), [True, True, False])

    def test_reasons_of_another_upload_do_not_stay(self):
        self.company.sudo().dte_simulator_resolution_date = "2020-02-02"
        move = self.send_scripted("accept")
        self.ask(move)
        self.assertEqual(move.dte_status, "to_send")
        raw = self.simulator_mails()[0]
        self.deliver(raw)
        self.assertEqual(self.codes(move), ["CRT-3-19"])
        self.company.sudo().dte_simulator_resolution_date = "2026-01-02"
        self.send(move)
        self.assertFalse(move.dte_document_id.reason_ids)
        self.deliver(raw)
        self.assertFalse(move.dte_document_id.reason_ids, "it left again in another envelope")

    def test_unknown_envelope(self):
        self.ignored(self.mail(result_file(self.rut, "0999999999")), "unknown_envelope")

    def test_another_issuer_or_sender(self):
        move = self.send_scripted("reject")
        document = revision(move.dte_folio, "(DTE-3-505) Firma")
        before = self.envio(move).next_poll_date
        self.ignored(self.mail(result_file("88888888-8", move.dte_track_id, document)), "unknown_envelope")
        self.ignored(
            self.mail(result_file(self.rut, move.dte_track_id, document, sender="22222222-2")), "unknown_envelope"
        )
        self.assertFalse(move.dte_document_id.reason_ids)
        self.assertEqual(self.envio(move).next_poll_date, before)

    def test_another_document(self):
        move = self.send_scripted("reject")
        other = self.post()
        documents = revision(other.dte_folio, "(DTE-3-505) x") + revision(move.dte_folio, "(DTE-3-505) x", kind="61")
        self.deliver(self.mail(result_file(self.rut, move.dte_track_id, documents)))
        self.assertFalse((move | other).dte_document_id.reason_ids)

    def test_no_file(self):
        self.ignored(self.mail(None))

    def test_a_web_page(self):
        self.ignored(self.mail("<html><body>RESULTADO_ENVIO</body></html>", subtype="html"))
        message = EmailMessage()
        message["From"], message["To"] = "a@example.com", "resultados@example.com"
        message.set_content("<b>RESULTADO_ENVIO</b>", subtype="html")
        self.ignored(message.as_bytes())

    def test_broken_files(self):
        move = self.send_scripted("reject")
        good = result_file(self.rut, move.dte_track_id, revision(move.dte_folio, "(DTE-3-505) Firma"))
        self.ignored(self.mail(good[:-20]), "xml_malformed")
        self.ignored(self.mail(b"\x00\x01\x02"), "xml_malformed")
        self.ignored(self.mail("<?xml version='1.0'?>" + "<a>" * 500 + "</a>" * 500), "xml_")
        self.assertFalse(move.dte_document_id.reason_ids)

    def test_entities(self):
        move = self.send_scripted("reject")
        good = result_file(self.rut, move.dte_track_id, revision(move.dte_folio, "&amp;x;")).partition("\n")[2]
        doctype = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        self.ignored(self.mail(doctype + good.replace("&amp;x;", "&x;")), "xml_doctype")
        self.assertFalse(move.dte_document_id.reason_ids)

    def test_a_huge_file(self):
        move = self.send_scripted("reject")
        documents = revision(move.dte_folio, "(DTE-3-505) Firma") * 60_000
        self.ignored(self.mail(result_file(self.rut, move.dte_track_id, documents)), "xml_too_big")
        self.assertFalse(move.dte_document_id.reason_ids)

    def test_numbers_beyond_the_database(self):
        move = self.send_scripted("reject")
        self.deliver(self.mail(result_file(self.rut, move.dte_track_id, revision("999999999999999", "(DTE-3-505) x"))))
        self.ignored(self.mail(result_file(self.rut, "9" * 15)), "unknown_envelope")

    def test_an_error_of_ours_is_no_answer_to_the_sender(self):
        move = self.send_scripted("reject")
        raw = self.mail(result_file(self.rut, move.dte_track_id))
        with patch.object(type(self.env["dte.envio"]), "_take_result", side_effect=ValueError("x")):
            self.ignored(raw, "dte_result_mail_failed", level=logging.ERROR)

    def test_nobody_delivers_by_hand(self):
        with self.assertRaises(AccessError):
            self.env["dte.result.mail"].message_new({"attachments": []})


@tagged("post_install_l10n", "post_install", "-at_install")
class TestResultAddress(ResultMailCommon):
    """The address of a company, and what comes to it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        company = cls.company.with_env(cls.admin_env)
        company.sudo().alias_domain_id = cls.env["mail.alias.domain"].sudo().create({"name": "resultados.example"})
        cls.other = (
            cls.env["res.company"].sudo().create({"name": "Otra", "alias_domain_id": company.alias_domain_id.id})
        )
        cls.admin.sudo().company_ids |= cls.other

    def set_address(self, company, name):
        settings = self.env["res.config.settings"].with_user(self.admin).with_company(company)
        settings.with_context(allowed_company_ids=company.ids).create({"dte_mail_alias_name": name}).execute()

    def test_made_changed_and_taken_away(self):
        company = self.company.with_env(self.admin_env)
        self.set_address(company, "Resultados SII")
        alias = company.sudo().dte_mail_alias_id
        self.assertEqual(company.dte_mail_address, "resultados-sii@resultados.example")
        self.assertEqual((alias.alias_model_id.model, alias.alias_contact), ("dte.mail", "everyone"))
        self.set_address(company, "sii")
        self.assertEqual((company.sudo().dte_mail_alias_id, alias.alias_name), (alias, "sii"))
        self.set_address(company, False)
        self.assertFalse(alias.exists())
        self.assertFalse(company.dte_mail_address)

    def test_mail_to_it_is_read(self):
        company = self.company.with_env(self.admin_env)
        self.set_address(company, "resultados")
        move = self.send_scripted(REJECTED)
        self.ask(move)
        message = message_from_bytes(self.simulator_mails()[0], policy=policy.default)
        message.replace_header("To", "resultados@resultados.example")
        # As it comes from a mailbox for everything, which knows nothing about us.
        mail = self.deliver(message.as_bytes(), model=None)
        self.assertEqual((mail.state, self.codes(move)), ("used", ["HED-3-305", "TED-3-640"]))
        self.assertEqual(company.sudo().dte_mail_alias_id.alias_status, "valid")

    def test_mail_of_another_company(self):
        self.set_address(self.other, "ajena")
        move = self.send_scripted(REJECTED)
        self.ask(move)
        document = revision(move.dte_folio, "(DTE-3-505) Firma")
        raw = self.mail(result_file(self.rut, move.dte_track_id, document), to="ajena@resultados.example")
        mail = self.deliver(raw, model=None)
        self.assertEqual((mail.company_id, mail.state), (self.other, "refused"))
        self.assertIn("was not sent from here", mail.summary)
        self.assertFalse(move.dte_document_id.reason_ids)

    def test_many_mails_from_one_sender_are_no_loop(self):
        """The SII writes from one address, a mail for each envelope."""
        self.set_address(self.company, "muchas")
        move = self.send_scripted(REJECTED)
        for _mail in range(25):
            self.deliver(
                self.mail(result_file(self.rut, move.dte_track_id), to="muchas@resultados.example"), model=None
            )
        self.deliver(
            self.mail(
                result_file(self.rut, move.dte_track_id, revision(move.dte_folio, "(DTE-3-505) Firma")),
                to="muchas@resultados.example",
            ),
            model=None,
        )
        self.assertEqual(self.codes(move), ["DTE-3-505"])
