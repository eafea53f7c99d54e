"""A board's floats have 24 bits: what that must not touch, with such values injected."""

import json
import unittest
from array import array

from device.steamlink import app as firmware
from device.steamlink import messages
from device.steamlink.hal import fake
from tests.firmware import folders

UTC_MS = 1795392000123


def single(value):
    """The value as a board's float holds it."""
    return array("f", [value])[0]


class TestSingleFloats(unittest.TestCase):
    """Readings may lose digits beyond the seventh; times and numbers of messages none."""

    def setUp(self):
        self.folder = folders.new("single")

    def tearDown(self):
        folders.remove(self.folder)

    def started(self):
        config = {
            "v": 1,
            "site": "mill",
            "device": "dev1",
            "mqtt": {"host": "127.0.0.1"},
            "sensors": [{"kind": "simulated", "metrics": ["steam_pressure", "water_level"]}],
        }
        folders.write(self.folder + "/config.json", json.dumps(config))
        device = firmware.App(fake.Board(self.folder, utc_ms=UTC_MS), random=lambda: 0.0)
        device.open()
        return device

    def test_single_floats_as_readings_leave_times_exact(self):
        """Rows of single floats are dated to the millisecond."""
        device = self.started()
        device.measuring.take_row(1, [single(7.934), single(51.4)], {})
        device.measuring.take_row(1003, [single(8.37), single(51.5)], {})
        device.measuring.put_rows()

        found = []
        while not found:
            entry = device.outbox.next_live() or device.outbox.next_backlog()
            message = json.loads(bytes(entry.payload).decode())
            if entry.kind == "data":
                found.append(message)
        self.assertEqual(found[0]["t"], UTC_MS + 1)
        self.assertEqual([row[0] for row in found[0]["r"]], [0, 1002])
        first, second = found[0]["r"]
        self.assertTrue(abs(first[1] - 7.934) < 1e-6 and abs(second[1] - 8.37) < 1e-6)

    def test_single_floats_never_hold_a_time(self):
        """Every time that the clock gives is a whole number, which is exact on any board."""
        clock = self.started().clock
        for state in (1, 2):
            clock.set_utc(UTC_MS + 5000, state)
            for time in (clock.up_ms(), clock.utc_ms(), clock.offset_ms, clock.floor_ms):
                self.assertTrue(isinstance(time, int))


if hasattr(messages, "_FLOAT"):  # MicroPython: CPython's json writes doubles

    class TestSingleFloatsWritten(unittest.TestCase):
        """What a board with single floats writes into a message."""

        def test_single_floats_are_written_with_seven_digits(self):
            """8.37 is 8.37 on the wire, though the float is 8.369999885559082."""
            before, messages._FLOAT = messages._FLOAT, "{:.7g}"
            try:
                payload = messages.encode_data(
                    boot=1,
                    seq=1,
                    up_ms=0,
                    utc_ms=UTC_MS,
                    clock=2,
                    metrics=("steam_pressure", "water_level", "fuel_flow"),
                    rows=[[0, single(8.37), single(51.4), single(12345.6)]],
                )
            finally:
                messages._FLOAT = before

            self.assertTrue(b'"r":[[0,8.37,51.4,12345.6]]' in payload)
