"""The bytes of MQTT packets, on both interpreters."""

import unittest

from device.steamlink import packets


def text_of(error_type, function, *arguments, **named):
    """What the error of this call says; "" when there was none."""
    try:
        function(*arguments, **named)
    except error_type as error:
        return str(error)
    return ""


def connect(**changes):
    fields = {
        "client_id": "cal-1",
        "user": None,
        "password": None,
        "keepalive_s": 30,
        "clean": True,
        "will": None,
    }
    fields.update(changes)
    order = ("client_id", "user", "password", "clean", "will", "keepalive_s")
    return bytes(packets.connect(*[fields[name] for name in order]))


class TestOutgoing(unittest.TestCase):
    """What the device sends, byte for byte."""

    def test_connect_without_user_is_as_the_standard_says(self):
        """Protocol name and level 4, clean session, keepalive, client id (clause 3.1)."""
        self.assertEqual(connect(), b"\x10\x11\x00\x04MQTT\x04\x02\x00\x1e\x00\x05cal-1")

    def test_connect_with_everything_has_the_fields_in_order(self):
        """Client id, will topic, will, user, password; will QoS 1, not retained."""
        self.assertEqual(
            connect(user="u", password="pw", keepalive_s=300, clean=False, will=("t/w", b"off")),
            b"\x10\x22\x00\x04MQTT\x04\xcc\x01\x2c"
            b"\x00\x05cal-1\x00\x03t/w\x00\x03off\x00\x01u\x00\x02pw",
        )

    def test_connect_with_password_but_no_user_is_refused(self):
        """MQTT 3.1.1 has no password without a user name (clause 3.1.2.9)."""
        self.assertIn("user name", text_of(ValueError, connect, password="pw"))

    def test_connect_with_letters_beyond_ascii_counts_bytes(self):
        """A length is of UTF-8 bytes, not of letters."""
        self.assertEqual(connect(client_id="ção")[12:], b"\x00\x05\xc3\xa7\xc3\xa3o")

    def test_publish_with_qos_0_has_no_packet_id(self):
        """First byte 0x30, topic; the payload follows (clause 3.3)."""
        self.assertEqual(
            bytes(packets.publish("a/b", 2, qos=0, packet_id=0)), b"\x30\x07\x00\x03a/b"
        )

    def test_publish_with_qos_1_has_packet_id_dup_and_retain(self):
        """The id stands behind the topic; DUP is bit 3, retain bit 0."""
        self.assertEqual(
            bytes(packets.publish("a", 1, qos=1, packet_id=0x1234)),
            b"\x32\x06\x00\x01a\x12\x34",
        )
        again = packets.publish("a", 1, qos=1, packet_id=65535, dup=True, retain=True)
        self.assertEqual(bytes(again), b"\x3b\x06\x00\x01a\xff\xff")

    def test_publish_with_dup_and_qos_0_leaves_dup_out(self):
        """DUP must be 0 with QoS 0 (clause 3.3.1.1)."""
        again = packets.publish("a", 0, qos=0, packet_id=0, dup=True)
        self.assertEqual(bytes(again), b"\x30\x03\x00\x01a")

    def test_text_that_mqtt_cannot_carry_is_refused(self):
        """No NUL, at most 65535 bytes (clause 1.5.3); names come from the contract, texts do not."""
        self.assertIn("NUL", text_of(ValueError, connect, user="a\x00b"))
        self.assertIn("65535", text_of(ValueError, connect, user="u", password="x" * 65536))

    def test_publish_of_each_length_has_the_length_in_seven_bit_digits(self):
        """The table of clause 2.2.3: 1 byte to 127, 2 to 16383, 3 to 2097151."""
        for length, digits in (
            (127, b"\x7f"),
            (128, b"\x80\x01"),
            (16383, b"\xff\x7f"),
            (16384, b"\x80\x80\x01"),
            (100000, b"\xa0\x8d\x06"),
        ):
            packet = packets.publish("a", length - 3, qos=0, packet_id=0)
            self.assertEqual(bytes(packet[1 : 1 + len(digits)]), digits)
            self.assertEqual(len(packet), 1 + len(digits) + 3)
            self.assertEqual(packets.length_so_far(digits), length)

    def test_subscribe_and_puback_are_as_the_standard_says(self):
        """SUBSCRIBE has the flags 0010 (clause 3.8.1); a filter may have wildcards."""
        self.assertEqual(bytes(packets.subscribe(10, "a/#", 1)), b"\x82\x08\x00\x0a\x00\x03a/#\x01")
        self.assertEqual(bytes(packets.puback(0xABCD)), b"\x40\x02\xab\xcd")


class TestIncoming(unittest.TestCase):
    """What a broker sends, and what none should."""

    def test_length_that_goes_on_is_not_known_yet(self):
        """A digit with its top bit set asks for the next."""
        self.assertIsNone(packets.length_so_far(b"\xff"))
        self.assertIsNone(packets.length_so_far(b"\x80\x80\x80"))
        self.assertEqual(packets.length_so_far(b"\xff\xff\xff\x7f"), 268435455)

    def test_length_of_five_bytes_is_malformed(self):
        """The fourth digit is the last (clause 2.2.3)."""
        said = text_of(packets.Malformed, packets.length_so_far, b"\xff\xff\xff\xff")
        self.assertIn("5 bytes", said)

    def test_flags_of_what_brokers_send_are_checked(self):
        """Only PUBLISH has flags that vary; clients' packets do not come from a broker."""
        for first in (0x20, 0x40, 0x90, 0xD0, 0x30, 0x3B):
            self.assertEqual(packets.check_flags(first), first & 0xF0)
        for first in (0x00, 0x10, 0x21, 0x42, 0x50, 0x82, 0x92, 0xC0, 0xE0, 0xF0, 0xFF):
            self.assertIn("0x", text_of(packets.Malformed, packets.check_flags, first))

    def test_connack_tells_session_and_code(self):
        """Session present is bit 0 of the first byte, not a fault (clause 3.2.2.2)."""
        self.assertEqual(packets.parse_connack(b"\x00\x00"), (False, 0))
        self.assertEqual(packets.parse_connack(b"\x01\x00"), (True, 0))
        self.assertEqual(packets.parse_connack(b"\x00\x05"), (False, 5))
        for body in (b"", b"\x00", b"\x02\x00", b"\x00\x06", b"\x00\x00\x00"):
            self.assertTrue(text_of(packets.Malformed, packets.parse_connack, body))

    def test_suback_tells_granted_qos(self):
        """One code for the one topic; 0x80 is a refusal; QoS 2 was never asked for."""
        self.assertEqual(packets.parse_suback(b"\x00\x07\x01"), 1)
        self.assertEqual(packets.parse_suback(b"\x00\x07\x80"), packets.NOT_GRANTED)
        for body in (b"", b"\x00\x07", b"\x00\x07\x02", b"\x00\x07\x00\x00"):
            self.assertTrue(text_of(packets.Malformed, packets.parse_suback, body))

    def test_id_of_zero_or_half_an_id_is_malformed(self):
        """A packet id is 1 to 65535 (clause 2.3.1)."""
        self.assertEqual(packets.parse_id(b"\xff\xfe"), 65534)
        for body in (b"", b"\x01", b"\x00\x00"):
            self.assertTrue(text_of(packets.Malformed, packets.parse_id, body))

    def test_publish_parts_are_topic_id_retained_and_start(self):
        """QoS 0 has no id; the retain bit says that it is an old message."""
        self.assertEqual(packets.parse_publish(0x30, b"\x00\x01ahi"), ("a", 0, False, 3))
        self.assertEqual(packets.parse_publish(0x31, b"\x00\x01a"), ("a", 0, True, 3))
        self.assertEqual(packets.parse_publish(0x3A, b"\x00\x01a\x00\x09x"), ("a", 9, False, 5))

    def test_publish_that_breaks_the_standard_is_malformed(self):
        """QoS 2 or 3, a topic beyond its packet, no topic, no UTF-8, no id."""
        for first, body in (
            (0x34, b"\x00\x01a\x00\x01"),
            (0x36, b"\x00\x01a\x00\x01"),
            (0x30, b""),
            (0x30, b"\x00"),
            (0x30, b"\x00\x00"),
            (0x30, b"\x00\x05a"),
            (0x30, b"\x00\x02\xff\xfe"),
            (0x32, b"\x00\x01a"),
            (0x32, b"\x00\x01a\x00"),
            (0x32, b"\x00\x01a\x00\x00"),
        ):
            self.assertTrue(text_of(packets.Malformed, packets.parse_publish, first, body))
