# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The mail with the result of an envelope: RESULTADO_ENVIO (RespSII_v10.xsd) and the same in columns of text."""

import json
import mailbox
from collections import Counter
from email.message import EmailMessage
from email.utils import format_datetime
from xml.sax.saxutils import escape

from .clock import SANTIAGO
from .ledger import ACCEPTED, OBJECTED, REJECTED
from .states import GLOSAS

SENDER = "siidte@simulator.example"
# The classes of an objected document: a light repair when all its findings are light.
LABELS = {REJECTED: "RCH - DTE Rechazado", OBJECTED: "RPR - DTE Aceptado con Reparos"}
LIGHT_LABEL = "RLV - DTE Aceptado con Reparos Leves"
COLUMNS = ("Tipo DTE", "Informados", "Rechazos", "Reparos", "Aceptados")
CHARSET = {"charset": "iso-8859-1", "cte": "quoted-printable"}


class ResultMail:
    """Writes and delivers the mails into a maildir; nothing ever leaves the machine."""

    def __init__(self, simulator):
        self._simulator = simulator

    def send_due(self, now):
        """Delivers what is due; returns the moments of the rest."""
        rest = []
        for row in self._simulator.database.all("SELECT * FROM result_mail ORDER BY id"):
            if row["due"] > now:
                rest.append(row["due"])
                continue
            if self._simulator.faults.take("lose_mail") is None:
                self.send(self._simulator.ledger.upload(row["track_id"]))
            self._simulator.database.run("DELETE FROM result_mail WHERE id = ?", row["id"])
        return rest

    def send(self, upload):
        """Delivers the result of a settled upload row."""
        copies = 2 if self._simulator.faults.take("duplicate_mail") is not None else 1
        message = self._message(upload)
        box = open_box(self._simulator)
        for _ in range(copies):
            box.add(message)

    def _message(self, upload):
        documents = self._simulator.ledger.documents(upload["track_id"])
        company = self._simulator.registry.company(upload["company"])
        message = EmailMessage()
        message["From"] = SENDER
        message["To"] = company["email"] if company else SENDER
        message["Date"] = format_datetime(self._simulator.clock.local().replace(tzinfo=SANTIAGO))
        message["Subject"] = f"Resultado de Revision Envio {upload['track_id']} - {upload['company']}"
        message.set_content(self._text(upload, documents), **CHARSET)
        name = f"DTEMAIL{upload['track_id']}.xml"
        message.add_attachment(self._xml(upload, documents), subtype="xml", filename=name, **CHARSET)
        return message

    def _xml(self, upload, documents):
        received = self._simulator.clock.local(upload["received"])
        errors = json.loads(upload["errors"])
        parts = [
            '<?xml version="1.0" encoding="ISO-8859-1"?>\n<RESULTADO_ENVIO>\n<IDENTIFICACION>\n',
            f"<RUTEMISOR>{upload['company']}</RUTEMISOR>\n<RUTENVIA>{upload['sender']}</RUTENVIA>\n",
            f"<TRACKID>{upload['track_id']}</TRACKID>\n<TMSTRECEPCION>{received:%d/%m/%Y %H:%M:%S}</TMSTRECEPCION>\n",
            f"<ESTADO>{self._state(upload)}</ESTADO>\n</IDENTIFICACION>\n",
        ]
        if documents and not errors:
            parts += ["<ESTADISTICA>\n", *map(_subtotal, counts(documents)), "</ESTADISTICA>\n"]
        if errors:
            details = "".join(f"<DETERRENVIO>{escape(error)}</DETERRENVIO>\n" for error in errors)
            parts.append(f"<ERRORENVIO>\n{details}</ERRORENVIO>\n")
        reviewed = [row for row in documents if row["state"] in LABELS]
        if reviewed:
            parts += ["<REVISIONENVIO>\n", *map(_revision, reviewed), "</REVISIONENVIO>\n"]
        return "".join([*parts, "</RESULTADO_ENVIO>\n"])

    def _text(self, upload, documents):
        lines = [
            f"Rut de Empresa Emisora : {upload['company']}",
            f"Rut que Realizo el Envio : {upload['sender']}",
            f"Identificador de Envio : {upload['track_id']}",
            f"Fecha de Recepcion : {self._simulator.clock.local(upload['received']):%d/%m/%Y %H:%M:%S}",
            f"Estado del Envio : {self._state(upload)}",
            "",
            *json.loads(upload["errors"]),
        ]
        if upload["state"] == "EPR":
            keys = ("type", "informed", REJECTED, OBJECTED, ACCEPTED)
            rows = [COLUMNS, *([row[key] for key in keys] for row in counts(documents))]
            lines += ["".join(f"{value!s:>12}" for value in row) for row in rows]
        for row in documents:
            if row["state"] in LABELS:
                lines += ["", f"Tipo {row['type']} Folio {row['folio']} : {_label(row)}", *_details(row)]
        return "\n".join(lines) + "\n"

    def _state(self, upload):
        return f"{upload['state']} - {GLOSAS[upload['state']]}"


def open_box(simulator):
    return mailbox.Maildir(simulator.folder / "mailbox")


def counts(documents):
    """Per type, in order: {"type", "informed", "accepted", "objected", "rejected"}."""
    result = []
    for kind in sorted({row["type"] for row in documents}):
        states = Counter(row["state"] for row in documents if row["type"] == kind)
        result.append(
            {
                "type": kind,
                "informed": states.total(),
                **{state: states[state] for state in (ACCEPTED, OBJECTED, REJECTED)},
            }
        )
    return result


def _subtotal(row):
    return (
        f"<SUBTOTAL><TIPODOC>{row['type']}</TIPODOC><INFORMADO>{row['informed']}</INFORMADO>"
        f"<RECHAZO>{row[REJECTED]}</RECHAZO><REPARO>{row[OBJECTED]}</REPARO><ACEPTA>{row[ACCEPTED]}</ACEPTA></SUBTOTAL>\n"
    )


def _revision(row):
    details = "".join(f"<DETALLE>{escape(detail)}</DETALLE>" for detail in _details(row))
    return (
        f"<REVISIONDTE><FOLIO>{row['folio']}</FOLIO><TIPODTE>{row['type']}</TIPODTE>"
        f"<ESTADO>{_label(row)}</ESTADO>{details}</REVISIONDTE>\n"
    )


def _label(row):
    findings = json.loads(row["codes"])
    if row["state"] == OBJECTED and all(finding["level"] == 1 for finding in findings):
        return LIGHT_LABEL
    return LABELS[row["state"]]


def _details(row):
    return [f"({finding['code']}) {finding['text']}" for finding in json.loads(row["codes"])]
