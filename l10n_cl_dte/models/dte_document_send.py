# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""What people and jobs do with documents that have to leave: ask for sending, send, ask the SII, report."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..libs.exceptions import DteError
from . import dte_messages
from .dte_document import SENDABLE, WAITING

# Notes looked at in one run.
NOTES_LIMIT = 200
# What waits longest comes first. Each is the order of the index on these documents, so that finding the first of them
# takes no longer when many wait.
FRESH_ORDER = "signed_at, id"
RETRY_ORDER = "retry_at, id"


class DteDocument(models.Model):
    _inherit = "dte.document"

    # -- which ones --

    @api.model
    def _sendable_domain(self, company, states=SENDABLE) -> Domain:
        """Return the documents of a company that a person may send now; notes wait for what they correct."""
        return (
            Domain("company_id", "=", company.id)
            & Domain("environment", "=", company.dte_environment)
            & Domain("issuer_rut", "=", company.vat)
            & Domain("superseded", "=", False)
            & Domain("state", "in", states)
            & Domain("split_envio_id", "=", False)
            & Domain("ask_first", "=", False)
            & Domain("reference_ids", "not any", [("state", "not in", ("accepted", "objected"))])
        )

    @api.model
    def _fresh_domain(self, company) -> Domain:
        """Return the documents of a company that somebody asked to send."""
        return self._sendable_domain(company) & Domain("state", "=", "to_send") & Domain("queued_at", "!=", False)

    @api.model
    def _retry_domain(self, company) -> Domain:
        """Return the documents of a company whose next attempt is due."""
        due = Domain("state", "=", "retry") & Domain("retry_at", "<=", fields.Datetime.now())
        return self._sendable_domain(company) & due

    @api.model
    def _ask_first_domain(self, company) -> Domain:
        """Return the documents of a company whose next attempt must begin with a question."""
        return (
            Domain("company_id", "=", company.id)
            & Domain("environment", "=", company.dte_environment)
            & Domain("state", "in", SENDABLE)
            & Domain("superseded", "=", False)
            & Domain("ask_first", "=", True)
        )

    @api.model
    def _foreign_domain(self, company) -> Domain:
        """Return those of them that a job asks about now."""
        retry = Domain("state", "=", "retry") & Domain("retry_at", "<=", fields.Datetime.now())
        fresh = Domain("state", "=", "to_send") & Domain("queued_at", "!=", False)
        return self._ask_first_domain(company) & (retry | fresh)

    def _fail_notes_of_rejected(self):
        """Move notes whose referenced document was rejected to `failed`: they can never leave as they are."""
        for document in self.filtered(lambda document: document.state in ("to_send", "retry", "contingency")):
            rejected = document.reference_ids.filtered(lambda referenced: referenced.state == "rejected")
            if rejected:
                params = {"document": rejected[0].display_name}
                document._set_state("failed", "reference_rejected", params, error_type="validation")

    @api.model
    def _fail_left_over_notes(self):
        """Fail the notes that were posted while the document that they correct was being rejected."""
        self.search(
            [("state", "in", ("to_send", "retry", "contingency")), ("reference_ids.state", "=", "rejected")],
            limit=NOTES_LIMIT,
        ).try_lock_for_update()._fail_notes_of_rejected()

    def _ask_for_sending(self):
        """Note durably that these shall leave, before anything else can fail: the job sends what this request cannot.

        What had failed is open again, with all its attempts: a person wants it sent. Commits.
        """
        self._note_asked()
        self.env["ir.cron"]._commit_progress()

    def _is_sent_from_here(self) -> bool:
        """Tell whether the company still works where the document was issued, under the same RUT."""
        company = self.company_id
        return (self.environment, self.issuer_rut) == (company.dte_environment, company.vat)

    def _note_asked(self):
        """Note that these shall leave, as part of whatever the caller commits. Records are sudo.

        :return: those that were noted, now or before; not those that somebody else is working on
        """
        asked = self.filtered(
            lambda document: document.state in SENDABLE and not document.superseded and document._is_sent_from_here()
        )
        noted = asked.try_lock_for_update()
        fresh = noted.filtered(lambda document: document.state == "failed" or not document.queued_at)
        failed = fresh.filtered(lambda document: document.state == "failed")
        failed._set_state("to_send", failures=0, retry_at=False)
        fresh.queued_at = fields.Datetime.now()
        fresh.move_id._dte_drop_stale_pdf()
        return noted

    def _make_due(self):
        """Let the next attempt of those that are to be retried be due now: a person wants them sent, by a job.

        The caller holds their locks.
        """
        now = fields.Datetime.now()
        later = self.filtered(lambda document: document.state == "retry" and document.retry_at > now)
        later.retry_at = now
        self.env["dte.failed.queue"]._follow_due(later)

    def _wake_jobs(self):
        """Wake the jobs that send these."""
        self.env["dte.envio"]._wake_job(self.company_id)
        # What is asked about first is sent by the job of the retries too.
        if any(document.state == "retry" or document.ask_first for document in self):
            self.env["dte.failed.queue"]._wake_retries()

    def _read_together(self):
        """Return the same documents, to be read many at a time also after a commit.

        Odoo reads what comes from a field of other records together with what those records hold in memory, and a
        commit clears that: each document would be read by itself.
        """
        return self.browse(self.ids)

    def _record_failure(self, error):
        """Record that the SII certainly does not have these: another attempt is due later, or all are used up.

        In contingency they are kept back, and no attempt is used up.
        """
        queue = self.env["dte.failed.queue"]
        for (company, failures), group in self.grouped(
            lambda document: (document.company_id, document.failures)
        ).items():
            contingency = self.env["dte.contingency"]._of(company, group[0].environment)
            if contingency._keeps():
                group._hold(contingency, error)
                continue
            next_date = queue._calculate_next_retry_date(failures, company)
            group._set_state(
                "retry" if next_date else "failed",
                error.code,
                error.params,
                failures=failures + 1,
                retry_at=next_date or False,
                error_type=error.error_type,
            )

    # -- sending --

    def action_send(self):
        """Send these documents now. Commits."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(
                self.env._('You need the role "Electronic documents: user" to send documents. Ask your administrator.')
            )
        self.check_access("read")
        return self._send_and_report()

    def _send_and_report(self):
        """Send what may leave, ask about what may have left, and return a notification that says what became of it."""
        # sudo: users see documents but write none; sending writes them in their name
        documents = self.sudo()._read_together()
        documents._ask_for_sending()
        # In contingency nobody waits for the SII.
        documents.filtered(
            lambda document: not document.env["dte.contingency"]._is_on(document.company_id)
        )._reconcile_now()
        documents.env["dte.envio"]._deliver(documents)
        documents.invalidate_recordset()
        return documents._report()

    def _report(self):
        counts = {}
        for document in self:
            counts.setdefault(document.state, []).append(document)
        if len(self) == 1:
            title, message = self.display_name, self._explain()
        else:
            labels = dict(self._fields["state"]._description_selection(self.env))
            title = self.env._("%s electronic documents", len(self))
            message = ", ".join(f"{labels[state]}: {len(found)}" for state, found in counts.items())
        bad = {"failed", "rejected", "no_answer", "unknown", "retry", "to_send"} & counts.keys()
        kind = "info" if "contingency" in counts else "success"
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": title,
                "message": message,
                "type": "warning" if bad else kind,
                "sticky": bool(bad),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # -- asking --

    def action_check_status(self):
        """Ask the SII now about the envelopes of these documents and tell the result. Commits."""
        self.check_access("read")
        # sudo: users see documents but write none; the answer is written in their name
        documents = self.sudo()._read_together()
        documents._reconcile_now()
        documents._ask_about_imported()
        documents.filtered(lambda document: document.state in WAITING).envio_id._poll_and_commit()
        documents.invalidate_recordset()
        return documents._report()

    def _reconcile_now(self):
        """Ask the SII about those whose upload had no answer. Commits."""
        uncertain = self.filtered(lambda document: document.state in ("sending", "unknown"))
        uncertain.envio_id._reconcile_and_commit()
        self.invalidate_recordset()

    # -- deciding --

    def _lock_for_person(self):
        """Lock the documents for a decision of a person and return them as they are now.

        :raises UserError: when one of them is on its way, or somebody else works on it
        """
        documents = self.sudo()  # sudo: who may decide is checked by the caller; nobody has the right to write
        if documents.try_lock_for_update() != documents:
            raise UserError(self.env._("Somebody else is working on this document. Try again in a moment."))
        documents.invalidate_recordset()
        for document in documents:
            if document.superseded:
                raise UserError(
                    self.env._("%s was replaced by a corrected version: look at that one.", document.display_name)
                )
            if document.state in ("sending", "unknown"):
                raise UserError(
                    self.env._(
                        "%s may be at the SII already. Nothing can be decided about it until the SII has been asked: "
                        'press "Ask the SII".',
                        document.display_name,
                    )
                )
        return documents

    def _reopen(self):
        """Let failed documents leave again, with all their attempts."""
        for document in self._lock_for_person():
            if document.state != "failed":
                raise UserError(self.env._("%s has not failed: there is nothing to reopen.", document.display_name))
            document._set_state("to_send", failures=0, retry_at=False, queued_at=fields.Datetime.now())

    def action_send_again(self):
        """Send a document again that has no answer, after the SII has said that it does not have it. Commits.

        :raises UserError: the SII has it or cannot be asked, or the document waits for no answer
        """
        self.ensure_one()
        if not self.env.user.has_group("l10n_cl_dte.group_dte_manager"):
            raise AccessError(self.env._('You need the role "Electronic documents: manager" for this.'))
        self.check_access("read")
        document = self.sudo()  # sudo: the role was checked; nobody has the right to write
        try:
            asker = document.company_id._dte_load_credentials().holder_rut
            is_there = document._is_at_sii(document.company_id._dte_client(document.environment), asker)
        except DteError as error:
            raise UserError(dte_messages.describe_error(self.env, error)) from error
        document._lock_for_person()
        if document.state != "no_answer" or is_there:
            raise UserError(
                self.env._("%s is at the SII: it is not sent again, ask for its verdict there.", document.display_name)
            )
        # Its earlier envelope may still be judged: from here on only the answers about the document itself count.
        document._set_state("to_send", failures=0, retry_at=False, elsewhere=True)
        return document.with_env(self.env)._send_and_report()

    def _give_up(self):
        """Stop trying to send documents that have not left; a person decides what happens with them."""
        for document in self._lock_for_person():
            if document.state not in ("to_send", "retry", "contingency"):
                raise UserError(self.env._("%s is not waiting to be sent.", document.display_name))
            document._set_state("failed", "given_up", {"user": self.env.user.name}, retry_at=False, queued_at=False)
