"""A session on a document of its own, without a browser."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import msgspec
import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc

from bridge.clock import from_us
from bridge.plant import Plant
from panel_app.data.fake import FakeCommands, FakePlantFeed
from panel_app.data.fake_plant import fake_plant
from panel_app.data.fake_store import FakeStore
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.live.session import House, Session
from panel_app.pages.overview_state import Ages
from store.errors import Unavailable

NOW_US = 1_800_000_000_000_000
MOST_CPU_A_TICK_S = 0.05


class Bench:
    """A session, its plant, and the clock that the test moves."""

    def __init__(self, search=""):
        self.now_us = NOW_US
        self.plant = fake_plant()
        self.hub = LiveHub(self.clock)
        self.feed = FakePlantFeed(self.hub, self.plant, clock=self.clock)
        self.commands = FakeCommands(self.feed)
        self.store = FakeStore(self.feed, clock=self.clock)
        self.history = History(self.store, clock=self.clock)
        self.errands = ThreadPoolExecutor(1)
        self.document = Document()
        # A dashboard served by this process for other tests would lend its document otherwise.
        self.current = ExitStack()
        self.current.enter_context(set_curdoc(self.document))
        house = House(
            plant=lambda: self.plant,
            hub=self.hub,
            history=self.history,
            commands=self.commands,
            clock=self.clock,
            language="pt-BR",
            ages=Ages(),
            batch_zone="UTC",
            errands=self.errands,
        )
        self.session = Session(house, self.document, search)
        for view in (self.session.shell, self.session.main):
            self.document.add_root(view.get_root(self.document))
        self.session.start()
        self.say(type="beat", width=1366, height=768)

    def clock(self):
        return from_us(self.now_us)

    def say(self, **message):
        self.session.shell._handle_msg(message)

    def turn(self, patience_s=10.0):
        """Run what the document was asked to run, until nothing is pending."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            pending = [
                one
                for one in self.document.session_callbacks
                if type(one).__name__ == "NextTickCallback"
            ]
            for one in pending:
                one.callback()
            if not pending and not self.history._pool._work_queue.qsize():
                time.sleep(0.02)
                if not any(
                    type(one).__name__ == "NextTickCallback"
                    for one in self.document.session_callbacks
                ):
                    return

    def step(self, seconds=1.0):
        self.now_us += round(seconds * 1e6)
        self.feed.step()
        self.turn()

    def close(self):
        self.session.close()
        self.history.close()
        self.errands.shutdown()
        self.current.close()


@pytest.fixture
def bench():
    made = []

    def make(search=""):
        made.append(Bench(search))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


def shell_live(bench):
    return msgspec.json.decode(bench.session.shell.live)


@pytest.mark.parametrize("page", ["overview", "trends", "batches", "alarms"])
def test_page_opens_ticks_and_closes(bench, page):
    """Every page lives without a browser, and its session leaves no wake behind."""
    one = bench(f"?page={page}")
    one.step()

    before = one.session.ticks
    one.step()

    assert one.session.ticks > before
    one.session.close()
    assert one.hub.subscribers == 0


def test_tick_changes_only_what_is_new(bench):
    """A tick is one property of the shell and one of the page; the same values again are none."""
    one = bench()
    one.step()
    changed = []
    for view in (one.session.shell, one.session._page.view):
        names = [name for name in view.param if name != "name"]
        view.param.watch(
            lambda event: changed.append((type(event.obj).__name__, event.name)), names
        )

    one.now_us += 1_000_000
    one.feed.step()
    one.session.tick()
    first, changed[:] = sorted(changed), []
    one.session.tick()

    assert first == [("Overview", "live"), ("Shell", "live")]
    assert changed == []


def test_tick_is_cheap(bench):
    """A session's tick takes some milliseconds of one core, far from the busy trap's 350."""
    one = bench()
    one.step()
    began = time.process_time()

    for _ in range(20):
        one.now_us += 1_000_000
        one.feed.step()
        one.session.tick()

    assert (time.process_time() - began) / 20 < MOST_CPU_A_TICK_S


def test_navigation_opens_another_page_of_the_plant(bench):
    """A boiler that does not exist is left out of the route."""
    one = bench()
    one.say(type="go", search="?page=trends&boiler=caldeira-2&pens=oxygen")
    one.turn()
    first = one.session._route

    one.say(type="go", search="?page=trends&boiler=nowhere")
    one.turn()

    assert (first.boiler, first.pens) == ("caldeira-2", ("oxygen",))
    assert one.session._route.boiler == "caldeira-1"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "go"},
        {"type": "go", "search": 5},
        {"type": "beat", "width": "wide", "height": None},
        {"type": "language", "language": "<script>"},
        {"type": "acknowledge"},
        {"type": "span", "value": "1000y"},
        {"type": "pan", "value": "nan"},
        {"type": "pens", "value": "passwords"},
        {"type": "day", "step": "2"},
        {"type": "filter"},
        {"type": "unheard-of"},
    ],
)
@pytest.mark.parametrize("page", ["trends", "batches", "alarms"])
def test_any_message_of_a_browser_is_survived(bench, page, message):
    """What a browser sends is not trusted; the session goes on."""
    one = bench(f"?page={page}")

    one.say(**message)
    one.step()

    assert one.session.woken


def test_silent_browser_is_woken_no_longer_until_it_beats_again(bench):
    """A laptop that was closed costs nothing; opened again it goes on."""
    one = bench()
    one.step()
    one.now_us += 61_000_000
    one.session._beat()
    assert not one.session.woken

    one.say(type="beat", width=1366, height=768)
    one.session._beat()

    assert one.session.woken


def test_store_that_cannot_be_read_is_told(bench):
    """The page stays; a notice says why there is no history, and goes when there is."""
    one = bench("?page=trends")
    one.turn()

    def away(*_args, **_kwargs):
        raise Unavailable("no answer from 127.0.0.1:8086")

    real, one.store.series = one.store.series, away
    one.say(type="span", value="8h")
    one.turn()
    assert "127.0.0.1:8086" in shell_live(one)["notice"]

    one.store.series = real
    deadline = time.monotonic() + 10
    while shell_live(one)["notice"] and time.monotonic() < deadline:
        one.step(20)

    assert shell_live(one)["notice"] == ""


def test_changed_plant_is_shown_at_the_next_tick(bench):
    """A boiler that was added to plant.yaml appears without a reload."""
    one = bench()
    one.step()
    file = one.plant.file
    added = msgspec.structs.replace(file.boilers[0], name="caldeira-5", title="Caldeira 5")
    one.plant = Plant(msgspec.structs.replace(file, boilers=[*file.boilers, added]))

    one.step()

    state = msgspec.json.decode(one.session.shell.state)
    assert [boiler["id"] for boiler in state["boilers"]][-1] == "caldeira-5"


def test_acknowledgement_without_a_name_is_refused(bench):
    """Nobody acknowledges anonymously, whatever the browser sends."""
    one = bench()
    one.feed.alarm("caldeira-1", "low-water")
    one.step()

    one.say(type="acknowledge", boiler="caldeira-1", definition="low-water", by=" \n ")

    assert one.commands.sent == []
    assert "nome do operador" in shell_live(one)["pending"][0]["error"]


def test_acknowledgement_is_one_line_and_bounded(bench):
    """Name and note cannot carry control characters or a novel into the journal."""
    one = bench()
    one.feed.alarm("caldeira-1", "low-water")
    one.step()

    one.say(
        type="acknowledge",
        boiler="caldeira-1",
        definition="low-water",
        by="Ana\r\nSouza",
        note="x" * 5_000,
    )
    one.errands.submit(lambda: None).result(10)

    assert one.commands.sent[0].by == "Ana Souza"
    assert len(one.commands.sent[0].note) == 500
