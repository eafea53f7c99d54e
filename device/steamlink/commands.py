"""Answers the commands that come from the broker; what they do is done through a port.

The port is whatever carries the device (app.py), duck-typed:
`config` (config.Config), `session.boot`, `link.conn`, `set_time(utc_ms) -> bool`, `identify() -> dict`,
`log_lines() -> list`, `replay(boot or None for this one, first, last) -> (count, missing)`,
and, called by `proceed()` only: `rebirth()`, `restart(reason)`, `start_update(args)`.
"""

from . import contract, orders
from .constant import const

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED = const(16)
_MOST_BYTES = const(8192)
_MOST_WAITING = const(4)
_MOST_REPLAYED = const(10000)
_MOST_ERROR = const(300)
_MOST_TRIP_MS = const(20000)
_GOOD_MS = const(1000)  # a clock this near is right
# No age is too great for it, and where our clock is wrong it is the cure: the time answers it.
_AGELESS = const("rebirth")
# What changes the device is not done when nobody can tell how old the order is.
_NEED_CLOCK = ("patch_config", "restart", "ota")
# Their answers are long and asking again does no harm: they are made anew, not remembered.
_ANSWERED_ANEW = ("get_config", "log")


class Commands:
    """Decodes, judges, remembers and acknowledges commands; none of them touches a burner.

    `clock` tells UTC (`true_ms() -> int or None`) and uptime, `counters` counts (`add(name)`).
    """

    def __init__(self, device: object, clock: object, counters: object) -> None:
        self._device = device
        self._clock = clock
        self._counters = counters
        self._answered = []
        self._waiting = []

    def answer(self, payload: bytes, retained: bool = False) -> bytes | None:
        """Carry out a command; the ack to publish, or None for what cannot be answered.

        Never raises. Publish the ack, then call `proceed()`. A repeated id gets its first
        answer again and is not carried out again (QoS 1 may deliver twice). A retained one is
        ignored: it would come back at each connection.
        """
        fault = "retained" if retained else "oversize" if len(payload) > _MOST_BYTES else ""
        try:
            command = None if fault else orders.decode_cmd(payload)
        except (ValueError, MemoryError):
            fault = "garbage"
        if fault:
            self._counters.add("commands_" + fault)
            return None
        for known, ack in self._answered:
            if known == command.id:
                self._counters.add("commands_repeated")
                return ack
        ack = self._acknowledge(command)
        if command.op not in _ANSWERED_ANEW:
            self._answered.append((command.id, ack))
            if len(self._answered) > _REMEMBERED:
                self._answered.pop(0)
        return ack

    def proceed(self) -> None:
        """Start what had to wait for the ack to be on its way (or given up).

        That is: birth, restart, update. May raise what the port raises.
        """
        while self._waiting:
            start, arguments = self._waiting.pop(0)
            start(*arguments)

    def _acknowledge(self, command: "orders.Command") -> bytes:
        try:
            # An answer to a birth of ours has its age in itself, and our clock may be wrong.
            answers_birth = command.op == "time" and "boot" in command.args
            if not answers_birth and command.op != _AGELESS:
                self._check_age(command)
            result = self._obey(command.op, command.args)
            ack = orders.encode_ack(id=command.id, ok=True, res=result)
        except Exception as fault:  # noqa: BLE001 - whatever it was, the sender is told
            words = str(fault)
            if not words or not isinstance(fault, ValueError):
                words = "{}: {}".format(type(fault).__name__, words)
            self._counters.add("commands_refused")
            return orders.encode_ack(id=command.id, ok=False, err=words[:_MOST_ERROR])
        self._counters.add("commands_done")
        return ack

    def _check_age(self, command: "orders.Command") -> None:
        utc_ms = self._clock.true_ms()
        if utc_ms is None:
            if command.op in _NEED_CLOCK:
                raise ValueError("no clock yet to tell whether this is expired: send time first")
        elif command.expires_ms < utc_ms:
            # The clock may be what is wrong: a birth is answered with the time.
            self._later(self._device.rebirth)
            late_s = -((command.expires_ms - utc_ms) // 1000)
            text = (
                "expired {} s ago by this device's clock, and it asks for the time: send it again"
            )
            raise ValueError(text.format(late_s))

    # One function, because a method for each op costs a microcontroller 1.5 KB.
    def _obey(self, op: str, args: "Mapping") -> "dict | None":  # noqa: C901, PLR0911
        device = self._device
        if op == "rebirth":
            return self._later(device.rebirth)
        if op == "time":
            return self._set_time(args)
        if op == "get_config":
            names = ("crc", "source", "trial", "faults")
            told = {name: getattr(device.config, name) for name in names}
            told["config"] = device.config.public()
            return told
        if op == "patch_config":
            return self._patch(args)
        if op == "restart":
            return self._later(device.restart, "command")
        if op == "identify":
            return device.identify()
        if op == "replay":
            return self._replay(args.get("boot"), args.get("from"), args.get("to"))
        if op == "log":
            return {"lines": list(device.log_lines())}
        if op == "ota":
            from . import ota  # loaded only when used

            ota.check(args, device.config.public()["ota"]["key"])
            if device.updating:  # both would go into the same slot
                raise ValueError("ota: an update is being fetched; wait until it is over")
            return self._later(device.start_update, args)
        raise ValueError("{}: unknown; known: {}".format(op[:40], ", ".join(contract.OPS)))

    def _set_time(self, args: "Mapping") -> dict:
        utc = args.get("utc")
        if not _are_ints(utc) or not 0 < utc < contract.MAX_UTC_MS:
            raise ValueError("time: utc is milliseconds since 1970")
        doubt_ms = self._since_answered(args) if "boot" in args else 0
        utc += doubt_ms
        known_ms = self._clock.true_ms()
        wrong = known_ms is None or abs(known_ms - utc) > doubt_ms + _GOOD_MS
        if wrong and not self._device.set_time(utc):
            raise ValueError("time: out of range, or the device has a better time")
        return {"utc": self._clock.true_ms()}

    def _since_answered(self, args: "Mapping") -> int:
        """How long ago our birth was answered with a time: half of its way there and back, in ms."""
        boot, conn, up_ms = args["boot"], args.get("conn"), args.get("up")
        device = self._device
        if boot != device.session.boot or conn != device.link.conn or not _are_ints(up_ms):
            raise ValueError("time: answers another connection")
        trip_ms = self._clock.up_ms() - up_ms
        if not 0 <= trip_ms <= _MOST_TRIP_MS:
            again = self._clock.true_ms() is None
            if again:
                self._later(device.rebirth)  # the next answer may be faster
            text = "time: {} ms on its way" + ("; asked again" if again else "")
            raise ValueError(text.format(trip_ms))
        return trip_ms // 2

    def _patch(self, changes: "Mapping") -> dict:
        """The arguments are the partial configuration itself; null removes a key."""
        if not changes:
            raise ValueError("patch_config: args is the part of the configuration to change")
        config = self._device.config
        self._later(self._device.restart, "config")
        try:
            config.patch(changes)
        except Exception:
            self._waiting.pop()
            raise
        return {"crc": config.crc, "trial_ms": config.TRIAL_MS}

    def _replay(self, boot: object, first: object, last: object) -> dict:
        known = _are_ints(first, last) and (boot is None or _are_ints(boot))
        if not known or first < 0 or not 0 <= last - first < _MOST_REPLAYED:
            raise ValueError("replay: from, to (and boot) are numbers, at most 10000 messages")
        count, missing = self._device.replay(boot, first, last)
        return {"count": count, "missing": missing}

    def _later(self, start: object, *arguments: object) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            raise ValueError("busy with the commands before this one; send it again")
        self._waiting.append((start, arguments))


def _are_ints(*values: object) -> bool:
    # A bool is an int in CPython but not in MicroPython.
    return all(isinstance(v, int) and v is not True and v is not False for v in values)
