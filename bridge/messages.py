"""The wire messages of the contract, version 1, and their strict decoding.

Whatever a device sends either becomes one of these structs or raises Refused with a
reason from the closed list `Reason` and words that a person understands.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from bridge.clock import from_us, to_us
from bridge.metrics import is_metric_name
from bridge.quality import GOOD
from bridge.topics import Kind

VERSION = 1
MAX_PAYLOAD_BYTES = 65_536
MAX_ROWS = 500
MAX_METRICS = 64
MAX_FUTURE = timedelta(minutes=5)
MAX_SEQ = 2**32 - 1
LARGEST_READING = 1e100
_MAX_DT_MS = 7 * 24 * 3_600_000

Count = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""A count that a device keeps in 32 bits, such as its boots."""


class Reason(StrEnum):
    """Why a message is in quarantine."""

    MALFORMED = "malformed"
    UNKNOWN_VERSION = "unknown_version"
    OVERSIZE = "oversize"
    BAD_TOPIC = "bad_topic"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_METRIC = "unknown_metric"
    CLOCK_UNKNOWN = "clock_unknown"
    FUTURE_TIME = "future_time"
    ANCIENT_TIME = "ancient_time"
    IDENTITY_REUSED = "identity_reused"
    STORE_REFUSED = "store_refused"
    ADOPTED = "adopted"
    UNEXPECTED = "unexpected"
    DEAD_LETTER = "dead_letter"


class Refused(ValueError):
    """A message that cannot be taken in, with the reason and what was wrong."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class Data(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Rows of readings, live (`data`) or after an outage (`hist`).

    `k` names the columns, `r` holds `[dt_ms, value...]`, a row's time is `t + dt_ms`,
    `q` maps "row,column" (zero-based) to the OPC code of each reading that is not good.
    """

    v: Literal[1]
    b: int
    n: int
    up: int
    t: int
    ts: Literal[1, 2]
    k: tuple[str, ...]
    r: list[list[float | None]]
    q: dict[str, int] | None = None

    def times_us(self) -> list[int]:
        """Each row's time in epoch µs: `(t + dt) * 1000 + n mod 1000`.

        A pure function of the message, so that a redelivery overwrites itself and two
        messages of a device never share a time.
        """
        base = self.t * 1000 + self.n % 1000
        return [base + int(row[0]) * 1000 for row in self.r]  # type: ignore[arg-type]

    def quality(self) -> dict[tuple[int, int], int]:
        """The codes that are not good, by (row, column)."""
        if not self.q:
            return {}
        parsed = {}
        for place, code in self.q.items():
            row, _, column = place.partition(",")
            parsed[int(row), int(column)] = code
        return parsed


class MetricBirth(msgspec.Struct, frozen=True):
    """What a device says of one of its metrics: unit, decimals, range, period in ms."""

    n: str
    u: str
    d: int
    lo: float | None = None
    hi: float | None = None
    per: int | None = None


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """A device's introduction after each connect; resets what is known of (boot, conn)."""

    v: Literal[1]
    id: str
    fw: str
    board: str
    boot: Count
    conn: Count
    reset: str
    clock: Literal[0, 1, 2]
    up: int
    t: int | None = None
    oldest: tuple[int, int] | None = None
    metrics: list[MetricBirth] = []


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a device is there: online, stopped, or (the broker's will) offline."""

    v: Literal[1]
    s: Literal["online", "stopped", "offline"]
    boot: Count
    conn: Count


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a device: an alarm edge, a sensor fault, a loss."""

    v: Literal[1]
    b: int
    n: int
    up: int
    t: int
    ev: Literal["alarm_edge", "sensor_fault", "reset", "loss", "config"]
    d: dict[str, str | int | float | bool | None] = {}

    def time_us(self) -> int:
        """The event's time in epoch µs, made unique within the boot like a row's."""
        return self.t * 1000 + self.n % 1000


class Diag(msgspec.Struct, frozen=True, kw_only=True):
    """A device's own health: memory, radio, backlog, drops, and its other counts by name."""

    v: Literal[1]
    b: Count
    up: int
    t: int | None = None
    heap: int | None = None
    rssi: int | None = None
    backlog: int = 0
    oldest: tuple[int, int] | None = None
    drops: int = 0
    reconnects: int = 0
    counts: dict[str, int] = {}


class Cmd(msgspec.Struct, frozen=True, kw_only=True):
    """A command to a device; refused by it after `exp` (UTC ms)."""

    v: Literal[1]
    id: str
    op: Literal[
        "rebirth",
        "time",
        "get_config",
        "patch_config",
        "restart",
        "identify",
        "replay",
        "log",
        "ota",
    ]
    exp: int
    args: dict[str, Any] = {}


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """A device's answer to a command."""

    v: Literal[1]
    id: str
    ok: bool
    err: str | None = None
    res: dict[str, Any] | None = None


Message = Data | Birth | State | Event | Diag | Cmd | Ack

_DECODERS: dict[Kind, msgspec.json.Decoder[Any]] = {
    Kind.DATA: msgspec.json.Decoder(Data),
    Kind.HIST: msgspec.json.Decoder(Data),
    Kind.BIRTH: msgspec.json.Decoder(Birth),
    Kind.STATE: msgspec.json.Decoder(State),
    Kind.EVENT: msgspec.json.Decoder(Event),
    Kind.DIAG: msgspec.json.Decoder(Diag),
    Kind.CMD: msgspec.json.Decoder(Cmd),
    Kind.ACK: msgspec.json.Decoder(Ack),
}


class _Head(msgspec.Struct):
    v: Any = None
    t: Any = None


_HEAD = msgspec.json.Decoder(_Head)
_QUALITY_PLACE = re.compile(r"(0|[1-9]\d{0,2}),(0|[1-9]\d?)")


def decode(kind: Kind, payload: bytes) -> Message:
    """Decode one payload of the given kind; raises Refused, never anything else."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        detail = f"{len(payload)} bytes; a message holds at most {MAX_PAYLOAD_BYTES}"
        raise Refused(Reason.OVERSIZE, detail)
    if not payload.isascii():
        _check_utf8(payload)
    try:
        message: Message = _DECODERS[kind].decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _why_not(kind, payload, error) from None
    if type(message) is Data:
        _check_data(message)
    elif type(message) is Event:
        _check_identity(message.b, message.n, message.t)
    return message


def _check_utf8(payload: bytes) -> None:
    """Refuse what is no UTF-8 anywhere: msgspec skips unknown keys without looking into them."""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise Refused(
            Reason.MALFORMED, f"not UTF-8 at byte {error.start}: {error.reason}"
        ) from None


def _why_not(kind: Kind, payload: bytes, error: Exception) -> Refused:
    """Say whether the version, the clock or the form is at fault."""
    try:
        head = _HEAD.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return Refused(Reason.MALFORMED, f"not the JSON of a {kind.value} message: {error}")
    if head.v != VERSION or isinstance(head.v, bool):
        detail = f"version {head.v!r}; this Steam understands version {VERSION}"
        return Refused(Reason.UNKNOWN_VERSION, detail[:300])
    if head.t is None and kind in (Kind.DATA, Kind.HIST, Kind.EVENT):
        detail = "no time `t`: a device publishes a row only once it can date it"
        return Refused(Reason.CLOCK_UNKNOWN, detail)
    return Refused(Reason.MALFORMED, f"not a {kind.value} message: {error}")


def _check_data(data: Data) -> None:
    _check_identity(data.b, data.n, data.t)
    width = _check_columns(data.k) + 1
    rows = data.r
    if not 1 <= len(rows) <= MAX_ROWS:
        raise Refused(Reason.MALFORMED, f"{len(rows)} rows; a message holds 1 to {MAX_ROWS}")
    previous = float("-inf")
    for index, row in enumerate(rows):
        dt = row[0] if len(row) == width else None
        if dt is None:
            detail = f"row {index} has {len(row)} values, `k` asks for {width} with dt_ms first"
            raise Refused(Reason.MALFORMED, detail)
        if not previous < dt <= _MAX_DT_MS or dt < -_MAX_DT_MS or dt != int(dt):
            detail = f"row {index} has dt_ms {dt!r}; whole, strictly increasing, within 7 days"
            raise Refused(Reason.MALFORMED, detail)
        previous = dt
        _check_size(row)
    if data.q:
        _check_quality(data.q, len(rows), width - 1)


def _check_size(row: list[float | None]) -> None:
    """Refuse readings that no instrument gives: sums of them are no numbers any more."""
    try:
        if max(row) <= LARGEST_READING and min(row) >= -LARGEST_READING:  # type: ignore[operator,type-var]
            return
        values = row
    except TypeError:  # A None cannot be compared.
        values = [value for value in row if value is not None]
        if all(-LARGEST_READING <= value <= LARGEST_READING for value in values):  # type: ignore[operator]
            return
    largest = max((value for value in values if value is not None), key=abs)
    raise Refused(Reason.MALFORMED, f"a reading of {largest:g}; none is beyond {LARGEST_READING:g}")


def _check_identity(boot: int, seq: int, time_ms: int) -> None:
    if not (0 <= boot <= MAX_SEQ and 0 <= seq <= MAX_SEQ):
        raise Refused(Reason.MALFORMED, f"boot {boot}, seq {seq}; both are 0 to {MAX_SEQ}")
    if not 0 <= time_ms < 10**14:
        raise Refused(Reason.MALFORMED, f"t {time_ms} is no UTC time in milliseconds")


@lru_cache(maxsize=4096)
def _columns_fault(names: tuple[str, ...]) -> str | None:
    if not 1 <= len(names) <= MAX_METRICS:
        return f"{len(names)} columns; a message has 1 to {MAX_METRICS}"
    if len(set(names)) != len(names):
        return "a metric is named twice in `k`"
    for name in names:
        if not is_metric_name(name):
            return f"{name[:60]!r} is no metric name (a-z, 0-9, _, not ending in _q)"
    return None


def _check_columns(names: tuple[str, ...]) -> int:
    fault = _columns_fault(names)
    if fault is not None:
        raise Refused(Reason.MALFORMED, fault)
    return len(names)


def _check_quality(quality: dict[str, int], rows: int, columns: int) -> None:
    for place, code in quality.items():
        match = _QUALITY_PLACE.fullmatch(place)
        if match is None or int(match[1]) >= rows or int(match[2]) >= columns:
            detail = f"q names {place[:20]!r}; it is 'row,column' within the message"
            raise Refused(Reason.MALFORMED, detail)
        if not 0 <= code <= GOOD:
            raise Refused(Reason.MALFORMED, f"q has code {code}; OPC codes are 0 to {GOOD}")


class TimeBounds(msgspec.Struct, frozen=True):
    """The times that rows may have at the moment `now_us`; all in epoch µs.

    At most 5 minutes ahead of it, and no older than the store keeps (None: no limit).
    """

    now_us: int
    newest_us: int
    oldest_us: int | None

    @classmethod
    def at(cls, now: datetime, retention: timedelta | None) -> Self:
        """The bounds at `now`, for a store that keeps rows for `retention`."""
        oldest_us = None if retention is None else to_us(now - retention)
        return cls(to_us(now), to_us(now + MAX_FUTURE), oldest_us)

    def admit(self, time_us: int) -> bool:
        """Tell whether a time is inside."""
        return (self.oldest_us or 0) <= time_us <= self.newest_us

    def check(self, times_us: Sequence[int]) -> None:
        """Raise Refused where a time is outside; `times_us` increase."""
        if times_us[-1] > self.newest_us:
            ahead_s = (times_us[-1] - self.now_us) // 1_000_000
            detail = f"its newest row is {ahead_s} s in the future; set the device's clock"
            raise Refused(Reason.FUTURE_TIME, detail)
        if self.oldest_us is not None and times_us[0] < self.oldest_us:
            since = f"{from_us(self.oldest_us):%Y-%m-%d %H:%M} UTC"
            detail = f"its oldest row is older than the store keeps (since {since})"
            raise Refused(Reason.ANCIENT_TIME, detail)
