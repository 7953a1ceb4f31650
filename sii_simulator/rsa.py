# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""RSA with integers: keys of 512 bits, which today's libraries refuse to make, and SHA1withRSA.

The CAF keys and the key that signs CAFs are RSA of 512 bits; signatures are PKCS#1 v1.5 over SHA-1
(RFC 8017, 8.2).
"""

import base64
import hashlib
import math
import secrets
from dataclasses import dataclass

SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")
SMALL_PRIMES = tuple(n for n in range(3, 1000, 2) if all(n % p for p in range(3, math.isqrt(n) + 1, 2)))
ROUNDS = 40


@dataclass(frozen=True)
class PublicKey:
    modulus: int
    exponent: int

    def size(self):
        """Length of a signature in bytes."""
        return (self.modulus.bit_length() + 7) // 8


@dataclass(frozen=True)
class PrivateKey:
    p: int
    q: int
    exponent: int

    @property
    def public(self):
        return PublicKey(self.p * self.q, self.exponent)

    @property
    def private_exponent(self):
        return pow(self.exponent, -1, (self.p - 1) * (self.q - 1))


def generate(bits, exponent):
    """A new PrivateKey whose modulus has exactly `bits` bits."""
    while True:
        p, q = _prime(bits // 2, exponent), _prime(bits - bits // 2, exponent)
        if p != q and (p * q).bit_length() == bits:
            return PrivateKey(max(p, q), min(p, q), exponent)


def sign_sha1(key, data):
    """Signature of `data` (bytes) with a PrivateKey."""
    size = key.public.size()
    number = int.from_bytes(_encoded_digest(data, size), "big")
    return pow(number, key.private_exponent, key.public.modulus).to_bytes(size, "big")


def verify_sha1(public, data, signature):
    """True when `signature` is the PublicKey's over `data`."""
    size = public.size()
    number = int.from_bytes(signature, "big")
    if len(signature) != size or size < len(SHA1_PREFIX) + 31 or number >= public.modulus:
        return False
    opened = pow(number, public.exponent, public.modulus).to_bytes(size, "big")
    return opened == _encoded_digest(data, size)


def private_pem(key):
    """PKCS#1 PEM text ("BEGIN RSA PRIVATE KEY"), as in RSASK."""
    d, p, q = key.private_exponent, key.p, key.q
    numbers = (0, p * q, key.exponent, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return _pem("RSA PRIVATE KEY", _sequence(*map(_integer, numbers)))


def public_pem(public):
    """SubjectPublicKeyInfo PEM text ("BEGIN PUBLIC KEY"), as in RSAPUBK."""
    key = _sequence(_integer(public.modulus), _integer(public.exponent))
    return _pem("PUBLIC KEY", _sequence(RSA_ALGORITHM, _der(0x03, b"\0" + key)))


def to_base64(number):
    """Base64 of an unsigned integer, as in Modulus, Exponent, M and E."""
    return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()


def _encoded_digest(data, size):
    digest = SHA1_PREFIX + hashlib.sha1(data, usedforsecurity=False).digest()
    return b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest


def _prime(bits, exponent):
    while True:
        # The two highest bits are set, so that the product of two such primes has its full length.
        candidate = secrets.randbits(bits) | (3 << bits - 2) | 1
        if math.gcd(candidate - 1, exponent) == 1 and _is_prime(candidate):
            return candidate


def _is_prime(n):
    """Miller-Rabin (FIPS 186-4, C.3.1) with random bases."""
    if any(n % prime == 0 for prime in SMALL_PRIMES):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(n, secrets.randbelow(n - 3) + 2, odd, twos) for _ in range(ROUNDS))


def _passes(n, base, odd, twos):
    x = pow(base, odd, n)
    if x in (1, n - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % n
        if x == n - 1:
            return True
    return False


def _der(tag, content):
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content


def _integer(number):
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _sequence(*parts):
    return _der(0x30, b"".join(parts))


def _pem(label, der):
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
