# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The timbre: a signature with the CAF's key over the main data of the document.

FRMT signs the bytes of `<DD>` in ISO-8859-1 without white space between tags, exactly as they stand in the document;
here the timbre is written on one line, so what is written is what is signed.
Source: Instructivo técnico de factura electrónica, timbre; Formato DTE v2.4.2, zone G.
"""

from __future__ import annotations

import base64
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .caf import Caf
from .dte import Dte, Totals
from .exceptions import ConfigurationError
from .text import ENCODING, clean, escape, timestamp
from .xml_generator import split_name

_NAME_LIMIT = 40
_PADDING = padding.PKCS1v15()
_SHA1 = hashes.SHA1()  # noqa: S303 - the format fixes SHA1withRSA


def generate(dte: Dte, totals: Totals, caf: Caf, stamped_at: datetime) -> str:
    """Return the `<TED>` element on one line.

    :param caf: the authorisation that covers the document's folio
    :param stamped_at: naive Santiago time (TSTED)
    :raises ConfigurationError: `caf_does_not_cover` when the CAF is of another type, range or company
    """
    if not caf.covers(dte.dte_type, dte.folio) or caf.issuer_rut != dte.issuer.rut:
        raise ConfigurationError("caf_does_not_cover", folio=dte.folio, type=dte.dte_type)
    first_item, _rest = split_name(clean(dte.lines[0].name))
    data = (
        f"<DD><RE>{dte.issuer.rut}</RE><TD>{dte.dte_type}</TD><F>{dte.folio}</F><FE>{dte.issue_date}</FE>"
        f"<RR>{dte.receiver.rut}</RR><RSR>{_short(clean(dte.receiver.name)[:100])}</RSR><MNT>{totals.total}</MNT>"
        f"<IT1>{_short(first_item)}</IT1>{caf.xml}<TSTED>{timestamp(stamped_at)}</TSTED></DD>"
    )
    signature = base64.b64encode(caf.private_key.sign(data.encode(ENCODING), _PADDING, _SHA1)).decode("ascii")
    return f'<TED version="1.0">{data}<FRMT algoritmo="SHA1withRSA">{signature}</FRMT></TED>'


def _short(name: str) -> str:
    """Return the first 40 characters, escaped; doubled spaces are given up before letters are."""
    if len(name) > _NAME_LIMIT:
        name = " ".join(name.split())[:_NAME_LIMIT].rstrip()
    return escape(name)
