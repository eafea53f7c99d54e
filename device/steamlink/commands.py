"""Answers the commands that come from the broker; what they do is done through a port.

The port is whatever carries the device (app.py), duck-typed:
`config` (config.Config), `set_time(utc_ms) -> bool`, `identify() -> dict` (and blinks),
`log_lines() -> list`, `replay(boot or None for this one, first, last) -> (count, missing)`,
and, called by `proceed()` only: `rebirth()`, `restart(reason)`, `start_update(args)`.
"""

from . import codec, contract

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED = 16
_MOST_BYTES = 8192
_MOST_WAITING = 4
_MOST_REPLAYED = 10000
_MOST_ERROR = 300
# What changes the device is not done when nobody can tell how old the order is.
_NEED_CLOCK = ("patch_config", "restart", "ota")
# Their answers are long and asking again does no harm: they are made anew, not remembered.
_ANSWERED_ANEW = ("get_config", "log")


class Commands:
    """Decodes, judges, remembers and acknowledges commands; none of them touches a burner.

    `clock` tells UTC (`utc_ms() -> int or None`), `counters` counts (`add(name)`).
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
        try:
            command = self._decode(payload, retained)
        except (ValueError, MemoryError):
            self._counters.add("commands_garbage")
            return None
        if command is None:
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

    def _decode(self, payload: bytes, retained: bool) -> "codec.Command | None":
        if retained:
            self._counters.add("commands_retained")
            return None
        if len(payload) > _MOST_BYTES:
            self._counters.add("commands_oversize")
            return None
        return codec.decode_cmd(payload)

    def _acknowledge(self, command: "codec.Command") -> bytes:
        error = result = None
        try:
            self._check_age(command)
            result = self._obey(command)
            ack = codec.encode_ack(id=command.id, ok=True, res=result)
        except Exception as fault:  # noqa: BLE001 - whatever it was, the sender is told
            error = _words(fault)
        if error is None:
            self._counters.add("commands_done")
            return ack
        self._counters.add("commands_refused")
        return codec.encode_ack(id=command.id, ok=False, err=error[:_MOST_ERROR])

    def _check_age(self, command: "codec.Command") -> None:
        if command.op == "time":
            return
        utc_ms = self._clock.utc_ms()
        if utc_ms is None and command.op in _NEED_CLOCK:
            raise ValueError(
                "{}: no clock yet, so nobody can tell whether it has expired: "
                "send `time` first".format(command.op)
            )
        if utc_ms is not None and command.expires_ms < utc_ms:
            raise ValueError("expired")

    def _obey(self, command: "codec.Command") -> "dict | None":
        op = command.op
        if op not in contract.OPS:
            raise ValueError("{}: unknown; known: {}".format(op[:40], ", ".join(contract.OPS)))
        return getattr(self, "_" + op)(command.args)

    def _rebirth(self, args: "Mapping") -> None:  # noqa: ARG002 - one signature for all
        self._later(self._device.rebirth)

    def _time(self, args: "Mapping") -> dict:
        utc = args.get("utc")
        if not _is_int(utc) or not 0 < utc < contract.MAX_UTC_MS:
            raise ValueError("time: utc is milliseconds since 1970")
        if not self._device.set_time(utc):
            raise ValueError(
                "time: {} is before this firmware was made or after 2100; "
                "or the device has a better time".format(utc)
            )
        return {"utc": self._clock.utc_ms()}

    def _get_config(self, args: "Mapping") -> dict:  # noqa: ARG002
        config = self._device.config
        return {
            "config": config.public(),
            "crc": config.crc,
            "source": config.source,
            "trial": config.trial,
            "faults": config.faults,
        }

    def _patch_config(self, args: "Mapping") -> dict:
        """`args` is the partial configuration itself; null removes a key."""
        if not args:
            raise ValueError("patch_config: args is the part of the configuration to change")
        self._check_room()
        config = self._device.config
        config.patch(args)
        self._later(self._device.restart, "config")
        return {"crc": config.crc, "trial_ms": config.TRIAL_MS}

    def _restart(self, args: "Mapping") -> None:  # noqa: ARG002
        self._later(self._device.restart, "command")

    def _identify(self, args: "Mapping") -> dict:  # noqa: ARG002
        return self._device.identify()

    def _replay(self, args: "Mapping") -> dict:
        boot, first, last = args.get("boot"), args.get("from"), args.get("to")
        if not _is_int(first) or not _is_int(last) or not (boot is None or _is_int(boot)):
            raise ValueError("replay: from and to are numbers of messages, boot theirs")
        if first < 0 or not 0 <= last - first < _MOST_REPLAYED:
            raise ValueError("replay: 1 to {} messages, from before to".format(_MOST_REPLAYED))
        count, missing = self._device.replay(boot, first, last)
        return {"count": count, "missing": missing}

    def _log(self, args: "Mapping") -> dict:  # noqa: ARG002
        return {"lines": list(self._device.log_lines())}

    def _ota(self, args: "Mapping") -> None:
        from . import ota  # loaded only when used

        ota.check(args, self._device.config.public().get("ota", {}).get("key", ""))
        self._later(self._device.start_update, args)

    def _check_room(self) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            raise ValueError("busy with the commands before this one; send it again")

    def _later(self, start: object, *arguments: object) -> None:
        self._check_room()
        self._waiting.append((start, arguments))


def _words(fault: Exception) -> str:
    text = str(fault)
    if isinstance(fault, ValueError) and text:
        return text
    return "{}: {}".format(type(fault).__name__, text)


def _is_int(value: object) -> bool:
    # A bool is an int in CPython but not in MicroPython.
    return isinstance(value, int) and value is not True and value is not False
