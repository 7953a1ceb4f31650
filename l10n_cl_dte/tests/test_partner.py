# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo.tests import Form, TransactionCase, tagged


@tagged("post_install_l10n", "post_install", "-at_install")
class TestPartner(TransactionCase):
    """The comuna of an address follows its city until somebody types another one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.account_fiscal_country_id = cls.env.ref("base.cl")

    def new(self, **values):
        return self.env["res.partner"].create({"name": "Cliente", "city": "Santiago", **values})

    def test_it_follows_the_city(self):
        partner = self.new()
        self.assertEqual(partner.dte_comuna, "Santiago")
        partner.city = "Valdivia"
        self.assertEqual(partner.dte_comuna, "Valdivia")
        self.env.flush_all()
        partner.city = "Osorno"
        self.assertEqual(partner.dte_comuna, "Osorno")
        self.assertEqual(partner.search([("dte_comuna", "=", "Osorno"), ("id", "=", partner.id)]), partner)

    def test_what_was_typed_stays(self):
        partner = self.new(dte_comuna="Providencia")
        partner.city = "Valdivia"
        self.assertEqual(partner.dte_comuna, "Providencia")
        partner.write({"city": "Valparaíso", "dte_comuna": "Viña del Mar"})
        partner.city = "Santiago"
        self.assertEqual(partner.dte_comuna, "Viña del Mar")

    def test_it_follows_again_once_it_is_cleared(self):
        partner = self.new(dte_comuna="Providencia")
        partner.dte_comuna = False
        self.assertEqual(partner.dte_comuna, "Santiago")
        partner.city = "Valdivia"
        self.assertEqual(partner.dte_comuna, "Valdivia")

    def test_contacts_share_it(self):
        partner = self.new(is_company=True)
        contact = self.env["res.partner"].create({"name": "Ana", "parent_id": partner.id})
        partner.city = "Valdivia"
        self.assertEqual(contact.dte_comuna, "Valdivia")
        partner.dte_comuna = "Corral"
        self.assertEqual(contact.dte_comuna, "Corral")
        partner.city = "Osorno"
        self.assertEqual((partner.dte_comuna, contact.dte_comuna), ("Corral", "Corral"))

    def test_the_form(self):
        form = Form(self.env["res.partner"])
        form.name = "Cliente"
        for city in ("Santiago", "Valdivia"):
            form.city = city
            self.assertEqual(form.dte_comuna, city)
        partner = form.save()
        with Form(partner) as form:
            form.city = "Osorno"
            form.city = "Santiago"
            self.assertEqual(form.dte_comuna, "Santiago")
            form.dte_comuna = "Providencia"
            form.city = "Valdivia"
            self.assertEqual(form.dte_comuna, "Providencia")
        self.assertEqual(partner.dte_comuna, "Providencia")
        with Form(partner) as form:
            form.dte_comuna = False
            self.assertEqual(form.dte_comuna, "Valdivia")
        partner.city = "Osorno"
        self.assertEqual(partner.dte_comuna, "Osorno")

    def test_a_number_of_chile_is_a_rut(self):
        with Form(self.env["res.partner"]) as form:
            form.name = "Cliente"
            self.assertEqual(form.l10n_latam_identification_type_id, self.env.ref("l10n_latam_base.it_vat"))
            form.country_id = self.env.ref("base.cl")
            self.assertEqual(form.l10n_latam_identification_type_id, self.env.ref("l10n_cl.it_RUT"))
            # A choice is left alone.
            form.l10n_latam_identification_type_id = self.env.ref("l10n_cl.it_DNI")
            form.country_id = self.env.ref("base.ar")
            form.country_id = self.env.ref("base.cl")
            self.assertEqual(form.l10n_latam_identification_type_id, self.env.ref("l10n_cl.it_DNI"))
