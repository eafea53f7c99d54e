"""When the next attempt to connect comes, and how fast a backlog goes; pure, times are up ms."""

from .constant import const

_SLOW_MS = const(2000)
_SLOWEST_SHARE = const(8)
_ONE = const(1000)  # a message, in thousandths of a token


class Backoff:
    """The wait before the next attempt: full jitter over a ceiling that doubles each time.

    Full jitter spreads a thousand devices that lost the same broker (AWS Architecture Blog,
    "Exponential Backoff And Jitter", 2015). `random` gives a float in [0, 1).
    """

    def __init__(self, random, first_ms: int = 1000, most_ms: int = 120000) -> None:
        self._random = random
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._failures = 0

    def next_ms(self, least_ms: int = 0) -> int:
        """How long to wait now, at least `least_ms` more than nothing; the next ceiling doubles."""
        ceiling = min(self._most_ms, self._first_ms << min(self._failures, 20))
        self._failures += 1
        return least_ms + int(self._random() * ceiling)

    def reset(self) -> None:
        """An attempt succeeded."""
        self._failures = 0


class Pace:
    """A token bucket for the backlog: `per_s` messages a second, bursts of `burst`.

    Slow acknowledgements halve the rate, down to an eighth; quick ones bring it back, so that a
    backlog never stands in the way of live rows.
    """

    def __init__(self, per_s: int, up_ms: int, burst: int = 10, share: int = 1) -> None:
        self._per_s = per_s
        self._most = burst * _ONE
        self._tokens = self._most
        self._at = up_ms
        self._share = share

    def start_at(self, up_ms: int) -> None:
        """Nothing before `up_ms`."""
        self._at = up_ms
        self._tokens = _ONE

    def take(self, up_ms: int) -> bool:
        """Whether one more message may go now; it is counted as gone."""
        if up_ms > self._at:
            earned = (up_ms - self._at) * self._per_s // self._share
            self._tokens = min(self._most, self._tokens + earned)
            self._at = up_ms
        if up_ms < self._at or self._tokens < _ONE:
            return False
        self._tokens -= _ONE
        return True

    def wait_ms(self, up_ms: int) -> int:
        """How long until `take` may give one."""
        short = max(0, _ONE - self._tokens)
        return max(0, self._at - up_ms) + (short * self._share + self._per_s - 1) // self._per_s

    def acknowledged(self, after_ms: int) -> None:
        """A message was acknowledged so long after it went."""
        if after_ms > _SLOW_MS:
            self._share = min(_SLOWEST_SHARE, self._share * 2)
        elif self._share > 1 and after_ms < _SLOW_MS // 4:
            self._share -= 1
