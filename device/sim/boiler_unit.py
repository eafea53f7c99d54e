"""One whole boiler: water side, fire side, burner, feedwater and the plant that takes its steam."""

import math
from random import Random

from device.sim.boiler import Boiler, Flows
from device.sim.burner import Burner
from device.sim.demand import Demand
from device.sim.design import BoilerDesign
from device.sim.faults import Effects
from device.sim.feedwater import Feedwater
from device.sim.furnace import Furnace
from device.sim.saturation import SaturationTable

_GREATEST_STEP_S = 1.0
_WARM_UP_S = 900
_PPM_PER_MICROSIEMENS = 0.7
_SAFETY_VALVE_SHARE = 1.35
_RESEAT = 0.95
_FULL_PRESSURE_SHARE = 0.8
_EMPTY_PERCENT = 2.0
_BOILER_HOUSE_C = 29.0

_TABLE = SaturationTable()
_QUIET = Effects()


class BoilerUnit:
    """One boiler with all that belongs to it, at the instant `epoch_s` (UTC).

    It starts warm, in the middle of its day. `steam_kg_s` leaves through the meter,
    `relief_kg_s` through the safety valve, `drain_kg_s` through open drains,
    `leak_kg_s` through a burst tube.
    """

    def __init__(
        self,
        design: BoilerDesign,
        rng: Random,
        *,
        epoch_s: float,
        demand_scale: float = 1.0,
        reset_after_s: float | None = 300.0,
    ) -> None:
        self.design = design
        self.epoch_s = epoch_s - _WARM_UP_S
        self.demand = Demand(
            Random(rng.random()),
            epoch_s=self.epoch_s,
            local_offset_s=3600 * design.local_hour_offset,
            scale=demand_scale,
        )
        share = self.demand.share
        self.boiler = Boiler(design, _TABLE)
        self.burner = Burner(design, share=share, reset_after_s=reset_after_s)
        self.furnace = Furnace(design, self.boiler.temperature_c, Random(rng.random()), share=share)
        self.feedwater = Feedwater(design, Random(rng.random()), share=share)
        self.air_c = _BOILER_HOUSE_C
        self.steam_kg_s = self.relief_kg_s = self.drain_kg_s = self.leak_kg_s = 0.0
        self._lifted = False
        for _ in range(_WARM_UP_S):
            self._move(1.0, _QUIET)

    def step(self, dt_s: float, effects: Effects = _QUIET) -> None:
        """Move on by `dt_s` seconds, in steps of at most one second."""
        parts = max(1, math.ceil(dt_s / _GREATEST_STEP_S - 1e-9))
        for _ in range(parts):
            self._move(dt_s / parts, effects)

    def truth(self) -> tuple[float, ...]:
        """What is true now, in the order and units of `sensors.sensors`."""
        boiler, furnace, feedwater, burner = self.boiler, self.furnace, self.feedwater, self.burner
        return (
            boiler.pressure_bar,
            min(100.0, max(0.0, boiler.level_percent)),
            boiler.temperature_c,
            3.6 * self.steam_kg_s,
            3.6 * feedwater.flow_kg_s,
            feedwater.temperature_c,
            feedwater.pressure_bar,
            furnace.flue_gas_c,
            furnace.oxygen,
            furnace.carbon_monoxide,
            furnace.fuel_nm3_h,
            self.air_c,
            furnace.draft_mbar,
            boiler.tds_ppm,
            boiler.tds_ppm / _PPM_PER_MICROSIEMENS,
            float(burner.flame),
            float(burner.state),
            100 * burner.firing,
        )

    def _move(self, dt_s: float, effects: Effects) -> None:
        boiler, burner, furnace, feedwater = self.boiler, self.burner, self.furnace, self.feedwater
        self.epoch_s += dt_s
        self.demand.step(dt_s, self.epoch_s)
        local_h = (self.epoch_s / 3600 + self.design.local_hour_offset) % 24
        self.air_c = _BOILER_HOUSE_C + 4.5 * math.cos((local_h - 15) * math.tau / 24)
        draining = effects.level_fall_per_s > 0
        feedwater.step(
            dt_s,
            level_percent=boiler.level_percent,
            pressure_bar=boiler.pressure_bar,
            tds_ppm=boiler.tds_ppm,
            pump_failed=draining,
        )
        burner.step(
            dt_s,
            pressure_bar=boiler.pressure_bar,
            level_percent=boiler.level_percent,
            flame_lost=effects.flame_lost,
            stuck_open=effects.burner_stuck,
            limit_bridged=effects.limit_bridged,
        )
        self.leak_kg_s = effects.leak_share * self.design.capacity_kg_s
        furnace.step(
            dt_s,
            firing=burner.firing,
            air=burner.air,
            water_c=boiler.temperature_c,
            air_c=self.air_c,
            fouling_k=effects.fouling_k,
            leak_kg_s=self.leak_kg_s,
        )
        self._let_steam_out(effects)
        self._let_water_out(effects)
        boiler.step(
            dt_s,
            Flows(
                heat_kw=furnace.heat_kw,
                feedwater_kg_s=feedwater.flow_kg_s,
                feedwater_c=feedwater.temperature_c,
                feedwater_tds_ppm=self.design.feedwater_tds_ppm,
                steam_kg_s=self.steam_kg_s + self.relief_kg_s,
                water_kg_s=feedwater.blowdown_kg_s + self.drain_kg_s + self.leak_kg_s,
            ),
        )

    def _let_steam_out(self, effects: Effects) -> None:
        """Consumers take less when the pressure is low; the safety valve pops at the PMTA."""
        pressure_bar, design = self.boiler.pressure_bar, self.design
        full_bar = _FULL_PRESSURE_SHARE * design.control_setpoint_bar
        wanted = 0.0 if effects.steam_shut else self.demand.share * design.capacity_kg_s
        low = min(1.0, pressure_bar / full_bar)
        self.steam_kg_s = wanted * low * low
        if pressure_bar >= design.pmta_bar:
            self._lifted = True
        elif pressure_bar < _RESEAT * design.pmta_bar:
            self._lifted = False
        self.relief_kg_s = _SAFETY_VALVE_SHARE * design.capacity_kg_s if self._lifted else 0.0

    def _let_water_out(self, effects: Effects) -> None:
        level_percent = self.boiler.level_percent
        lost_kg_s = self.steam_kg_s + self.feedwater.blowdown_kg_s
        if effects.level_fall_per_s and level_percent > _EMPTY_PERCENT:
            self.drain_kg_s = max(0.0, self.boiler.drain_kg_s(effects.level_fall_per_s) - lost_kg_s)
        else:
            self.drain_kg_s = 0.0
