"""A PT100 or PT1000 on a MAX31865 (Maxim MAX31865, rev 3), by IEC 60751.

Its bus is of SPI mode 1 or 3: "phase": 1.
"""

import math

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError, sleep_ms

KIND = "max31865"
BUS = "spi"
# r0: ohms at 0 °C; reference: the board's resistor, 430 for a PT100, 4300 for a PT1000;
# wires: 2, 3 or 4; lead_ohm: of both leads together, for 2 wires.
DEFAULTS = {
    "unit": "°C",
    "low": -50,
    "high": 400,
    "r0": 100,
    "reference": 430,
    "wires": 3,
    "lead_ohm": 0,
    "mains_hz": 60,
    "timeout_ms": 200,
    "lead_ms": 110,
}

# IEC 60751:2022, 4.2: R = R0 (1 + A t + B t2 + C (t - 100) t3), C only below 0 °C.
_A = const(3.9083e-3)
# Before 1.26 MicroPython's const() takes no negative float.
_B = -5.775e-7
_C = -4.183e-12

_WRITE = const(0x80)
_BIAS = const(0x80)
_ONE_SHOT = const(0x20)
_THREE_WIRES = const(0x10)
_FAULT_CYCLE = const(0x04)
_CLEAR_FAULTS = const(0x02)
_FIFTY = const(0x01)
_CYCLE_BITS = const(0x0C)
_BIAS_MS = const(11)
_CYCLE_MS = const(2)
_CONVERT_MS = const(68)  # at most 66, at 50 Hz
_FULL_SCALE = const(32768)
_STEPS = const(4)
_WIRES = const((2, 3, 4))
_MAINS_HZ = const((50, 60))

_FAULTS = (
    (0x04, contract.SENSOR_FAILURE, "voltage on the inputs beyond its limits"),
    (0x20, contract.NOT_CONNECTED, "REFIN- too high: RTD or a wire is open"),
    (0x10, contract.NOT_CONNECTED, "REFIN- too low: FORCE- is open"),
    (0x08, contract.SENSOR_FAILURE, "RTDIN- too low: RTD is shorted to ground or FORCE- is open"),
    (0x80, contract.NOT_CONNECTED, "resistance above full scale: RTD is open"),
    (0x40, contract.SENSOR_FAILURE, "resistance below the limit: RTD is shorted"),
)


def temperature(ohms, r0=100):
    """Degrees Celsius of a platinum resistor after Callendar and Van Dusen (IEC 60751)."""
    ratio = ohms / r0
    root = _A * _A + 4 * _B * (ratio - 1)
    if root < 0:
        raise ValueError("{} ohm is beyond any platinum resistor".format(ohms))
    # This form of the solution keeps its digits near 0 °C, where the usual one subtracts equals.
    celsius = 2 * (ratio - 1) / (_A + math.sqrt(root))
    if celsius < 0:
        for _ in range(_STEPS):
            t2 = celsius * celsius
            value = 1 + _A * celsius + _B * t2 + _C * (celsius - 100) * t2 * celsius
            slope = _A + 2 * _B * celsius + _C * (4 * celsius - 300) * t2
            celsius -= (value - ratio) / slope
    return celsius


class Driver(Sensor):
    """One resistor; bias only while it is measured, so that it does not heat itself."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from ._making import numeric

        if cfg["wires"] not in _WIRES or cfg["mains_hz"] not in _MAINS_HZ:
            raise ValueError("wires is 2, 3 or 4; mains_hz is 50 or 60")
        r0 = numeric("r0", cfg["r0"], 0)
        if not 0 < r0 < numeric("reference", cfg["reference"]):
            raise ValueError("r0 is above 0, reference above r0")
        numeric("lead_ohm", cfg["lead_ohm"], 0, r0)
        cfg["lead_ms"] = max(cfg["lead_ms"], _BIAS_MS + _CYCLE_MS + _CONVERT_MS)
        self._base = (_THREE_WIRES if cfg["wires"] == 3 else 0) | (  # noqa: PLR2004 - wires
            _FIFTY if cfg["mains_hz"] == 50 else 0  # noqa: PLR2004 - Hz
        )

    async def begin(self):
        """Bias on, a fault detection cycle, and one conversion (data sheet, table 3)."""
        biased = self._base | _BIAS
        self.bus.transfer(bytes((_WRITE, biased | _CLEAR_FAULTS)))
        await sleep_ms(_BIAS_MS)
        self.bus.transfer(bytes((_WRITE, biased | _FAULT_CYCLE)))
        await sleep_ms(_CYCLE_MS)
        self.bus.transfer(bytes((_WRITE, biased | _ONE_SHOT)))
        await sleep_ms(_CONVERT_MS)

    async def read(self, out):
        """Put the temperature in degrees Celsius."""
        registers = self.bus.transfer(bytes(9))[1:]
        self.bus.transfer(bytes((_WRITE, self._base)))
        if registers in (bytes(8), b"\xff" * 8):
            raise SensorError(contract.NOT_CONNECTED, "no MAX31865 on the SPI bus")
        if registers[0] & ~(_ONE_SHOT | _CYCLE_BITS) != self._base | _BIAS:
            raise SensorError(contract.DEVICE_FAILURE, "the MAX31865 has lost its settings")
        if registers[0] & (_ONE_SHOT | _CYCLE_BITS):
            raise SensorError(contract.DEVICE_FAILURE, "the MAX31865 does not convert")
        for bit, code, text in _FAULTS:
            if registers[7] & bit:
                raise SensorError(code, text)
        word = registers[1] << 8 | registers[2]
        if word in (0, 0xFFFF) or word & 1:
            raise SensorError(contract.NOT_CONNECTED, "no resistor: look at the wiring")
        cfg = self.cfg
        ohms = (word >> 1) * cfg["reference"] / _FULL_SCALE - cfg["lead_ohm"]
        self.put(out, temperature(ohms, cfg["r0"]))
