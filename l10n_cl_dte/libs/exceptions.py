# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Errors of the pipeline. The class says what the caller may do, the code says what to tell the person."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that stops a document.

    `code` is stable, `path` names the value in `libs.dte` terms ("receiver.giro", "lines[3].name") and `params`
    holds what the sentence for the user needs.
    """

    code: str
    path: str = ""
    params: dict = field(default_factory=dict)


class DteError(Exception):
    """Base of all errors of libs.

    :ivar code: stable identifier, the key of the sentence that the user reads
    :ivar error_type: timeout, connection, unavailable, validation, certificate or unknown
    """

    error_type = "unknown"

    def __init__(self, code: str, *, error_type: str | None = None, **params):
        super().__init__(code)
        self.code = code
        self.params = params
        if error_type:
            self.error_type = error_type

    def __str__(self):
        details = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.code} ({details})" if details else self.code


class ConfigurationError(DteError):
    """Certificate, CAF, resolution or permission: a person must change something, the documents are fine."""

    error_type = "certificate"


class DocumentError(DteError):
    """The document cannot be written or does not validate.

    :ivar problems: every :class:`Problem` that was found, not only the first one
    """

    error_type = "validation"

    def __init__(self, problems, code: str = "document_invalid"):
        self.problems = list(problems)
        super().__init__(code)

    def __str__(self):
        listed = "; ".join(
            f"{problem.path or '-'}: {problem.code}" + (f" {problem.params}" if problem.params else "")
            for problem in self.problems
        )
        return f"{self.code}: {listed}"


class XmlError(DteError):
    """Bytes that are not XML, or XML that is refused before it is read (DTD, size, depth)."""

    error_type = "validation"


class SignatureError(DteError):
    """A signature or timbre that cannot be made or read."""

    error_type = "certificate"


class RemoteError(DteError):
    """Something between us and the SII.

    `params` may hold `sii_code`, `sii_text` and `http_status`; never a token.
    """


class NotDelivered(RemoteError):
    """The SII certainly does not have these bytes: they may be sent again."""

    error_type = "connection"


class AuthenticationError(NotDelivered):
    """The SII did not accept the token: renew it once, then treat as not delivered."""

    error_type = "certificate"


class DeliveryUnknown(RemoteError):
    """Nobody knows whether the SII has these bytes: ask before sending them again."""

    error_type = "timeout"


class PermanentError(RemoteError):
    """These bytes will never pass."""

    error_type = "validation"
