// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { registry } from "@web/core/registry";
import { user } from "@web/core/user";
import { useBus, useService } from "@web/core/utils/hooks";
import { ListRenderer } from "@web/views/list/list_renderer";
import { listView } from "@web/views/list/list_view";
import { Component, onMounted, onWillUpdateProps, status, useState } from "@odoo/owl";
import { CHANGED } from "../contingency/contingency_call";

/** One sentence above a list while the company is in contingency or documents wait; nothing otherwise. */
export class ContingencyBanner extends Component {
    static template = "l10n_cl_dte.ContingencyBanner";
    static props = { list: Object };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.state = useState({ text: "" });
        onMounted(() => this.update());
        onWillUpdateProps(() => {
            this.update();
        });
        useBus(this.env.bus, CHANGED, () => {
            this.update();
            this.props.list.load();
        });
    }

    /** The list is shown at once and does not wait for it. */
    async update() {
        // Who clicked on is not waited for: a service refuses a component that is gone.
        if ((await user.hasGroup("l10n_cl_dte.group_dte_user")) && status(this) !== "destroyed") {
            const contingency = await this.orm.silent.call("dte.contingency", "get_status", []);
            this.state.text = contingency.banner;
        }
    }

    open() {
        this.action.doAction("l10n_cl_dte.contingency_wizard_action");
    }
}

export class DteListRenderer extends ListRenderer {
    static template = "l10n_cl_dte.ListRenderer";
    static components = { ...ListRenderer.components, ContingencyBanner };
}

registry.category("views").add("dte_list", { ...listView, Renderer: DteListRenderer });
