"""The fire side: what burns, what goes up the stack, and what heat reaches the water."""

import math
from itertools import pairwise
from random import Random

from device.sim.design import BoilerDesign

OXYGEN_IN_AIR = 20.9
_SIEGERT_A2 = 0.66
_SIEGERT_B = 0.009
_HEAT_LAG_S = 12.0
_STACK_LAG_S = 45.0
_STANDING_LAG_S = 900.0
_ANALYSER_LAG_S = 8.0
_RADIATION_SHARE = 0.006
_AIR_KG_PER_NM3_FUEL = 14.5
_AIR_KJ_KG_K = 1.006
_OXYGEN_CURVE = ((0.0, 6.5), (0.25, 6.0), (0.5, 4.3), (0.75, 3.4), (1.0, 3.0))
_LEAK_COOLING_K_PER_KG_S = 60.0


def oxygen_curve(firing: float) -> float:
    """Oxygen in dry flue gas, %, of a well-tuned gas burner at a share of its greatest fire."""
    for (x0, y0), (x1, y1) in pairwise(_OXYGEN_CURVE):
        if firing <= x1:
            return y0 + (y1 - y0) * (firing - x0) / (x1 - x0)
    return _OXYGEN_CURVE[-1][1]


def stack_loss_share(flue_c: float, air_c: float, oxygen: float) -> float:
    """Share of the fuel's net heat lost in dry flue gas: Siegert's formula for natural gas."""
    return (flue_c - air_c) * (_SIEGERT_A2 / (OXYGEN_IN_AIR - oxygen) + _SIEGERT_B) / 100


def approach_k(firing: float) -> float:
    """How much hotter than the water the flue gas leaves a clean boiler, in K."""
    return 25.0 + 38.0 * math.pow(max(firing, 0.0), 0.9)


class Furnace:
    """Combustion and flue gas of one boiler; `heat_kw` is what reaches the water.

    `fuel_nm3_h`, `oxygen` (% dry), `carbon_monoxide` (ppm), `flue_gas_c` and `draft_mbar`
    (furnace pressure) are what instruments would see.
    """

    def __init__(
        self, design: BoilerDesign, water_c: float, rng: Random, *, share: float = 0.5
    ) -> None:
        self._design = design
        self._rng = rng
        h_steam, h_feed = 2780.0, 4.2 * design.feedwater_c
        rated_kw = design.capacity_kg_s * (h_steam - h_feed)
        self._rated_kw = rated_kw
        self.greatest_fuel_nm3_s = rated_kw / design.efficiency_at_capacity / design.fuel_kj_nm3
        self._greatest_fuel = 1.06 * self.greatest_fuel_nm3_s
        self._gas_kj = _HEAT_LAG_S * share * rated_kw
        self._wander = 0.0
        self._burning_s = 3600.0
        self._oxygen_at_burner = 4.3
        self.fuel_nm3_h = 0.0
        self.oxygen = 4.3
        self.carbon_monoxide = 15.0
        self.flue_gas_c = water_c + approach_k(0.5)
        self.draft_mbar = 3.0
        self.heat_kw = share * rated_kw

    def step(
        self,
        dt_s: float,
        *,
        firing: float,
        air: float,
        water_c: float,
        air_c: float,
        fouling_k: float = 0.0,
        leak_kg_s: float = 0.0,
    ) -> None:
        """Move on by `dt_s` at the given shares of fuel and air; `leak_kg_s` is a burst tube."""
        self._gas_side(dt_s, firing, air, water_c, air_c, fouling_k, leak_kg_s)
        self._burn(dt_s, firing)
        fuel_nm3_s = firing * self._greatest_fuel
        self.fuel_nm3_h = 3600 * fuel_nm3_s
        loss = stack_loss_share(self.flue_gas_c, air_c, self._oxygen_at_burner) if firing else 0.0
        self._gas_kj += dt_s * fuel_nm3_s * self._design.fuel_kj_nm3 * (1 - loss)
        passed_kj = self._gas_kj * min(1.0, dt_s / _HEAT_LAG_S)
        self._gas_kj -= passed_kj
        self.heat_kw = passed_kj / dt_s - self._standing_loss_kw(firing, air, water_c, air_c)
        flow = air * (1 + 0.02 * self._wander) + 3 * leak_kg_s / self._design.capacity_kg_s
        self.draft_mbar = 13.0 * flow * flow - (0.3 if air < 0.05 else 0.0)

    def _gas_side(
        self,
        dt_s: float,
        firing: float,
        air: float,
        water_c: float,
        air_c: float,
        fouling_k: float,
        leak_kg_s: float,
    ) -> None:
        if firing:
            target = water_c + approach_k(firing) + self._design.stack_offset_k
            target += 2.5 * (self._oxygen_at_burner - 3.5) + fouling_k * (0.4 + 0.6 * firing)
            lag_s = _STACK_LAG_S
        elif air > 0.05:
            target, lag_s = water_c - 0.25 * (water_c - air_c), _STACK_LAG_S * 1.5
        else:
            target, lag_s = water_c - 0.35 * (water_c - air_c), _STANDING_LAG_S
        target -= _LEAK_COOLING_K_PER_KG_S * leak_kg_s
        self.flue_gas_c += (target - self.flue_gas_c) * min(1.0, dt_s / lag_s)

    def _burn(self, dt_s: float, firing: float) -> None:
        noise = self._rng.gauss(0.0, 1.0)
        self._wander += -self._wander * dt_s / 60 + noise * math.sqrt(2 * dt_s / 60)
        if firing:
            self._burning_s += dt_s
            curve = oxygen_curve(firing) + self._design.oxygen_offset
            self._oxygen_at_burner = max(0.3, curve + 0.13 * self._wander)
            rich = 900.0 * math.exp(-self._oxygen_at_burner / 0.45)
            cold = 90.0 * math.exp(-self._burning_s / 15)
            monoxide = 14.0 + 2.0 * self._wander + rich + cold
        else:
            self._burning_s, monoxide = 0.0, 0.0
            self._oxygen_at_burner = OXYGEN_IN_AIR
        share = min(1.0, dt_s / _ANALYSER_LAG_S)
        self.oxygen += (self._oxygen_at_burner - self.oxygen) * share
        self.carbon_monoxide += (max(0.0, monoxide) - self.carbon_monoxide) * share

    def _standing_loss_kw(self, firing: float, air: float, water_c: float, air_c: float) -> float:
        """What the shell radiates, and what purge air carries away."""
        radiated = _RADIATION_SHARE * self._rated_kw * (water_c - air_c) / 150.0
        if firing or air < 0.05:
            return radiated
        air_kg_s = air * self._greatest_fuel * _AIR_KG_PER_NM3_FUEL
        return radiated + 0.7 * air_kg_s * _AIR_KJ_KG_K * max(0.0, water_c - air_c)
