"""The burner's sequence, its trips and its pressure control; the fire side's formulas."""

from random import Random

import pytest

from device.sim.burner import Burner, BurnerState
from device.sim.design import BoilerDesign
from device.sim.furnace import Furnace, oxygen_curve, stack_loss_share

DESIGN = BoilerDesign()


def run(burner: Burner, seconds: int, **conditions) -> list[BurnerState]:
    """Step second by second under the same conditions; the states, without repeats."""
    seen = [burner.state]
    for _ in range(seconds):
        burner.step(1.0, **({"pressure_bar": 10.0, "level_percent": 50.0} | conditions))
        if burner.state is not seen[-1]:
            seen.append(burner.state)
    return seen


def test_burner_pressure_high_stops_then_low_starts_again():
    """Above the band the burner purges and rests; below it the whole start sequence runs."""
    burner = Burner(DESIGN)

    stopping = run(burner, 20, pressure_bar=10.8)
    resting = run(burner, 60, pressure_bar=9.8)
    starting = run(burner, 70, pressure_bar=9.5)

    assert stopping == [BurnerState.MODULATING, BurnerState.POST_PURGE, BurnerState.OFF]
    assert resting == [BurnerState.OFF]
    assert starting == [
        BurnerState.OFF,
        BurnerState.PRE_PURGE,
        BurnerState.PILOT,
        BurnerState.MAIN_TRIAL,
        BurnerState.LOW_FIRE,
        BurnerState.MODULATING,
    ]


def test_burner_purge_lets_no_fuel_in():
    """There is no fuel before the pilot has burnt, and low fire until the end of the hold."""
    burner = Burner(DESIGN)
    run(burner, 20, pressure_bar=10.8)
    fuel_by_state: dict[BurnerState, set[float]] = {}
    for _ in range(60):
        burner.step(1.0, pressure_bar=9.5, level_percent=50.0)
        fuel_by_state.setdefault(burner.state, set()).add(burner.firing)

    assert fuel_by_state[BurnerState.PRE_PURGE] == {0.0}
    assert fuel_by_state[BurnerState.PILOT] == {0.0}
    assert fuel_by_state[BurnerState.LOW_FIRE] == {0.25}


@pytest.mark.parametrize(
    ("conditions", "cause"),
    [
        ({"flame_lost": True}, "flame_failure"),
        ({"level_percent": 19.0}, "low_water"),
        ({"pressure_bar": 11.5}, "high_pressure"),
        ({"pressure_bar": 11.5, "stuck_open": True}, "high_pressure"),
    ],
)
def test_burner_trip_cuts_fuel_within_four_seconds_and_locks_out(conditions, cause):
    """Flame failure, low water and high pressure shut the fuel off and need a reset."""
    burner = Burner(DESIGN, reset_after_s=None)

    run(burner, 4, **conditions)
    locked = (burner.state, burner.firing, burner.flame, burner.cause)
    run(burner, 3600)

    assert locked == (BurnerState.LOCKOUT, 0.0, False, cause)
    assert burner.state is BurnerState.LOCKOUT


def test_burner_bridged_limit_goes_on():
    """Without its high-pressure limit a stuck burner fires on: the safety valve is left."""
    burner = Burner(DESIGN)

    states = run(burner, 60, pressure_bar=11.8, stuck_open=True, limit_bridged=True)

    assert states == [BurnerState.MODULATING]
    assert burner.firing == 1.0


def test_burner_reset_waits_for_the_cause_to_go():
    """The operator resets a lockout only after its cause has been gone for the set time."""
    burner = Burner(DESIGN, reset_after_s=60.0)
    run(burner, 10, level_percent=15.0)

    during = run(burner, 300, level_percent=15.0)
    after = run(burner, 61, pressure_bar=10.0)

    assert during == [BurnerState.LOCKOUT]
    assert after == [BurnerState.LOCKOUT, BurnerState.OFF]


def test_burner_below_setpoint_fires_harder_within_its_stroke():
    """The fire follows the pressure, at most 1/30 of its range a second."""
    burner = Burner(DESIGN)
    before = burner.firing

    burner.step(1.0, pressure_bar=9.0, level_percent=50.0)
    after_one = burner.firing
    run(burner, 60, pressure_bar=9.0)

    assert before < after_one <= before + 1 / 30 + 1e-9
    assert burner.firing == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("difference_k", "oxygen", "percent"), [(180, 3.0, 8.257), (160, 5.0, 8.082)]
)
def test_stack_loss_siegert_worked_example(difference_k, oxygen, percent):
    """Siegert's formula for natural gas gives the worked examples."""
    loss = stack_loss_share(25 + difference_k, 25, oxygen)

    assert 100 * loss == pytest.approx(percent, abs=0.001)


def test_oxygen_falls_with_the_fire():
    """A burner needs more excess air at low fire."""
    curve = [oxygen_curve(share / 10) for share in range(11)]

    assert curve == sorted(curve, reverse=True)
    assert curve[-1] == 3.0


def test_furnace_energy_balance_closes():
    """Heat to the water is the fuel's heat less stack and shell losses, once the fire is steady."""
    furnace = Furnace(DESIGN, 184.0, Random(1))
    fuel_kj = stack_kj = water_kj = 0.0
    for second in range(1800):
        furnace.step(1.0, firing=0.8, air=0.8, water_c=184.0, air_c=29.0)
        if second >= 600:
            kw = furnace.fuel_nm3_h / 3600 * DESIGN.fuel_kj_nm3
            fuel_kj += kw
            stack_kj += kw * stack_loss_share(furnace.flue_gas_c, 29.0, furnace.oxygen)
            water_kj += furnace.heat_kw

    shell_share = (fuel_kj - stack_kj - water_kj) / fuel_kj
    assert 0.005 < shell_share < 0.01


def test_furnace_fouling_raises_stack_and_lowers_heat():
    """Soot leaves heat in the flue gas."""
    clean, fouled = (Furnace(DESIGN, 184.0, Random(1)) for _ in range(2))
    for _ in range(900):
        clean.step(1.0, firing=0.8, air=0.8, water_c=184.0, air_c=29.0)
        fouled.step(1.0, firing=0.8, air=0.8, water_c=184.0, air_c=29.0, fouling_k=40.0)

    assert 30 < fouled.flue_gas_c - clean.flue_gas_c < 40
    assert 0.97 < fouled.heat_kw / clean.heat_kw < 0.99
