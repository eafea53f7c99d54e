"""What waits for one target: its own bounded queue, grouping and retries. Pure."""

from collections import deque

import msgspec

from bridge.records import AlarmEvent
from processor.backoff import Backoff
from processor.notifier.text import Subject

QUEUE_LIMIT = 5_000
"""How many may wait for one target; beyond that the least urgent is given up and noted."""

_GROUP_MOST = 500


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One subject on its way to one target; given up no earlier than `give_up_at_s`."""

    id: str
    subject: Subject
    give_up_at_s: float

    @property
    def priority(self) -> int:
        """The alarm's priority, 1 the most urgent; the processor's silence is as urgent."""
        return self.subject.priority if isinstance(self.subject, AlarmEvent) else 1


class TargetQueue:
    """Decides what is sent to one target and when; moments are monotonic seconds.

    Sent in order, one by one with `spacing_s` between; more than `group_above` waiting go
    together. A failure delays all that waits by the backoff.
    """

    def __init__(
        self, spacing_s: float, group_above: int, backoff: Backoff, limit: int = QUEUE_LIMIT
    ) -> None:
        self._spacing_s = spacing_s
        self._group_above = group_above
        self._backoff = backoff
        self._limit = limit
        self._waiting: deque[Waiting] = deque()
        self._sending = 0
        self._next_at_s = float("-inf")
        self.failures = 0
        self.failing_since_s: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, waiting: Waiting) -> Waiting | None:
        """Add to the end; returns the least urgent, now given up, where the queue was full.

        What is being sent at the moment is never the one given up.
        """
        full = len(self._waiting) >= self._limit and self._sending < len(self._waiting)
        self._waiting.append(waiting)
        return self._evict() if full else None

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until something may be sent, 0 for at once, None while nothing waits."""
        return max(0.0, self._next_at_s - now_s) if self._waiting else None

    def take(self) -> list[Waiting]:
        """What to send now as one notification; it stays here until `sent` or `failed`."""
        count = len(self._waiting)
        self._sending = min(count, _GROUP_MOST) if count > self._group_above else min(count, 1)
        return [self._waiting[index] for index in range(self._sending)]

    def sent(self, now_s: float) -> None:
        """The target accepted what was taken."""
        self._remove_taken()
        self._backoff.reset()
        self._next_at_s = now_s + self._spacing_s
        self.failures = 0
        self.failing_since_s = None

    def failed(self, now_s: float) -> list[Waiting]:
        """The target did not; returns what is given up now.

        That is what was taken and is too old, and the least urgent beyond the bound: while all that
        waits is on its way, `offer` has nothing that it could give up.
        """
        taken = self._remove_taken()
        given_up = [waiting for waiting in taken if now_s >= waiting.give_up_at_s]
        kept = [waiting for waiting in taken if now_s < waiting.give_up_at_s]
        self._waiting.extendleft(reversed(kept))
        while len(self._waiting) > self._limit:
            given_up.append(self._evict())
        self._next_at_s = now_s + max(self._spacing_s, self._backoff.next_s())
        self.failures += 1
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        return given_up

    def _evict(self) -> Waiting:
        """Take out the least urgent that is not being sent; of several, the oldest."""
        places = range(self._sending, len(self._waiting))
        place = max(places, key=lambda index: (self._waiting[index].priority, -index))
        evicted = self._waiting[place]
        del self._waiting[place]
        return evicted

    def _remove_taken(self) -> list[Waiting]:
        taken = [self._waiting.popleft() for _ in range(self._sending)]
        self._sending = 0
        return taken
