"""ESP32 with MicroPython: 4 MiB of flash, pulses counted by its PCNT units."""

import machine

from .fields import choice, whole
from .micro import Micro
from .micro_wires import input_pin

_NO_PULL = (34, 35, 36, 37, 38, 39)  # input only (ESP32 Series Datasheet, pin list)
_UNITS = 4  # the ESP32 has eight; the S2, S3 and C6 have four
# 1023 cycles of 80 MHz, what PCNT can filter: ports/esp32/modules/machine.py
_MOST_FILTER_US = 12


class Board(Micro):
    """An ESP32."""

    name = "esp32"
    WATCHDOG_MS = 60000
    AP_SECURITY = 3  # network.AUTH_WPA2_PSK
    _units = 0

    def bus(self, cfg) -> object:
        """A bus by its configuration; ValueError for a pull that its pin does not have."""
        if cfg.get("pull") not in (None, "none") and cfg.get("pin") in _NO_PULL:
            raise ValueError(
                "{}: pull {!r}; GPIO34 to 39 have none: put a resistor outside the board and leave "
                "pull out, or take another pin".format(cfg.get("kind"), cfg["pull"])
            )
        return super().bus(cfg)

    def pulse(self, cfg) -> object:
        """The next free PCNT unit."""
        if self._units >= _UNITS:
            raise ValueError("pulse: this chip counts {} inputs at most".format(_UNITS))
        counter = Pulse(cfg, self._units)
        self._units += 1
        return counter


class Pulse:
    """Counts in hardware: a flash write stops interrupts for some 80 ms.

    machine.Counter is PCNT with the turns of its 16 bits counted:
    docs.micropython.org/en/latest/library/machine.Counter.html
    """

    def __init__(self, cfg, unit: int) -> None:
        edge = choice(cfg, "edge", ("rising", "falling"), "rising")
        steady_us = cfg.get("debounce_us", 0)
        if isinstance(steady_us, int) and steady_us > _MOST_FILTER_US:
            raise ValueError(
                "pulse: debounce_us {}; the ESP32 filters at most {}: give the contact an RC "
                "filter (docs/guides/wiring.md)".format(steady_us, _MOST_FILTER_US)
            )
        steady_us = whole(cfg, "debounce_us", 0, _MOST_FILTER_US, 0)
        if not hasattr(machine, "Counter"):
            raise ValueError("pulse: needs MicroPython 1.26 or later (machine.Counter)")
        kind = machine.Counter
        self._counter = kind(
            unit,
            input_pin(cfg),
            edge=kind.RISING if edge == "rising" else kind.FALLING,
            filter_ns=steady_us * 1000,
        )

    def count(self) -> int:
        """Pulses since the start."""
        return self._counter.value()
