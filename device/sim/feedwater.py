"""The feedwater side: pump, level control, tank temperature and blowdown."""

import math
from random import Random

from device.sim.design import BoilerDesign

_GREATEST_SHARE = 1.5
_PUMP_SHARE = 1.2
_GAIN = 0.03
_RESET_TIME_S = 700.0
_VALVE_LAG_S = 3.0
_ON_BELOW_PERCENT = 44.0
_OFF_ABOVE_PERCENT = 56.0
_SETPOINT_PERCENT = 50.0
_TANK_BAR = 1.2
_TDS_BAND_PPM = 60.0
_BLOWDOWN_SHARE = 0.05


class Feedwater:
    """Feedwater of one boiler: modulating valve, or pump on and off.

    `flow_kg_s`, `temperature_c` and `pressure_bar` (gauge, after the pump) are what
    instruments would see; `blowdown_kg_s` is the surface blowdown that holds the TDS.
    """

    def __init__(self, design: BoilerDesign, rng: Random, *, share: float = 0.5) -> None:
        self._design = design
        self._rng = rng
        self._integral = share
        self._wander = 0.0
        self._pumping = not design.feedwater_on_off
        self._blowing = False
        self.flow_kg_s = share * design.capacity_kg_s if self._pumping else 0.0
        self.temperature_c = design.feedwater_c
        self.pressure_bar = design.pmta_bar
        self.blowdown_kg_s = 0.0

    def step(
        self,
        dt_s: float,
        *,
        level_percent: float,
        pressure_bar: float,
        tds_ppm: float,
        pump_failed: bool = False,
    ) -> None:
        """Move on by `dt_s` with the level and pressure of the boiler."""
        if self._design.feedwater_on_off:
            share = self._switch(level_percent)
        else:
            share = self._control(dt_s, level_percent)
        self._pumping = share > 0 and not pump_failed
        wanted_kg_s = share * self._design.capacity_kg_s if self._pumping else 0.0
        self.flow_kg_s += (wanted_kg_s - self.flow_kg_s) * min(1.0, dt_s / _VALVE_LAG_S)
        if self.flow_kg_s < 0.001 * self._design.capacity_kg_s:
            self.flow_kg_s = 0.0
        self._tank(dt_s)
        self._head(pressure_bar, pump_failed=pump_failed)
        self._blow_down(tds_ppm)

    def _control(self, dt_s: float, level_percent: float) -> float:
        """Single-element PI control of the valve; the integral stops at its ends."""
        error = _SETPOINT_PERCENT - level_percent
        self._integral += _GAIN * error * dt_s / _RESET_TIME_S
        self._integral = min(_GREATEST_SHARE, max(0.0, self._integral))
        return min(_GREATEST_SHARE, max(0.0, self._integral + _GAIN * error))

    def _switch(self, level_percent: float) -> float:
        if level_percent < _ON_BELOW_PERCENT:
            self._pumping = True
        elif level_percent > _OFF_ABOVE_PERCENT:
            self._pumping = False
        return _PUMP_SHARE if self._pumping else 0.0

    def _tank(self, dt_s: float) -> None:
        noise = self._rng.gauss(0.0, 1.0)
        self._wander += -self._wander * dt_s / 1800 + noise * math.sqrt(2 * dt_s / 1800)
        self.temperature_c = self._design.feedwater_c + 0.9 * self._wander

    def _head(self, pressure_bar: float, *, pump_failed: bool) -> None:
        """Pressure after the pump: its curve when it runs, the tank's head when it does not."""
        design = self._design
        runs = not pump_failed and (self._pumping or not design.feedwater_on_off)
        share = self.flow_kg_s / design.capacity_kg_s
        curve = 1.3 * design.pmta_bar + 1.5 - 0.12 * design.pmta_bar * share * share
        self.pressure_bar = max(curve, pressure_bar + 0.3) if runs else _TANK_BAR

    def _blow_down(self, tds_ppm: float) -> None:
        setpoint = self._design.tds_control_setpoint_ppm
        if tds_ppm > setpoint + _TDS_BAND_PPM:
            self._blowing = True
        elif tds_ppm < setpoint - _TDS_BAND_PPM:
            self._blowing = False
        share = _BLOWDOWN_SHARE if self._blowing else 0.0
        self.blowdown_kg_s = share * self._design.capacity_kg_s
