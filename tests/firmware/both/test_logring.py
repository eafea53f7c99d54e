"""The log in memory, and what is counted, on both interpreters."""

import unittest

from device.steamlink.clock import Clock
from device.steamlink.diag import Counters
from device.steamlink.hal import fake
from device.steamlink.logring import LogRing


class TestLogRing(unittest.TestCase):
    """A ring of four lines."""

    def setUp(self):
        self.board = fake.Board()
        self.log = LogRing(Clock(self.board), 4)
        self.log.note("start")

    def note(self, *texts):
        """Note each a second after the other."""
        for text in texts:
            self.board.advance(1000)
            self.log.note(text)

    def test_logring_lines_have_their_uptime_oldest_first(self):
        """Each line is "up_ms text"."""
        self.note("a", "b")

        self.assertEqual(self.log.lines(), ["0 start", "1000 a", "2000 b"])

    def test_logring_full_drops_the_oldest(self):
        """Memory is bounded."""
        self.note("a", "b", "c", "d", "e")

        self.assertEqual(self.log.lines(), ["2000 b", "3000 c", "4000 d", "5000 e"])

    def test_logring_repeated_text_is_counted_where_it_was_said_last(self):
        """A fault that comes each second pushes nothing out, even when two take turns."""
        self.note("x", "y", "x", "y", "x")

        self.assertEqual(self.log.lines(), ["0 start", "4000 y (x2)", "5000 x (x3)"])

    def test_logring_long_text_is_cut_and_stays_one_line(self):
        """120 characters, no control characters."""
        self.note("one\ntwo\x1b[2J" + "z" * 500)
        line = self.log.lines()[-1]

        self.assertEqual(line[:20], "1000 one two [2J" + "zzzz")
        self.assertEqual(len(line), 5 + 120)


class TestCounters(unittest.TestCase):
    """Counts by name."""

    def test_counters_add_up_by_name(self):
        """Each name has its own count."""
        counters = Counters()
        counters.add("lost")
        counters.add("lost", 4)
        counters.add("bytes", 10)

        self.assertEqual(counters.snapshot(), {"lost": 5, "bytes": 10})
        self.assertEqual((counters.get("lost"), counters.get("never")), (5, 0))

    def test_counters_beyond_64_names_count_as_other(self):
        """Names that come from outside cannot fill the memory, and nothing goes uncounted."""
        counters = Counters()
        for number in range(1000):
            counters.add("name{}".format(number))
        counts = counters.snapshot()

        self.assertEqual((len(counts), sum(counts.values())), (64, 1000))
        self.assertEqual(counts["other"], 1000 - 63)

    def test_counters_snapshot_is_a_copy(self):
        """What is sent does not change what is counted."""
        counters = Counters()
        counters.add("a")
        counters.snapshot()["a"] = 9

        self.assertEqual(counters.get("a"), 1)


if __name__ == "__main__":
    unittest.main()
