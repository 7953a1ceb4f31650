# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from .common import DteCommon

FAILED = 20_000
# Folios far from those of the test's own documents.
FIRST_FOLIO = 1_000_000
# Envelopes after which the job has no time left.
ENVELOPES = 4


@tagged("post_install_l10n", "post_install", "-at_install")
class TestVolume(DteCommon):
    """20,000 documents whose next attempt is due, after a day without the SII."""

    def setUp(self):
        super().setUp()
        self.company.sudo().dte_envio_size = 2
        # Those that the job comes to are real; nobody opens the others, so they have no bytes.
        self.due = self.env["account.move"].union(*(self.post() for _number in range(4)))
        self.due.dte_document_id.sudo().write({"state": "retry", "retry_at": "2026-01-01", "failures": 1})
        self.make_failed(self.due[0].dte_document_id)

    def make_failed(self, document):
        self.env.flush_all()
        same = ("company_id", "environment", "dte_type", "document_type_id", "issuer_rut", "receiver_rut", "issue_date",
                "signed_at", "amount_total", "state", "failures", "ask_first", "told")  # fmt: skip
        columns = SQL(", ").join(SQL.identifier(name) for name in same)
        self.env.cr.execute(
            SQL(
                "INSERT INTO dte_document (%s, folio, version, retry_at, queued_at)"
                " SELECT %s, %s + number, 1, now() - interval '1 hour', now() - interval '1 day'"
                " FROM dte_document, generate_series(1, %s) number WHERE id = %s",
                columns, columns, FIRST_FOLIO, FAILED, document.id,
            )
        )  # fmt: skip
        self.env.cr.execute(
            SQL(
                "INSERT INTO dte_failed_queue (document_id, company_id, environment, dte_type, folio, rut_emisor,"
                " state, error_type, failed_date, next_retry_date)"
                " SELECT id, company_id, environment, dte_type, folio, issuer_rut,"
                " 'pending', 'unavailable', now(), retry_at"
                " FROM dte_document WHERE company_id = %s AND state = 'retry'",
                self.company.id,
            )
        )
        self.env.cr.execute("ANALYZE dte_document")
        self.env.invalidate_all()

    def run_retries(self, between):
        """Run the job until its time is over; return the envelopes that it sent, and call `between` after each."""
        envios, sent = type(self.env["dte.envio"]), self.env["dte.envio"].sudo()
        send = envios._send

        def noted(envio, client):
            nonlocal sent
            send(envio, client)
            sent += envio.with_env(sent.env)
            if envio:
                between(envio)

        def progress(cron, *_args, **_values):
            cron.env.cr.commit()
            return ENVELOPES - len(sent)

        with (
            patch.object(envios, "_send", noted),
            patch.object(type(self.env["ir.cron"]), "_commit_progress", progress),
        ):
            self.run_job("dte.failed.queue", "_cron_retry_failed_dtes")
        return sent

    def test_fresh_documents_wait_for_one_envelope_at_most(self):
        """One is there when the job starts, one is asked for when an envelope of the queue has just gone."""
        first, second = (self.post().dte_document_id.sudo() for _number in range(2))
        first.queued_at = fields.Datetime.now()

        def ask(envio):
            if envio.document_ids <= self.due.dte_document_id:
                second.with_env(envio.env).queued_at = fields.Datetime.now()

        sent = self.run_retries(ask)
        due = self.due.dte_document_id.sudo()
        self.assertEqual([envio.document_ids for envio in sent], [first, due[:2], second, due[2:4]])
        self.assertEqual((first | second).mapped("state"), ["sent", "sent"])
