# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""How a company prints its electronic documents."""

from odoo import fields, models

PAPERS = [("letter", "Letter (21.6 x 27.9 cm)"), ("roll", "Roll (80 mm)")]


class ResCompany(models.Model):
    _inherit = "res.company"

    dte_paper = fields.Selection(
        PAPERS,
        string="Paper of Electronic Documents",
        default="letter",
        required=True,
        help="What the invoice PDF is printed on unless another report is chosen.",
    )
    dte_print_transferable = fields.Boolean(
        string="Print the Transferable Copy",
        default=True,
        help="Adds the copy that can be assigned to others (cedible), with its box for the acknowledgement of receipt, "
        "to the invoices that have one.",
    )
