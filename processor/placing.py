"""From a delivery to what is stored: decoded, checked, dated and placed at its boiler."""

import traceback
import zlib
from functools import lru_cache

import msgspec

from bridge.messages import (
    Ack,
    Birth,
    Cmd,
    Data,
    Diag,
    Event,
    Message,
    Reason,
    Refused,
    State,
    TimeBounds,
    decode,
)
from bridge.plant import Plant
from bridge.records import AlarmEvent, DeviceStatus, Rows
from bridge.topics import BadTopic, Topic, parse_routing_key
from processor.delivery import Delivery
from processor.quarantine import BadMessage

Columns = tuple[int, ...]

_SECOND_US = 1_000_000
_STATES = ("online", "stopped", "offline")


class Placed(msgspec.Struct, frozen=True, gc=False):
    """What one delivery becomes: records to store, a copy or the whole for quarantine.

    `complete` is False where the message itself is refused, so that nothing is stored. A
    command to a device (kind `cmd`) is complete with nothing: it is acknowledged, not stored.
    """

    rows: list[Rows] = []
    status: DeviceStatus | None = None
    bad: BadMessage | None = None
    alarm_events: list[AlarmEvent] = []

    @property
    def complete(self) -> bool:
        """Whether the message is stored (a quarantined copy may lie beside it)."""
        return self.bad is None or bool(self.rows)


class Placement:
    """Places deliveries by the plant; pure, made anew when plant.yaml changes."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._unknown = lru_cache(maxsize=4096)(self._unknown_columns)

    def place(self, delivery: Delivery, bounds: TimeBounds) -> Placed:
        """Turn a delivery into records, or into a bad message with its reason."""
        try:
            topic, message = read(delivery, self._plant)
            if type(message) is Data:
                return self._place_data(delivery, topic, message, bounds)
            status = _status(topic, message, delivery.body, bounds)
            if type(message) is Event:
                bounds.check([message.time_us()])
        except Refused as refusal:
            return Placed(bad=bad_message(delivery, refusal, bounds.now_us))
        except Exception as error:  # noqa: BLE001 - one message never ends the recording
            return Placed(bad=bad_message(delivery, unexpected(error), bounds.now_us))
        return Placed(status=status)

    def _place_data(
        self, delivery: Delivery, topic: Topic, data: Data, bounds: TimeBounds
    ) -> Placed:
        times_us = data.times_us()
        bounds.check(times_us)
        unknown = self._unknown(data.k)
        rows = self._rows(topic, data, times_us)
        if not unknown:
            return Placed(rows)
        names = ", ".join(data.k[column] for column in unknown[:5])
        detail = f"unknown metric {names}; add it to `metrics` in plant.yaml, then retry"
        bad = bad_message(delivery, Refused(Reason.UNKNOWN_METRIC, detail), bounds.now_us)
        return Placed(_without(rows, unknown), bad=bad)

    def _rows(self, topic: Topic, data: Data, times_us: list[int]) -> list[Rows]:
        plant, device = self._plant, topic.device
        values = [row[1:] for row in data.r]
        quality = data.quality() if data.q else {}
        boiler = plant.boiler_of(device, times_us[0])
        if times_us[0] >= plant.watched_since_us(device):
            return [
                Rows(
                    site=topic.site,
                    boiler=boiler,
                    device=device,
                    boot=data.b,
                    seq=data.n,
                    metrics=data.k,
                    times_us=times_us,
                    values=values,
                    quality=quality,
                )
            ]
        return [
            Rows(
                site=topic.site,
                boiler=plant.boiler_of(device, time_us),
                device=device,
                boot=data.b,
                seq=data.n,
                metrics=data.k,
                times_us=[time_us],
                values=[values[index]],
                quality={(0, c): code for (r, c), code in quality.items() if r == index},
            )
            for index, time_us in enumerate(times_us)
        ]

    def _unknown_columns(self, names: tuple[str, ...]) -> Columns:
        known = self._plant.metrics
        return tuple(column for column, name in enumerate(names) if name not in known)


def read(delivery: Delivery, plant: Plant) -> tuple[Topic, Message]:
    """Parse and decode a delivery of a registered device; raises Refused, never anything else."""
    try:
        return _read(delivery, plant)
    except BadTopic as error:
        raise Refused(Reason.BAD_TOPIC, str(error)) from None
    except Refused:
        raise
    except Exception as error:
        raise unexpected(error) from error


def unexpected(error: Exception) -> Refused:
    """A fault of Steam's own, told with its place in the code: the device is not to blame."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.name}, {where.filename.rpartition('/')[2]}:{where.lineno}"
    detail = f"Steam failed at it ({place}): {type(error).__name__}: {error}"
    return Refused(Reason.UNEXPECTED, f"{detail[:500]}; retry it with a version that does not")


def _read(delivery: Delivery, plant: Plant) -> tuple[Topic, Message]:
    topic = parse_routing_key(delivery.routing_key)
    if plant.device(topic.site, topic.device) is None:
        detail = (
            f"device {topic.device!r} of site {topic.site!r} is not in plant.yaml; "
            f"`steam device adopt {topic.site} {topic.device} --boiler NAME` takes it in"
        )
        raise Refused(Reason.UNKNOWN_DEVICE, detail)
    return topic, decode(topic.kind, delivery.body)


def bad_message(delivery: Delivery, refusal: Refused, now_us: int) -> BadMessage:
    """The delivery, whole, with why it was refused."""
    return BadMessage(
        routing_key=delivery.routing_key,
        body=delivery.body,
        reason=refusal.reason,
        detail=refusal.detail,
        at_us=now_us,
    )


def _without(rows: list[Rows], columns: Columns) -> list[Rows]:
    """The rows without some columns; none left where no column is left."""
    if len(columns) == len(rows[0].metrics):
        return []
    kept = [column for column in range(len(rows[0].metrics)) if column not in columns]
    place = {column: index for index, column in enumerate(kept)}
    return [
        msgspec.structs.replace(
            each,
            metrics=tuple(each.metrics[column] for column in kept),
            values=[[row[column] for column in kept] for row in each.values],
            quality={(r, place[c]): code for (r, c), code in each.quality.items() if c in place},
        )
        for each in rows
    ]


def _status(topic: Topic, message: Message, body: bytes, bounds: TimeBounds) -> DeviceStatus | None:
    """What a device said of itself; None for a command, which is no word of a device."""
    boot = conn = seq = state = None
    at_us = bounds.now_us
    match message:
        case Birth():
            boot, conn, state = message.boot, message.conn, "online"
            at_us = _believed_us(message.t, bounds) or _placed_us(bounds, _order(boot, conn, 0))
        case State():
            boot, conn, state = message.boot, message.conn, message.s
            at_us = _placed_us(bounds, _order(boot, conn, _STATES.index(state)))
        case Event():
            boot, seq, at_us = message.b, message.n, message.time_us()
        case Diag():
            boot = message.b
            at_us = _believed_us(message.t, bounds) or _placed_us(bounds, zlib.crc32(body))
        case Ack():
            at_us = _placed_us(bounds, zlib.crc32(body))
        case Cmd() | Data():
            return None
    return DeviceStatus(
        site=topic.site,
        device=topic.device,
        kind=topic.kind.value,
        at_us=at_us,
        boot=boot,
        conn=conn,
        seq=seq,
        state=state,
        body=body.decode(),
    )


def _believed_us(time_ms: int | None, bounds: TimeBounds) -> int | None:
    """A message's own time in epoch µs, where it has one that can be true."""
    if time_ms is None or not bounds.admit(time_ms * 1000):
        return None
    return time_ms * 1000


def _placed_us(bounds: TimeBounds, place: int) -> int:
    """A time for a message that has none: the last whole second, and in it the message's place.

    `place` is a function of the message alone, so that two messages of one fetch differ. A
    redelivery within the second overwrites itself; a later one is one more point with the same
    body, of which the first says when. The time lies at most 2 s before the processing.
    """
    return (bounds.now_us // _SECOND_US - 1) * _SECOND_US + place % _SECOND_US


def _order(boot: int, conn: int, step: int) -> int:
    """The place of a word about a connection: by boot, connection and step in it.

    Distinct for some 100 boots of some 1,000 connections each.
    """
    return (boot % 100) * 10_000 + (conn % 1_000) * 10 + step
