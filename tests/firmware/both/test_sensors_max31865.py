"""The MAX31865 by its registers, and platinum by IEC 60751."""

import unittest

from device.steamlink import contract
from device.steamlink.sensors import max31865
from tests.firmware.wires import SpiRegisters, Waits, no_wait, reading

max31865.sleep_ms = no_wait


class Chip(SpiRegisters):
    """Converts at once; `ohms` over a reference of 430, faults as a test sets them."""

    def __init__(self, ohms=None, word=None, faults=0):
        super().__init__(8)
        self.registers[3:5] = b"\xff\xff"
        self.word = word if ohms is None else round(ohms / 430 * 32768) << 1
        self.faults = faults
        self.slow = False
        self.loses = False

    def written(self):
        if self.registers[0] & 0x20:
            self.registers[1:3] = self.word.to_bytes(2, "big")
            self.registers[7] = self.faults
        if not self.slow:
            self.registers[0] &= 0xD1
        if self.loses:
            self.registers[0] = 0


class SlowChip(Chip):
    """Converts in as many ms as the data sheet says at most."""

    def __init__(self, ohms, takes_ms):
        super().__init__(ohms)
        self.slow = True
        self.takes_ms = takes_ms
        self.left_ms = 0

    def written(self):
        super().written()
        if self.registers[0] & 0x20:
            self.left_ms = self.takes_ms

    def pass_ms(self, ms):
        self.registers[0] &= 0xF3
        self.left_ms -= ms
        if self.left_ms <= 0:
            self.registers[0] &= 0xDF


def driver(chip, **changes):
    cfg = dict(max31865.DEFAULTS)
    cfg["metric"] = "t"
    cfg.update(changes)
    return max31865.Driver(chip, cfg)


class TestMax31865(unittest.TestCase):
    def test_pt100_of_standard_resistances_gives_their_temperatures(self):
        """The table of IEC 60751."""
        for ohms, celsius in (
            (18.52, -200),
            (60.2558, -100),
            (80.3063, -50),
            (96.0859, -10),
            (100.0, 0),
            (103.9025, 10),
            (138.5055, 100),
            (175.856, 200),
            (247.092, 400),
            (313.708, 600),
            (390.481, 850),
        ):
            self.assertAlmostEqual(max31865.temperature(ohms), celsius, delta=0.01)

    def test_pt100_at_zero_is_exactly_zero(self):
        """No noise of floats at the point that everybody checks."""
        self.assertEqual(max31865.temperature(100), 0)

    def test_pt1000_is_ten_pt100(self):
        """Only R0 differs."""
        self.assertAlmostEqual(max31865.temperature(1385.055, 1000), 100, delta=0.01)

    def test_pt100_beyond_platinum_is_refused(self):
        """A resistance that no temperature gives."""
        with self.assertRaises(ValueError):
            max31865.temperature(1000)

    def test_max31865_gives_temperature_of_its_word(self):
        """100 ohm is 0 °C and 138.5055 ohm is 100 °C, within a step of the converter."""
        for ohms, celsius in ((100, 0), (138.5055, 100), (80.3063, -50)):
            value, code = reading(driver(Chip(ohms)))
            self.assertAlmostEqual(value, celsius, delta=0.03)
            self.assertEqual(code, contract.GOOD)

    def test_max31865_with_two_wires_takes_the_leads_off(self):
        """1.2 ohm of copper are 3 °C."""
        value, _ = reading(driver(Chip(101.2), wires=2, lead_ohm=1.2))

        self.assertAlmostEqual(value, 0, delta=0.03)

    def test_max31865_runs_fault_cycle_and_switches_bias_off(self):
        """Bias with cleared faults, the cycle, one conversion; no current in between."""
        chip = Chip(100)
        reading(driver(chip, wires=4, mains_hz=50))

        self.assertEqual([write[1] for write in chip.writes], [0x83, 0x85, 0xA1, 0x01])

    def test_max31865_with_three_wires_says_so(self):
        """Bit 4 of the configuration, at 60 Hz."""
        chip = Chip(100)
        reading(driver(chip))

        self.assertEqual([write[1] for write in chip.writes], [0x92, 0x94, 0xB0, 0x10])

    def test_max31865_faults_are_told_apart(self):
        """Six bits of the fault register."""
        for faults, code in (
            (0x80, contract.NOT_CONNECTED),
            (0x40, contract.SENSOR_FAILURE),
            (0x20, contract.NOT_CONNECTED),
            (0x10, contract.NOT_CONNECTED),
            (0x08, contract.SENSOR_FAILURE),
            (0x04, contract.SENSOR_FAILURE),
            (0xA0, contract.NOT_CONNECTED),
        ):
            self.assertEqual(reading(driver(Chip(100, faults=faults))), (None, code))

    def test_max31865_of_stuck_line_is_not_connected(self):
        """All zeros and all ones are wiring, not -242 °C."""
        for stuck in (0, 255):
            chip = Chip(100)
            chip.stuck = stuck
            self.assertEqual(reading(driver(chip)), (None, contract.NOT_CONNECTED))

    def test_max31865_of_empty_word_is_not_connected(self):
        """0x0000, 0xFFFF and a word with its fault bit are no resistance."""
        for word in (0x0000, 0xFFFF, 0x3B8D):
            self.assertEqual(reading(driver(Chip(word=word))), (None, contract.NOT_CONNECTED))

    def test_max31865_that_lost_its_settings_has_no_reading(self):
        """After a dip of the supply there is no bias, and the word means nothing."""
        chip = Chip(100)
        chip.loses = True

        self.assertEqual(reading(driver(chip)), (None, contract.DEVICE_FAILURE))

    def test_max31865_not_done_converting_has_no_reading(self):
        """An old value is not given as new."""
        chip = Chip(100)
        chip.slow = True

        self.assertEqual(reading(driver(chip)), (None, contract.DEVICE_FAILURE))

    def test_max31865_begun_late_is_read_when_it_has_converted(self):
        """Its beginning waits for the conversion, so that no reading depends on when it was begun."""
        for mains_hz, takes_ms in ((60, 55), (50, 66)):
            chip = SlowChip(100, takes_ms)
            max31865.sleep_ms = waits = Waits(chip)
            try:
                value, code = reading(driver(chip, mains_hz=mains_hz))
            finally:
                max31865.sleep_ms = no_wait
            self.assertEqual(code, contract.GOOD)
            self.assertAlmostEqual(value, 0, delta=0.03)
            self.assertTrue(waits.ms < max31865.DEFAULTS["lead_ms"])

    def test_max31865_with_impossible_settings_is_refused(self):
        """Wires, R0 and the reference are checked."""
        for changes in ({"wires": 5}, {"r0": 0}, {"reference": 50}):
            with self.assertRaises(ValueError):
                driver(Chip(100), **changes)
