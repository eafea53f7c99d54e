"""A boiler that is not there: plausible readings from a seed and the clock, for trying things out.

Metrics, units and ranges are those of the catalogue. All of them follow one load, so that a
chart makes sense; the physics is in the simulator (device/sim), not here.
"""

import math

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor

KIND = "simulated"
BUS = ""
# metrics: which, in this order; seed: of the noise and of where in its day the boiler is.
DEFAULTS = {
    "metrics": (
        "steam_pressure",
        "water_level",
        "steam_temperature",
        "steam_flow",
        "feedwater_flow",
        "feedwater_temperature",
        "flue_gas_temperature",
        "oxygen",
    ),
    "seed": 1,
}

# name, unit, decimals, low, high, value at half load, what full load adds to it, noise. One text,
# because a dict of tuples takes six times the memory on a board.
_ALL = """
steam_pressure,bar,2,0,16,8.0,-0.4,0.02
water_level,%,1,0,100,55.0,-3.0,0.6
steam_temperature,°C,1,0,300,175.4,-1.9,0.2
steam_flow,t/h,2,0,10,3.0,2.0,0.03
feedwater_flow,t/h,2,0,10,3.1,2.1,0.05
feedwater_temperature,°C,1,0,150,92.0,-4.0,0.2
feedwater_pressure,bar,1,0,25,14.0,-0.8,0.1
flue_gas_temperature,°C,0,0,400,195.0,35.0,1.0
oxygen,%,1,0,21,4.2,-0.9,0.06
carbon_monoxide,ppm,0,0,1000,18.0,9.0,1.5
fuel_flow,Nm³/h,0,0,1200,240.0,160.0,2.0
combustion_air_temperature,°C,0,-20,80,31.0,1.0,0.2
draft,mbar,1,-10,40,6.0,4.0,0.1
tds,ppm,0,0,10000,2400.0,150.0,6.0
conductivity,µS/cm,0,0,15000,3400.0,210.0,8.0
flame,,0,0,1,1,0,0
burner_state,,0,0,15,5,0,0
firing_rate,%,0,0,100,52.0,42.0,0.4
"""
_SWING_MS = const(1260000)
_RIPPLE_MS = const(97000)
_PRIME = const(65537)
_TURN = 2 * math.pi


def described(name):
    """(name, unit, decimals, low, high), value, gain and noise of a metric; None if there is none."""
    start = _ALL.find("\n" + name + ",")
    if start < 0:
        return None
    fields = _ALL[start + 1 : _ALL.find("\n", start + 1)].split(",")
    metric = (name, fields[1], int(fields[2]), int(fields[3]), int(fields[4]))
    return metric, float(fields[5]), float(fields[6]), float(fields[7])


class Driver(Sensor):
    """All metrics of `metrics` at once, the same for the same seed and time."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from ._making import numeric

        self._chosen = []
        if not isinstance(cfg["metrics"], (list, tuple)):
            raise ValueError("metrics {!r}: a list of names".format(cfg["metrics"]))  # noqa: TRY004
        for name in cfg["metrics"]:
            found = described(name) if isinstance(name, str) else None
            if found is None:
                raise ValueError("metric {!r} is not simulated; {} are".format(name, names()))
            self._chosen.append(found)
        self._seed = numeric("seed", cfg["seed"], whole=True)

    def metrics(self):
        """Those chosen, with the ranges of a boiler of 6 t/h at 8 bar."""
        return [chosen[0] for chosen in self._chosen]

    async def read(self, out):
        """The readings of out.up_ms."""
        up_ms = out.up_ms + self._seed % 1000 * 7919
        # Whole turns are taken off first: ms since the start do not fit a single float.
        load = 0.7 * math.sin(_TURN * (up_ms % _SWING_MS) / _SWING_MS) + 0.3 * math.sin(
            _TURN * (up_ms % _RIPPLE_MS) / _RIPPLE_MS
        )
        noise = (up_ms // 10 + self._seed * 31) % _PRIME
        for metric, middle, gain, swing in self._chosen:
            value = middle
            if swing:
                noise = (noise * 75 + 74) % _PRIME
                value += gain * load + swing * (noise / 32768 - 1)
                value = min(max(value, metric[3]), metric[4])
            out.put(metric[0], value, contract.GOOD)


def names():
    """The metrics that there are."""
    return ", ".join([line.split(",")[0] for line in _ALL.strip().split("\n")])
