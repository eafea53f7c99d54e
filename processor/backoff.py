"""How long to wait before trying again: exponential with full jitter."""

import random


class Backoff:
    """Waits that double from `first_s` to `limit_s`, each drawn between half and whole."""

    def __init__(self, first_s: float, limit_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._rng = rng
        self._tries = 0

    def next_s(self) -> float:
        """The next wait in seconds."""
        ceiling = min(self._limit_s, self._first_s * 2.0 ** min(self._tries, 16))
        self._tries += 1
        return ceiling * (0.5 + self._rng.random() / 2)

    def reset(self) -> None:
        """Start from the first wait again, after a success."""
        self._tries = 0
