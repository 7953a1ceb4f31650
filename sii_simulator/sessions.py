# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Seeds and tokens (OI2007_AUTAUTOM_MDE_1.9): getSeed and getToken, with every signature verified."""

import secrets
import string

from . import xmldsig, xmltools
from .authority import holder_rut, is_valid_at

TOKEN_LENGTH = 13
ALPHABET = string.ascii_letters + string.digits
GLOSAS = {
    "02": "XML Invalido (SAXException), funcion valSignedXml",
    "04": "XML Invalido, elemento Signature no existe, funcion valSignedXml",
    "05": "XML Invalido, firma invalida, funcion valSignedXml",
    "06": "XML Invalido, elemento Semilla no existe, funcion getSeed",
    "08": "ERROR RETORNO",
    "10": "Error Interno",
    "11": "XML Invalido, elemento Certificate no existe, funcion getCertificado",
    "21": "Firma invalida( La llave publica no coincide con la del certificado).",
    "-07": "Error (12) parse ERROR en Validacion del RUT",
}


class Refused(Exception):
    """getToken is refused with `estado` and `glosa`."""

    def __init__(self, estado, glosa=None):
        super().__init__(estado)
        self.estado = estado
        self.glosa = glosa or GLOSAS[estado]


class Sessions:
    def __init__(self, database, clock, settings, authority):
        self._database = database
        self._clock = clock
        self._settings = settings
        self._authority = authority

    def new_seed(self):
        """A fresh seed of 12 digits."""
        seed = f"{secrets.randbelow(10**12):012d}"
        now = self._clock.epoch()
        self._database.run("INSERT OR REPLACE INTO seed VALUES (?, ?, 0)", seed, now)
        self._database.run("DELETE FROM seed WHERE issued < ?", now - 10 * self._settings["seed_ttl"] - 60)
        return seed

    def new_token(self, xml):
        """A token for the holder of the certificate that signed `xml` (str). Raises Refused."""
        seed, certificate = self._verified(xml)
        rut = self._holder(certificate)
        self._consume(seed)
        token = "".join(secrets.choice(ALPHABET) for _ in range(TOKEN_LENGTH))
        self._database.run("INSERT INTO token VALUES (?, ?, ?)", token, rut, self._clock.epoch())
        return token

    def user(self, token):
        """(RUT, "ok"), or (None, "expired" or "unknown")."""
        row = self._database.one("SELECT * FROM token WHERE value = ?", token or "")
        if row is None:
            return None, "unknown"
        age = self._clock.epoch() - row["issued"]
        return (row["rut"], "ok") if 0 <= age <= self._settings["token_ttl"] else (None, "expired")

    def _verified(self, xml):
        """Seed and certificate of a getToken document whose signature is right."""
        try:
            root = xmltools.parse(xml.strip().encode())
        except xmltools.BadXml as error:
            raise Refused("02") from error
        element = root.find(xmldsig.TAG + "Signature")
        if element is None:
            raise Refused("04")
        if element.prefix is not None:
            raise Refused("10")
        if _is_indented(root):
            raise Refused("11")
        seed = xmltools.text(root, "item/Semilla")
        if root.tag != "getToken" or not seed:
            raise Refused("06")
        if root.find(f".//{xmldsig.TAG}X509Certificate") is None:
            raise Refused("11")
        return seed, _verify(root, element)

    def _holder(self, certificate):
        now = self._clock.local()
        if not self._authority.vouches_for(certificate) or not is_valid_at(certificate, now):
            raise Refused("10")
        rut = holder_rut(certificate)
        if rut is None:
            raise Refused("-07")
        return rut

    def _consume(self, seed):
        with self._database.transaction() as database:
            row = database.one("SELECT * FROM seed WHERE value = ?", seed)
            if row is None or (row["used"] and self._settings["seed_single_use"]):
                raise Refused("08", "NO Existe SEED")
            if self._clock.epoch() - row["issued"] > self._settings["seed_ttl"]:
                raise Refused("08", "TIME-OUT DEL SEED")
            database.run("UPDATE seed SET used = 1 WHERE value = ?", seed)


def _verify(root, element):
    """Certificate of the signature over the whole document (URI "", enveloped)."""
    try:
        signature = xmldsig.read(element)
        if signature.uri != "":
            raise xmldsig.BadSignature("form", "the reference must be to the whole document")
        document = xmldsig.canonical(root)
        start, end = document.rindex(b"<Signature "), document.rindex(b"</Signature>")
        xmldsig.verify(signature, document, [document[:start] + document[end + len(b"</Signature>") :]])
    except xmldsig.BadSignature as error:
        raise Refused({"certificate": "11", "key": "21"}.get(error.reason, "05")) from error
    return signature.certificate


def _is_indented(root):
    """True when there is blank text beside an element: the request must be one flat line."""
    blanks = [element.text for element in root.iter() if len(element)] + [element.tail for element in root.iter()]
    return any(blank is not None and not blank.strip() and blank for blank in blanks)
