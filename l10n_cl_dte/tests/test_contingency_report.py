# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import io

from pypdf import PdfReader

from odoo.tests import HttpCase, tagged

from .common import ServedCursor
from .test_contingency_wizard import WAITING, WizardCommon, make_waiting

REPORT = "l10n_cl_dte.action_report_contingency"


@tagged("post_install_l10n", "post_install", "-at_install")
class TestContingencyReport(ServedCursor, WizardCommon, HttpCase):
    """What an auditor reads, taken from the PDF itself; with a server, which gives wkhtmltopdf the styles."""

    def episode(self):
        return self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)], limit=1)

    def pages(self, episodes):
        """Print the report; return the words of each of its pages."""
        reports = self.env["ir.actions.report"].with_context(force_report_rendering=True)
        content, kind = reports._render_qweb_pdf(REPORT, episodes.ids)
        self.assertEqual(kind, "pdf")
        return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(content)).pages]

    def test_it_says_what_happened(self):
        self.company.partner_id.sudo().lang = "en_US"
        moves = self.hold(3)
        self.upload(2)
        self.press(self.wizard(), "action_disable_and_leave")
        episode = self.episode()
        self.assertEqual(episode.action_print()["report_name"], "l10n_cl_dte.report_contingency")
        first, *others = self.pages(episode)
        for words in (
            self.company.name, self.rut, "Simulator", self.manager.name, "Scheduled maintenance", "Documents held 3",
            "Sent to the SII 2", "Still waiting 1", "With problems 0", "Envelopes that the SII took 1",
            "Contingency opened", "Ended by a person",
        ):  # fmt: skip
            self.assertIn(words, first)
        moves.invalidate_recordset()
        sent = moves.filtered(lambda move: move.dte_status == "sent")
        listed = " ".join(others)
        for words in (self.customer.vat, "$ 1,190", *sent.mapped("dte_track_id")):
            self.assertIn(words, listed)
        self.assertNotIn("DRILL", first + listed)

    def test_two_reports_in_one_file(self):
        self.hold()
        self.press(self.wizard(), "action_disable_and_leave")
        self.press(self.wizard(reason="network"), "action_enable")
        both = self.env["dte.contingency.episode"].search([("company_id", "=", self.company.id)])
        self.assertEqual(len(both), 2)
        firsts = [page for page in self.pages(both) if "Documents held" in page]
        self.assertEqual(
            [reason in page for reason, page in zip(("Network", "Scheduled"), firsts, strict=True)], [True, True]
        )

    def test_ten_thousand_documents_of_a_drill(self):
        make_waiting(self, self.hold().dte_document_id)
        episode = self.episode()
        self.env.cr.execute("UPDATE dte_contingency_episode SET drill = true WHERE id = %s", [episode.id])
        episode.invalidate_recordset()
        pages = self.pages(episode)
        self.assertIn(f"Documents held {WAITING + 1}", pages[0])
        self.assertIn(f"The first 2000 of {WAITING + 1} documents", " ".join(pages))
        self.assertLess(len(pages), 100)
        self.assertEqual([page for page in pages if "DRILL" not in page], [])
