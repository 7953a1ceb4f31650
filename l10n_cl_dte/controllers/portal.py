# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import http
from odoo.exceptions import AccessError, MissingError
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal


class DtePortal(CustomerPortal):
    @http.route("/my/invoices/<int:invoice_id>/dte", type="http", auth="public", methods=["GET"])
    def portal_invoice_dte(self, invoice_id, access_token=None, **_others):
        """Return the signed XML of an invoice to whoever may see the invoice, by login or by its link."""
        try:
            invoice = self._document_check_access("account.move", invoice_id, access_token)
        except (AccessError, MissingError):
            return request.redirect("/my")
        found = invoice._dte_customer_file()
        if not found:
            return request.redirect(invoice.get_portal_url())
        name, content = found
        return request.make_response(
            content,
            [
                ("Content-Type", "application/xml; charset=ISO-8859-1"),
                ("Content-Length", len(content)),
                ("Content-Disposition", http.content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
