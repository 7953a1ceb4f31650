// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { getDataURLFromFile } from "@web/core/utils/urls";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component, useRef, useState } from "@odoo/owl";

const MAX_BYTES = 256 * 1024;

/** Several small files that are dropped or chosen, kept in the record and nowhere else: [{name, content}]. */
export class FilesField extends Component {
    static template = "l10n_cl_dte.FilesField";
    static props = { ...standardFieldProps, accept: { type: String, optional: true } };

    setup() {
        this.notification = useService("notification");
        this.input = useRef("input");
        this.state = useState({ over: false });
    }

    get files() {
        return this.props.record.data[this.props.name] || [];
    }

    choose() {
        this.input.el.click();
    }

    async onChosen(event) {
        await this.add([...event.target.files]);
        event.target.value = "";
    }

    async onDrop(event) {
        this.state.over = false;
        await this.add([...event.dataTransfer.files]);
    }

    async add(files) {
        const added = [];
        for (const file of files) {
            if (file.size > MAX_BYTES) {
                this.notification.add(_t("%s is too large for a CAF or a certificate.", file.name), { type: "warning" });
                continue;
            }
            const url = await getDataURLFromFile(file);
            added.push({ name: file.name, content: url.slice(url.indexOf(",") + 1) });
        }
        await this.props.record.update({ [this.props.name]: [...this.files, ...added] });
    }

    remove(index) {
        this.props.record.update({ [this.props.name]: this.files.filter((_file, at) => at !== index) });
    }
}

registry.category("fields").add("dte_files", {
    component: FilesField,
    supportedTypes: ["json"],
    extractProps: ({ options }) => ({ accept: options.accept }),
});
