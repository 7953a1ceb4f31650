# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import UserError

from . import dte_reasons

# Documents that Correct takes back.
CORRECTABLE = ("rejected", "failed", "retry")
# Level of what rejects; the others are repairs.
_REJECTS = "3"
# Sentences that send their reader to the mail for the reasons, and have another form for when they are known.
_KNOWN = ("rejected", "rejected_whole", "objected", "accepted_unknown_repairs")


class DteDocumentReason(models.Model):
    """One reason why the SII rejected a document or objected to it: the SII's words, ours, and the way to the cure."""

    _name = "dte.document.reason"
    _description = "Reason of the SII"
    _order = "level desc, id"

    document_id = fields.Many2one("dte.document", required=True, readonly=True, ondelete="cascade", index=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    code = fields.Char(readonly=True, index="btree_not_null")
    level = fields.Selection([("3", "Rejected"), ("2", "Repair"), ("1", "Light repair")], readonly=True)
    line = fields.Integer(readonly=True, aggregator=False, help="Line of the document or of its references.")
    sii_text = fields.Char(string="What the SII Says", readonly=True)
    explanation = fields.Char(compute="_compute_explanation")
    fix_label = fields.Char(string="Look At", compute="_compute_explanation")

    @api.depends("code", "sii_text")
    def _compute_display_name(self):
        for reason in self:
            reason.display_name = reason.code or reason.sii_text

    @api.depends("code", "sii_text", "line")
    @api.depends_context("lang")
    def _compute_explanation(self):
        for reason in self:
            sentence, place = reason._entry()
            text = self.env._(sentence) if sentence else reason.sii_text or reason.code
            if sentence and reason.line:
                text = self.env._("Line %(line)s: %(text)s", line=reason.line, text=text)
            reason.explanation = text
            reason.fix_label = place and self.env._(dte_reasons.PLACES[place].label)

    def _entry(self) -> tuple[str, str]:
        """Return the sentence and the place of this reason in `dte_reasons`."""
        section, _level, number = (self.code or "--").split("-")
        return dte_reasons.explain(f"{section}-{number}", self.sii_text or "")

    def action_fix(self):
        """Open what has to be looked at, with the field in sight."""
        self.ensure_one()
        self.check_access("read")
        _sentence, name = self._entry()
        if not name:
            raise UserError(self.env._("There is nothing to put right here for this reason."))
        place = dte_reasons.PLACES[name]
        target, note = getattr(self, f"_open_{place.opens}")()
        if target and self.env.context.get("dte_in_invoice") and target.get("res_model") == "account.move":
            target = False
        return {
            "type": "ir.actions.client",
            "tag": "l10n_cl_dte.show_field",
            "params": {"action": target, "field": place.field, "tab": place.tab, "note": note},
        }

    # Each returns an action and what to tell the reader, or an empty text.

    def _open_move(self):
        document = self.document_id
        if not document.move_id:
            raise UserError(self.env._("%s has no invoice: it was restored from the archive.", document.display_name))
        note = ""
        if document.move_id.dte_document_id == document and document.state in CORRECTABLE and not document.superseded:
            note = self.env._("Press Correct first: the invoice goes back to draft and keeps its folio.")
        elif document.state == "objected":
            note = self.env._("The document is valid. Correct it with a credit or debit note if needed.")
        return self._form("account.move", document.move_id.id), note

    def _open_issuer(self):
        partner = self.document_id.company_id.partner_id
        return self._form("res.partner", partner.id), ""

    def _open_cafs(self):
        document = self.document_id
        action = self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_caf_action")
        domain = [("company_id", "=", document.company_id.id), ("dte_type", "=", document.dte_type)]
        return {**action, "domain": domain}, ""

    def _open_folio(self):
        document = self.document_id
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Documents with folio %s", document.folio),
            "res_model": "dte.document",
            "views": [(False, "list"), (False, "form")],
            "domain": [
                ("company_id", "=", document.company_id.id),
                ("environment", "=", document.environment),
                ("dte_type", "=", document.dte_type),
                ("folio", "=", document.folio),
            ],
        }, ""

    def _open_settings(self):
        self._check_administrator()
        # The settings are those of the company that the reader works in.
        note = ""
        if self.company_id != self.env.company:
            note = self.env._(
                "Change to the company %s first: these are the settings of another.", self.company_id.name
            )
        return self.env["ir.actions.act_window"]._for_xml_id("account.action_account_config"), note

    def _open_schemas(self):
        self._check_administrator()
        return self.env["ir.actions.act_window"]._for_xml_id("l10n_cl_dte.dte_schema_set_action"), ""

    def _check_administrator(self):
        if not self.env.user.has_group("base.group_system"):
            raise UserError(self.env._("This is set by an administrator. Show this reason to your administrator."))

    def _form(self, model: str, record_id: int) -> dict:
        return {"type": "ir.actions.act_window", "res_model": model, "res_id": record_id, "views": [(False, "form")]}


class DteDocument(models.Model):
    _inherit = "dte.document"

    reason_ids = fields.One2many("dte.document.reason", "document_id", string="Reasons of the SII", readonly=True)
    shows_reasons = fields.Boolean(compute="_compute_shows_reasons")

    @api.depends("state", "repairs_unknown", "reason_ids.level")
    def _compute_shows_reasons(self):
        # Reasons come by mail, which may be forged: they are shown once the SII has said the same.
        for document in self:
            document.shows_reasons = bool(document.reason_ids) and (
                document.state in ("rejected", "objected")
                or (document.state == "accepted" and document.repairs_unknown)
            )

    @api.depends("shows_reasons")
    def _compute_message(self):
        return super()._compute_message()

    def _message_key(self, code: str) -> str:
        # A document with reasons does not send its reader to the mail for them.
        return f"{code}_known" if code in _KNOWN and self.shows_reasons else code

    def _set_state(self, state, *args, **values):
        result = super()._set_state(state, *args, **values)
        # Reasons that came before the verdict and do not fit it were nobody's, or of an earlier upload.
        for document in self:
            wrong = document.sudo().reason_ids.filtered(
                lambda reason, doc=document: not doc._fits_verdict(reason.level)
            )
            wrong.unlink()
        return result

    def _fits_verdict(self, level: str) -> bool:
        """Tell whether a reason of this level can belong to the document as far as the SII has spoken."""
        if self.state == "accepted" and not self.repairs_unknown:
            return False
        if self.state in ("accepted", "objected"):
            return level != _REJECTS
        return self.state != "sending"

    def _fitting_reasons(self, texts) -> list[str]:
        """Return those of the sentences that may be true of this document."""
        return [text for text in texts if self._fits_verdict(dte_reasons.read(text).level)]

    def _set_reasons(self, texts: list[str]):
        """Give a document the reasons that the SII says, in place of those it had.

        :param texts: sentences as they stand in the SII's result, "(HED-3-305) ...", also without a code
        """
        self.ensure_one()
        findings = [finding for finding in map(dte_reasons.read, dict.fromkeys(texts)) if finding.code or finding.text]
        rows = [
            {
                "document_id": self.id,
                "company_id": self.company_id.id,
                "code": finding.code or False,
                "level": finding.level or False,
                "line": finding.line,
                "sii_text": finding.text or False,
            }
            for finding in findings
        ]
        # sudo: reasons are the SII's, nobody has the right to write them
        reasons = self.sudo().reason_ids
        names = ("code", "level", "line", "sii_text")
        if [[row[name] for name in names] for row in rows] != [
            [reason[name] for name in names] for reason in reasons.sorted("id")
        ]:
            reasons.unlink()
            reasons.create(rows)


class AccountMove(models.Model):
    _inherit = "account.move"

    dte_reason_ids = fields.One2many(related="dte_document_id.reason_ids", string="Reasons of the SII")
    dte_shows_reasons = fields.Boolean(related="dte_document_id.shows_reasons")
