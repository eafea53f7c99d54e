"""A contact: bounce, sense, and what a cut wire says."""

import unittest

from device.steamlink import contract
from device.steamlink.chain import Chain
from device.steamlink.sensors import digital
from tests.firmware.wires import no_wait, reading

digital.sleep_ms = no_wait


class Pin:
    """Reads its levels one after the other, the last for ever."""

    def __init__(self, *levels):
        self.levels = list(levels)

    def value(self):
        return self.levels[0] if len(self.levels) == 1 else self.levels.pop(0)


def driver(pin, **changes):
    cfg = dict(digital.DEFAULTS)
    cfg.update({"metric": "flame", "lead_ms": 0})
    cfg.update(changes)
    return digital.Driver(pin, cfg)


class TestDigital(unittest.TestCase):
    def test_digital_steady_contact_is_its_value(self):
        """Straight or inverted."""
        for level in (0, 1):
            self.assertEqual(reading(driver(Pin(level))), (level, contract.GOOD))
            self.assertEqual(reading(driver(Pin(level), inverted=True)), (1 - level, contract.GOOD))

    def test_digital_bouncing_contact_keeps_its_value(self):
        """While it bounces the last value is only the last usable."""
        pin = Pin(1)
        contact = driver(pin)
        reading(contact)
        pin.levels = [0, 1, 0]

        self.assertEqual(reading(contact), (1, contract.LAST_USABLE))
        self.assertEqual(reading(contact), (0, contract.GOOD))

    def test_digital_bouncing_on_says_its_fail_safe_value(self):
        """A float that bounces at the mark for four seconds is low water, for limits to see."""
        pin = Pin(0)
        low_water = driver(pin, open_reads=1, fail_safe=1)
        reading(low_water)
        got = []
        for up_ms in (1000, 3000, 4999, 5000, 60000):
            pin.levels = [0, 1, 0]
            got.append(reading(low_water, up_ms))

        held, low = (0, contract.LAST_USABLE), (1, contract.UNCERTAIN)
        self.assertEqual(got, [held, held, held, low, low])
        self.assertEqual(Chain({"low": 0, "high": 1}).feed(1, contract.UNCERTAIN, 5000)[2], 1)
        pin.levels = [0]
        self.assertEqual(reading(low_water, 61000), (0, contract.GOOD))
        pin.levels = [0, 1, 0]
        self.assertEqual(reading(low_water, 62000), held)

    def test_digital_bouncing_on_without_fail_safe_is_a_failure(self):
        """Nobody said which value is the safe one, so there is none."""
        for first in (0, None):
            pin = Pin(0)
            contact = driver(pin)
            if first is not None:
                reading(contact)
            pin.levels = [0, 1, 0]
            reading(contact, 1000)
            pin.levels = [0, 1, 0]

            self.assertEqual(reading(contact, 5000), (None, contract.SENSOR_FAILURE))

    def test_digital_bouncing_from_the_start_waits(self):
        """There is no value before the first steady one."""
        self.assertEqual(reading(driver(Pin(0, 1, 0))), (None, contract.WAITING_FOR_INITIAL_DATA))

    def test_digital_without_debounce_takes_one_look(self):
        """An electronic output does not bounce."""
        pin = Pin(0, 1)

        self.assertEqual(reading(driver(pin, debounce_ms=0)), (0, contract.GOOD))

    def test_digital_begins_early_by_its_debounce(self):
        """The value is that of the row's time."""
        self.assertEqual(driver(Pin(0), debounce_ms=100).cfg["lead_ms"], 104)

    def test_digital_wired_against_the_fail_safe_sense_is_refused(self):
        """A low water switch must say 1 with its wire cut, a flame 0."""
        for inverted, open_reads, cut in (
            (False, 1, 1),
            (True, 1, 0),
            (False, 0, 0),
            (True, 0, 1),
        ):
            settings = {"inverted": inverted, "open_reads": open_reads}
            driver(Pin(0), fail_safe=cut, **settings)
            with self.assertRaises(ValueError):
                driver(Pin(0), fail_safe=1 - cut, **settings)

    def test_digital_with_fail_safe_needs_to_know_its_open_pin(self):
        """Without a pull nobody knows what a cut wire reads."""
        driver(Pin(0))
        with self.assertRaises(ValueError):
            driver(Pin(0), fail_safe=1)

    def test_digital_with_wrong_sense_is_refused(self):
        """A text that is not empty would be true."""
        for changes in (
            {"inverted": "false"},
            {"open_reads": 2},
            {"open_reads": "1"},
            {"fail_safe": "1", "open_reads": 1},
            {"persist_ms": "4000"},
            {"persist_ms": -1},
        ):
            with self.assertRaises(ValueError):
                driver(Pin(0), **changes)

    def test_digital_cut_wire_says_what_fail_safe_says(self):
        """With a pull-up and a contact that opens on danger, a cut wire is danger."""
        pin = Pin(0)
        low_water = driver(pin, metric="low_water", open_reads=1, fail_safe=1)
        self.assertEqual(reading(low_water), (0, contract.GOOD))
        pin.levels = [1]

        self.assertEqual(reading(low_water), (1, contract.GOOD))

    def test_digital_with_impossible_debounce_is_refused(self):
        """Whole ms."""
        for ms in (-1, 1.5, "4"):
            with self.assertRaises(ValueError):
                driver(Pin(0), debounce_ms=ms)
