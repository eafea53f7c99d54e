"""When each boot in the store started: anchors that are kept, and estimates for boots without one."""

from . import dating
from .anchors import Anchors
from .frames import UNDATED


class Times:
    """Dates the messages of `boot` and of the earlier ones in `logs`; anchors are kept in `path`.

    There are at most `most` anchors; a segment, which goes as a whole, must not hold more boots.
    """

    def __init__(self, path: str, boot: int, most: int, *logs) -> None:
        self.anchors = Anchors(path)
        self.waiting = False  # a message of this boot was put before its time was known
        self._boot = boot
        self._most = most
        self._logs = logs
        self._next_start = None  # (boot, offset) that the last estimate also gave
        self._stuck = False  # nothing can be estimated before something new is known

    def set(self, boot: int, offset_ms: int, ts: int, estimated: bool) -> None:
        """Take the anchor of a boot, unless it has one."""
        saved = self.anchors.saved
        if not self.anchors.put(boot, offset_ms, ts, estimated):
            return
        self._stuck = False
        if boot == self._boot and not self.waiting:
            # Nothing in flash needs it, and every later message has its time.
            self.anchors.saved = saved
        else:
            self.save()

    def learn(self, payload: bytes) -> None:
        """Take the anchor of this boot from a message that has its time."""
        if self.anchors.get(self._boot) is None:
            start = dating.start_utc_ms(payload)
            if start is not None:
                self.set(self._boot, start, dating.clock_state(payload), False)

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
            found = self._estimated(boot)
            if found is None:
                self._stuck = True
                return None
            self.anchors.put(boot, found[0], 1, found[1])
            anchor = self.anchors.get(boot)
        return anchor

    def _needed(self, boot: int) -> bool:
        return boot == self._boot or any(log.has_undated(boot) for log in self._logs)

    def _estimated(self, boot: int) -> "tuple[int, bool] | None":
        """(offset, whether it is estimated) of an earlier boot, from the boots that follow it.

        Each boot ends right before the next one starts, back from the first whose start is known.
        """
        known = self._next_start
        offset_ms = known[1] if known is not None and known[0] == boot else None
        length = between = 0
        following = start = None
        for other, last_up, other_start in _boots(self._logs):
            if other == boot:
                if other_start is not None:
                    return other_start, False
                length = last_up + 1
            elif other > boot:
                following = other if following is None else following
                anchor = self.anchors.get(other)
                start = anchor[0] if anchor is not None else other_start
                if offset_ms is not None or start is not None:
                    break
                between += last_up + 1
        if offset_ms is None:
            anchor = self.anchors.get(self._boot)
            if start is None and anchor is not None:
                start = anchor[0]
            if start is None:
                return None
            offset_ms = dating.estimate(length - 1, start - between)
        self._next_start = None if following is None else (following, offset_ms + length)
        return offset_ms, True


def _boots(logs):
    """Yield (boot, last uptime, start in UTC ms or None) over the logs together, by boot."""
    runs = [_runs(log) for log in logs]
    heads = [_next(run) for run in runs]
    while True:
        waiting = [head[0] for head in heads if head is not None]
        if not waiting:
            return
        boot = min(waiting)
        last_up = 0
        start = None
        for index, head in enumerate(heads):
            if head is not None and head[0] == boot:
                last_up = max(last_up, head[1])
                start = head[2] if start is None else start
                heads[index] = _next(runs[index])
        yield boot, last_up, start


def _next(run):
    try:
        return next(run)
    except StopIteration:
        return None


def _runs(log):
    boot = start = last = None
    for frame in log.walk():
        if frame.boot != boot:
            if boot is not None:
                yield boot, dating.last_up_ms(last) or 0, start
            boot = frame.boot
            start = None
        last = frame.payload
        if start is None and not frame.kind & UNDATED:
            start = dating.start_utc_ms(last)
    if boot is not None:
        yield boot, dating.last_up_ms(last) or 0, start
