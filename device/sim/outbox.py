"""What a device has not yet got acknowledged: queues, the window in flight, honest counts."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

GREETINGS = ("birth", "state")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the contract, ready to send; `boot` and `seq` where it is numbered."""

    kind: str
    payload: bytes
    boot: int | None = None
    seq: int | None = None


@dataclass(slots=True)
class Entry:
    """A message on its way: first sent (epoch seconds), last sent (the caller's clock)."""

    order: int
    kind: str
    message: Message
    published_at: float | None = None
    sent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the messages, by kind where a kind matters.

    accepted = acknowledged + pending + dropped + superseded, at any time. `published` counts
    each message once, `resent` the further times it was sent. A message sent but not
    acknowledged before the connection broke may have arrived.
    """

    accepted: int = 0
    published: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    dropped: int = 0
    superseded: int = 0
    pending: int = 0
    connections: int = 0

    @property
    def total_published(self) -> int:
        """Messages sent at least once."""
        return sum(self.published.values())

    @property
    def total_acknowledged(self) -> int:
        """Messages for which the broker's PUBACK came."""
        return sum(self.acknowledged.values())

    @classmethod
    def sum(cls, parts: Iterable["Counts"]) -> "Counts":
        """Add up the counts of several links."""
        listed = list(parts)
        published: Counter[str] = Counter()
        acknowledged: Counter[str] = Counter()
        for part in listed:
            published.update(part.published)
            acknowledged.update(part.acknowledged)
        return cls(
            accepted=sum(part.accepted for part in listed),
            published=dict(published),
            acknowledged=dict(acknowledged),
            resent=sum(part.resent for part in listed),
            dropped=sum(part.dropped for part in listed),
            superseded=sum(part.superseded for part in listed),
            pending=sum(part.pending for part in listed),
            connections=sum(part.connections for part in listed),
        )


class Outbox:
    """The messages of one device until they are acknowledged. Pure, and not thread-safe.

    Greetings (birth, state) of a connection go first, live messages next, the backlog of
    an outage last, oldest first, at most `backlog_per_s`. A broken connection turns what
    was live into backlog, and data into hist; its unacknowledged greetings are superseded
    by those of the next. At most `limit` messages wait, beyond that `full` says so.
    """

    def __init__(self, *, limit: int, window: int, backlog_per_s: float | None = None) -> None:
        self._limit = limit
        self._window = window
        self._backlog_pause_s = 1 / backlog_per_s if backlog_per_s else 0.0
        self._backlog_at = float("-inf")
        self._order = 0
        self._greetings: deque[Entry] = deque()
        self._live: deque[Entry] = deque()
        self._backlog: deque[Entry] = deque()
        self._in_flight: dict[int, Entry] = {}
        self._losses: list[tuple[int, int]] = []
        self._published: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._accepted = self._resent = self._dropped = self._superseded = 0

    def put(self, message: Message, *, live: bool) -> None:
        """Take a message; one that is not `live` goes to the backlog."""
        self._order += 1
        self._accepted += 1
        entry = Entry(self._order, message.kind, message)
        if message.kind in GREETINGS:
            self._greetings.append(entry)
        elif live:
            self._live.append(entry)
        else:
            entry.kind = _late_kind(message.kind)
            self._backlog.append(entry)

    def drop_oldest(self) -> None:
        """Give up the oldest message that waits, and remember its number as lost."""
        queue = self._backlog or self._live
        if not queue:
            return
        message = queue.popleft().message
        self._dropped += 1
        if message.boot is not None and message.seq is not None:
            self._losses.append((message.boot, message.seq))

    def take_losses(self) -> list[tuple[int, int]]:
        """The (boot, seq) given up since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def next(self, now_s: float) -> Entry | None:
        """The next message to send, or None; the caller sends it and says `sent`."""
        if self._greetings:
            return self._greetings.popleft()
        if len(self._in_flight) >= self._window:
            return None
        if self._live:
            return self._live.popleft()
        if self._backlog and now_s >= self._backlog_at:
            self._backlog_at = max(now_s, self._backlog_at) + self._backlog_pause_s
            return self._backlog.popleft()
        return None

    def sent(self, packet_id: int, entry: Entry, *, now_s: float, published_at: float) -> None:
        """Say that an entry was handed to the connection, now by both clocks."""
        entry.sent_s = now_s
        if entry.published_at is None:
            entry.published_at = published_at
            self._published[entry.kind] += 1
        else:
            self._resent += 1
        self._in_flight[packet_id] = entry

    def in_flight(self, packet_id: int) -> Entry | None:
        """The entry that was sent under a packet id and is not acknowledged."""
        return self._in_flight.get(packet_id)

    def acknowledge(self, packet_id: int) -> None:
        """The broker took the entry of this packet id, which is in flight."""
        entry = self._in_flight.pop(packet_id)
        self._acknowledged[entry.kind] += 1

    def disconnected(self) -> None:
        """The connection is gone: all that is not acknowledged waits for the next."""
        waiting = [*self._in_flight.values(), *self._greetings, *self._live, *self._backlog]
        self._in_flight.clear()
        self._greetings.clear()
        self._live.clear()
        kept = [entry for entry in waiting if entry.kind not in GREETINGS]
        self._superseded += len(waiting) - len(kept)
        for entry in kept:
            entry.kind = _late_kind(entry.kind)
        self._backlog = deque(sorted(kept, key=lambda entry: entry.order))

    @property
    def full(self) -> bool:
        """Whether `limit` messages wait to be sent."""
        return len(self._live) + len(self._backlog) >= self._limit

    @property
    def roomy(self) -> bool:
        """Whether half the room is free: time to tell who waits for some."""
        return len(self._live) + len(self._backlog) <= self._limit // 2

    @property
    def pending(self) -> int:
        """Messages not yet acknowledged, waiting or in flight."""
        waiting = len(self._greetings) + len(self._live) + len(self._backlog)
        return waiting + len(self._in_flight)

    def oldest(self) -> tuple[int, int] | None:
        """The lowest (boot, seq) not yet acknowledged."""
        numbers = [
            (entry.message.boot, entry.message.seq)
            for queue in (self._in_flight.values(), self._live, self._backlog)
            for entry in queue
            if entry.message.boot is not None and entry.message.seq is not None
        ]
        return min(numbers, default=None)

    def sent_longest_ago(self) -> float | None:
        """When the first entry still in flight was sent, by the caller's clock."""
        return next((entry.sent_s for entry in self._in_flight.values()), None)

    def counts(self, connections: int = 0) -> Counts:
        """A copy of the counts."""
        return Counts(
            accepted=self._accepted,
            published=dict(self._published),
            acknowledged=dict(self._acknowledged),
            resent=self._resent,
            dropped=self._dropped,
            superseded=self._superseded,
            pending=self.pending,
            connections=connections,
        )


def _late_kind(kind: str) -> str:
    return "hist" if kind == "data" else kind
