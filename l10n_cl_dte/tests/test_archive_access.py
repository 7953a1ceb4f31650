# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .archive import ArchiveCommon

MODELS = ("dte.backup", "dte.backup.seal", "dte.backup.scrub")


@tagged("post_install_l10n", "post_install", "-at_install")
class TestArchiveAccess(ArchiveCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = {"company_id": cls.company.id, "company_ids": [(6, 0, cls.company.ids)]}
        sudo = cls.env(su=True)
        cls.manager = new_test_user(sudo, "archive_manager", "l10n_cl_dte.group_dte_manager", **options)
        cls.invoicer = new_test_user(sudo, "archive_invoicer", "account.group_account_invoice", **options)
        other = sudo["res.company"].create({"name": "Otra empresa"})
        cls.stranger = new_test_user(
            sudo,
            "archive_stranger",
            "l10n_cl_dte.group_dte_manager",
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )

    def setUp(self):
        super().setUp()
        self.move = self.post()
        self.copy_files()
        self.seal()
        self.scrub()

    def as_user(self, user, model):
        return self.env[model].with_user(user).with_context(allowed_company_ids=user.company_ids.ids)

    def own(self, user, model):
        return self.as_user(user, model).search([("company_id", "=", self.company.id)])

    def test_both_groups_read_and_nobody_writes(self):
        for user in (self.dte_user, self.manager):
            for model in MODELS:
                record = self.own(user, model)[:1]
                self.assertTrue(record.read(["display_name"]), f"{user.login} {model}")
                for action in (
                    lambda record=record: record.write({"company_id": self.company.id}),
                    record.unlink,
                    lambda record=record: record.create({}),
                ):
                    with self.assertRaises(UserError, msg=f"{user.login} {model}"):
                        action()
            with self.assertRaises(AccessError):
                self.own(user, "dte.backup").write({"file_state": "pending"})

    def test_without_the_role_and_from_another_company_nothing_is_seen(self):
        for model in MODELS:
            record = self.own(self.manager, model)[:1]
            with self.assertRaises(AccessError):
                self.as_user(self.invoicer, model).search([])
            self.assertFalse(self.own(self.stranger, model))
            with self.assertRaises(AccessError):
                record.with_env(self.as_user(self.stranger, model).env).read(["display_name"])

    def test_managers_run_the_wizards(self):
        values = {
            "dte.archive.restore": {"company_id": self.company.id},
            "dte.archive.export": {
                "company_id": self.company.id, "date_from": "2020-01-01", "date_to": "2030-01-01",
                "environment": "simulator",
            },
        }  # fmt: skip
        for model, vals in values.items():
            for user in (self.dte_user, self.invoicer, self.stranger):
                with self.assertRaises(AccessError, msg=f"{user.login} {model}"):
                    self.as_user(user, model).create(vals)
        self.as_user(self.manager, "dte.archive.export").create(values["dte.archive.export"]).action_export()
        with self.committing() as env:
            wizard = env["dte.archive.restore"].with_user(self.manager).create(values["dte.archive.restore"])
            wizard.action_restore()
            self.assertEqual(wizard.present, 1)

    def test_public_methods_check_rights(self):
        backup = self.backup_of(self.move)
        for user in (self.invoicer, self.stranger):
            record = backup.with_env(self.as_user(user, "dte.backup").env(su=False))
            for method in ("restore_dte_xml", "action_download_xml", "action_view_invoice", "action_check_now"):
                with self.assertRaises(AccessError, msg=f"{user.login} {method}"):
                    getattr(record, method)()
            with self.assertRaises(AccessError):
                record.read(["xml_file"])
            with self.assertRaises(AccessError):
                record.backup_dte("33", 1, self.move._dte_xml(), "1", self.move.id)
        for user in (self.dte_user, self.invoicer):
            with self.assertRaises(AccessError):
                self.as_user(user, "dte.backup").backup_dte("33", 1, self.move._dte_xml(), "1", self.move.id)
            with self.assertRaises(AccessError):
                self.as_user(user, "dte.backup.scrub").action_check_everything()
        with self.assertRaises(AccessError):
            self.own(self.dte_user, "dte.backup").action_check_now()

    def test_user_reads_the_document_but_not_the_address(self):
        backup = self.own(self.dte_user, "dte.backup")
        self.assertEqual(backup.restore_dte_xml(), self.move._dte_xml())
        self.assertTrue(backup.action_download_xml())
        self.assertTrue(backup.with_context(bin_size=False).xml_file)
        self.assertTrue(self.company.with_user(self.dte_user).dte_archive_is_double)
        for user in (self.dte_user, self.manager):
            with self.assertRaises(AccessError):
                self.company.with_user(user).read(["dte_archive_url"])
            with self.assertRaises(AccessError):
                backup.with_user(user).read(["attachment_id"])

    def test_posting_needs_no_right_on_the_archive(self):
        move = self.make().with_user(self.invoicer)
        move.action_post()
        self.assertTrue(self.backup_of(move).attachment_id)
