# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Send & Print: the document leaves for the SII by itself, and its XML goes with the mail to the customer."""

from odoo import api, models
from odoo.exceptions import UserError

from .dte_document import SENDABLE

EDI = "cl_dte"
# Key in what is collected for an invoice that goes to nobody: its error ends the sending on every path.
KEPT_BACK = "cl_dte_kept_back"
# The paper that was kept before: it is among the files of the mail, which were chosen when it was still true.
KEPT_PDF = "cl_dte_kept_pdf"


class AccountMoveSend(models.AbstractModel):
    _inherit = "account.move.send"

    # -- the check box --

    @api.model
    def _is_cl_dte_applicable(self, move) -> bool:
        """Tell whether the document of an invoice can still be sent to the SII, by this user."""
        # sudo: whoever sends the invoice needs to know how its document stands
        document = move.sudo().dte_document_id
        return bool(
            document
            and not document.superseded
            and document.state in SENDABLE
            and not document._is_refused()
            and document._is_sent_from_here()
            and self._dte_may_send(move)
        )

    @api.model
    def _dte_may_send(self, move) -> bool:
        """Tell whether the user may send documents, and in the background who left the invoice to the job."""
        author = self._dte_author(move)
        users = author if self.env.su else author | self.env.user
        return all(user.has_group("l10n_cl_dte.group_dte_user") for user in users)

    @api.model
    def _dte_author(self, move):
        """Return the user who left an invoice to the job that sends in the background, none if nobody did."""
        return self.env["res.users"].browse((move.sending_data or {}).get("author_user_id")).exists()

    def _get_all_extra_edis(self) -> dict:
        # EXTENDS account
        edis = super()._get_all_extra_edis()
        edis[EDI] = {
            "label": self.env._("DTE to the SII"),
            "is_applicable": self._is_cl_dte_applicable,
            "help": self.env._("Send the signed document to the SII; it leaves by itself within minutes."),
        }
        return edis

    @api.model
    def _get_default_extra_edis(self, move) -> set:
        # EXTENDS account: what failed or was given up leaves again when a person wants it, not by the way
        edis = super()._get_default_extra_edis(move)
        return edis - {EDI} if move.sudo().dte_document_id.state == "failed" else edis

    # -- what is missing --

    def _get_alerts(self, moves, moves_data):
        # EXTENDS account
        alerts = super()._get_alerts(moves, moves_data)
        # sudo: whoever sends the invoices needs to know how their documents stand
        issued = moves.filtered(lambda move: move.sudo().dte_document_id)
        if issued:
            alerts.update(self._dte_document_alerts(issued, moves_data))
            leaving = issued.filtered(lambda move: EDI in (moves_data[move]["extra_edis"] or ()))
            alerts.update(self._dte_company_alerts(leaving.company_id))
            alerts.update(self._dte_customer_alerts(issued))
        return alerts

    def _dte_document_alerts(self, moves, moves_data) -> dict:
        alerts = {}

        def of(*states):
            return moves.filtered(lambda move: move.sudo().dte_document_id.state in states)

        def alert(code, level, found, message):
            if found:
                alerts[code] = {"level": level, "message": message, **self._dte_show(found)}

        being_corrected = moves.filtered(lambda move: move.sudo().dte_document_id.superseded)
        alert(
            "cl_dte_not_valid", "danger", of("rejected") | being_corrected,
            self.env._("The SII rejected the document: correct it and confirm it again before it is sent to anybody."),
        )  # fmt: skip
        refused = of("failed").filtered(lambda move: move.sudo().dte_document_id._is_refused()) - being_corrected
        alert(
            "cl_dte_refused", "danger", refused,
            self.env._("The document cannot leave as it is: correct it before it is sent to anybody."),
        )  # fmt: skip
        alert(
            "cl_dte_failed", "warning", of("failed") - being_corrected - refused,
            self.env._("The document could not be sent to the SII. Look at the reason before it is sent again."),
        )  # fmt: skip
        alert(
            "cl_dte_unclear", "warning", of("no_answer", "unknown"),
            self.env._("The SII has not said what became of the document."),
        )  # fmt: skip
        stranded = (of(*SENDABLE) - being_corrected).filtered(
            lambda move: not move.sudo().dte_document_id._is_sent_from_here()
        )
        alert(
            "cl_dte_stranded", "warning", stranded,
            self.env._(
                "Issued in another environment or under another RUT than the company has now: the document does not "
                "leave for the SII."
            ),
        )  # fmt: skip
        left_out = (of("to_send", "retry") - stranded).filtered(
            lambda move: EDI not in (moves_data[move]["extra_edis"] or ()) and not move.sudo().dte_document_id.queued_at
        )
        alert(
            "cl_dte_left_out", "warning", left_out,
            self.env._("The document has not been sent to the SII, which comes before handing it over. Tick the box."),
        )  # fmt: skip
        alert(
            "cl_dte_contingency", "info", of("contingency"),
            self.env._("Issued in contingency: the document leaves for the SII when contingency ends."),
        )  # fmt: skip
        return alerts

    def _dte_company_alerts(self, companies) -> dict:
        """Return one alert per company with everything that keeps its documents from leaving."""
        alerts = {}
        for company in companies:
            problems = [company._dte_describe_problem(problem) for problem in company._dte_find_problems()]
            if problems:
                alerts[f"cl_dte_company_{company.id}"] = {
                    "level": "danger",
                    "message": self.env._("The document cannot leave. %s", " ".join(problems)),
                    **self._dte_settings_action(),
                }
            elif self.env["dte.pause"]._is_paused(company, company.dte_environment):
                alerts[f"cl_dte_paused_{company.id}"] = {
                    "level": "warning",
                    "message": self.env._(
                        "Sending is paused for %s because the SII refuses the sender: the document waits.", company.name
                    ),
                    "action_text": self.env._("View the reason"),
                    "action": self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_pause_action"),
                }
        return alerts

    def _dte_customer_alerts(self, moves) -> dict:
        """Say which customers get no XML for their system."""
        without = moves.commercial_partner_id.filtered(
            lambda partner: not partner.dte_exchange_email and partner.l10n_cl_sii_taxpayer_type == "1"
        )
        if not without:
            return {}
        return {
            "cl_dte_no_address": {
                "level": "info",
                "message": self.env._(
                    "Without an exchange address the customer's system does not get the XML: %s.",
                    # "Ltda." brings the point with which the sentence ends.
                    ", ".join(without.mapped("display_name")).removesuffix("."),
                ),
                "action_text": self.env._("View Partner(s)"),
                "action": without._get_records_action(name=self.env._("Customers without Exchange Address")),
            }
        }

    def _dte_settings_action(self) -> dict:
        if not self.env.user.has_group("base.group_system"):
            return {}
        return {
            "action_text": self.env._("Open the settings"),
            "action": self.env["ir.actions.act_window"]._for_xml_id("account.action_account_config"),
        }

    def _dte_show(self, moves) -> dict:
        return {
            "action_text": self.env._("View Invoice(s)"),
            "action": moves._origin._get_records_action(name=self.env._("Electronic Documents to Look At")),
        }

    # -- sending --

    @api.model
    def _hook_invoice_document_before_pdf_report_render(self, invoice, invoice_data):
        # EXTENDS account: alerts are not asked again when a batch leaves in the background
        result = super()._hook_invoice_document_before_pdf_report_render(invoice, invoice_data)
        document = invoice.sudo().dte_document_id  # sudo: see _get_alerts
        if document.superseded or (document and document._is_refused()):
            self._dte_keep_back(document, invoice_data, document.message)
        elif document:
            invoice_data[KEPT_PDF] = invoice.invoice_pdf_report_id.id
            # Written while the SII decided: the mail takes no paper that is not true any more.
            invoice._dte_drop_stale_pdf()
            self._dte_keep_back_unprintable(invoice, invoice_data)
        return result

    def _dte_keep_back(self, document, invoice_data, reason):
        """Send an invoice to nobody and say why, on the screen or on the invoice; the others of a batch go on."""
        invoice_data[KEPT_BACK] = True
        invoice_data["error"] = {
            "error_title": self.env._("%s is not sent to the customer.", document.display_name),
            "errors": [reason],
        }

    def _dte_keep_back_unprintable(self, invoice, invoice_data):
        """Find what cannot be printed before the others are: the papers of a batch are made all at once.

        A kept paper is as good as a new one, unless it says that the document waits, which now leaves.
        """
        if invoice.invoice_pdf_report_id and EDI not in invoice_data["extra_edis"]:
            return
        try:
            invoice._dte_sheet()
        except UserError as error:
            self._dte_keep_back(invoice.dte_document_id, invoice_data, str(error))

    @api.model
    def _hook_invoice_document_after_pdf_report_render(self, invoice, invoice_data):
        # EXTENDS account: the kept PDF remembers its mark, see `_dte_drop_stale_pdf`
        result = super()._hook_invoice_document_after_pdf_report_render(invoice, invoice_data)
        document = invoice.sudo().dte_document_id  # sudo: see _get_alerts
        if document and invoice_data.get("pdf_attachment_values"):
            invoice_data["pdf_attachment_values"]["description"] = invoice._dte_print_mark(document)
            files = invoice_data.get("mail_attachments_widget") or []
            old = str(invoice_data.get(KEPT_PDF))
            # What the user has clicked away keeps the new one of the same name out as well.
            invoice_data["mail_attachments_widget"] = [
                file for file in files if str(file["id"]) != old or file.get("skip")
            ]
        return result

    @api.model
    def _call_web_service_before_invoice_pdf_render(self, invoices_data):
        # EXTENDS account: no network here; the document is noted, and the sending job takes it
        result = super()._call_web_service_before_invoice_pdf_render(invoices_data)
        # sudo: the check box is only for who may send documents
        chosen = self.env["account.move"].sudo().union(
            *(move for move, data in invoices_data.items() if EDI in data["extra_edis"])
        )  # fmt: skip
        moves = chosen.filtered(self._is_cl_dte_applicable)
        if moves:
            noted = moves.dte_document_id._note_asked()
            for document in noted:
                asker = self._dte_author(document.move_id) or self.env.user
                # The system needs no telling.
                document.queued_by = asker.filtered(lambda user: user._is_internal() and not user._is_superuser())
            noted._make_due()
            noted._wake_jobs()
            self._dte_keep_back_busy(moves.dte_document_id - noted, invoices_data)
        return result

    @api.model
    def _generate_invoice_fallback_documents(self, invoices_data):
        # EXTENDS account: whatever else fails is mailed as a pro forma; what is kept back is not
        others = {move: data for move, data in invoices_data.items() if not data.get(KEPT_BACK)}
        return super()._generate_invoice_fallback_documents(others)

    @api.model
    def _hook_if_errors(self, moves_data, allow_raising=True):
        # EXTENDS account: what the job tries again in a moment is no news
        told = {
            move: data
            for move, data in moves_data.items()
            if not (data.get(KEPT_BACK) and data["error"].get("retry") and move.sending_data)
        }
        return super()._hook_if_errors(told, allow_raising=allow_raising)

    @api.model
    def _hook_if_success(self, moves_data, from_cron=False):
        # EXTENDS account
        result = super()._hook_if_success(moves_data, from_cron=from_cron)
        moves = self.env["account.move"].browse([move.id for move in moves_data])
        # sudo: where the XML goes with the invoice, sending the invoice is what asks for it
        self.env["dte.exchange"]._plan_safely(moves.sudo().dte_document_id)
        return result

    def _dte_keep_back_busy(self, documents, invoices_data):
        """Hand over nothing of which the user thinks that it leaves for the SII; the job tries it again."""
        busy = documents.filtered(lambda document: not document.is_queued and document.state != "retry")
        for move, data in invoices_data.items():
            if move.dte_document_id in busy:
                reason = self.env._("Somebody else is working on this document. Try again in a moment.")
                self._dte_keep_back(move.dte_document_id, data, reason)
                data["error"]["retry"] = True

    # -- the XML in the mail --

    @api.model
    def _get_placeholder_mail_attachments_data(self, move, invoice_edi_format=None, extra_edis=None, pdf_report=None):
        # EXTENDS account
        data = super()._get_placeholder_mail_attachments_data(
            move, invoice_edi_format=invoice_edi_format, extra_edis=extra_edis, pdf_report=pdf_report
        )
        found = move._dte_customer_file()
        if found:
            name = found[0]
            data.append({"id": f"placeholder_{name}", "name": name, "mimetype": "application/xml", "placeholder": True})
        return data

    @api.model
    def _get_mail_params(self, move, move_data):
        # EXTENDS account: the XML comes from the archive when the mail leaves; there is no second copy to keep
        params = super()._get_mail_params(move, move_data)
        found = move._dte_customer_file()
        skipped = {widget["name"] for widget in move_data.get("mail_attachments_widget") or () if widget.get("skip")}
        if params and found and found[0] not in skipped:
            params["attachments"] = [*params["attachments"], found]
        return params
