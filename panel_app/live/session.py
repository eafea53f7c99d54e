"""One browser session: its route, its language, its page, and the ticks that refresh it."""

import re
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec
import panel as pn
import structlog
from bokeh.document import Document

from bridge.clock import Clock, to_us
from bridge.live import AcknowledgeAlarm
from bridge.plant import Plant
from bridge.records import AlarmState
from panel_app.components.view import Shell
from panel_app.data.commands import CommandFailed, Commands
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.i18n import Language, translator_of
from panel_app.live.acknowledging import Acknowledging
from panel_app.live.batching import batched
from panel_app.live.wakeup import Wakeup
from panel_app.pages import page_of
from panel_app.pages.overview_state import Ages
from panel_app.pages.page import Page, Surroundings
from panel_app.pages.shell_state import shell_live, shell_state
from panel_app.route import Route, route_of
from store.errors import StoreError

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

HEARTBEAT_MS = 2_000
"""How often a quiet session is ticked: data ages, and the browser hears that we live."""

SILENT_S = 60.0
"""A browser that has not beaten (every 15 s) for so long is no longer woken."""

_LONGEST_NAME = 64
_LONGEST_NOTE = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all sessions of a process share."""

    plant: Callable[[], Plant]
    hub: LiveHub
    history: History
    commands: Commands
    clock: Clock
    language: Language
    ages: Ages
    batch_zone: str
    errands: Executor
    """Runs what may wait for a broker."""


class Search(msgspec.Struct, frozen=True, kw_only=True, tag="search"):
    """Told to the browser: the address has another query string now."""

    search: str


class Session:
    """A session's state; everything here runs on the session's own document."""

    def __init__(self, house: House, document: Document, search: str) -> None:
        self._house = house
        self._document = document
        self._plant = house.plant()
        self._route = route_of(search, self._plant)
        self._translator = translator_of(self._route.lang, house.language)
        self._acknowledging = Acknowledging()
        self._wakeup = Wakeup(house.hub, document.add_next_tick_callback, self.tick)
        self._page: Page | None = None
        self._pages = 0
        self._width, self._height = 1366, 768
        self._heard_us = to_us(house.clock())
        self._closed = False
        self._started = self._beaten = False
        self._notices: dict[str, str] = {}
        self.ticks = 0
        self.shell = Shell(self._receive)
        self.main = pn.Column(sizing_mode="stretch_width", margin=0)
        self._build_shell()

    @property
    def woken(self) -> bool:
        """Whether live values reach this session."""
        return self._wakeup.armed

    @property
    def language(self) -> Language:
        """The session's language."""
        return self._translator.language

    def start(self) -> None:
        """Begin to show values; the browser has the page now.

        The page opens with the browser's first beat, which tells the size of its window;
        at the latest with the first slow tick.
        """
        self._started = True
        if self._beaten:
            self._open_page()
        self._document.add_periodic_callback(self._beat, HEARTBEAT_MS)
        self._wakeup.arm()

    def close(self) -> None:
        """The session is over."""
        self._closed = True
        self._wakeup.disarm()
        if self._page is not None:
            self._page.close()
            self._page = None

    def tick(self) -> None:
        """Show what is new; the only way in which live values reach the page."""
        if self._closed:
            return
        self.ticks += 1
        house = self._house
        snapshot = house.hub.snapshot()
        now_us = to_us(house.clock())
        self._acknowledging.settle(snapshot, now_us, self._translator.texts.unconfirmed)
        with batched(self._document):
            plant = house.plant()
            if plant is not self._plant:
                self._plant = plant
                self._build_shell()
                self._open_page()
            self._show_shell(now_us)
            if self._page is not None:
                self._page.refresh()

    def _beat(self) -> None:
        """The slow tick: the safety net behind the wakes."""
        silent = to_us(self._house.clock()) - self._heard_us > SILENT_S * 1e6
        if silent:
            self._wakeup.disarm()
            return
        self._wakeup.arm()
        if self._page is None:
            self._open_page()
        self.tick()

    def _show_shell(self, now_us: int) -> None:
        house = self._house
        self.shell.show(
            shell_live(
                self._plant,
                house.hub.snapshot(),
                self._translator,
                self._acknowledging.all,
                notice=next(filter(None, self._notices.values()), ""),
                now_us=now_us,
                ages=house.ages,
            )
        )

    def _build_shell(self) -> None:
        self.shell.build(shell_state(self._plant, self._translator, self._route, self._house.ages))
        self._show_shell(to_us(self._house.clock()))

    def _open_page(self) -> None:
        if self._page is not None:
            self._page.close()
        self._pages += 1
        self._notices.clear()
        house = self._house
        given = Surroundings(
            plant=self._plant,
            hub=house.hub,
            history=house.history,
            clock=house.clock,
            translator=self._translator,
            route=self._route,
            ages=house.ages,
            batch_zone=house.batch_zone,
            width=self._width,
            height=self._height,
            fetch=partial(self._fetch, self._pages),
            later=partial(self._later, self._pages),
            pending=lambda: self._acknowledging.all,
            go=self._replace_route,
        )
        self._page = page_of(given)
        self.main[:] = [self._page.view]
        self._page.open()

    def _fetch(self, number: int, future: Future[Answer], then: Callable[[Answer], None]) -> None:
        def give() -> None:
            if self._closed or number != self._pages:
                return
            try:
                answer = future.result()
            except StoreError as error:
                log.warning("the history cannot be read", reason=str(error))
                self._say(then, self._translator.texts.store_failed.format(reason=error))
                return
            self._say(then, "")
            with batched(self._document):
                then(answer)

        def done(_: Future[Answer]) -> None:
            if not self._closed and not future.cancelled():
                self._document.add_next_tick_callback(give)

        future.add_done_callback(done)

    def _later(self, number: int, task: Callable[[], None]) -> None:
        def run() -> None:
            if not self._closed and number == self._pages:
                with batched(self._document):
                    task()

        self._document.add_next_tick_callback(run)

    def _say(self, whose: Callable[..., None], notice: str) -> None:
        """Tell the operator what became of one kind of question; "" for nothing to tell."""
        name = getattr(whose, "func", whose).__qualname__
        if notice == self._notices.get(name, ""):
            return
        self._notices[name] = notice
        self._show_shell(to_us(self._house.clock()))

    def _replace_route(self, route: Route) -> None:
        self._route = route
        self._build_shell()
        self.shell.say(Search(search=route.search))

    def _receive(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "beat":
                self._take_beat(message)
            case "go":
                self._go(route_of(str(message.get("search", "")), self._plant))
            case "language":
                self._speak(str(message.get("language", "")))
            case "acknowledge":
                self._acknowledge(message)
            case "dismiss":
                self._acknowledging.dismiss(
                    str(message.get("boiler", "")), str(message.get("definition", ""))
                )
                self.tick()
            case _ if self._page is not None:
                self._page.receive(message)

    def _take_beat(self, message: dict[str, Any]) -> None:
        """The browser lives, and says how large its window is."""
        self._heard_us = to_us(self._house.clock())
        width = self._width
        self._width = _pixels(message.get("width"), self._width)
        self._height = _pixels(message.get("height"), self._height)
        turned = self._page is not None and self._width != width
        if self._started and (turned or not self._beaten):
            self._open_page()
        self._beaten = True

    def _go(self, route: Route) -> None:
        lang = route.lang or self._route.lang
        self._route = msgspec.structs.replace(route, lang=lang)
        self._translator = translator_of(lang, self._house.language)
        with batched(self._document):
            self._build_shell()
            self._open_page()

    def _speak(self, language: str) -> None:
        self._translator = translator_of(language, self._house.language)
        route = msgspec.structs.replace(self._route, lang=self._translator.language)
        self._replace_route(route)
        self._go(route)

    def _acknowledge(self, message: dict[str, Any]) -> None:
        boiler = str(message.get("boiler", ""))
        definition = str(message.get("definition", ""))
        by = _clean(message.get("by"), _LONGEST_NAME)
        now_us = to_us(self._house.clock())
        self._acknowledging.begin(boiler, definition, AlarmState.UNACK, now_us)
        texts = self._translator.texts
        if not by:
            self._acknowledging.fail(boiler, definition, texts.operator_needed)
            self.tick()
            return
        command = AcknowledgeAlarm(
            id=uuid.uuid4().hex,
            boiler=boiler,
            definition=definition,
            by=by,
            at_us=now_us,
            note=_clean(message.get("note"), _LONGEST_NOTE),
        )
        future = self._house.errands.submit(self._house.commands.acknowledge, command)
        future.add_done_callback(partial(self._sent, boiler, definition))
        self.tick()

    def _sent(self, boiler: str, definition: str, future: Future[None]) -> None:
        """The command has left, or has not (any thread)."""
        error = future.exception()
        if error is None or self._closed:
            return
        reason = str(error) if isinstance(error, CommandFailed) else type(error).__name__
        log.warning("an acknowledgement was not sent", boiler=boiler, reason=str(error))

        def tell() -> None:
            text = self._translator.texts.not_sent.format(reason=reason)
            self._acknowledging.fail(boiler, definition, text)
            self.tick()

        self._document.add_next_tick_callback(tell)


def _pixels(said: object, usual: int) -> int:
    """A width or height that a browser says, where it is one."""
    return min(max(said, 200), 10_000) if isinstance(said, int) else usual


def _clean(text: object, longest: int) -> str:
    """What a person typed, on one line and not too long."""
    return _CONTROL.sub(" ", str(text or "")).strip()[:longest]
