"""The trend: no extreme is lost, no gap is bridged."""

import math
from datetime import timedelta

import msgspec
import pytest
from bokeh.models import Range1d, Span

from bridge.records import AlarmState
from panel_app.charts.trend import LONGEST_LIVE_ROWS, Strip, points_of
from panel_app.data.fake_plant import fake_plant
from panel_app.i18n import translator_of
from panel_app.i18n.translator import offset_text
from panel_app.theme.tokens import LIGHT
from store.port import Series
from tests.unit.panel_app.test_journal import EVENT

PLANT = fake_plant()


def series(times_s, values, step_s=0.0):
    return Series(
        metric="water_level",
        step_us=round(step_s * 1e6),
        times_us=[round(at * 1e6) for at in times_s],
        minimum=[value - (1 if step_s else 0) for value in values],
        maximum=[value + (1 if step_s else 0) for value in values],
        mean=list(values),
        last=list(values),
        count=[1] * len(values),
    )


@pytest.fixture
def strip():
    return Strip(
        PLANT.boilers["caldeira-1"],
        PLANT.metrics["water_level"],
        translator_of("pt-BR"),
        Range1d(0, 1),
        Span(dimension="height"),
        height=150,
        last=True,
        narrow=False,
    )


def test_points_keep_minimum_and_maximum_of_each_bucket():
    """The envelope is what the store found, at the middle of the bucket, on the site's clock."""
    points = points_of(series([0, 60], [50, 51], step_s=60), shift_ms=-10_800_000)

    assert points.low == [49, 50]
    assert points.high == [51, 52]
    assert points.t == [30_000 - 10_800_000, 90_000 - 10_800_000]


@pytest.mark.parametrize(
    ("times_s", "step_s", "breaks"),
    [
        ([0, 1, 2, 3], 0, 0),
        ([0, 1, 2, 60, 61], 0, 1),
        ([0, 30, 60, 90], 0, 0),
        ([0, 60, 120, 600], 60, 1),
        ([0, 60, 180], 60, 0),
    ],
)
def test_line_breaks_where_values_are_missing(times_s, step_s, breaks):
    """A gap is not drawn as a line; a slow sensor is no gap."""
    points = points_of(series(times_s, [50.0] * len(times_s), step_s), 0)

    assert sum(math.isnan(value) for value in points.mid) == breaks


def test_live_values_follow_history_in_order_and_are_bounded(strip):
    """An older value is left out; the strip never grows beyond its rows."""
    strip.take(series([0, 1, 2], [50, 51, 52]), 0)

    strip.add(1_500, 60)
    strip.add(3_000, 53)
    for second in range(4, LONGEST_LIVE_ROWS + 10):
        strip.add(second * 1_000, 50)

    assert 60 not in list(strip.source.data["mid"])
    assert len(strip.source.data["t"]) == LONGEST_LIVE_ROWS


def test_value_outside_the_shown_range_widens_it(strip):
    """Whatever comes is on the chart."""
    strip.take(series([0, 1], [50, 51]), 0)

    strip.add(2_000, 3.0)

    assert strip.figure.y_range.start < 3.0


def test_limits_are_coloured_only_while_their_alarm_is_active(strip):
    """Grey unless abnormal."""
    grey = set(strip.lines.data["colour"])
    strip.mark({"low-water": 1})
    hot = [colour for colour in strip.lines.data["colour"] if colour != LIGHT["line-strong"]]
    strip.mark({})

    assert grey == {LIGHT["line-strong"]}
    assert hot == [LIGHT["p1"]]
    assert set(strip.lines.data["colour"]) == grey


def test_alarms_of_the_past_are_marked_by_shape(strip):
    """Only activations, only of this metric."""
    acked = msgspec.structs.replace(EVENT, state=AlarmState.ACKED)
    other = msgspec.structs.replace(EVENT, metric="oxygen")

    strip.tell([EVENT, acked, other], 0)

    assert strip.events.data["marker"] == ["square"]
    assert strip.events.data["y"] == [24.3]


@pytest.mark.parametrize(
    ("hours", "text"), [(-3, "UTC−3"), (0, "UTC+0"), (5.5, "UTC+5:30"), (-3.5, "UTC−3:30")]
)
def test_offset_is_written_with_a_true_minus(hours, text):
    """As people write it."""
    assert offset_text(timedelta(hours=hours)) == text
