"""The time of messages that were made before the clock was known; times in int ms.

Such a message carries `"t":0`. Its time comes later from an anchor: utc = up + offset. The bytes
are cut and joined as messages.py made them, so the same arguments give the same bytes for ever.
"""

from . import contract
from .constant import const
from .stamps import start_utc_ms, up_ms, utc_ms

_UTC = const(b',"t":')
_CLOCK = const(b',"ts":')
_ROWS = const(b',"r":')
_QUALITY = const(b',"q":')
_NULL = const(0x6E)  # its n
_UNCERTAIN = str(contract.UNCERTAIN).encode()


def last_up_ms(payload: bytes) -> "int | None":
    """The uptime at the last row of a data message, or at an event."""
    up = up_ms(payload)
    start = payload.find(_ROWS)
    if up is None or start < 0:
        return up
    # Names and quality hold no bracket, so the last one opens the last row.
    last = payload.rfind(b"[") + 1
    return up + int(payload[last : payload.find(b",", last)])


def estimate(last_up: int, next_start_utc_ms: int) -> int:
    """The offset of a boot that never knew the time: it ended 1 ms before the next one began."""
    return next_start_utc_ms - 1 - last_up


def offset_of(boot: int, current: int, anchors, logs, known):
    """(offset_ms, estimated, next) of an earlier boot, or None if nothing later has a time.

    Each boot ends right before the next one starts, back from the first whose start is known.
    `next` is (boot, offset_ms) of the one after it: `known` when that one is asked for, so that a
    long chain is walked once.
    """
    offset_ms = known[1] if known is not None and known[0] == boot else None
    length = between = 0
    following = start = None
    for other, last_up, other_start in _boots(logs, boot):
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
        offset_ms = estimate(length - 1, start - between)
    return offset_ms, True, None if following is None else (following, offset_ms + length)


def date(kind: str, payload: bytes, offset_ms: int, ts: int, estimated: bool) -> bytearray:
    """The message with t = up + offset and clock state `ts`; `kind` is "data" or "event".

    An estimated time makes every good reading uncertain (OPC 10000-8 A.4.3.3). ValueError for a
    message that messages.py did not make undated, or whose time or length leaves the contract.
    """
    up = up_ms(payload)
    if up is None or utc_ms(payload) != 0:
        raise ValueError("message does not wait for its time: no up, or t is not 0")
    utc = up + offset_ms
    if not 0 < utc < contract.MAX_UTC_MS:
        raise ValueError("{} is no UTC time in milliseconds".format(utc))
    at = payload.find(_UTC) + len(_UTC)
    head = payload[:at] + str(utc).encode()
    at += 1  # behind the 0
    end = len(payload)
    if kind == "data":
        if not payload.startswith(_CLOCK, at):
            raise ValueError("data message has no ts after its t")
        at += len(_CLOCK) + 1
        head += _CLOCK + str(ts).encode()
        if estimated:
            end = payload.rfind(b"]") + 1
    return _joined(head, payload, at, end)


def _joined(head: bytes, payload: bytes, at: int, end: int) -> bytearray:
    """`head`, the payload from `at` to `end`, and what makes its readings uncertain if more follows.

    The pieces are made twice, for the length and then in their place: a board that is short of
    memory has none for all of them beside the whole.
    """
    size = len(head) + end - at
    total = size + sum(len(piece) for piece in _uncertain(payload, end))
    if total > contract.MAX_PAYLOAD_BYTES:
        raise ValueError("{} bytes once dated; a message holds fewer".format(total))
    dated = bytearray(total)
    dated[: len(head)] = head
    dated[len(head) : size] = memoryview(payload)[at:end]
    for piece in _uncertain(payload, end):
        dated[size : size + len(piece)] = piece
        size += len(piece)
    return dated


def _uncertain(payload: bytes, end: int):
    """Yield what follows the rows, which stop at `end`: the code of each reading that is not good.

    What tells no other code is uncertain. Nothing where the payload stops there too.
    """
    if end == len(payload):
        return
    before = _QUALITY + b"{"
    row = 0
    at = payload.find(b"[", payload.find(_ROWS) + len(_ROWS) + 1)
    while at >= 0:
        close = payload.find(b"]", at)
        column = 0
        at = payload.find(b",", at, close)
        while at >= 0:
            mark = '"{},{}":'.format(row, column).encode()
            code = _code(payload, mark, at + 1, end)
            if code:
                yield before + mark + code
                before = b","
            column += 1
            at = payload.find(b",", at + 1, close)
        row += 1
        at = payload.find(b"[", close, end)
    yield b"}}" if before == b"," else b"}"


def _code(payload: bytes, mark: bytes, at: int, end: int) -> bytes:
    """The code of the value that begins at `at`, as told behind `end`, else uncertain; b"" for null."""
    told = payload.find(mark, end)
    if told < 0:
        return b"" if payload[at] == _NULL else _UNCERTAIN
    told += len(mark)
    stop = payload.find(b",", told)
    return payload[told : stop if stop >= 0 else payload.find(b"}", told)]


def _boots(logs, lowest: int):
    """Yield (boot, last uptime, start in UTC ms or None) over the logs together, by boot."""
    runs = [_runs(log, lowest) for log in logs]
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


def _runs(log, lowest: int):
    """The same of one log, from the boot `lowest` on; only frames at which a boot begins or ends are read."""
    boot = start = before = last = None
    for segment in list(log.segments):
        for other, dated, end in _ends(log, segment, lowest):
            if other != boot:
                if boot is not None:
                    yield boot, _last_up(log, last, before), start
                boot = other
                start = last = None
            if start is None and dated is not None:
                entry = _read(log, (segment.number, dated))
                start = start_utc_ms(entry.payload) if entry else None
            before, last = last, (segment.number, end)
    if boot is not None:
        yield boot, _last_up(log, last, before), start


def _ends(log, segment, lowest: int):
    """[boot, offset of its first dated frame or None, offset of its last] by boot in a segment."""
    if segment.high is None or segment.high[0] < lowest:
        return []
    if segment.low[0] == segment.high[0] and segment.dated != segment.undated:
        return [[segment.low[0], 0 if segment.dated else None, segment.last]]
    found = []
    try:
        for offset, identity, dated in log.files.identities(segment):
            if identity[0] < lowest:
                continue
            if not found or found[-1][0] != identity[0]:
                found.append([identity[0], None, 0])
            found[-1][2] = offset
            if dated and found[-1][1] is None:
                found[-1][1] = offset
    except OSError:
        log.faults += 1
    return found


def _last_up(log, last, before) -> int:
    """The uptime at the frame at `last`, or at `before`, the one in an earlier segment."""
    entry = _read(log, last) or (_read(log, before) if before else None)
    return (last_up_ms(entry.payload) if entry else None) or 0


def _read(log, position):
    try:
        return log.files.read(position)
    except OSError:
        log.faults += 1
        return None
