"""Raspberry Pi (or any Linux with pins): CPython under systemd, buses of the kernel."""

import os
import socket

from . import unknown_bus
from .linux import Linux

_KINDS = ("onewire", "spi", "i2c", "pin", "pulse", "uart", "tcp")
_CLASSES = {
    "onewire": ("pi_onewire", "OneWire"),
    "spi": ("pi_buses", "Spi"),
    "i2c": ("pi_buses", "I2c"),
    "uart": ("pi_buses", "Uart"),
    "pin": ("pi_pins", "Pin"),
    "pulse": ("pi_pins", "Pulse"),
    "tcp": ("tcp", "Tcp"),
}


class Board(Linux):
    """A Raspberry Pi; data lies in `folder`, systemd's StateDirectory."""

    name = "pi"

    def utc_ms(self) -> int | None:
        """The system's clock, None while nothing has set it since the power came (fake-hwclock)."""
        from .pi_clock import is_believable

        return super().utc_ms() if is_believable() else None

    def reset_cause(self) -> str:
        """What steam-device.service noted when the process before ended.

        Its folder under /run is gone after a power cycle, and so is the note.
        """
        runtime = os.environ.get("RUNTIME_DIRECTORY")
        if runtime is None:
            return "unknown"
        try:
            with open(runtime + "/last", encoding="utf-8") as file:
                return "watchdog" if file.read().strip() == "watchdog" else "soft"
        except OSError:
            return "power_on"

    def start_watchdog(self, timeout_ms: int) -> object:  # noqa: ARG002 - WatchdogSec of the unit counts
        """Systemd's: it kills and starts the service anew when `feed` stays away."""
        notify("READY=1")
        return Notifier()

    def unique_id(self) -> str:
        """The Pi's serial number, else the machine's id."""
        try:
            with open("/sys/firmware/devicetree/base/serial-number", encoding="ascii") as file:
                return file.read().strip("\0\n")
        except (OSError, ValueError):
            return super().unique_id()

    def bus(self, cfg) -> object:
        """A bus by its configuration; only its library is imported."""
        if cfg.get("kind") not in _CLASSES:
            raise unknown_bus(self.name, cfg, _KINDS)
        file, name = _CLASSES[cfg["kind"]]
        package = __name__[: -len(".pi")]
        try:
            module = __import__(package + "." + file, None, None, (name,))
            return getattr(module, name)(cfg)
        except ImportError as fault:
            raise ValueError(
                "{}: {}; run device/pi/install.sh again, or pip install -r requirements/pi.txt".format(
                    cfg["kind"], fault
                )
            ) from None


class Notifier:
    """Systemd's watchdog."""

    def feed(self) -> None:
        """Say that all is well."""
        notify("WATCHDOG=1")


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing where it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect("\0" + address[1:] if address[0] == "@" else address)
        line.send(state.encode())
