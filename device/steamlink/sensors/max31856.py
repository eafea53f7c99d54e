"""A thermocouple of any type on a MAX31856, linearised by the chip (Maxim MAX31856, rev 0).

Its bus is of SPI mode 1 or 3: "phase": 1.
"""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError, sleep_ms

KIND = "max31856"
BUS = "spi"
# type: letter of the thermocouple; mains_hz: which hum is filtered; average: 1, 2, 4, 8 or 16.
DEFAULTS = {
    "unit": "°C",
    "low": -20,
    "high": 1300,
    "type": "K",
    "mains_hz": 60,
    "average": 1,
    "timeout_ms": 200,
    "lead_ms": 0,
}

_TYPES = const("BEJKNRST")
_AVERAGES = const((1, 2, 4, 8, 16))
_WRITE = const(0x80)
_ONE_SHOT = const(0x40)
_DETECT_OPEN = const(0x10)  # for less than 5 kOhm of thermocouple (table 4)
_FIFTY = const(0x01)
# The longest conversion with its open-circuit test, and what each averaged one adds (table 4).
_CONVERT_MS = {50: (220, 40), 60: (190, 34)}
_SPARE_MS = const(2)  # a sleep may be a tick short

_FAULTS = (
    (0x01, contract.NOT_CONNECTED, "thermocouple is open"),
    (0x02, contract.SENSOR_FAILURE, "thermocouple voltage beyond its limits"),
    (0x80, contract.DEVICE_FAILURE, "cold junction beyond its range"),
    (0x40, contract.SENSOR_FAILURE, "thermocouple beyond its range"),
)


class Driver(Sensor):
    """One thermocouple, converted once for each reading."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        if cfg["type"] not in tuple(_TYPES):
            raise ValueError("type {!r}: one of {}".format(cfg["type"], ", ".join(_TYPES)))
        if cfg["mains_hz"] not in tuple(_CONVERT_MS) or cfg["average"] not in _AVERAGES:
            raise ValueError("mains_hz is 50 or 60, average 1, 2, 4, 8 or 16")
        once_ms, more_ms = _CONVERT_MS[cfg["mains_hz"]]
        self._convert_ms = once_ms + more_ms * (cfg["average"] - 1) + _SPARE_MS
        cfg["lead_ms"] = max(cfg["lead_ms"], self._convert_ms)
        self._cr0 = _DETECT_OPEN | (_FIFTY if cfg["mains_hz"] == 50 else 0)  # noqa: PLR2004 - Hz
        self._cr1 = _AVERAGES.index(cfg["average"]) << 4 | _TYPES.index(cfg["type"])

    async def begin(self):
        """Set the chip up, as it may have lost power, and have it convert once."""
        self.bus.transfer(bytes((_WRITE, self._cr0, self._cr1)))
        self.bus.transfer(bytes((_WRITE, self._cr0 | _ONE_SHOT)))
        await sleep_ms(self._convert_ms)

    async def read(self, out):
        """Put the temperature of the hot junction in degrees Celsius."""
        registers = self.bus.transfer(bytes(17))[1:]
        if registers in (bytes(16), b"\xff" * 16):
            raise SensorError(contract.NOT_CONNECTED, "no MAX31856 on the SPI bus")
        if registers[1] != self._cr1 or registers[0] & ~_ONE_SHOT != self._cr0:
            raise SensorError(contract.DEVICE_FAILURE, "the MAX31856 has lost its settings")
        if registers[0] & _ONE_SHOT:
            raise SensorError(contract.DEVICE_FAILURE, "the MAX31856 does not convert")
        for bit, code, text in _FAULTS:
            if registers[15] & bit:
                raise SensorError(code, text)
        raw = registers[12] << 11 | registers[13] << 3 | registers[14] >> 5
        if raw & 1 << 18:
            raw -= 1 << 19
        self.put(out, raw / 128)
