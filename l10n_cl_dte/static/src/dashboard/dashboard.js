// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useBus, useService } from "@web/core/utils/hooks";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";
import { useSetupAction } from "@web/search/action_hook";
import { Component, onMounted, onWillStart, useState } from "@odoo/owl";
import { CHANGED } from "../contingency/contingency_call";
import { AvailabilityGraph } from "./availability_graph";

/** How the documents of the allowed companies stand. All figures and texts come from the server. */
export class DteDashboard extends Component {
    static template = "l10n_cl_dte.Dashboard";
    static components = { Layout, AvailabilityGraph };
    static props = { ...standardActionServiceProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.display = { controlPanel: {} };
        this.state = useState({ companies: [], moment: "", loading: false });
        useSetupAction();
        onWillStart(() => this.load());
        onMounted(() => this.env.config.setDisplayName(_t("Overview")));
        useBus(this.env.bus, CHANGED, () => this.load());
    }

    async load() {
        this.state.loading = true;
        try {
            Object.assign(this.state, await this.orm.call("dte.dashboard", "get_overview", []));
        } finally {
            this.state.loading = false;
        }
    }

    open(action) {
        if (action) {
            this.action.doAction(action);
        }
    }
}

registry.category("actions").add("l10n_cl_dte.dashboard", DteDashboard);
