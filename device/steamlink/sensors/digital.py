"""A contact: flame, level switch, trip; debounced, and checked for the sense of its wiring."""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, sleep_ms

KIND = "digital"
BUS = "pin"
# inverted: 0 at the pin means 1; open_reads: what the pin reads with the wire cut (1 with a
# pull-up); fail_safe: what a cut wire must say (1 for a low water switch, 0 for a flame), or
# null if that does not matter; debounce_ms: how long the pin must agree with itself.
DEFAULTS = {
    "decimals": 0,
    "low": 0,
    "high": 1,
    "inverted": False,
    "open_reads": 1,
    "fail_safe": None,
    "debounce_ms": 40,
    "timeout_ms": 200,
}

_LOOKS = const(4)


class Driver(Sensor):
    """One contact, as 0 or 1."""

    def __init__(self, bus, cfg):
        super().__init__(bus, cfg)
        cut = 1 - cfg["open_reads"] if cfg["inverted"] else cfg["open_reads"]
        if cfg["fail_safe"] is not None and cut != cfg["fail_safe"]:
            # A contact that closes when something is wrong says nothing once its wire is cut.
            raise ValueError(
                "fail_safe {}: with the wire cut this input says {}; use the contact that opens "
                "on danger and set inverted and open_reads to match".format(cfg["fail_safe"], cut)
            )
        if not isinstance(cfg["debounce_ms"], int) or cfg["debounce_ms"] < 0:
            raise ValueError("debounce_ms: a whole number from 0")
        cfg["lead_ms"] = cfg["lead_ms"] or cfg["debounce_ms"] + _LOOKS
        self._seen = None
        self._steady = True

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
        """Put 0 or 1; while the contact bounces, its last value as LAST_USABLE."""
        name = self.cfg["metric"]
        if self._seen is None:
            out.put(name, None, contract.WAITING_FOR_INITIAL_DATA)
            return
        value = 1 - self._seen if self.cfg["inverted"] else self._seen
        out.put(name, value, contract.GOOD if self._steady else contract.LAST_USABLE)
