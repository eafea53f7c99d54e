"""When each boot in the store started: anchors that are kept, estimates for boots without one."""

from . import contract, stamps
from .anchors import Anchors


class Times:
    """Dates the messages of `boot` and of the earlier ones in `logs`; anchors are kept in `path`.

    There are at most `most` anchors; a segment, which goes as a whole, must not hold more boots.
    """

    def __init__(self, path: str, boot: int, most: int, *logs) -> None:
        self.anchors = Anchors(path)
        self.waiting = False  # a message of this boot was put before its time was known
        self.used = False  # a message of this boot has got its time from its anchor
        self._boot = boot
        self._most = most
        self._logs = logs
        self._next_start = None  # (boot, offset) that the last estimate also gave
        self._stuck = False  # nothing can be estimated before something new is known

    def begin(self, boot: int) -> None:
        """Say which boot this is, where it was not known yet."""
        self._boot = boot

    def set(self, boot: int, offset_ms: int, ts: int, estimated: bool) -> None:
        """Take the anchor of a boot, unless it has one; this boot's may change until it is used."""
        saved = self.anchors.saved
        if boot == self._boot and not self.used:
            self.anchors.keep(lambda other: other != boot)
        if not self.anchors.put(boot, offset_ms, ts, estimated):
            return
        self._stuck = False
        self._next_start = None
        if boot == self._boot and not self.waiting:
            # Nothing in flash needs it, and every later message has its time.
            self.anchors.saved = saved
        else:
            self.save()

    def learn(self, payload: bytes) -> None:
        """Take the anchor of this boot from a message that has its time."""
        if self.anchors.get(self._boot) is None:
            start = stamps.start_utc_ms(payload)
            if start is not None:
                self.set(self._boot, start, stamps.clock_state(payload), False)

    def save(self) -> bool:
        """Keep the anchors that are needed; False if the flash refuses."""
        self.anchors.keep(self._needed)
        return self.anchors.save()

    def of(self, boot: int, early: bool) -> "tuple[int, int, bool] | None":
        """The anchor of a boot, estimated if need be; `early` for messages that run ahead.

        Those leave three quarters of the places, so that the oldest messages can always go on.
        """
        anchor = self.anchors.get(boot)
        if anchor is None and not self._stuck and boot != self._boot:
            if self.anchors.keep(self._needed) >= (self._most // 4 if early else self._most):
                return None
            from . import dating  # seldom needed: a boot that never had a clock

            found = dating.offset_of(boot, self._boot, self.anchors, self._logs, self._next_start)
            if found is None:
                self._stuck = True
                return None
            self._next_start = found[2]
            self.anchors.put(boot, found[0], contract.CLOCK_SET, found[1])
            anchor = self.anchors.get(boot)
        return anchor

    def _needed(self, boot: int) -> bool:
        return boot == self._boot or any(log.has_undated(boot) for log in self._logs)
