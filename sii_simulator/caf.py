# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The AUTORIZACION files (CAF) that the SII hands out with a range of folios."""

import base64
import re

from . import rsa
from .authority import IDK
from .clock import read_day
from .errors import UsageError
from .rut import checked

TYPES = (33, 34, 43, 46, 52, 56, 61, 110, 111, 112)
MAX_FOLIO = 10**10 - 1
NAME_LENGTH = 40
BLANKS_BETWEEN_TAGS = re.compile(rb">\s+<")

DA = """\
<DA>
<RE>{rut}</RE>
<RS>{name}</RS>
<TD>{type}</TD>
<RNG><D>{first}</D><H>{last}</H></RNG>
<FA>{date}</FA>
<RSAPK><M>{modulus}</M><E>{exponent}</E></RSAPK>
<IDK>{idk}</IDK>
</DA>
"""

FILE = """\
<?xml version="1.0"?>
<AUTORIZACION>
<CAF version="1.0">
{da}<FRMA algoritmo="SHA1withRSA">{signature}</FRMA>
</CAF>
<RSASK>{private}</RSASK>

<RSAPUBK>{public}</RSAPUBK>
</AUTORIZACION>
"""


def issue(authority, registry, request, today):
    """Makes a CAF and notes its range as authorised; returns the file as the SII writes it (ISO-8859-1 bytes).

    `request`: rut, type, from, to; optional name (default: the company's), date ("AAAA-MM-DD", default
    `today`), idk (default 666; another one gives a CAF of another environment), bits (512 or 1024),
    authorise (False: the ledger does not learn the range), annul (list of [from, to] annulled at once).
    """
    fields = _checked(request, registry, today)
    key = rsa.generate(fields.pop("bits"), 3)
    numbers = {"modulus": rsa.to_base64(key.public.modulus), "exponent": rsa.to_base64(key.exponent)}
    da = DA.format(**fields, **numbers)
    signature = base64.b64encode(rsa.sign_sha1(authority.caf_key, flat(da.encode("iso-8859-1"), b"DA"))).decode()
    rut, kind = fields["rut"], fields["type"]
    if request.get("authorise", True):
        registry.authorise(rut, kind, fields["first"], fields["last"])
    for annulled in request.get("annul", []):
        registry.annul(rut, kind, *annulled)
    private, public = rsa.private_pem(key), rsa.public_pem(key.public)
    return FILE.format(da=da, signature=signature, private=private, public=public).encode("iso-8859-1")


def flat(data, tag):
    """The bytes of the first element `tag` without the blanks between tags: what FRMA and FRMT sign."""
    start, end = data.index(b"<" + tag + b">"), data.index(b"</" + tag + b">")
    return BLANKS_BETWEEN_TAGS.sub(b"><", data[start : end + len(tag) + 3])


def _checked(request, registry, today):
    rut = checked(request.get("rut"))
    kind, first, last = (request.get(name) for name in ("type", "from", "to"))
    if kind not in TYPES:
        raise UsageError(f"there are no folios of type {kind!r}; types: {', '.join(map(str, TYPES))}")
    if type(first) is not int or type(last) is not int or not 1 <= first <= last <= MAX_FOLIO:
        raise UsageError(f"the range must be 1 <= from <= to <= {MAX_FOLIO}")
    bits, idk = request.get("bits", 512), request.get("idk", IDK)
    if bits not in (512, 1024) or type(idk) is not int:
        raise UsageError("bits must be 512 or 1024, idk an integer")
    return {
        "rut": rut,
        "name": _name(request.get("name") or registry.name_of(rut)),
        "type": kind,
        "first": first,
        "last": last,
        "date": (read_day(request["date"]) if request.get("date") else today).isoformat(),
        "bits": bits,
        "idk": idk,
    }


def _name(name):
    if not name:
        raise UsageError("give the name of the company, or register the company first")
    try:
        name[:NAME_LENGTH].encode("iso-8859-1")
    except UnicodeEncodeError as error:
        raise UsageError(f"the name has a character outside ISO-8859-1: {error.object[error.start]!r}") from error
    return name[:NAME_LENGTH].strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
