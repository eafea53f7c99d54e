"""The whole boiler: a day in band, energy from fuel to steam, every fault visible."""

from functools import cache
from random import Random

import pytest

from device.sim.boiler_unit import BoilerUnit
from device.sim.burner import BurnerState
from device.sim.design import DESIGNS, BoilerDesign
from device.sim.faults import FaultScript, parse_faults
from device.sim.saturation import saturated, saturation_temperature_c
from device.sim.sensors import sensors

SUNDAY_NOON = 1_795_348_800.0  # 2026-11-22T12:00:00Z
MONDAY_NOON = 1_795_435_200.0
METRICS = [sensor.metric for sensor in sensors(12, 10)]


def simulate(
    seconds: int, faults: str = "", *, seed: int = 1, design: BoilerDesign | None = None
) -> list[dict[str, float]]:
    """What is true after each second of a busy Monday, faults counted from its start."""
    script = FaultScript(parse_faults(faults))
    unit = BoilerUnit(design or DESIGNS["fire_tube_10"], Random(seed), epoch_s=MONDAY_NOON)
    rows = []
    for second in range(seconds):
        unit.step(1.0, script.effects(second))
        rows.append(dict(zip(METRICS, unit.truth(), strict=True)))
    return rows


@cache
def normal() -> list[dict[str, float]]:
    """Ten minutes without a fault, to compare with."""
    return simulate(600)


@pytest.fixture(scope="module")
def day() -> list[dict[str, float]]:
    """A day without a fault: half a Sunday of cycling, half a Monday of modulating."""
    unit = BoilerUnit(DESIGNS["fire_tube_10"], Random(3), epoch_s=SUNDAY_NOON)
    rows = []
    for _ in range(86_400):
        unit.step(1.0)
        rows.append(dict(zip(METRICS, unit.truth(), strict=True)))
    return rows


def test_day_pressure_and_level_stay_in_band(day):
    """Without a fault pressure and level hold for 24 hours, through cycling and load steps."""
    pressures = [row["steam_pressure"] for row in day]
    water_levels = [row["water_level"] for row in day]

    assert min(pressures) > 9.0
    assert max(pressures) < 11.0
    assert min(water_levels) > 40.0
    assert max(water_levels) < 60.0


def test_day_runs_through_every_state_but_lockout(day):
    """A day holds burner cycles and modulation and no lockout."""
    states = {BurnerState(int(row["burner_state"])) for row in day}

    assert states == set(BurnerState) - {BurnerState.LOCKOUT}


def test_day_temperature_is_that_of_saturation(day):
    """Steam temperature follows pressure along IF97 region 4 within 0.05 K."""
    worst = max(
        abs(row["steam_temperature"] - saturation_temperature_c(row["steam_pressure"] + 1.01325))
        for row in day[::60]
    )

    assert worst < 0.05


def test_day_energy_from_fuel_to_steam_is_plausible(day):
    """Steam holds 80 to 92 % of the fuel's heat over a day; the rest is stack, shell and water."""
    fuel_kj = sum(row["fuel_flow"] for row in day) / 3600 * DESIGNS["fire_tube_10"].fuel_kj_nm3
    steam_kj = sum(
        row["steam_flow"]
        / 3.6
        * (saturated(row["steam_temperature"]).h_g - saturated(row["feedwater_temperature"]).h_f)
        for row in day[::10]
    )

    assert 0.80 < 10 * steam_kj / fuel_kj < 0.92


def test_day_mass_fed_is_steam_and_blowdown(day):
    """Feedwater is steam plus a few per cent of blowdown."""
    fed = sum(row["feedwater_flow"] for row in day)
    steam = sum(row["steam_flow"] for row in day)

    assert 1.0 < fed / steam < 1.06


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_design_two_hours_hold_pressure_and_level(name):
    """Every design runs a busy afternoon without leaving its band."""
    design = DESIGNS[name]

    rows = simulate(7200, design=design)

    assert max(row["steam_pressure"] for row in rows) < design.control_setpoint_bar + 1.0
    assert min(row["steam_pressure"] for row in rows) > design.control_setpoint_bar - 1.0
    assert min(row["water_level"] for row in rows) > 38.0
    assert max(row["water_level"] for row in rows) < 62.0


def test_fault_low_water_empties_the_glass_and_trips_the_burner():
    """The level passes 30 % within 40 s and the burner locks out below 20 %."""
    rows = simulate(120, "low_water@10+80")

    assert rows[10]["water_level"] > 40
    assert rows[50]["water_level"] < 30
    assert rows[60]["feedwater_flow"] == 0
    assert rows[100]["burner_state"] == BurnerState.LOCKOUT


def test_fault_high_pressure_reaches_the_limit_and_trips():
    """A stuck burner and a shut valve raise the pressure until the limit locks it out."""
    rows = simulate(200, "high_pressure@10+180")

    highest = max(row["steam_pressure"] for row in rows)
    assert 11.4 < highest < 11.8  # the heat in the tubes still boils water after the trip
    assert rows[-1]["burner_state"] == BurnerState.LOCKOUT


def test_fault_high_pressure_bridged_limit_lifts_the_safety_valve():
    """Without the limit the safety valve holds the pressure near the PMTA."""
    rows = simulate(400, "high_pressure@10:limit=0")

    assert max(row["steam_pressure"] for row in rows) == pytest.approx(12.0, abs=0.2)
    assert rows[-1]["flame"] == 1


def test_fault_flame_failure_locks_out_and_pressure_falls():
    """Without flame the fuel is off within 4 s and the plant draws the pressure down."""
    rows = simulate(160, "flame_failure@10+60")

    assert rows[14]["fuel_flow"] == 0
    assert rows[14]["burner_state"] == BurnerState.LOCKOUT
    assert rows[130]["steam_pressure"] < rows[9]["steam_pressure"] - 1.0


def test_fault_flame_failure_recovers_after_reset():
    """The operator resets, the burner starts and the pressure comes back."""
    rows = simulate(1800, "flame_failure@10+60")

    assert rows[-1]["burner_state"] == BurnerState.MODULATING
    assert rows[-1]["steam_pressure"] > 9.5


def test_fault_fouling_raises_the_stack():
    """Soot shows in the flue gas and costs fuel."""
    rows = simulate(600, "fouling@0:kelvin=40")

    assert rows[-1]["flue_gas_temperature"] > normal()[-1]["flue_gas_temperature"] + 25


def test_fault_tube_leak_takes_water_and_cools_the_stack():
    """A burst tube shows as feedwater without steam and as a cooler stack."""
    rows = simulate(600, "tube_leak@0")

    extra = [
        row["feedwater_flow"] - row["steam_flow"] - plain["feedwater_flow"] + plain["steam_flow"]
        for row, plain in zip(rows[-120:], normal()[-120:], strict=True)
    ]
    assert sum(extra) / len(extra) > 0.5
    assert rows[-1]["flue_gas_temperature"] < normal()[-1]["flue_gas_temperature"] - 10


def test_unit_same_seed_same_day_other_seed_another():
    """The same seed gives the same boiler to the last digit; another seed another one."""
    first, again, other = simulate(300), simulate(300), simulate(300, seed=2)

    assert first == again
    assert first != other


def test_unit_long_period_is_cut_into_small_steps():
    """A step of 10 s gives what ten steps of 1 s give."""
    one, ten = (BoilerUnit(DESIGNS["fire_tube_10"], Random(1), epoch_s=MONDAY_NOON) for _ in "12")
    for _ in range(10):
        one.step(1.0)

    ten.step(10.0)

    assert ten.truth() == one.truth()
