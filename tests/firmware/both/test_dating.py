"""Messages that get their time later, on both interpreters."""

import json
import random
import unittest

from device.steamlink import codec, dating, stamps

START = 1790000000000


def data(utc_ms=0, clock=1, rows=((0, 1.5, None), (1000, 2.5, 3)), quality=(), up_ms=77000):
    """A data message with two columns."""
    return codec.encode_data(
        boot=4,
        seq=9,
        up_ms=up_ms,
        utc_ms=utc_ms,
        clock=clock,
        metrics=["level", "up"],
        rows=rows,
        quality=quality,
    )


def event(utc_ms=0, details=None):
    """An event whose details try to look like its head."""
    return codec.encode_event(
        boot=4,
        seq=9,
        up_ms=77000,
        utc_ms=utc_ms,
        event="alarm_edge",
        details=details or {"text": '"up":5,"t":0,"ts":1,"r":[[1,2]]'},
    )


class TestDating(unittest.TestCase):
    """Bytes with a time are those that the codec makes when the time is known at once."""

    def test_date_of_data_equals_what_the_codec_makes(self):
        """Dating afterwards and knowing the time at once give the same bytes."""
        dated = dating.date("data", data(quality=[(0, 1, 8)]), START, 2, False)

        self.assertEqual(dated, data(START + 77000, 2, quality=[(0, 1, 8)]))

    def test_date_of_event_equals_what_the_codec_makes(self):
        """Text in the details of an event does not confuse it."""
        self.assertEqual(dating.date("event", event(), START, 1, True), event(START + 77000))

    def test_date_of_estimated_data_marks_good_readings_uncertain(self):
        """What is not good keeps its code, a missing value has none, the rest is uncertain (64)."""
        dated = dating.date("data", data(quality=[(1, 0, 8)]), START, 1, True)

        self.assertEqual(dated, data(START + 77000, quality=[(0, 0, 64), (1, 0, 8), (1, 1, 64)]))

    def test_date_of_random_messages_is_valid_and_always_the_same(self):
        """500 random messages: JSON, the right time, every reading marked, twice the same bytes."""
        random.seed(11)
        for _ in range(500):
            rows = []
            dt = -random.randrange(5000)
            for _ in range(random.randrange(1, 8)):
                dt += random.randrange(1, 9000)
                rows.append([dt, random.choice((None, 3, -2.25)), random.choice((None, 0, 1.5))])
            up_ms = random.randrange(1 << 30) * 997
            offset_ms = random.randrange(1 << 30) * 1009
            payload = data(rows=rows, up_ms=up_ms)
            dated = dating.date("data", payload, offset_ms, 2, True)
            self.assertEqual(dated, dating.date("data", payload, offset_ms, 2, True))
            message = json.loads(dated)
            self.assertEqual((message["t"], message["up"]), (up_ms + offset_ms, up_ms))
            self.assertEqual((message["ts"], message["n"], message["r"]), (2, 9, rows))
            good = sum([2 - row.count(None) for row in rows])
            self.assertEqual(list(message.get("q", {}).values()), [64] * good)

    def test_date_of_dated_message_is_refused(self):
        """A message that has its time keeps it."""
        with self.assertRaises(ValueError):
            dating.date("data", data(START), START, 1, False)

    def test_date_of_garbage_is_refused(self):
        """What the codec did not make raises ValueError and nothing else."""
        for payload in (b"", b"{}", b'"up":x,"t":0,', b'{"up":5,"t":0,"k":1}'):
            with self.assertRaises(ValueError):
                dating.date("data", payload, START, 1, False)

    def test_date_outside_the_contract_is_refused(self):
        """A time before 1970 or beyond what the contract carries is none."""
        for offset_ms in (-77000, -(1 << 50), 1 << 50):
            with self.assertRaises(ValueError):
                dating.date("data", data(), offset_ms, 1, False)

    def test_date_of_message_that_grows_too_long_is_refused(self):
        """Marks that make a message longer than 64 KiB cannot be sent."""
        names = ["m{}".format(index) for index in range(30)]
        rows = [[index] + [1.5] * 30 for index in range(400)]
        payload = codec.encode_data(
            boot=1, seq=1, up_ms=1, utc_ms=0, clock=1, metrics=names, rows=rows
        )
        with self.assertRaises(ValueError):
            dating.date("data", payload, START, 1, True)
        self.assertTrue(len(dating.date("data", payload, START, 1, False)) > len(payload))

    def test_last_up_is_that_of_the_last_row(self):
        """The uptime of the last row, also where quality follows; an event has only one."""
        self.assertEqual(dating.last_up_ms(data(quality=[(0, 0, 8)])), 78000)
        self.assertEqual(dating.last_up_ms(event()), 77000)

    def test_estimate_ends_right_before_the_next_start(self):
        """The last row of the earlier boot comes 1 ms before the next boot starts."""
        self.assertEqual(dating.estimate(78000, START) + 78000, START - 1)

    def test_start_of_dated_message_is_its_offset(self):
        """An undated message has no start."""
        self.assertEqual(stamps.start_utc_ms(data(START + 77000)), START)
        self.assertIsNone(stamps.start_utc_ms(data()))
