"""plant.yaml: what is read, and how each fault is told."""

from pathlib import Path

import pytest

from bridge.clock import to_us
from bridge.plant import _since_us, parse_plant
from bridge.settings_file import SettingsError

GOOD = """\
sites:
  - name: mill
boilers:
  - name: b1
    site: mill
    pmta_bar: 12
    instruments:
      - {metric: steam_pressure, tag: PT-101, normal: [9.5, 10.5]}
    alarms:
      - {name: low_water, metric: water_level, type: LOLO, setpoint: 25, priority: 1}
  - name: b2
    site: mill
devices:
  - name: dev1
    site: mill
    boiler: b2
    since: 2026-01-01T00:00:00Z
    before:
      - {boiler: b1}
metrics:
  - {name: fan_vibration, unit: mm/s, low: 0, high: 50}
"""


def plant(text=GOOD):
    return parse_plant(text, Path("plant.yaml"))


def faults(text):
    with pytest.raises(SettingsError) as caught:
        plant(text)
    return [str(fault) for fault in caught.value.faults]


def test_plant_well_formed_is_read():
    """A good file gives boilers, devices, definitions and its own metrics."""
    mill = plant()

    assert mill.boilers["b1"].alarms[0].setpoint == 25.0
    assert mill.boilers["b1"].instruments[0].normal == (9.5, 10.5)
    assert mill.metrics["fan_vibration"].unit == "mm/s"
    assert mill.device("mill", "dev1").boiler == "b2"
    assert mill.device("other", "dev1") is None


def test_plant_device_that_moved_is_placed_by_the_rows_time():
    """Rows from before `since` belong to the boiler that the device watched then."""
    mill = plant()
    moved_us = _since_us(mill.devices["dev1"].since)

    assert mill.boiler_of("dev1", moved_us) == "b2"
    assert mill.boiler_of("dev1", moved_us - 1) == "b1"
    assert moved_us == to_us(mill.devices["dev1"].since)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pmta_bar", "pmta", "plant.yaml:6: unknown key 'pmta'; did you mean 'pmta_bar'?"),
        ("boiler: b2", "boiler: b22", "plant.yaml:16: no boiler 'b22'; did you mean 'b2'?"),
        (
            "metric: steam_pressure",
            "metric: steam_presure",
            "plant.yaml:8: no metric 'steam_presure'; did you mean 'steam_pressure'?",
        ),
        ("setpoint: 25", "setpoint: low", "setpoint: expected `float`, got `str`"),
        ("type: LOLO", "type: LOWLOW", "'LOWLOW' is none of HIHI, HI, LO, LOLO, STALE"),
        ("name: dev1", "name: Dev 1", "devices.0.name: expected `str` matching regex"),
        (
            "[9.5, 10.5]",
            "[9.5]",
            "plant.yaml:8: boilers.0.instruments.0.normal needs 2 values, not 1",
        ),
        ("[9.5, 10.5]", "[9, 10, 11]", "normal needs 2 values, not 3"),
        ("[9.5, 10.5]", "[10.5, 9.5]", "plant.yaml:8: 10.5 is not below 9.5"),
        ("setpoint: 25", "setpoint: .nan", "plant.yaml:10: boilers.0.alarms.0.setpoint: nan"),
        ("pmta_bar: 12", "pmta_bar: .inf", "plant.yaml:6: boilers.0.pmta_bar: inf"),
        ("pmta_bar: 12", "pmta_bar: !!int abc", "plant.yaml:6: not YAML: invalid literal"),
        ("2026-01-01T00:00:00Z", "2026-02-30", "plant.yaml:17: not YAML: day is out of range"),
        ("2026-01-01T00:00:00Z", "\x07", "plant.yaml:17: not YAML: "),
        ("boilers:", "{a: 1}: 2\nboilers:", "not YAML"),
        (
            "- name: mill",
            "- {name: mill, time_zone: America}",
            "plant.yaml:2: no time zone 'America'",
        ),
        ("low: 0, high: 50", "low: 50, high: 0", "plant.yaml:21: 50 is not below 0"),
        (
            "fan_vibration, unit: mm/s",
            "steam_pressure, unit: psi",
            "plant.yaml:21: Steam has 'steam_pressure' in 'bar'",
        ),
        (
            "metrics:\n",
            "metrics:\n  - {name: fan_vibration, unit: m, low: 0, high: 1}\n",
            "plant.yaml:22: 'fan_vibration' is named twice",
        ),
        (
            "    site: mill\n    boiler: b2",
            "    site: dock\n    boiler: b2",
            "plant.yaml:15: boiler 'b2' is of site 'mill', not 'dock'",
        ),
        ("priority: 1", "priority: 9", "expected `int` <= 4"),
        ("  - name: b2", "  - name: b1", "'b1' is named twice"),
        ("    pmta_bar: 12\n", "    pmta_bar: [\n", "not YAML"),
    ],
)
def test_plant_fault_is_told_with_its_line(old, new, told):
    """Each fault names file, line and what to write instead."""
    assert any(told in fault for fault in faults(GOOD.replace(old, new, 1)))


def test_plant_several_faults_are_told_at_once():
    """A person mends all faults in one go, not one a run."""
    text = GOOD.replace("pmta_bar", "pmta").replace("setpoint: 25", "setpoint: low")

    assert len(faults(text)) == 2


def test_plant_missing_key_names_it():
    """A missing key is named with the entry it is missing in."""
    assert any("needs the key 'boiler'" in f for f in faults(GOOD.replace("    boiler: b2\n", "")))


def test_plant_bare_date_is_that_days_first_instant():
    """`since: 2026-01-01` means midnight UTC."""
    bare = plant(GOOD.replace("2026-01-01T00:00:00Z", "2026-01-01"))

    assert bare.devices["dev1"].since == plant().devices["dev1"].since


@pytest.mark.parametrize("text", ["42", "true", "[1, 2]", "&a [*a]", "[" * 3000])
def test_plant_that_is_no_mapping_is_a_fault(text):
    """Whatever else YAML can be is told, and raises nothing but SettingsError."""
    assert faults(text)


def test_plant_key_that_is_no_text_is_a_fault():
    """A number as a key is an unknown key like any other."""
    assert faults("1: x\nsites: []\n") == ["plant.yaml:1: unknown key 1"]
