"""Screenshots of every page: `python -m tests.browser.screenshots FOLDER [WORD...]`.

Each page is taken in both languages on a control-room screen, a laptop and a phone. With
words, only the files whose name contains one of them.
"""

import sys
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bridge.clock import Clock, utc_now
from tests.browser.chromium import ARGUMENTS, chromium_path
from tests.browser.scene import make_abnormal, scene

SIZES = {"1920x1080": (1920, 1080), "1366x768": (1366, 768), "390x844": (390, 844)}
PAGES = {
    "overview": "page=overview",
    "trends": "page=trends&boiler=caldeira-1",
    "trends-24h": "page=trends&boiler=caldeira-2&span=24h"
    "&pens=steam_pressure,water_level,steam_flow,feedwater_flow,oxygen,flue_gas_temperature",
    "batches": "page=batches",
    "alarms": "page=alarms&hours=72",
    "acknowledge": "page=alarms",
}
LANGUAGES = ("pt-BR", "en")


def main(folder: Path, words: list[str]) -> None:
    """Take them."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, scene(clock=_afternoon()) as shown:
        make_abnormal(shown.feed)
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        for page, language, size in product(PAGES, LANGUAGES, SIZES):
            name = f"{page}-{language}-{size}"
            if not words or any(word in name for word in words):
                take(browser, f"{shown.url}?{PAGES[page]}&lang={language}", folder, name)
                sys.stdout.write(f"{folder / name}.png\n")
        browser.close()


def _afternoon() -> Clock:
    """A clock that runs from 17:42:10 UTC on: the day's batches have a past and a future."""
    begin = utc_now()
    shift = begin.replace(hour=17, minute=42, second=10) - begin
    return lambda: utc_now() + shift


def take(browser: Browser, url: str, folder: Path, name: str) -> None:
    """Take one screenshot, once values have come."""
    width, height = SIZES[name.rsplit("-", 1)[1]]
    phone = width < 720
    page = browser.new_page(
        viewport={"width": width, "height": height}, device_scale_factor=2 if phone else 1
    )
    page.goto(url)
    page.locator(".st-link[data-state=live]").wait_for(timeout=30_000)
    if name.startswith("acknowledge"):
        page.locator(".st-active .st-ack").first.click()
        page.locator(".st-dialog input").fill("Marina Souza")
    page.wait_for_timeout(3_500)
    page.screenshot(path=folder / f"{name}.png")
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
