"""What an operator sees and does, in a real browser over the fake plant."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from bridge.clock import to_us, utc_now
from panel_app.pages.overview_state import Ages
from tests.browser.conftest import LAPTOP, Opens
from tests.browser.scene import Scene, make_abnormal, scene
from tests.browser.watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_tile_value_follows_the_feed(shown: Scene, open_page: Opens):
    """A value that the feed changes is on its tile within two seconds, with a comma in Portuguese."""
    page = open_page()

    shown.feed.set_value("caldeira-1", "steam_pressure", 8.42)

    expect(value_of(page, "caldeira-1", "steam_pressure")).to_have_text("8,42", timeout=2_000)


def test_alarm_appears_and_is_acknowledged_with_a_note(shown: Scene, open_page: Opens):
    """An operator acknowledges a new alarm; name and note reach the evaluator and the journal."""
    page = open_page("?page=alarms")
    expect(page.locator(".st-active")).to_contain_text("Nenhum alarme ativo")

    shown.feed.alarm("caldeira-1", "low-water")
    row = page.locator('.st-active-row[data-alarm="low-water"]')
    expect(row).to_have_attribute("data-state", "UNACK")
    row.locator(".st-ack").click()
    page.locator(".st-dialog input").fill("Ana")
    page.locator(".st-dialog textarea").fill("bomba reserva ligada")
    page.locator(".st-dialog .st-confirm").click()

    expect(row).to_have_attribute("data-state", "ACKED")
    expect(row).to_contain_text("por Ana")
    journal = page.locator(".st-journal-row[data-state=ACKED]")
    expect(journal).to_contain_text("bomba reserva ligada")
    assert [(sent.by, sent.note) for sent in shown.commands.sent] == [
        ("Ana", "bomba reserva ligada")
    ]


def test_operator_name_is_asked_once(shown: Scene, open_page: Opens):
    """The second acknowledgement already knows who acknowledges."""
    shown.feed.alarm("caldeira-1", "low-water")
    shown.feed.alarm("caldeira-2", "low-water")
    page = open_page()

    for name in ("Ana", None):
        page.locator(".st-banner .st-ack").click()
        if name:
            page.locator(".st-dialog input").fill(name)
        page.locator(".st-dialog .st-confirm").click()
        expect(page.locator(".st-dialog")).to_be_hidden()
        expect(page.locator(".st-banner .st-ack:disabled")).to_have_count(0)

    expect(page.locator(".st-banner .st-ack")).to_have_count(0)
    assert [sent.by for sent in shown.commands.sent] == ["Ana", "Ana"]


def test_acknowledgement_that_cannot_be_sent_says_why(shown: Scene, open_page: Opens):
    """A broker that is away is told at once, and the alarm can be acknowledged again."""
    shown.commands.failure = "no connection to the MQTT broker at 127.0.0.1:1883"
    shown.feed.alarm("caldeira-1", "low-water")
    page = open_page("?lang=en")

    acknowledge_from_banner(page)

    expect(page.locator(".st-failure")).to_contain_text("no connection to the MQTT broker")
    expect(page.locator(".st-banner .st-ack")).to_be_enabled()


def test_acknowledgement_that_is_lost_fails_after_five_seconds(shown: Scene, open_page: Opens):
    """It is shown as pending, then as failed; the alarm stays unacknowledged."""
    shown.commands.lost = True
    shown.feed.alarm("caldeira-1", "low-water")
    page = open_page()

    acknowledge_from_banner(page)

    expect(page.locator(".st-banner .st-ack")).to_have_text("Enviando…")
    expect(page.locator(".st-failure")).to_contain_text("não confirmou em 5 s", timeout=9_000)
    expect(page.locator(".st-banner .st-ack")).to_be_enabled()


def test_acknowledgement_in_one_session_shows_in_another(shown: Scene, open_page: Opens):
    """Two operators see the same state; the second's page is otherwise undisturbed."""
    shown.feed.alarm("caldeira-2", "level-low")
    one, other = open_page("?page=alarms"), open_page("?page=alarms&lang=en")
    other.locator("input[name=text]").fill("pump")

    acknowledge_from_banner(one)

    row = other.locator('.st-active-row[data-alarm="level-low"]')
    expect(row).to_have_attribute("data-state", "ACKED", timeout=2_000)
    expect(other.locator("input[name=text]")).to_have_value("pump")


def test_stopped_feed_raises_the_stale_banner_and_recovers(browser: Browser):
    """Old values never look like live ones: a banner says so, within five seconds."""
    with scene(ages=Ages(late_s=1.5, stale_s=3.0)) as shown, Watch(browser, LAPTOP) as watch:
        page = watch.open(shown.url)
        expect(page.locator(".st-stale")).to_be_hidden()

        shown.feed.pause()
        expect(page.locator(".st-stale")).to_contain_text("DADOS PARADOS", timeout=6_000)
        expect(page.locator('.st-tile[data-boiler="caldeira-1"]')).to_have_attribute(
            "data-state", "stale", timeout=6_000
        )

        shown.feed.open()
        expect(page.locator(".st-stale")).to_be_hidden(timeout=5_000)


def test_nothing_is_coloured_while_all_is_normal(shown: Scene, open_page: Opens):
    """Colour means abnormal (ISA-101): without an alarm there is none, with one there is."""
    page = open_page()
    expect(value_of(page, "caldeira-1", "oxygen")).not_to_have_text("–")

    calm = page.evaluate(COLOURED)
    shown.feed.set_value("caldeira-1", "water_level", 20.0)
    shown.feed.alarm("caldeira-1", "low-water")
    zone = page.locator('.st-zone.st-hot[data-alarm="low-water"]')
    expect(zone).to_have_count(1)

    assert calm == []
    assert page.evaluate(COLOURED) != []


def test_priority_is_shape_number_and_text(shown: Scene, open_page: Opens):
    """A glyph tells its priority without its colour (WCAG 2.2 1.4.1)."""
    for definition in ("low-water", "level-low", "stack-hot", "oxygen-high"):
        shown.feed.alarm("caldeira-1", definition)
    page = open_page("?page=alarms")
    rows = page.locator(".st-active-row .st-glyph")
    expect(rows).to_have_count(4)

    shapes = rows.locator("path").evaluate_all("paths => paths.map(p => p.getAttribute('d'))")
    digits = rows.locator("text").all_text_contents()
    names = rows.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")

    assert len(set(shapes)) == 4
    assert digits == ["1", "2", "3", "4"]
    assert [name[:12] for name in names] == [f"Prioridade {digit}" for digit in digits]


def test_trend_shows_history_streams_and_zooms(shown: Scene, open_page: Opens):
    """A pen has the store's points, gets live ones, and a dragged window is asked for anew."""
    page = open_page("?page=trends&boiler=caldeira-1&pens=steam_pressure")
    page.wait_for_function(f"{POINTS}.length > 300")
    before = page.evaluate(f"{POINTS}.at(-1)")
    page.wait_for_function(f"{POINTS}.at(-1) > {before} + 1500")

    canvas = page.locator(".bk-Canvas").first.bounding_box()
    y = canvas["y"] + canvas["height"] / 2
    page.mouse.move(canvas["x"] + 400, y)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 700, y, steps=5)
    page.mouse.up()

    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    first, last = map(int, re.findall(r"(?:from|to)=(\d+)", page.url))
    assert 60 < last - first < 400
    expect(page.locator('[data-span][aria-pressed="true"]')).to_have_count(0)


def test_pens_are_chosen_and_kept_in_the_address(open_page: Opens):
    """A pen that is switched on becomes a strip and part of the URL; a reload shows the same."""
    page = open_page("?page=trends&boiler=caldeira-2&pens=oxygen&span=8h&lang=en")
    page.locator('.st-pen[data-metric="water_level"]').click()
    page.wait_for_url(re.compile("pens=oxygen,water_level"))
    page.wait_for_function(f"{STRIPS}.length === 2")

    page.reload()

    expect(page.locator('.st-pen[aria-pressed="true"]')).to_have_count(2)
    expect(page.locator('[data-span="8h"]')).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".st-title")).to_have_text("Trends")


def test_navigation_stays_in_one_session_and_back_returns(shown: Scene, open_page: Opens):
    """Pages change without a new session, and the browser's back button leads back."""
    page = open_page()
    before = set(shown.dashboard.sessions)
    page.locator('.st-rail-page[data-page="batches"]').click()
    expect(page.locator(".st-batches .st-batch-id")).to_be_visible()
    page.locator('.st-rail-page[data-page="alarms"]').click()
    expect(page.locator(".st-journal")).to_be_visible()

    page.go_back()

    expect(page.locator(".st-batches")).to_be_visible()
    assert shown.dashboard.sessions == before


def test_batches_show_every_minute_with_its_key(open_page: Opens):
    """A minute's batch id has the form YYYY-MM-DD_HH-MM, and the map has 1,440 minutes."""
    page = open_page("?page=batches&lang=en")
    expect(page.locator(".st-batch-id")).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d$"))
    page.locator(".st-step").first.click()
    expect(page.get_by_role("button", name="Today")).to_be_visible()
    expect(page.locator(".st-cell.st-missing[data-minute]").first).to_be_attached()

    page.locator('.st-cell[data-minute="754"]').hover()

    expect(page.locator(".st-batch-id")).to_have_text(re.compile(r"_12-34$"))
    expect(page.locator(".st-cell[data-minute]")).to_have_count(1_440)


def test_batches_of_another_day_never_show_minutes_of_the_day_before(open_page: Opens):
    """Until the answer for the chosen day is there, no batch id is made of the old one's."""
    page = open_page("?page=batches&lang=en")
    expect(page.locator(".st-batch-id")).to_be_visible()
    page.locator(".st-batches").evaluate(COLLECT_BATCH_IDS)

    page.locator(".st-step").first.click()

    expect(page.get_by_role("button", name="Today")).to_be_visible()
    expect(page.locator(".st-batch-id")).to_have_text(re.compile(r"_23-59$"))
    yesterday = page.locator(".st-batch-id").inner_text()
    seen = page.evaluate("seenBatchIds")
    assert yesterday in seen
    assert {batch_id for batch_id in seen if batch_id[:10] == yesterday[:10]} == {yesterday}


COLLECT_BATCH_IDS = """(node) => {
  window.seenBatchIds = []
  const look = () => {
    const shown = node.querySelector(".st-batch-id")
    if (shown) window.seenBatchIds.push(shown.textContent)
  }
  new MutationObserver(look).observe(node, { childList: true, subtree: true })
}"""
"""Keep every batch id that the page shows from here on, however shortly."""


def test_exports_are_files_in_the_language_of_the_page(shown: Scene, open_page: Opens):
    """The CSV of the journal has the rows that the journal shows."""
    make_abnormal(shown.feed)
    page = open_page("?page=alarms&hours=72")
    expect(page.locator(".st-journal-row").first).to_be_visible()
    rows = page.locator(".st-journal-row").count()

    with page.expect_download() as download:
        page.locator(".st-csv").click()

    text = download.value.path().read_text(encoding="utf-8-sig")
    lines = text.splitlines()
    assert download.value.suggested_filename == "steam-alarms.csv"
    assert lines[0].startswith("Data e hora;UTC;Caldeira;Alarme;")
    assert len(lines) == rows + 1


@pytest.mark.parametrize(
    ("language", "whose", "what", "reading"),
    [
        ("pt-BR", "Sistema Steam", "Avaliação atrasada: há mensagens esperando", "7,3 s"),
        ("en", "Steam system", "Evaluation is late: messages are waiting", "7.3 s"),
    ],
)
def test_alarm_of_steam_itself_is_told_in_words(
    shown: Scene, open_page: Opens, language: str, whose: str, what: str, reading: str
):
    """What the evaluator shows of no site is in the list, in the banner, and acknowledged alike."""
    page = open_page(f"?page=alarms&lang={language}")

    shown.feed.system_alarm("evaluator_lagging", 7.3)

    row = page.locator('.st-active-row[data-boiler="_steam"]')
    for text in (whose, what, reading):
        expect(row).to_contain_text(text)
    expect(page.locator(".st-banner")).to_contain_text(f"{whose}{what}{reading}")
    expect(page.locator(".st-link")).to_have_attribute("data-state", "live")
    acknowledge_from_banner(page)
    expect(row.locator(".st-ack")).to_be_disabled()
    assert (shown.commands.sent[0].boiler, shown.commands.sent[0].definition) == (
        "_steam",
        "evaluator_lagging",
    )


def test_journal_filters_by_text_and_priority(shown: Scene, open_page: Opens):
    """The journal shows what its filters let pass, and says so in the address."""
    make_abnormal(shown.feed)
    page = open_page("?page=alarms&hours=72&lang=en")
    page.locator("select[name=priority]").select_option("1")
    expect(page.locator(".st-journal-row")).to_have_count(3)

    page.locator("input[name=text]").fill("souza")

    expect(page.locator(".st-journal-row")).to_have_count(1)
    page.wait_for_url(re.compile("priority=1.*text=souza"))


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768), (390, 844)], ids=str)
def test_pages_need_no_sideways_scroll(open_page: Opens, size: tuple[int, int]):
    """Every page fits the width of a control-room screen, a laptop and a phone."""
    page = open_page()
    page.set_viewport_size({"width": size[0], "height": size[1]})
    too_wide = {}
    for name, mark in LANDMARKS.items():
        page.locator(f'.st-rail-page[data-page="{name}"]').click()
        expect(page.locator(mark).first).to_be_visible()
        too_wide[name] = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert {at: px for at, px in too_wide.items() if px > 0} == {}


def test_ticks_send_few_frames_with_several_sessions_open(shown: Scene, open_page: Opens):
    """A tick patches only its own page: frames a second stay few however many look on."""
    frames = []
    open_page("?page=alarms")
    page = open_page(new=True, on_frame=lambda frame: frames.append(len(frame)))
    open_page("?page=trends", new=True)
    expect(value_of(page, "caldeira-1", "oxygen")).not_to_have_text("–")
    frames.clear()
    began_us = to_us(utc_now())

    page.wait_for_timeout(3_000)

    seconds = (to_us(utc_now()) - began_us) / 1e6
    # Bokeh sends a message as three frames; one tick a second for each of two sites.
    assert len(frames) / seconds < 15


def value_of(page: Page, boiler: str, metric: str):
    """The number of one row of a tile."""
    return page.locator(f'.st-row[data-boiler="{boiler}"][data-metric="{metric}"] .st-value')


def acknowledge_from_banner(page: Page):
    """Acknowledge the most urgent alarm."""
    page.locator(".st-banner .st-ack").click()
    page.locator(".st-dialog input").fill("Ana")
    page.locator(".st-dialog .st-confirm").click()


LANDMARKS = {
    "trends": ".bk-Canvas",
    "batches": ".st-cell[data-minute]",
    "alarms": ".st-journal",
    "overview": ".st-tile",
}
"""What a page shows once it is built."""

SHOWN = "[...new Set(Bokeh.documents[0].roots().flatMap(root => [...root.references()]))]"
STRIPS = f"{SHOWN}.filter(model => (model.name || '').startsWith('strip-'))"
POINTS = f"(({STRIPS})[0]?.renderers.find(r => r.glyph?.type === 'Line')?.data_source.data.t ?? [])"

COLOURED = """() => {
  const found = []
  const saturated = (text) => {
    const parts = (text.match(/[\\d.]+/g) || []).map(Number)
    if (parts.length < 3 || parts[3] === 0) return false
    return Math.max(...parts.slice(0, 3)) - Math.min(...parts.slice(0, 3)) > 40
  }
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot)
      const style = getComputedStyle(node)
      if (style.visibility === "hidden" || !node.getClientRects().length) continue
      const colours = [style.color, style.backgroundColor]
      if (node instanceof SVGElement) colours.push(style.fill, style.stroke)
      if (colours.some(saturated)) found.push(`${node.tagName}.${node.getAttribute("class")}`)
    }
  }
  walk(document)
  return found
}"""
