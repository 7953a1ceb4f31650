# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import DteCommon, new_rut


@tagged("post_install_l10n", "post_install", "-at_install")
class TestCaf(DteCommon):
    def refuse(self, content: bytes, words: str):
        with self.assertRaisesRegex(UserError, words):
            self.admin_env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": self.company.id})

    def caf(self, *args, **options):
        options.setdefault("name", "Empresa de Prueba")
        return self.simulator.caf(options.pop("rut", self.rut), *args, **options)

    def test_fields_are_read_from_the_file(self):
        caf = self.load_caf(33, 201, 250)
        self.assertRecordValues(
            caf,
            [{"dte_type": "33", "folio_from": 201, "folio_to": 250, "environment": "simulator", "state": "active"}],
        )
        self.assertEqual((caf.used, caf.free), (0, 50))
        self.assertGreater((caf.expires_on - caf.authorized_on).days, 180)

    def test_types_without_credit_do_not_expire(self):
        self.assertFalse(self.load_caf(34, 201, 210).expires_on)

    def test_no_file(self):
        with self.assertRaisesRegex(UserError, "Choose the CAF file"):
            self.admin_env["dte.caf"].create({"company_id": self.company.id})

    def test_other_company(self):
        self.refuse(self.caf(33, 301, 310, rut=new_rut()), "belongs to")

    def test_other_environment(self):
        self.refuse(self.caf(33, 301, 310, idk=100), "not for the environment")

    def test_unsupported_type(self):
        self.refuse(self.caf(110, 1, 10), "type 110 are not supported")

    def test_overlapping_range(self):
        self.refuse(self.caf(33, 90, 120, authorise=False), "overlaps")

    def test_same_file_twice(self):
        content = self.caf(33, 301, 310)
        self.admin_env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": self.company.id})
        self.refuse(content, "overlaps")

    def test_range_of_the_same_rut_in_another_company(self):
        """A branch with the same RUT must not issue the folios of its parent."""
        other = self.admin_env["res.company"].create({"name": "Sucursal", "vat": self.rut})
        self.admin.write({"company_ids": [(4, other.id)]})
        other.write(
            {
                "dte_environment": "simulator",
                "dte_simulator_url": self.simulator.url,
                "dte_simulator_key": self.company.sudo().dte_simulator_key,
            }
        )
        with self.assertRaisesRegex(UserError, "overlaps"):
            self.admin_env["dte.caf"].create(
                {"caf_file": base64.b64encode(self.caf(33, 50, 60, authorise=False)), "company_id": other.id}
            )

    def test_damaged(self):
        content = self.caf(33, 301, 310)
        self.refuse(content[:-200], "damaged")
        self.refuse(b"not a CAF", "damaged")
        self.refuse(content.replace(b"<FA>", b"<XX>").replace(b"</FA>", b"</XX>"), "damaged")

    def test_forged(self):
        self.refuse(self.caf(33, 301, 310).replace(b"<H>310</H>", b"<H>999</H>"), "signature on this CAF is not valid")

    def test_doctype_is_refused(self):
        content = self.caf(33, 301, 310).replace(b"<DA>", b'<!DOCTYPE x [<!ENTITY a "b">]><DA>')
        self.refuse(content, "damaged")

    def test_nobody_reads_the_key(self):
        caf = self.load_caf(33, 201, 250)
        for env in (self.env, self.admin_env):
            with self.assertRaises(AccessError):
                caf.with_env(env).read(["xml_content"])
            self.assertNotIn("xml_content", caf.with_env(env).fields_get())

    def test_user_cannot_load_nor_archive(self):
        content = base64.b64encode(self.caf(33, 301, 310))
        with self.assertRaises(AccessError):
            self.env["dte.caf"].create({"caf_file": content, "company_id": self.company.id})
        with self.assertRaises(AccessError):
            self.env["dte.caf"].search([], limit=1).active = False

    def test_manager_changes_nothing_but_active(self):
        caf = self.load_caf(33, 201, 250)
        manager = self.admin_env["dte.caf"].browse(caf.id)
        for values in (
            {"folio_to": 999},
            {"expires_on": "2099-12-31"},
            {"environment": "production"},
            {"active": False, "dte_type": "34"},
        ):
            with self.subTest(values=values), self.assertRaisesRegex(AccessError, "only be archived"):
                manager.write(values)
        manager.write({"active": False, "caf_filename": False})
        self.assertEqual((caf.state, caf.folio_to), ("archived", 250))

    def test_used_caf_cannot_be_deleted(self):
        caf = self.load_caf(33, 201, 250)
        caf.unlink()
        self.post()
        used = self.admin_env["dte.caf"].search([("dte_type", "=", "33"), ("company_id", "=", self.company.id)])
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            used.unlink()

    def queries(self, action) -> int:
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        action()
        return self.env.cr.sql_log_count - before

    def test_queries_grow_neither_with_cafs_nor_with_dates(self):
        doc_type = self.env.ref("l10n_cl.dc_a_f_dte")
        cafs = self.admin_env["dte.caf"].search([("dte_type", "=", "33"), ("company_id", "=", self.company.id)])
        today = self.company._dte_now().date()
        dates = [today - timedelta(days=number) for number in range(10)]

        def stock():
            cafs.mapped("free")

        def shortage():
            model = self.env["dte.caf"]
            self.assertFalse(model._find_shortage(self.company, doc_type, dates))
            self.assertEqual(model._find_shortage(self.company, doc_type, dates * 1000).code, "caf_used_up")

        cafs.sudo().authorized_on = dates[-1]
        self.queries(shortage)  # fills caches that have nothing to do with CAFs
        one = self.queries(stock), self.queries(shortage)
        for number in range(10):
            cafs |= self.load_caf(33, 201 + 10 * number, 210 + 10 * number)
        cafs.sudo().authorized_on = dates[-1]
        self.assertEqual((self.queries(stock), self.queries(shortage)), one)
        del dates[1:-1]
        self.assertEqual(self.queries(shortage), one[1])

    def test_use_is_counted_for_each_caf(self):
        first = self.admin_env["dte.caf"].search([("dte_type", "=", "33"), ("company_id", "=", self.company.id)])
        second, third = self.load_caf(33, 101, 110), self.load_caf(34, 101, 110)
        for _number in range(2):
            self.post()
        self.post(dte_type="34")
        document = self.post().dte_document_id.sudo()
        # One that was restored without its invoice, and two versions of one folio.
        values = {"superseded": True, "version": 2, "move_id": False, "backup_id": False, "envio_id": False}
        document.copy({**values, "folio": 105})
        document.copy({**values, "folio": 2})
        # A number that is taken by an invoice that is not signed yet counts too.
        draft = self.make()
        draft.sudo().dte_environment = "simulator"
        draft.name = "FAC 000108"
        cafs = first + second + third
        self.env.flush_all()
        cafs.invalidate_recordset()
        self.assertEqual(cafs.mapped("used"), [3, 1, 0])
        self.assertEqual(cafs.mapped("free"), [97, 2, 10])
        self.assertEqual([caf._last_used_in_range() for caf in cafs], [3, 108, 100])

    def test_state_follows_time_and_use(self):
        caf = self.load_caf(33, 201, 202)
        day = caf.expires_on
        for offset, state in ((0, "expiring"), (1, "expired")):
            moment = day.replace(day=day.day) if not offset else day.fromordinal(day.toordinal() + 1)
            now = self.company._dte_now().replace(year=moment.year, month=moment.month, day=moment.day)
            with patch.object(self.registry["res.company"], "_dte_now", lambda company, now=now: now):
                caf.invalidate_recordset()
                self.assertEqual(caf.state, state)
        caf.invalidate_recordset()
        caf.active = False
        self.assertEqual(caf.state, "archived")
