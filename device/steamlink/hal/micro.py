"""What the two microcontrollers have in common: time, memory, restart, the way to the buses."""

import gc
import os
import time

import machine

from . import dates, unknown_bus

# HARD_RESET is what the ESP32 says after machine.reset() and after a panic; the RP2, which resets
# by its watchdog, says WDT_RESET.
_CAUSES = (
    ("PWRON_RESET", "power_on"),
    ("HARD_RESET", "soft"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep_sleep"),
    ("SOFT_RESET", "soft"),
)


class Micro:
    """A board under MicroPython; data lies beside the firmware, in the root of its littlefs.

    A subclass has `name`, WATCHDOG_MS (the longest its hardware can wait), AP_SECURITY and
    `pulse(cfg)`.
    """

    has_wifi = True
    # Half of the small ints of 31 bits: MICROPY_PY_TIME_TICKS_PERIOD in py/mpconfig.h.
    TICKS_PERIOD = 1 << 30

    def __init__(self, folder: str = "/") -> None:
        from .micro_wlan import Wlan

        self.folder = folder
        self.network = Wlan(self.AP_SECURITY)

    def ticks_ms(self) -> int:
        """Ms since some start, 0 again after TICKS_PERIOD."""
        return time.ticks_ms()

    def utc_ms(self) -> int | None:
        """The RTC; None while it holds what it was made with."""
        return dates.utc_ms()

    def set_utc_ms(self, ms: int) -> None:
        """Set the RTC, which lasts until the power goes."""
        year, month, day, hour, minute, second, weekday = dates.fields(ms)[:7]
        # The last field is subseconds, in units of the port's own; the clock has the rest.
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def reset_cause(self) -> str:
        """Why the board started. The ports tell no brownout from loss of power."""
        code = machine.reset_cause()
        for constant, cause in _CAUSES:
            if getattr(machine, constant, None) == code:
                return cause
        return "unknown"

    def restart(self) -> None:
        """Reset the whole chip."""
        machine.reset()

    def start_watchdog(self, timeout_ms: int) -> object:
        """The hardware's: it resets the board when `feed` stays away, and cannot be stopped."""
        return machine.WDT(timeout=min(timeout_ms, self.WATCHDOG_MS))

    def heap_free(self) -> int | None:
        """Bytes free in MicroPython's heap."""
        return gc.mem_free()

    def flash_free(self) -> int:
        """Bytes free in the file system."""
        facts = os.statvfs(self.folder)
        return facts[1] * facts[4]

    def sync(self) -> None:
        """What was written is on the flash. littlefs commits a file when it is closed."""
        if hasattr(os, "sync"):
            os.sync()

    def unique_id(self) -> str:
        """The chip's number in hex: the MAC address (ESP32), the flash chip's (RP2)."""
        return machine.unique_id().hex()

    def bus(self, cfg) -> object:
        """A bus by its configuration."""
        kind = cfg.get("kind")
        if kind == "pulse":
            return self.pulse(cfg)
        if kind == "tcp":
            from .tcp import Tcp

            return Tcp(cfg, self.network.lookup)
        if kind == "uart":
            from .micro_uart import Uart

            return Uart(cfg)
        from . import micro_wires as wires

        if kind not in wires.KINDS:
            raise unknown_bus(self.name, cfg, wires.KINDS + ("pulse", "tcp", "uart"))  # noqa: RUF005 - smaller
        return getattr(wires, wires.CLASSES[wires.KINDS.index(kind)])(cfg)
