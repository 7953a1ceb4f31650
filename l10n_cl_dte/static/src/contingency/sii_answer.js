// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";
import { CHANGED, companyContext, reasonOf } from "./contingency_call";

/** What the SII answers right now. It is asked after the dialog is open, so that a dead SII keeps nobody waiting. */
export class SiiAnswer extends Component {
    static template = "l10n_cl_dte.SiiAnswer";
    static props = standardWidgetProps;

    setup() {
        this.orm = useService("orm");
        this.state = useState({ asking: true, answers: false, text: "" });
        onMounted(() => this.ask());
        // The wizard closes, or shows itself again after something was done.
        onWillUnmount(() => this.env.bus.trigger(CHANGED));
    }

    async ask() {
        this.state.asking = true;
        try {
            const answer = await this.orm.silent.call("dte.contingency", "ask_sii", [[]], {
                context: companyContext(this.props.record),
            });
            this.state.answers = answer.answers;
            this.state.text = answer.answers
                ? _t("It answers (%s ms).", answer.milliseconds)
                : answer.message || _t("It does not answer.");
        } catch (error) {
            this.state.answers = false;
            this.state.text = reasonOf(error);
        }
        this.state.asking = false;
    }
}

registry.category("view_widgets").add("dte_sii_answer", { component: SiiAnswer });
