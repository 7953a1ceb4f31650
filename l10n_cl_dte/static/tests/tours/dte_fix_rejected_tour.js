// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";

// Started on an invoice that the SII rejected for its form of payment: from the reason to the accepted document.
registry.category("web_tour.tours").add("dte_fix_rejected_tour", {
    steps: () => [
        {
            content: "The invoice says that it was rejected, and leads to the reasons",
            trigger: "div[name='dte_status']:contains('Rejected by the SII') a:contains('Show the reasons')",
            run: "click",
        },
        {
            content: "The reason is in sight, in plain words",
            trigger: ".o_field_widget[name='dte_reason_ids'].o_dte_shown .o_data_row:contains('may not carry')",
        },
        {
            content: "Go where it can be put right",
            trigger: "div[name='dte_reason_ids'] .o_data_row:contains('HED-3-211') button[name='action_fix']",
            run: "click",
        },
        {
            content: "The form of payment is in sight",
            trigger: ".o_field_widget[name='dte_payment_form'].o_dte_shown",
        },
        {
            content: "What has to be done first is said: Correct",
            trigger: ".o_notification:contains('Press Correct first')",
        },
        {
            content: "Correct",
            trigger: "button[name='action_dte_correct']",
            run: "click",
        },
        {
            content: "Yes",
            trigger: ".modal-footer .btn-primary",
            run: "click",
        },
        {
            content: "It is a draft now",
            trigger: ".o_form_view button[name='action_post']",
        },
        {
            content: "The tab of the electronic document",
            trigger: ".o_notebook .nav-link[name='dte_tab']",
            run: "click",
        },
        {
            content: "Open the forms of payment",
            trigger: ".o_field_widget[name='dte_payment_form'] input",
            run: "click",
        },
        {
            content: "Choose another one",
            trigger: ".o_select_menu_item:contains('Credit')",
            run: "click",
        },
        {
            content: "Confirm again",
            trigger: ".o_form_view button[name='action_post']",
            run: "click",
        },
        {
            content: "It has the folio that it had",
            trigger: "button[name='action_dte_open_document']:contains('Folio 1'):contains('To send')",
        },
        {
            content: "Send it",
            trigger: "button[name='action_send_to_sii']",
            run: "click",
        },
        {
            content: "The SII has it",
            trigger: "button[name='action_dte_open_document']:contains('waiting for the SII')",
        },
        {
            content: "Ask for the verdict",
            trigger: "button[name='action_dte_status']",
            run: "click",
        },
        {
            content: "Accepted: open the document",
            trigger: "button[name='action_dte_open_document']:contains('Accepted')",
            run: "click",
        },
        {
            content: "Its timeline tells of both versions, the way to the SII and both verdicts",
            trigger:
                "ul.o_dte_timeline:has(li.o_dte_tone_danger:contains('Rejected by the SII (HED-3-211)'))" +
                ":has(li:contains('signed, stamped and archived again with folio 1'))" +
                ":has(li.o_dte_tone_success:contains('Accepted by the SII'))",
        },
    ],
});

// Started on the document: the same way back to a draft, without looking for the invoice first.
registry.category("web_tour.tours").add("dte_document_correct_tour", {
    steps: () => [
        {
            content: "Correct",
            trigger: ".o_form_view button[name='action_correct']",
            run: "click",
        },
        {
            content: "Yes",
            trigger: ".modal-footer .btn-primary",
            run: "click",
        },
        {
            content: "The invoice is open as a draft",
            trigger: ".o_form_view button[name='action_post']",
        },
    ],
});
