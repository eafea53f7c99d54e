"""The instruments: from what is true to what a device reads, with noise and faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from device.sim.faults import Effects
from device.steamlink import contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One instrument: its metric and unit, range, decimals, and noise (standard deviation)."""

    metric: str
    unit: str
    decimals: int
    low: float
    high: float
    noise: float = 0.0


def sensors(pmta_bar: float, capacity_t_h: float) -> tuple[Sensor, ...]:
    """The instruments of a boiler, ranged for its pressure (bar gauge) and capacity (t/h)."""
    flow = round(1.5 * capacity_t_h + 0.5)
    fuel = round(120 * capacity_t_h, -1)
    table = (
        ("steam_pressure", "bar", 2, 0, round(1.5 * pmta_bar), 0.01),
        ("water_level", "%", 1, 0, 100, 0.25),
        ("steam_temperature", "°C", 1, 0, 300, 0.15),
        ("steam_flow", "t/h", 2, 0, flow, 0.006 * capacity_t_h),
        ("feedwater_flow", "t/h", 2, 0, flow, 0.006 * capacity_t_h),
        ("feedwater_temperature", "°C", 1, 0, 150, 0.1),
        ("feedwater_pressure", "bar", 1, 0, round(2 * pmta_bar), 0.08),
        ("flue_gas_temperature", "°C", 0, 0, 400, 0.6),
        ("oxygen", "%", 1, 0, 21, 0.04),
        ("carbon_monoxide", "ppm", 0, 0, 1000, 1.0),
        ("fuel_flow", "Nm³/h", 0, 0, fuel, 0.05 * capacity_t_h),
        ("combustion_air_temperature", "°C", 0, -20, 80, 0.2),
        ("draft", "mbar", 1, -10, 40, 0.08),
        ("tds", "ppm", 0, 0, 10_000, 5.0),
        ("conductivity", "µS/cm", 0, 0, 15_000, 7.0),
        ("flame", "", 0, 0, 1, 0.0),
        ("burner_state", "", 0, 0, 15, 0.0),
        ("firing_rate", "%", 0, 0, 100, 0.0),
    )
    return tuple(
        Sensor(metric=name, unit=unit, decimals=decimals, low=low, high=high, noise=noise)
        for name, unit, decimals, low, high, noise in table
    )


class SensorBank:
    """All instruments of one boiler; `read` gives values and the codes that are not good.

    A stuck sensor gives its last value and is not noticed. A drifting one is off by what the
    fault says. An open one gives no value and NOT_CONNECTED. Beyond its range a sensor gives
    the end of the range and EU_EXCEEDED (noise at the ends is only cut).
    """

    def __init__(self, bank: Sequence[Sensor], rng: Random) -> None:
        self.sensors = tuple(bank)
        self._gauss = rng.gauss
        self._last: list[float | None] = [None] * len(self.sensors)
        self._plain = [
            (sensor.noise, sensor.decimals or None, sensor.low, sensor.high, 6 * sensor.noise)
            for sensor in self.sensors
        ]

    def read(
        self, truth: Sequence[float], effects: Effects
    ) -> tuple[list[float | None], dict[int, int]]:
        """Read all sensors: values, and OPC codes by position of those not good."""
        gauss = self._gauss
        values: list[float | None] = []
        codes: dict[int, int] = {}
        for index, (noise, decimals, low, high, slack) in enumerate(self._plain):
            value = truth[index]
            if noise:
                value += gauss(0.0, noise)
            if not low <= value <= high:
                if not low - slack <= value <= high + slack:
                    codes[index] = contract.EU_EXCEEDED
                value = low if value < low else high
            values.append(round(value, decimals))
        if not effects.quiet:
            self._disturb(values, codes, effects)
        self._last = values
        return values, codes

    def _disturb(self, values: list[float | None], codes: dict[int, int], effects: Effects) -> None:
        for index, sensor in enumerate(self.sensors):
            value = values[index]
            if sensor.metric in effects.drift and value is not None:
                off = value + effects.drift[sensor.metric]
                if not sensor.low <= off <= sensor.high:
                    codes[index] = contract.EU_EXCEEDED
                values[index] = round(
                    min(max(off, sensor.low), sensor.high), sensor.decimals or None
                )
            if sensor.metric in effects.stuck and self._last[index] is not None:
                values[index] = self._last[index]
                codes.pop(index, None)
            if sensor.metric in effects.open:
                values[index] = None
                codes[index] = contract.NOT_CONNECTED
