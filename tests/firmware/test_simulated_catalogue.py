"""The metrics that drivers and maps bring along are those of the catalogue."""

import json
from pathlib import Path

import pytest

from bridge.metrics import CATALOGUE
from device.steamlink import sensors
from device.steamlink.sensors import simulated

MAPS = Path(sensors.__file__).parents[1] / "maps"


@pytest.mark.parametrize("name", simulated.names().split(", "))
def test_simulated_metric_is_one_of_the_catalogue(name):
    """Unit and decimals are the catalogue's, the range lies within it."""
    _, unit, decimals, low, high = simulated.described(name)[0]
    known = CATALOGUE[name]

    assert (unit, decimals) == (known.unit, known.decimals)
    assert known.low <= low < high <= known.high


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.json")), ids=lambda path: path.stem)
def test_map_of_known_metrics_uses_their_units(path):
    """A point named as in the catalogue has its unit, and a range within the catalogue's."""
    plan = json.loads(path.read_text(encoding="utf-8"))

    assert plan["name"] == path.stem
    for point in plan["points"]:
        known = CATALOGUE.get(point["metric"])
        if known is not None:
            assert point.get("unit", "") == known.unit
            assert known.low <= point["low"] < point["high"] <= known.high
