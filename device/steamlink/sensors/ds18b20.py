"""A DS18B20 thermometer on a 1-Wire bus (Maxim DS18B20, rev 042208).

Those of one bus convert together. A Raspberry Pi's kernel has them convert one after the other:
there, give each lead_ms of 850 a sensor, and an every_ms above that.
"""

import asyncio
import binascii

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError

KIND = "ds18b20"
BUS = "onewire"
# rom: 16 hex digits; empty where it is the only one of its bus, and else the fault lists them.
# convert_ms: how long a conversion takes; those of one bus wait for the longest.
DEFAULTS = {
    "rom": "",
    "unit": "°C",
    "low": -55,
    "high": 125,
    "convert_ms": 750,
    "lead_ms": 850,
}

_SIZE = const(9)
_FAMILY = const(0x28)
_POWER_UP = const(0x0550)
_POWER_UP_MARK = const(0x0C)
_NEAR_POWER_UP = const(80)
# Byte 4, the configuration: bits 5 and 6 are the resolution, the rest reads as ones below.
_UNDEFINED = const((7, 3, 1, 0))
_MOST_LISTED = const(8)
# From 9 bits (table 2) to more than any takes, for all of the bus wait.
_LEAST_CONVERT_MS = const(94)
_MOST_CONVERT_MS = const(5000)
_SPARE_MS = const(100)
_CONVERSIONS = []


def crc8(data):
    """The CRC of 1-Wire, x8 + x5 + x4 + 1 (Maxim application note 27)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


class Driver(Sensor):
    """One thermometer; those of one bus share a conversion."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from ._making import numeric

        numeric("convert_ms", cfg["convert_ms"], _LEAST_CONVERT_MS, _MOST_CONVERT_MS, whole=True)
        try:
            rom = binascii.unhexlify(cfg["rom"].replace("-", ""))
        except (AttributeError, ValueError):
            rom = b"?"
        if rom and (len(rom) != 8 or rom[0] != _FAMILY or crc8(rom)):  # noqa: PLR2004 - bytes of a rom
            raise ValueError(
                "rom {!r}: 16 hex digits that begin with 28 and end in their CRC".format(cfg["rom"])
            )
        self._rom = rom or None
        self._last = None
        self._conversion = None

    def join(self):
        """Share the conversion of the bus."""
        self._conversion = _conversion(self.bus)
        self._conversion.join(self.cfg)

    async def begin(self):
        """Start a conversion, or wait for the one that is running."""
        if self._rom is None:
            self._rom = self._only()
        await self._conversion.run(self.bus)

    async def read(self, out):
        """Put the temperature in degrees Celsius; a broken scratchpad is asked for once more."""
        try:
            value = self._value(self.bus.scratchpad(self._rom))
        except SensorError as fault:
            if fault.code != contract.COMMUNICATION_FAILURE:
                raise
            value = self._value(self.bus.scratchpad(self._rom))
        except OSError:
            if not self.cfg["rom"]:
                self._rom = None  # another one may be put in its place
            raise SensorError(contract.NOT_CONNECTED, "nobody answers on the 1-Wire bus") from None
        self.put(out, value)

    def _only(self):
        roms = [rom for rom in self.bus.scan() if rom[0] == _FAMILY]
        if not roms:
            raise SensorError(contract.NOT_CONNECTED, "no DS18B20 on the 1-Wire bus")
        if len(roms) > 1:
            found = [binascii.hexlify(rom).decode() for rom in roms[:_MOST_LISTED]]
            raise SensorError(
                contract.CONFIGURATION_ERROR,
                "{} DS18B20 on the bus: name one by its rom: {}".format(
                    len(roms), ", ".join(found)
                ),
            )
        return bytes(roms[0])

    def _value(self, pad):
        if len(pad) != _SIZE or pad == b"\xff" * _SIZE:
            raise SensorError(contract.NOT_CONNECTED, "nobody answers on the 1-Wire bus")
        # All zeros has a right CRC, but byte 7 is always 0x10.
        if crc8(pad) or pad[7] != 0x10:  # noqa: PLR2004 - data sheet, figure 8
            raise SensorError(contract.COMMUNICATION_FAILURE, "scratchpad has a wrong CRC")
        raw = pad[1] << 8 | pad[0]
        if raw == _POWER_UP and pad[6] == _POWER_UP_MARK and not self._was_near():
            # 85 is what it shows before its first conversion; after one, byte 6 is another.
            raise SensorError(
                contract.WAITING_FOR_INITIAL_DATA, "not converted: it has just lost power"
            )
        raw &= ~_UNDEFINED[pad[4] >> 5 & 3]
        if raw & 0x8000:
            raw -= 0x10000
        self._last = raw / 16
        return self._last

    def _was_near(self):
        return self._last is not None and self._last > _NEAR_POWER_UP


class _Conversion:
    """What all thermometers of a bus do at once.

    It has a task of its own: a sensor that is timed out leaves it running, and joins it in its
    next turn, instead of piling up conversions on a bus that is slow.
    """

    def __init__(self):
        self.ms = 0
        self._cfgs = []
        self._task = None
        self._done = None
        self._fault = None

    def join(self, cfg):
        """Have one more wait for the longest; all begin early enough for it."""
        from ._making import check_lead

        ms = max(self.ms, cfg["convert_ms"])
        cfgs = self._cfgs + [cfg]  # noqa: RUF005 - MicroPython has no stars here
        for each in cfgs:
            what = "convert_ms {} for {}, as those of a bus wait for the longest"
            check_lead(what.format(ms, each["metric"]), each, ms + _SPARE_MS)
        for each in cfgs:
            each["lead_ms"] = max(each["lead_ms"], ms + _SPARE_MS)
        self.ms, self._cfgs = ms, cfgs

    async def run(self, bus):
        if self._done is None:
            self._done = asyncio.Event()
            self._task = asyncio.create_task(self._convert(bus, self.ms, self._done))
        await self._done.wait()
        if self._fault is not None:
            raise OSError(self._fault)

    async def _convert(self, bus, ms, done):
        self._fault = None
        try:
            await bus.convert(ms)
        except Exception as fault:  # noqa: BLE001 - told to all who wait
            self._fault = str(fault)
        finally:
            self._done = None
            done.set()


def _conversion(bus):
    for known, conversion in _CONVERSIONS:
        if known is bus:
            return conversion
    made = _Conversion()
    _CONVERSIONS.append((bus, made))
    return made
