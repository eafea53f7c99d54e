"""Sessions come and go: nothing of them stays."""

import time

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import ARGUMENTS
from tests.browser.scene import scene
from tests.browser.watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SESSIONS = 12
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def browser(chromium):
    """A Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield opened
        opened.close()


def test_sessions_leave_nothing_behind(browser):
    """After many pages were opened and closed, no session is known and none is woken."""
    pages = ("overview", "trends", "batches", "alarms")
    with scene(session_lifetime_s=0.5) as shown:
        for number in range(SESSIONS):
            with Watch(browser, {"width": 1366, "height": 768}) as watch:
                watch.open(f"{shown.url}?page={pages[number % 4]}")
        deadline = time.monotonic() + PATIENCE_S
        while shown.dashboard.sessions and time.monotonic() < deadline:
            time.sleep(0.1)

        assert shown.dashboard.sessions == set()
        assert shown.hub.subscribers == 0


def test_late_joiner_sees_the_present_state(browser):
    """A session that opens after an alarm shows it, although nothing changes any more."""
    with scene() as shown:
        shown.feed.step()
        shown.feed.pause()
        shown.feed.alarm("caldeira-1", "low-water")
        shown.feed.step()
        with Watch(browser, {"width": 1366, "height": 768}) as watch:
            page = watch.open(shown.url, live=False)
            alarm = page.locator('.st-tile[data-boiler="caldeira-1"] [data-alarm="low-water"]')
            alarm.first.wait_for()
