# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""For a monitor outside: how the electronic documents of this database stand. Off until a token is generated."""

import json

from odoo import SUPERUSER_ID
from odoo.http import Controller, Response, request, route

from ..libs import metrics

_OPTIONS = {"type": "http", "auth": "none", "methods": ["GET"], "save_session": False, "readonly": True}
_SCHEME = "bearer "


class Monitoring(Controller):
    @route("/dte/health", **_OPTIONS)
    def health(self):
        """Answer with status, checks and figures; 503 when something is wrong that a person must look at."""
        refusal, health = self._enter()
        if refusal:
            return refusal
        report = health._report()
        return self._answer(json.dumps(report), "application/json", status=503 if report["status"] == "error" else 200)

    @route("/dte/metrics", **_OPTIONS)
    def metrics(self):
        """Answer with the same as OpenMetrics text. Always 200: a scrape that fails has no figures."""
        refusal, health = self._enter()
        if refusal:
            return refusal
        return self._answer(metrics.render(health._report()), metrics.CONTENT_TYPE_LATEST)

    def _enter(self):
        """Return (refusal, None) or (None, the model that reports): no word more to whoever has no token."""
        # The superuser: a monitor is no user of Odoo, what it may see is decided by the token.
        health = request.env(user=SUPERUSER_ID)["dte.health"]
        if not health._has_token():
            return Response(status=404), None
        header = request.httprequest.headers.get("Authorization", "")
        token = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
        if not health._is_token(token):
            return Response(status=401, headers=[("WWW-Authenticate", "Bearer")]), None
        return None, health

    def _answer(self, body, content_type: str, status: int = 200):
        headers = [("Content-Type", content_type), ("Cache-Control", "no-store")]
        return request.make_response(body, headers, status=status)
