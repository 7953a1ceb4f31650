# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import os
import smtplib
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

from psycopg2 import errors as pgerrors

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..libs import exchange as exchange_lib
from ..libs import xml_verifier, xsd_validator
from ..models import dte_exchange
from . import customer_answers as customer
from .common import DteCommon
from .exchange import ADDRESS, ExchangeCommon
from .test_jobs import NEUTRALIZE


@tagged("post_install_l10n", "post_install", "-at_install")
class TestExchangeOut(ExchangeCommon):
    def test_the_envelope_leaves_once_the_sii_has_accepted(self):
        move = self.post(lines=[{"name": "Cañería ñ", "quantity": 1, "price_unit": 1000}])
        self.send(move)
        self.assertFalse(self.rows(move))
        self.assertEqual(self.deliver(), [])
        self.ask(move)
        self.assertEqual(self.rows(move).mapped("state"), ["to_send"])
        (message,) = self.deliver()
        row = self.rows(move)
        self.assertEqual((row.state, row.email, row.attempts), ("sent", ADDRESS, 1))
        self.assertEqual(message["To"], ADDRESS)
        self.assertIn(self.mailbox, message["From"])
        self.assertIn(self.mailbox, message["Reply-To"])
        (file,) = message.iter_attachments()
        xml = file.get_payload(decode=True)
        self.assertEqual(file.get_content_type(), "application/xml")
        self.assertEqual(xml, base64.b64decode(row.with_context(bin_size=False).content))
        self.assertEqual(xml_verifier.split_documents(xml), [move._dte_xml()])
        self.assertTrue(all(report.valid for report in xml_verifier.verify_envio(xml)))
        self.assertIn(b"<RutReceptor>88888888-8</RutReceptor>", xml)
        self.assertIn("Cañería ñ".encode("iso-8859-1"), xml)

    def test_it_leaves_once(self):
        move = self.accepted()
        self.assertEqual(len(self.deliver()), 1)
        self.assertEqual(self.deliver(), [])
        move.dte_document_id.sudo().told = False
        self.run_job()
        self.assertEqual(self.deliver(), [])
        self.assertEqual(len(self.rows(move)), 1)

    def test_each_may_have_another_choice(self):
        for company, partner, planned in (
            ("never", False, False),
            ("never", "accepted", True),
            ("accepted", "never", False),
            ("invoice", False, False),
        ):
            with self.subTest(company=company, partner=partner):
                self.company.sudo().dte_exchange_when = company
                self.customer.dte_exchange_when = partner
                self.assertEqual(bool(self.rows(self.accepted())), planned)

    def test_without_address_nothing_is_planned_and_the_reader_is_told(self):
        self.customer.dte_exchange_email = False
        move = self.accepted()
        self.assertFalse(self.rows(move))
        self.assertIn("no exchange address", move.dte_exchange_hint)
        with self.assertRaisesRegex(UserError, "has no exchange address"):
            move.action_dte_exchange()
        self.customer.dte_exchange_email = ADDRESS
        move.action_dte_exchange()
        self.assertEqual(self.rows(move).state, "to_send")

    def test_not_before_the_sii_has_accepted(self):
        move = self.post()
        self.assertIn("not before", move.dte_exchange_hint)
        with self.assertRaisesRegex(UserError, "not been accepted"):
            move.action_dte_exchange()

    def test_a_contact_goes_to_the_address_of_its_company(self):
        contact = self.env["res.partner"].create({"name": "Juana", "parent_id": self.customer.id, "type": "contact"})
        move = self.accepted(partner=contact)
        self.assertEqual(self.rows(move).email, ADDRESS)

    def test_send_again_mails_the_same_bytes(self):
        move = self.accepted()
        (first,) = self.deliver()
        self.rows(move).with_user(self.dte_user).action_send_again()
        (second,) = self.deliver()
        bodies = [next(mail.iter_attachments()).get_payload(decode=True) for mail in (first, second)]
        self.assertEqual(bodies[0], bodies[1])
        self.assertNotEqual(first["Message-Id"], second["Message-Id"])
        self.assertEqual((len(self.rows(move)), self.rows(move).attempts), (1, 2))

    def test_a_new_address_is_a_new_row(self):
        move = self.accepted()
        self.deliver()
        self.customer.dte_exchange_email = "otro@cliente.example"
        move.action_dte_exchange()
        self.deliver()
        self.assertEqual(
            sorted(self.rows(move).mapped(lambda row: (row.email, row.state))),
            [(ADDRESS, "sent"), ("otro@cliente.example", "sent")],
        )

    @mute_logger("odoo.addons.mail.models.mail_mail")
    def test_a_mail_server_that_is_away_is_tried_again(self):
        move = self.accepted()
        with patch.object(type(self.env["ir.mail_server"]), "_connect__", side_effect=OSError("down")):
            for _attempt in dte_exchange.RETRY_MINUTES:
                self.run_job("dte.exchange", "_cron_send")
                row = self.rows(move)
                self.assertEqual(row.state, "to_send")
                self.assertTrue(row.retry_at)
                row.retry_at = "2026-01-01"
            self.run_job("dte.exchange", "_cron_send")
        self.assertEqual(self.rows(move).state, "failed")
        self.assertIn("down", self.rows(move).problem)
        self.assertEqual(move.dte_status, "accepted")
        self.rows(move).with_user(self.dte_user).action_send_again()
        self.assertEqual(len(self.deliver()), 1)
        self.assertEqual(self.rows(move).state, "sent")

    @mute_logger("odoo.addons.mail.models.mail_mail")
    def test_a_mail_that_is_refused_fails_and_the_document_stands(self):
        move = self.accepted()
        error = smtplib.SMTPRecipientsRefused({ADDRESS: (550, b"no such user")})
        with (
            self.mock_smtplib_connection(),
            patch.object(type(self.env["ir.mail_server"]), "send_email", side_effect=error),
        ):
            self.run_job("dte.exchange", "_cron_send")
        self.assertEqual((self.rows(move).state, move.dte_status), ("failed", "accepted"))

    def give_up(self, move, cancel=True):
        """Let the mail server be away until the job gives the mail up, and the mail still be in Odoo's own queue."""
        row, mails = self.rows(move), type(self.env["mail.mail"])
        nothing = patch.object(mails, "cancel", lambda _mail: None) if not cancel else nullcontext()
        with nothing, patch.object(mails, "send", side_effect=OSError("down")):
            row.failures = len(dte_exchange.RETRY_MINUTES)
            self.run_job("dte.exchange", "_cron_send")
        self.assertEqual((row.state, row.problem_code), ("failed", "mail_failed"))
        return row

    def test_what_was_given_up_is_not_delivered_by_another_job(self):
        row = self.give_up(self.accepted())
        self.assertEqual(row.mail_id.state, "cancel")
        row.with_user(self.dte_user).action_send_again()
        self.assertEqual((len(self.deliver()), row.state), (1, "sent"))

    def test_send_again_does_not_wait_for_the_next_attempt(self):
        move = self.accepted()
        row = self.rows(move)
        with patch.object(type(self.env["mail.mail"]), "send", side_effect=OSError("down")):
            self.run_job("dte.exchange", "_cron_send")
        self.assertEqual((row.state, bool(row.retry_at)), ("to_send", True))
        row.with_user(self.dte_user).action_send_again()
        self.assertEqual(row.failures, 0)
        self.assertEqual((len(self.deliver()), row.state), (1, "sent"))

    def test_send_again_waits_for_the_mail_that_may_yet_leave(self):
        row = self.give_up(self.accepted(), cancel=False)
        mail = row.mail_id
        row.with_user(self.dte_user).action_send_again()
        (message,) = self.deliver()
        self.assertEqual((row.mail_id, row.state, message["Message-Id"]), (mail, "sent", mail.message_id))

    def test_send_again_sees_that_the_mail_has_left(self):
        row = self.give_up(self.accepted(), cancel=False)
        row.mail_id.state = "sent"
        row.with_user(self.dte_user).action_send_again()
        self.assertEqual((row.state, row.problem), ("sent", False))
        self.assertEqual(self.deliver(), [])

    def test_a_process_that_dies_after_mailing_sends_the_same_mail(self):
        move = self.accepted()
        hand_over = dte_exchange.DteExchange._hand_over

        def dying(row):
            hand_over(row)
            raise MemoryError

        with (
            patch.object(dte_exchange.DteExchange, "_hand_over", dying),
            patch.object(dte_exchange.DteExchange, "_fail", lambda *_args: None),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_exchange"),
        ):
            (first,) = self.deliver()
        (second,) = self.deliver()
        self.assertEqual(first["Message-Id"], second["Message-Id"])
        self.assertEqual(self.rows(move).state, "sent")

    @mute_logger("odoo.addons.l10n_cl_dte.models.dte_exchange")
    def test_one_that_cannot_be_prepared_stops_no_other(self):
        bad, good = self.accepted(), self.accepted()
        self.replace_archive(bad.dte_document_id.sudo().backup_id, b"nada")
        self.assertEqual(len(self.deliver()), 1)
        self.assertEqual((self.rows(bad).state, self.rows(good).state), ("failed", "sent"))
        self.assertIn("damaged", self.rows(bad).problem)
        self.assertEqual(bad.dte_status, "accepted")

    def test_a_bounce_is_seen(self):
        move = self.accepted()
        (sent,) = self.deliver()
        self.receive(to=self.bounces, In_Reply_To=sent["Message-Id"], References=sent["Message-Id"])
        row = self.rows(move)
        if row.state == "sent":
            # The gateway looks for the original in the report that mail servers attach.
            row._message_receive_bounce(ADDRESS, self.env["res.partner"])
        self.assertEqual((row.state, move.dte_status), ("failed", "accepted"))
        self.assertIn(ADDRESS, row.problem)

    def test_the_planning_never_harms_the_document(self):
        def broken(*_args):
            raise ValueError("broken")

        with (
            patch.object(dte_exchange.DteExchange, "_plan", broken),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_exchange"),
        ):
            move = self.accepted()
        self.assertTrue(move.dte_document_id.sudo().told)

    def test_a_copy_mails_nothing(self):
        move = self.accepted()
        self.env.flush_all()
        self.env.cr.execute(NEUTRALIZE.read_text(encoding="utf-8"))
        self.env.invalidate_all()
        self.assertEqual(self.deliver(), [])
        self.assertEqual(self.rows(move).state, "failed")

    def test_the_address_is_one_address(self):
        for wrong in ("nadie", "a@b.cl, c@d.cl"):
            with self.assertRaises(ValidationError):
                self.customer.dte_exchange_email = wrong

    def test_rights(self):
        move = self.accepted()
        self.deliver()
        row = self.rows(move)
        clerk = new_test_user(
            self.env(su=True), "exchange_clerk", "account.group_account_invoice", company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )  # fmt: skip
        other = self.env["res.company"].sudo().create({"name": "Otra"})
        stranger = new_test_user(
            self.env(su=True), "exchange_stranger", "l10n_cl_dte.group_dte_manager", company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        own = row.with_user(self.dte_user)
        self.assertEqual(own.state, "sent")
        for forbidden in (
            lambda: own.write({"state": "to_send"}),
            own.unlink,
            lambda: row.with_user(clerk).read(["email"]),
            row.with_user(clerk).action_send_again,
            row.with_user(stranger).action_send_again,
            move.with_user(clerk).action_dte_exchange,
        ):
            with self.assertRaises(AccessError):
                forbidden()
        self.assertFalse(row.with_user(stranger).with_context(allowed_company_ids=other.ids).search([]))


@tagged("post_install_l10n", "post_install", "-at_install")
class TestExchangeIn(ExchangeCommon):
    def setUp(self):
        super().setUp()
        self.move = self.accepted()
        (self.sent,) = self.deliver()
        self.document = self.move.dte_document_id.sudo()

    def answer(self, *rows, responder="88888888-8", recipient=None, signer=None, **values):
        return customer.answer(responder, recipient or self.rut, rows, signer or self.buyer, **values)

    def result(self, code=0, text="Aceptado", key=None, **values):
        row = customer.result(*(key or self.key(self.move)), code=code, text=text)
        return self.answer(row, **values)

    def refuse(self, mail, pattern):
        self.assertRegex(mail.summary, pattern)
        self.assertEqual(mail.state, "refused")
        self.assertFalse(self.document.answer_ids)
        self.assertFalse(self.document.receiver_state)
        self.assertEqual(self.document.exchange_ids.state, "sent")
        self.assertEqual(self.document.state, "accepted")

    def test_the_customer_receives(self):
        rows = [customer.reception(f"SetDoc{self.rows(self.move).id}", documents=[(*self.key(self.move), 0, "OK")])]
        mail = self.receive(self.answer(*rows))
        self.assertEqual(mail.state, "used")
        self.assertEqual(self.document.receiver_state, "received")
        self.assertEqual(self.document.answer_ids.signer_rut, "12345678-5")
        self.assertEqual(self.document.exchange_ids.state, "answered")

    def test_the_customer_receives_the_envelope_as_a_whole(self):
        row = self.rows(self.move)
        whole = customer.reception(f"SetDoc{row.id}", code=2, text="Firma mala", digest=row.digest)
        self.receive(self.answer(whole))
        self.assertEqual(self.document.receiver_state, "not_received")
        self.assertEqual(self.document.receiver_reason, "Firma mala")
        self.assertIn("refused the envelope", self.document.answer_ids.explanation)
        for number, digest in ((row.id, "b3RybyBkaWdlc3Q="), (row.id + 999, row.digest), ("x", ""), ("9" * 70, "")):
            mail = self.receive(self.answer(customer.reception(f"SetDoc{number}", digest=digest)))
            self.assertIn("was not sent to 88888888-8 from here", mail.summary)

    def test_the_customer_accepts(self):
        self.receive(self.result())
        self.assertEqual((self.document.receiver_state, self.document.receiver_reason), ("accepted", False))
        self.assertIn("accepts the document", self.move.message_ids[0].body)
        self.assertEqual(self.move.dte_receiver_state, "accepted")

    def test_the_customer_rejects_and_a_person_is_called(self):
        self.receive(self.result(2, "No corresponde a lo pedido el año"))
        self.assertEqual(self.document.receiver_state, "rejected")
        self.assertEqual(self.document.receiver_reason, "No corresponde a lo pedido el año")
        self.assertEqual(self.document.state, "accepted")
        (activity,) = self.move.activity_ids
        self.assertIn("rejects", activity.summary)
        self.assertIn("el año", activity.note)
        self.receive(self.result(1, "Precio", at="2026-10-07T09:00:00", number=2))
        self.assertEqual(self.document.receiver_state, "discrepancies")
        self.assertFalse(self.move.activity_ids)

    def test_what_a_customer_writes_is_text(self):
        self.receive(self.result(2, '&lt;a href="https://malo.example"&gt;Pague aquí&lt;/a&gt; 1 &lt; 2'))
        self.assertIn("<a href", self.document.receiver_reason)
        self.assertNotIn("<a", self.move.activity_ids.note)
        self.assertIn("1 &lt; 2", self.move.activity_ids.note)

    def test_a_file_that_refuses_many_documents_is_one_mail(self):
        moves = self.move | self.accepted() | self.accepted()
        told = [("message_type", "=", "user_notification"), ("model", "=", "account.move"), ("res_id", "in", moves.ids)]
        rows = [customer.result(*self.key(move), code=2, text="No") for move in moves]
        self.receive(self.answer(*rows))
        self.assertEqual([len(move.activity_ids) for move in moves], [1, 1, 1])
        self.assertEqual(self.env["mail.message"].sudo().search_count(told), 1)

    def test_an_older_answer_that_comes_late_decides_nothing(self):
        self.receive(self.result(at="2026-10-07T09:00:00"))
        self.receive(self.result(2, "Antes", at="2026-10-06T09:00:00"))
        self.assertEqual(self.document.receiver_state, "accepted")
        self.receive(
            self.answer(customer.reception("x", documents=[(*self.key(self.move), 99, "?")]), at="2026-10-08T09:00:00")
        )
        self.assertEqual((self.document.receiver_state, len(self.document.answer_ids)), ("accepted", 3))

    def test_the_goods_are_acknowledged(self):
        row = customer.receipt(*self.key(self.move), credentials=self.buyer)
        self.receive(customer.receipts("88888888-8", self.rut, [row], self.buyer))
        self.assertEqual(str(self.document.goods_acknowledged_at), "2026-10-06 12:05:00")
        self.assertEqual(self.document.answer_ids.receipt_signer_rut, "12345678-5")
        self.assertIn("CN=", self.document.answer_ids.signer_issuer)
        self.assertEqual(self.document.answer_ids.text, "Bodega Ñuñoa")
        self.assertFalse(self.document.receiver_state)

    def test_the_bytes_are_read_as_they_were_sent(self):
        xml = self.result(2, "Año ñandú")
        for mime in ("text/xml", "application/xml", "application/octet-stream"):
            with self.subTest(mime=mime):
                mail = self.receive(("respuesta.xml", xml, mime))
                self.assertEqual(mail.state, "used", mail.summary)

    def test_the_bytes_are_kept_as_they_were_sent(self):
        xml = self.result(2, "Año ñandú")
        mail = self.receive(xml, ("foto.png", b"\x89PNG", "image/png"))
        self.assertEqual(mail.message_ids.attachment_ids.sorted("id").mapped("raw"), [xml, b"\x89PNG"])
        catchall, sent = self.mailbox.replace("dte@", "todo@"), self.sent["Message-Id"]
        self.receive(xml, to=catchall, In_Reply_To=sent, References=sent)
        self.assertIn(xml, self.document.exchange_ids.message_ids.attachment_ids.mapped("raw"))

    def test_other_addresses_of_the_same_mail_get_all_files(self):
        name = self.mailbox.replace("dte@", "personas@")
        self.env(su=True)["mail.alias"].create(
            {
                "alias_name": "personas",
                "alias_domain_id": self.company.alias_domain_id.id,
                "alias_model_id": self.env["ir.model"]._get_id("res.partner"),
                "alias_defaults": {"name": "Persona del correo"},
                "alias_contact": "everyone",
            }
        )
        large = b"<?xml version='1.0'?><a>" + b"x" * exchange_lib.MAX_BYTES + b"</a>"
        files = [("grande.xml", large, "application/xml"), *[(f"{i}.bin", b"x", "application/pdf") for i in range(25)]]
        mail = self.receive(*files, to=f"{self.mailbox}, {name}")
        self.assertIn("bigger than", mail.summary)
        person = self.env["res.partner"].sudo().search([("message_ids.subject", "=", "Respuesta")], order="id desc")[:1]
        received = person.message_ids.attachment_ids.sorted("id")
        self.assertEqual([len(file.raw) for file in received], [len(large), *[1] * 25])

    def test_a_reply_to_our_mail_is_an_answer(self):
        mail = self.receive(self.result(), In_Reply_To=self.sent["Message-Id"], References=self.sent["Message-Id"])
        self.assertEqual((len(mail), self.document.receiver_state), (1, "accepted"))

    def test_many_answers_of_one_system_are_no_loop(self):
        for _number in range(25):
            self.assertTrue(self.receive(b"<?xml version='1.0'?><nada/>"))

    def test_repeated(self):
        xml = self.result()
        self.receive(xml)
        mail = self.receive(xml)
        self.assertIn("came before", mail.summary)
        self.assertEqual(len(self.document.answer_ids), 1)

    def test_forged(self):
        xml = self.result(2, "No")
        self.refuse(
            self.receive(xml.replace(b"<EstadoDTE>2<", b"<EstadoDTE>0<")), "signed badly .the content was changed"
        )
        start, end = xml.index(b"<Signature "), xml.index(b"</Signature>") + len(b"</Signature>")
        with self.full_schemas(False):
            self.refuse(self.receive(xml[:start] + xml[end:]), "signed badly")

    def test_a_forged_receipt_among_good_ones(self):
        row = customer.receipt(*self.key(self.move), credentials=self.buyer).replace("Bodega", "Galpon")
        mail = self.receive(customer.receipts("88888888-8", self.rut, [row], self.buyer))
        self.refuse(mail, "receipt for type 33 folio .* is signed badly")

    def test_who_signs_a_receipt_is_who_it_says(self):
        row = customer.receipt(*self.key(self.move), credentials=self.buyer, signer="11111111-1")
        mail = self.receive(customer.receipts("88888888-8", self.rut, [row], self.buyer))
        self.refuse(mail, "names 11111111-1 as its signer")

    def test_moments_that_cannot_be(self):
        self.refuse(self.receive(self.result(at="2099-01-01T00:00:00")), "dated in the future")
        self.refuse(self.receive(self.result(at="2025-12-31T00:00:00")), "certificate was not valid at the moment")

    def test_another_receiver_answers(self):
        self.refuse(self.receive(self.result(responder="77777777-7")), "issued to somebody else")
        key = (*self.key(self.move)[:4], "77777777-7", self.key(self.move)[5])
        self.refuse(self.receive(self.result(responder="77777777-7", key=key)), "issued to somebody else")

    def test_for_another_company(self):
        self.refuse(self.receive(self.result(recipient="77777777-7")), "not this company")
        key = (*self.key(self.move)[:3], "77777777-7", *self.key(self.move)[4:])
        self.refuse(self.receive(self.result(key=key)), "not this company")

    def test_unknown_documents(self):
        dte_type, folio, *rest = self.key(self.move)
        self.refuse(self.receive(self.result(key=(dte_type, folio + 50, *rest))), "no document of type 33")
        self.refuse(self.receive(self.result(key=(dte_type, 9_999_999_999, *rest))), "no document of type 33")
        self.refuse(self.receive(self.result(key=("34", folio, *rest))), "no document of type 34")

    def test_other_data(self):
        *key, total = self.key(self.move)
        self.refuse(self.receive(self.result(key=(*key, total + 1))), "date or total")

    def test_garbage(self):
        for content, pattern in (
            (b"", "is empty"),
            (b"hola", "not readable XML"),
            (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "entities"),
            (b"<?xml version='1.0'?><nada/>", "nothing here reads"),
            (b"<RespuestaDTE xmlns='http://www.sii.cl/SiiDte'/>", "lacks something"),
            (b"<a>" * 90 + b"</a>" * 90, "nested too deeply"),
            (b"<?xml version='1.0'?><a>" + b" " * (5 * 1024 * 1024) + b"</a>", "bigger than"),
        ):
            with self.subTest(pattern=pattern):
                self.refuse(self.receive(content), pattern)
        self.assertEqual(self.receive().state, "nothing")
        self.assertEqual(self.receive(("foto.png", b"\x89PNG", "image/png")).state, "nothing")
        many = self.receive(*[b"<?xml version='1.0'?><nada/>"] * 30)
        self.assertIn("more files than are read", many.summary)

    def test_an_error_here_writes_to_nobody(self):
        def broken(*_args):
            raise ValueError("broken")

        answers = type(self.env["dte.exchange.answer"])
        with (
            patch.object(answers, "_take", broken),
            mute_logger("odoo.addons.l10n_cl_dte.models.dte_mail"),
            self.mock_smtplib_connection(),
        ):
            mail = self.receive(self.result())
            self.assertEqual(self.emails, [])
        self.refuse(mail, "error here")

    def test_a_file_in_the_way_of_another_transaction_is_read_later(self):
        xml, answers = self.result(), type(self.env["dte.exchange.answer"])
        take, calls = answers._take, []

        def busy(*args):
            calls.append(args)
            if len(calls) in (2, 3):
                raise pgerrors.SerializationFailure
            return take(*args)

        with patch.object(answers, "_take", busy):
            mail = self.receive(self.result(99, number=2), xml)
            self.assertEqual((mail.state, mail.unread_file_ids.raw), ("to_read", xml))
            self.assertIn("99", mail.summary)
            mail._gc_useless()
            self.run_job("dte.mail", "_cron_read")
            self.assertEqual((mail.state, len(mail.unread_file_ids)), ("to_read", 1))
            self.assertFalse(self.document.receiver_state)
            self.run_job("dte.exchange", "_cron_send")
        self.assertEqual((mail.state, self.document.receiver_state), ("used", "accepted"))
        self.assertEqual([code for code, _params in mail.findings], ["answer_unknown_code", "answer_taken"])
        self.assertFalse(mail.unread_file_ids)

    def test_the_schema_refuses(self):
        with self.full_schemas():
            self.assertEqual(self.receive(self.result()).state, "used")
            xml = self.answer(customer.result(*self.key(self.move)).replace("<CodEnvio>7</CodEnvio>", ""), number=2)
            self.assertIn("does not fit the SII's schema", self.receive(xml).summary)

    def full_schemas(self, there=True):
        """Use the complete schemas, as after an administrator loaded them, or none."""
        schemas = self.env["dte.schema.set"].sudo()
        if there:
            loaded = xsd_validator.from_folder(Path(os.environ["DTE_SCHEMAS"]))
            return patch.object(type(schemas), "_load", lambda *_args: loaded)
        return patch.object(type(schemas), "_refuses", lambda *_args: False)

    def test_mail_for_nobody_is_dropped(self):
        gateway = self.env(user=self.env.ref("base.user_root"))["dte.mail"]
        self.assertFalse(gateway.message_new({"subject": "x"}, {}))
        with self.assertRaises(AccessError):
            self.env["dte.mail"].message_new({"subject": "x"}, {"company_id": self.company.id})

    def test_rights(self):
        mail = self.receive(self.result())
        for record in (mail, self.document.answer_ids):
            own = record.with_user(self.dte_user)
            self.assertTrue(own.display_name)
            for forbidden in (own.unlink, lambda own=own: own.write({"company_id": self.company.id})):
                with self.assertRaises(AccessError):
                    forbidden()
        other = self.env["res.company"].sudo().create({"name": "Otra"})
        stranger = new_test_user(
            self.env(su=True), "answer_stranger", "l10n_cl_dte.group_dte_manager", company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )  # fmt: skip
        for model in ("dte.mail", "dte.exchange.answer"):
            self.assertFalse(self.env[model].with_user(stranger).with_context(allowed_company_ids=other.ids).search([]))

    def test_useless_mail_is_forgotten(self):
        useless, used = self.receive(b"hola"), self.receive(self.result())
        self.env.cr.execute("UPDATE dte_mail SET create_date = '2020-01-01'")
        self.env.invalidate_all()
        self.mails()._gc_useless()
        self.assertEqual((bool(useless.exists()), bool(used.exists())), (False, True))


@tagged("post_install_l10n", "post_install", "-at_install")
class TestExchangeSettings(DteCommon):
    def test_the_address_of_the_company(self):
        company = self.company.sudo()
        company.alias_domain_id = company.alias_domain_id.create(
            {"name": f"otra{company.id}.example", "bounce_alias": "rebote", "catchall_alias": "todo"}
        )
        self.assertEqual(company._dte_mail_sender(), company.email_formatted)
        company.dte_mail_alias_name = "dte"
        alias = company.dte_mail_alias_id
        self.assertEqual(company.dte_mail_address, f"dte@otra{company.id}.example")
        company.dte_mail_alias_name = "facturas"
        self.assertEqual((company.dte_mail_alias_id, alias.alias_name), (alias, "facturas"))
        company.dte_mail_alias_name = False
        self.assertFalse(alias.exists())
        self.assertFalse(company.dte_mail_address)
