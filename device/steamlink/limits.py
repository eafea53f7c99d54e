"""Limits that the device itself watches, for the edge that may come while nobody listens."""

_LOW = ("LO", "LOLO")
_HIGH = ("HI", "HIHI")


class Limit:
    """One limit: active from `setpoint` on, normal again `deadband` back from it.

    Types are those of the processor's alarm definitions (ISA-18.2): LO, LOLO, HI, HIHI.
    """

    def __init__(self, cfg):
        if cfg["type"] not in _LOW and cfg["type"] not in _HIGH:
            raise ValueError("limit of type {!r}: LO, LOLO, HI or HIHI".format(cfg["type"]))
        self.metric = cfg["metric"]
        self.type = cfg["type"]
        self.setpoint = cfg["setpoint"]
        self.active = False
        self._deadband = cfg.get("deadband") or 0
        self._low = self.type in _LOW

    def feed(self, value):
        """Take a plausible value in; tell whether `active` changed."""
        if self._low:
            beyond = value <= self.setpoint + (self._deadband if self.active else 0)
        else:
            beyond = value >= self.setpoint - (self._deadband if self.active else 0)
        changed = beyond is not self.active
        self.active = beyond
        return changed

    def details(self, value):
        """The details of an alarm_edge event."""
        return {
            "metric": self.metric,
            "type": self.type,
            "active": self.active,
            "value": value,
            "setpoint": self.setpoint,
        }
