# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""From records to the pipeline's dataclasses, and from its problems back to records. Nothing else builds `libs.dte`."""

import re
from decimal import Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import groupby

from ..libs import checks
from ..libs import dte as dte_lib
from ..libs import issue as issue_lib
from ..libs import taxes as taxes_lib
from ..libs.exceptions import ConfigurationError, DocumentError, Problem
from . import dte_messages
from .account_move_line import to_decimal

MAX_PROBLEMS_SHOWN = 40


class AccountMove(models.Model):
    _inherit = "account.move"

    # -- before posting --

    def _dte_check_before_posting(self):
        """Raise one error that lists every problem of every invoice and company, before any folio is taken."""
        lines = []
        for company, moves in self.grouped("company_id").items():
            lines += [company._dte_describe_problem(problem) for problem in company._dte_find_problems()]
            lines += moves._dte_folio_problem_texts()
            for move in moves:
                lines += [move._dte_describe_problem(problem) for problem in move._dte_find_problems()]
        if lines:
            raise UserError(self._dte_problem_list(lines))

    def _dte_problem_list(self, lines: list[str]) -> str:
        lines = list(dict.fromkeys(lines))
        shown = lines[:MAX_PROBLEMS_SHOWN]
        if len(lines) > len(shown):
            shown.append(self.env._("and %s more.", len(lines) - len(shown)))
        title = self.env._("The electronic document cannot be issued. No folio was used. Please correct:")
        return "\n".join([title, "", *(f"• {line}" for line in shown)])

    def _dte_folio_problem_texts(self) -> list[str]:
        texts = []
        caf_model = self.env["dte.caf"]
        for journal in self.journal_id:
            company = journal.company_id
            if journal.dte_environment and journal.dte_environment != company.dte_environment:
                labels = dict(journal._fields["dte_environment"]._description_selection(self.env))
                params = {
                    "environment": labels[journal.dte_environment],
                    "current": labels[company.dte_environment],
                }
                texts.append(
                    f"{journal.display_name}: "
                    + dte_messages.describe(self.env, dte_messages.PROBLEMS, "journal_other_environment", params)
                )
        new = self.filtered(lambda move: not move._dte_is_corrected())
        by_type = new.grouped(lambda move: (move.company_id, move.l10n_latam_document_type_id))
        for (company, doc_type), moves in by_type.items():
            dates = [move.invoice_date or fields.Date.context_today(move) for move in moves]
            problem = caf_model._find_shortage(company, doc_type, dates)
            if problem:
                texts.append(company._dte_describe_problem(problem))
        return texts

    def _dte_find_problems(self) -> list[Problem]:
        """Return everything that the SII would refuse in this invoice, and what differs from the books."""
        self.ensure_one()
        problems = self._dte_record_problems()
        if problems:
            return problems
        dte = self._dte_values()
        totals = None
        if not any(tax_code not in taxes_lib.TAX_KINDS for line in dte.lines for tax_code in line.tax_codes):
            totals = dte_lib.compute_totals(dte)
        problems = checks.find_problems(dte, totals)
        if not problems:
            problems += self._dte_total_problems(dte, totals)
        return problems

    def _dte_record_problems(self) -> list[Problem]:
        """Return what the dataclasses cannot express."""
        if not self.partner_id:
            return [Problem("missing", "customer")]
        problems = []
        if not self.commercial_partner_id.l10n_cl_sii_taxpayer_type:
            problems.append(Problem("missing", "receiver.taxpayer_type"))
        if self.currency_id.name != "CLP":
            problems.append(Problem("currency_not_pesos", "currency", {"value": self.currency_id.name}))
        if len({self._dte_line_is_gross(line) for line in self._dte_taxed_lines()}) > 1:
            problems.append(Problem("gross_mixed", "lines"))
        if self.l10n_latam_document_type_id.code == "34":
            problems += [
                Problem("exempt_with_vat", f"lines[{number}]")
                for number, (line, _notes) in enumerate(self._dte_item_lines())
                if self._dte_vat_taxes(line)
            ]
        return problems + self._dte_reference_problems()

    def _dte_reference_problems(self) -> list[Problem]:
        problems = []
        for number, reference in enumerate(self.dte_reference_ids):
            path = f"references[{number}]"
            link_problems = self._dte_link_problems(reference, path)
            problems += link_problems
            if reference.code and not link_problems:
                problems += self._dte_correction_problems(reference, path)
        return problems

    def _dte_link_problems(self, reference, path: str) -> list[Problem]:
        """Return why the linked invoice cannot be the document that the reference names."""
        origin = reference.origin_move_id
        if origin.state != "posted":
            return [Problem("reference_not_issued", path)] if origin and reference.code else []
        # sudo: posting users need the environment of their own company's documents, whatever their role
        environment = origin.sudo().dte_document_id.environment
        if environment and environment != reference._environment():
            labels = dict(self.company_id._fields["dte_environment"]._description_selection(self.env))
            return [Problem("reference_other_environment", path, {"environment": labels[environment]})]
        if not origin.l10n_latam_document_type_id:
            return []
        linked = origin._dte_reference_values()
        compared = {
            "doc_type": (reference.document_type_id, origin.l10n_latam_document_type_id),
            "folio": (self._dte_reference(reference).folio, linked["folio"]),
            "date": (reference.date, linked["date"]),
        }
        return [
            Problem(
                "reference_differs_from_link",
                f"{path}.{name}",
                {"value": getattr(typed, "name", typed), "expected": getattr(expected, "name", expected)},
            )
            for name, (typed, expected) in compared.items()
            if typed != expected
        ]

    def _dte_correction_problems(self, reference, path: str) -> list[Problem]:
        """Return why this note cannot correct the document that it refers to."""
        problems = []
        if reference.code == "2" and self.amount_total:
            params = {"amount": self._dte_pesos(self.amount_total)}
            problems.append(Problem("text_correction_with_amounts", path, params))
        document = reference._document()
        origin = document.move_id or reference.origin_move_id
        if not document and not origin:
            return problems
        if document.state in ("rejected", "failed"):
            problems.append(Problem("reference_rejected", path))
        receiver, own = document.receiver_rut or origin.commercial_partner_id.vat or "", self.commercial_partner_id.vat
        # A RUT that is missing or wrong is told by the checks of the document itself.
        if own and checks.rut_is_valid(own) and checks.rut_is_valid(receiver) and own != receiver:
            problems.append(Problem("reference_other_receiver", path, {"expected": receiver, "value": own}))
        total = origin.amount_total if origin else document.amount_total
        if reference.code == "1" and total != self.amount_total:
            params = {"expected": self._dte_pesos(total), "amount": self._dte_pesos(self.amount_total)}
            problems.append(Problem("annulment_total_differs", path, params))
        return problems

    def _dte_total_problems(self, dte, totals) -> list[Problem]:
        billed = totals.total + (totals.not_billable or 0)
        if billed == round(self.amount_total):
            return []
        params = {"expected": self._dte_pesos(billed), "amount": self._dte_pesos(self.amount_total)}
        return [Problem("totals_differ", "totals", params)]

    def _dte_pesos(self, amount) -> str:
        return f"$ {round(amount):,}".replace(",", ".")

    # -- problems to sentences --

    def _dte_describe_problem(self, problem: Problem) -> str:
        """Return "record, field: sentence" for a problem of this invoice."""
        place = self._dte_place(problem.path)
        return f"{place}: " + dte_messages.describe(self.env, dte_messages.PROBLEMS, problem.code, problem.params)

    def _dte_place(self, path: str) -> str:
        """Return the record and field behind a path of the pipeline, as the user knows them."""
        found = re.match(r"(\w+)(?:\[(\d+)\])?(?:\.(\w+))?", path)
        zone, number, name = found.groups() if found else ("", None, None)
        if zone == "issuer":
            return self.company_id._dte_place(name)
        if zone == "receiver":
            return ", ".join((self.commercial_partner_id.display_name, self._dte_partner_label(name)))
        places = [self._dte_own_name()]
        if number is not None and zone in ("lines", "references"):
            places.append(self._dte_row_label(zone, int(number)))
            places.append(self._dte_row_field_labels(zone).get(name))
        else:
            places.append(self._dte_field_labels().get(zone))
        return ", ".join(filter(None, places))

    def _dte_row_label(self, zone: str, number: int) -> str:
        if zone == "references":
            return self.env._("reference %s", number + 1)
        line = self._dte_item_lines()[number][0]
        text = (line.name or line.product_id.display_name or "").split("\n")[0][:40]
        return self.env._("line %(number)s (%(text)s)", number=number + 1, text=text or "-")

    def _dte_row_field_labels(self, zone: str) -> dict[str, str]:
        if zone == "references":
            return {
                "doc_type": self.env._("document type"),
                "folio": self.env._("folio"),
                "date": self.env._("date"),
                "reason": self.env._("reason"),
                "code": self.env._("what the note does"),
            }
        return {
            "name": self.env._("label"),
            "description": self.env._("label"),
            "quantity": self.env._("quantity"),
            "price": self.env._("price"),
            "unit": self.env._("unit of measure"),
            "codes": self.env._("product code"),
            "discount_percent": self.env._("discount"),
            "surcharge_percent": self.env._("discount"),
            "tax_codes": self.env._("taxes"),
            "indicator": self.env._("SII indicator"),
        }

    def _dte_field_labels(self) -> dict[str, str]:
        return {
            "customer": self.env._("customer"),
            "lines": self.env._("lines"),
            "references": self.env._("references"),
            "global_discounts": self.env._("global discount"),
            "issue_date": self.env._("invoice date"),
            "currency": self.env._("currency"),
            "totals": self.env._("total"),
            "tax_overrides": self.env._("taxes"),
            "payment": self.env._("payment terms"),
            "service_indicator": self.env._("service indicator"),
            "period_from": self.env._("service period"),
            "period_to": self.env._("service period"),
        }

    def _dte_own_name(self) -> str:
        if self.name and self.name != "/":
            return self.name
        doc_type = self.l10n_latam_document_type_id.name or self.env._("Invoice")
        return self.env._("%(type)s for %(partner)s", type=doc_type, partner=self.partner_id.display_name or "?")

    def _dte_partner_label(self, name: str | None) -> str:
        names = {
            "rut": "vat",
            "name": "name",
            "giro": "l10n_cl_activity_description",
            "address": "street",
            "comuna": "dte_comuna",
            "city": "city",
            "contact": "phone",
            "email": "email",
            "internal_code": "ref",
            "taxpayer_type": "l10n_cl_sii_taxpayer_type",
        }
        field = self.env["res.partner"]._fields[names.get(name, "name")]
        return field._description_string(self.env)

    # -- records to dataclasses --

    def _dte_values(self, folio: int | None = None) -> dte_lib.Dte:
        """Return the invoice as the pipeline's dataclass."""
        self.ensure_one()
        items = self._dte_item_lines()
        issue_date = self.invoice_date or fields.Date.context_today(self)
        return dte_lib.Dte(
            dte_type=int(self.l10n_latam_document_type_id.code),
            folio=folio,
            issue_date=issue_date,
            issuer=self._dte_issuer(),
            receiver=self._dte_receiver(),
            lines=tuple(self._dte_line(line, notes) for line, notes in items),
            global_discounts=tuple(self._dte_global_discount(line) for line in self._dte_discount_lines()),
            references=tuple(self._dte_reference(reference) for reference in self.dte_reference_ids),
            payment=self._dte_payment(issue_date),
            tax_overrides=self._dte_tax_overrides(),
            gross_prices=any(self._dte_line_is_gross(line) for line in self._dte_taxed_lines()),
            service_indicator=int(self.dte_service_indicator) if self.dte_service_indicator else None,
            period_from=self.dte_period_from or None,
            period_to=self.dte_period_to or None,
        )

    def _dte_issuer(self) -> dte_lib.Issuer:
        company, partner, journal = self.company_id, self.company_id.partner_id, self.journal_id
        return dte_lib.Issuer(
            rut=partner.vat or "",
            name=partner.name or "",
            giro=company.l10n_cl_activity_description or "",
            activity_codes=tuple(company._dte_activity_code_list()),
            address=" ".join(filter(None, (partner.street, partner.street2))),
            comuna=partner.dte_comuna or "",
            city=partner.city or "",
            phones=tuple(filter(None, (partner.phone,))),
            email=partner.email or "",
            branch_code=journal.dte_branch_code or "",
            branch_name=journal.dte_branch_name or "",
        )

    def _dte_receiver(self) -> dte_lib.Receiver:
        partner, commercial = self.partner_id, self.commercial_partner_id
        return dte_lib.Receiver(
            rut=commercial.vat or "",
            name=commercial.name or "",
            giro=commercial.l10n_cl_activity_description or "",
            address=" ".join(filter(None, (partner.street, partner.street2))),
            comuna=partner.dte_comuna or "",
            city=partner.city or "",
            contact=(partner.name if partner != commercial else partner.phone) or "",
            email=partner.email or "",
            internal_code=commercial.ref or "",
        )

    def _dte_item_lines(self) -> list:
        """Return (line, following notes) of each line that is an item of the document."""
        items = []
        for line in self.invoice_line_ids.sorted(lambda line: (line.sequence, line.id or 0)):
            if line.display_type == "product" and not self._dte_is_discount(line):
                items.append((line, []))
            elif line.display_type == "line_note" and items and line.name:
                items[-1][1].append(line.name)
        return items

    def _dte_is_discount(self, line) -> bool:
        """Tell whether a line lowers the document as a whole: Odoo's global discounts are negative lines."""
        return not line.dte_indicator and line.price_subtotal < 0

    def _dte_discount_lines(self):
        return self.invoice_line_ids.filtered(
            lambda line: line.display_type == "product" and self._dte_is_discount(line)
        )

    def _dte_vat_taxes(self, line):
        return line.tax_ids.filtered(lambda tax: tax.l10n_cl_sii_code == taxes_lib.VAT_CODE and tax.amount)

    def _dte_taxed_lines(self):
        return self.invoice_line_ids.filtered(lambda line: line.display_type == "product" and self._dte_vat_taxes(line))

    def _dte_line_is_gross(self, line) -> bool:
        return any(tax.price_include for tax in self._dte_vat_taxes(line))

    def _dte_line(self, line, notes) -> dte_lib.Line:
        name, description, codes = self._dte_line_texts(line, notes)
        amounts = line._dte_price_line()
        indicator = int(line.dte_indicator) if line.dte_indicator else None
        if indicator is None and not self._dte_vat_taxes(line) and self.l10n_latam_document_type_id.code != "34":
            indicator = dte_lib.EXEMPT
        return dte_lib.Line(
            name=name,
            quantity=amounts.quantity,
            price=amounts.price,
            unit=(line.product_uom_id.name or "")[:4] if amounts.quantity and amounts.price else "",
            description=description,
            indicator=indicator,
            discount_percent=amounts.discount_percent if amounts.price else None,
            surcharge_percent=amounts.surcharge_percent if amounts.price else None,
            tax_codes=self._dte_line_tax_codes(line),
            codes=codes,
        )

    def _dte_line_texts(self, line, notes):
        product = line.product_id
        texts = [text.strip() for text in (line.name or product.display_name or "").split("\n") if text.strip()]
        codes = (("INT1", product.default_code),) if product.default_code else ()
        name = texts[0] if texts else ""
        if codes and name.startswith(f"[{product.default_code}]"):
            name = name[len(product.default_code) + 2 :].strip() or product.name
        return name, " ".join([*texts[1:], *notes]), codes

    def _dte_line_tax_codes(self, line) -> tuple[int, ...]:
        codes = [
            taxes_lib.sii_code(tax.l10n_cl_sii_code, abs(to_decimal(tax.amount, 4)))
            for tax in line.tax_ids
            if tax.amount and tax.l10n_cl_sii_code != taxes_lib.VAT_CODE
        ]
        return tuple(sorted(set(codes)))

    def _dte_tax_overrides(self) -> tuple[dte_lib.TaxOverride, ...]:
        """Return the rates of the invoice's own taxes, and the amounts of those that are not a percentage."""
        overrides = {}
        for tax in self.invoice_line_ids.tax_ids.filtered(lambda tax: tax.amount):
            code = taxes_lib.sii_code(tax.l10n_cl_sii_code, abs(to_decimal(tax.amount, 4)))
            if code == taxes_lib.VAT_CODE:
                continue
            if tax.amount_type == "percent":
                overrides[code] = dte_lib.TaxOverride(code, rate=abs(to_decimal(tax.amount, 2)))
            else:
                lines = self.line_ids.filtered(lambda line, tax=tax: line.tax_line_id == tax)
                overrides[code] = dte_lib.TaxOverride(code, amount=abs(round(sum(lines.mapped("balance")))))
        return tuple(overrides.values())

    def _dte_global_discount(self, line) -> dte_lib.GlobalDiscount:
        taxed = bool(self._dte_vat_taxes(line))
        exempt_document = self.l10n_latam_document_type_id.code == "34"
        amounts = line._dte_price_line()
        return dte_lib.GlobalDiscount(
            kind="D",
            value=Decimal(dte_lib.line_amount(amounts).amount),
            is_percent=False,
            text=(line.name or "").split("\n")[0],
            indicator=dte_lib.EXEMPT if exempt_document or not taxed else None,
        )

    def _dte_reference(self, reference) -> dte_lib.Reference:
        doc_type, folio = reference.document_type_id.code or "", (reference.folio or "").strip()
        return dte_lib.Reference(
            doc_type=doc_type,
            # Odoo pads folios with zeros; the number of an order or contract stays as it is
            folio=str(int(folio)) if doc_type in checks.TAX_DOCUMENTS and folio.isdecimal() else folio,
            date=reference.date,
            code=int(reference.code) if reference.code else None,
            reason=reference.reason or "",
            is_global=reference.is_global,
        )

    def _dte_payment(self, issue_date) -> dte_lib.Payment:
        due = self.line_ids.filtered(lambda line: line.display_type == "payment_term").sorted("date_maturity")
        installments = ()
        if len(due) > 1:
            installments = tuple(
                dte_lib.Installment(day, abs(round(sum(line.balance for line in lines))))
                for day, lines in groupby(due, lambda line: line.date_maturity)
            )
        due_date = self.invoice_date_due or None
        days = (due_date - issue_date).days if due_date else 0
        return dte_lib.Payment(
            form=int(self.dte_payment_form) if self.dte_payment_form else None,
            due_date=due_date if due_date and due_date >= issue_date else None,
            term_text=self.invoice_payment_term_id.name or "",
            term_days=days if 0 < days <= 999 and not installments else None,
            installments=installments,
        )

    # -- after posting --

    def _dte_issue(self):
        """Stamp, sign and archive posted invoices. No network. Keys are parsed once per company and CAF."""
        for company, moves in self.grouped("company_id").items():
            credentials = company._dte_credentials()
            cafs = {}
            for move in moves:
                folio = move.sequence_number
                caf_record = self.env["dte.caf"]._covering(company, move.l10n_latam_document_type_id.code, folio)
                if caf_record not in cafs:
                    cafs[caf_record] = caf_record._parsed()
                move._dte_issue_one(folio, caf_record, cafs[caf_record], credentials)
        # sudo: whoever may post the invoice makes its document leave, as the company's setting says
        self.sudo().dte_document_id._queue_posted()

    def _dte_issue_one(self, folio, caf_record, caf, credentials):
        now = self.company_id._dte_now()
        dte = self._dte_values(folio)
        try:
            signed = issue_lib.issue(dte, caf, credentials, now)
        except DocumentError as error:
            texts = [self._dte_describe_problem(problem) for problem in error.problems]
            raise UserError(self._dte_problem_list(texts)) from error
        except ConfigurationError as error:
            raise UserError(dte_messages.describe_error(self.env, error)) from error
        findings = self.env["dte.schema.set"]._validate_dte(signed.xml)
        if findings:
            problems = [
                Problem("schema_invalid", "", {"line": item.line, "element": item.element, "message": item.message})
                for item in findings
            ]
            raise UserError(self._dte_problem_list([self._dte_describe_problem(problem) for problem in problems]))
        self.env["dte.document"]._make(self, caf_record, dte, signed, now)
