"""Fakes that implement the processor's ports, for tests of the loops around them."""

from datetime import UTC, datetime, timedelta

from processor.delivery import Delivery, Origin
from processor.results import PublishFailed

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeSource:
    """Hands over what was put in; remembers up to where it was acknowledged."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.acknowledged = 0
        self.acknowledged_alone = []
        self.attended = 0
        self.handed_back = 0
        self.number = 0
        self.closed = False
        self.connected = True
        self.connections = 1
        self.stalls = 0

    def put(
        self,
        routing_key: str,
        body: bytes,
        *,
        redelivered: bool = False,
        origin: Origin = Origin.DEVICE,
    ) -> int:
        self.number += 1
        self.waiting.append(Delivery(self.number, routing_key, body, redelivered, origin))
        return self.number

    def open(self) -> None:
        self.closed = False

    def fetch(self, timeout_s: float) -> list[Delivery]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def attend(self, timeout_s: float) -> None:
        self.attended += 1

    def acknowledge(self, number: int) -> None:
        assert number >= self.acknowledged
        self.acknowledged = number

    def acknowledge_one(self, number: int) -> None:
        assert number > self.acknowledged
        assert number not in self.acknowledged_alone
        self.acknowledged_alone.append(number)

    def hand_back(self) -> None:
        self.handed_back += 1

    def wake(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class FakeQuarantine:
    """Keeps bad messages in a list, at most `room`; fails as often as told first."""

    def __init__(self, failures: int = 0, room: int = 1_000_000) -> None:
        self.kept = []
        self.failures = failures
        self.room = room

    def open(self) -> None:
        pass

    def put(self, messages) -> set[int]:
        if self.failures:
            self.failures -= 1
            raise PublishFailed("the quarantine is away")
        fitting = max(0, self.room - len(self.kept))
        self.kept += messages[:fitting]
        return set(range(fitting, len(messages)))

    def close(self) -> None:
        pass


class FakeResults:
    """Keeps published events; fails as often as told first.

    Unless `alone`, there may be other evaluators, and probes are counted.
    """

    def __init__(self, failures: int = 0, *, alone: bool = True) -> None:
        self.published = []
        self.unstored = []
        self.beats = []
        self.failures = failures
        self.alone = alone
        self.probes = 0

    def open(self) -> None:
        pass

    def publish(self, events) -> None:
        if self.failures:
            self.failures -= 1
            raise PublishFailed("the broker is away")
        self.published += events

    def pending(self):
        return list(self.unstored)

    def heartbeat(self, at_us: int) -> None:
        self.beats.append(at_us)

    def probe(self) -> bool:
        self.probes += not self.alone
        return not self.alone

    def close(self) -> None:
        pass


class FakeLiveOut:
    """Keeps what was shown and commanded."""

    def __init__(self) -> None:
        self.shown = []
        self.commands = []

    def open(self) -> None:
        pass

    def show(self, live) -> None:
        self.shown.append(live)

    def command(self, site, device, cmd) -> None:
        self.commands.append((site, device, cmd))

    def close(self) -> None:
        pass
