# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from psycopg2 import errors as pgerrors

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL
from odoo.tools.sql import column_exists, create_column

from ..const import ENVIRONMENTS, INVOICE_TYPES

# What a signed document says about the invoice as a whole. Lines have their own list.
SIGNED_FIELDS = frozenset(
    (
        "name", "move_type", "partner_id", "commercial_partner_id", "company_id", "currency_id", "journal_id",
        "invoice_date", "invoice_date_due", "invoice_payment_term_id", "l10n_latam_document_type_id", "dte_environment",
        "dte_payment_form", "dte_service_indicator", "dte_period_from", "dte_period_to",
    )
)  # fmt: skip
# What decides which folio a document has: it stays while a document is corrected and issued again with its folio.
FOLIO_FIELDS = frozenset(("name", "move_type", "company_id", "journal_id", "l10n_latam_document_type_id"))
# Written by the pipeline alone.
PIPELINE_FIELDS = frozenset(("dte_document_id", "dte_environment"))


class AccountMove(models.Model):
    _inherit = "account.move"

    dte_environment = fields.Selection(
        ENVIRONMENTS, string="SII Environment", readonly=True, copy=False, help="Where the document was issued."
    )
    dte_document_id = fields.Many2one(
        "dte.document",
        string="Electronic Document",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    # Related and not stored: recording an answer of the SII must not write a row that users write too.
    dte_status = fields.Selection(related="dte_document_id.state", string="SII Status")
    dte_folio = fields.Integer(related="dte_document_id.folio", string="Folio", aggregator=False)
    dte_track_id = fields.Char(related="dte_document_id.track_id", string="Track ID")
    is_contingency = fields.Boolean(related="dte_document_id.is_contingency")
    dte_message = fields.Text(related="dte_document_id.message", string="SII Message")
    dte_is_queued = fields.Boolean(related="dte_document_id.is_queued")
    dte_reference_ids = fields.One2many("dte.reference", "move_id", string="References")
    # The stock l10n_cl reads this name when a foreign supplier's credit note is posted.
    l10n_cl_reference_ids = fields.One2many("dte.reference", "move_id", string="References (l10n_cl)")
    dte_payment_form = fields.Selection(
        [("1", "Cash"), ("2", "Credit"), ("3", "Free of charge")],
        string="Payment Form",
        compute="_compute_dte_payment_form",
        store=True,
        readonly=False,
    )
    dte_service_indicator = fields.Selection(
        [("1", "Periodic domestic services"), ("2", "Other periodic services"), ("3", "Services")],
        string="Service Indicator",
    )
    dte_period_from = fields.Date(string="Service Period From")
    dte_period_to = fields.Date(string="Service Period To")
    dte_applies = fields.Boolean(string="Is an Electronic Document", compute="_compute_dte_applies")

    # Folios do not belong to a journal, so the stock index on (name, journal) does not protect them. In any state where
    # a name is kept: a document that left posted for a correction keeps its folio.
    _unique_dte_folio = models.UniqueIndex(
        "(company_id, dte_environment, l10n_latam_document_type_id, name)"
        " WHERE (dte_environment IS NOT NULL AND name IS NOT NULL AND name != '/')",
        "This folio is already used for this document type.",
    )
    _dte_folio_order = models.Index(
        "(company_id, dte_environment, l10n_latam_document_type_id, sequence_number) WHERE dte_environment IS NOT NULL"
    )

    def _auto_init(self):
        # Posted invoices have no use for it: do not compute it for all of them when the addon is installed.
        if not column_exists(self.env.cr, "account_move", "dte_payment_form"):
            create_column(self.env.cr, "account_move", "dte_payment_form", "varchar")
        return super()._auto_init()

    @api.depends("invoice_date", "invoice_date_due", "invoice_payment_term_id")
    def _compute_dte_payment_form(self):
        for move in self:
            if move.state != "draft" or not move.is_sale_document():
                move.dte_payment_form = move.dte_payment_form
                continue
            issued = move.invoice_date or fields.Date.context_today(move)
            due = move.invoice_date_due or issued
            move.dte_payment_form = "2" if due > issued else "1"

    @api.depends("journal_id", "move_type")
    def _compute_dte_applies(self):
        for move in self:
            move.dte_applies = move.journal_id.dte_enabled and move.is_sale_document()

    def _dte_is_issued(self) -> bool:
        """Tell whether posting this invoice or note makes a DTE of ours."""
        return bool(self and self.dte_applies and self.l10n_latam_document_type_id.code in INVOICE_TYPES)

    def _dte_has_vat(self) -> bool:
        """Tell whether this is an invoice with VAT, or a note that corrects one."""
        if not self._dte_is_issued():
            return False
        codes = {self.l10n_latam_document_type_id.code, *self.dte_reference_ids.document_type_id.mapped("code")}
        return "33" in codes

    def _dte_is_locked(self) -> bool:
        """Tell whether the invoice is signed and must stay as it is."""
        return bool(self.dte_document_id) and not self._dte_is_corrected()

    def _dte_is_corrected(self) -> bool:
        """Tell whether the document was taken back to be corrected: what is issued next has its folio."""
        # sudo: whoever may post the invoice needs to know
        return self.sudo().dte_document_id.superseded

    # -- folios --

    def _get_l10n_latam_documents_domain(self):
        # EXTENDS l10n_cl: a journal of electronic documents offers what it can issue
        domain = super()._get_l10n_latam_documents_domain()
        if self.journal_id.dte_enabled:
            domain = [*domain, ("code", "in", INVOICE_TYPES)]
        return domain

    def _get_next_sequence_format(self):
        # EXTENDS account: the next folio comes from the CAFs, not from the last name, which is slow to find
        if not self._dte_is_issued():
            return super()._get_next_sequence_format()
        return self._get_sequence_format_param(self._l10n_cl_get_formatted_sequence())

    def _locked_increment(self, format_string, format_values):
        """Take the next folio of the CAFs for this document.

        The lock is the stock mixin's: updating `name` under a unique index makes other transactions that want the same
        folio wait for this one, and take the next one if it commits. The differences: only folios of a usable CAF are
        tried, and the cache is per CAF, since a folio does not belong to a journal.

        :raises UserError: when no usable CAF has a folio left
        """
        # OVERRIDE sequence.mixin
        if not self._dte_is_issued():
            return super()._locked_increment(format_string, format_values)
        self.flush_recordset()
        cache = self._get_sequence_cache()
        cafs = self.env["dte.caf"]._usable(self.company_id, self.l10n_latam_document_type_id.code, self.invoice_date)
        for caf in cafs:
            key = ("dte.caf", caf.id)
            if key not in cache:
                cache[key] = self._dte_lock_folio_of(caf)
            elif cache[key] < caf.folio_to:
                # This transaction holds a folio of the range: nobody else can have passed it.
                cache[key] += 1
            else:
                continue
            if cache[key] is not None:
                return self._l10n_cl_get_formatted_sequence(cache[key])
            cache[key] = caf.folio_to
        raise UserError(
            self.env._(
                "The folios are used up: other documents took the last ones just now. Nothing was issued. Ask the SII "
                "for more folios and load the CAF file in Invoicing > Electronic documents > Folios (CAF)."
            )
        )

    def _dte_lock_folio_of(self, caf) -> int | None:
        """Take the next free folio of one range, None when there is none left."""
        folio = caf._last_used_in_range()
        with self.env.cr.savepoint(flush=False) as savepoint:
            while folio < caf.folio_to:
                folio += 1
                name = self._l10n_cl_get_formatted_sequence(folio)
                try:
                    self.env.cr.execute(
                        SQL("UPDATE account_move SET name = %s WHERE id = %s", name, self.id), log_exceptions=False
                    )
                except pgerrors.UniqueViolation:
                    savepoint.rollback()
                else:
                    return folio
        return None

    @api.depends("journal_id", "l10n_latam_document_type_id")
    def _compute_highest_name(self):
        # EXTENDS account: meant to warn about the first number of a sequence; folios are given by the SII
        issued = self.filtered(lambda move: move._dte_is_issued())
        issued.highest_name = ""
        return super(AccountMove, self - issued)._compute_highest_name()

    # -- posting --

    def _post(self, soft=True):
        # EXTENDS account: everything that can be checked is checked before a folio is taken; afterwards only stamping,
        # signing and archiving, which need no network. If any of it fails the posting fails and the folio is back.
        today = fields.Date.context_today(self)
        issued = self.filtered(
            lambda move: move._dte_is_issued() and not move._dte_is_locked() and not (soft and move.date > today)
        )
        self._dte_refuse_other_types()
        if issued:
            issued._dte_date_today()
            issued._dte_check_before_posting()
            issued._dte_prepare_posting()
        posted = super()._post(soft)
        (posted & issued)._dte_issue()
        return posted

    def _dte_refuse_other_types(self):
        for move in self:
            if move.dte_applies and not move._dte_is_issued():
                raise UserError(
                    self.env._(
                        "The journal %(journal)s issues electronic documents: choose one of the types %(types)s for "
                        "%(document)s, or another journal.",
                        journal=move.journal_id.display_name,
                        types=", ".join(INVOICE_TYPES),
                        document=move.display_name,
                    )
                )

    def _dte_date_today(self):
        """Date undated documents in Santiago: the server's or the user's zone may be a day ahead."""
        for move in self.filtered(lambda move: not move.invoice_date):
            move.invoice_date = move.company_id._dte_now().date()

    def _dte_prepare_posting(self):
        for journal, moves in self.grouped("journal_id").items():
            environment = journal.company_id.dte_environment
            # A number that somebody typed into a draft is no folio.
            moves.filtered(lambda move: move.name and not move._dte_is_corrected()).name = False
            # sudo: written by the pipeline alone, see write()
            moves.sudo().dte_environment = environment
            if not journal.dte_environment:
                # sudo: posting users may not write journals; only the binding to the first environment is lent
                journal.sudo().dte_environment = environment

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._dte_refuse_pipeline_fields({name for name in vals if vals[name]})
        return super().create(vals_list)

    def write(self, vals):
        self._dte_refuse_pipeline_fields(vals.keys())
        for move in self if (SIGNED_FIELDS | FOLIO_FIELDS) & vals.keys() else ():
            if move._dte_is_locked():
                move._dte_refuse_changes(vals, SIGNED_FIELDS)
            elif move._dte_is_corrected():
                move._dte_refuse_changes(vals, FOLIO_FIELDS)
        return super().write(vals)

    def _dte_refuse_pipeline_fields(self, names):
        if not self.env.su and PIPELINE_FIELDS & set(names):
            raise AccessError(self.env._("The electronic document of an invoice is given by issuing it, not by hand."))

    def _dte_refuse_changes(self, vals: dict, names: frozenset):
        """Refuse new values of fields that a signed document fixes."""
        for name in names & vals.keys():
            field = self._fields[name]
            new = field.convert_to_record(field.convert_to_cache(vals[name], self), self)
            if new != self[name]:
                raise UserError(
                    self.env._(
                        "%(document)s is signed: the field %(field)s cannot be changed any more. Correct it with a "
                        "credit or debit note.",
                        document=self.display_name,
                        field=field._description_string(self.env),
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_issued(self):
        # sudo: a document that was issued counts, whoever may see it
        if self.env["dte.document"].sudo().search_count([("move_id", "in", self.ids)], limit=1):
            raise UserError(
                self.env._("An invoice with an electronic document cannot be deleted: its folio would be missing.")
            )

    @api.constrains("state")
    def _check_dte_stays_posted(self):
        for move in self:
            if move.state == "cancel" and move._dte_is_corrected():
                raise UserError(
                    self.env._(
                        "%s keeps the folio of the document that is being corrected: confirm it again. To annul the "
                        "operation issue it and annul it with a credit note.",
                        move.display_name,
                    )
                )
            kept = move._dte_is_corrected() and move.state == "draft"
            if move.state != "posted" and move.dte_document_id and not kept:
                raise UserError(
                    self.env._(
                        "%s is a signed electronic document: it cannot be reset to draft or cancelled. Annul it with a "
                        "credit note.",
                        move.display_name,
                    )
                )

    @api.depends("dte_document_id")
    def _compute_show_reset_to_draft_button(self):
        # EXTENDS account
        result = super()._compute_show_reset_to_draft_button()
        self.filtered(lambda move: move._dte_is_locked()).show_reset_to_draft_button = False
        return result

    # -- notes --

    def _dte_reference_values(self) -> dict:
        """Return the values of a reference to this invoice."""
        self.ensure_one()
        return {
            "origin_move_id": self.id,
            "document_type_id": self.l10n_latam_document_type_id.id,
            "folio": str(self.dte_folio or self.sequence_number),
            "date": self.invoice_date,
        }

    def _reverse_moves(self, default_values_list=None, cancel=False):
        # EXTENDS account: whoever reverses an electronic document, wizard or code, gets a credit note that refers to it
        default_values_list = default_values_list or [{} for _move in self]
        credit_note = self.env.ref("l10n_cl.dc_nc_f_dte")
        for move, defaults in zip(self, default_values_list, strict=True):
            if move._dte_is_issued() and move.move_type == "out_invoice":
                defaults.setdefault("l10n_latam_document_type_id", credit_note.id)
                defaults.setdefault(
                    "dte_reference_ids", [Command.create({**move._dte_reference_values(), "code": "1"})]
                )
        return super()._reverse_moves(default_values_list, cancel)

    def _dte_make_text_correction(self, original: str, corrected: str):
        """Turn a draft credit note into one that only corrects text: one line that says so, all amounts zero."""
        for move in self:
            move.invoice_line_ids = [
                Command.clear(),
                Command.create(
                    {
                        # Text of a tax document: Spanish whatever the user's language, as the format words it
                        "name": f"Donde dice: {original}. Debe decir: {corrected}",
                        "quantity": 1,
                        "price_unit": 0,
                        "tax_ids": [Command.clear()],
                    }
                ),
            ]

    # -- sending --

    def action_send_to_sii(self):
        """Send the documents of these invoices now and tell what happened. Commits."""
        if not self.env.user.has_group("l10n_cl_dte.group_dte_user"):
            raise AccessError(
                self.env._('You need the role "Electronic documents: user" to send documents. Ask your administrator.')
            )
        self.check_access("read")
        return self._dte_signed_documents()._send_and_report()

    def _dte_signed_documents(self):
        documents = self.dte_document_id
        if not documents:
            raise UserError(
                self.env._("There is no signed electronic document among the selected invoices. Post them first.")
            )
        return documents

    def action_send_dte_async(self):
        """Queue the documents of these invoices and return at once; the user is told when they have left. Commits."""
        self.check_access("read")
        return self._dte_signed_documents().action_send_async()

    def action_dte_status(self):
        """Ask the SII now how far the documents are. Commits."""
        self.check_access("read")
        return self.dte_document_id.action_check_status()

    def action_dte_open_document(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "dte.document",
            "res_id": self.dte_document_id.id,
            "view_mode": "form",
        }

    def action_dte_download_xml(self):
        self.ensure_one()
        return self.dte_document_id.action_download_xml()

    def _dte_xml(self) -> bytes:
        """Return the signed document of the invoice, ISO-8859-1 bytes."""
        # sudo: whoever may read the invoice may read its own document
        return self.sudo().dte_document_id._xml()

    def _get_alerts(self):
        # EXTENDS account
        alerts = super()._get_alerts()
        document = self.sudo().dte_document_id  # sudo: readers of the invoice may know how it stands
        if document.superseded or document.state == "contingency":
            alerts["dte_status"] = {"level": "info", "message": document.message}
        elif document.state in ("failed", "rejected", "no_answer", "unknown", "retry"):
            alerts["dte_status"] = {
                "level": "danger" if document.state in ("failed", "rejected") else "warning",
                "message": document.message,
            }
            if document.reason_ids and self.env.user.has_group("l10n_cl_dte.group_dte_user"):
                alerts["dte_status"].update(self._dte_show_reasons())
        return alerts

    def _dte_show_reasons(self) -> dict:
        """Return the link of an alert that leads to the reasons, on the tab where they stand."""
        params = {"action": False, "field": "dte_reason_ids", "tab": "dte_tab", "note": ""}
        return {
            "action_text": self.env._("Show the reasons"),
            "action": {"type": "ir.actions.client", "tag": "l10n_cl_dte.show_field", "params": params},
        }

    @api.depends("dte_document_id.state", "dte_document_id.message_code", "dte_document_id.superseded")
    def _compute_alerts(self):
        # EXTENDS account
        return super()._compute_alerts()
