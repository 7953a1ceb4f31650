# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The figures as OpenMetrics text, which Prometheus and its like read."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["CONTENT_TYPE_LATEST", "render"]

_PREFIX = "l10n_cl_dte_"
_LEVELS = {"ok": 0, "warning": 1, "error": 2}
_LINE = ("company", "environment")
_STATES = (
    "to_send", "queued", "waiting", "unknown", "no_answer", "failed_without_action", "rejected_without_action",
    "pending",
)  # fmt: skip
# Name, help, path in the figures of a company.
_GAUGES = (
    ("retry_rows", "Open rows of the retry queue", ("retry",)),
    ("retry_success_percent", "Retries of the last 30 days that delivered", ("retry_success",)),
    ("polls_due", "Envelopes about which the SII should have been asked by now", ("polls_due",)),
    ("polls_late_seconds", "How late the oldest of these is", ("polls_late",)),
    ("questions_refused", "Envelopes about which the SII refuses to be asked", ("questions_refused",)),
    ("paused", "1 when sending waits for a person", ("paused",)),
    ("contingency", "1 when documents are held back", ("contingency", "on")),
    ("certificate_days", "Days left of the digital certificate", ("certificate_days",)),
    ("archive_documents", "Documents in the archive, as of the last sum", ("archive", "documents")),
    ("archive_bytes", "Size of the archive, as of the last sum", ("archive", "bytes")),
    ("archive_damaged", "Damaged documents in the archive", ("archive", "damaged")),
    ("archive_check_damaged", "Documents that the last check left to a person", ("archive", "check_damaged")),
    ("archive_uncopied", "Documents without their second copy, up to 10000", ("archive", "uncopied")),
    ("sii_last_answer_age_seconds", "Time since the SII answered a call", ("sii", "last_answer_age")),
    ("sii_failed_in_a_row", "Calls that failed since the last answer", ("sii", "failed_in_a_row")),
    ("sii_response_mean_ms", "Mean response time of the last 24 hours", ("sii", "mean_ms")),
    ("sii_response_median_ms", "Median response time of the last 24 hours", ("sii", "median_ms")),
    ("sii_availability_percent", "Calls of the last 24 hours that were answered", ("sii", "availability")),
)
# Name, help, key in the figures of a job.
_JOBS = (
    ("job_active", "1 when the job is switched on", "active"),
    ("job_failures", "How often in a row the job has failed", "failures"),
    ("job_good_age_seconds", "Time since the job came to a good end or was at work", "good_age"),
)
_FOLIOS = (
    ("folios_free", "Folios left", "free"),
    ("folios_per_day", "Folios used per day, over the last 30 days", "per_day"),
    ("folios_days_left", "Days until the folios are used up or expire", "days_left"),
)


def render(report: dict) -> bytes:
    """Return a health report as OpenMetrics text; what has no value is left out.

    :param report: status, checks, jobs and companies, as `/dte/health` answers
    """
    registry = CollectorRegistry()

    def gauge(name, text, *labels):
        return Gauge(_PREFIX + name, text, labels, registry=registry)

    gauge("status", "0 ok, 1 warning, 2 error").set(_LEVELS[report["status"]])
    check = gauge("check", "0 ok, 1 warning, 2 error", "name", "company")
    for row in report["checks"]:
        check.labels(row["name"], row.get("company", "")).set(_LEVELS[row["status"]])
    for name, text, key in _JOBS:
        _set_all(gauge(name, text, "job"), [((job["name"],), job[key]) for job in report["jobs"]])
    companies = [((row["rut"], row["environment"]), row) for row in report["companies"]]
    documents = gauge("documents", "Documents that are not done, by state", *_LINE, "state")
    for line, row in companies:
        for state in _STATES:
            documents.labels(*line, state).set(row[state])
    for name, text, path in _GAUGES:
        _set_all(gauge(name, text, *_LINE), [(line, _find(row, path)) for line, row in companies])
    for name, text, key in _FOLIOS:
        values = [((*line, stock["dte_type"]), stock[key]) for line, row in companies for stock in row["folios"]]
        _set_all(gauge(name, text, *_LINE, "type"), values)
    return generate_latest(registry)


def _set_all(gauge: Gauge, values: list) -> None:
    for labels, value in values:
        if value is not None:
            gauge.labels(*labels).set(float(value))


def _find(figures: dict, path: tuple[str, ...]):
    value = figures
    for name in path:
        value = value[name]
    return value
