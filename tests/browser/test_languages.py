"""Both languages, whole and unmixed, and text that nobody may trust."""

import msgspec
import pytest
from playwright.sync_api import expect

from bridge.plant import Plant
from panel_app.data.fake_plant import fake_plant
from panel_app.i18n.en import EN
from panel_app.i18n.pt_br import PT_BR
from tests.browser.conftest import LAPTOP
from tests.browser.scene import make_abnormal, scene
from tests.browser.watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LANDMARKS = {
    "trends": ".bk-Canvas",
    "batches": ".st-batch-id",
    "alarms": ".st-journal-row",
    "overview": ".st-tile .st-value",
}
"""What a page shows once it has looked up the past."""

TEXTS = """() => {
  const found = new Set()
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot)
      if (["SCRIPT", "STYLE"].includes(node.tagName) || !node.getClientRects().length) continue
      for (const name of ["title", "aria-label", "placeholder"]) {
        if (node.getAttribute(name)) found.add(node.getAttribute(name))
      }
      for (const child of node.childNodes) {
        if (child.nodeType === 3 && child.data.trim()) found.add(child.data.trim())
      }
    }
  }
  walk(document)
  return [...found]
}"""


@pytest.mark.parametrize(("language", "own", "other"), [("pt-BR", PT_BR, EN), ("en", EN, PT_BR)])
def test_pages_are_whole_in_one_language(shown, open_page, language, own, other):
    """No page shows a text of the other language, and each says its language to the browser."""
    foreign = words(other) - words(own)
    make_abnormal(shown.feed)
    page = open_page(f"?lang={language}")
    for name, mark in LANDMARKS.items():
        page.locator(f'.st-rail-page[data-page="{name}"]').click()
        expect(page.locator(".st-title")).to_have_text(getattr(own, name))
        expect(page.locator(mark).first).to_be_visible()
        seen = set(page.evaluate(TEXTS))

        assert len(seen) > 30
        assert seen & foreign == set()
    assert page.evaluate("document.documentElement.lang") == language


def test_language_is_switched_within_the_session(shown, open_page):
    """The switch changes every text and the decimal sign, and the address keeps it."""
    shown.feed.set_value("caldeira-1", "oxygen", 3.3)
    page = open_page()
    before = set(shown.dashboard.sessions)
    value = page.locator('.st-row[data-boiler="caldeira-1"][data-metric="oxygen"] .st-value')
    expect(value).to_have_text("3,3")

    page.locator('[data-lang="en"]').click()

    expect(value).to_have_text("3.3")
    expect(page.locator(".st-title")).to_have_text("Overview")
    expect(page.locator(".st-footer")).to_contain_text("It never controls or trips a boiler.")
    assert "lang=en" in page.url
    assert shown.dashboard.sessions == before


def test_hostile_text_is_inert_on_every_page(browser):
    """Titles with markup are shown letter by letter; none of them runs."""
    with scene(hostile_plant()) as shown, Watch(browser, LAPTOP) as watch:
        shown.feed.alarm("caldeira-1", "low-water", by=HOSTILE)
        shown.commands.failure = HOSTILE
        page = watch.open(shown.url)
        expect(page.locator(".st-tile-title").first).to_have_text(HOSTILE)
        for name, mark in LANDMARKS.items():
            page.locator(f'.st-rail-page[data-page="{name}"]').click()
            expect(page.locator(mark).first).to_be_visible()
        page.locator(".st-banner .st-ack").click()
        page.locator(".st-dialog input").fill(HOSTILE)
        page.locator(".st-dialog .st-confirm").click()
        expect(page.locator(".st-failure")).to_contain_text(HOSTILE)

        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0


HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


def hostile_plant() -> Plant:
    """The fake plant with markup in every text that a person or a device may write."""
    file = fake_plant().file
    change = msgspec.structs.replace
    boilers = [
        change(
            boiler,
            title=HOSTILE,
            fuel=HOSTILE,
            instruments=[change(one, tag=HOSTILE) for one in boiler.instruments],
            alarms=[
                change(one, title_pt=HOSTILE, title_en=HOSTILE, response_pt=HOSTILE)
                for one in boiler.alarms
            ],
        )
        for boiler in file.boilers
    ]
    sites = [change(site, title=HOSTILE) for site in file.sites]
    return Plant(change(file, sites=sites, boilers=boilers))


def words(texts) -> set[str]:
    """The texts of a language that stand alone on a page."""
    found = set()
    for value in msgspec.structs.asdict(texts).values():
        if isinstance(value, dict):
            found |= set(value.values())
        else:
            found |= set(value) if isinstance(value, tuple) else {value}
    return {text for text in found if "{" not in text and len(text) > 1}
