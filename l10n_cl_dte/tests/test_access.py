# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .common import DteCommon

READ_ONLY = ("dte.document", "dte.envio", "dte.backup", "dte.failed.queue", "dte.pause")


@tagged("post_install_l10n", "post_install", "-at_install")
class TestAccess(DteCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = {"company_id": cls.company.id, "company_ids": [(6, 0, cls.company.ids)]}
        sudo = cls.env(su=True)
        cls.manager = new_test_user(sudo, "dte_manager_x", "l10n_cl_dte.group_dte_manager", **options)
        cls.invoicer = new_test_user(sudo, "invoicer_x", "account.group_account_invoice", **options)
        cls.reader = new_test_user(sudo, "reader_x", "account.group_account_readonly", **options)
        other = sudo["res.company"].create({"name": "Otra empresa"})
        cls.stranger = new_test_user(
            sudo, "stranger_x", "l10n_cl_dte.group_dte_manager", company_id=other.id, company_ids=[(6, 0, other.ids)]
        )

    def test_a_new_company_cannot_issue_real_documents(self):
        self.assertEqual(self.stranger.company_id.sudo().dte_environment, "certification")

    def records(self):
        """Return one record of each model that nobody writes."""
        self.fault("upload_status", status=9, count=1)
        move = self.post()
        self.send(move)
        document = move.dte_document_id
        pause = self.env["dte.pause"].sudo()
        pause._begin(self.company, "simulator", "sii_upload_forbidden", {}, document.sudo().envio_id)
        return (
            document,
            document.envio_id,
            document.backup_id,
            self.env["dte.failed.queue"].search([("document_id", "=", document.id)]),
            pause.search([("company_id", "=", self.company.id)]).with_env(self.env),
        )

    def test_nobody_writes_documents_envelopes_queue_or_archive(self):
        records = self.records()
        self.assertEqual({record._name for record in records if record}, set(READ_ONLY))
        for user in (self.dte_user, self.manager):
            for record in records:
                own = record.with_user(user)
                self.assertTrue(own.read(["display_name"]))
                for action in (lambda own=own: own.write({"folio": 9}), own.unlink, lambda own=own: own.create({})):
                    with self.assertRaises(UserError):
                        action()

    def test_without_the_role_nothing_is_seen(self):
        self.post()
        for user in (self.invoicer, self.reader):
            for model in (*READ_ONLY, "dte.caf", "dte.sii.call", "dte.sii.session"):
                with self.assertRaises(AccessError):
                    self.env[model].with_user(user).search([])

    def test_reader_of_the_invoice_sees_how_it_stands(self):
        move = self.post().with_user(self.reader)
        self.assertEqual((move.dte_status, move.dte_folio), ("to_send", 1))

    def test_invoicer_posts_but_does_not_send(self):
        move = self.make().with_user(self.invoicer)
        move.action_post()
        self.assertEqual(move.dte_status, "to_send")
        with self.assertRaisesRegex(AccessError, "You need the role"):
            move.action_send_to_sii()

    def test_user_sends(self):
        move = self.post()
        self.assertEqual(self.send(move, self.dte_user)["type"], "success")
        self.assertEqual(move.dte_status, "sent")

    def test_sessions_and_tokens_are_closed(self):
        self.send(self.post())
        session = self.env["dte.sii.session"].sudo().search([("company_id", "=", self.company.id)])
        self.assertEqual(len(session), 1)
        for user in (self.dte_user, self.manager):
            with self.assertRaises(AccessError):
                session.with_user(user).read(["id"])
        with self.assertRaises(AccessError):
            session.with_user(self.admin).read(["token"])

    def test_other_companies_are_not_seen(self):
        for record in (*self.records(), self.env["dte.caf"].search([], limit=1)):
            with self.assertRaises(AccessError):
                record.with_user(self.stranger).with_context(allowed_company_ids=self.stranger.company_ids.ids).read(
                    ["display_name"]
                )

    def test_public_methods_check_rights(self):
        """Every public method can be called over RPC by anybody."""
        document, envio, backup, row, pause = self.records()
        for user in (self.invoicer, self.reader, self.stranger):
            for record, method in (
                (envio, "action_check_status"),
                (envio, "action_download"),
                (backup, "restore_dte_xml"),
                (row, "action_retry_now"),
                (row, "action_abandon"),
                (row, "action_reopen"),
                (row, "retry_send"),
                (pause, "action_resume"),
                (document.move_id, "action_dte_correct"),
                (document, "action_send"),
                (document, "action_check_status"),
                (document, "action_download_xml"),
                (document.backup_id, "action_download_xml"),
            ):
                with self.assertRaises(AccessError, msg=f"{user.login} {method}"):
                    getattr(record.with_user(user).with_context(allowed_company_ids=user.company_ids.ids), method)()
        with self.assertRaises(AccessError):
            self.company.with_user(self.dte_user).action_dte_test_connection()
