"""Wi-Fi of a board on `network.WLAN`."""

import asyncio
import time

import network

_POLL_S = 0.1
_OFF_S = 1
# A status left over from the attempt before is no news.
_BELIEVE_MS = 3000
_FAULTS = (
    ("STAT_WRONG_PASSWORD", "the password is refused, or the signal is too weak"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_CONNECT_FAIL", "the access point refuses"),
)


class Wlan:
    """A station, and an access point while the portal is served.

    `ap_security` is the port's number for WPA2.
    """

    def __init__(self, ap_security: int) -> None:
        self._ap_security = ap_security
        self._station = None
        self._point = None

    def country(self, code: str) -> None:
        """Keep to the channels of a country (ISO 3166); before `up`. Wrong ones are ignored."""
        try:  # noqa: SIM105 - MicroPython has no contextlib
            network.country(code)
        except (ValueError, OSError):
            pass

    async def up(self, ssid: str, password: str, timeout_ms: int) -> None:
        """Join; OSError says why not within `timeout_ms`."""
        station = self._on()
        self._leave()
        station.connect(ssid, password or None)
        since = time.ticks_ms()
        while not station.isconnected():
            await asyncio.sleep(_POLL_S)
            passed = time.ticks_diff(time.ticks_ms(), since)
            why = self._fault() if passed >= _BELIEVE_MS else None
            if why is None and passed >= timeout_ms:
                why = "no connection within {} ms".format(timeout_ms)
            if why is not None and not station.isconnected():
                self._leave()
                raise OSError("Wi-Fi {!r}: {}".format(ssid, why))

    def is_up(self) -> bool:
        """Joined, with an address."""
        return self._station is not None and self._station.isconnected()

    def down(self) -> None:
        """Leave and switch the radio off."""
        if self._station is not None:
            self._leave()
            self._station.active(False)
            self._station = None

    def rssi(self) -> int | None:
        """The signal in dBm, None while not joined."""
        if not self.is_up():
            return None
        try:
            return self._station.status("rssi")
        except (ValueError, OSError, TypeError):
            return None

    def address(self) -> str:
        """The address, "" while not joined."""
        return _address(self._station) if self.is_up() else ""

    async def lookup(self, name: str) -> str:
        """The address of a name, without holding up the loop; OSError where nobody knows it."""
        from .. import forget  # noqa: TID252 - on a board the package has another name
        from .micro_lookups import address

        forget("hal.micro_lookups")  # it stays until it is done
        since = time.ticks_ms()
        return await address(
            name, self._name_server(), lambda: time.ticks_diff(time.ticks_ms(), since)
        )

    async def reset(self) -> None:
        """Take the radio's power and give it again: cures a wedged one."""
        station = self._station
        self.down()
        # Only the Pico W has it: it loads the radio's own firmware anew.
        if hasattr(station, "deinit"):
            station.deinit()
        await asyncio.sleep(_OFF_S)
        self._on()

    async def access_point(self, name: str, password: str) -> str:
        """Open a network of our own, WPA2 if there is a password; returns our address in it."""
        point = self._point = network.WLAN(network.AP_IF)
        if password:
            point.config(ssid=name, security=self._ap_security, key=password)
        else:
            point.config(ssid=name, security=0)
        point.active(True)
        while not point.active():  # noqa: ASYNC110 - the radio tells nobody
            await asyncio.sleep(_POLL_S)
        return _address(point)

    def close_access_point(self) -> None:
        """Take our own network off the air again."""
        if self._point is not None:
            self._point.active(False)
            self._point = None

    def _on(self) -> object:
        if self._station is None:
            station = network.WLAN(network.STA_IF)
            station.active(True)
            # A sleeping radio answers late and drops out; this device has mains.
            # docs.micropython.org/en/latest/library/network.WLAN.html, `pm`
            try:  # noqa: SIM105
                station.config(pm=station.PM_NONE)
            except (ValueError, OSError, AttributeError):
                pass
            self._station = station
        return self._station

    def _name_server(self) -> str:
        """The name server's address, "" where none is known."""
        if not self.is_up():
            return ""
        if hasattr(network, "ipconfig"):
            return _given(network.ipconfig("dns"))
        return _given(self._station.ifconfig()[3])

    def _leave(self) -> None:
        try:  # noqa: SIM105
            self._station.disconnect()
        except OSError:  # it had not joined
            pass

    def _fault(self) -> "str | None":
        status = self._station.status()
        for constant, why in _FAULTS:
            if getattr(network, constant, None) == status:
                return why
        return None


def _address(interface) -> str:
    # ifconfig() is deprecated since 1.23, which brought ipconfig().
    if hasattr(interface, "ipconfig"):
        return interface.ipconfig("addr4")[0]
    return interface.ifconfig()[0]


def _given(address: str) -> str:
    return "" if address.strip("0.:") == "" else address
