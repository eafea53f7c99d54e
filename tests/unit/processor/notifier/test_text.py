"""Notification texts against golden files, and against hostile input."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.records import AlarmEvent, AlarmState
from processor.notifier.text import MAX_LINES, Notice, Severity, bare, clean, number, render
from processor.notifier.words import WORDS
from tests.unit.processor.notifier.fakes import CASES, PLANT, T0_US, event

NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_render_case_reads_as_its_golden_file(name, language):
    """Each case's transitions read, in each language, exactly as the file beside them says."""
    lines = (CASES / name / "transitions.jsonl").read_bytes().splitlines()
    events = [msgspec.json.decode(line, type=AlarmEvent) for line in lines]

    told = render(events, PLANT, language)

    expected = (CASES / name / f"expected.{language}.txt").read_text(encoding="utf-8")
    assert f"{told.severity}\n{told.title}\n\n{told.body}\n" == expected


_EVENTS = st.builds(
    event,
    st.integers(0, 1000),
    boiler=st.sampled_from(["caldeira-1", "b2", "gone", "_steam"]) | st.text(max_size=20),
    definition=st.sampled_from(["tiragem", "nivel-mudo"]) | st.text(max_size=200),
    type=st.sampled_from(["HIHI", "STALE", "SYSTEM"]) | st.text(max_size=20),
    metric=st.sampled_from(["water_level", "flame"]) | st.text(max_size=20),
    site=st.sampled_from(["porto", ""]) | st.text(max_size=20),
    state=st.sampled_from(AlarmState),
    previous=st.sampled_from(AlarmState),
    value=st.none() | st.floats(allow_nan=True),
    setpoint=st.none() | st.floats(allow_nan=True),
    by=st.text(max_size=200),
    note=st.text(max_size=3000),
)


@settings(max_examples=60)
@given(st.lists(_EVENTS, min_size=1, max_size=35), st.sampled_from(["pt-BR", "en"]))
def test_render_whatever_comes_stays_short_and_visible(events, language):
    """No input makes the text fail, grow beyond a message, or hold a control character."""
    told = render(events, PLANT, language)

    assert "\n" not in told.title
    assert len(told.title) < 300
    assert len(told.body) < 6000
    assert all(c == "\n" or c.isprintable() or c == "\xa0" for c in told.title + told.body)


def test_render_more_than_fit_counts_the_rest():
    """A combined message lists 30 transitions and counts the others."""
    events = [event(n) for n in range(MAX_LINES + 7)]

    told = render(events, PLANT, "en")

    lines = told.body.splitlines()
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == "… and 7 more; see the alarm list."


def test_render_processor_silent_says_that_nothing_is_evaluated():
    """Silence is critical, in the local time of the plant's first site."""
    notice = Notice(id="s", silent=True, at_us=T0_US + 60_000_000, since_us=T0_US)

    told = render([notice], PLANT, "pt-BR")

    assert told.severity is Severity.CRITICAL
    assert "NÃO são avaliados" in told.body
    assert "23/11/2026 14:03:27 (UTC−03:00)" in told.body


def test_render_processor_back_says_from_when_to_when():
    """The end of the silence tells both times."""
    notice = Notice(id="s", silent=False, at_us=T0_US + 60_000_000, since_us=T0_US)

    told = render([notice], PLANT, "en")

    assert told.severity is Severity.GOOD
    assert "2026-11-23 14:03:27" in told.body
    assert "2026-11-23 14:04:27" in told.body


def test_clean_bidirectional_and_control_characters_are_removed():
    """Text cannot turn its direction, ring a bell or begin a new line."""
    assert clean("a\u202eb\r\nc\x07 \u200bd\x00", 20) == "a b c d"


def test_clean_long_text_is_cut_with_an_ellipsis():
    """The limit counts the ellipsis."""
    assert clean("x" * 30, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "decimals", "portuguese", "english"),
    [
        (1234567.891, 2, "1.234.567,89", "1,234,567.89"),
        (-0.5, 1, "−0,5", "−0.5"),
        (7, 0, "7", "7"),
    ],
)
def test_number_is_written_as_the_language_does(value, decimals, portuguese, english):
    """Separators and the minus sign follow the language."""
    assert number(value, decimals, WORDS["pt-BR"]) == portuguese
    assert number(value, decimals, WORDS["en"]) == english


def test_bare_names_alarm_without_the_plant():
    """The words of last resort still say priority, state, boiler and definition."""
    told = bare([event(1)])

    assert told.body == "P1 UNACK caldeira-1 agua-muito-baixa"
    assert told.severity is Severity.CRITICAL
