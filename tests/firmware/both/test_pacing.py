"""When a device tries again and how fast its backlog goes, on both interpreters."""

import unittest

from device.steamlink.pacing import Backoff, Pace


class TestBackoff(unittest.TestCase):
    """The wait before the next attempt."""

    def test_backoff_ceiling_doubles_up_to_its_most(self):
        """With the highest draw the waits are the ceilings: 1, 2, 4 ... 120 s."""
        backoff = Backoff(lambda: 0.999999)

        waits = [round(backoff.next_ms() / 1000) for _ in range(10)]

        self.assertEqual(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120, 120])

    def test_backoff_draw_of_nothing_waits_nothing(self):
        """Full jitter begins at zero, so that a fleet spreads over the whole span."""
        self.assertEqual(Backoff(lambda: 0.0).next_ms(), 0)

    def test_backoff_after_success_begins_anew(self):
        """A connection that held makes the next wait short again."""
        backoff = Backoff(lambda: 0.999999)
        for _ in range(6):
            backoff.next_ms()

        backoff.reset()

        self.assertEqual(round(backoff.next_ms() / 1000), 1)

    def test_backoff_least_is_added(self):
        """A refusal waits longer, whatever is drawn."""
        self.assertEqual(Backoff(lambda: 0.0).next_ms(30000), 30000)

    def test_backoff_after_thousand_failures_stays_bounded(self):
        """The doubling does not grow a number without end."""
        backoff = Backoff(lambda: 0.5)
        for _ in range(1000):
            wait_ms = backoff.next_ms()

        self.assertEqual(wait_ms, 60000)


def sent(pace, from_ms, to_ms, step_ms=10):
    return sum(1 for up_ms in range(from_ms, to_ms, step_ms) if pace.take(up_ms))


class TestPace(unittest.TestCase):
    """The backlog's speed."""

    def test_pace_burst_then_rate_per_second(self):
        """Ten at once, then five a second: 60 in ten seconds."""
        pace = Pace(5, 0)

        self.assertEqual(sent(pace, 0, 10), 1)
        self.assertTrue(55 <= sent(pace, 10, 10010) + 1 <= 60)

    def test_pace_before_its_start_gives_nothing(self):
        """A fleet that comes back together begins at different times."""
        pace = Pace(5, 0)
        pace.start_at(3000)

        self.assertEqual(sent(pace, 0, 3000), 0)
        self.assertTrue(pace.take(3000))

    def test_pace_slow_acknowledgements_slow_it_down(self):
        """A broker that takes 3 s for each gets an eighth of the rate."""
        pace = Pace(8, 0)
        sent(pace, 0, 2000)
        for _ in range(5):
            pace.acknowledged(3000)
        sent(pace, 2000, 12000)

        self.assertTrue(9 <= sent(pace, 12000, 22000) <= 11)

    def test_pace_quick_acknowledgements_bring_the_rate_back(self):
        """Once the broker is quick again the whole rate is used."""
        pace = Pace(5, 0)
        for _ in range(5):
            pace.acknowledged(3000)
        for _ in range(10):
            pace.acknowledged(50)
        sent(pace, 0, 10000)

        self.assertTrue(49 <= sent(pace, 10000, 20000) <= 51)

    def test_pace_wait_is_long_enough_and_no_longer(self):
        """After the told wait one may go, just before it none."""
        pace = Pace(5, 0)
        sent(pace, 0, 1000)
        wait_ms = pace.wait_ms(1000)

        self.assertFalse(pace.take(1000 + wait_ms - 20))
        self.assertTrue(pace.take(1000 + wait_ms))
