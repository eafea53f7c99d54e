"""Sessions come and go: nothing of them stays."""

import time

import pytest
from playwright.sync_api import expect

from panel_app.pages.overview_state import Ages
from tests.browser.conftest import LAPTOP
from tests.browser.scene import scene
from tests.browser.watch import Watch
from tests.servers.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_S = 30.0


def test_sessions_leave_nothing_behind(browser):
    """After pages were opened and closed, no session is known and none is woken."""
    with scene(session_lifetime_s=0.5) as shown:
        with Watch(browser, LAPTOP) as watch:
            for page in ("overview", "trends"):
                watch.open(f"{shown.url}?page={page}")
            wait_for(lambda: shown.hub.subscribers == 2)
        wait_for(lambda: not shown.dashboard.sessions)

        assert shown.hub.subscribers == 0


def test_pages_that_were_left_leave_no_models_in_the_browser(open_page):
    """However often an operator changes pages, BokehJS keeps the models of one."""
    page = open_page()
    for name, mark in (("trends", ".bk-Canvas"), ("overview", ".st-tile")) * 2:
        page.locator(f'.st-rail-page[data-page="{name}"]').click()
        expect(page.locator(mark).first).to_be_visible()

    page.wait_for_function("Bokeh.documents[0].all_models.size < 60")


def test_late_joiner_sees_the_present_state(shown, open_page):
    """A session that opens after an alarm shows it, although nothing changes any more."""
    shown.feed.pause()
    shown.feed.alarm("caldeira-1", "low-water")
    shown.feed.step()

    page = open_page(new=True, live=False)

    alarm = page.locator('.st-tile[data-boiler="caldeira-1"] [data-alarm="low-water"]')
    expect(alarm.first).to_be_visible()


def test_page_recovers_from_a_restart_of_the_server(browser):
    """While the server is away the page says STALE; once it is back the page is live again."""
    port = free_port()
    context = browser.new_context()
    page = context.new_page()
    with scene(port=port, ages=Ages(silent_s=2.5)) as shown:
        page.goto(f"{shown.url}?page=alarms&lang=en")
        expect(page.locator(".st-link")).to_have_attribute("data-state", "live", timeout=20_000)
    expect(page.locator(".st-stale")).to_contain_text("lost its connection", timeout=15_000)

    with scene(port=port) as shown:
        shown.feed.alarm("caldeira-1", "low-water")
        row = page.locator('.st-active-row[data-alarm="low-water"]')
        expect(row).to_be_visible(timeout=30_000)
        expect(page.locator(".st-stale")).to_be_hidden()
    context.close()


def wait_for(condition):
    """Wait until it holds; fails where it does not in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
