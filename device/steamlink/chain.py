"""What every reading of a metric goes through before it is published.

    raw -> plausible? (range, rate of change) -> median -> average -> calibration

What is implausible is refused before it can spoil an average. Limits that the device watches
look at the plausible value, calibrated but not smoothed: smoothing would hide the edge.
"""

from . import contract
from .constant import const

# The keys of a sensor's configuration that belong to its chain.
KEYS = {"rate": None, "median": 1, "ema_ms": 0, "calibrate": (), "gap_ms": None}

_GAP_MS = const(10000)
_SLACK = const(
    10
)  # a value up to 1/10 of the span beyond the range is at its end; further is a fault
_INFINITY = float("inf")


class Chain:
    """The chain of one metric.

    `cfg`: low and high (range in the metric's unit, or None), rate (units a second, or None),
    median (odd, 1 for none), ema_ms (time constant, 0 for none), calibrate (pairs), gap_ms
    (silence after which median, average and rate start anew; None: 10 s, or what `allow` says).
    """

    def __init__(self, cfg):
        self._low = cfg.get("low")
        self._high = cfg.get("high")
        self._slack = 0
        if self._low is not None and self._high is not None:
            if not self._low < self._high:
                raise ValueError(
                    "range {!r} to {!r}: low is below high".format(self._low, self._high)
                )
            self._slack = (self._high - self._low) / _SLACK
        self._gap_ms = cfg.get("gap_ms")
        self._gap_is_given = self._gap_ms is not None
        self.allow(0)
        self._rate = None
        self._calibration = None
        self._filters = []
        self._build(cfg)
        self._last = None
        self._up_ms = None

    def _build(self, cfg):
        if cfg.get("median", 1) != 1 or cfg.get("ema_ms") or cfg.get("rate") is not None:
            from . import filters

            if cfg.get("rate") is not None:
                self._rate = filters.RateGate(cfg["rate"])
            if cfg.get("median", 1) != 1:
                self._filters.append(filters.Median(cfg["median"]))
            if cfg.get("ema_ms"):
                self._filters.append(filters.Ema(cfg["ema_ms"]))
        if cfg.get("calibrate"):
            from .calibration import Calibration

            self._calibration = Calibration(cfg["calibrate"])

    def allow(self, gap_ms):
        """Have a silence of up to `gap_ms` be none, unless the configuration gives another."""
        if not self._gap_is_given:
            self._gap_ms = max(_GAP_MS, gap_ms)

    def feed(self, value, quality, up_ms):
        """Take a reading in: (published value, OPC code, plausible unfiltered value).

        Both values are None where there is none. A value beyond the range by up to a tenth of
        the span stands at the end of the range as EU_EXCEEDED; further out, not a number, or
        infinite is SENSOR_FAILURE. What moved too fast gives the last value as LAST_USABLE.
        """
        if value is None or quality < contract.UNCERTAIN:
            return None, quality if quality < contract.UNCERTAIN else contract.BAD, None
        # Written so that NaN, for which every comparison is false, is refused too.
        if not -_INFINITY < value < _INFINITY:
            return None, contract.SENSOR_FAILURE, None
        if self._up_ms is not None and up_ms - self._up_ms > self._gap_ms:
            self._reset()
        if self._low is not None and value < self._low:
            if value < self._low - self._slack:
                return None, contract.SENSOR_FAILURE, None
            value, quality = self._low, min(quality, contract.EU_EXCEEDED)
        elif self._high is not None and value > self._high:
            if value > self._high + self._slack:
                return None, contract.SENSOR_FAILURE, None
            value, quality = self._high, min(quality, contract.EU_EXCEEDED)
        if self._rate is not None and not self._rate.accepts(value, up_ms):
            return self._last, contract.LAST_USABLE, None
        self._up_ms = up_ms
        return self._smooth(value, quality, up_ms)

    def _smooth(self, value, quality, up_ms):
        calibration = self._calibration
        plausible = value if calibration is None else calibration.apply(value)
        if self._filters:
            for step in self._filters:
                value = step.feed(value, up_ms)
            if calibration is not None:
                value = calibration.apply(value)
        else:
            value = plausible
        self._last = value
        # A value that the driver only repeats is no news for a limit.
        return value, quality, None if quality == contract.LAST_USABLE else plausible

    def _reset(self):
        for step in self._filters:
            step.reset()
        if self._rate is not None:
            self._rate.reset()
