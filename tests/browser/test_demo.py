"""The dashboard on the real thing: `steam demo`, from a simulated sensor to an operator's click."""

import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.servers.ports import free_port
from tests.system.rig import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.system]

PATIENCE_MS = 60_000


@pytest.fixture
def demo():
    """The address of a running demo."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "steam", "demo", "--no-browser", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline()
    assert process.stderr.readline()
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.fixture
def page(browser, demo):
    """A page on the demo; no console error, and no request that leaves the origin, is forgiven."""
    faults = []
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: faults.append(r.url) if _leaves(r.url, demo) else None)
    for _ in range(200):
        try:
            page.goto(demo)
            break
        except Exception as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            page.wait_for_timeout(100)
    faults.clear()
    yield page
    context.close()
    assert faults == []


def _leaves(url, origin):
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws") and parts.netloc != urlsplit(origin).netloc


def test_operator_sees_values_change_and_acknowledges_the_alarm(page):
    """A tile's value changes, the fault's alarm appears, and a click acknowledges it."""
    value = page.locator('.st-row[data-boiler="caldeira-1"][data-metric="steam_flow"] .st-value')
    expect(value).to_have_text(re.compile(r"\d+,\d+"), timeout=PATIENCE_MS)
    first = value.inner_text()
    expect(value).not_to_have_text(first, timeout=PATIENCE_MS)

    page.locator('.st-rail-page[data-page="alarms"]').click()
    row = page.locator('.st-active-row[data-alarm="water_level_lo"][data-boiler="caldeira-1"]')
    expect(row).to_have_attribute("data-state", "UNACK", timeout=PATIENCE_MS)
    row.locator(".st-ack").click()
    _name_the_operator(page)

    expect(row).to_have_attribute("data-state", "ACKED", timeout=PATIENCE_MS)
    expect(page.locator(".st-journal-row", has_text="Ana").first).to_be_visible(timeout=PATIENCE_MS)


def _name_the_operator(page):
    """Fill in the name that is asked for once a session, and confirm."""
    dialog = page.locator(".st-dialog")
    expect(dialog).to_be_visible()
    dialog.locator("input").first.fill("Ana")
    dialog.locator("button[type=submit]").click()
