"""The water side: conservation of mass and energy, shrink and swell."""

from random import Random

import pytest

from device.sim.boiler import Boiler, Flows
from device.sim.design import BoilerDesign
from device.sim.saturation import SaturationTable, saturated, saturation_temperature_c

TABLE = SaturationTable()
DESIGN = BoilerDesign()
METAL_KJ_K = DESIGN.metal_kg * 0.49


def balanced(steam_kg_s: float = 1.4) -> Flows:
    """Flows that leave pressure and level where they are."""
    h_feed = saturated(103.0).h_f
    h_g = saturated(saturation_temperature_c(11.01325)).h_g
    return Flows(
        heat_kw=steam_kg_s * (h_g - h_feed),
        feedwater_kg_s=steam_kg_s,
        feedwater_c=103.0,
        steam_kg_s=steam_kg_s,
    )


def levels(flows: Flows, seconds: int) -> list[float]:
    """The level after each second of `flows`, from a boiler that was at rest."""
    boiler = Boiler(DESIGN, TABLE)
    for _ in range(120):
        boiler.step(1.0, balanced())
    start = boiler.level_percent
    changes = []
    for _ in range(seconds):
        boiler.step(1.0, flows)
        changes.append(boiler.level_percent - start)
    return changes


def test_boiler_balanced_flows_stays():
    """With as much in as out, pressure and level hold for an hour."""
    boiler = Boiler(DESIGN, TABLE)

    for _ in range(3600):
        boiler.step(1.0, balanced(1.39))

    assert boiler.pressure_bar == pytest.approx(10.0, abs=0.01)
    assert boiler.level_percent == pytest.approx(50.0, abs=0.2)


def test_boiler_random_flows_conserve_mass_and_energy():
    """What the pressure and the steam tables say is inside is what went in less what came out."""
    rng = Random(7)
    boiler = Boiler(DESIGN, TABLE)
    mass_kg, energy_kj = boiler.mass_kg, boiler.energy_kj
    for _ in range(1800):
        flows = Flows(
            heat_kw=rng.uniform(0, 7000),
            feedwater_kg_s=rng.uniform(0, 3.4),
            feedwater_c=rng.uniform(60, 105),
            steam_kg_s=rng.uniform(0, 3.0),
            water_kg_s=rng.uniform(0, 0.2),
        )
        now = saturated(boiler.temperature_c)
        mass_kg += flows.feedwater_kg_s - flows.steam_kg_s - flows.water_kg_s
        energy_kj += (
            flows.heat_kw
            + flows.feedwater_kg_s * saturated(flows.feedwater_c).h_f
            - flows.steam_kg_s * now.h_g
            - flows.water_kg_s * now.h_f
        )
        boiler.step(1.0, flows)

    inside = saturated(saturation_temperature_c(boiler.pressure_bar + 1.01325))
    water_kg = (DESIGN.volume_m3 - mass_kg * inside.v_g) / (inside.v_f - inside.v_g)
    held_kj = (
        water_kg * inside.u_f
        + (mass_kg - water_kg) * inside.u_g
        + METAL_KJ_K * boiler.temperature_c
    )
    assert boiler.mass_kg == pytest.approx(mass_kg, rel=1e-9)
    assert held_kj == pytest.approx(energy_kj, rel=1e-4)


def test_boiler_salt_balance_is_closed():
    """Dissolved matter leaves with water only, never with steam."""
    boiler = Boiler(DESIGN, TABLE)
    flows = balanced()
    flows.feedwater_tds_ppm, flows.water_kg_s = 85.0, 0.1
    salt_kg, left_kg = boiler.salt_kg, 0.0
    for _ in range(3600):
        left_kg += 0.1 * boiler.tds_ppm / 1e6
        boiler.step(1.0, flows)

    assert boiler.salt_kg == pytest.approx(salt_kg + 3600 * 1.4 * 85 / 1e6 - left_kg, rel=1e-9)


def test_level_more_steam_swells_then_falls():
    """A rise of the steam flow first lifts the level, then the missing water shows."""
    flows = balanced()
    flows.steam_kg_s += 0.8

    changes = levels(flows, 240)

    assert max(changes[:30]) > 1.0
    assert changes[-1] < -0.5


def test_level_less_steam_shrinks_then_rises():
    """A fall of the steam flow first drops the level, then the surplus water shows."""
    flows = balanced()
    flows.steam_kg_s -= 0.8

    changes = levels(flows, 240)

    assert min(changes[:30]) < -1.0
    assert changes[-1] > 0.5


def test_level_more_cold_feedwater_shrinks_then_rises():
    """Cold water first collapses bubbles and drops the level, then fills the boiler."""
    flows = balanced()
    flows.feedwater_kg_s += 1.0

    changes = levels(flows, 180)

    assert min(changes[:15]) < -0.3
    assert changes[-1] > 2.0


def test_pressure_without_heat_falls():
    """Without heat the steam leaves at the cost of pressure."""
    boiler = Boiler(DESIGN, TABLE)
    flows = balanced()
    flows.heat_kw = 0.0

    for _ in range(120):
        boiler.step(1.0, flows)

    assert boiler.pressure_bar < 9.0


def test_boiler_cold_and_empty_does_not_fail():
    """A boiler robbed of its heat shows 0 bar and goes on."""
    boiler = Boiler(DESIGN, TABLE)

    for _ in range(3600):
        boiler.step(1.0, Flows(heat_kw=-4000.0))

    assert boiler.pressure_bar == 0.0
    assert boiler.temperature_c < 100.0
