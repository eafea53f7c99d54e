"""A thermocouple on a MAX31855 (Maxim MAX31855, rev 5), type by the letter of the chip.

The chip takes the thermocouple for a straight line; where that matters (K above 300 °C) give
calibration points. Its bus is of SPI mode 0.
"""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError

KIND = "max31855"
BUS = "spi"
DEFAULTS = {"unit": "°C", "low": -20, "high": 1000, "timeout_ms": 200}

_OPEN = const(1)
_TO_GROUND = const(2)
_TO_SUPPLY = const(4)
_FAULT = const(1 << 16)
_RESERVED = const(1 << 17 | 1 << 3)
_COLDEST = const(-40)
_HOTTEST = const(125)


class Driver(Sensor):
    """One thermocouple."""

    async def read(self, out):
        """Put the temperature of the hot junction in degrees Celsius."""
        word = self.bus.transfer(bytes(4))
        # Four equal bytes of nothing: the data line is stuck, no chip answers.
        if word in (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"):
            raise SensorError(contract.NOT_CONNECTED, "no MAX31855 on the SPI bus")
        bits = word[0] << 24 | word[1] << 16 | word[2] << 8 | word[3]
        if bits & _OPEN:
            raise SensorError(contract.NOT_CONNECTED, "thermocouple is open")
        if bits & _TO_GROUND:
            raise SensorError(contract.SENSOR_FAILURE, "thermocouple touches ground")
        if bits & _TO_SUPPLY:
            raise SensorError(contract.SENSOR_FAILURE, "thermocouple touches the supply")
        if bits & (_FAULT | _RESERVED):
            raise SensorError(contract.COMMUNICATION_FAILURE, "word with impossible bits")
        cold = _signed(bits >> 4 & 0xFFF, 12) / 16
        if not _COLDEST <= cold <= _HOTTEST:
            raise SensorError(contract.DEVICE_FAILURE, "cold junction reads {}".format(cold))
        self.put(out, _signed(bits >> 18, 14) / 4)


def _signed(value, bits):
    return value - (1 << bits) if value >> bits - 1 else value
