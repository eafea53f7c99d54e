"""What is stored: rows of readings, batches, alarm events, device statuses, insights."""

from enum import StrEnum

import msgspec


class Rows(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The rows of one data message, dated and placed: measurement `boiler`.

    `values[row][column]` belongs to `metrics[column]` at `times_us[row]` (epoch µs);
    None is no value. `quality` maps (row, column) to the OPC code where it is not good.
    """

    site: str
    boiler: str
    device: str
    boot: int
    seq: int
    metrics: tuple[str, ...]
    times_us: list[int]
    values: list[list[float | None]]
    quality: dict[tuple[int, int], int] = {}


class RollUp(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of a boiler hold in one window: measurements `boiler_1m`, `_15m`, `_1h`.

    `metrics` maps each metric to its minimum, maximum, mean, last value and count. A window
    starts at a whole multiple of its width (µs) since the epoch.
    """

    site: str
    boiler: str
    width_us: int
    start_us: int
    metrics: dict[str, tuple[float, float, float, float, int]]


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One message by which a device spoke of itself: measurement `device_status`.

    `kind` is birth, state, event, diag or ack; `body` is the message's own JSON.
    """

    site: str
    device: str
    kind: str
    at_us: int
    boot: int | None
    conn: int | None
    seq: int | None
    state: str | None
    body: str


class AlarmState(StrEnum):
    """The states of ISA-18.2 that an alarm passes through."""

    NORMAL = "NORMAL"
    UNACK = "UNACK"
    ACKED = "ACKED"
    RTN_UNACK = "RTN_UNACK"

    @property
    def active(self) -> bool:
        """Whether the condition is present."""
        return self in (AlarmState.UNACK, AlarmState.ACKED)


class AlarmEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of one alarm: measurement `alarm_event`, append-only.

    `id` is a pure function of (boiler, definition, state, at_us). `n`, `prev` and
    `hash` chain the events of a boiler in the order in which its one writer made them.
    `retroactive` marks a condition that was over before it was first seen: journalled,
    never notified. `value` is the reading that caused it, `at_us` its time.
    """

    id: str
    site: str
    boiler: str
    definition: str
    type: str
    metric: str
    state: AlarmState
    previous: AlarmState
    priority: int
    at_us: int
    recorded_at_us: int
    value: float | None = None
    setpoint: float | None = None
    retroactive: bool = False
    by: str = ""
    note: str = ""
    n: int = 0
    prev: str = ""
    hash: str = ""


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """One derived finding about a boiler: measurement `insight`."""

    site: str
    boiler: str
    name: str
    at_us: int
    value: float
    unit: str = ""


class BatchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One flush of a recorder: measurement `batch`. It counts processing.

    `lag_ms` is the processing moment less the newest row's time.
    """

    batch_id: str
    recorder: str
    at_us: int
    rows: int
    messages: int
    bytes: int
    quarantined: int
    lag_ms: int
    first_at_us: int
    last_at_us: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All that one flush writes, stamped with the minute in which it is processed."""

    batch_id: str
    rows: list[Rows] = []
    statuses: list[DeviceStatus] = []
    alarm_events: list[AlarmEvent] = []
    insights: list[Insight] = []
    summary: BatchSummary | None = None
