"""A flow meter by its pulses."""

import unittest

from device.steamlink import contract
from device.steamlink.sensors import pulse
from tests.firmware.wires import reading


class Counter:
    def __init__(self):
        self.pulses = 0

    def count(self):
        return self.pulses


def driver(counter, **changes):
    cfg = dict(pulse.DEFAULTS)
    cfg.update({"metric": "flow", "per_unit": 1000, "high": 20})
    cfg.update(changes)
    return pulse.Driver(counter, cfg)


def run(pulses_each_s, seconds, **changes):
    """The last reading after some seconds of a steady flow."""
    counter = Counter()
    meter = driver(counter, **changes)
    for second in range(seconds):
        counter.pulses = int(second * pulses_each_s)
        got = reading(meter, 1000 * second)
    return got


class TestPulse(unittest.TestCase):
    def test_pulse_rate_follows_the_k_factor(self):
        """1000 pulses a cubic metre and 2 a second are 7.2 m³/h."""
        value, code = run(2, 30)

        self.assertAlmostEqual(value, 7.2, delta=0.001)
        self.assertEqual(code, contract.GOOD)

    def test_pulse_rate_is_over_the_unit_of_time(self):
        """The same pulses per minute and per second."""
        self.assertAlmostEqual(run(2, 30, per="min", per_unit=1, high=500)[0], 120, delta=0.01)
        self.assertAlmostEqual(run(2, 30, per="s", per_unit=1, high=500)[0], 2, delta=0.001)

    def test_pulse_first_reading_is_only_a_mark(self):
        """A count without the one before it is no rate."""
        self.assertEqual(run(2, 1), (None, contract.WAITING_FOR_INITIAL_DATA))
        self.assertAlmostEqual(run(2, 2)[0], 7.2, delta=0.001)

    def test_pulse_slow_flow_is_seen_in_a_long_window(self):
        """One pulse in 5 s is not zero most of the time."""
        counter = Counter()
        meter = driver(counter, window_ms=60000)
        rates = []
        for second in range(300):
            counter.pulses = second // 5
            rates.append(reading(meter, 1000 * second)[0])

        for rate in rates[60:]:
            self.assertAlmostEqual(rate, 0.72, delta=0.08)

    def test_pulse_flow_that_stops_is_zero_after_the_window(self):
        """No pulses are a reading: nothing flows."""
        counter = Counter()
        meter = driver(counter)
        for second in range(60):
            counter.pulses = 2 * min(second, 30)
            got = reading(meter, 1000 * second)

        self.assertEqual(got, (0, contract.GOOD))

    def test_pulse_rate_above_the_meter_is_noise(self):
        """More than the meter can give is not believed."""
        self.assertEqual(run(2000, 30), (None, contract.SENSOR_FAILURE))

    def test_pulse_counter_that_ran_backwards_has_failed_once(self):
        """It is told, and the rate starts anew from there."""
        counter = Counter()
        meter = driver(counter)
        counter.pulses = 500
        reading(meter, 0)
        counter.pulses = 3
        self.assertEqual(reading(meter, 1000), (None, contract.DEVICE_FAILURE))
        counter.pulses = 5
        self.assertAlmostEqual(reading(meter, 2000)[0], 7.2, delta=0.001)

    def test_pulse_same_time_twice_is_no_division(self):
        """A clock that stands still gives no rate."""
        meter = driver(Counter())
        reading(meter, 0)

        self.assertEqual(reading(meter, 0), (None, contract.WAITING_FOR_INITIAL_DATA))

    def test_pulse_count_beyond_31_bits_keeps_its_digits(self):
        """A meter that has run for years."""
        counter = Counter()
        meter = driver(counter)
        for second in range(20):
            counter.pulses = (1 << 40) + 2 * second
            got = reading(meter, (1 << 38) + 1000 * second)

        self.assertAlmostEqual(got[0], 7.2, delta=0.001)

    def test_pulse_with_impossible_settings_is_refused(self):
        """The k-factor, unit of time, maximum and window are checked."""
        for changes in (
            {"per_unit": 0},
            {"per": "d"},
            {"high": None},
            {"high": 0},
            {"window_ms": 0},
        ):
            with self.assertRaises(ValueError):
                driver(Counter(), **changes)
