# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The paper of an electronic document: what it says is read from the archived bytes, not from the invoice.

SII office and resolution are not in them: they come from the company's settings, the resolution of the document's
environment.
"""

import base64

from odoo import models
from odoo.exceptions import UserError

from ..libs import dte as dte_lib
from ..libs import print_words, printable, timbre, xml_reader
from ..libs.exceptions import DteError, SignatureError
from ..libs.taxes import TAX_KINDS

TEMPLATE = "l10n_cl_dte.report_invoice_document"

# Of the timbre in millimetres: wide modules where there is room, and 2 cm free on its left on a roll too.
TIMBRE_SIZES = {"letter": (72.0, 32.0), "roll": (52.0, 38.0)}
# Millimetres for the description of a line, see `printable.make`.
TEXT_ROOMS = {"letter": 113.0, "roll": 66.0}

# Millimetres of a letter page, and of what stands on it beside the detail. Their sum may err by a line or two: the
# page has a margin for that.
PAGE_MM = 252.0
HEAD_MM = 62.0
NEXT_HEAD_MM = 26.0
PAIR_MM = 4.3
REFERENCE_MM = 5.4
TIMBRE_MM = 52.0
TOTAL_MM = 5.6
RECEIPT_MM = 52.0
FOOTER_MM = 8.0
# Of a roll: what is too much is blank paper at its end.
ROLL_MM = 122.0
ROLL_RECEIPT_MM = 55.0
ROLL_ROW_MM = 3.6

# States in which the SII has not said, or cannot have said, that it has the document. What leaves by itself has none:
# the paper is made in the moment in which the invoice is sent, and would say for ever what held for minutes.
MARKS = {
    "to_send": print_words.NOT_SENT,
    "retry": print_words.NOT_SENT,
    "failed": print_words.NOT_SENT,
    "contingency": print_words.CONTINGENCY,
    "sending": print_words.UNCONFIRMED,
    "unknown": print_words.UNCONFIRMED,
    "rejected": print_words.REJECTED,
}
VOID_MARKS = (print_words.REJECTED, print_words.REFUSED, print_words.SUPERSEDED, print_words.IN_CORRECTION)


class AccountMove(models.Model):
    _inherit = "account.move"

    def _get_name_invoice_report(self):
        # EXTENDS l10n_cl
        self.ensure_one()
        # sudo: whoever may print the invoice, a customer in the portal too
        if self.sudo().dte_document_id or self._dte_is_issued():
            return TEMPLATE
        return super()._get_name_invoice_report()

    def _dte_default_paper(self) -> str:
        """Return "letter" or "roll": what this invoice is printed on when nobody says."""
        return self.env.context.get("dte_paper") or self.company_id.dte_paper

    def _dte_contrast(self, color: str) -> str:
        """Return black or white: what is read best on a colour like #1a2b3c."""
        try:
            red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
        except ValueError:
            return "#ffffff"
        return "#000000" if red * 0.299 + green * 0.587 + blue * 0.114 > 160 else "#ffffff"

    def _dte_sheet(self, paper: str | None = None) -> dict | None:
        """Return everything that the template places, None for a draft that cannot be shown as a document yet.

        :param paper: "letter" or "roll", as the company prints by default when left out
        :raises UserError: when no copy of the signed document is intact, or its timbre cannot be drawn
        """
        self.ensure_one()
        paper = paper or self._dte_default_paper()
        document = self.sudo().dte_document_id  # sudo: as for the template
        read = self._dte_read_archive(document) if document else self._dte_read_draft()
        if read is None:
            return None
        company = self.company_id.sudo()  # sudo: its letterhead is public
        content = printable.make(read, TEXT_ROOMS[paper], columns=paper != "roll")
        legends = [""]
        if document and content.transferable and company.dte_print_transferable:
            legends.append(content.transferable)
        sheet = {
            "paper": paper,
            "content": content,
            "draft": not document,
            "office": (company.dte_sii_office or "").upper(),
            "mark": self._dte_print_mark(document),
            "simulated": bool(document) and document.environment == "simulator",
            "words": print_words,
            "timbre": self._dte_print_timbre(document, read.ted, paper) if document else None,
            "resolution": self._dte_print_resolution(document) if document else "",
            "copies": [],
        }
        sheet["void"] = sheet["mark"] in VOID_MARKS
        for legend in legends:
            pages = self._dte_print_pages(content, sheet, legend)
            sheet["copies"].append({"legend": legend, "pages": pages})
        return sheet

    def _dte_read_archive(self, document) -> xml_reader.ReadDte:
        try:
            return xml_reader.read(document._checked_xml())
        except DteError as error:
            raise UserError(
                self.env._(
                    "%s cannot be printed: no copy of the signed document in the archive is intact. Restore it in "
                    "Invoicing > Electronic documents > Archive.",
                    document.display_name,
                )
            ) from error

    def _dte_read_draft(self) -> xml_reader.ReadDte | None:
        """Return what would be signed now, None when the invoice does not hold enough for that."""
        if self._dte_record_problems() or not self._dte_item_lines():
            return None
        dte = self._dte_values()
        if any(code not in TAX_KINDS for line in dte.lines for code in line.tax_codes):
            return None
        return xml_reader.ReadDte(dte, dte_lib.compute_totals(dte), b"", None)

    def _dte_print_mark(self, document) -> str:
        """Return what a reader must know before trusting the paper, "" when the SII has the document."""
        if not document:
            return print_words.NOT_VALID
        if document.superseded:
            return print_words.IN_CORRECTION if self.state == "draft" else print_words.SUPERSEDED
        if document.state == "failed" and document._is_refused():
            return print_words.REFUSED
        return "" if document._leaves_by_itself() else MARKS.get(document.state, "")

    def _dte_print_timbre(self, document, ted: bytes, paper: str) -> dict:
        width, height = TIMBRE_SIZES[paper]
        try:
            drawn = timbre.draw(ted, width=width, max_height=height)
        except SignatureError as error:
            raise UserError(
                self.env._(
                    "%s cannot be printed: its timbre does not fit into the symbol that the SII prescribes. Hand over "
                    "the XML instead.",
                    document.display_name,
                )
            ) from error
        source = f"data:image/png;base64,{base64.b64encode(drawn.png).decode()}"
        return {"source": source, "width": round(drawn.width, 2), "height": round(drawn.height, 2)}

    def _dte_print_resolution(self, document) -> str:
        resolution, day = document.company_id._dte_resolution(document.environment)
        return print_words.resolution_legend(resolution, day) if day else ""

    def _dte_print_pages(self, content: printable.Printable, sheet: dict, legend: str) -> list:
        """Return the rows of the detail, page by page; a roll is one page."""
        if sheet["paper"] == "roll":
            return [content.rows]
        pairs = max(len(content.receiver), len(content.terms) + 1)
        head = HEAD_MM + pairs * PAIR_MM + (len(content.references) + 1.5) * REFERENCE_MM * bool(content.references)
        extras = (len(content.installments) + len(content.adjustments)) * PAIR_MM
        totals = len(content.totals) * TOTAL_MM + (RECEIPT_MM if legend else 0)
        foot = max(TIMBRE_MM + extras, totals) + FOOTER_MM * (1 + bool(self.company_id.report_footer))
        return printable.paginate(content.rows, printable.Room(PAGE_MM - head, PAGE_MM - NEXT_HEAD_MM, foot))

    def _dte_roll_height(self) -> int:
        """Return a length in millimetres that is enough for the longest copy on a roll."""
        sheet = self._dte_sheet("roll")
        if sheet is None:
            return 297
        content = sheet["content"]
        pairs = (*content.receiver, *content.terms, *content.totals, *content.installments, *content.adjustments)
        lines = sum(printable.text_lines(pair.value, 30) for pair in pairs) + len(content.references) * 3
        lines += sum(printable.text_lines(line, 45) for line in (content.issuer_name, *content.issuer_lines))
        rows = sum(row.height + ROLL_ROW_MM for row in content.rows)
        receipt = ROLL_RECEIPT_MM if len(sheet["copies"]) > 1 else 0
        return round(ROLL_MM + receipt + lines * PAIR_MM + rows)
