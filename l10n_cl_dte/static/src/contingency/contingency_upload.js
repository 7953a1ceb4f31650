// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { browser } from "@web/core/browser/browser";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";
import { companyContext, reasonOf } from "./contingency_call";

// Uploads that were going on when their dialog was closed: company id -> documents uploaded until then.
const left = new Map();
// The sending job may be at it, which sends one envelope at a time too: how long to wait for it, and how often.
const BUSY_MS = 2000;
const BUSY_TIMES = 15;

/**
 * Uploads what waits, one envelope a call, while the dialog is open. The documents themselves say what is still to be
 * sent, so it can be left at any moment: an envelope that has begun ends at the server.
 */
export class ContingencyUpload extends Component {
    static template = "l10n_cl_dte.ContingencyUpload";
    static props = standardWidgetProps;

    setup() {
        this.orm = useService("orm");
        // phase: ready, running, pausing, paused, stopped, done
        this.state = useState({ phase: "ready", total: 0, remaining: 0, failed: 0, message: "" });
        onMounted(() => {
            if (left.has(this.companyId) || this.props.record.data.is_uploading) {
                this.start();
            }
        });
        onWillUnmount(() => {
            if (this.isBusy) {
                left.set(this.companyId, this.done);
            }
            this.state.phase = "left";
        });
    }

    get companyId() {
        return this.props.record.data.company_id.id;
    }

    get isBusy() {
        return ["running", "pausing"].includes(this.state.phase);
    }

    get done() {
        return this.state.total - this.state.remaining - this.state.failed;
    }

    get percent() {
        return this.state.total ? Math.round((100 * this.done) / this.state.total) : 0;
    }

    get progressText() {
        return _t("%(done)s of %(total)s", { done: this.done, total: this.state.total });
    }

    /** Notes that correct a document leave after the SII has accepted it: they may wait longer than the others. */
    get leftText() {
        const waiting = this.props.record.data.waiting;
        return waiting
            ? _t("All that can leave now is sent; %s documents wait for those that they correct.", waiting)
            : _t("Nothing waits any more.");
    }

    get startLabel() {
        return this.state.phase === "ready" ? _t("Upload Pending") : _t("Continue");
    }

    async start() {
        const record = this.props.record;
        // Checks the number of documents per envelope, and gives the wizard the row that is read again at the end.
        if (this.isBusy || !(await record.save())) {
            return;
        }
        const waiting = record.data.waiting;
        this.idle = 0;
        const before = left.get(this.companyId) || this.done;
        left.delete(this.companyId);
        Object.assign(this.state, {
            phase: "running",
            total: before + waiting,
            remaining: waiting,
            failed: 0,
            message: "",
        });
        while (this.state.phase === "running" && this.state.remaining) {
            await this.uploadBatch();
        }
        if (this.state.phase === "left") {
            return;
        }
        await record.load();
        if (this.isBusy) {
            this.state.phase = this.state.remaining ? "paused" : "done";
        }
    }

    async uploadBatch() {
        try {
            const answer = await this.orm.silent.call(
                "dte.contingency",
                "upload_pending_batch",
                [[], this.props.record.data.batch_size],
                { context: companyContext(this.props.record) }
            );
            const before = this.state.remaining;
            this.state.remaining = answer.remaining;
            // Those of a refused envelope that leave again in halves wait still; others are for a person, or uncertain.
            const gone = Math.max(0, before - answer.remaining - answer.uploaded);
            this.state.failed += Math.min(answer.failed, gone);
            this.state.total = Math.max(this.state.total, answer.remaining + this.state.failed);
            this.state.message = answer.message;
            const nobodySent = !answer.uploaded && !answer.failed && answer.remaining >= before;
            this.idle = nobodySent ? this.idle + 1 : 0;
            if (answer.failed && !answer.uploaded) {
                this.stop(answer.message || _t("The SII took none of them."));
            } else if (nobodySent && this.idle >= BUSY_TIMES) {
                this.stop(answer.message);
            } else if (!answer.uploaded && answer.remaining) {
                await new Promise((resolve) => browser.setTimeout(resolve, BUSY_MS));
            }
        } catch (error) {
            this.stop(reasonOf(error));
        }
    }

    stop(message) {
        Object.assign(this.state, { phase: "stopped", message });
    }

    pause() {
        this.state.phase = "pausing";
    }
}

registry.category("view_widgets").add("dte_contingency_upload", { component: ContingencyUpload });
