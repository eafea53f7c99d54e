"""The water side of a fire-tube boiler: mass, energy, pressure and level.

Water and steam are one lump in equilibrium: total mass and total energy are the states,
temperature and pressure follow from them, so nothing is made or lost by the calculation.
The level also holds the steam bubbles below it, which gives shrink and swell
(after the drum model of Åström and Bell, Automatica 36 (2000) 363-378, with lumped risers).
"""

from dataclasses import dataclass

from device.sim.design import ATMOSPHERE_BAR, BoilerDesign
from device.sim.saturation import (
    SaturationTable,
    saturation_pressure_bar,
    saturation_temperature_c,
)

_METAL_KJ_KG_K = 0.49
_BUBBLE_RISE_S = 1.3
_BUBBLE_LAG_S = 4.0
_PARTS_PER_MILLION = 1e6


@dataclass(slots=True, kw_only=True)
class Flows:
    """What enters and leaves the boiler during a step: kg/s, kW and °C."""

    heat_kw: float = 0.0
    feedwater_kg_s: float = 0.0
    feedwater_c: float = 100.0
    feedwater_tds_ppm: float = 0.0
    steam_kg_s: float = 0.0
    water_kg_s: float = 0.0


class Boiler:
    """Water, steam and metal of one boiler; `step` moves it on.

    `temperature_c` and `pressure_bar` (gauge) belong to boiling water; `level_percent` is
    what the gauge glass shows, beyond 0 and 100 where it shows nothing; `tds_ppm` is the
    dissolved matter in the water.
    """

    def __init__(self, design: BoilerDesign, table: SaturationTable) -> None:
        self.design = design
        self._table = table
        self._metal_kj_k = design.metal_kg * _METAL_KJ_KG_K
        self._glass_m3 = design.level_area_m2 * design.glass_height_m
        self._normal_m3 = design.volume_m3 * (1 - design.steam_space_share)
        self.temperature_c = saturation_temperature_c(design.control_setpoint_bar + ATMOSPHERE_BAR)
        v_f, v_g, u_f, u_g, h_f, h_g = table.at(self.temperature_c)
        _, _, _, _, h_feed, _ = table.at(design.feedwater_c)
        boiled_kg_s = 0.5 * design.capacity_kg_s * (1 - (h_f - h_feed) / (h_g - h_f))
        self._bubbles_m3 = _BUBBLE_RISE_S * boiled_kg_s * v_g
        water_m3 = self._normal_m3 - self._bubbles_m3
        water_kg, steam_kg = water_m3 / v_f, (design.volume_m3 - water_m3) / v_g
        self._steam_kg = steam_kg
        self.mass_kg = water_kg + steam_kg
        self.energy_kj = water_kg * u_f + steam_kg * u_g + self._metal_kj_k * self.temperature_c
        self.salt_kg = water_kg * 0.92 * design.tds_control_setpoint_ppm / _PARTS_PER_MILLION
        self._derive(v_f)

    def step(self, dt_s: float, flows: Flows) -> None:
        """Move on by `dt_s` seconds, at most 1 for a true level."""
        _, _, _, _, h_f, h_g = self._table.at(self.temperature_c)
        _, _, _, _, h_feed, _ = self._table.at(flows.feedwater_c)
        feed, steam, water = flows.feedwater_kg_s, flows.steam_kg_s, flows.water_kg_s
        self.mass_kg += dt_s * (feed - steam - water)
        self.energy_kj += dt_s * (flows.heat_kw + feed * h_feed - steam * h_g - water * h_f)
        self.salt_kg += (
            dt_s * (feed * flows.feedwater_tds_ppm - water * self.tds_ppm) / _PARTS_PER_MILLION
        )
        before_kg = self._steam_kg
        v_f, v_g = self._find_temperature()
        boiled_kg_s = max(0.0, (self._steam_kg - before_kg) / dt_s + steam)
        # Cold feedwater first takes its heat from the bubbles it meets, then from all the water.
        collapsed_kg_s = feed * (h_f - h_feed) / (h_g - h_f)
        settled_m3 = _BUBBLE_RISE_S * max(0.0, boiled_kg_s - collapsed_kg_s) * v_g
        self._bubbles_m3 += (settled_m3 - self._bubbles_m3) * min(1.0, dt_s / _BUBBLE_LAG_S)
        self._derive(v_f)

    def drain_kg_s(self, percent_per_s: float) -> float:
        """The flow out of the water space that lowers the level by `percent_per_s`."""
        v_f = self._table.at(self.temperature_c)[0]
        return percent_per_s / 100 * self._glass_m3 / v_f

    def _find_temperature(self) -> tuple[float, float]:
        """Find the temperature at which mass and volume hold the energy (Newton's method)."""
        volume, mass = self.design.volume_m3, self.mass_kg
        celsius = self.temperature_c
        # The slope changes little: water and metal hold nearly all of the heat.
        slope = 4.5 * mass + self._metal_kj_k
        for _ in range(3):
            v_f, v_g, u_f, u_g, _, _ = self._table.at(celsius)
            steam_kg = max(0.0, (volume - mass * v_f) / (v_g - v_f))
            held = (mass - steam_kg) * u_f + steam_kg * u_g + self._metal_kj_k * celsius
            celsius += (self.energy_kj - held) / slope
        self.temperature_c = celsius
        self._steam_kg = steam_kg
        return v_f, v_g

    def _derive(self, v_f: float) -> None:
        self.pressure_bar = max(0.0, saturation_pressure_bar(self.temperature_c) - ATMOSPHERE_BAR)
        water_kg = self.mass_kg - self._steam_kg
        level_m3 = water_kg * v_f + self._bubbles_m3
        self.level_percent = 50 + 100 * (level_m3 - self._normal_m3) / self._glass_m3
        self.tds_ppm = _PARTS_PER_MILLION * self.salt_kg / max(water_kg, 1.0)
