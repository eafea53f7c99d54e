"""What a notification says, in Portuguese or English: pure, from transitions and the plant.

The text is plain. Names, notes and operators' words come from outside: they lose control
characters and line breaks, are cut to a length, and are never markup.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bridge.clock import from_us
from bridge.plant import AlarmDefinition, AlarmType, Plant
from bridge.records import AlarmEvent, AlarmState
from processor.alarms.machine import SYSTEM
from processor.notifier.words import WORDS, Words

MAX_LINES = 30
"""How many transitions one combined message lists; the others are counted."""

_HUGE = 1e9
_TOLD_BY_WORDS = ("evaluator_lagging", "identity_reused")
"""System alarms whose note says no more than the words do."""

_MAX_NAME = 60
_MAX_TEXT = 500
_MAX_LINE = 110


class Severity(StrEnum):
    """How a target may colour a notification."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    GOOD = "good"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What a target is asked to send: plain text."""

    title: str
    body: str
    severity: Severity = Severity.INFO


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The processor fell silent, or is heard again; times are epoch µs."""

    id: str
    silent: bool
    at_us: int
    since_us: int


Subject = AlarmEvent | Notice


def render(subjects: Sequence[Subject], plant: Plant, language: str) -> Notification:
    """One notification of one subject, or of several together."""
    words = WORDS["pt-BR" if language.startswith("pt") else "en"]
    if len(subjects) > 1:
        return _several(subjects, plant, words)
    subject = subjects[0]
    if isinstance(subject, Notice):
        return _notice(subject, plant, words)
    return _transition(subject, plant, words)


def trial(language: str) -> Notification:
    """A notification that says that it is only a test."""
    words = WORDS["pt-BR" if language.startswith("pt") else "en"]
    return Notification(title=words.trial_title, body=words.trial_body)


def bare(subjects: Sequence[Subject]) -> Notification:
    """The same without the plant and without words: for when `render` itself fails."""
    lines = [
        clean(f"P{s.priority} {s.state} {s.boiler} {s.definition}", _MAX_LINE)
        if isinstance(s, AlarmEvent)
        else clean(s.id, _MAX_LINE)
        for s in subjects[:MAX_LINES]
    ]
    return Notification(
        title=f"STEAM ({len(subjects)})", body="\n".join(lines), severity=Severity.CRITICAL
    )


def number(value: float, decimals: int, words: Words) -> str:
    """A number as the language writes it, with a fixed count of decimals; huge ones as a power of ten."""
    is_huge = abs(value) >= _HUGE
    text = f"{value:.2e}" if is_huge else f"{value:,.{decimals}f}"
    return text.translate(words.number_marks)


def clean(text: str, limit: int) -> str:
    """Text from outside as one line of at most `limit` characters, invisible ones removed."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _transition(event: AlarmEvent, plant: Plant, words: Words) -> Notification:
    definition = _definition(event, plant)
    heading = f"{words.headings[_heading(event)]} P{event.priority}"
    title = (
        f"{heading} · {_boiler(event, plant, words)}: {_subject(event, definition, plant, words)}"
    )
    if event.state is AlarmState.UNACK:
        title += _value_in_title(event, plant, words)
    lines = [
        *_measured(event, plant, words),
        f"{words.state}: {words.states[event.state]}",
        f"{words.priority}: {event.priority} {words.of} 4",
        f"{_time_word(event, words)}: {_time(event.at_us, plant, event.site, words)}",
    ]
    if event.by:
        lines.append(f"{words.by}: {clean(event.by, _MAX_NAME)}")
    if event.note and _system(event, words) not in _TOLD_BY_WORDS:
        lines.append(f"{words.note}: {clean(event.note, _MAX_TEXT)}")
    response = _response(definition, words)
    if response and event.state.active:
        lines.append(f"{words.response}: {response}")
    return Notification(title=title, body="\n".join(lines), severity=_severity(event))


def _several(subjects: Sequence[Subject], plant: Plant, words: Words) -> Notification:
    events = [subject for subject in subjects if isinstance(subject, AlarmEvent)]
    boilers = len({event.boiler for event in events})
    worst = min((event.priority for event in events), default=1)
    title = f"{words.flood.format(count=len(subjects), boilers=boilers)} · P{worst}"
    ordered = sorted(subjects, key=lambda subject: (_rank(subject), subject.at_us))
    lines = [_line(subject, plant, words) for subject in ordered[:MAX_LINES]]
    if len(ordered) > MAX_LINES:
        lines.append(words.more.format(count=len(ordered) - MAX_LINES))
    severities = [_severity(s) for s in events] or [Severity.CRITICAL]
    severity = next(level for level in Severity if level in severities)
    return Notification(title=title, body="\n".join(lines), severity=severity)


def _notice(notice: Notice, plant: Plant, words: Words) -> Notification:
    since = _time(notice.since_us, plant, "", words)
    if not notice.silent:
        body = words.back_body.format(since=since, at=_time(notice.at_us, plant, "", words))
        return Notification(title=words.back_title, body=body, severity=Severity.GOOD)
    body = words.silent_body.format(since=since)
    return Notification(title=words.silent_title, body=body, severity=Severity.CRITICAL)


def _line(subject: Subject, plant: Plant, words: Words) -> str:
    if isinstance(subject, Notice):
        title = words.silent_title if subject.silent else words.back_title
        return f"{_clock(subject.at_us, plant, '')} {title}"
    event = subject
    definition = _definition(event, plant)
    what = f"{_boiler(event, plant, words)}: {_subject(event, definition, plant, words)}"
    start = f"{_clock(event.at_us, plant, event.site)} P{event.priority}"
    heading = words.headings[_heading(event)]
    value = _value_in_title(event, plant, words)
    return f"{start} {heading} · {clean(what, _MAX_LINE - len(value))}{value}"


def _value_in_title(event: AlarmEvent, plant: Plant, words: Words) -> str:
    if event.value is None or event.type in (SYSTEM, AlarmType.STALE):
        return ""
    return f" ({_quantity(event.value, event.metric, plant, words)})"


def _system(event: AlarmEvent, words: Words) -> str | None:
    """Which of the known alarms about Steam itself this is, if any."""
    if event.type != SYSTEM:
        return None
    return next((name for name in words.system if event.definition.startswith(name)), None)


def _definition(event: AlarmEvent, plant: Plant) -> AlarmDefinition | None:
    boiler = plant.boilers.get(event.boiler)
    if boiler is None:
        return None
    return next((alarm for alarm in boiler.alarms if alarm.name == event.definition), None)


def _boiler(event: AlarmEvent, plant: Plant, words: Words) -> str:
    if event.type == SYSTEM:
        return words.steam
    boiler = plant.boilers.get(event.boiler)
    return clean((boiler.title if boiler else "") or event.boiler, _MAX_NAME)


def _site(event: AlarmEvent, plant: Plant) -> str:
    site = plant.sites.get(event.site)
    return f" ({clean(site.title or site.name, _MAX_NAME)})" if site else ""


def _subject(
    event: AlarmEvent, definition: AlarmDefinition | None, plant: Plant, words: Words
) -> str:
    if event.type == SYSTEM:
        name = _system(event, words)
        if name is None:
            return clean(event.definition, _MAX_NAME)
        about = clean(event.definition.removeprefix(name).strip("_"), _MAX_NAME)
        return f"{words.system[name][0]} ({about})" if about else words.system[name][0]
    if definition is not None:
        title = definition.title(words.language)
        if title != definition.name:
            return clean(title, _MAX_NAME)
    metric = plant.metrics.get(event.metric)
    label = metric.label(words.language) if metric else ""
    kind = words.types.get(event.type, event.type)
    return f"{clean(label or event.metric, _MAX_NAME)}: {clean(kind, _MAX_NAME)}"


def _measured(event: AlarmEvent, plant: Plant, words: Words) -> list[str]:
    if event.type == SYSTEM:
        name = _system(event, words)
        return [words.system[name][1]] if name else []
    place = f"{words.boiler}: {_boiler(event, plant, words)}{_site(event, plant)}"
    metric = plant.metrics.get(event.metric)
    label = clean((metric.label(words.language) if metric else "") or event.metric, _MAX_NAME)
    instrument = _instrument(event, plant)
    lines = [place, f"{words.measured}: {label}{f' ({instrument})' if instrument else ''}"]
    if event.type == AlarmType.STALE:
        return [*lines, *_age(event, words)]
    if event.value is None:
        lines.append(f"{words.value}: {words.none}")
    else:
        lines.append(f"{words.value}: {_quantity(event.value, event.metric, plant, words)}")
    if event.setpoint is not None:
        limit = _quantity(event.setpoint, event.metric, plant, words)
        lines.append(f"{words.limit}: {limit} ({clean(event.type, _MAX_NAME)})")
    return lines


def _age(event: AlarmEvent, words: Words) -> list[str]:
    if event.value is None or event.setpoint is None:
        return []
    age, limit = (number(value, 0, words) for value in (event.value, event.setpoint))
    return [words.age.format(age=age, limit=limit)]


def _instrument(event: AlarmEvent, plant: Plant) -> str:
    boiler = plant.boilers.get(event.boiler)
    instruments = boiler.instruments if boiler else []
    return next((clean(i.tag, _MAX_NAME) for i in instruments if i.metric == event.metric), "")


def _quantity(value: float, metric_name: str, plant: Plant, words: Words) -> str:
    metric = plant.metrics.get(metric_name)
    if metric is None:
        return number(value, 2, words)
    text = number(value, metric.decimals, words)
    return f"{text} {metric.unit}" if metric.unit else text


def _response(definition: AlarmDefinition | None, words: Words) -> str:
    if definition is None:
        return ""
    first, second = definition.response_pt, definition.response_en
    if words.language == "en":
        first, second = second, first
    return clean(first or second, _MAX_TEXT)


def _heading(event: AlarmEvent) -> str:
    """Which heading names the transition: what happened, not the state that it led to."""
    if event.state is AlarmState.UNACK:
        return "alarm"
    if event.state is AlarmState.ACKED or event.previous is AlarmState.RTN_UNACK:
        return "acknowledged"
    return "returned"


def _severity(event: AlarmEvent) -> Severity:
    if not event.state.active:
        return Severity.GOOD
    if event.state is AlarmState.ACKED:
        return Severity.INFO
    return {1: Severity.CRITICAL, 2: Severity.CRITICAL, 3: Severity.WARNING}.get(
        event.priority, Severity.INFO
    )


def _rank(subject: Subject) -> int:
    return 0 if isinstance(subject, Notice) else subject.priority


def _time_word(event: AlarmEvent, words: Words) -> str:
    return words.since if event.state is AlarmState.UNACK else words.at


def _time(at_us: int, plant: Plant, site: str, words: Words) -> str:
    local = from_us(at_us).astimezone(_zone(plant, site))
    return f"{local.strftime(words.time_form)} (UTC{_offset(local.utcoffset())})"


def _clock(at_us: int, plant: Plant, site: str) -> str:
    return from_us(at_us).astimezone(_zone(plant, site)).strftime("%H:%M:%S")


def _zone(plant: Plant, site_name: str) -> tzinfo:
    """The site's time zone; for what belongs to no site, the first site's."""
    site = plant.sites.get(site_name) or next(iter(plant.file.sites), None)
    try:
        return ZoneInfo(site.time_zone) if site else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _offset(offset: timedelta | None) -> str:
    minutes = round((offset or timedelta()).total_seconds() / 60)
    if minutes == 0:
        return ""
    sign = "+" if minutes > 0 else "−"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
