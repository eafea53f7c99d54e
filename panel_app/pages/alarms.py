"""The alarms: what is active now, acknowledged here, and what has been."""

from typing import Any

import msgspec

from bridge.clock import to_us
from bridge.records import AlarmEvent, AlarmState
from panel_app.components.view import Alarms
from panel_app.i18n.texts import Texts
from panel_app.pages.alarm_rows import AlarmRow, alarm_rows
from panel_app.pages.journal import MOST_ASKED, MOST_SHOWN, journal, journal_span
from panel_app.pages.page import Surroundings
from panel_app.route import JOURNAL_HOURS, Route, route_of

REFRESH_US = 10_000_000
"""How old the journal may be while no alarm changes."""

FOLLOW_UP_US = (0, 1_500_000, 4_000_000)
"""When it is read after an alarm changed: the event is stored a moment after it is shown."""

_HOURS_A_DAY = 24


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of a filter."""

    value: str
    label: str


class AlarmsState(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is built from: its filters, their choices and what is chosen."""

    lang: str
    texts: Texts
    hours: list[Choice]
    boilers: list[Choice]
    priorities: list[Choice]
    states: list[Choice]
    chosen: Route
    most: int


class AlarmsLive(msgspec.Struct, frozen=True, kw_only=True):
    """The active alarms, and the acknowledgements on their way as `boiler/definition`."""

    now: int
    alarms: list[AlarmRow]
    sending: list[str]


class AlarmsPage:
    """The active list above the journal."""

    def __init__(self, given: Surroundings) -> None:
        self._given = given
        self._route = given.route
        self._asked_us = 0
        self._due_us: list[int] = []
        self._seen: list[tuple[str, str, str]] = []
        self.view: Any = Alarms()

    def open(self) -> None:
        """Build the lists, and ask for the journal."""
        self.view.build(_state(self._given, self._route))
        self.refresh()

    def refresh(self) -> None:
        """Show the active alarms; ask for the journal where it may have changed."""
        given = self._given
        now_us = to_us(given.clock())
        rows = alarm_rows(given.hub.snapshot(), given.plant, given.translator)
        sending = [f"{one.boiler}/{one.definition}" for one in given.pending() if not one.error]
        self.view.show(AlarmsLive(now=now_us // 1000, alarms=rows, sending=sending))
        seen = [(row.boiler, row.definition, row.state) for row in rows]
        if seen != self._seen:
            self._seen = seen
            self._due_us = [now_us + after_us for after_us in FOLLOW_UP_US]
        due = [at_us for at_us in self._due_us if at_us <= now_us]
        if due or now_us - self._asked_us > REFRESH_US:
            self._due_us = [at_us for at_us in self._due_us if at_us > now_us]
            self._ask(now_us)

    def close(self) -> None:
        """Nothing to let go of."""

    def _ask(self, now_us: int) -> None:
        self._asked_us = now_us
        span = journal_span(self._route, now_us)
        boiler = self._route.boiler or None
        future = self._given.history.alarm_events(span, boiler=boiler, limit=MOST_ASKED)
        self._given.fetch(future, self._take)

    def _take(self, events: list[AlarmEvent]) -> None:
        given = self._given
        self.view.give(journal(events, self._route, given.plant, given.translator))

    def receive(self, message: dict[str, Any]) -> None:
        """The filters were changed; the view tells them as a query string."""
        if message.get("type") != "filter":
            return
        asked = route_of(str(message.get("search", "")), self._given.plant)
        self._route = msgspec.structs.replace(asked, page="alarms", lang=self._given.route.lang)
        self._given.go(self._route)
        self._ask(to_us(self._given.clock()))


def _state(given: Surroundings, route: Route) -> AlarmsState:
    texts = given.translator.texts
    boilers = [
        Choice(value=one.name, label=one.title or one.name) for one in given.plant.file.boilers
    ]
    return AlarmsState(
        lang=given.translator.language,
        texts=texts,
        hours=[Choice(value=str(hours), label=_period(texts, hours)) for hours in JOURNAL_HOURS],
        boilers=[Choice(value="", label=texts.all_boilers), *boilers],
        priorities=[
            Choice(value="", label=texts.all_priorities),
            *(Choice(value=str(n), label=getattr(texts, f"priority_{n}")) for n in range(1, 5)),
        ],
        states=[
            Choice(value="", label=texts.all_states),
            *(
                Choice(value=one.value, label=getattr(texts, f"event_{one.value}"))
                for one in AlarmState
            ),
        ],
        chosen=route,
        most=MOST_SHOWN,
    )


def _period(texts: Texts, hours: int) -> str:
    if hours <= _HOURS_A_DAY:
        return texts.last_hours.format(n=hours)
    return texts.last_days.format(n=hours // _HOURS_A_DAY)
