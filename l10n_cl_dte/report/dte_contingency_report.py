# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.tools import format_amount, format_date, format_datetime

from ..const import SANTIAGO

# Documents listed in one report; the figures are always those of all.
MAX_DOCUMENTS = 2000
# A page is filled by lines, so that each can begin with what it belongs to: wkhtmltopdf without Qt's patches repeats
# neither page headers nor the heads of tables.
PAGE_LINES = 42
# Events that the first page has room for.
FIRST_LINES = 24
PROBLEM_WIDTH = 44
EVENT_WIDTH = 100
RECEIVER_WIDTH = 34


class ReportContingency(models.AbstractModel):
    _name = "report.l10n_cl_dte.report_contingency"
    _description = "Incident Report of a Contingency"

    @api.model
    def _get_report_values(self, docids, data=None):
        episodes = self.env["dte.contingency.episode"].browse(docids)
        return {"docs": episodes, "sheets": [self._sheet(episode) for episode in episodes]}

    def _sheet(self, episode) -> dict:
        """Return what is printed of an episode, in the language of its company and in the SII's time."""
        company = episode.company_id
        lang = company.partner_id.lang or self.env.lang
        episode = episode.with_context(lang=lang, tz=SANTIAGO.key)
        pending = episode.env["dte.contingency.pending"]
        domain = [("episode_id", "=", episode.id)]
        rows = pending.search(domain, order="issue_date, dte_type, folio", limit=MAX_DOCUMENTS)
        total = pending.search_count(domain)
        labels = dict(episode._fields["environment"]._description_selection(episode.env))
        return {
            "lang": lang,
            "episode": episode,
            "company": company,
            "environment": labels[episode.environment],
            "trigger": episode.trigger,
            "reason": dict(episode._fields["reason"]._description_selection(episode.env))[episode.reason],
            "started_at": self._moment(episode, episode.started_at),
            "ended_at": self._moment(episode, episode.ended_at),
            "printed_at": self._moment(episode, fields.Datetime.now()),
            "oldest": format_date(episode.env, episode.oldest_issue_date) if episode.oldest_issue_date else "",
            "envelopes": self._count_envelopes(pending, domain),
            "event_pages": _pages([self._event(event) for event in episode.event_ids], FIRST_LINES),
            "document_pages": _pages([self._document(row) for row in rows], PAGE_LINES),
            "total": total,
            "listed": len(rows),
        }

    def _count_envelopes(self, pending, domain) -> int:
        [(count,)] = pending._read_group([*domain, ("track_id", "!=", False)], [], ["track_id:count_distinct"])
        return count

    def _event(self, event) -> dict:
        return {
            "when": self._moment(event, event.happened_at),
            "what": dict(event._fields["kind"]._description_selection(event.env))[event.kind],
            "details": event.message or "",
            "who": event.user_id.name or "",
            "lines": _count_lines(event.message, EVENT_WIDTH),
        }

    def _document(self, row) -> dict:
        document = row.document_id
        problem = row.upload_error or ""
        states = dict(row._fields["state"]._description_selection(row.env))
        return {
            "type": document.document_type_id.name or row.dte_type,
            "folio": row.folio,
            "date": format_date(row.env, row.issue_date),
            "receiver": f"{document.receiver_rut} {(document.receiver_name or '')[:RECEIVER_WIDTH]}",
            "total": format_amount(row.env, document.amount_total, document.currency_id),
            "held": self._moment(row, row.stored_date),
            "sent": self._moment(row, row.uploaded_date) if row.uploaded_date else states[row.state],
            "track_id": row.track_id or "",
            "problem": problem,
            "lines": _count_lines(problem, PROBLEM_WIDTH),
        }

    def _moment(self, record, moment) -> str:
        return format_datetime(record.env, moment, tz=SANTIAGO.key, dt_format="dd-MM-yyyy HH:mm:ss") if moment else ""


def _count_lines(text, width: int) -> int:
    return max(1, -(-len(text or "") // width))


def _pages(rows: list, first: int) -> list:
    """Return the rows in portions that fill a page each, the first one only `first` lines."""
    pages, room = [[]], first
    for row in rows:
        if row["lines"] > room and pages[-1]:
            pages.append([])
            room = PAGE_LINES
        pages[-1].append(row)
        room -= row["lines"]
    return pages
