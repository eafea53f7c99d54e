"""A burner controller, a transmitter or a meter on Modbus, by a register map (maps/README.md).

The unit is only ever read (modbus.py says why). Polls are done ahead of their time, so that a
row of one instant has them; a unit that is gone is asked seldom, because it costs the others on
its line a time-out each time.
"""

import struct

from .. import contract, forget, modbus  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError

KIND = "modbus"
BUS = "uart or tcp"
# map: a name in maps/, or a map itself. metrics: {metric of the map: name to publish it as, or
# false to leave it out}. answer_ms: how long a unit may take to answer.
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

_MOST_UNIT = const(255)
_MOST_ANSWER_MS = const(60000)
_MOST_RETRIES = const(10)
_GONE_AFTER = const(3)
_ASK_GONE_EACH = const(10)


class Driver(Sensor):
    """One unit: its polls, and the points they carry."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from . import _register_map
        from ._making import numeric

        # On a serial line 0 is for all units, and none answers (V1.02, 2.2).
        numeric("unit", cfg["unit"], int(cfg["framing"] == "rtu"), _MOST_UNIT, whole=True)
        numeric("answer_ms", cfg["answer_ms"], 1, _MOST_ANSWER_MS, whole=True)
        numeric("retries", cfg["retries"], 0, _MOST_RETRIES, whole=True)
        try:
            self._points, self._polls = _register_map.load(cfg["map"], cfg["metrics"])
        finally:
            forget("sensors._register_map")
        self._master = None
        self._silent = 0

    def join(self):
        """Share the master of the bus; its settings are those of the first sensor."""
        cfg = self.cfg
        self._master = modbus.master(self.bus, cfg["framing"], cfg["answer_ms"], cfg["retries"])

    def metrics(self):
        """The points of the map, under the names they are published as."""
        return [(p.name, p.unit, p.decimals, p.low, p.high) for p in self._points]

    async def begin(self):
        """Do the polls; what a poll lacks is told by `read`."""
        # Counted before it is asked: the sampler's time-out may end this at any await.
        self._silent += 1
        if self._silent > _GONE_AFTER and self._silent % _ASK_GONE_EACH:
            return
        unit = self.cfg["unit"]
        self._fail(
            0, SensorError(contract.COMMUNICATION_FAILURE, "unit {}: no answer".format(unit))
        )
        for number, poll in enumerate(self._polls):
            try:
                poll.words = await self._master.read(unit, poll.table, poll.first, poll.count)
                poll.fault = None
            except SensorError as fault:
                poll.fault = fault
                if fault.code == contract.COMMUNICATION_FAILURE:
                    # A unit that is silent now is silent for its other polls too.
                    self._fail(number, fault)
                    return
            self._silent = 0

    def _fail(self, number, fault):
        for poll in self._polls[number:]:
            poll.words, poll.fault = None, fault

    async def read(self, out):
        """Put every point; SensorError if the unit is silent."""
        for poll in self._polls:
            if self._silent:
                raise poll.fault
            for point in poll.points:
                if poll.fault is not None:
                    out.put(point.name, None, poll.fault.code)
                else:
                    value, code = point.decode(poll.words, point.first - poll.first)
                    out.put(point.name, value, code)


class Poll:
    """One question to the unit, and the points that its answer carries."""

    def __init__(self, table, first):
        self.table = table
        self.first = first
        self.count = 0
        self.points = []
        self.words = None
        self.fault = None


class Point:
    """One value of a unit: where it stands and what its bits mean (maps/README.md)."""

    def decode(self, words, at):
        """(value or None, OPC code) from the words of a poll."""
        raw = self._raw_of(words, at)
        # "No value" is a bit pattern, so it is looked for before the sign and the scale.
        if raw in self.absent:
            return None, contract.NOT_CONNECTED
        if raw in self.failed:
            return None, contract.SENSOR_FAILURE
        if self.bits:
            first, count = self.bits
            raw = raw >> first & (1 << count) - 1
        elif self.format:
            raw = struct.unpack(self.format, raw.to_bytes(2 * self.size, "big"))[0]
            if raw != raw:  # noqa: PLR0124 - only NaN is not itself
                return None, contract.NOT_CONNECTED
        if self.values is not None:
            for before, after in self.values:
                if before == raw:
                    return after, contract.GOOD
            return None, contract.CONFIGURATION_ERROR
        return raw * self.scale + self.offset, contract.GOOD

    def _raw_of(self, words, at):
        if self.size == 1:
            return words[at]
        if self.swap:
            return words[at + 1] << 16 | words[at]
        return words[at] << 16 | words[at + 1]
