"""Rows into messages."""

import unittest

from device.steamlink import contract
from device.steamlink.batching import Batcher


def batcher(**changes):
    settings = {"rows": 3, "publish_ms": 2000, "heartbeat_ms": 60000}
    settings.update(changes)
    return Batcher(["a", "b"], **settings)


class TestBatching(unittest.TestCase):
    def test_batch_of_rows_counts_from_the_first(self):
        """The first row is at 0, the others at their distance to it."""
        batch = batcher()
        batch.add(1000, [1.0, 2.0], {})
        batch.add(2003, [1.5, None], {1: contract.NOT_CONNECTED})

        self.assertEqual(batch.take(), (1000, [[0, 1.0, 2.0], [1003, 1.5, None]], [(1, 1, 8)]))

    def test_batch_when_taken_is_empty(self):
        """Nothing is handed over twice."""
        batch = batcher()
        batch.add(1000, [1.0, 2.0], {})
        batch.take()

        self.assertEqual(batch.take(), (None, [], []))
        self.assertFalse(batch.due(999999, True))

    def test_batch_with_all_rows_is_due(self):
        """Online and offline."""
        for online in (False, True):
            batch = batcher(publish_ms=1000000)
            for number in range(3):
                self.assertFalse(batch.due(1000 + number, online))
                batch.add(1000 + number, [number, 0], {})
            self.assertTrue(batch.due(1003, online))

    def test_batch_online_is_due_after_publish_time(self):
        """A live tile does not wait for six rows; offline the row waits longer, not for ever."""
        batch = batcher(hold_ms=30000)
        batch.add(1000, [1, 1], {})

        self.assertFalse(batch.due(2999, True))
        self.assertTrue(batch.due(3000, True))
        self.assertFalse(batch.due(3000, False))
        self.assertTrue(batch.due(31000, False))

    def test_batch_online_waits_no_longer_than_offline(self):
        """A publish time of ten minutes does not keep ten minutes of rows in memory only."""
        batch = batcher(publish_ms=600000, hold_ms=30000)
        batch.add(1000, [1, 1], {})

        self.assertFalse(batch.due(30999, True))
        self.assertTrue(batch.due(31000, True))

    def test_batch_with_urgent_row_is_due_at_once_online(self):
        """An alarm edge takes its row along."""
        batch = batcher()
        batch.add(1000, [1, 1], {})
        batch.add(1500, [1, 1], {}, urgent=True)

        self.assertTrue(batch.due(1500, True))
        self.assertFalse(batch.due(1500, False))
        self.assertEqual(len(batch.take()[1]), 2)
        batch.add(2000, [2, 1], {})
        self.assertFalse(batch.due(2000, True))

    def test_batch_skips_row_within_deadband(self):
        """Beside the last row kept: a slow drift is seen once it left the deadband."""
        batch = batcher(deadbands={"a": 0.5})
        for number, value in enumerate((10.0, 10.3, 10.5, 10.6, 10.2)):
            batch.add(1000 * number, [value, 1], {})

        self.assertEqual(batch.take()[1], [[0, 10.0, 1], [3000, 10.6, 1]])
        self.assertEqual(batch.skipped, 3)

    def test_batch_without_deadband_skips_only_equal_rows(self):
        """Any change counts."""
        batch = batcher()
        for number, value in enumerate((10.0, 10.0, 10.001)):
            batch.add(1000 * number, [value, 1], {})

        self.assertEqual(len(batch.take()[1]), 2)

    def test_batch_keeps_row_after_heartbeat(self):
        """Nothing moved for a minute is told too."""
        batch = batcher()
        for up_ms in range(0, 121000, 1000):
            batch.add(up_ms, [1, 1], {})

        self.assertEqual([row[0] for row in batch.take()[1]], [0, 60000, 120000])

    def test_batch_keeps_row_when_quality_changes(self):
        """The same value with another code, or none at all, is a change."""
        batch = batcher(deadbands={"a": 5})
        batch.add(0, [1, 1], {})
        batch.add(1000, [1, 1], {0: 68})
        batch.add(2000, [None, 1], {0: 8})
        batch.add(3000, [None, 1], {0: 8})
        batch.add(4000, [1, 1], {})

        self.assertEqual([row[0] for row in batch.take()[1]], [0, 1000, 2000, 4000])

    def test_batch_of_row_without_newer_time_drops_it(self):
        """Rows strictly increase, whatever the clock does."""
        batch = batcher()
        batch.add(1000, [1, 1], {})
        batch.add(1000, [2, 1], {})
        batch.add(900, [3, 1], {})

        self.assertEqual(len(batch.take()[1]), 1)
        self.assertEqual(batch.dropped, 2)

    def test_batch_never_taken_is_bounded(self):
        """Beyond what a message may hold the oldest row goes, and is counted."""
        batch = batcher(rows=1000)
        for number in range(contract.MAX_ROWS + 7):
            batch.add(1000 * number, [number, 0], {})

        start_ms, rows, _ = batch.take()
        self.assertEqual((start_ms, len(rows), batch.dropped), (7000, contract.MAX_ROWS, 7))
        self.assertEqual(rows[0], [0, 7, 0])

    def test_batch_quality_is_sorted_by_row_and_column(self):
        """The bytes of a message must not depend on the order of a dict."""
        batch = Batcher(["a", "b", "c"], 3, 1, 1)
        batch.add(0, [None, None, None], {2: 8, 0: 4, 1: 16})
        batch.add(1, [None, 1, 1], {0: 4})

        self.assertEqual(batch.take()[2], [(0, 0, 4), (0, 1, 16), (0, 2, 8), (1, 0, 4)])
