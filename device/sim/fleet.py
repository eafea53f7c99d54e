"""N simulated boilers, each with its device and its connection, in real or sped-up time."""

import heapq
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

import structlog

from device.sim.design import DESIGNS
from device.sim.device import DeviceConfig, SimulatedDevice
from device.sim.faults import Fault
from device.sim.link import Acknowledged, Link, LinkConfig
from device.sim.outbox import Counts, Message

log = structlog.get_logger(__name__)

_PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """Which devices run, how fast, from when, with which faults, and how they connect.

    `speed` 1 is real time, 60 a minute a second, 0 as fast as the broker acknowledges.
    `start_at` (aware) is the simulation's first instant: None is now, or, when it runs faster
    and for a known time, so long ago that it ends in the present. `link` is the pattern of
    every connection; each device puts in its own username and password. Before the first row
    it waits `connect_wait_s` for the connections, after the last `drain_s` for PUBACKs, then
    each link takes at most `close_s` to say goodbye.
    """

    devices: tuple[DeviceConfig, ...]
    link: LinkConfig = field(default_factory=LinkConfig)
    seed: int = 1
    speed: float = 1.0
    start_at: datetime | None = None
    faults: tuple[Fault, ...] = ()
    connect_wait_s: float = 10.0
    drain_s: float = 10.0
    close_s: float = 5.0

    def __post_init__(self) -> None:
        names = [device.device for device in self.devices]
        if not names or len(set(names)) != len(names):
            raise ValueError("a fleet has at least one device, and each name once")
        if self.speed < 0:
            raise ValueError(f"speed {self.speed}; 1 is real time, 0 as fast as possible")
        if self.start_at is not None and self.start_at.tzinfo is None:
            raise ValueError("start_at needs a time zone")
        for fault in self.faults:
            if fault.device is not None and fault.device not in names:
                raise ValueError(
                    f"fault {fault.kind}: no device {fault.device!r}; there are {', '.join(names)}"
                )


def device_configs(
    count: int, *, site: str = "plant", prefix: str = "boiler-", period_ms: int = 1000
) -> tuple[DeviceConfig, ...]:
    """Devices boiler-01, boiler-02, ..., whose boilers take the designs in turn."""
    designs = tuple(DESIGNS)
    return tuple(
        DeviceConfig(
            site=site,
            device=f"{prefix}{index + 1:02}",
            design=designs[index % len(designs)],
            period_ms=period_ms,
        )
        for index in range(count)
    )


class Fleet:
    """Runs the devices of a configuration: `run` here, or `start` and `stop` in a thread.

    `on_acknowledged` is called for each PUBACK with topic, payload, boot, seq and the first
    publish time (epoch seconds), from the threads of the links.
    """

    def __init__(self, config: FleetConfig, *, on_acknowledged: Acknowledged | None = None) -> None:
        self.config = config
        self._on_acknowledged = on_acknowledged
        self._members: list[tuple[SimulatedDevice, Link]] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start, for ever."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def devices(self) -> list[SimulatedDevice]:
        """The devices, once started."""
        return [device for device, _ in self._members]

    def counts(self) -> Counts:
        """What became of the messages of all devices so far."""
        return Counts.sum(link.counts() for _, link in self._members)

    def counts_by_device(self) -> dict[str, Counts]:
        """What became of the messages, by device."""
        return {device.config.device: link.counts() for device, link in self._members}

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until every device is connected; False after `timeout_s`."""
        until = time.monotonic() + timeout_s
        return all(
            link.wait_connected(max(0.0, until - time.monotonic())) for _, link in self._members
        )

    def start(self, run_for_s: float | None = None) -> None:
        """Run in a thread, for `run_for_s` seconds of the simulation or until `stop`."""
        self._open(run_for_s)
        self._thread = threading.Thread(
            target=self._live, args=(run_for_s,), name="fleet", daemon=True
        )
        self._thread.start()

    def stop(self) -> Counts:
        """End in order: let what was sent be acknowledged, say stopped, disconnect."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        return self.counts()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for a run of known length to end; False after `timeout_s`."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def run(self, run_for_s: float | None = None) -> Counts:
        """Run here, for `run_for_s` seconds of the simulation or until `stop` elsewhere."""
        self._open(run_for_s)
        self._live(run_for_s)
        return self.counts()

    def _open(self, run_for_s: float | None) -> None:
        config = self.config
        start_ms = self._start_ms(run_for_s)
        for index, each in enumerate(config.devices):
            device = SimulatedDevice(
                each, seed=config.seed, start_ms=start_ms, faults=config.faults
            )
            pattern = replace(
                config.link,
                username=each.username or config.link.username,
                password=each.password if each.username else config.link.password,
                when_full="drop_oldest" if config.speed == 1 else "wait",
            )
            link = Link(
                pattern,
                device.session,
                on_acknowledged=self._on_acknowledged,
                seed=config.seed + index,
            )
            self._members.append((device, link))
        for _, link in self._members:
            link.open()

    def _start_ms(self, run_for_s: float | None) -> int:
        config = self.config
        if config.start_at is not None:
            return round(config.start_at.timestamp() * 1000)
        now_ms = round(datetime.now(UTC).timestamp() * 1000)
        if config.speed == 1:
            return now_ms
        if run_for_s is None:
            raise ValueError("faster than real time needs start_at, or a time to run for")
        return now_ms - round(1000 * run_for_s)

    def _live(self, run_for_s: float | None) -> None:
        try:
            if not self.wait_connected(self.config.connect_wait_s):
                log.warning("devices run without a broker for now", devices=len(self._members))
            if self.config.speed == 1 and self.config.start_at is None:
                now_ms = round(datetime.now(UTC).timestamp() * 1000)
                for device, _ in self._members:
                    device.begin(now_ms)
            self._pace(run_for_s)
            for device, link in self._members:
                self._publish(link, device.flush())
            self._drain()
        finally:
            for _, link in self._members:
                link.close(self.config.close_s)

    def _pace(self, run_for_s: float | None) -> None:
        """Let each device take its steps when they are due."""
        began = time.monotonic()
        for at_ms, device, link in self._steps(run_for_s):
            if self.config.speed:
                wait_s = began + at_ms / 1000 / self.config.speed - time.monotonic()
                if wait_s > 0:
                    self._stopping.wait(wait_s)
            if self._stopping.is_set():
                return
            self._step(device, link)

    def _steps(self, run_for_s: float | None) -> Iterator[tuple[int, SimulatedDevice, Link]]:
        """The steps of all devices in the order of simulated time."""
        last_ms = float("inf") if run_for_s is None else 1000 * run_for_s
        due = [(device.config.period_ms, index) for index, (device, _) in enumerate(self._members)]
        heapq.heapify(due)
        while due and due[0][0] <= last_ms:
            at_ms, index = due[0]
            device, link = self._members[index]
            heapq.heapreplace(due, (at_ms + device.config.period_ms, index))
            yield at_ms, device, link

    def _step(self, device: SimulatedDevice, link: Link) -> None:
        was_down = device.down
        messages = device.step()
        if device.down and not was_down:
            link.interrupt()
        elif was_down and not device.down:
            link.resume()
        if link.connected:
            device.lost(link.take_losses())
        if device.diag_due:
            counts = link.counts()
            messages.append(
                device.diag(
                    backlog=counts.pending,
                    oldest=link.oldest(),
                    reconnects=max(0, counts.connections - 1),
                )
            )
        self._publish(link, messages)

    def _publish(self, link: Link, messages: Iterable[Message]) -> None:
        for message in messages:
            while not link.publish(
                message.kind,
                message.payload,
                boot=message.boot,
                seq=message.seq,
                timeout_s=_PATIENCE_S,
            ):
                if self._stopping.is_set():
                    return

    def _drain(self) -> None:
        """Give the broker `drain_s` to acknowledge what was sent."""
        until = time.monotonic() + self.config.drain_s
        for device, link in self._members:
            if not link.wait_acknowledged(max(0.0, until - time.monotonic())):
                log.warning(
                    "messages not acknowledged",
                    device=device.config.device,
                    pending=link.counts().pending,
                )
