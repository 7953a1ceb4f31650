// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";

const back = {
    content: "Back to the overview",
    trigger: ".o_breadcrumb .breadcrumb-item a:contains('Overview'), .o_back_button",
    run: "click",
};

registry.category("web_tour.tours").add("dte_dashboard_tour", {
    steps: () => [
        {
            content: "Open the menu of the electronic documents",
            trigger: "button[data-menu-xmlid='l10n_cl_dte.dte_menu_root']",
            run: "click",
        },
        {
            content: "Open the overview",
            trigger: ".dropdown-item[data-menu-xmlid='l10n_cl_dte.dte_dashboard_menu']",
            run: "click",
        },
        {
            content: "An alert is told",
            trigger: ".o_dte_dashboard .o_dte_alert:contains('rejected')",
        },
        {
            content: "One document was rejected: show it",
            trigger: ".o_dte_tile[name='rejected']:contains('1')",
            run: "click",
        },
        {
            content: "It is the one in the list",
            trigger: ".o_list_view .o_data_row:only-child, .o_list_view:not(:has(.o_data_row ~ .o_data_row)) .o_data_row",
        },
        back,
        {
            content: "The folios of invoices",
            trigger: ".o_dte_folio_row[data-type='33'] a",
            run: "click",
        },
        {
            content: "Their CAF",
            trigger: ".o_list_view .o_data_row:contains('33: 1 - 100'), .o_list_view .o_data_row",
        },
        back,
        {
            content: "It can be asked again",
            trigger: ".o_dte_refresh",
            run: "click",
        },
        {
            content: "And says how the company stands",
            trigger: ".o_dte_status:contains('Sending as usual')",
        },
    ],
});
