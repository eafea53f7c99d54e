"""A burner controller, a transmitter or a meter on Modbus, by a register map (maps/README.md).

The unit is only ever read (modbus.py says why). Polls are done ahead of their time, so that a
row of one instant has them; a unit that is gone is asked seldom, because it costs the others on
its line a time-out each time.
"""

import json
import struct

from .. import contract, modbus  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError

KIND = "modbus"
BUS = "uart or tcp"
# map: a name in maps/, or a map itself. metrics: {metric of the map: name to publish it as, or
# null to leave it out}. answer_ms: how long a unit may take to answer.
DEFAULTS = {
    "map": "",
    "unit": 1,
    "framing": "rtu",
    "metrics": {},
    "answer_ms": 300,
    "retries": 1,
    "lead_ms": 500,
    "timeout_ms": 1500,
}

# Words of 16 bits of each type, and how struct reads them.
_TYPES = {
    "bit": (1, ""),
    "u16": (1, ""),
    "s16": (1, ">h"),
    "u32": (2, ">I"),
    "s32": (2, ">i"),
    "f32": (2, ">f"),
}
_BITS = ("coil", "discrete")
_VERSION = const(1)
_GONE_AFTER = const(3)
_ASK_GONE_EACH = const(10)
_POINT = (
    "metric",
    "unit",
    "decimals",
    "low",
    "high",
    "table",
    "address",
    "type",
    "scale",
    "offset",
    "absent",
    "failed",
    "bits",
    "values",
    "note",
)


class Driver(Sensor):
    """One unit: its polls, and the points they carry."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        plan = _load(cfg["map"])
        self._points = [
            _Point(described, plan)
            for described in plan["points"]
            if cfg["metrics"].get(described.get("metric"), True)
        ]
        known = [point.metric for point in self._points]
        for name in cfg["metrics"]:
            if cfg["metrics"][name] and name not in known:
                raise ValueError("metrics: the map has no {!r}".format(name))
        for point in self._points:
            point.name = cfg["metrics"].get(point.metric) or point.metric
        self._polls = _polls(self._points, plan.get("gap", 0), plan.get("block", 60))
        self._master = modbus.master(bus, cfg["framing"], cfg["answer_ms"], cfg["retries"])
        self._silent = 0

    def metrics(self):
        """The points of the map, under the names they are published as."""
        return [(p.name, p.unit, p.decimals, p.low, p.high) for p in self._points]

    async def begin(self):
        """Do the polls; what a poll lacks is told by `read`."""
        if self._silent >= _GONE_AFTER:
            self._silent += 1
            if self._silent % _ASK_GONE_EACH:
                return
        unit = self.cfg["unit"]
        for number, poll in enumerate(self._polls):
            poll.words = poll.fault = None
            try:
                poll.words = await self._master.read(unit, poll.table, poll.first, poll.count)
            except SensorError as fault:
                poll.fault = fault
                if fault.code == contract.COMMUNICATION_FAILURE:
                    # A unit that is silent now is silent for its other polls too.
                    for other in self._polls[number:]:
                        other.fault = fault
                    self._silent = 0 if number else self._silent + 1
                    return
        self._silent = 0

    async def read(self, out):
        """Put every point; SensorError if the unit is silent."""
        if self._silent:
            raise self._polls[0].fault
        for poll in self._polls:
            for point in poll.points:
                if poll.fault is not None:
                    out.put(point.name, None, poll.fault.code)
                else:
                    value, code = point.decode(poll.words, point.first - poll.first)
                    out.put(point.name, value, code)


class _Poll:
    """One question to the unit, and the points that its answer carries."""

    def __init__(self, table, first):
        self.table = table
        self.first = first
        self.count = 0
        self.points = []
        self.words = None
        self.fault = None

    def take(self, point):
        self.points.append(point)
        self.count = max(self.count, point.first + point.size - self.first)


class _Point:
    """One metric of a map: where it stands and what its bits mean."""

    def __init__(self, described, plan):
        self.metric = described.get("metric")
        for key in sorted(described):
            if key not in _POINT:
                raise ValueError("map: {}: key {!r} is unknown".format(self.metric, key))
        if not contract.is_metric_name(self.metric):
            raise ValueError("map: metric {!r} is no name".format(self.metric))
        self.name = self.metric
        self.unit = described.get("unit", "")
        self.decimals = described.get("decimals", 0)
        self.low = described.get("low")
        self.high = described.get("high")
        self.table = described.get("table", "holding")
        kind = described.get("type", "bit" if self.table in _BITS else "u16")
        if self.table not in modbus.TABLES or kind not in _TYPES:
            raise ValueError(
                "map: {}: table {!r}, type {!r}: tables {}; types {}".format(
                    self.metric,
                    self.table,
                    kind,
                    ", ".join(sorted(modbus.TABLES)),
                    ", ".join(sorted(_TYPES)),
                )
            )
        self.first = described["address"] - plan.get("base", 0)
        self.size, self._format = _TYPES[kind]
        if not 0 <= self.first <= 0x10000 - self.size:
            raise ValueError("map: {}: address is outside the table".format(self.metric))
        self._swap = plan.get("word_order", "big") == "little"
        self._scale = described.get("scale", 1)
        self._offset = described.get("offset", 0)
        self._absent = described.get("absent", ())
        self._failed = described.get("failed", ())
        self._bits = described.get("bits")
        self._values = described.get("values")

    def decode(self, words, at):
        """(value or None, OPC code) from the words of a poll."""
        raw = self._raw(words, at)
        # "No value" is a bit pattern, so it is looked for before the sign and the scale.
        if raw in self._absent:
            return None, contract.NOT_CONNECTED
        if raw in self._failed:
            return None, contract.SENSOR_FAILURE
        if self._bits:
            first, count = self._bits
            raw = raw >> first & (1 << count) - 1
        elif self._format:
            raw = struct.unpack(self._format, raw.to_bytes(2 * self.size, "big"))[0]
            if raw != raw:  # noqa: PLR0124 - only NaN is not itself
                return None, contract.NOT_CONNECTED
        if self._values is not None:
            for before, after in self._values:
                if before == raw:
                    return after, contract.GOOD
            return None, contract.CONFIGURATION_ERROR
        return raw * self._scale + self._offset, contract.GOOD

    def _raw(self, words, at):
        if self.size == 1:
            return words[at]
        if self._swap:
            return words[at + 1] << 16 | words[at]
        return words[at] << 16 | words[at + 1]


def _polls(points, gap, block):
    """As few questions as the map allows: over holes up to `gap`, at most `block` values each."""
    polls = []
    for table in sorted(modbus.TABLES):
        most = modbus.MOST_BITS if table in _BITS else modbus.MOST_REGISTERS
        poll = None
        for point in sorted([p for p in points if p.table == table], key=lambda p: p.first):
            end = point.first + point.size
            if (
                poll is None
                or point.first > poll.first + poll.count + gap
                or end - poll.first > min(block, most)
            ):
                poll = _Poll(table, point.first)
                polls.append(poll)
            poll.take(point)
    return polls


def _load(name):
    if isinstance(name, dict):
        plan = name
    else:
        if not contract.is_name(name):
            raise ValueError("map {!r} is no name of a file in maps/".format(name))
        path = __file__.rsplit("/", 2)[0] + "/maps/" + name + ".json"
        try:
            with open(path) as file:
                plan = json.load(file)
        except OSError:
            raise ValueError("map {!r}: there is no {}".format(name, path)) from None
        except ValueError:
            raise ValueError("map {!r}: {} is not JSON".format(name, path)) from None
    if not isinstance(plan, dict) or plan.get("v") != _VERSION or not plan.get("points"):
        raise ValueError("map {!r}: no points, or not of version 1".format(name))
    if plan.get("word_order", "big") not in ("big", "little"):
        raise ValueError("map {!r}: word_order is big or little".format(name))
    return plan
