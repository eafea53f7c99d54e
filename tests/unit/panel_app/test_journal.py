"""The journal: filters, words, and the CSV that carries it away."""

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.clock import to_us
from bridge.records import AlarmEvent, AlarmState
from panel_app.data.fake import FakePlantFeed, past_alarms
from panel_app.data.fake_plant import fake_plant
from panel_app.data.hub import LiveHub
from panel_app.export import journal_csv, trend_csv
from panel_app.i18n import translator_of
from panel_app.pages.journal import MOST_SHOWN, chosen, journal, journal_row, journal_span
from panel_app.route import Route
from store.port import Series

NOW = datetime(2026, 11, 23, 17, 42, 10, tzinfo=UTC)
PLANT = fake_plant()
PT, EN = translator_of("pt-BR"), translator_of("en")

EVENT = AlarmEvent(
    id="e1",
    site="recife",
    boiler="caldeira-4",
    definition="low-water",
    type="LOLO",
    metric="water_level",
    state=AlarmState.UNACK,
    previous=AlarmState.NORMAL,
    priority=1,
    at_us=to_us(NOW),
    recorded_at_us=to_us(NOW),
    value=24.3,
    setpoint=25.0,
)


@pytest.fixture
def events():
    feed = FakePlantFeed(LiveHub(lambda: NOW), PLANT, clock=lambda: NOW)
    past_alarms(feed, lambda: NOW)
    return sorted(feed.events, key=lambda event: event.at_us, reverse=True)


def change(**changes):
    return msgspec.structs.replace(EVENT, **changes)


def test_row_has_title_value_limit_and_local_time():
    """In the words of the session, at the time of the alarm's own site."""
    row = journal_row(EVENT, PLANT, PT)

    assert row.title == "Nível muito baixo"
    assert row.boiler_title == "Caldeira 4"
    assert row.reading == "24,3 % < 25,0"
    assert row.at == "23/11/2026 14:42:10"


def test_row_leads_to_the_trend_around_the_alarm():
    """Ten minutes before and after."""
    row = journal_row(EVENT, PLANT, EN)
    at_s = EVENT.at_us // 1_000_000

    assert f"from={at_s - 600}&to={at_s + 600}" in row.search
    assert "pens=water_level" in row.search


@pytest.mark.parametrize(
    ("boiler", "definition", "title"),
    [
        ("caldeira-9", "gone", "gone"),
        ("_steam", "evaluator_lagging", "Avaliação atrasada: há mensagens esperando"),
        ("_steam", "identity_reused_esp-7", "Identidade de dispositivo repetida: esp-7"),
        ("_steam", "no_heartbeat", "Alarme do próprio Steam: no heartbeat"),
    ],
)
def test_alarms_that_the_plant_does_not_define_still_have_a_title(boiler, definition, title):
    """A definition that was removed keeps its name; Steam's own alarms have words."""
    row = journal_row(change(boiler=boiler, definition=definition, metric=""), PLANT, PT)

    assert row.title == title
    assert row.search == ""


@pytest.mark.parametrize(
    ("route", "count"),
    [
        (Route(), 33),
        (Route(priority=1), 3),
        (Route(state="ACKED"), 11),
        (Route(boiler="caldeira-4"), 9),
        (Route(text="NÍVEL MUITO"), 3),
        (Route(text="souza", boiler="caldeira-1"), 3),
        (Route(text="nobody"), 0),
    ],
)
def test_filters_let_pass_what_they_say(events, route, count):
    """Boiler, priority and state must match; text is sought in what is shown."""
    assert len(chosen(events, route, PLANT, PT)) == count


def test_journal_shows_the_newest_and_counts_all():
    """The page is bounded, whatever the plant has been through."""
    many = [change(id=str(number), at_us=number) for number in range(1_000, 0, -1)]

    shown = journal(many, Route(), PLANT, PT)

    assert len(shown.rows) == MOST_SHOWN
    assert shown.all == 1_000
    assert shown.rows[0].id == "1000"


def test_span_ends_after_now_on_a_grid():
    """Sessions a moment apart ask the same question."""
    start_us, end_us = journal_span(Route(hours=8), to_us(NOW))

    assert end_us > to_us(NOW)
    assert end_us % 5_000_000 == 0
    assert end_us - start_us == 8 * 3_600_000_000


def read(text, delimiter):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter))


def test_csv_opens_in_the_spreadsheet_of_each_language():
    """Semicolon and comma for Portuguese, comma and point for English, UTF-8 told by its mark."""
    portuguese = "".join(journal_csv([EVENT], PLANT, PT))
    english = "".join(journal_csv([EVENT], PLANT, EN))

    assert portuguese.startswith("\ufeff")
    assert read(portuguese, ";")[1][6:8] == ["24,3", "25"]
    assert read(english, ",")[1][6:8] == ["24.3", "25"]
    assert read(english, ",")[1][1] == "2026-11-23T17:42:10.000Z"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_cell_is_never_a_formula(text):
    """What a person or a device wrote is text for a spreadsheet (CWE-1236)."""
    lines = "".join(journal_csv([change(note=text, by="O;peradora")], PLANT, PT))

    row = read(lines, ";")[1]
    assert row[9].startswith("'")
    assert row[8] == "O;peradora"


def test_trend_csv_joins_the_metrics_by_time():
    """A line per time; a metric without a value at that time has empty cells; negatives stay numbers."""
    one = Series(
        metric="oxygen",
        step_us=0,
        times_us=[1_000_000, 2_000_000],
        minimum=[1.0, 2.0],
        maximum=[1.0, 2.0],
        mean=[1.0, 2.0],
        last=[1.0, 2.0],
        count=[1, 1],
    )
    other = Series(
        metric="draft",
        step_us=0,
        times_us=[2_000_000],
        minimum=[-1.5],
        maximum=[-1.5],
        mean=[-1.5],
        last=[-1.5],
        count=[1],
    )

    rows = read("".join(trend_csv([one, other], "caldeira-1", PLANT, EN)), ",")

    assert rows[0][2:] == [
        "Oxygen [%]", "Oxygen [%] min", "Oxygen [%] max",
        "Draft [mbar]", "Draft [mbar] min", "Draft [mbar] max",
    ]  # fmt: skip
    assert rows[1][2:] == ["1", "1", "1", "", "", ""]
    assert rows[2][2:] == ["2", "2", "2", "-1.5", "-1.5", "-1.5"]
