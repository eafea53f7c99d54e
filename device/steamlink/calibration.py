"""From what an instrument reads to what is true: straight lines between calibration points."""

from .constant import const

_PAIR = const(2)
_MOST_POINTS = const(16)
_INFINITY = float("inf")


class Calibration:
    """Pairs (read, true) as a certificate lists them.

    One pair shifts every reading; two give a line; more give pieces, and the first and last
    piece go on beyond their ends. ValueError for pairs that are no numbers or do not rise.
    """

    def __init__(self, points):
        if not 1 <= len(points) <= _MOST_POINTS:
            raise ValueError("calibrate: 1 to {} pairs [read, true]".format(_MOST_POINTS))
        before = -_INFINITY
        for pair in points:
            if not isinstance(pair, (list, tuple)) or len(pair) != _PAIR:
                raise ValueError("calibrate: {!r} is no pair [read, true]".format(pair))
            if not before < pair[0] < _INFINITY or not -_INFINITY < pair[1] < _INFINITY:
                raise ValueError("calibrate: {!r}: numbers, each read above the last".format(pair))
            before = pair[0]
        self._points = points

    def apply(self, value):
        """The true value of a reading, in the same unit."""
        points = self._points
        if len(points) == 1:
            return value + points[0][1] - points[0][0]
        piece = 1
        while piece < len(points) - 1 and value > points[piece][0]:
            piece += 1
        low, high = points[piece - 1], points[piece]
        return low[1] + (value - low[0]) * (high[1] - low[1]) / (high[0] - low[0])
