# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Run inside Odoo's shell by `make screenshots`: a company with two weeks of history and today's ups and downs.

Everything on the pictures happened: documents are issued, sent, judged by the simulator and answered through the
product's own methods. For the history the clocks of this process and of the simulator stand on the day that is played;
only the log of calls, whose times PostgreSQL writes, is moved to that day afterwards.

Reads SCREENSHOTS_FILE, a JSON with `act` (history, import, contingency), `simulator`, `control`, `mail_port`,
`password`, `archive` and `folder`, and adds the ids of what is to be seen.
"""

import base64
import io
import json
import os
import random
import zipfile
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

from freezegun import freeze_time
from PIL import Image, ImageDraw

from odoo.exceptions import UserError
from odoo.tools import SQL

from odoo.addons.l10n_cl_dte.libs import caf as caf_lib
from odoo.addons.l10n_cl_dte.libs import credentials as credentials_lib
from odoo.addons.l10n_cl_dte.libs import issue as issue_lib
from odoo.addons.l10n_cl_dte.libs.dte import Dte, Issuer, Line, Receiver
from odoo.addons.l10n_cl_dte.tests import customer_answers
from odoo.addons.l10n_cl_dte.tests.simulated import Simulator, make_customer, make_invoice
from odoo.addons.l10n_cl_dte.wizards.dte_demo import RUT
from odoo.addons.l10n_cl_dte.wizards.dte_setup_checks import JOBS

from dev import demo_issue

HISTORY_DAYS = 13
# Days before today on which the SII cannot be reached for a while.
OUTAGES = (9, 4)
CUSTOMERS = (
    ("Constructora Imaginaria SpA", "77000111-0", "Ñuñoa"),
    ("Hotel Ficticio del Maule Ltda.", "76000222-4", "Talca"),
    ("Librería Inventada & Hijos Ltda.", "77000333-4", "Providencia"),
    ("Viña Supuesta S.A.", "76000444-8", "Santa Cruz"),
)
GOODS = (
    ("Notebook 14'' para oficina", 549990),
    ("Monitor 27'' con brazo articulado", 189990),
    ("Impresora de etiquetas", 129990),
    ("Instalación de red, por punto", 24500),
    ("Teclado y mouse inalámbricos", 22990),
    ("Soporte mensual, por equipo", 15900),
)
SERVICES = (("Capacitación a personal, por hora", 45000), ("Taller de seguridad informática", 180000))
# Of a company whose document lies among ours by mistake.
OTHER_RUT = "96000555-4"
BUYER = "12345678-5"
BUYERS_ADDRESS = "dte@imaginaria.example"
FIRST_IMPORTED = 401
# How many documents of the other system a picture of the import shows, and which folio is missing among them.
IMPORTED, MISSING = 40, 18


def main(env):
    path = Path(os.environ["SCREENSHOTS_FILE"])
    told = json.loads(path.read_text(encoding="utf-8"))
    stage = Stage(env, told)
    {"history": stage.play_history, "import": stage.play_import, "contingency": stage.play_contingency}[told["act"]]()
    env.cr.commit()
    path.write_text(json.dumps(told), encoding="utf-8")


class Stage:
    """:param told: the content of SCREENSHOTS_FILE, which takes what is made"""

    def __init__(self, env, told: dict):
        self.told = told
        self.simulator = Simulator(told["simulator"])
        # Where no fault is met.
        self.control = Simulator(told["control"])
        admin = env.ref("base.user_admin")
        self.env = env(user=admin, context={"lang": "es_CL", "tz": "America/Santiago"}, su=False)
        self.company = self.env.company
        # The same numbers each time.
        self.dice = random.Random(6)  # noqa: S311

    # -- the first act --

    def play_history(self):
        self.make_users()
        with self.day(HISTORY_DAYS + 1):
            self.make_company()
        for back in range(HISTORY_DAYS, 0, -1):
            with self.day(back):
                self.play_day(back)
        self.simulator.call("POST", "clock", reset=True)
        self.play_today()
        self.run_nightly_jobs()

    @contextmanager
    def day(self, back: int):
        """Let clocks of this process and of the simulator show a morning of so many days ago, for the block."""
        moment = datetime.now(timezone.utc) - timedelta(days=back)
        moment = moment.replace(hour=14, minute=self.dice.randrange(60), second=0, microsecond=0)
        shift = datetime.now(timezone.utc) - moment
        self.env.cr.execute("SELECT COALESCE(MAX(id), 0) FROM dte_sii_call")
        (last,) = self.env.cr.fetchone()
        self.env.cr.commit()
        self.simulator.call("POST", "clock", reset=True)
        self.simulator.call("POST", "clock", advance_seconds=-shift.total_seconds())
        with freeze_time(moment, tick=True):
            yield
            self.env.cr.commit()
        self.env.cr.execute(SQL("UPDATE dte_sii_call SET called_at = called_at - %s WHERE id > %s", shift, last))
        self.env.cr.commit()

    def make_users(self):
        """The one who works in Spanish, and the same with English screens."""
        self.env["res.lang"].with_user(1)._activate_lang("es_CL")
        admin = self.env.user
        admin.write(
            {"name": "Camila Ejemplo", "login": "camila", "email": "camila@example.com", "lang": "es_CL",
             "tz": "America/Santiago", "password": self.told["password"], "notification_type": "inbox",
             "signature": "<p>Camila Ejemplo</p>"}
        )  # fmt: skip
        admin.copy({"login": "camila.en", "name": "Camila Ejemplo", "lang": "en_US", "password": self.told["password"]})

    def make_company(self):
        os.environ["DTE_DEMO_ARCHIVE"] = self.told["archive"]
        demo_issue.make_company(self.env, self.company, self.simulator)
        self.add_folios()
        self.set_up_mail()
        for name, rut, comuna in CUSTOMERS:
            make_customer(self.env, name, rut, dte_comuna=comuna, email="pagos@example.com", lang="es_CL")
        self.customer(0).dte_exchange_email = BUYERS_ADDRESS
        self.company.dte_alert_user_ids = self.env.user
        # Without a choice Send & Print asks for the layout first.
        self.company.external_report_layout_id = self.env.ref("web.external_layout_standard")
        self.company.write({"primary_color": "#714b67", "secondary_color": "#2f7d6b"})
        self.company.logo = base64.b64encode(draw_logo())

    def add_folios(self):
        """A second range of invoices, so that they last."""
        content = self.simulator.caf(RUT, 33, 601, 1400, name=self.company.name)
        self.env["dte.caf"].create({"caf_file": base64.b64encode(content), "company_id": self.company.id})

    def set_up_mail(self):
        root = self.env(su=True)
        self.company.sudo().alias_domain_id = root["mail.alias.domain"].create(
            {"name": "empresa.example", "bounce_alias": "rebotes", "catchall_alias": "todo"}
        )
        self.company.sudo().dte_mail_alias_name = "dte"
        root["ir.mail_server"].create(
            {"name": "Correo", "smtp_host": "127.0.0.1", "smtp_port": self.told["mail_port"], "smtp_encryption": "none"}
        )

    def play_day(self, back: int):
        """Deliver what was left of the day before; issue, send and ask; meet an outage at times."""
        self.run("dte.envio", "_cron_send")
        self.run("dte.failed.queue", "_cron_retry_failed_dtes")
        moves = self.env["account.move"]
        for _number in range(self.dice.choice((1, 1, 2))):
            moves += self.invoice(self.customer(self.dice.randrange(len(CUSTOMERS))))
        if back % 4 == 0:
            moves += self.invoice(self.customer(1), [self.dice.choice(SERVICES)], "34")
        self.send(moves)
        if back in OUTAGES:
            # The answer never comes: the SII is asked later, and the same bytes go again.
            self.control.call("POST", "faults", faults=[{"kind": "cut", "step": "connected", "count": 100}])
            self.send(self.invoice(self.customer(3)))
            self.control.call("DELETE", "faults")
        self.simulator.call("POST", "process")
        if waiting := moves.search([("dte_status", "=", "sent")]):
            waiting.action_dte_status()
        if back == HISTORY_DAYS // 2:
            note = demo_issue.reverse(moves[0], "1", "Compra equivocada")
            note.action_post()
            demo_issue.send_and_wait(self.env, note)

    def send(self, moves):
        """Confirm and press Send DTE; what the person reads when that fails is left to the jobs."""
        moves.action_post()
        self.env.cr.commit()
        try:
            moves.action_send_to_sii()
        except UserError:
            self.env.cr.rollback()

    def customer(self, number: int):
        return self.env["res.partner"].search([("vat", "=", CUSTOMERS[number][1])])

    def invoice(self, customer, lines=(), dte_type="33"):
        lines = lines or self.dice.sample(GOODS, self.dice.choice((1, 2, 3)))
        rows = [{"name": name, "quantity": self.dice.choice((1, 2, 4)), "price_unit": price} for name, price in lines]
        return make_invoice(demo_issue.journal(self.env, self.company), customer, rows, dte_type)

    def run(self, model: str, method: str):
        """Run a job once, as the scheduler does."""
        getattr(self.env(user=1, su=True)[model], method)()
        self.env.invalidate_all()

    # -- today --

    def play_today(self):
        accepted, note_of = self.invoice(self.customer(0), GOODS[:3]), self.invoice(self.customer(2), GOODS[3:5])
        objected, rejected = self.invoice(self.customer(3), GOODS[4:]), self.invoice(self.customer(1), GOODS[1:3])
        for move in (accepted, note_of, objected, rejected):
            move.action_post()
        self.judge(objected, outcome="object", codes=["DTE-1-650"])
        self.judge(rejected, outcome="reject", codes=["DETL-3-854"])
        for move in (accepted, note_of, objected, rejected):
            demo_issue.send_and_wait(self.env, move)
        note = demo_issue.reverse(note_of, "1", "Compra equivocada")
        note.action_post()
        demo_issue.send_and_wait(self.env, note)
        self.deliver_mails_of_the_sii()
        self.exchange(accepted)
        fresh = self.invoice(self.customer(2), GOODS[:2])
        fresh.action_post()
        draft = self.invoice(self.customer(3), GOODS[2:4])
        self.env.cr.commit()
        self.told["ids"] = {
            "accepted": accepted.id, "objected": objected.id, "rejected": rejected.id, "note": note.id,
            "fresh": fresh.id, "draft": draft.id,
        }  # fmt: skip
        self.told["portal"] = accepted.get_portal_url()

    def judge(self, move, **verdict):
        self.simulator.call("POST", "verdict", issuer=RUT, type=33, folio=move.dte_folio, **verdict)

    def deliver_mails_of_the_sii(self):
        for mail in self.simulator.call("GET", "mailbox")["mails"]:
            if RUT in mail["subject"]:
                self.gateway("dte.result.mail", base64.b64decode(mail["raw_base64"]))

    def gateway(self, model, content: bytes):
        """Take a mail in as an incoming mail server does."""
        self.env(user=1, su=True)["mail.thread"].message_process(model, content)
        self.env.cr.commit()
        self.env.invalidate_all()

    def exchange(self, move):
        """Mail the envelope to the customer, whose system answers three times."""
        self.run("dte.exchange", "_cron_send")
        document = move.dte_document_id.sudo()
        (row,) = document.exchange_ids
        content, passphrase = self.simulator.certificate(BUYER, "Firmante del Cliente")
        signer = credentials_lib.load_pkcs12(base64.b64decode(content), passphrase)
        buyer, at = document.receiver_rut, self.company._dte_now().strftime("%Y-%m-%dT%H:%M:%S")
        key = (document.dte_type, document.folio, str(document.issue_date), RUT, buyer, int(document.amount_total))
        received = customer_answers.reception(f"SetDoc{row.id}", documents=[(*key, 0, "DTE Recibido OK")])
        answers = (
            customer_answers.answer(buyer, RUT, [received], signer, number=1, at=at),
            customer_answers.answer(buyer, RUT, [customer_answers.result(*key)], signer, number=2, at=at),
            customer_answers.receipts(
                buyer, RUT, [customer_answers.receipt(*key, credentials=signer, at=at)], signer, at=at
            ),
        )
        for number, answer in enumerate(answers):
            message = EmailMessage()
            message["From"], message["To"] = BUYERS_ADDRESS, self.company.dte_mail_address
            message["Subject"], message["Message-Id"] = "Respuesta", f"<respuesta{number}@imaginaria.example>"
            message.set_content("Se adjunta respuesta.")
            message.add_attachment(answer, "text", "xml", filename=f"respuesta{number}.xml")
            self.gateway(None, message.as_bytes())
        self.run("dte.exchange", "_cron_send")

    def run_nightly_jobs(self):
        self.env["dte.backup.scrub"].action_check_everything()
        self.env.cr.commit()
        for name in JOBS:
            self.env.ref(f"l10n_cl_dte.{name}").sudo().method_direct_trigger()
        setup = self.env["dte.setup"].browse(self.env["dte.setup"]._open()["res_id"])
        setup.line_ids.filtered(lambda line: line.code == "login").action_go()
        self.env.cr.commit()

    # -- the second act --

    def play_import(self):
        """Write two ZIP files with documents that the company issued elsewhere, each with some bad ones."""
        cafs = [
            caf_lib.parse_caf(self.simulator.caf(rut, 33, FIRST_IMPORTED, 600, name="Otro sistema"))
            for rut in (RUT, OTHER_RUT)
        ]
        for number, name in enumerate(("es", "en")):
            first = FIRST_IMPORTED + number * IMPORTED
            files = {
                f"F33T{folio}.xml": self.foreign(RUT, folio, cafs[0])
                for folio in range(first, first + IMPORTED)
                if folio != first + MISSING
            }
            changed = f"F33T{first + 3}.xml"
            files[changed] = files[changed].replace(b"<QtyItem>1<", b"<QtyItem>2<")
            files["factura-de-otro.xml"] = self.foreign(OTHER_RUT, first, cafs[1])
            files["leeme.txt"] = b"Respaldo del sistema anterior"
            with zipfile.ZipFile(Path(self.told["folder"]) / f"respaldo-{name}.zip", "w") as archive:
                for entry, content in files.items():
                    archive.writestr(entry, content)

    def foreign(self, rut: str, folio: int, caf) -> bytes:
        now = self.company._dte_now()
        issuer = Issuer(rut, self.company.name, "Servicios", ("620200",), "Calle Falsa 1", "Santiago", "Santiago")
        receiver = Receiver(CUSTOMERS[2][1], CUSTOMERS[2][0], "Comercio", "Calle Nueva 100", "Providencia", "Santiago")
        lines = (Line("Servicio prestado", Decimal(1), Decimal(10000 + folio)),)
        dte = Dte(33, folio, now.date(), issuer, receiver, lines)
        return issue_lib.issue(dte, caf, self.company.sudo()._dte_credentials(), now).xml

    # -- the third act --

    def play_contingency(self):
        """Press Enable Contingency and issue three invoices, which are held."""
        wizard = self.env["contingency.wizard"].create(
            {"company_id": self.company.id, "reason": "maintenance", "comment": "Aviso publicado por el SII"}
        )
        wizard.action_enable()
        self.env.cr.commit()
        moves = self.invoice(self.customer(0)) + self.invoice(self.customer(1)) + self.invoice(self.customer(3))
        moves.action_post()
        self.env.cr.commit()
        moves.action_send_to_sii()
        self.told["ids"]["held"] = moves[0].id


def draw_logo() -> bytes:
    """Return a PNG that is nobody's logo."""
    image = Image.new("RGBA", (420, 120))
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, 116, 116), fill="#714b67")
    draw.polygon([(32, 84), (60, 30), (88, 84)], fill="white")
    for number, width in enumerate((270, 200, 240)):
        draw.rounded_rectangle((140, 22 + 30 * number, 140 + width, 38 + 30 * number), 8, fill="#714b67")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    main(env)  # noqa: F821 - Odoo's shell defines it
