"""What the boards under Linux have in common: both interpreters; the only bus is TCP."""
# ruff: noqa: ARG002 - the port has arguments that are of no use here

import gc
import os
import sys
import time

from . import RESTART_CODE, dates, unknown_bus

_HAS_TICKS = hasattr(time, "ticks_ms")


class Wired:
    """A network that the system takes care of: always up."""

    async def up(self, ssid: str, password: str, timeout_ms: int) -> None:
        """Nothing to do."""

    def is_up(self) -> bool:
        """True: a link that is down shows where it is used."""
        return True

    def down(self) -> None:
        """Nothing to do."""

    def rssi(self) -> int | None:
        """No radio."""
        return None

    def address(self) -> str:
        """The address of the way out, "" where it cannot be told."""
        import socket

        if not hasattr(socket.socket, "getsockname"):
            return ""
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; documentation address (RFC 5737)
            return probe.getsockname()[0]
        except OSError:
            return ""
        finally:
            probe.close()

    async def lookup(self, name: str) -> str:
        """The address of a name, without holding up the loop; OSError where nobody knows it."""
        from .linux_lookups import lookup

        return await lookup(name)

    async def reset(self) -> None:
        """Nothing to do."""

    async def access_point(self, name: str, password: str) -> str:
        """No radio: the portal is served on this machine only."""
        return "127.0.0.1"

    def close_access_point(self) -> None:
        """Nothing to do."""


class Unwatched:
    """A watchdog that nobody hears."""

    def feed(self) -> None:
        """Nothing to do."""


class Linux:
    """A machine whose data lies in `folder`, which is made if need be; a subclass has `name`."""

    has_wifi = False
    TICKS_PERIOD = 0

    def __init__(self, folder: str = ".") -> None:
        self.folder = folder
        self.network = Wired()
        make_folder(folder)

    def ticks_ms(self) -> int:
        """Ms since some start: MicroPython's here wrap after 146 million years."""
        return time.ticks_ms() if _HAS_TICKS else time.monotonic_ns() // 1000000

    def utc_ms(self) -> int | None:
        """The system's clock, None while it cannot be right."""
        return dates.utc_ms()

    def set_utc_ms(self, ms: int) -> None:
        """Nothing: the clock belongs to the system."""

    def reset_cause(self) -> str:
        """Nobody tells a process why it starts."""
        return "unknown"

    def restart(self) -> None:
        """End the process with the code that asks for another start."""
        sys.exit(RESTART_CODE)

    def start_watchdog(self, timeout_ms: int) -> object:
        """A watchdog that does nothing."""
        return Unwatched()

    def heap_free(self) -> int | None:
        """Bytes free in MicroPython's heap."""
        return gc.mem_free() if hasattr(gc, "mem_free") else None

    def flash_free(self) -> int:
        """Bytes free in the file system of the folder."""
        return flash_free(self.folder)

    def sync(self) -> None:
        """Every file is settled as it is written; only MicroPython cannot, and has all of the disk wait."""
        if not hasattr(os, "fsync") and hasattr(os, "sync"):
            os.sync()

    def unique_id(self) -> str:
        """The machine's id (systemd's machine-id), "0" where it has none."""
        try:
            with open("/etc/machine-id") as file:
                return file.read(64).strip() or "0"
        except OSError:
            return "0"

    def bus(self, cfg) -> object:
        """A bus by its configuration."""
        if cfg.get("kind") == "tcp":
            from .tcp import Tcp

            return Tcp(cfg, self.network.lookup)
        raise unknown_bus(self.name, cfg, ("tcp",))


def flash_free(folder: str) -> int:
    """Bytes that may still be written there: fragment size x blocks for everybody."""
    facts = os.statvfs(folder)
    return facts[1] * facts[4]


def make_folder(folder: str) -> None:
    """Make `folder` and what leads to it."""
    so_far = "/" if folder.startswith("/") else ""
    for part in folder.split("/"):
        so_far += part
        if part:
            try:
                os.stat(so_far)
            except OSError:
                os.mkdir(so_far)
            so_far += "/"
