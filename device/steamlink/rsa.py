"""Checks an RSA-2048 signature over a SHA-256 (RSASSA-PKCS1-v1_5, RFC 8017 8.2.2).

Only checking: with the public modulus and the exponent 65537.
"""

_BYTES = 256
_DIGITS = 512
_EXPONENT = 65537
# DigestInfo of SHA-256 in DER (RFC 8017 9.2, note 1).
_SHA256 = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
_DIGEST = 32


def modulus(key_hex: object) -> int:
    """The public modulus from its 512 hex digits; ValueError says what is wrong with it."""
    if not key_hex:
        raise ValueError("no key: every update is refused until ota.key is configured")
    number = _number("key", key_hex)
    if number >> (_BYTES * 8 - 1) != 1 or number & 1 != 1:
        raise ValueError("key is no RSA-2048 modulus")
    return number


def check(digest: bytes, signature_hex: object, key_hex: object) -> None:
    """Return if the signature over the digest (32 bytes) was made with the key; else ValueError.

    The whole padded message is compared, so nothing can hide in the padding.
    """
    n = modulus(key_hex)
    if not signature_hex:
        raise ValueError("unsigned: sig is missing")
    signature = _number("sig", signature_hex)
    padding = b"\xff" * (_BYTES - 3 - len(_SHA256) - _DIGEST)
    expected = b"\x00\x01" + padding + b"\x00" + _SHA256 + digest
    if (
        len(digest) != _DIGEST
        or signature >= n
        or pow(signature, _EXPONENT, n) != int.from_bytes(expected, "big")
    ):
        raise ValueError("the signature does not fit: not signed with this device's key")


def _number(what: str, text: object) -> int:
    if (
        not isinstance(text, str)
        or len(text) != _DIGITS
        or not all(letter in "0123456789abcdefABCDEF" for letter in text)
    ):
        raise ValueError("{} is {} hex digits".format(what, _DIGITS))
    return int(text, 16)
