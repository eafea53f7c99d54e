"""Sessions come and go: nothing of them stays."""

import time

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.chromium import ARGUMENTS
from tests.browser.scene import scene
from tests.browser.watch import Watch
from tests.servers.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SESSIONS = 8
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


def test_page_recovers_from_a_restart_of_the_server(browser):
    """While the server is away the page says STALE; once it is back the page is live again."""
    port = free_port()
    context = browser.new_context()
    page = context.new_page()
    with scene(port=port) as shown:
        page.goto(f"{shown.url}?page=alarms&lang=en")
        expect(page.locator(".st-link")).to_have_attribute("data-state", "live")
    expect(page.locator(".st-stale")).to_contain_text("lost its connection", timeout=15_000)

    with scene(port=port) as shown:
        shown.feed.alarm("caldeira-1", "low-water")
        row = page.locator('.st-active-row[data-alarm="low-water"]')
        expect(row).to_be_visible(timeout=30_000)
        expect(page.locator(".st-stale")).to_be_hidden()
    context.close()
