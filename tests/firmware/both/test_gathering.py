"""Rows into messages."""

import unittest

from device.steamlink import contract
from device.steamlink.gathering import Gathering


def gathering(**changes):
    settings = {"rows": 3, "publish_ms": 2000, "heartbeat_ms": 60000}
    settings.update(changes)
    return Gathering(["a", "b"], **settings)


class Scarce:
    """Codes of a row; what makes a message of them finds no memory, `times` times."""

    def __init__(self, codes, times):
        self.codes = codes
        self.times = times

    def __iter__(self):
        if self.times:
            self.times -= 1
            raise MemoryError
        return iter(self.codes)

    def __getitem__(self, column):
        return self.codes[column]


class TestGathering(unittest.TestCase):
    def test_gathering_of_rows_counts_from_the_first(self):
        """The first row is at 0, the others at their distance to it."""
        rows = gathering()
        rows.add(1000, [1.0, 2.0], {})
        rows.add(2003, [1.5, None], {1: contract.NOT_CONNECTED})

        self.assertEqual(rows.take(), (1000, [[0, 1.0, 2.0], [1003, 1.5, None]], [(1, 1, 8)]))

    def test_gathering_when_taken_is_empty(self):
        """Nothing is handed over twice."""
        rows = gathering()
        rows.add(1000, [1.0, 2.0], {})
        rows.take()

        self.assertEqual(rows.take(), (None, [], []))
        self.assertFalse(rows.due(999999, True))

    def test_gathering_that_finds_no_memory_keeps_its_rows(self):
        """They are handed over whole as soon as there is memory, with the rows that came meanwhile."""
        rows = gathering()
        rows.add(1000, [1.0, 2.0], {0: 68}, urgent=True)
        rows.add(2000, [1.5, None], Scarce({1: 8}, 2))
        for _ in range(2):
            with self.assertRaises(MemoryError):
                rows.take()
            self.assertTrue(rows.due(2000, True))
        rows.add(3000, [1.6, 2.0], {})

        taken = [[0, 1.0, 2.0], [1000, 1.5, None], [2000, 1.6, 2.0]]
        self.assertEqual(rows.take(), (1000, taken, [(0, 0, 68), (1, 1, 8)]))
        self.assertEqual((rows.take(), rows.dropped), ((None, [], []), 0))

    def test_gathering_that_waited_long_hands_over_a_message_at_a_time(self):
        """What a shortage has piled up does not become one message that memory is too short for."""
        rows = gathering()
        for number in range(5):
            rows.add(1000 * number, [number, 0], {1: number}, urgent=number > 3)

        first = [[0, 0, 0], [1000, 1, 0], [2000, 2, 0]]
        self.assertEqual(rows.take(), (0, first, [(0, 1, 0), (1, 1, 1), (2, 1, 2)]))
        self.assertTrue(rows.due(4000, True))
        self.assertEqual(rows.take(), (3000, [[0, 3, 0], [1000, 4, 0]], [(0, 1, 3), (1, 1, 4)]))
        self.assertFalse(rows.due(4000, True))
        self.assertEqual(rows.take(), (None, [], []))

    def test_gathering_with_all_rows_is_due(self):
        """Online and offline."""
        for online in (False, True):
            rows = gathering(publish_ms=1000000)
            for number in range(3):
                self.assertFalse(rows.due(1000 + number, online))
                rows.add(1000 + number, [number, 0], {})
            self.assertTrue(rows.due(1003, online))

    def test_gathering_online_is_due_after_publish_time(self):
        """A live tile does not wait for six rows; offline the row waits longer, not for ever."""
        rows = gathering(hold_ms=30000)
        rows.add(1000, [1, 1], {})

        self.assertFalse(rows.due(2999, True))
        self.assertTrue(rows.due(3000, True))
        self.assertFalse(rows.due(3000, False))
        self.assertTrue(rows.due(31000, False))

    def test_gathering_online_waits_no_longer_than_offline(self):
        """A publish time of ten minutes does not keep ten minutes of rows in memory only."""
        rows = gathering(publish_ms=600000, hold_ms=30000)
        rows.add(1000, [1, 1], {})

        self.assertFalse(rows.due(30999, True))
        self.assertTrue(rows.due(31000, True))

    def test_gathering_with_urgent_row_is_due_at_once_online(self):
        """An alarm edge takes its row along."""
        rows = gathering()
        rows.add(1000, [1, 1], {})
        rows.add(1500, [1, 1], {}, urgent=True)

        self.assertTrue(rows.due(1500, True))
        self.assertFalse(rows.due(1500, False))
        self.assertEqual(len(rows.take()[1]), 2)
        rows.add(2000, [2, 1], {})
        self.assertFalse(rows.due(2000, True))

    def test_gathering_skips_row_within_deadband(self):
        """Beside the last row kept: a slow drift is seen once it left the deadband."""
        rows = gathering(deadbands={"a": 0.5})
        for number, value in enumerate((10.0, 10.3, 10.5, 10.6, 10.2)):
            rows.add(1000 * number, [value, 1], {})

        self.assertEqual(rows.take()[1], [[0, 10.0, 1], [3000, 10.6, 1]])
        self.assertEqual(rows.skipped, 3)

    def test_gathering_without_deadband_skips_only_equal_rows(self):
        """Any change counts."""
        rows = gathering()
        for number, value in enumerate((10.0, 10.0, 10.001)):
            rows.add(1000 * number, [value, 1], {})

        self.assertEqual(len(rows.take()[1]), 2)

    def test_gathering_keeps_row_after_heartbeat(self):
        """Nothing moved for a minute is told too."""
        rows = gathering()
        for up_ms in range(0, 121000, 1000):
            rows.add(up_ms, [1, 1], {})

        self.assertEqual([row[0] for row in rows.take()[1]], [0, 60000, 120000])

    def test_gathering_keeps_row_when_quality_changes(self):
        """The same value with another code, or none at all, is a change."""
        rows = gathering(rows=5, deadbands={"a": 5})
        rows.add(0, [1, 1], {})
        rows.add(1000, [1, 1], {0: 68})
        rows.add(2000, [None, 1], {0: 8})
        rows.add(3000, [None, 1], {0: 8})
        rows.add(4000, [1, 1], {})

        self.assertEqual([row[0] for row in rows.take()[1]], [0, 1000, 2000, 4000])

    def test_gathering_of_row_without_newer_time_drops_it(self):
        """Rows strictly increase, whatever the clock does."""
        rows = gathering()
        rows.add(1000, [1, 1], {})
        rows.add(1000, [2, 1], {})
        rows.add(900, [3, 1], {})

        self.assertEqual(len(rows.take()[1]), 1)
        self.assertEqual(rows.dropped, 2)

    def test_gathering_never_taken_is_bounded(self):
        """Beyond what a message may hold the oldest row goes, and is counted."""
        rows = gathering(rows=1000)
        for number in range(contract.MAX_ROWS + 7):
            rows.add(1000 * number, [number, 0], {})

        start_ms, taken, _ = rows.take()
        self.assertEqual((start_ms, len(taken), rows.dropped), (7000, contract.MAX_ROWS, 7))
        self.assertEqual(taken[0], [0, 7, 0])

    def test_gathering_quality_is_sorted_by_row_and_column(self):
        """The bytes of a message must not depend on the order of a dict."""
        rows = Gathering(["a", "b", "c"], 3, 1, 1)
        rows.add(0, [None, None, None], {2: 8, 0: 4, 1: 16})
        rows.add(1, [None, 1, 1], {0: 4})

        self.assertEqual(rows.take()[2], [(0, 0, 4), (0, 1, 16), (0, 2, 8), (1, 0, 4)])
