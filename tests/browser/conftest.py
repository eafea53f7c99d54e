"""One browser and one dashboard for all browser tests; each finds them as new."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS
from tests.browser.scene import Scene, scene
from tests.browser.watch import Watch

LAPTOP = {"width": 1366, "height": 768}

Opens = Callable[..., Page]


@dataclass(slots=True)
class Kept:
    """The page that tests hand on to each other, under its own watch."""

    watch: Watch | None = None
    page: Page | None = None
    led: int = 0

    @property
    def faults(self) -> list[str]:
        """What it has done that it should not."""
        return [] if self.watch is None else self.watch.faults

    def lead(self, browser: Browser, shown: Scene, search: str) -> Page:
        """Show the asked address on it, as a new session would."""
        search = search or "?page=overview"
        if "lang=" not in search:
            search += "&lang=pt-BR"
        if self.page is None:
            self.watch = Watch(browser, LAPTOP)
            self.page = self.watch.open(f"{shown.url}{search}")
            return self.page
        self.led += 1
        page = self.page
        page.set_viewport_size(LAPTOP)
        before = page.evaluate_handle(LEAD, f"{search}&led={self.led}")
        page.wait_for_function("before => !before?.isConnected", arg=before)
        page.locator(".st-link[data-state=live]").wait_for()
        return page

    def close(self) -> None:
        """Let go of it; the next test opens another."""
        watch, self.watch, self.page = self.watch, None, None
        if watch is not None:
            watch.close()


LEAD = """(search) => {
  sessionStorage.clear()
  const main = document.querySelector("#main [data-root-id] > *").shadowRoot
  const before = main.querySelector("[class^=bk-]")
  window.dispatchEvent(new CustomEvent("steam-go", { detail: search }))
  return before
}"""
"""Go there, and return the element that the page in its place will replace."""


# Not for the whole run: while Playwright is open, its event loop is the main thread's.
@pytest.fixture(scope="package")
def browser(chromium: Path) -> Iterator[Browser]:
    """A Chromium for all browser tests."""
    expect.set_options(timeout=10_000)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def served(browser: Browser) -> Iterator[Scene]:
    """The dashboard over the fake plant, for all browser tests that need no other."""
    with scene() as one:
        yield one


@pytest.fixture
def shown(served: Scene) -> Scene:
    """The dashboard over the fake plant, every value normal and nothing recorded."""
    served.commands.renew()
    served.feed.calm()
    return served


@pytest.fixture(scope="package")
def kept() -> Iterator[Kept]:
    """Where the page is kept between tests."""
    one = Kept()
    yield one
    one.close()


@pytest.fixture
def open_page(
    browser: Browser, shown: Scene, kept: Kept, request: pytest.FixtureRequest
) -> Iterator[Opens]:
    """Opens pages that forgive no console error and no request outside the origin.

    The first is the page that the test before has left, led to the asked address as a
    link would; `new` asks for one of its own, and every further page is that anyway.
    """
    failed_before = request.session.testsfailed
    with Watch(browser, LAPTOP) as watch:
        led = []

        def open_one(search: str = "", *, new: bool = False, **options: Any) -> Page:
            if new or led:
                return watch.open(f"{shown.url}{search}", **options)
            led.append(kept.lead(browser, shown, search))
            return led[0]

        yield open_one
    faults = kept.faults
    if faults or request.session.testsfailed != failed_before:
        kept.close()
    assert faults == []
