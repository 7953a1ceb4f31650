# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import time
from datetime import timedelta

from psycopg2 import errors as pgerrors

from odoo import api, fields, models
from odoo.tools import SQL

from ..const import ENVIRONMENTS
from ..libs.exceptions import NotDelivered
from ..libs.sii_soap_client import SiiClient

# The SII does not state how long a token lives; an hour is seen, so a new one is asked for before.
LIFE = timedelta(minutes=50)
_TRIES = 5
# Who has waited longer for another login that failed does not try again.
WAIT_SECONDS = 3.0


class DteSiiSession(models.Model):
    """The token of one certificate in one environment and channel, shared by all workers.

    It is renewed by one process at a time, in a short transaction of its own: the others wait for the row and find the
    new token there.
    """

    _name = "dte.sii.session"
    _description = "Session at the SII"
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, ondelete="cascade")
    certificate_id = fields.Many2one("certificate.certificate", required=True, ondelete="cascade", index=True)
    environment = fields.Selection(ENVIRONMENTS, required=True)
    channel = fields.Selection([("classic", "Classic")], required=True, default="classic")
    token = fields.Char(groups=fields.NO_ACCESS)
    obtained_at = fields.Datetime()

    _unique_session = models.UniqueIndex(
        "(company_id, certificate_id, environment, channel)", "There is one session per certificate and environment."
    )

    @api.model
    def _token_source(self, company, environment: str):
        """Return the function that gives a client its tokens: called with True when the last one was refused."""
        last = None

        def token(renew: bool) -> str:
            nonlocal last
            last = self._token(company, environment, refused=last if renew else None)
            return last

        return token

    @api.model
    def _token(self, company, environment: str, refused: str | None = None) -> str:
        """Return a token, the stored one or that of a new login. Never log it.

        :param refused: a token that the SII did not accept
        :raises ConfigurationError: there is no usable certificate, or the SII refuses it
        :raises NotDelivered: the SII cannot be asked
        """
        for _attempt in range(_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    return self._token_in_transaction(cr, company, environment, refused)
            except pgerrors.SerializationFailure:
                # Another process renewed the row while this one waited for it: read it again.
                continue
        raise NotDelivered("sii_login_failed", error_type="unavailable")

    def _is_usable(self, token, obtained_at, refused) -> bool:
        return bool(token) and token != refused and obtained_at > fields.Datetime.now() - LIFE

    def _token_in_transaction(self, cr, company, environment, refused):
        # Read with this cursor: the caller's may have no transaction open, and none shall be opened while it uploads.
        company = company.with_env(company.env(cr=cr))
        # sudo: certificates are for administrators; the login is lent to who may send or ask
        certificate = company.sudo().dte_certificate_id
        credentials = company._dte_load_credentials()
        key = (company.id, certificate.id, environment)
        cr.execute(
            SQL(
                "SELECT token, obtained_at FROM dte_sii_session WHERE company_id = %s AND certificate_id = %s"
                " AND environment = %s AND channel = 'classic'",
                *key,
            )
        )
        known = cr.fetchone()
        if known and self._is_usable(*known, refused):
            # Nobody waits for anybody while the token lives.
            return known[0]
        asked = time.monotonic()
        cr.execute(
            SQL(
                "INSERT INTO dte_sii_session (company_id, certificate_id, environment, channel)"
                " VALUES (%s, %s, %s, 'classic')"
                " ON CONFLICT (company_id, certificate_id, environment, channel)"
                " DO UPDATE SET channel = EXCLUDED.channel RETURNING id, token, obtained_at",
                *key,
            )
        )
        session_id, token, obtained_at = cr.fetchone()
        if self._is_usable(token, obtained_at, refused):
            return token
        if time.monotonic() - asked > WAIT_SECONDS:
            # Another process tried all this time, in vain: one after the other would keep people waiting for minutes.
            raise NotDelivered("sii_login_failed", error_type="timeout")
        client = SiiClient(company._dte_base_url(environment))
        with self.env["dte.sii.call"]._logged(company, environment, "login"):
            token = client.login(credentials)
        cr.execute(
            SQL(
                "UPDATE dte_sii_session SET token = %s, obtained_at = %s WHERE id = %s",
                token,
                fields.Datetime.now(),
                session_id,
            )
        )
        return token
