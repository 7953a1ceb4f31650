// Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import { loadBundle } from "@web/core/assets";
import { _t } from "@web/core/l10n/translation";
import { Component, onWillStart, useEffect, useRef } from "@odoo/owl";

const GOOD = "#28a745";
const MIDDLING = "#ffac00";
const BAD = "#d44c59";
const LINE = "#017e84";

/** Bars: which share of the calls of a day the SII answered. Line: how long an answer took. */
export class AvailabilityGraph extends Component {
    static template = "l10n_cl_dte.AvailabilityGraph";
    static props = { days: Array, onDay: Function };

    setup() {
        this.canvas = useRef("canvas");
        this.chart = null;
        onWillStart(() => loadBundle("web.chartjs_lib"));
        useEffect(
            () => {
                this.draw();
                return () => this.chart?.destroy();
            },
            () => [this.props.days],
        );
    }

    color(percent) {
        if (percent >= 99) {
            return GOOD;
        }
        return percent >= 90 ? MIDDLING : BAD;
    }

    draw() {
        const days = this.props.days;
        this.chart = new Chart(this.canvas.el, {
            data: {
                labels: days.map((day) => day.label),
                datasets: [
                    {
                        type: "line",
                        label: _t("Response time"),
                        data: days.map((day) => day.milliseconds),
                        borderColor: LINE,
                        backgroundColor: LINE,
                        borderWidth: 2,
                        pointRadius: 2,
                        tension: 0.2,
                        yAxisID: "milliseconds",
                    },
                    {
                        type: "bar",
                        label: _t("Availability"),
                        data: days.map((day) => day.percent),
                        backgroundColor: days.map((day) => `${this.color(day.percent)}66`),
                        yAxisID: "percent",
                        // A day on which nothing was answered does not look like one without calls.
                        minBarLength: 4,
                    },
                ],
            },
            options: this.options(days),
        });
    }

    options(days) {
        const grid = { display: false };
        return {
            animation: false,
            maintainAspectRatio: false,
            interaction: { mode: "index", intersect: false },
            onClick: (_event, elements) => elements.length && this.props.onDay(days[elements[0].index]),
            plugins: {
                legend: { display: false },
                tooltip: { callbacks: { label: (item) => this.tooltip(item, days[item.dataIndex]) } },
            },
            scales: {
                x: { grid, ticks: { autoSkip: true, autoSkipPadding: 10, maxRotation: 0 } },
                percent: { position: "left", min: 0, max: 100, ticks: { stepSize: 50, callback: (v) => `${v} %` } },
                milliseconds: { position: "right", min: 0, grid, ticks: { maxTicksLimit: 4, callback: (v) => `${v} ms` } },
            },
        };
    }

    tooltip(item, day) {
        if (item.dataset.yAxisID === "percent") {
            return _t("Availability: %(percent)s % of %(calls)s calls", { percent: day.percent, calls: day.calls });
        }
        return _t("Response time: %s ms", day.milliseconds);
    }
}
