"""How much steam the plant asks for: shifts, batch consumers and restlessness."""

import math
from itertools import pairwise
from random import Random

_DAY_S = 86_400
_WEEKDAY = (
    (0.0, 0.34),
    (5.0, 0.34),
    (6.2, 0.62),
    (8.0, 0.72),
    (11.4, 0.74),
    (12.1, 0.50),
    (13.2, 0.70),
    (17.0, 0.72),
    (18.5, 0.55),
    (21.5, 0.52),
    (22.5, 0.36),
    (24.0, 0.34),
)
_WEEKEND = ((0.0, 0.20), (7.0, 0.22), (10.0, 0.30), (18.0, 0.26), (24.0, 0.20))
_SATURDAY = 5
_UNREST_S = 150.0
_SHIFT_LAG_S = 600.0
_BATCHES = ((0.06, 900.0, 1500.0), (0.05, 480.0, 1200.0), (0.08, 1500.0, 4200.0))


def weekday(epoch_s: float) -> int:
    """Day of the week of an instant, Monday is 0 (1970-01-01 was a Thursday)."""
    return (int(epoch_s // _DAY_S) + 3) % 7


def shift_share(local_s: float) -> float:
    """Share of the boiler's capacity that the shifts ask for at a local time (epoch seconds)."""
    profile = _WEEKEND if weekday(local_s) >= _SATURDAY else _WEEKDAY
    hour = local_s % _DAY_S / 3600
    for (h0, s0), (h1, s1) in pairwise(profile):
        if hour <= h1:
            return s0 + (s1 - s0) * (hour - h0) / (h1 - h0)
    return profile[-1][1]


class Demand:
    """Steam demand of one boiler: `share` of its capacity.

    Each batch consumer (share, mean seconds on, mean seconds off) opens and closes its
    valve at random and so makes the steps that swell the level.
    """

    def __init__(
        self, rng: Random, *, epoch_s: float, local_offset_s: float, scale: float = 1.0
    ) -> None:
        self._rng = rng
        self._offset_s = local_offset_s
        self._scale = scale
        self._unrest = 0.0
        self._base = shift_share(epoch_s + local_offset_s)
        self._on = [rng.random() < on_s / (on_s + off_s) for _, on_s, off_s in _BATCHES]
        self.share = 0.5
        self.step(0.0, epoch_s)

    def step(self, dt_s: float, epoch_s: float) -> None:
        """Move on by `dt_s` to the instant `epoch_s` (UTC)."""
        shift = shift_share(epoch_s + self._offset_s)
        # A shift comes and goes within minutes, not at the stroke of the clock.
        self._base += (shift - self._base) * min(1.0, dt_s / _SHIFT_LAG_S)
        base = self._base
        batches = 0.0
        for index, (share, on_s, off_s) in enumerate(_BATCHES):
            mean_s = on_s if self._on[index] else off_s
            if self._rng.random() < dt_s / mean_s:
                self._on[index] = not self._on[index]
            if self._on[index]:
                batches += share
        noise = self._rng.gauss(0.0, 1.0)
        self._unrest += -self._unrest * dt_s / _UNREST_S + noise * math.sqrt(2 * dt_s / _UNREST_S)
        share = base * (1 + 0.025 * self._unrest) + batches * base / 0.7
        self.share = min(1.0, max(0.02, self._scale * share))
