"""When a boot started that never knew the time: from the boots that follow it in the store."""

from . import dating


def offset(boot: int, current: int, anchors, logs, known):
    """(offset_ms, estimated, next) of an earlier boot, or None if nothing later has a time.

    Each boot ends right before the next one starts, back from the first whose start is known.
    `next` is (boot, offset_ms) of the one after it: `known` when that one is asked for, so that a
    long chain is walked once.
    """
    offset_ms = known[1] if known is not None and known[0] == boot else None
    length = between = 0
    following = start = None
    for other, last_up, other_start in _boots(logs):
        if other == boot:
            if other_start is not None:
                return other_start, False, None
            length = last_up + 1
        elif other > boot:
            following = other if following is None else following
            anchor = anchors.get(other)
            start = anchor[0] if anchor is not None else other_start
            if offset_ms is not None or start is not None:
                break
            between += last_up + 1
    if offset_ms is None:
        anchor = anchors.get(current)
        if start is None and anchor is not None:
            start = anchor[0]
        if start is None:
            return None
        offset_ms = dating.estimate(length - 1, start - between)
    return offset_ms, True, None if following is None else (following, offset_ms + length)


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
    for entry in log.walk():
        if entry.boot != boot:
            if boot is not None:
                yield boot, dating.last_up_ms(last) or 0, start
            boot = entry.boot
            start = None
        last = entry.payload
        if start is None and entry.dated:
            start = dating.start_utc_ms(last)
    if boot is not None:
        yield boot, dating.last_up_ms(last) or 0, start
