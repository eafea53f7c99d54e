"""The signature of an update, on both interpreters."""

import binascii
import hashlib
import unittest

from device.steamlink import rsa
from tests.firmware import updates

DIGEST = hashlib.sha256(b"an update").digest()


def fault(digest: bytes, signature: object, key: object) -> str:
    """What is said against it; "" if nothing."""
    try:
        rsa.check(digest, signature, key)
    except ValueError as error:
        return str(error)
    return ""


class TestRsa(unittest.TestCase):
    """RSA-2048, PKCS#1 v1.5, SHA-256."""

    def test_signature_of_the_key_is_taken(self):
        """What was signed with the key's other half fits, in either case of the digits."""
        signature = updates.sign(DIGEST)

        self.assertEqual(fault(DIGEST, signature, updates.KEY), "")
        self.assertEqual(fault(DIGEST, signature.upper(), updates.KEY.upper()), "")

    def test_signature_of_another_digest_is_refused(self):
        """One bit of what was signed changes everything."""
        other = bytes([DIGEST[0] ^ 1]) + DIGEST[1:]

        self.assertIn("does not fit", fault(other, updates.sign(DIGEST), updates.KEY))

    def test_signature_of_another_key_is_refused(self):
        """A valid signature of somebody else is none."""
        signature = updates.sign_with_other(DIGEST)

        self.assertIn("does not fit", fault(DIGEST, signature, updates.KEY))
        self.assertEqual(fault(DIGEST, signature, updates.OTHER_KEY), "")

    def test_signature_with_any_bit_changed_is_refused(self):
        """No bit of a signature is without effect."""
        whole = int(updates.sign(DIGEST), 16)

        for bit in range(0, 2040, 97):
            signature = f"{whole ^ (1 << bit):0512x}"
            self.assertIn("does not fit", fault(DIGEST, signature, updates.KEY))

    def test_signature_with_short_padding_and_rubbish_behind_is_refused(self):
        """The forgery of 2006: what follows the digest is looked at too."""
        info = binascii.unhexlify("3031300d060960864801650304020105000420")
        forged = b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + DIGEST
        forged = forged + bytes(256 - len(forged))
        signature = pow(
            int.from_bytes(forged, "big"), int(updates._EXPONENT, 16), int(updates.KEY, 16)
        )

        self.assertIn("does not fit", fault(DIGEST, f"{signature:0512x}", updates.KEY))

    def test_signature_as_large_as_the_key_is_refused(self):
        """A representative is below the modulus (RFC 8017 5.2.2): the same one twice is none."""
        digest = hashlib.sha256(b"0").digest()
        larger = int(updates.sign(digest), 16) + int(updates.KEY, 16)

        self.assertEqual(larger >> 2048, 0)
        self.assertIn("does not fit", fault(digest, f"{larger:0512x}", updates.KEY))
        self.assertIn("does not fit", fault(DIGEST, updates.KEY, updates.KEY))
        self.assertIn("does not fit", fault(DIGEST, "f" * 512, updates.KEY))

    def test_signature_of_zero_or_one_is_refused(self):
        """Their powers are themselves."""
        for number in (0, 1):
            self.assertIn("does not fit", fault(DIGEST, f"{number:0512x}", updates.KEY))

    def test_signature_missing_is_named_unsigned(self):
        """An update without a signature is told so."""
        for nothing in (None, ""):
            self.assertIn("unsigned", fault(DIGEST, nothing, updates.KEY))

    def test_signature_that_is_no_hex_is_refused(self):
        """Garbage of any type is refused with words, not with a crash."""
        for garbage in ("zz" * 256, "00", "0x" + "0" * 510, " " * 512, "+" + "0" * 511, 7, [1], {}):
            if garbage:
                self.assertIn("512 hex digits", fault(DIGEST, garbage, updates.KEY))

    def test_key_missing_refuses_everything(self):
        """A device without a key takes no update."""
        for nothing in (None, ""):
            self.assertIn("no key", fault(DIGEST, updates.sign(DIGEST), nothing))

    def test_key_of_another_size_or_even_is_refused(self):
        """Only an odd number of 2048 bits can be the modulus."""
        for key in ("0" + updates.KEY[1:], updates.KEY[:-1] + "0"):
            self.assertIn("RSA-2048", fault(DIGEST, updates.sign(DIGEST), key))

    def test_digest_of_wrong_length_is_refused(self):
        """Only a SHA-256 is signed."""
        self.assertIn("does not fit", fault(DIGEST[:31], updates.sign(DIGEST), updates.KEY))
