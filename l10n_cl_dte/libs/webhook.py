# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Telling another system that something happened: signed, once, within seconds."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from urllib.parse import urlsplit

from .transport import Deadline, TransportError, post

SECONDS = 10.0
USER_AGENT = "l10n_cl_dte webhook"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class WebhookError(Exception):
    """The other side did not take an event.

    :ivar code: webhook_internal, webhook_unresolved, webhook_timeout, webhook_connection or webhook_status
    :ivar status: HTTP status, with webhook_status
    """

    def __init__(self, code: str, status: int | None = None):
        super().__init__(code)
        self.code = code
        self.status = status


class _InternalAddress(OSError):
    """The name leads to an address inside our own network."""


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature of an event: whoever knows the secret can tell that it is ours, and when it was sent."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def is_loopback(url: str) -> bool:
    """Tell whether an address names this machine."""
    return (urlsplit(url).hostname or "").lower() in _LOOPBACK


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the internet, also when it hides another one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        hidden = found.ipv4_mapped or found.sixtofour or _nat64(found)
        if hidden:
            return is_public(str(hidden))
    # Some ranges are global to Python though nobody of the internet is there: IPv4 in IPv6, old inner ones.
    inner = found.is_multicast or found.is_reserved or getattr(found, "is_site_local", False)
    return found.is_global and not inner


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def deliver(url: str, secret: str, event_id: str, body: bytes, *, now: int, internal: bool = False) -> int:
    """Post one signed event and return the HTTP status, which is 2xx.

    :param now: seconds since 1970, signed too, so that an old event cannot be played again later
    :param internal: whether addresses of our own network are allowed
    :raises WebhookError: when the other side did not take it
    """
    if not internal:
        _check_host(url)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-DTE-Event": event_id,
        "X-DTE-Timestamp": str(now),
        "X-DTE-Signature": sign(secret, now, body),
    }
    try:
        # The name may lead elsewhere a moment later: what counts is who is at the other end of the connection.
        answer = post(url, body, headers, Deadline(SECONDS), check_peer=None if internal else _check_address)
    except TransportError as error:
        code = "webhook_timeout" if error.error_type == "timeout" else "webhook_connection"
        raise WebhookError(_code_of(error, code)) from error
    if not 200 <= answer.status < 300:
        raise WebhookError("webhook_status", answer.status)
    return answer.status


def _check_host(url: str) -> None:
    """Refuse a name that leads into our own network before anybody there hears of it."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise WebhookError("webhook_unresolved") from error
    if not all(is_public(str(address[4][0])) for address in found):
        raise WebhookError("webhook_internal")


def _check_address(address: str) -> None:
    if not is_public(address):
        raise _InternalAddress(address)


def _code_of(error: Exception, code: str) -> str:
    """Return webhook_internal when an internal address is among the causes of an error."""
    seen: set[int] = set()
    causes: list = [error]
    while causes:
        cause = causes.pop()
        if isinstance(cause, _InternalAddress):
            return "webhook_internal"
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            causes += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return code
