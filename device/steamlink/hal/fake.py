"""A board that tests set: time, network, watchdog and buses do what the test says.

Nothing waits: time moves only by `advance`, or by what a fake network would have waited.
"""

import asyncio

from . import dates, linux
from .fake_buses import I2c, OneWire, Pin, Pulse, Spi, Uart


class Restarted(SystemExit):
    """The board was restarted: `cause` says "soft" or "watchdog"."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Watchdog:
    """Records its feeds (ticks); `check` restarts a board that fed it too late."""

    def __init__(self, board, timeout_ms: int) -> None:
        self._board = board
        self.timeout_ms = timeout_ms
        self.feeds = [board.elapsed_ms]

    def feed(self) -> None:
        """Record a feed; too late is as good as never."""
        self.check()
        self.feeds.append(self._board.elapsed_ms)

    def check(self) -> None:
        """Raise Restarted when the last feed is longer ago than the time-out."""
        if self._board.elapsed_ms - self.feeds[-1] > self.timeout_ms:
            self._board.cause = "watchdog"
            raise Restarted("watchdog")


class Network:
    """Wi-Fi in the hands of a test.

    `there`: the access point is on the air. `wedged`: joining fails until so many `reset`s.
    `names`: the addresses that `lookup` knows. `joins`, `resets`: how often they were asked for. Leaving the air drops the link.
    """

    def __init__(self, board) -> None:
        self._board = board
        self._joined = False
        self.there = True
        self.wedged = 0
        self.password = None
        self.takes_ms = 0
        self.strength = -60
        self.joins = 0
        self.resets = 0
        self.asked = None
        self.point = False
        self.names = {}

    async def up(self, ssid: str, password: str, timeout_ms: int) -> None:
        """Join; as long as the real one takes, the board's time goes on."""
        self.joins += 1
        self.asked = (ssid, password)
        await asyncio.sleep(0)
        wrong = self.password is not None and password != self.password
        if not self.there or self.wedged or wrong or self.takes_ms > timeout_ms:
            self._board.advance(timeout_ms)
            why = "wrong password" if wrong else "no answer in {} ms".format(timeout_ms)
            raise OSError("Wi-Fi {!r}: {}".format(ssid, why))
        self._board.advance(self.takes_ms)
        self._joined = True

    def is_up(self) -> bool:
        """Joined, and the access point still there."""
        self._joined = self._joined and self.there and not self.wedged
        return self._joined

    def down(self) -> None:
        """Leave."""
        self._joined = False

    def rssi(self) -> int | None:
        """`strength` in dBm while joined."""
        return self.strength if self.is_up() else None

    def address(self) -> str:
        """A documentation address while joined (RFC 5737)."""
        return "192.0.2.7" if self.is_up() else ""

    async def lookup(self, name: str) -> str:
        """What `names` says of it, else itself."""
        await asyncio.sleep(0)
        return self.names.get(name, name)

    async def reset(self) -> None:
        """Off and on: unwedges by one."""
        self.resets += 1
        self._joined = False
        self.wedged = max(0, self.wedged - 1)
        await asyncio.sleep(0)

    async def access_point(self, name: str, password: str) -> str:
        """Loopback, so that a test can reach the portal."""
        self.asked = (name, password)
        self.point = True
        return "127.0.0.1"

    def close_access_point(self) -> None:
        """Off the air."""
        self.point = False


_KINDS = {
    "onewire": OneWire,
    "spi": Spi,
    "i2c": I2c,
    "pin": Pin,
    "pulse": Pulse,
    "uart": Uart,
    "tcp": Uart,
}


class Board:
    """A board of a test; every attribute may be set at any time.

    `elapsed_ms` moves by `advance`; `ticks_ms` is it plus `ticks`, cut to the period.
    `rtc_ns` counts from 1 January of `epoch` (1970 or 2000) and moves along; None: unset.
    `fitted`: buses by kind, made when first asked for; each bus asked for is in `asked`.
    """

    name = "fake"
    has_wifi = True
    TICKS_PERIOD = 1 << 30

    def __init__(
        self, folder: str = ".", *, ticks: int = 0, utc_ms=None, epoch: int = 1970
    ) -> None:
        self.folder = folder
        self.ticks = ticks
        self.elapsed_ms = 0
        self.epoch = epoch
        self.rtc_ns = None
        self.cause = "power_on"
        self.heap = 100000
        self.flash = None
        self.syncs = 0
        self.watchdog = None
        self.network = Network(self)
        self.fitted = {}
        self.asked = []
        if utc_ms is not None:
            self.set_utc_ms(utc_ms)

    def advance(self, ms: int) -> None:
        """Let `ms` pass; Restarted when that starves a watchdog."""
        self.elapsed_ms += ms
        if self.rtc_ns is not None:
            self.rtc_ns += ms * 1000000
        if self.watchdog is not None:
            self.watchdog.check()

    def ticks_ms(self) -> int:
        """Ms, wrapped as on the boards."""
        ticks = self.ticks + self.elapsed_ms
        return ticks % self.TICKS_PERIOD if self.TICKS_PERIOD else ticks

    def utc_ms(self) -> int | None:
        """What the clock says, None while it cannot be right."""
        return None if self.rtc_ns is None else dates.plausible_ms(self.rtc_ns, self.epoch)

    def set_utc_ms(self, ms: int) -> None:
        """Set the clock, in its own epoch."""
        self.rtc_ns = dates.since(ms, self.epoch) * 1000000

    def reset_cause(self) -> str:
        """`cause`."""
        return self.cause

    def restart(self) -> None:
        """Raise Restarted."""
        self.cause = "soft"
        raise Restarted("soft")

    def start_watchdog(self, timeout_ms: int) -> Watchdog:
        """Start the watchdog that `advance` checks."""
        self.watchdog = Watchdog(self, timeout_ms)
        return self.watchdog

    def heap_free(self) -> int | None:
        """`heap`."""
        return self.heap

    def flash_free(self) -> int:
        """`flash`, or the folder's file system while that is None."""
        return linux.flash_free(self.folder) if self.flash is None else self.flash

    def sync(self) -> None:
        """Count."""
        self.syncs += 1

    def unique_id(self) -> str:
        """A made-up one."""
        return "0123456789ab"

    def bus(self, cfg) -> object:
        """The fitted bus of this kind."""
        kind = cfg.get("kind")
        if kind not in _KINDS:
            raise ValueError("bus of kind {!r}; known: {}".format(kind, sorted(_KINDS)))
        self.asked.append(cfg)
        if kind not in self.fitted:
            self.fitted[kind] = _KINDS[kind]()
        return self.fitted[kind]
