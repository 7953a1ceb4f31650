// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { browser } from "@web/core/browser/browser";
import { registry } from "@web/core/registry";

const PATIENCE = 5000;
const STEP = 50;
const SHOWN = 4000;

/** What `find` returns as soon as it returns something; nothing when the screen does not have it. */
async function waitFor(find) {
    for (let waited = 0; waited < PATIENCE; waited += STEP) {
        const found = find();
        if (found) {
            return found;
        }
        await new Promise((resolve) => browser.setTimeout(resolve, STEP));
    }
    return null;
}

/** Open a screen, or stay on this one, and put a field of it in sight. */
async function showField(env, { params }, options) {
    if (params.note) {
        env.services.notification.add(params.note, { type: "info" });
    }
    if (params.action) {
        await env.services.action.doAction(params.action, { ...options, onClose: undefined });
    }
    if (params.tab) {
        const tab = await waitFor(() => document.querySelector(`.o_notebook .nav-link[name='${params.tab}']`));
        tab?.click();
    }
    if (params.field) {
        const selector = `.o_field_widget[name='${params.field}'], .o_setting_box[id='${params.field}']`;
        const field = await waitFor(() => document.querySelector(selector));
        field?.scrollIntoView({ block: "center" });
        // A date would open its calendar over what is filled in next.
        field?.querySelector("input:not(.o_datetime_input), textarea, select, a")?.focus({ preventScroll: true });
        field?.classList.add("o_dte_shown");
        browser.setTimeout(() => field?.classList.remove("o_dte_shown"), SHOWN);
    }
}

registry.category("actions").add("l10n_cl_dte.show_field", showField);
