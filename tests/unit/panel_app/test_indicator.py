"""The moving analog indicator: where its pointer, bands and limits lie."""

import pytest

from bridge.metrics import CATALOGUE
from bridge.plant import AlarmDefinition, AlarmType, Boiler, Instrument
from panel_app.charts.indicator import indicator_of


def boiler(*alarms, normal=None, scale=None, metric="steam_pressure", **more):
    instruments = [Instrument(metric=metric, normal=normal, scale=scale)]
    return Boiler(name="c1", site="norte", instruments=instruments, alarms=list(alarms), **more)


def alarm(name, kind, setpoint, priority=2, metric="steam_pressure"):
    return AlarmDefinition(
        name=name, metric=metric, type=kind, setpoint=setpoint, priority=priority
    )


def test_normal_band_is_centred_and_every_limit_lies_inside():
    """All pointers in the middle means that all is well."""
    drawn = indicator_of(
        boiler(alarm("hihi", AlarmType.HIHI, 9.8), normal=(7.0, 8.6), pmta_bar=10.5),
        CATALOGUE["steam_pressure"],
    )

    assert (drawn.low + drawn.high) / 2 == pytest.approx(7.8)
    assert drawn.low < 7.0
    assert drawn.high > 10.5
    assert drawn.limit == 10.5


def test_zones_are_what_lies_beyond_the_setpoints():
    """HI reaches to the end of the bar, LOLO begins at its start; narrower ones come last."""
    drawn = indicator_of(
        boiler(
            alarm("hihi", AlarmType.HIHI, 9.8, 1),
            alarm("hi", AlarmType.HI, 9.2),
            alarm("lolo", AlarmType.LOLO, 5.0, 1),
            alarm("gone", AlarmType.STALE, 30.0),
            normal=(7.0, 8.6),
        ),
        CATALOGUE["steam_pressure"],
    )
    zones = {zone.definition: (zone.low, zone.high) for zone in drawn.zones}

    assert zones["hi"] == (9.2, drawn.high)
    assert zones["hihi"] == (9.8, drawn.high)
    assert zones["lolo"] == (drawn.low, 5.0)
    names = [zone.definition for zone in drawn.zones]
    assert "gone" not in names
    assert names.index("hi") < names.index("hihi")


@pytest.mark.parametrize(
    ("given", "metric", "expected"),
    [
        (boiler(scale=(0.0, 16.0), normal=(7.0, 9.0)), "steam_pressure", (0.0, 16.0)),
        (boiler(metric="steam_flow", capacity_t_h=8.0), "steam_flow", (0.0, 9.2)),
        (boiler(metric="oxygen"), "oxygen", (0.0, 21.0)),
    ],
)
def test_range_without_a_normal_band(given, metric, expected):
    """The plant's own scale, else the boiler's capacity, else what the sensor can deliver."""
    drawn = indicator_of(given, CATALOGUE[metric])

    assert (drawn.low, drawn.high) == pytest.approx(expected)


def test_range_is_never_empty():
    """A normal range that is one point still has a bar around it."""
    drawn = indicator_of(boiler(normal=(8.0, 8.0)), CATALOGUE["steam_pressure"])

    assert drawn.low < 8.0 < drawn.high
