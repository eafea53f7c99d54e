"""The device's own pages on a phone, in a real Chromium."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from playwright.sync_api import Browser, Page

from device.steamlink import portal
from device.steamlink.config import Config
from device.steamlink.hal.fake import Board
from tests.firmware import web

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
HOSTILE = "\"><script>document.title='x'</script>"


class Device:
    """A portal in a thread of its own: Playwright has the main thread's event loop."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(str(folder))
        self.config.load()
        self.port = 0
        self._board = Board(str(folder))
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(5)

    async def _run(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        pages = portal.Portal(self._board, self.config, web.HOST, 0, asyncio.Event())
        server, self.port = await web.listen(pages.take)
        self._started.set()
        await self._done.wait()
        server.close()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with Device(tmp_path) as running:
        yield running


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A page of a phone's size, which notes what it asks of whom."""
    page = browser.new_page(viewport=PHONE, locale="pt-BR")
    yield page
    page.close()


def wider(page: Page) -> int:
    """By how many pixels the page is wider than the phone."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def test_portal_on_a_phone_fits_and_asks_nobody_else(device, phone):
    """No scrolling sideways, no request but the page's own, fields large enough for a thumb."""
    asked = []
    phone.on("request", lambda request: asked.append(request.url))
    home = f"http://{web.HOST}:{device.port}/"

    phone.goto(home)

    assert wider(phone) <= 0
    assert asked == [home]
    assert phone.title() == "Steam: Configurar dispositivo"
    heights = phone.eval_on_selector_all(
        "input:not([type=checkbox]), button, header a",
        "all => all.map(each => each.getBoundingClientRect().height)",
    )
    assert min(heights) >= 44
    sizes = phone.eval_on_selector_all(
        "input", "all => all.map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(sizes) >= 16  # below, an iPhone zooms in


def test_portal_shows_passwords_on_request(device, phone):
    """Long passwords are typed with a thumb: the box shows both."""
    phone.goto(f"http://{web.HOST}:{device.port}/")
    phone.get_by_label("Senha da rede").fill("uma senha")

    phone.get_by_label("Mostrar senhas").check()

    assert phone.get_by_label("Senha da rede").get_attribute("type") == "text"
    phone.get_by_label("Mostrar senhas").uncheck()
    assert phone.get_by_label("Senha da rede").get_attribute("type") == "password"


def test_portal_marks_what_is_wrong_then_saves_in_the_chosen_language(device, phone):
    """English; a hostile network name stays text; faults beside their fields; saved in the end."""
    phone.goto(f"http://{web.HOST}:{device.port}/")
    phone.get_by_role("link", name="English").click()
    for label, text in (
        ("Network name", HOSTILE[:32]),
        ("Network password", "longenough"),
        ("Address", "192.168.0.10"),
        ("Site", "Matriz"),
        ("Device", "cal-1"),
    ):
        phone.get_by_label(label).fill(text)
    phone.get_by_role("button", name="Save and restart").click()

    wrong = phone.locator("[aria-invalid]")
    assert wrong.count() == 1
    assert wrong.input_value() == "Matriz"
    assert phone.get_by_label("Network name").input_value() == HOSTILE[:32]
    assert phone.title() == "Steam: Set up device"
    assert wider(phone) <= 0
    phone.get_by_label("Site").fill("matriz")
    phone.get_by_role("button", name="Save and restart").click()

    assert phone.locator("strong").inner_text() == HOSTILE[:32]
    assert phone.title() == "Steam: Saved"
    assert wider(phone) <= 0
    assert device.config.values["wifi"]["ssid"] == HOSTILE[:32]
