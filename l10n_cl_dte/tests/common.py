# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import os
import random
from contextlib import contextmanager
from datetime import timedelta

from stdnum.cl import rut as stdnum_rut

from odoo.tools import SQL

from odoo.addons.account.tests.common import AccountTestInvoicingCommon

from .simulated import Simulator, make_customer, make_invoice, register_company, set_up_company

CAF_TYPES = (33, 34, 56, 61)


def new_rut() -> str:
    """A RUT that no other test uses: the simulator is shared."""
    body = str(random.randint(50_000_000, 99_000_000))  # noqa: S311
    return f"{body}-{stdnum_rut.calc_check_digit(body)}"


class DteCommon(AccountTestInvoicingCommon):
    """A Chilean company that issues into the simulator, with folios 1 to 100 of each type, and a customer.

    The user has the roles of an ordinary DTE user; what needs an administrator says so.
    """

    @classmethod
    @AccountTestInvoicingCommon.setup_country("cl")
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = Simulator(os.environ["DTE_SIMULATOR_URL"])
        cls.company = cls.env.company
        cls.rut = new_rut()
        cls.admin = cls.env.ref("base.user_admin")
        cls.admin.write({"company_ids": [(4, cls.company.id)]})
        cls.admin_env = cls.env(user=cls.admin, context={"allowed_company_ids": cls.company.ids})
        set_up_company(cls.company.with_env(cls.admin_env), cls.simulator, cls.rut)
        cls.journal = cls.company_data["default_journal_sale"]
        cls.journal.with_env(cls.admin_env).write({"dte_enabled": True})
        for dte_type in CAF_TYPES:
            cls.load_caf(dte_type, 1, 100)
        cls.dte_user = cls.env["res.users"].create(
            {
                "name": "Usuaria DTE",
                "login": f"dte_{cls.company.id}",
                "tz": "America/Santiago",
                "company_id": cls.company.id,
                "company_ids": [(6, 0, cls.company.ids)],
                "group_ids": [
                    (
                        6,
                        0,
                        [cls.env.ref("l10n_cl_dte.group_dte_user").id, cls.env.ref("base.group_partner_manager").id],
                    )
                ],
            }
        )
        cls.env = cls.env(user=cls.dte_user, context={"allowed_company_ids": cls.company.ids})
        cls.journal = cls.journal.with_env(cls.env)
        cls.company = cls.company.with_env(cls.env)
        cls.customer = make_customer(cls.env, "Ferretería El Tornillo Ltda.", "88888888-8")

    def setUp(self):
        super().setUp()
        # The test's transaction is rolled back at its end, what the simulator holds is not.
        self.simulator.call("POST", "reset")
        register_company(self.company, self.simulator)
        for dte_type in CAF_TYPES:
            self.simulator.caf(self.rut, dte_type, 1, 100)

    @classmethod
    def load_caf(cls, dte_type, first, last, **options):
        content = cls.simulator.caf(cls.rut, dte_type, first, last, name="Empresa de Prueba", **options)
        return cls.admin_env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": cls.company.id})

    def make(self, lines=None, dte_type="33", journal=None, partner=None, **values):
        lines = lines or [{"name": "Servicio", "quantity": 1, "price_unit": 1000}]
        return make_invoice(journal or self.journal, partner or self.customer, lines, dte_type, **values)

    def other_journal(self, **values):
        """Return a second sales journal."""
        account = self.journal.sudo().default_account_id
        return self.journal.sudo().copy({"default_account_id": account.id, **values}).with_env(self.env)

    def post(self, *args, **values):
        move = self.make(*args, **values)
        move.action_post()
        return move

    @contextmanager
    def committing(self):
        """Run code that commits: commits become released savepoints of the test's transaction."""
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            yield self.env(cr=cr)
        self.env.invalidate_all()

    def send(self, moves, user=None):
        """Press Send DTE; return the notification."""
        with self.committing() as env:
            action = moves.with_env(env(user=user) if user else env).action_send_to_sii()
        return action["params"]

    def ask(self, moves):
        """Let the simulator finish and press Ask the SII; return the notification."""
        self.simulator.call("POST", "process")
        with self.committing() as env:
            return moves.with_env(env).action_dte_status()["params"]

    def run_job(self, model="dte.envio", method="_cron_send"):
        """Run a job once, as the scheduler does. Envelopes are asked about when their time has come, which is now."""
        if method == "_cron_check_status":
            self.make_polls_due()
        with self.committing() as env:
            getattr(env[model].sudo(), method)()

    def make_polls_due(self):
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE dte_envio SET next_poll_date = now() AT TIME ZONE 'UTC' - interval '1 s'"
                " WHERE company_id = %s AND next_poll_date IS NOT NULL",
                self.company.id,
            )
        )
        self.env.invalidate_all()

    def wait(self, **delta):
        """Let time pass: what is due comes nearer, at the SII as here."""
        self.env.flush_all()
        seconds = timedelta(**delta).total_seconds()
        self.addCleanup(self.simulator.call, "POST", "clock", reset=True)
        self.simulator.call("POST", "clock", advance_seconds=seconds)
        for table, columns in (
            ("dte_envio", ("attempted_at", "first_attempted_at", "validated_at", "due_at", "next_poll_date")),
            ("dte_document", ("retry_at",)),
            ("dte_failed_queue", ("next_retry_date",)),
        ):
            for column in columns:
                self.env.cr.execute(
                    SQL(
                        "UPDATE %s SET %s = %s - make_interval(secs => %s) WHERE company_id = %s",
                        SQL.identifier(table), SQL.identifier(column), SQL.identifier(column), seconds, self.company.id,
                    )
                )  # fmt: skip
        self.env.invalidate_all()

    def replace_archive(self, backup, xml, keep_hash=False):
        """Put other bytes into the archive behind its back."""
        backup.env.flush_all()
        digest = backup.sha256 if keep_hash else hashlib.sha256(xml).hexdigest()
        self.env.cr.execute("ALTER TABLE dte_backup DISABLE TRIGGER USER")
        self.env.cr.execute(
            "UPDATE dte_backup SET xml_content = %s, sha256 = %s WHERE id = %s",
            [base64.b64encode(xml), digest, backup.id],
        )
        self.env.cr.execute("ALTER TABLE dte_backup ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def send_elsewhere(self, move):
        """Let somebody else send the document of an invoice: the SII has it, Odoo does not know."""
        with self.committing() as env:
            document = move.dte_document_id.with_env(env).sudo()
            envios = env["dte.envio"].sudo()
            line = envios._open_line(document.company_id)
            parcel = envios._load(document.company_id, document, line.credentials)._parcel()
            line.client.upload(parcel.sender_rut, parcel.company_rut, "ajeno.xml", parcel.content)
            env.cr.rollback()
        self.simulator.call("POST", "process")

    def held(self):
        """Return what the simulator holds of the company, by (type, folio)."""
        return self.simulator.documents(self.rut)

    def uploads(self):
        """Return the uploads of the company that reached the simulator."""
        return self.simulator.call("GET", f"ledger?issuer={self.rut}")["uploads"]

    def fault(self, kind, **options):
        """Switch a fault on until the end of the test."""
        self.addCleanup(self.simulator.call, "DELETE", "faults")
        self.simulator.call("POST", "faults", faults=[{"kind": kind, **options}])

    def settings(self, **changes):
        """Change the simulator's settings until the end of the test."""
        before = self.simulator.call("GET", "settings")
        self.addCleanup(lambda: self.simulator.call("POST", "settings", **before))
        self.simulator.call("POST", "settings", **changes)


class ServedCursor:
    """Before `DteCommon` and `HttpCase` in a test with a server, whose requests need the registry in test mode all the
    time: here only the cursor is another one."""

    @contextmanager
    def committing(self):
        # OVERRIDE DteCommon
        self.env.flush_all()
        with self.registry.cursor() as cr:
            yield self.env(cr=cr)
        self.env.invalidate_all()
