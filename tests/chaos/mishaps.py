# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Every kind of mishap of the classic channel, and what the runner has to do to cause it.

Channels say what a mishap needs: an upload, a question about an envelope (`query`) or about a document (`document`),
any connection, or nothing (`database`). Only one of a channel is armed at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Longer than the deadline of an upload in this run, and than any question may last.
NEVER = 60.0
LATE = 13.0


@dataclass(frozen=True)
class Mishap:
    """`how` is sii (a fault of the simulator), hold (killed where a trigger stops it) or database.

    :ivar kill: step of the protocol at which a process is killed, empty for other mishaps
    :ivar weight: how often it comes beyond the first time
    """

    name: str
    how: str
    channel: str
    spec: dict = field(default_factory=dict)
    kill: str = ""
    weight: int = 3


def _fault(name, channel, weight=3, kill="", **spec):
    return Mishap(name, "sii", channel, spec, kill, weight)


def _upload(name, weight=3, **spec):
    return _fault(name, "upload", weight, service="upload", **spec)


def _query(name, weight=3, **spec):
    return _fault(name, "query", weight, service="query_up", **spec)


def _kill(where, channel="upload", weight=3, **spec):
    return _fault(f"kill_{where}", channel, weight, kill=where, kind="kill", **spec)


def _hold(step, channel="upload"):
    return Mishap(f"kill_{step}", "hold", channel, {}, step)


ALL = (
    # No usable answer to an upload: the file may be there or not.
    _upload("cut_body_received", kind="cut", step="body_received"),
    _upload("cut_stored", 6, kind="cut", step="stored"),
    _upload("cut_stored_reset", kind="cut", step="stored", reset=True),
    _upload("cut_answering", kind="cut", step="answering"),
    _upload("hang_body_received", 1, kind="hang", step="body_received", seconds=NEVER),
    _upload("hang_stored", 1, kind="hang", step="stored", seconds=NEVER),
    _upload("slow_too_late", 1, kind="slow", seconds=LATE),
    _upload("http_503", kind="http_status", status=503),
    _upload("http_503_processed", kind="http_status", status=503, processed=True),
    _upload("http_502_processed", kind="http_status", status=502, processed=True),
    _upload("html", kind="html"),
    _upload("html_processed", kind="html", processed=True),
    _upload("empty", kind="empty"),
    _upload("empty_processed", kind="empty", processed=True),
    _upload("text_processed", kind="text", processed=True),
    _upload("soap_fault_processed", kind="soap_fault", processed=True),
    _upload("truncate", kind="truncate"),
    _upload("upload_error_page", kind="upload_error_page"),
    _upload("upload_status_106", kind="upload_status", status=106),
    # Answers that come late or look odd, but are good.
    _upload("slow", kind="slow", seconds=2.0),
    _upload("drip", kind="drip", seconds=2.0),
    _upload("track_format", kind="track_format", digits=14),
    # Refusals: the file is not there.
    _upload("token_refused", kind="token_refused"),
    _upload("no_session", kind="no_session"),
    _upload("upload_status_9", kind="upload_status", status=9),
    _upload("upload_status_3", kind="upload_status", status=3),
    _upload("upload_status_2", 1, kind="upload_status", status=2),
    _upload("upload_status_7", 1, kind="upload_status", status=7, detail="SCH-00001: Invalid Schema Name"),
    _upload("upload_status_1", 0, kind="upload_status", status=1),
    _fault("http_400", "upload", 1, service="upload", kind="http_status", status=400),
    # Verdicts on what is received.
    _fault("rfr", "verdict", 1, kind="rfr"),
    _fault("reject_documents", "verdict", 1, kind="reject_documents"),
    # Connections of any service.
    _fault("cut_connected", "any", kind="cut", step="connected"),
    _fault("hang_connected", "any", 1, kind="hang", step="connected", seconds=3.0),
    _fault("refuse", "any", 1, kind="refuse", for_seconds=2.0),
    _fault("period_503", "any", 1, kind="http_status", status=503, for_seconds=5.0),
    _fault("period_slow", "any", 1, kind="slow", seconds=1.0, for_seconds=5.0),
    # Login.
    _fault("seed_503", "login", service="seed", kind="http_status", status=503),
    _fault("token_soap_fault", "login", service="token", kind="soap_fault"),
    # Questions.
    _query("not_registered", kind="not_registered"),
    _query("query_error", kind="query_error", estado="-8"),
    _query("stuck", kind="stuck", estado="SOK"),
    _query("no_query_permission", kind="no_query_permission"),
    _query("drop_type", kind="drop_type", type=33),
    _query("charset", kind="charset"),
    _query("order", kind="order"),
    _query("query_token_refused", kind="token_refused"),
    _query("query_soap_fault", kind="soap_fault"),
    _query("query_truncate", kind="truncate"),
    _query("query_cut", kind="cut", step="answering"),
    _query("query_slow", 1, kind="slow", seconds=2.0),
    _fault("dnk", "document", service="query_dte_av", kind="dnk"),
    _fault("document_query_error", "document", service="query_dte_av", kind="query_error", estado="-3"),
    _fault("document_http_503", "document", service="query_dte_av", kind="http_status", status=503),
    # A process killed at each step of the protocol.
    _hold("posting"),
    _hold("before_first_commit"),
    _hold("before_claim"),
    _hold("after_claim"),
    _kill("during_upload", service="upload", step="body_received"),
    _kill("accepted", service="upload", step="stored", weight=6),
    _hold("before_record"),
    _hold("after_record"),
    _kill("asking", "query", service="query_up", step="body_received"),
    _kill("reconciling", "document", service="query_dte_av", step="stored"),
    # The database goes away.
    Mishap("restart_postgres", "database", "database", {"mode": "fast"}, weight=0),
    Mishap("crash_postgres_during_upload", "database", "upload", {"mode": "immediate"}, weight=0),
    Mishap("drop_connections", "database", "database", weight=1),
    Mishap("drop_connections_during_upload", "database", "upload", weight=2),
)
