// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";

const WIZARD = ".modal .o_dte_contingency";

const openWizard = [
    {
        content: "The list is there",
        trigger: ".o_list_view",
    },
    {
        content: "Open the menu of the electronic documents",
        trigger: "button[data-menu-xmlid='l10n_cl_dte.dte_menu_root']",
        run: "click",
    },
    {
        content: "Open the contingency",
        trigger: ".dropdown-item[data-menu-xmlid='l10n_cl_dte.contingency_wizard_menu']",
        run: "click",
    },
    {
        content: "The SII was asked while it opened",
        trigger: `${WIZARD} .o_dte_sii_answer .text-success`,
    },
];

const closeWizard = [
    {
        content: "Close it",
        trigger: ".modal-footer button[special='cancel']",
        run: "click",
    },
    {
        content: "It is closed",
        trigger: "body:not(:has(.modal))",
    },
];

const banner = {
    content: "The list tells it",
    trigger: ".o_list_view .o_dte_contingency_banner",
};

const noBanner = {
    content: "The list tells nothing any more",
    trigger: ".o_list_view:not(:has(.o_dte_contingency_banner))",
};

registry.category("web_tour.tours").add("dte_contingency_enable_tour", {
    steps: () => [
        ...openWizard,
        {
            content: "Choose a reason",
            trigger: `${WIZARD} div[name='reason'] input`,
            run: "click",
        },
        {
            content: "Scheduled maintenance",
            trigger: ".o_select_menu_item:contains('Scheduled maintenance')",
            run: "click",
        },
        {
            content: "Say more",
            trigger: `${WIZARD} div[name='comment'] input`,
            run: "edit Notice of the SII",
        },
        {
            content: "Enable it",
            trigger: ".modal-footer button[name='action_enable']",
            run: "click",
        },
        {
            content: "It says since when, who and why",
            trigger: `${WIZARD} div[name='status_on']:contains('Scheduled maintenance. Notice of the SII')`,
        },
        ...closeWizard,
        banner,
    ],
});

// Started on a draft.
registry.category("web_tour.tours").add("dte_contingency_send_tour", {
    steps: () => [
        {
            content: "The invoice tells it",
            trigger: "div[name='dte_contingency_banner']:contains('In contingency since')",
        },
        {
            content: "Confirm",
            trigger: ".o_form_view button[name='action_post']",
            run: "click",
        },
        {
            content: "Send",
            trigger: "button[name='action_send_to_sii']",
            run: "click",
        },
        {
            content: "It is kept",
            trigger: "button[name='action_dte_open_document']:contains('In contingency')",
        },
        {
            content: "And counted",
            trigger: "div[name='dte_contingency_banner']:contains('wait to be sent')",
        },
    ],
});

registry.category("web_tour.tours").add("dte_contingency_upload_then_disable_tour", {
    steps: () => [
        ...openWizard,
        {
            content: "Upload one document a time",
            trigger: `${WIZARD} div[name='batch_size'] input`,
            run: "edit 1",
        },
        {
            content: "Upload",
            trigger: `${WIZARD} .o_dte_contingency_upload button`,
            run: "click",
        },
        {
            content: "Both are uploaded",
            trigger: `${WIZARD} .o_dte_contingency_upload:has(.progress-bar.bg-success):contains('2 of 2')`,
        },
        {
            content: "It still says that contingency is on",
            trigger: `${WIZARD} div[name='status_on']`,
        },
        {
            content: "Disable it; nothing waits, so nothing is asked",
            trigger: ".modal-footer button[name='action_disable']",
            run: "click",
        },
        {
            content: "It is off",
            trigger: `${WIZARD} div[name='status_calm']`,
        },
        ...closeWizard,
        noBanner,
    ],
});

registry.category("web_tour.tours").add("dte_contingency_disable_then_upload_tour", {
    steps: () => [
        ...openWizard,
        {
            content: "Disable it",
            trigger: ".modal-footer button[name='action_disable']",
            run: "click",
        },
        {
            content: "It asks what becomes of the two that wait",
            trigger: `${WIZARD} div[name='question']:contains('2')`,
        },
        {
            content: "Send them now",
            trigger: ".modal-footer button[name='action_disable_and_send']",
            run: "click",
        },
        {
            content: "They are uploaded without another click",
            trigger: `${WIZARD} .o_dte_contingency_upload:has(.progress-bar.bg-success):contains('2 of 2')`,
        },
        {
            content: "It is off",
            trigger: `${WIZARD} div[name='status_calm']`,
        },
        ...closeWizard,
        noBanner,
    ],
});
