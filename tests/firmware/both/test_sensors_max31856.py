"""The MAX31856 by its registers."""

import unittest

from device.steamlink import contract
from device.steamlink.sensors import max31856
from tests.firmware.wires import SpiRegisters, Waits, no_wait, reading

max31856.sleep_ms = no_wait
ONE_SHOT = 0x40


class Chip(SpiRegisters):
    """Converts at once, with the word and faults that a test sets."""

    def __init__(self, word=0, faults=0):
        super().__init__(16)
        self.registers[2] = 0xFF
        self.registers[3:5] = bytes((0x7F, 0xC0))
        self.word, self.faults = word, faults
        self.slow = False
        self.loses = False

    def written(self):
        if self.registers[0] & ONE_SHOT and not self.slow:
            self.registers[0] &= ~ONE_SHOT & 0xFF
        self.registers[12:15] = self.word.to_bytes(3, "big")
        self.registers[15] = self.faults
        if self.loses:
            self.registers[0:2] = bytes((0, 3))


class SlowChip(Chip):
    """Converts in as many ms as the data sheet says at most."""

    def __init__(self, takes_ms):
        super().__init__(0x019000)
        self.slow = True
        self.left_ms = self.takes_ms = takes_ms

    def pass_ms(self, ms):
        self.left_ms -= ms
        if self.left_ms <= 0:
            self.registers[0] &= ~ONE_SHOT & 0xFF


def driver(chip, **changes):
    cfg = dict(max31856.DEFAULTS)
    cfg["metric"] = "t"
    cfg.update(changes)
    return max31856.Driver(chip, cfg)


class TestMax31856(unittest.TestCase):
    def test_max31856_of_data_sheet_words_gives_their_temperatures(self):
        """The table of linearised temperatures; the five lowest bits mean nothing."""
        for word, celsius in (
            (0x640000, 1600),
            (0x3E8000, 1000),
            (0x064F00, 100.9375),
            (0x019000, 25),
            (0x000100, 0.0625),
            (0x000000, 0),
            (0x00001F, 0),
            (0x000020, 0.0078125),
            (0xFFFF00, -0.0625),
            (0xFFFC00, -0.25),
            (0xFFF000, -1),
            (0xF06000, -250),
        ):
            self.assertEqual(reading(driver(Chip(word))), (celsius, contract.GOOD))

    def test_max31856_is_set_up_each_time(self):
        """Type, mains and averaging are written before each conversion."""
        chip = Chip(0x019000)
        reading(driver(chip, type="J", mains_hz=50, average=4))

        self.assertEqual(chip.writes, [bytes((0x80, 0x11, 0x22)), bytes((0x80, 0x51))])

    def test_max31856_begins_early_enough(self):
        """Averaging takes longer, and 50 Hz longer than 60."""
        leads = [
            driver(Chip(), mains_hz=hz, average=n).cfg["lead_ms"]
            for hz, n in ((60, 1), (50, 1), (60, 16))
        ]

        self.assertEqual(leads, [192, 222, 702])

    def test_max31856_with_lead_too_short_begins_early_enough(self):
        """A lead of the configuration makes it begin earlier, not later than its conversion needs."""
        leads = [driver(Chip(), lead_ms=ms).cfg["lead_ms"] for ms in (20, 192, 400)]

        self.assertEqual(leads, [192, 192, 400])

    def test_max31856_begun_late_is_read_when_it_has_converted(self):
        """Its beginning waits for the conversion, so that no reading depends on when it was begun."""
        for mains_hz, average, takes_ms in ((60, 1, 190), (50, 1, 220), (60, 16, 700)):
            chip = SlowChip(takes_ms)
            max31856.sleep_ms = waits = Waits(chip)
            try:
                made = driver(chip, mains_hz=mains_hz, average=average)
                self.assertEqual(reading(made), (25, contract.GOOD))
            finally:
                max31856.sleep_ms = no_wait
            self.assertTrue(waits.ms <= made.cfg["lead_ms"])

    def test_max31856_faults_are_told_apart(self):
        """Open before all others, as an open thermocouple shows others too."""
        for faults, code in (
            (0x01, contract.NOT_CONNECTED),
            (0x41, contract.NOT_CONNECTED),
            (0x02, contract.SENSOR_FAILURE),
            (0x40, contract.SENSOR_FAILURE),
            (0x80, contract.DEVICE_FAILURE),
        ):
            self.assertEqual(reading(driver(Chip(0x019000, faults))), (None, code))

    def test_max31856_limits_that_nobody_set_are_no_faults(self):
        """The chip's own alarm limits are not used."""
        self.assertEqual(reading(driver(Chip(0x019000, 0x3C))), (25, contract.GOOD))

    def test_max31856_of_stuck_line_is_not_connected(self):
        """All zeros and all ones are wiring."""
        for stuck in (0, 255):
            chip = Chip()
            chip.stuck = stuck
            self.assertEqual(reading(driver(chip)), (None, contract.NOT_CONNECTED))

    def test_max31856_that_lost_its_settings_has_no_reading(self):
        """After a dip of the supply it would read another type of thermocouple."""
        chip = Chip(0x019000)
        chip.loses = True

        self.assertEqual(reading(driver(chip, type="J")), (None, contract.DEVICE_FAILURE))

    def test_max31856_not_done_converting_has_no_reading(self):
        """An old value is not given as new."""
        chip = Chip(0x019000)
        chip.slow = True

        self.assertEqual(reading(driver(chip)), (None, contract.DEVICE_FAILURE))

    def test_max31856_with_unknown_type_is_refused(self):
        """Type, mains and averaging are checked."""
        for changes in ({"type": "X"}, {"type": ""}, {"mains_hz": 55}, {"average": 3}):
            with self.assertRaises(ValueError):
                driver(Chip(), **changes)
