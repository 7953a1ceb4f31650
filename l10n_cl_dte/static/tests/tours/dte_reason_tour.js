// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("dte_reason_tour", {
    steps: () => [
        {
            content: "The tab of the electronic document",
            trigger: ".o_notebook .nav-link[name='dte_tab']",
            run: "click",
        },
        {
            content: "The reason is explained, with where to look",
            trigger: "div[name='dte_reason_ids'] .o_data_row:contains('before the day on which')",
        },
        {
            content: "Show the date",
            trigger: "div[name='dte_reason_ids'] .o_data_row:contains('HED-3-305') button[name='action_fix']",
            run: "click",
        },
        {
            content: "The date is in sight, and what has to be done first is said",
            trigger: ".o_field_widget[name='invoice_date'].o_dte_shown",
        },
        {
            content: "Correct is named",
            trigger: ".o_notification:contains('Press Correct first')",
        },
        {
            content: "Show the references",
            trigger: "div[name='dte_reason_ids'] .o_data_row:contains('REF-3-758') button[name='action_fix']",
            run: "click",
        },
        {
            content: "They are in sight, on the same tab",
            trigger: ".o_field_widget[name='dte_reference_ids'].o_dte_shown",
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
            content: "The invoice is a draft that can be changed",
            trigger: ".o_form_view button[name='action_post']",
        },
        {
            content: "Its date too",
            trigger: ".o_field_widget[name='invoice_date'] :is(input, button)",
        },
    ],
});

// Started on the document.
registry.category("web_tour.tours").add("dte_document_reason_tour", {
    steps: () => [
        {
            content: "Show the lines",
            trigger: "div[name='reason_ids'] .o_data_row:contains('Line 1') button[name='action_fix']",
            run: "click",
        },
        {
            content: "The invoice is opened on its lines",
            trigger: ".o_field_widget[name='invoice_line_ids'].o_dte_shown",
        },
        {
            content: "Its document is one step back",
            trigger: ".o_breadcrumb .o_back_button, .breadcrumb-item",
        },
    ],
});
