"""A 4-20 mA transmitter over a shunt on an ADS1115 (TI SBAS444E), watched by NAMUR NE 43.

A current says more than a value: 3.8 to 20.5 mA is measured; beyond, the transmitter is at its
end; at 3.6 mA and below, or 21 mA and above, it has failed or its wire is broken.
"""

import asyncio
import math

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError, sleep_ms

KIND = "ads1115"
BUS = "i2c"
# scale: value at 4 mA and at 20 mA; root: the transmitter gives a differential pressure and the
# flow is its square root; cut_off: below this part of the span the root is noise, and 0;
# range_mv: 6144, 4096, 2048, 1024, 512 or 256, above shunt x 21 mA; low, high: if not the scale.
DEFAULTS = {
    "address": 0x48,
    "channel": 0,
    "shunt_ohm": 100,
    "range_mv": 4096,
    "scale": (0, 100),
    "root": False,
    "cut_off": 0.01,
    "persist_ms": 4000,
    "lead_ms": 60,
    "timeout_ms": 200,
}

_RANGES = const((6144, 4096, 2048, 1024, 512, 256))
_MOST_CHANNEL = const(3)
# By what its ADDR pin is tied to.
_FIRST_ADDRESS = const(0x48)
_LAST_ADDRESS = const(0x4B)
_CONVERSION = const(0)
_CONFIG = const(1)
_START = const(0x8000)
_SINGLE_ENDED = const(0x4000)
# Single shot, 128 conversions a second, no comparator.
_SETTINGS = const(0x0183)
_CONVERT_MS = const(9)
_TRIES = const(3)
_FULL_SCALE = const(32768)
_SATURATED = const(0x7FFF)

# NAMUR NE 43 (2003), in mA.
_ZERO = const(4.0)
_FULL = const(20.0)
_GOOD_LOW = const(3.8)
_GOOD_HIGH = const(20.5)
# 3.6 and 21.0 are failures themselves, as transmitters are set to them: the errors of the shunt
# (0.1 %) and of the converter (0.15 %, 3 steps) are on that side.
_FAIL_LOW = const(3.62)
_FAIL_HIGH = const(20.94)
_MOST = const(21.5)
_DEAD = const(0.5)
# 1 uA, less than a step of the converter: 3.8 and 20.5 mA themselves are good.
_EPSILON = const(0.001)

_LOCKS = []


class Driver(Sensor):
    """One channel; those of one chip take turns."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        _check(cfg)
        zero, full = cfg["scale"]
        # A scale may fall; the range of a metric never does.
        cfg["low"] = min(zero, full) if cfg["low"] is None else cfg["low"]
        cfg["high"] = max(zero, full) if cfg["high"] is None else cfg["high"]
        self._lock = _lock(bus, cfg["address"])
        self._failing_since = None
        self._counts = None
        self._value = None

    async def begin(self):
        """Convert once: the chip has one converter, so the channel keeps it until it is done."""
        cfg = self.cfg
        self._counts = None
        config = (
            _START | _SINGLE_ENDED | cfg["channel"] << 12 | _RANGES.index(cfg["range_mv"]) << 9
        ) | _SETTINGS
        async with self._lock:
            self.bus.write(cfg["address"], bytes((_CONFIG, config >> 8, config & 255)))
            for _ in range(_TRIES):
                await sleep_ms(_CONVERT_MS)
                status = self.bus.write_read(cfg["address"], bytes((_CONFIG,)), 2)
                if status[0] & 0x80:
                    break
            else:
                raise SensorError(contract.DEVICE_FAILURE, "the ADS1115 does not convert")
            if (status[0] << 8 | status[1]) & ~_START != config & ~_START:
                raise SensorError(contract.DEVICE_FAILURE, "the ADS1115 has lost its settings")
            data = self.bus.write_read(cfg["address"], bytes((_CONVERSION,)), 2)
        counts = data[0] << 8 | data[1]
        self._counts = counts - 0x10000 if counts & 0x8000 else counts

    async def read(self, out):
        """Put the value that the current means.

        A current that tells of a failure must last 4 s before it is one (NE 43, 3.2); until
        then the last value is given as LAST_USABLE.
        """
        current = self.current()
        failed = current <= _FAIL_LOW or current >= _FAIL_HIGH or self._counts == _SATURATED
        if failed:
            if self._failing_since is None:
                self._failing_since = out.up_ms
            if out.up_ms - self._failing_since >= self.cfg["persist_ms"]:
                self._value = None
            if self._value is None:
                raise _fault(current)
            out.put(self.cfg["metric"], self._value, contract.LAST_USABLE)
            return
        self._failing_since = None
        self._value = self._scaled(min(max(current, _ZERO), _FULL))
        good = _GOOD_LOW - _EPSILON <= current <= _GOOD_HIGH + _EPSILON
        out.put(self.cfg["metric"], self._value, contract.GOOD if good else contract.EU_EXCEEDED)

    def current(self):
        """The current of the last conversion in mA."""
        return self._counts * self.cfg["range_mv"] / _FULL_SCALE / self.cfg["shunt_ohm"]

    def _scaled(self, current):
        part = (current - _ZERO) / (_FULL - _ZERO)
        if self.cfg["root"]:
            part = math.sqrt(part) if part >= self.cfg["cut_off"] else 0
        zero, full = self.cfg["scale"]
        return zero + (full - zero) * part


def _check(cfg):
    from ._making import numeric

    numeric("address", cfg["address"], _FIRST_ADDRESS, _LAST_ADDRESS, whole=True)
    numeric("channel", cfg["channel"], 0, _MOST_CHANNEL, whole=True)
    numeric("cut_off", cfg["cut_off"], 0, 1)
    numeric("persist_ms", cfg["persist_ms"], 0, whole=True)
    range_mv, scale = cfg["range_mv"], cfg["scale"]
    if range_mv not in _RANGES or cfg["root"] not in (True, False):
        raise ValueError("range_mv is 6144, 4096, 2048, 1024, 512 or 256; root is true or false")
    shunt_ohm = numeric("shunt_ohm", cfg["shunt_ohm"], 0)
    if not 0 < shunt_ohm * _MOST <= range_mv:
        raise ValueError(
            "shunt_ohm {}: 21.5 mA over it must be within range_mv {}".format(shunt_ohm, range_mv)
        )
    if not isinstance(scale, (list, tuple)) or len(scale) != 2:  # noqa: PLR2004 - both ends
        raise ValueError("scale {!r}: [value at 4 mA, value at 20 mA]".format(scale))
    if numeric("scale", scale[0]) == numeric("scale", scale[1]):
        raise ValueError("scale: the values at 4 mA and at 20 mA differ")


def _fault(current):
    if current < _DEAD:
        return SensorError(contract.NOT_CONNECTED, "no current: loop is open or without supply")
    return SensorError(
        contract.SENSOR_FAILURE, "{:.2f} mA: the transmitter tells of a failure".format(current)
    )


def _lock(bus, address):
    for known, its_address, lock in _LOCKS:
        if known is bus and its_address == address:
            return lock
    made = asyncio.Lock()
    _LOCKS.append((bus, address, made))
    return made
