"""A contact: flame, level switch, trip; debounced, and checked for the sense of its wiring."""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError, sleep_ms

KIND = "digital"
BUS = "pin"
# inverted: 0 at the pin means 1; open_reads: what the pin reads with the wire cut, which the pull
# of its bus says unless that is outside the board; fail_safe: what a cut wire must say (1 for a low
# water switch, 0 for a flame), or null if that does not matter; debounce_ms: how long the pin must
# agree with itself; persist_ms: how long it may disagree before that is a fault.
DEFAULTS = {
    "decimals": 0,
    "low": 0,
    "high": 1,
    "inverted": False,
    "open_reads": None,
    "fail_safe": None,
    "debounce_ms": 40,
    "persist_ms": 4000,
    "timeout_ms": 200,
}

_LOOKS = const(4)


class Driver(Sensor):
    """One contact, as 0 or 1."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        from ._making import check_contact

        check_contact(cfg)
        cfg["lead_ms"] = max(cfg["lead_ms"], cfg["debounce_ms"] + _LOOKS)
        self._seen = None
        self._steady = True
        self._bouncing_since = None

    async def begin(self):
        """Look at the pin several times over debounce_ms; what it agrees on is its value."""
        first = self.bus.value()
        self._steady = True
        if self.cfg["debounce_ms"]:
            for _ in range(_LOOKS):
                await sleep_ms(max(self.cfg["debounce_ms"] // _LOOKS, 1))
                if self.bus.value() != first:
                    self._steady = False
                    return
        self._seen = first

    async def read(self, out):
        """Put 0 or 1; while the contact bounces, its last value as LAST_USABLE.

        One that bounces for persist_ms says what its cut wire must say, as UNCERTAIN, for limits to
        see it: a float at its mark, or a loose wire.
        """
        name = self.cfg["metric"]
        if self._steady:
            self._bouncing_since = None
        elif self._bouncing_since is None:
            self._bouncing_since = out.up_ms
        elif out.up_ms - self._bouncing_since >= self.cfg["persist_ms"]:
            if self.cfg["fail_safe"] is None:
                raise SensorError(contract.SENSOR_FAILURE, "the contact bounces without end")
            out.put(name, self.cfg["fail_safe"], contract.UNCERTAIN)
            return
        if self._seen is None:
            out.put(name, None, contract.WAITING_FOR_INITIAL_DATA)
            return
        value = 1 - self._seen if self.cfg["inverted"] else self._seen
        out.put(name, value, contract.GOOD if self._steady else contract.LAST_USABLE)
