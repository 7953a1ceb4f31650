# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..libs.sii_soap_client import SiiClient
from .common import DteCommon
from .simulated import HOLDER, load_certificate


@tagged("post_install_l10n", "post_install", "-at_install")
class TestCertificate(DteCommon):
    def refuse(self, words, pkcs12, passphrase, **values):
        with self.assertRaisesRegex(UserError, words):
            load_certificate(self.company.with_env(self.admin_env), pkcs12, passphrase, **values)

    def test_loaded(self):
        self.assertEqual(self.company.dte_certificate_rut, HOLDER)
        self.assertTrue(self.company.dte_certificate_expiry)
        certificate = self.company.sudo().dte_certificate_id
        self.assertTrue(certificate.private_key_id)
        self.assertFalse(certificate.pkcs12_password, "the passphrase is not kept")

    def test_wizard_leaves_nothing_behind(self):
        load_certificate(self.company.with_env(self.admin_env), *self.simulator.certificate())
        self.assertFalse(self.admin_env["dte.certificate.load"].search_count([]))

    def test_wrong_passphrase(self):
        pkcs12, _passphrase = self.simulator.certificate()
        self.refuse("passphrase does not open", pkcs12, "not this one")

    def test_not_a_certificate(self):
        self.refuse("not a certificate file", base64.b64encode(b"hello"), "x")

    def test_expired(self):
        self.refuse("expired on", *self.simulator.certificate(**{"from": "2020-01-01", "to": "2021-01-01"}))

    def test_not_yet_valid(self):
        self.refuse("valid only from", *self.simulator.certificate(**{"from": "2090-01-01", "to": "2091-01-01"}))

    def test_without_rut(self):
        pkcs12, passphrase = self.simulator.certificate(no_rut=True)
        self.refuse("does not say its holder's RUT", pkcs12, passphrase)
        self.refuse("not a valid RUT", pkcs12, passphrase, holder_rut="11111111-2")
        load_certificate(self.company.with_env(self.admin_env), pkcs12, passphrase, holder_rut="11.111.111-1")
        self.assertEqual(self.company.dte_certificate_rut, HOLDER)

    def test_missing_stops_posting_before_a_folio(self):
        self.company.sudo().dte_certificate_id = False
        move = self.make()
        with self.assertRaisesRegex(UserError, "no digital certificate"):
            move.action_post()
        self.assertFalse(move.name)

    def test_only_administrators(self):
        with self.assertRaises(AccessError):
            load_certificate(self.company, *self.simulator.certificate())

    def test_login_is_tried_for_real(self):
        with self.committing() as env:
            action = self.company.with_env(env(user=self.admin)).action_dte_test_connection()
        self.assertEqual(action["params"]["type"], "success")
        self.fault("soap_fault", service="token", count=9)
        with (
            self.committing() as env,
            patch.object(SiiClient, "_pause", return_value=True),
            self.assertRaisesRegex(UserError, "not an answer"),
        ):
            self.company.with_env(env(user=self.admin)).action_dte_test_connection()
