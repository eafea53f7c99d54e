"""What smooths a reading or refuses it: median, average, rate gate, debounce.

A filter keeps its room from the start; feeding it allocates nothing but the result.
"""

from .constant import const

_MOST_VALUES = const(15)
_MS_PER_S = const(1000)


class Median:
    """The middle one of the last `size` values (odd, 3 to 15); until then, of those there are."""

    def __init__(self, size):
        if size not in range(3, _MOST_VALUES + 1, 2):
            raise ValueError("median {!r}: an odd number from 3 to 15, or 1 for none".format(size))
        self._ring = [0.0] * size
        self._sorted = [0.0] * size
        self.reset()

    def reset(self):
        """Forget all values."""
        self._count = 0
        self._next = 0

    def feed(self, value, up_ms):  # noqa: ARG002 - as every filter
        """Take a value in and return the median."""
        ring, ordered = self._ring, self._sorted
        ring[self._next] = value
        self._next = (self._next + 1) % len(ring)
        if self._count < len(ring):
            self._count += 1
        for index in range(self._count):
            item = ring[index]
            place = index
            while place and ordered[place - 1] > item:
                ordered[place] = ordered[place - 1]
                place -= 1
            ordered[place] = item
        # Of an even number the lower one: a value that was really read, never a mean.
        return ordered[(self._count - 1) // 2]


class Ema:
    """An exponential average with the time constant `tau_ms`, for rows at any distance."""

    def __init__(self, tau_ms):
        if not isinstance(tau_ms, int) or tau_ms <= 0:
            raise ValueError(
                "ema_ms {!r}: a time constant in whole ms, or 0 for none".format(tau_ms)
            )
        self._tau_ms = tau_ms
        self.reset()

    def reset(self):
        """Forget: the next value stands as it is."""
        self._value = None
        self._up_ms = 0

    def feed(self, value, up_ms):
        """Take a value in at `up_ms` and return the average."""
        if self._value is None:
            self._value = value
        else:
            dt_ms = up_ms - self._up_ms
            self._value += (value - self._value) * dt_ms / (self._tau_ms + dt_ms)
        self._up_ms = up_ms
        return self._value


class RateGate:
    """Refuses a value that moved faster than `per_s` units a second since the last accepted one.

    What stays away is true after all: `persist` refused values in a row that agree with each
    other are the new level.
    """

    def __init__(self, per_s, persist=3):
        if not per_s > 0:
            raise ValueError("rate {!r}: units a second, above 0".format(per_s))
        self._per_s = per_s
        self._persist = persist
        self.reset()

    def reset(self):
        """Forget: the next value is accepted."""
        self._value = None
        self._up_ms = 0
        self._other = None
        self._other_up_ms = 0
        self._refused = 0

    def accepts(self, value, up_ms):
        """Tell whether the value at `up_ms` is plausible beside those before."""
        if self._value is not None and not self._near(value, up_ms, self._value, self._up_ms):
            agrees = self._other is not None and self._near(
                value, up_ms, self._other, self._other_up_ms
            )
            self._refused = self._refused + 1 if agrees else 1
            self._other, self._other_up_ms = value, up_ms
            if self._refused < self._persist:
                return False
        self._value, self._up_ms = value, up_ms
        self._other = None
        self._refused = 0
        return True

    def _near(self, value, up_ms, other, other_up_ms):
        moved = value - other if value > other else other - value
        return moved * _MS_PER_S <= self._per_s * (up_ms - other_up_ms)
