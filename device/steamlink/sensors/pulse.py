"""A flow meter that gives pulses, counted by hardware; the rate is the count over a window."""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError

KIND = "pulse"
BUS = "pulse"
# per_unit: pulses for one unit of volume or mass (the k-factor); per: what the rate is over,
# "s", "min" or "h"; window_ms: the longer, the finer the rate and the later it follows; high: the
# most that the meter can show, beyond which pulses are noise.
DEFAULTS = {"unit": "m³/h", "decimals": 2, "low": 0, "per_unit": 1, "per": "h", "window_ms": 10000}

_PER_MS = {"s": 1000, "min": 60000, "h": 3600000}
_MARKS = const(16)


class Driver(Sensor):
    """One meter: marks of (time, count) in a ring of 16, never more than a window old."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from ._making import numeric

        if cfg["per"] not in tuple(_PER_MS):
            raise ValueError("per {!r}: s, min or h".format(cfg["per"]))
        high = numeric("high, the most the meter can show,", cfg["high"])
        if not (numeric("per_unit", cfg["per_unit"]) > 0 and high > 0):
            raise ValueError("per_unit and high are above 0")
        numeric("window_ms", cfg["window_ms"], 1, whole=True)
        self._times = [0] * _MARKS
        self._counts = [0] * _MARKS
        self._next = 0
        self._kept = 0

    async def read(self, out):
        """Put the rate; the first reading only marks the count."""
        count, up_ms = self.bus.count(), out.up_ms
        if self._kept and count < self._counts[self._next - 1]:
            self._kept = 0
            self._mark(count, up_ms)
            raise SensorError(contract.DEVICE_FAILURE, "the pulse counter ran backwards")
        start = self._oldest(up_ms)
        if start is None:
            self._mark(count, up_ms)
            raise SensorError(contract.WAITING_FOR_INITIAL_DATA, "counting has only begun")
        pulses = count - self._counts[start]
        rate = pulses * _PER_MS[self.cfg["per"]] / (up_ms - self._times[start])
        rate /= self.cfg["per_unit"]
        last = self._next - 1
        # Marks a sixteenth of the window apart: the ring holds a window, whatever the period.
        if up_ms - self._times[last] >= self.cfg["window_ms"] // (_MARKS - 1):
            self._mark(count, up_ms)
        if rate > self.cfg["high"]:
            raise SensorError(
                contract.SENSOR_FAILURE,
                "{} pulses are more than the meter can give: noise on the line".format(pulses),
            )
        self.put(out, rate)

    def _mark(self, count, up_ms):
        self._times[self._next] = up_ms
        self._counts[self._next] = count
        self._next = (self._next + 1) % _MARKS
        self._kept = min(self._kept + 1, _MARKS)

    def _oldest(self, up_ms):
        """The oldest mark within the window, or the newest if all are older; None without any."""
        found = None
        for back in range(1, self._kept + 1):
            mark = (self._next - back) % _MARKS
            if up_ms <= self._times[mark]:
                continue
            if found is not None and up_ms - self._times[mark] > self.cfg["window_ms"]:
                break
            found = mark
        return found
