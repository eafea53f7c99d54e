"""What was lost, until it is told."""

from .constant import const

_MOST = const(32)


class Losses:
    """Counts lost messages; ranges of one boot are joined, beyond 32 boots only the count goes on."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges = []

    def add(self, boot: int, first: int, last: int, count: int) -> None:
        """`count` messages of a boot with seq from `first` to `last` are lost."""
        self.count += count
        self._join(boot, first, last, count)

    def _join(self, boot: int, first: int, last: int, count: int) -> None:
        ranges = self._ranges
        for index, known in enumerate(ranges):
            if known[0] == boot:
                first, last = min(first, known[1]), max(last, known[2])
                ranges[index] = (boot, first, last, known[3] + count)
                return
        if len(ranges) < _MOST:
            ranges.append((boot, first, last, count))

    def take(self) -> "list[tuple[int, int, int, int]]":
        """(boot, first seq, last seq, count) of what was lost since the last call."""
        ranges = self._ranges
        self._ranges = []
        return ranges

    def give_back(self, untold: "list[tuple[int, int, int, int]]") -> None:
        """Some that were taken could not be told: they come before what was lost since."""
        since, self._ranges = self._ranges, untold
        for lost in since:
            self._join(*lost)
