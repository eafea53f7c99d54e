"""Where a session is: page, boiler, pens and span, as the URL writes them."""

import re
from urllib.parse import parse_qs, urlencode

import msgspec

from bridge.plant import Plant
from bridge.records import AlarmState

PAGES = ("overview", "trends", "batches", "alarms")
SPANS_S = {"10m": 600, "1h": 3_600, "8h": 8 * 3_600, "24h": 86_400, "7d": 7 * 86_400}
MOST_PENS = 6
JOURNAL_HOURS = (8, 24, 72, 168, 720)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_SEARCH = 2_000
_LONGEST_TEXT = 100
_HOURS = {str(hours) for hours in JOURNAL_HOURS}
_PRIORITIES = {"1", "2", "3", "4"}
_YEAR_2200_S = 7_258_118_400


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the dashboard.

    `span` is a key of SPANS_S and means "until now"; where `start_s` and `end_s` (epoch
    seconds) are given they are shown instead. `day` is YYYY-MM-DD, "" for today. `hours`,
    `priority`, `state` and `text` are the journal's filters.
    """

    page: str = "overview"
    boiler: str = ""
    pens: tuple[str, ...] = ()
    span: str = "10m"
    start_s: int = 0
    end_s: int = 0
    day: str = ""
    hours: int = 24
    priority: int = 0
    state: str = ""
    text: str = ""
    lang: str = ""

    @property
    def live(self) -> bool:
        """Whether the span ends now."""
        return self.end_s == 0

    @property
    def search(self) -> str:
        """The query string, with its question mark; what is as usual is left out."""
        usual = Route()
        parts: list[tuple[str, str]] = [("page", self.page)]
        if self.boiler:
            parts.append(("boiler", self.boiler))
        if self.pens:
            parts.append(("pens", ",".join(self.pens)))
        if not self.live:
            parts += [("from", str(self.start_s)), ("to", str(self.end_s))]
        elif self.span != usual.span:
            parts.append(("span", self.span))
        for name in ("day", "hours", "priority", "state", "text", "lang"):
            if getattr(self, name) != getattr(usual, name):
                parts.append((name, str(getattr(self, name))))
        return "?" + urlencode(parts, safe=",")


def route_of(search: str, plant: Plant) -> Route:
    """The route of a query string; whatever the plant does not know is as usual."""
    asked = parse_qs(search[:_LONGEST_SEARCH].removeprefix("?"))

    def one(name: str) -> str:
        return asked.get(name, [""])[-1]

    page = one("page")
    pens = tuple(dict.fromkeys(pen for pen in one("pens").split(",") if pen in plant.metrics))
    start_s, end_s = _seconds(one("from")), _seconds(one("to"))
    if not 0 < start_s < end_s:
        start_s = end_s = 0
    return Route(
        page=page if page in PAGES else PAGES[0],
        boiler=one("boiler") if one("boiler") in plant.boilers else "",
        pens=pens[:MOST_PENS],
        span=one("span") if one("span") in SPANS_S else Route().span,
        start_s=start_s,
        end_s=end_s,
        day=one("day") if _DAY.fullmatch(one("day")) else "",
        hours=int(one("hours")) if one("hours") in _HOURS else Route().hours,
        priority=int(one("priority")) if one("priority") in _PRIORITIES else 0,
        state=one("state") if one("state") in list(AlarmState) else "",
        text=one("text")[:_LONGEST_TEXT],
        lang=one("lang") if one("lang") in ("pt-BR", "en") else "",
    )


def _seconds(text: str) -> int:
    """Epoch seconds before the year 2200, or 0 for what is none."""
    if not (text.isascii() and text.isdigit()):
        return 0
    seconds = int(text[:12])
    return seconds if seconds < _YEAR_2200_S else 0
