// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { _t } from "@web/core/l10n/translation";
import { ConnectionLostError } from "@web/core/network/rpc";
import { user } from "@web/core/user";

/** Event on the bus of the web client: what the banners tell may have changed. */
export const CHANGED = "DTE:CONTINGENCY-CHANGED";

/** The context in which the server sees the company of the wizard as the current one. */
export function companyContext(record) {
    const company = record.data.company_id;
    return company ? { ...user.context, allowed_company_ids: [company.id] } : user.context;
}

/** What to tell the user about a call that failed; anything that is not a failed call is thrown on. */
export function reasonOf(error) {
    if (error instanceof ConnectionLostError) {
        return _t("The Odoo server cannot be reached. Check your connection.");
    }
    if (!error.data) {
        throw error;
    }
    return error.data.message || error.message;
}
