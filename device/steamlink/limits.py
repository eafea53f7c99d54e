"""Limits that the device itself watches, for the edge that may come while nobody listens."""

from .constant import const

# An edge is written to flash: a value that hovers at its limit must not write each second. The
# processor's own alarms see every row.
_QUIET_MS = const(10000)
_LOW = ("LO", "LOLO")
_HIGH = ("HI", "HIHI")


class Limit:
    """One limit: active from `setpoint` on, normal again `deadband` back from it.

    Types are those of the processor's alarm definitions (ISA-18.2): LO, LOLO, HI, HIHI. An edge is
    told at once, but not within 10 s of the one before: then what became of it is. `held` counts
    the edges that were not told at once.
    """

    def __init__(self, cfg):
        if cfg["type"] not in _LOW and cfg["type"] not in _HIGH:
            raise ValueError("limit of type {!r}: LO, LOLO, HI or HIHI".format(cfg["type"]))
        self.metric = cfg["metric"]
        self.type = cfg["type"]
        self.setpoint = cfg["setpoint"]
        self.active = False
        self.held = 0
        self._told = False
        self._told_ms = None
        self._value = None
        self._deadband = cfg.get("deadband") or 0
        self._low = self.type in _LOW

    def feed(self, value, up_ms):
        """Take a plausible value in, None if there is none; tell whether an edge is to be told."""
        changed = False
        if value is not None:
            self._value = value
            if self._low:
                beyond = value <= self.setpoint + (self._deadband if self.active else 0)
            else:
                beyond = value >= self.setpoint - (self._deadband if self.active else 0)
            changed = beyond is not self.active
            self.active = beyond
        quiet = self._told_ms is not None and up_ms - self._told_ms < _QUIET_MS
        if quiet or self.active is self._told:
            self.held += changed
            return False
        self._told = self.active
        self._told_ms = up_ms
        return True

    def details(self, shown):
        """The details of an alarm_edge event; `shown` makes of a value what the metric shows."""
        return {
            "metric": self.metric,
            "type": self.type,
            "active": self.active,
            "value": shown(self._value),
            "setpoint": self.setpoint,
        }
