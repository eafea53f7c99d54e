"""How long each boot in the store lasted, and when it started."""

from . import dating
from .segments import UNDATED


def boots(*logs):
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
    for kind, other, payload in log.walk():
        if other != boot:
            if boot is not None:
                yield boot, dating.last_up_ms(last) or 0, start
            boot = other
            start = None
        last = payload
        if start is None and not kind & UNDATED:
            up = dating.up_ms(payload)
            utc = dating.utc_ms(payload)
            start = utc - up if up is not None and utc else None
    if boot is not None:
        yield boot, dating.last_up_ms(last) or 0, start
