"""The dashboard's server: sessions over one hub, its files, and its health."""

import asyncio
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import panel as pn
import structlog
from tornado.ioloop import IOLoop

from bridge.clock import Clock, from_us, to_us, utc_now
from bridge.plant import Plant
from panel_app.data.commands import Commands
from panel_app.data.feed import LiveFeed
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.downloads import DashboardHealth, routes_of
from panel_app.i18n import Language
from panel_app.live.departures import keep_quiet
from panel_app.live.session import House, Session
from panel_app.pages.overview_state import Ages
from panel_app.theme.document import document_files, document_of

log = structlog.get_logger(__name__)

STARTED_WITHIN_S = 60.0
SESSION_LIFETIME_S = 90.0
"""For how long a session waits for a browser that lost its connection."""

_LONGEST_CHECK_S = 10.0


class DashboardFailed(OSError):
    """The dashboard's server could not start; the text says why and what to do."""


class Dashboard:
    """Serves the dashboard from a thread of its own until stopped.

    `plant` gives the present plant and may give another one later; `feed`, where given,
    is opened and closed with the dashboard. `origins` are further `host:port` under which
    browsers may open it (behind a proxy). Port 0 takes a free one.
    """

    def __init__(  # noqa: PLR0913 - the wiring; every one is a keyword
        self,
        *,
        plant: Callable[[], Plant],
        hub: LiveHub,
        history: History,
        commands: Commands,
        feed: LiveFeed | None = None,
        address: str = "127.0.0.1",
        port: int = 5006,
        origins: Sequence[str] = (),
        language: Language = "pt-BR",
        batch_zone: str = "UTC",
        ages: Ages = Ages(),  # noqa: B008 - frozen
        open_browser: bool = False,
        session_lifetime_s: float = SESSION_LIFETIME_S,
        clock: Clock = utc_now,
    ) -> None:
        self._hub = hub
        self._history = history
        self._feed = feed
        self._address = address
        self._port = port
        self._origins = tuple(origins)
        self._open_browser = open_browser
        self._lifetime_s = session_lifetime_s
        self._errands = ThreadPoolExecutor(2, thread_name_prefix="errands")
        self._house = House(
            plant=plant,
            hub=hub,
            history=history,
            commands=commands,
            clock=clock,
            language=language,
            ages=ages,
            batch_zone=batch_zone,
            errands=self._errands,
        )
        self._thread: threading.Thread | None = None
        self._loop: IOLoop | None = None
        self._started = threading.Event()
        self._failure: Exception | None = None
        self.sessions: set[Session] = set()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the dashboard."""
        host = "127.0.0.1" if self._address in ("", "0.0.0.0", "::") else self._address  # noqa: S104
        return f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Serve, and return once browsers can connect; raises DashboardFailed."""
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
        self._thread.start()
        if not self._started.wait(STARTED_WITHIN_S):
            raise DashboardFailed(f"the dashboard did not start in {STARTED_WITHIN_S:g} s")
        if self._failure is not None:
            text = (
                f"the dashboard cannot listen on {self._address}:{self._port}: "
                f"{self._failure}; choose another port"
            )
            raise DashboardFailed(text) from self._failure
        if self._feed is not None:
            self._feed.open()
        log.info("dashboard ready", url=self.url)
        if self._open_browser:
            webbrowser.open(self.url)

    def stop(self) -> None:
        """End every session and stop serving."""
        if self._feed is not None:
            self._feed.close()
        for session in list(self.sessions):
            session.close()
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_alive():
            loop.add_callback(loop.stop)
            thread.join(10)
        self._thread = self._loop = None
        self._errands.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        keep_quiet(loop)
        self._loop = IOLoop.current()
        try:
            server = self._serve(self._loop)
        except Exception as failure:  # noqa: BLE001 - start() raises it where it is awaited
            self._failure = failure
            self._started.set()
            return
        self._started.set()
        self._loop.start()
        server.stop()
        self._loop.close(all_fds=True)

    def _serve(self, loop: IOLoop) -> Any:
        self._port = self._port or _free_port(self._address)
        pn.config.reconnect = True
        pn.config.browser_info = False
        server = pn.io.server.get_server(
            {"/": self._open_session},
            port=self._port,
            address=self._address,
            websocket_origin=[*_local_origins(self._port), *self._origins],
            loop=loop,
            start=False,
            show=False,
            title="Steam",
            location=False,
            extra_patterns=routes_of(self._house, self.health, document_files()),
            unused_session_lifetime_milliseconds=round(self._lifetime_s * 1000),
            check_unused_sessions_milliseconds=round(
                min(self._lifetime_s, _LONGEST_CHECK_S) * 1000
            ),
            keep_alive_milliseconds=20_000,
        )
        server.start()
        return server

    def _open_session(self) -> Any:
        """Make a session: light, without a query; its page is built once the browser is there."""
        document = pn.state.curdoc
        # Panel sets this only while it writes the HTML; a session made for a browser that
        # reconnects would otherwise load its style sheets from a CDN.
        document.template_variables["dist_url"] = pn.io.resources.LOCAL_DIST
        request = document.session_context.request
        session = Session(self._house, document, request.query if request else "")
        self.sessions.add(session)

        def gone(_: object) -> None:
            session.close()
            self.sessions.discard(session)

        document.on_session_destroyed(gone)
        pn.state.onload(session.start)
        return document_of(session.language, {"shell": session.shell, "main": session.main})

    def health(self) -> DashboardHealth:
        """How the dashboard is; any thread."""
        snapshot = self._hub.snapshot()
        now_us = to_us(self._house.clock())
        # Site "" holds the alarms of Steam itself: it says nothing of the boilers' values.
        newest_us = max(
            (view.live.at_us for name, view in snapshot.sites.items() if name), default=0
        )
        return DashboardHealth(
            status="ok" if snapshot.link.connected else "no live feed",
            live_feed=snapshot.link.connected,
            newest_at=from_us(newest_us).isoformat() if newest_us else None,
            data_age_s=round((now_us - newest_us) / 1e6, 3) if newest_us else None,
            sessions=len(self.sessions),
        )


def _local_origins(port: int) -> list[str]:
    return [f"127.0.0.1:{port}", f"localhost:{port}"]


def _free_port(address: str) -> int:
    """A port that is free now: origins must be known before the server listens."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
