"""The burner: its safety sequence, and how hard it fires to hold the pressure."""

from enum import IntEnum

from device.sim.design import BoilerDesign

PRE_PURGE_S = 30.0
PILOT_S = 5.0
MAIN_TRIAL_S = 5.0
LOW_FIRE_S = 20.0
POST_PURGE_S = 15.0
_SPARK_S = 2.0
_FLAME_RESPONSE_S = 1.0
_STROKE_S = 30.0
_GAIN_PER_BAR = 0.9
_RESET_TIME_S = 90.0
_START_BELOW_BAR = 0.4
_STOP_ABOVE_BAR = 0.7
_LOW_LOW_LEVEL_PERCENT = 20.0
_PURGE_AIR = 0.8
_PILOT_AIR = 0.3


class BurnerState(IntEnum):
    """The values of the metric `burner_state`."""

    OFF = 0
    PRE_PURGE = 1
    PILOT = 2
    MAIN_TRIAL = 3
    LOW_FIRE = 4
    MODULATING = 5
    POST_PURGE = 6
    LOCKOUT = 7


_ALIGHT = (
    BurnerState.PILOT,
    BurnerState.MAIN_TRIAL,
    BurnerState.LOW_FIRE,
    BurnerState.MODULATING,
)
_WITH_MAIN_FUEL = _ALIGHT[1:]
_NEXT = {
    BurnerState.PRE_PURGE: (PRE_PURGE_S, BurnerState.PILOT),
    BurnerState.PILOT: (PILOT_S, BurnerState.MAIN_TRIAL),
    BurnerState.MAIN_TRIAL: (MAIN_TRIAL_S, BurnerState.LOW_FIRE),
    BurnerState.LOW_FIRE: (LOW_FIRE_S, BurnerState.MODULATING),
    BurnerState.POST_PURGE: (POST_PURGE_S, BurnerState.OFF),
}


class Burner:
    """A modulating gas burner with its programmer.

    `firing` is the share of the greatest fuel flow (0 when off), `air` that of the greatest
    air flow, `flame` what the scanner sees, `cause` why it is locked out. A lockout is
    reset by an operator, `reset_after_s` after its cause has gone (never: None).
    """

    def __init__(
        self, design: BoilerDesign, *, share: float = 0.5, reset_after_s: float | None = 300.0
    ) -> None:
        self._design = design
        self._reset_after_s = reset_after_s
        self._lowest = 1 / design.burner_turndown
        self._in_state_s = 0.0
        self._well_s = 0.0
        self._dark_s = 0.0
        self._integral = max(self._lowest, share)
        self.state = BurnerState.MODULATING
        self.firing = self._integral
        self.air = self._integral
        self.flame = True
        self.cause = ""

    def step(
        self,
        dt_s: float,
        *,
        pressure_bar: float,
        level_percent: float,
        flame_lost: bool = False,
        stuck_open: bool = False,
        limit_bridged: bool = False,
    ) -> None:
        """Move on by `dt_s`.

        `flame_lost` hides the flame, `stuck_open` takes the control away and
        `limit_bridged` the high-pressure limit.
        """
        self._in_state_s += dt_s
        self.flame = self._burns() and not flame_lost
        self._dark_s = 0.0 if self.flame or not self._burns() else self._dark_s + dt_s
        over = pressure_bar > self._design.high_limit_bar and not limit_bridged
        cause = self._trip_cause(level_percent, over=over)
        if cause and self.state is not BurnerState.LOCKOUT:
            self._enter(BurnerState.LOCKOUT)
            self.cause, self.flame = cause, False
        self._advance(dt_s, pressure_bar, stuck_open=stuck_open, healthy=not (cause or flame_lost))
        self._modulate(dt_s, pressure_bar, stuck_open=stuck_open)

    def _burns(self) -> bool:
        if self.state is BurnerState.PILOT:
            return self._in_state_s > _SPARK_S
        return self.state in _WITH_MAIN_FUEL

    def _trip_cause(self, level_percent: float, *, over: bool) -> str:
        if level_percent < _LOW_LOW_LEVEL_PERCENT:
            return "low_water"
        if over:
            return "high_pressure"
        if self._dark_s > _FLAME_RESPONSE_S:
            return "flame_failure"
        return ""

    def _advance(
        self, dt_s: float, pressure_bar: float, *, stuck_open: bool, healthy: bool
    ) -> None:
        state, setpoint = self.state, self._design.control_setpoint_bar
        if state is BurnerState.LOCKOUT:
            self._well_s = self._well_s + dt_s if healthy else 0.0
            if self._reset_after_s is not None and self._well_s >= self._reset_after_s:
                self._enter(BurnerState.OFF)
                self.cause = ""
        elif state is BurnerState.OFF:
            if stuck_open or pressure_bar < setpoint - _START_BELOW_BAR:
                self._enter(BurnerState.PRE_PURGE)
        elif (
            state in _WITH_MAIN_FUEL
            and pressure_bar > setpoint + _STOP_ABOVE_BAR
            and not stuck_open
        ):
            self._enter(BurnerState.POST_PURGE)
        if self.state in _NEXT:
            duration_s, following = _NEXT[self.state]
            if self._in_state_s >= duration_s:
                self._enter(following)

    def _enter(self, state: BurnerState) -> None:
        self.state = state
        self._in_state_s = self._well_s = self._dark_s = 0.0
        if state is BurnerState.MODULATING:
            self._integral = self.firing

    def _modulate(self, dt_s: float, pressure_bar: float, *, stuck_open: bool) -> None:
        state = self.state
        if state is BurnerState.MODULATING:
            wanted = 1.0 if stuck_open else self._pressure_control(dt_s, pressure_bar)
            stroke = dt_s / _STROKE_S
            self.firing += min(stroke, max(-stroke, wanted - self.firing))
            self.air = self.firing
        elif state in _WITH_MAIN_FUEL:
            self.firing = self.air = self._lowest
        else:
            self.firing = 0.0
            purging = state in (BurnerState.PRE_PURGE, BurnerState.POST_PURGE) or (
                state is BurnerState.LOCKOUT and self._in_state_s < POST_PURGE_S
            )
            air = _PURGE_AIR if purging else _PILOT_AIR if state is BurnerState.PILOT else 0.0
            self.air += (air - self.air) * min(1.0, dt_s / 4.0)

    def _pressure_control(self, dt_s: float, pressure_bar: float) -> float:
        """PI control; the integral stops at the ends of the stroke."""
        error = self._design.control_setpoint_bar - pressure_bar
        self._integral += _GAIN_PER_BAR * error * dt_s / _RESET_TIME_S
        self._integral = min(1.0, max(self._lowest, self._integral))
        return min(1.0, max(self._lowest, self._integral + _GAIN_PER_BAR * error))
