"""From a raw reading to what is published and what limits look at."""

import unittest

from device.steamlink import contract
from device.steamlink.chain import Chain

GOOD = contract.GOOD


class TestChain(unittest.TestCase):
    def test_chain_without_filters_passes_value(self):
        """Nothing configured changes nothing."""
        self.assertEqual(Chain({}).feed(7.5, GOOD, 0), (7.5, GOOD, 7.5))

    def test_chain_just_beyond_range_stands_at_its_end(self):
        """Up to a tenth of the span beyond it is the end of the range, uncertain."""
        chain = Chain({"low": 0, "high": 16})

        self.assertEqual(chain.feed(17.0, GOOD, 0), (16, contract.EU_EXCEEDED, 16))
        self.assertEqual(chain.feed(-1.0, GOOD, 1), (0, contract.EU_EXCEEDED, 0))

    def test_chain_far_beyond_range_is_a_failed_sensor(self):
        """Further out no value is believed."""
        chain = Chain({"low": 0, "high": 16})

        for value in (18.0, -2.0, 1e30):
            self.assertEqual(chain.feed(value, GOOD, 0), (None, contract.SENSOR_FAILURE, None))

    def test_chain_of_no_number_is_a_failed_sensor(self):
        """NaN and infinity are no readings, with a range or without."""
        for cfg in ({}, {"low": 0, "high": 9, "median": 3, "ema_ms": 10}):
            for value in (float("nan"), float("inf"), -float("inf")):
                self.assertEqual(
                    Chain(cfg).feed(value, GOOD, 0), (None, contract.SENSOR_FAILURE, None)
                )

    def test_chain_of_bad_reading_has_no_value(self):
        """A bad code takes its value with it; no value with a good code is bad."""
        chain = Chain({})

        self.assertEqual(
            chain.feed(5.0, contract.NOT_CONNECTED, 0), (None, contract.NOT_CONNECTED, None)
        )
        self.assertEqual(chain.feed(None, GOOD, 1), (None, contract.BAD, None))

    def test_chain_of_spike_refuses_before_averaging(self):
        """A wild value reaches neither the average nor the limits."""
        chain = Chain({"low": 0, "high": 100, "ema_ms": 5000})
        for up_ms in range(0, 5000, 1000):
            chain.feed(50.0, GOOD, up_ms)

        self.assertEqual(chain.feed(5000.0, GOOD, 5000)[0], None)
        self.assertAlmostEqual(chain.feed(50.0, GOOD, 6000)[0], 50.0, places=4)

    def test_chain_of_jump_gives_last_usable(self):
        """What moved too fast is published as the last value, and is nothing for limits."""
        chain = Chain({"rate": 1})
        chain.feed(10.0, GOOD, 0)

        self.assertEqual(chain.feed(50.0, GOOD, 1000), (10.0, contract.LAST_USABLE, None))

    def test_chain_shows_limits_the_unfiltered_value(self):
        """The limit sees the edge at once, the published value follows."""
        chain = Chain({"median": 5})
        for up_ms in range(5):
            chain.feed(10.0, GOOD, up_ms)

        self.assertEqual(chain.feed(20.0, GOOD, 5), (10.0, GOOD, 20.0))

    def test_chain_calibrates_last(self):
        """Both the smoothed and the plausible value are calibrated; the range is of the raw one."""
        chain = Chain({"low": 0, "high": 100, "median": 3, "calibrate": [[0, 1000], [100, 2000]]})
        for up_ms in range(3):
            chain.feed(10.0, GOOD, up_ms)

        self.assertEqual(chain.feed(20.0, GOOD, 3), (1100.0, GOOD, 1200.0))

    def test_chain_of_uncertain_reading_keeps_its_code(self):
        """What the driver doubts stays doubted."""
        self.assertEqual(
            Chain({"median": 3}).feed(3.0, contract.EU_EXCEEDED, 0),
            (3.0, contract.EU_EXCEEDED, 3.0),
        )

    def test_chain_of_repeated_value_is_no_news(self):
        """LAST_USABLE is published and never judged again."""
        self.assertEqual(
            Chain({}).feed(3.0, contract.LAST_USABLE, 0), (3.0, contract.LAST_USABLE, None)
        )

    def test_chain_after_gap_starts_anew(self):
        """After long silence neither median nor rate judge by what was before."""
        chain = Chain({"median": 3, "rate": 1, "gap_ms": 5000})
        for up_ms in range(0, 3000, 1000):
            chain.feed(10.0, GOOD, up_ms)

        self.assertEqual(chain.feed(90.0, GOOD, 20000), (90.0, GOOD, 90.0))

    def test_chain_with_a_gap_of_its_own_keeps_it(self):
        """What a sensor's period allows is for those that say nothing."""
        for cfg, left in (({}, 10.0), ({"gap_ms": None}, 10.0), ({"gap_ms": 20000}, 90.0)):
            chain = Chain(dict(cfg, median=3))
            chain.allow(50000)
            for up_ms in (0, 1000, 2000):
                chain.feed(10.0, GOOD, up_ms)

            self.assertEqual(chain.feed(90.0, GOOD, 40000)[0], left)

    def test_chain_of_quick_sensor_waits_ten_seconds(self):
        """A period allows more silence than that, never less."""
        chain = Chain({"median": 3})
        chain.allow(500)
        for up_ms in (0, 100, 200):
            chain.feed(10.0, GOOD, up_ms)

        self.assertEqual(chain.feed(90.0, GOOD, 9000)[0], 10.0)

    def test_chain_of_inverted_range_is_refused(self):
        """Low is below high."""
        with self.assertRaises(ValueError):
            Chain({"low": 5, "high": 5})
