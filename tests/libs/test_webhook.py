# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
import hashlib
import hmac
import socket

import pytest
from libs import webhook


def test_signature_covers_time_and_body():
    expected = hmac.new(b"key", b'1782915000.{"a": "\xc3\xb1"}', hashlib.sha256).hexdigest()
    assert webhook.sign("key", 1782915000, '{"a": "ñ"}'.encode()) == f"sha256={expected}"
    signatures = {
        webhook.sign(*values) for values in (("key", 1, b"a"), ("key", 2, b"a"), ("key", 1, b"b"), ("other", 1, b"a"))
    }
    assert len(signatures) == 4


@pytest.mark.parametrize("address", ["8.8.8.8", "200.10.252.1", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_addresses_of_the_internet(address):
    assert webhook.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused, not bound
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_inner_addresses(address):
    assert not webhook.is_public(address)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "localhost", "[::1]"])
def test_other_ways_to_write_an_inner_address(host):
    with pytest.raises(webhook.WebhookError, match="webhook_internal"):
        webhook.deliver(f"http://{host}:9/", "key", "id", b"{}", now=1)


def test_one_inner_address_among_others_is_enough(monkeypatch):
    found = [(0, 0, 0, "", ("8.8.8.8", 443)), (0, 0, 0, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    with pytest.raises(webhook.WebhookError, match="webhook_internal"):
        webhook.deliver("https://tienda.example.com/", "key", "id", b"{}", now=1)


def test_a_name_that_nobody_knows():
    with pytest.raises(webhook.WebhookError, match="webhook_unresolved"):
        webhook.deliver("https://tienda.invalid/", "key", "id", b"{}", now=1)


def test_what_is_loopback():
    assert webhook.is_loopback("http://LOCALHOST:8080/x")
    assert not webhook.is_loopback("http://localhost.example.com/")
