// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";

// An accountant confirms a draft, sends it and asks for the verdict, on a screen in Spanish.
registry.category("web_tour.tours").add("dte_send_tour", {
    steps: () => [
        {
            content: "Confirm the draft",
            trigger: ".o_form_view button[name='action_post']:contains('Confirmar')",
            run: "click",
        },
        {
            content: "The document has a folio and is not sent yet",
            trigger: "button[name='action_dte_open_document']:contains('Folio 1'):contains('Por enviar')",
        },
        {
            content: "Send it",
            trigger: "button[name='action_send_to_sii']:contains('Enviar DTE')",
            run: "click",
        },
        {
            content: "The notification says what happened",
            trigger: ".o_notification:contains('El SII lo recibió con track id')",
        },
        {
            content: "The invoice shows it, and the button is gone",
            trigger:
                ".o_form_view:not(:has(button[name='action_send_to_sii'])) " +
                "button[name='action_dte_open_document']:contains('Enviado, esperando al SII')",
        },
        {
            content: "Ask for the verdict",
            trigger: "button[name='action_dte_status']:contains('Consultar al SII')",
            run: "click",
        },
        {
            content: "It is accepted",
            trigger: "button[name='action_dte_open_document']:contains('Aceptado')",
        },
        {
            content: "Open the tab of the electronic document",
            trigger: "a[name='dte_tab']:contains('Documento electrónico')",
            run: "click",
        },
        {
            content: "The timeline tells the story",
            trigger: "div[name='dte_timeline']:contains('Timbrado, firmado y archivado con el folio 1'):contains('EPR')",
        },
    ],
});

// The list offers to send many at once.
registry.category("web_tour.tours").add("dte_bulk_send_tour", {
    steps: () => [
        {
            content: "Select all invoices",
            trigger: ".o_list_view thead .o_list_record_selector input",
            run: "click",
        },
        {
            content: "Open the actions",
            trigger: ".o_cp_action_menus .dropdown-toggle:contains('Acciones')",
            run: "click",
        },
        {
            content: "Send them",
            trigger: ".o-dropdown-item:contains('Enviar DTE al SII')",
            run: "click",
        },
        {
            content: "The notification counts them",
            trigger: ".o_notification:contains('2 documentos electrónicos')",
        },
        {
            content: "Both are sent",
            trigger: ".o_list_view:has(.o_data_row:eq(1)) .o_data_row:eq(1) td[name='dte_status']:contains('Enviado')",
        },
    ],
});
