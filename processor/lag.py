"""How far the evaluator's queue is behind."""

from datetime import datetime, timedelta

from bridge.clock import to_us

FRESH_S = 5.0
_FULL_FETCH = 50
_QUIET = timedelta(seconds=2)


class QueueLag:
    """The queue's lag in `seconds`, None while nothing is known of it.

    Until the queue was first found drained it is the age of the newest live row; later
    never more than the time since then, because a device's clock may be wrong. Drained
    is a queue that hands over few messages at once, if these are fresh, or does so for
    2 s: right after a connection a backlog may begin with a trickle.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._drained_at: datetime | None = None
        self._full_at: datetime | None = None

    def begin(self, now: datetime) -> None:
        """Know nothing: a connection was made, or another evaluator was active before."""
        self.seconds = self._drained_at = None
        self._full_at = now

    def fetched(self, messages: int, newest_us: int, now: datetime) -> None:
        """Take a fetch of so many messages; `newest_us` is the newest live row's time, or 0."""
        age_s = max(0.0, (to_us(now) - newest_us) / 1_000_000) if newest_us else 0.0
        is_fresh = newest_us > 0 and age_s < FRESH_S
        if messages >= _FULL_FETCH:
            self._full_at = now
        elif is_fresh or self._is_quiet(now) or (not messages and self._drained_at is not None):
            self._drained_at = now
        if self._drained_at is not None:
            self.seconds = min(age_s, (now - self._drained_at).total_seconds())
        elif newest_us:
            self.seconds = age_s

    def _is_quiet(self, now: datetime) -> bool:
        return self._full_at is not None and now - self._full_at >= _QUIET
