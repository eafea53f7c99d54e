"""Median, average and rate gate."""

import unittest

from device.steamlink import filters


class TestFilters(unittest.TestCase):
    def test_median_of_three_with_spike_gives_middle(self):
        """One wild value never comes out."""
        median = filters.Median(3)

        self.assertEqual([median.feed(v, 0) for v in (5, 900, 6, 7, -3)], [5, 5, 6, 7, 6])

    def test_median_of_five_is_that_of_sorting(self):
        """For any order of values it is what sorting the last five gives."""
        median, values, seed = filters.Median(5), [], 7
        for _ in range(200):
            seed = seed * 75 % 65537
            values.append(seed % 100)
            got = median.feed(values[-1], 0)
            last = sorted(values[-5:])
            self.assertEqual(got, last[(len(last) - 1) // 2])

    def test_median_after_reset_forgets(self):
        """After a reset the first value stands."""
        median = filters.Median(3)
        median.feed(1, 0)
        median.feed(1, 0)
        median.reset()

        self.assertEqual(median.feed(50, 0), 50)

    def test_median_of_even_size_is_refused(self):
        """There is no middle of an even number, and none of one is needed."""
        for size in (0, 1, 2, 4, 17, "3", None):
            with self.assertRaises(ValueError):
                filters.Median(size)

    def test_ema_after_one_time_constant_has_gone_half_way(self):
        """A step of tau moves it half way to the value."""
        ema = filters.Ema(1000)
        ema.feed(0.0, 5000)

        self.assertAlmostEqual(ema.feed(10.0, 6000), 5.0, places=5)

    def test_ema_of_constant_stays(self):
        """A constant comes out as itself."""
        ema = filters.Ema(3000)

        for up_ms in range(0, 60000, 1000):
            self.assertAlmostEqual(ema.feed(7.25, up_ms), 7.25, places=5)

    def test_ema_with_up_time_of_years_keeps_its_digits(self):
        """Time stays a whole number: after three years a second is still a second."""
        ema, start = filters.Ema(1000), 100000000000
        ema.feed(0.0, start)

        self.assertAlmostEqual(ema.feed(10.0, start + 1000), 5.0, places=5)

    def test_ema_of_no_time_constant_is_refused(self):
        """Zero is no filter, a negative or broken one is a mistake."""
        for tau_ms in (0, -5, 1.5, "1"):
            with self.assertRaises(ValueError):
                filters.Ema(tau_ms)

    def test_rate_gate_of_slow_change_accepts(self):
        """What moves as fast as allowed passes."""
        gate = filters.RateGate(1.0)

        self.assertTrue(gate.accepts(10.0, 0))
        self.assertTrue(gate.accepts(11.0, 1000))
        self.assertTrue(gate.accepts(10.0, 2000))

    def test_rate_gate_of_spike_refuses_it_alone(self):
        """A jump is refused and the value after it is judged beside the one before it."""
        gate = filters.RateGate(1.0)
        gate.accepts(10.0, 0)

        self.assertFalse(gate.accepts(90.0, 1000))
        self.assertTrue(gate.accepts(10.5, 2000))

    def test_rate_gate_of_new_level_accepts_third(self):
        """Three values in a row that agree are the truth."""
        gate = filters.RateGate(1.0)
        gate.accepts(10.0, 0)

        self.assertFalse(gate.accepts(90.0, 1000))
        self.assertFalse(gate.accepts(90.2, 2000))
        self.assertTrue(gate.accepts(90.1, 3000))
        self.assertTrue(gate.accepts(90.3, 4000))

    def test_rate_gate_of_scattered_values_refuses_all(self):
        """Values that do not agree with each other never become a level."""
        gate = filters.RateGate(0.1)
        gate.accepts(10.0, 0)

        for number, value in enumerate((90.0, -90.0, 70.0, -70.0, 50.0, -50.0)):
            self.assertFalse(gate.accepts(value, 1000 * number + 1000))

    def test_rate_gate_without_rate_is_refused(self):
        """A rate of nothing would refuse everything."""
        with self.assertRaises(ValueError):
            filters.RateGate(0)
