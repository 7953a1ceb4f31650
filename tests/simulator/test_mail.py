# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The mail with the result of an envelope."""

import base64
import os
from email import message_from_bytes, policy
from pathlib import Path

from lxml import etree

from .client import eventually

SCHEMA = "RespSII_v10.xsd"


def mails(world):
    return world.control.get("mailbox").json()["mails"]


def result(mail):
    """RESULTADO_ENVIO, valid against the official schema."""
    root = etree.fromstring(mail["xml"].encode("iso-8859-1"))
    etree.XMLSchema(etree.parse(str(Path(os.environ["DTE_SCHEMAS"]) / SCHEMA))).assertValid(root)
    return root


def test_mail_of_a_mixed_envelope(world):
    good, wrong, bad = world.draft(), world.draft(totals=TOTAL_OFF), world.draft()
    track = world.send(good, wrong, world.dte(bad, stamp={"total": 1}))
    (mail,) = mails(world)
    assert mail["filename"] == f"DTEMAIL{int(track)}.xml"
    root = result(mail)
    assert root.findtext("IDENTIFICACION/ESTADO").startswith("EPR")
    counts = {element.tag: element.text for element in root.find("ESTADISTICA/SUBTOTAL")}
    assert counts == {"TIPODOC": "33", "INFORMADO": "3", "RECHAZO": "1", "REPARO": "1", "ACEPTA": "1"}
    reviewed = {row.findtext("FOLIO"): row.findtext("DETALLE") for row in root.iter("REVISIONDTE")}
    assert set(reviewed) == {str(wrong.folio), str(bad.folio)}
    assert reviewed[str(wrong.folio)].startswith("(HED-2-260)")
    assert reviewed[str(bad.folio)].startswith("(TED-3-640)")
    columns = next(line for line in mail["text"].splitlines() if "Informados" in line).split()
    assert columns == ["Tipo", "DTE", "Informados", "Rechazos", "Reparos", "Aceptados"]
    assert "33 3 1 1 1" in [" ".join(line.split()) for line in mail["text"].splitlines()]


def test_mail_of_a_refused_envelope(world):
    world.send(world.draft(), caratula={"NroResol": 80})
    root = result(mails(world)[0])
    assert root.findtext("IDENTIFICACION/ESTADO").startswith("RCT")
    assert root.findtext("ERRORENVIO/DETERRENVIO").startswith("(CRT-3-19)")
    assert root.find("ESTADISTICA") is None


def test_light_repairs_have_their_own_label(world):
    draft = world.draft()
    data = world.envelope(draft)
    world.control.ok("clock", advance_seconds=4 * 86400)
    world.send_bytes(data)
    assert result(mails(world)[0]).findtext(".//REVISIONDTE/ESTADO").startswith("RLV")


def test_encoding_is_quoted_printable_latin_1(world):
    world.send(world.draft())
    raw = base64.b64decode(mails(world)[0]["raw_base64"])
    message = message_from_bytes(raw, policy=policy.default)
    for part in [message.get_body(), *message.iter_attachments()]:
        assert part["Content-Transfer-Encoding"] == "quoted-printable"
        assert part.get_content_charset() == "iso-8859-1"
    files = list((world.server.folder / "mailbox" / "new").iterdir())
    assert [file.read_bytes() for file in files] == [raw]


def test_mail_waits_for_its_delay(logged):
    logged.control.ok("settings", delays={"mail": 600})
    data = logged.envelope(logged.draft())
    logged.sii.upload(data, logged.issuer)
    assert eventually(lambda: not logged.control.get("health").json()["open_uploads"])
    assert mails(logged) == []
    logged.control.ok("clock", advance_seconds=601)
    assert eventually(lambda: mails(logged))


TOTAL_OFF = "<MntNeto>3000</MntNeto><TasaIVA>19</TasaIVA><IVA>570</IVA><MntTotal>3571</MntTotal>"
