"""Calibration by one pair, two, and more."""

import unittest

from device.steamlink.calibration import Calibration


class TestCalibration(unittest.TestCase):
    def test_calibration_of_one_pair_shifts(self):
        """One pair is an offset."""
        self.assertAlmostEqual(Calibration([[100.0, 99.4]]).apply(50.0), 49.4, places=4)

    def test_calibration_of_two_pairs_is_a_line(self):
        """Zero and span, and the line goes on beyond both."""
        calibration = Calibration([[0, 1], [10, 21]])

        for read, true in ((0, 1), (10, 21), (5, 11), (-5, -9), (20, 41)):
            self.assertAlmostEqual(calibration.apply(read), true, places=4)

    def test_calibration_of_pieces_takes_the_piece_of_the_reading(self):
        """Between two points the line of those two; the last piece goes on."""
        calibration = Calibration([[0, 0], [10, 20], [30, 30]])

        for read, true in ((-1, -2), (5, 10), (10, 20), (20, 25), (30, 30), (50, 40)):
            self.assertAlmostEqual(calibration.apply(read), true, places=4)

    def test_calibration_of_bad_pairs_is_refused(self):
        """No pairs, too many, not rising, no numbers: each is told."""
        nan, inf = float("nan"), float("inf")
        for points in (
            [],
            [[number, number] for number in range(17)],
            [[1, 1], [1, 2]],
            [[2, 1], [1, 2]],
            [[1, 2, 3]],
            ["ab"],
            [[nan, 1]],
            [[1, nan]],
            [[1, inf]],
            [5],
        ):
            try:
                Calibration(points)
            except (ValueError, TypeError):
                continue
            self.fail(f"accepted {points}")
