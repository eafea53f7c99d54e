"""Pages under watch: a console error or a request outside the origin fails the test."""

import re
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, WebSocket

PATIENCE_MS = 20_000
_REMOTE = {"http", "https", "ws", "wss"}

_OVERTAKEN = re.compile(r"reference p\d+ isn't known")
"""Bokeh's words where a patch that was sent before a page took its document is applied after it: the
document holds its effect already. Seen on reloads on a busy machine."""


class Watch:
    """Opens pages, each in a context of its own, and collects what they should not do."""

    def __init__(self, browser: Browser, size: dict[str, int]) -> None:
        self._browser = browser
        self._size = size
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failed: object) -> None:
        self.close()
        if failed[0] is None:
            assert self.faults == [], self.faults

    def close(self) -> None:
        """Close every page."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def open(
        self, url: str, *, on_frame: Callable[[object], object] | None = None, live: bool = True
    ) -> Page:
        """A page that has connected; `live`: and shows that its values are."""
        context = self._browser.new_context(viewport=self._size)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        origin = urlsplit(url).netloc

        def requested(request: Request) -> None:
            asked = urlsplit(request.url)
            if asked.scheme in _REMOTE and asked.netloc != origin:
                self.faults.append(f"request outside the origin: {request.url}")

        def connected(socket: WebSocket) -> None:
            if urlsplit(socket.url).netloc != origin:
                self.faults.append(f"websocket outside the origin: {socket.url}")
            if on_frame is not None:
                socket.on("framereceived", on_frame)

        page.on("request", requested)
        page.on("websocket", connected)
        page.on("pageerror", self._page_failed)
        page.on(
            "console",
            lambda said: (
                self.faults.append(f"console {said.type}: {said.text}")
                if said.type in ("error", "warning")
                else None
            ),
        )
        page.goto(url)
        if live:
            page.locator(".st-link[data-state=live]").wait_for()
        return page

    def _page_failed(self, error: object) -> None:
        if not _OVERTAKEN.search(str(error)):
            self.faults.append(f"page error: {error}")
