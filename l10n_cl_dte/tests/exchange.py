# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""A company with a mailbox, and a customer whose system gets documents and answers them."""

import base64
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from email.utils import make_msgid

from odoo.addons.base.tests.common import MockSmtplibCase

from ..libs import credentials as credentials_lib
from .common import DteCommon

ADDRESS = "dte@cliente.example"


class ExchangeCommon(DteCommon, MockSmtplibCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.env(su=True)
        domain = root["mail.alias.domain"].create(
            {"name": f"empresa{cls.company.id}.example", "bounce_alias": "rebote", "catchall_alias": "todo"}
        )
        cls.company.sudo().alias_domain_id = domain
        cls.company.sudo().dte_mail_alias_name = "dte"
        cls.mailbox = f"dte@{domain.name}"
        cls.bounces = f"rebote@{domain.name}"
        cls.customer.dte_exchange_email = ADDRESS
        cls.buyer = cls.signer("12345678-5")

    @classmethod
    def signer(cls, rut):
        content, passphrase = cls.simulator.certificate(rut, "Firmante del Cliente", **{"from": "2026-01-01T00:00:00"})
        return credentials_lib.load_pkcs12(base64.b64decode(content), passphrase)

    def accepted(self, **values):
        """Return an invoice whose document the SII has accepted."""
        move = self.post(**values)
        self.send(move)
        self.ask(move)
        self.assertEqual(move.dte_status, "accepted")
        return move

    def deliver(self):
        """Run the job that mails; return the messages that left."""
        with self.mock_smtplib_connection():
            self.run_job("dte.exchange", "_cron_send")
            return [BytesParser(policy=SMTP).parsebytes(mail["message"].encode()) for mail in self.emails]

    def rows(self, move):
        return move.dte_document_id.sudo().exchange_ids

    def receive(self, *files, to=None, **headers):
        """Let a mail arrive with files, each bytes or (name, bytes, MIME type); return what was made of it."""
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = "Sistema <dte@cliente.example>", to or self.mailbox
        message["Subject"], message["Message-Id"] = "Respuesta", make_msgid(domain="cliente.example")
        for name, value in headers.items():
            message[name.replace("_", "-")] = value
        message.set_content("Se adjunta respuesta.")
        for number, file in enumerate(files):
            name, content, mime = (f"respuesta{number}.xml", file, "text/xml") if isinstance(file, bytes) else file
            message.add_attachment(content, *mime.split("/"), filename=name)
        before = self.mails()
        self.env(user=self.env.ref("base.user_root"))["mail.thread"].message_process(None, message.as_bytes())
        self.env.invalidate_all()
        return self.mails() - before

    def mails(self):
        return self.env["dte.mail"].sudo().search([("company_id", "=", self.company.id)])

    def key(self, move):
        """Return how a customer names a document: type, folio, date, issuer, receiver, total."""
        document = move.dte_document_id.sudo()
        return (
            document.dte_type, document.folio, str(document.issue_date), document.issuer_rut, document.receiver_rut,
            int(document.amount_total),
        )  # fmt: skip
