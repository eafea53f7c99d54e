"""One device as the broker sees it: its birth, state and will, its numbers, its answers."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from device.sim.outbox import Message
from device.steamlink import codec, contract

_REMEMBERED_COMMANDS = 16
_MOST_REPLAYED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDescription:
    """What a birth says of a metric: unit, decimals, range and period (ms)."""

    name: str
    unit: str
    decimals: int
    low: float | None = None
    high: float | None = None
    period_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a device is."""

    site: str
    device: str
    metrics: Sequence[MetricDescription]
    firmware: str = "0.1.0"
    board: str = "sim"


@dataclass(slots=True, kw_only=True)
class _Obeyed:
    """What came of a command: messages for now and for the backlog, fault or result."""

    now: list[Message] = field(default_factory=list)
    later: list[Message] = field(default_factory=list)
    error: str | None = None
    result: dict[str, object] | None = None


class Session:
    """The side of a device that speaks the contract; used by its own thread and the link's.

    `boot` counts starts, `up_ms` runs from the start, UTC is `up_ms + offset_ms` (None: no
    clock yet). The last `history` numbered messages are kept for the op `replay`.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        boot: int,
        offset_ms: int | None,
        clock: int = contract.CLOCK_SYNCHRONISED,
        history: int = 600,
    ) -> None:
        self.identity = identity
        self.lock = threading.RLock()
        self.boot = boot
        self.seq = 0
        self.up_ms = 0
        self.offset_ms = offset_ms
        self.skew_ms = 0
        self.clock = clock if offset_ms is not None else contract.CLOCK_UNKNOWN
        self.reset = "power_on"
        self.refused_commands = 0
        self._history: deque[Message] = deque(maxlen=history)
        self._answered: dict[str, bytes] = {}

    def utc_ms(self) -> int | None:
        """What the device's clock shows, None while it has no time."""
        if self.offset_ms is None:
            return None
        return self.up_ms + self.offset_ms + self.skew_ms

    def restart(self, reset: str, offset_ms: int | None) -> None:
        """Start again: next boot, first number, clock as given."""
        with self.lock:
            self.boot += 1
            self.seq = self.up_ms = 0
            self.reset = reset
            self.offset_ms = offset_ms
            if offset_ms is None:
                self.clock = contract.CLOCK_UNKNOWN

    def data(
        self,
        metrics: Sequence[str],
        rows: Sequence[Sequence[float | None]],
        *,
        utc_ms: int,
        up_ms: int | None = None,
        quality: Sequence[tuple[int, int, int]] = (),
        kind: str = "data",
    ) -> Message:
        """Number and encode a data message; `utc_ms` dates the rows' dt of 0."""
        with self.lock:
            payload = codec.encode_data(
                boot=self.boot,
                seq=self.seq + 1,
                up_ms=self.up_ms if up_ms is None else up_ms,
                utc_ms=utc_ms,
                clock=max(self.clock, contract.CLOCK_SET),
                metrics=metrics,
                rows=rows,
                quality=quality,
            )
            return self._numbered(kind, payload)

    def event(
        self, event: str, details: Mapping[str, object], *, up_ms: int, utc_ms: int
    ) -> Message:
        """Number and encode an event."""
        with self.lock:
            payload = codec.encode_event(
                boot=self.boot,
                seq=self.seq + 1,
                up_ms=up_ms,
                utc_ms=utc_ms,
                event=event,
                details=details,
            )
            return self._numbered("event", payload)

    def diag(
        self, *, backlog: int, oldest: tuple[int, int] | None, drops: int, reconnects: int
    ) -> Message:
        """Encode how the device is; it has neither heap nor radio."""
        with self.lock:
            payload = codec.encode_diag(
                boot=self.boot,
                up_ms=self.up_ms,
                utc_ms=self.utc_ms(),
                heap=None,
                rssi=None,
                backlog=backlog,
                oldest=oldest,
                drops=drops,
                reconnects=reconnects,
            )
            return Message("diag", payload)

    def state(self, state: str, conn: int) -> Message:
        """Encode online, stopped, or the will offline, for a connection."""
        return Message("state", codec.encode_state(state=state, boot=self.boot, conn=conn))

    def birth(self, conn: int, oldest: tuple[int, int] | None) -> Message:
        """Encode who the device is, for a connection."""
        with self.lock:
            payload = codec.encode_birth(
                device=self.identity.device,
                firmware=self.identity.firmware,
                board=self.identity.board,
                boot=self.boot,
                conn=conn,
                reset=self.reset,
                clock=self.clock,
                up_ms=self.up_ms,
                utc_ms=self.utc_ms(),
                oldest=oldest,
                metrics=[
                    (m.name, m.unit, m.decimals, m.low, m.high, m.period_ms)
                    for m in self.identity.metrics
                ],
            )
            return Message("birth", payload)

    def answer(
        self, payload: bytes, conn: int, oldest: tuple[int, int] | None
    ) -> tuple[list[Message], list[Message]]:
        """Carry out a command: (what to send at once, what to send as backlog).

        A repeated id gets its first answer again; a bad or expired command is counted.
        """
        try:
            command = codec.decode_cmd(payload)
        except ValueError:
            self.refused_commands += 1
            return [], []
        with self.lock:
            if command.id in self._answered:
                return [Message("ack", self._answered[command.id])], []
            done = self._obey(command, conn, oldest)
            ack = codec.encode_ack(
                id=command.id, ok=done.error is None, err=done.error, res=done.result
            )
            self._answered[command.id] = ack
            while len(self._answered) > _REMEMBERED_COMMANDS:
                del self._answered[next(iter(self._answered))]
            if done.error is not None:
                self.refused_commands += 1
            return [Message("ack", ack), *done.now], done.later

    def _obey(self, command: codec.Command, conn: int, oldest: tuple[int, int] | None) -> _Obeyed:
        utc_ms, op = self.utc_ms(), command.op
        if utc_ms is not None and command.expires_ms < utc_ms and op != "time":
            return _Obeyed(error="expired")
        match op:
            case "time":
                return self._set_clock(command.args.get("utc"))
            case "rebirth":
                return _Obeyed(now=[self.birth(conn, oldest)])
            case "identify":
                return _Obeyed(result=self._identify())
            case "replay":
                return self._replay(command.args)
        known = f"known: {', '.join(contract.OPS)}"
        what = "the simulator cannot do this" if op in contract.OPS else f"unknown; {known}"
        return _Obeyed(error=f"{op[:40]}: {what}")

    def _set_clock(self, utc: object) -> _Obeyed:
        if not isinstance(utc, int) or not 0 < utc < contract.MAX_UTC_MS:
            return _Obeyed(error="time: utc is milliseconds since 1970")
        self.offset_ms = utc - self.up_ms
        self.clock = max(self.clock, contract.CLOCK_SET)
        return _Obeyed(result={"utc": self.utc_ms()})

    def _identify(self) -> dict[str, object]:
        identity = self.identity
        return {
            "site": identity.site,
            "device": identity.device,
            "fw": identity.firmware,
            "board": identity.board,
            "boot": self.boot,
            "up": self.up_ms,
        }

    def _replay(self, args: Mapping[str, object]) -> _Obeyed:
        boot = args.get("boot", self.boot)
        first, last = args.get("from"), args.get("to")
        if not (isinstance(boot, int) and isinstance(first, int) and isinstance(last, int)):
            return _Obeyed(error="replay: from and to are numbers of messages, boot theirs")
        if not 0 <= last - first < _MOST_REPLAYED:
            return _Obeyed(error=f"replay: 1 to {_MOST_REPLAYED} messages, from before to")
        found = [
            kept
            for kept in self._history
            if kept.boot == boot and kept.seq is not None and first <= kept.seq <= last
        ]
        missing = last - first + 1 - len(found)
        return _Obeyed(later=found, result={"count": len(found), "missing": missing})

    def _numbered(self, kind: str, payload: bytes) -> Message:
        self.seq += 1
        message = Message(kind, payload, self.boot, self.seq)
        self._history.append(message)
        return message

    def forget(self, message: Message) -> None:
        """Take a message out of the history: it is lost and cannot be replayed."""
        with self.lock:
            if message in self._history:
                self._history.remove(message)
