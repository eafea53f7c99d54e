"""What each role has done since it started, counted per batch and read at any time.

Every message ends in exactly one outcome. `Flow.identity()` states it as figures that
are counted apart from each other, so that a message lost or settled twice shows.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

BATCH_ROWS_BOUNDS = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0)
"""Upper bounds of the histogram of batch sizes, in rows."""

WRITE_SECONDS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of write times, in seconds."""

_NONE: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Identity:
    """That what came in equals what became of it: `received = sum of parts`."""

    role: str
    received: int
    parts: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether the figures agree and nothing was settled more often than it came."""
        return self.received == sum(self.parts.values()) and self.parts["in_flight"] >= 0

    def __str__(self) -> str:
        parts = " + ".join(f"{name} {count}" for name, count in self.parts.items())
        return f"{self.role}: received {self.received} {'=' if self.holds else '≠'} {parts}"


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """The figures of a flow at one moment."""

    received: int
    redelivered: int
    in_flight: int
    returned: int
    outcomes: Mapping[str, int]
    quarantined: Mapping[str, int]


class Flow:
    """The messages of one role: received, in flight, and what became of each.

    `outcomes` names the good ends ("stored"; "evaluated" and "duplicate"); quarantined and
    returned are the others. One lock a batch keeps a reader from seeing half an update.
    """

    def __init__(self, role: str, outcomes: tuple[str, ...]) -> None:
        self.role = role
        self._lock = threading.Lock()
        self._received = self._redelivered = self._in_flight = self._returned = 0
        self._outcomes = dict.fromkeys(outcomes, 0)
        self._quarantined: dict[str, int] = {}

    def receive(self, messages: int, redelivered: int = 0) -> None:
        """Count messages handed over by the broker, and how many of them not for the first time."""
        with self._lock:
            self._received += messages
            self._redelivered += redelivered
            self._in_flight += messages

    def settle(
        self,
        messages: int,
        outcomes: Mapping[str, int],
        quarantined: Mapping[str, int] = _NONE,
    ) -> None:
        """Count `messages` that are about to be acknowledged, and the end of each.

        `quarantined` maps reasons to messages that are in quarantine instead of processed
        (a copy kept of a processed message does not belong here). The ends must sum to
        `messages`; where they do not, `identity()` says so from then on.
        """
        with self._lock:
            self._in_flight -= messages
            for name, count in outcomes.items():
                self._outcomes[name] += count
            for reason, count in quarantined.items():
                self._quarantined[reason] = self._quarantined.get(reason, 0) + count

    def give_back(self, messages: int) -> None:
        """Count messages given back to the broker, or lost to it with the connection."""
        with self._lock:
            self._in_flight -= messages
            self._returned += messages

    @property
    def in_flight(self) -> int:
        """Messages handed over whose end is not yet known."""
        return self._in_flight

    def snapshot(self) -> FlowSnapshot:
        """All figures of one moment."""
        with self._lock:
            return FlowSnapshot(
                received=self._received,
                redelivered=self._redelivered,
                in_flight=self._in_flight,
                returned=self._returned,
                outcomes=dict(self._outcomes),
                quarantined=dict(self._quarantined),
            )

    def identity(self) -> Identity:
        """The statement that holds at any time, with the figures of this moment."""
        now = self.snapshot()
        parts = {
            **now.outcomes,
            "quarantined": sum(now.quarantined.values()),
            "in_flight": now.in_flight,
            "returned": now.returned,
        }
        return Identity(self.role, now.received, parts)


class Histogram:
    """How often a value fell below each bound; one writer, any number of readers."""

    def __init__(self, bounds: tuple[float, ...] = WRITE_SECONDS_BOUNDS) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """Observations up to each bound, then all of them (the form of Prometheus)."""
        sums, running = [], 0
        for count in list(self._counts):
            running += count
            sums.append(running)
        return sums


class RecorderCounters:
    """What a recorder has done; only the recorder's own threads write here.

    `lag_seconds` is the processing moment less the newest row's time at the last flush,
    `held_seconds` for how long store or quarantine have taken nothing (0: they do), `copied` the
    copies kept in quarantine of messages that were stored, `over_quota` quarantined
    messages that were counted only, because their device had filled its share, `roll_ups`
    the windows of roll-ups that were stored, `roll_up_behind_seconds` for how long they have
    been incomplete (0: all that is due is computed).
    """

    role = "record"

    def __init__(self) -> None:
        self.flow = Flow(self.role, ("stored",))
        self.write_seconds = Histogram()
        self.batch_rows = Histogram(BATCH_ROWS_BOUNDS)
        self.connected = False
        self.stalls = 0
        self.batches = self.rows = self.bytes = self.write_failures = 0
        self.copied = self.over_quota = 0
        self.roll_ups = self.roll_up_failures = 0
        self.lag_seconds = self.held_seconds = self.roll_up_behind_seconds = 0.0

    def settle(self, messages: int, stored: int, quarantined: Mapping[str, int] = _NONE) -> None:
        """Count the end of `messages`: stored, or quarantined by reason."""
        self.flow.settle(messages, {"stored": stored}, quarantined)

    def wrote(self, rows: int, written_bytes: int, seconds: float) -> None:
        """Count one batch that the store has taken."""
        self.batches += 1
        self.rows += rows
        self.bytes += written_bytes
        self.write_seconds.observe(seconds)
        self.batch_rows.observe(rows)


class EvaluatorCounters:
    """What an evaluator has done; only the evaluator's own threads write here.

    `lag_seconds` is the evaluation moment less the newest row's time, `held_seconds` the
    time spent waiting because results could not be published, `commands` the operators'
    commands taken, `active` whether this is the evaluator that is given messages. Probes among evaluators are no messages and are not counted.
    """

    role = "evaluate"

    def __init__(self) -> None:
        self.flow = Flow(self.role, ("evaluated", "duplicate"))
        self.rows = self.transitions = self.retroactive = 0
        self.publish_failures = self.live_published = self.commands = self.stalls = 0
        self.lag_seconds = self.held_seconds = 0.0
        self.connected = self.active = False

    def settle(
        self,
        messages: int,
        evaluated: int,
        duplicate: int = 0,
        quarantined: Mapping[str, int] = _NONE,
    ) -> None:
        """Count the end of `messages`: evaluated, known already, or quarantined by reason."""
        self.flow.settle(messages, {"evaluated": evaluated, "duplicate": duplicate}, quarantined)


class TargetCounters:
    """What became of the notifications for one target; `target` names it without secrets.

    `sent` counts notifications that the target accepted (one may tell several transitions),
    `failed` attempts that it did not, `retried` attempts after the first, `given_up`
    notifications noted as undeliverable, `waiting` transitions not yet delivered.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.sent = self.failed = self.retried = self.given_up = self.waiting = 0


class NotifierCounters:
    """What the notifier has done, per target."""

    role = "notify"

    def __init__(self) -> None:
        self.targets: dict[str, TargetCounters] = {}
        self.transitions = self.unrouted = self.duplicate = 0

    def target(self, name: str) -> TargetCounters:
        """The counters of a target, made when first asked for."""
        return self.targets.setdefault(name, TargetCounters(name))

    @property
    def notifications_sent(self) -> int:
        """Notifications that some target accepted."""
        return sum(target.sent for target in list(self.targets.values()))


class Counters:
    """The counters of the roles that this process plays."""

    def __init__(
        self,
        record: RecorderCounters | None = None,
        evaluate: EvaluatorCounters | None = None,
        notify: NotifierCounters | None = None,
    ) -> None:
        self.record = record
        self.evaluate = evaluate
        self.notify = notify

    def identities(self) -> list[Identity]:
        """The statement of each role that takes messages."""
        roles = (self.record, self.evaluate)
        return [role.flow.identity() for role in roles if role is not None]
