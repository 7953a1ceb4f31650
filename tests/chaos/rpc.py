# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The calls that Odoo's web client makes, and the control API of the simulator."""

from __future__ import annotations

import requests

# More than Odoo's own limit for a request: it gives up first.
SECONDS = 200


class Refused(Exception):
    """Odoo answered with an error; `kind` is the name of its class."""

    def __init__(self, kind: str, message: str):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Gone(Exception):
    """No answer came: whether the request took effect is not known."""


class Browser:
    """One user's session."""

    def __init__(self, url: str, database: str, login: str, password: str):
        self.login = login
        self._url = url
        self._credentials = {"db": database, "login": login, "password": password}
        self._session = requests.Session()

    def log_in(self) -> None:
        self._post("/web/session/authenticate", **self._credentials)

    def call(self, model: str, method: str, *args, context: dict | None = None, **options):
        """Call a method as the web client does for what is not a button."""
        options["context"] = context or {}
        return self._post(
            f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=list(args), kwargs=options
        )

    def press(self, model: str, method: str, ids: list[int]):
        """Press a button."""
        return self._post(
            f"/web/dataset/call_button/{model}/{method}",
            model=model,
            method=method,
            args=[ids],
            kwargs={"context": {}},
        )

    def _post(self, path, **params):
        body = {"jsonrpc": "2.0", "method": "call", "params": params}
        try:
            # Without keep-alive each request meets whichever worker is free, and a dead one is noticed at once.
            answer = self._session.post(self._url + path, json=body, timeout=SECONDS, headers={"Connection": "close"})
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Gone(f"{path}: {type(error).__name__}") from error
        if "error" in content:
            data = content["error"].get("data", {})
            raise Refused(data.get("name", "?"), data.get("message", content["error"].get("message", "?")))
        return content.get("result")


class Sii:
    """The simulator's control port, which no fault touches."""

    def __init__(self, control: str):
        self._control = control.rstrip("/")
        self._session = requests.Session()

    def call(self, method: str, action: str, **data):
        answer = self._session.request(method, f"{self._control}/{action}", json=data or None, timeout=60)
        if answer.status_code != 200:
            raise AssertionError(f"simulator: {action}: {answer.status_code} {answer.text}")
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.json() if is_json else answer.content

    def arm(self, *specs: dict) -> list[int]:
        """Add faults; their places in the simulator's list."""
        faults = self.call("POST", "faults", faults=list(specs))["faults"]
        return list(range(len(faults) - len(specs), len(faults)))

    def fired(self, place: int) -> int:
        return self.call("GET", "faults")["faults"][place]["fired"]
