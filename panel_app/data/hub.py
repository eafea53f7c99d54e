"""The newest live values of the plant, written by one feed and read by every session."""

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
import structlog

from bridge.clock import Clock, to_us, utc_now
from bridge.live import LiveBoiler, LiveSite

log = structlog.get_logger(__name__)

Wake = Callable[[], None]


class SiteView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest live values of one site and when they came (epoch µs, our clock)."""

    live: LiveSite
    received_us: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the feed is connected, since when (epoch µs), and the broker's address."""

    connected: bool = False
    since_us: int = 0
    address: str = ""


class LiveSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that is live at one version; a later snapshot has a higher version."""

    version: int = 0
    link: Link = Link()
    sites: Mapping[str, SiteView] = MappingProxyType({})

    def boiler(self, site: str, boiler: str) -> LiveBoiler | None:
        """The newest of one boiler, or None where nothing has come yet."""
        view = self.sites.get(site)
        if view is None:
            return None
        return next((one for one in view.live.boilers if one.boiler == boiler), None)


class LiveHub:
    """Holds the newest snapshot; one writer puts, any thread reads.

    Readers pull: a wake carries no data, only that the version has moved.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._snapshot = LiveSnapshot()
        self._wakes: dict[int, Wake] = {}
        self._lock = threading.Lock()
        self._ids = 0

    def snapshot(self) -> LiveSnapshot:
        """The newest snapshot; immutable."""
        return self._snapshot

    def put(self, live: LiveSite) -> None:
        """Take the newest values of one site."""
        now_us = to_us(self._clock())
        old = self._snapshot
        sites = dict(old.sites)
        sites[live.site] = SiteView(live=live, received_us=now_us)
        self._publish(old, sites=MappingProxyType(sites))

    def link(self, *, connected: bool, address: str = "") -> None:
        """Take that the feed is connected, or no longer is."""
        old = self._snapshot
        if old.link.connected == connected and old.link.since_us:
            return
        now_us = to_us(self._clock())
        link = Link(connected=connected, since_us=now_us, address=address or old.link.address)
        self._publish(old, link=link)

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """Call `wake` (quick, any thread) after every change; returns what ends it."""
        with self._lock:
            self._ids += 1
            number = self._ids
            self._wakes[number] = wake

        def unsubscribe() -> None:
            with self._lock:
                self._wakes.pop(number, None)

        return unsubscribe

    @property
    def subscribers(self) -> int:
        """How many sessions are woken."""
        return len(self._wakes)

    def _publish(self, old: LiveSnapshot, **changes: object) -> None:
        self._snapshot = msgspec.structs.replace(old, version=old.version + 1, **changes)
        with self._lock:
            wakes = list(self._wakes.items())
        for number, wake in wakes:
            try:
                wake()
            except Exception:
                # One session that cannot be woken must not silence the others.
                log.exception("a session cannot be woken; it is left out from now on")
                with self._lock:
                    self._wakes.pop(number, None)
