"""Everything that waits for its PUBACK: a ring in RAM while online, segments in flash otherwise.

A message leaves with its acknowledgement only. While the link is up nothing is written to flash
but events; the rest is written when the link has been away for `spill_ms`, when the ring fills,
and before it is as old as `commit_ms`: a sudden end loses at most that much.
"""

from . import stamps
from .constant import const
from .frames import MOST_PAYLOAD, Entry
from .losses import Losses
from .origins import Origins
from .ring import Ring
from .segments import SegmentLog
from .times import Times

_EVENT_SEGMENT = const(4096)
_EVENT_RESERVE = const(4)  # less than data leaves: data never pushes events out
_RETRY_MS = const(10000)
_TICK_MS = const(1000)
_MOST_GIVEN_UP = const(32)  # at once: each is read from flash


class Outbox:
    """The messages of one device in `folder`/data and `folder`/events; `up_ms()` is the uptime.

    `open` before anything else. No fault of the flash is raised: while it refuses, the ring is
    all there is, and the oldest goes when it is full. Whatever is lost is counted in `drops`; a
    file that nobody could look through counts as one message.
    """

    def __init__(  # noqa: PLR0913 - the bounds of a store
        self,
        folder: str,
        *,
        boot: int,
        limit_bytes: int,
        up_ms,
        ring_bytes: int = 16384,
        event_bytes: int = 65536,
        commit_ms: int = 60000,
        commit_bytes: int = 4096,
        spill_ms: int = 30000,
        flash_free=None,
    ) -> None:
        self.boot = boot
        self._losses = Losses()
        self._up_ms = up_ms
        self._commit_ms = commit_ms
        self._commit_bytes = commit_bytes
        self._spill_ms = spill_ms
        self._ring = Ring(ring_bytes)
        segment_bytes = _segment_bytes(limit_bytes)
        self._data = SegmentLog(
            folder + "/data",
            limit_bytes=limit_bytes,
            on_lost=self._losses.add,
            segment_bytes=segment_bytes,
            flash_free=flash_free,
        )
        self._events = SegmentLog(
            folder + "/events",
            limit_bytes=event_bytes,
            on_lost=self._losses.add,
            segment_bytes=_EVENT_SEGMENT,
            free_blocks_needed=_EVENT_RESERVE,
            flash_free=flash_free,
            make_room=self._data.drop_oldest,
        )
        self._times = Times(folder + "/anchors", boot, self._events, self._data)
        self._origins = Origins(folder)
        self._connected = False
        self._away_since = 0
        self._committed_at = 0

    def open(self) -> None:
        """Read anchors and segments; what is there is backlog."""
        self._times.anchors.load()
        self._events.open()
        self._data.open()
        self._away_since = self._committed_at = self._up_ms()

    def highest_boot(self) -> int:
        """The highest boot that left anything here, 0 if none did; after `open`."""
        return max(
            self._data.highest_boot(),
            self._events.highest_boot(),
            self._times.anchors.highest_boot(),
            self._origins.highest_boot(),
        )

    def begin(self, boot: int) -> None:
        """Say which boot this is, where it was not known yet; after `open`, before any `put`."""
        self.boot = boot
        self._times.begin(boot)

    def named(self, site: str, device: str) -> None:
        """Say under which name this boot's messages are made, "" for none yet; once, after `open`."""
        if site and device:
            lowest = self.oldest()
            self._origins.begin(self.boot, [site, device], lowest[0] if lowest else self.boot)

    # -- in

    def put(self, kind: str, seq: int, payload: bytes, dated: bool, live: bool) -> None:
        """Take a "data" or "event" message of this boot; an event is in flash on return.

        `dated` False says that its `t` is 0 and comes later; `live` that it may go out at once.
        """
        if len(payload) > MOST_PAYLOAD:
            self._losses.add(self.boot, seq, seq, 1)
            return
        now = self._up_ms()
        entry = Entry(kind, self.boot, seq, payload, live)
        entry.dated = dated
        if dated:
            self._times.learn(payload)
        elif not self._date_entry(entry):
            self._times.waiting = True
        # Its age is that of its oldest row, so that rows are kept by `commit_ms`.
        up = stamps.up_ms(payload)
        entry.at = now if up is None else min(now, up)
        try:
            if kind == "event" and now >= self._events.retry_at:
                self._write(self._events, [entry], now)
            if entry.position is not None and not live:
                return
            self._make_room(entry, now)
        except MemoryError:
            if entry.position is None:
                raise
            self._events.give_back(entry.position, 0)  # flash has it: it is backlog
            return
        self._keep_rules(now)

    def lose(self, seq: int) -> None:
        """A message of this boot could not be made or put: it is lost, unless the ring has it."""
        if not any(entry.seq == seq and entry.boot == self.boot for entry in self._ring.entries):
            self._losses.add(self.boot, seq, seq, 1)

    def _make_room(self, entry: Entry, now: int) -> None:
        ring = self._ring
        while not ring.has_room(len(entry.payload)):
            victim = ring.victim(entry.kind)
            if victim is None:
                break
            # Nothing goes that flash would take, nor while flash would take much of the other kind.
            other = "data" if victim.kind == "event" else "event"
            if now >= self._log_of(victim.kind).retry_at:
                self._spill(victim.kind, now)
            elif now >= self._log_of(other).retry_at and ring.crowded(other):
                self._spill(other, now)
            elif ring.remove(victim):
                self._release(victim)
        ring.add(entry)

    def _release(self, entry: Entry) -> None:
        """An entry leaves RAM without an acknowledgement."""
        if entry.position is None or not self._events.give_back(entry.position, entry.tries):
            self._losses.add(entry.boot, entry.seq, entry.seq, 1)

    # -- when to write

    def connected(self, now: bool) -> None:
        """The link came up or went away; what was live and is not sent becomes backlog."""
        if now == self._connected:
            return
        self._connected = now
        if not now:
            self._away_since = self._up_ms()
            for entry in list(self._ring.entries):
                if not entry.flying:
                    self._to_backlog(entry)

    def tick(self) -> None:
        """Keep the rules of age and absence; call it each second."""
        self._keep_rules(self._up_ms())

    def flush(self) -> bool:
        """Write all to flash, for a planned restart; False if the flash refuses."""
        now = self._up_ms()
        done = self._spill("event", now)
        return self._spill("data", now) and done

    def _keep_rules(self, now: int) -> None:
        ring = self._ring
        if now >= self._events.retry_at and ring.waiting("event"):
            self._spill("event", now)
        data = ring.waiting("data")
        if not data or now < self._data.retry_at:
            return
        oldest = min([entry.at for entry in data])
        due = ring.filled() or now - oldest >= self._commit_ms - _TICK_MS
        if not due and not self._connected and now - self._away_since >= self._spill_ms:
            due = (
                now - self._committed_at >= self._commit_ms - _TICK_MS
                or self._committed_at <= self._away_since + self._spill_ms
                or sum([len(entry.payload) for entry in data]) >= self._commit_bytes
            )
        if due:
            self._spill("data", now)

    def _spill(self, kind: str, now: int) -> bool:
        """Write what of a kind is only in RAM; False if flash refuses.

        What is under way stays with its sender, the rest of what flash has leaves RAM.
        """
        ring = self._ring
        for entry in [entry for entry in ring.entries if entry.position is not None]:
            if ring.remove(entry) and not entry.flying:
                self._to_backlog(entry)
        waiting = ring.waiting(kind)
        for entry in waiting:
            self._date_entry(entry)
        log = self._log_of(kind)
        done = self._write(log, waiting, now)
        for entry in waiting:
            if entry.position is not None and ring.remove(entry) and not entry.flying:
                log.give_back(entry.position, entry.tries)
        if log is self._data:
            self._committed_at = now
        return done

    def _write(self, log: SegmentLog, entries, now: int) -> bool:
        """Write entries; False if the flash took not all."""
        if not entries:
            return True
        done = log.write(entries)
        for entry in entries[:done]:
            if entry.flying or entry.tries or (entry.live and entry.kind == "event"):
                log.hold(entry)
        log.retry_at = 0 if done == len(entries) else now + _RETRY_MS
        return done == len(entries)

    # -- out

    def next_live(self) -> "Entry | None":
        """The oldest live entry that is not under way and has its time; it is under way now."""
        return self._next_of_ring(True)

    def next_backlog(self) -> "Entry | None":
        """The oldest entry that is not live, events first; None if none is there or none datable."""
        for _ in range(_MOST_GIVEN_UP):
            entry = self._next_of_backlog()
            if entry is None or not self._origins.is_given_up(entry.boot):
                return entry
            self.disown(entry)
        return None

    def _next_of_backlog(self) -> "Entry | None":
        for log in (self._events, self._data):
            entry = self._next_of(log)
            if entry is not None:
                return entry
        return self._next_of_ring(False)

    def _next_of_ring(self, live: bool) -> "Entry | None":
        for entry in self._ring.entries:
            if entry.live == live and not entry.flying and self._date_entry(entry):
                entry.flying = True
                return entry
        return None

    def _next_of(self, log: SegmentLog) -> "Entry | None":
        while True:
            entry = log.peek()
            if entry is None:
                return None
            if not entry.dated:
                try:
                    # Events run ahead of data, so they leave places for anchors to the older data.
                    anchor = self._times.of(entry.boot, entry.kind == "event")
                    if anchor is None or not self._kept():
                        return None
                    self._date(entry, anchor)
                except MemoryError:
                    log.short_of_memory()
                    return None
            log.take()
            if entry.dated:
                entry.flying = True
                return entry
            log.acknowledge(entry.position)
            self._losses.add(entry.boot, entry.seq, entry.seq, 1)

    def acknowledge(self, entry: Entry) -> None:
        """The PUBACK of an entry came: it is done."""
        if not entry.flying:
            return
        entry.flying = False
        self._ring.remove(entry)
        if entry.position is not None:
            self._log_of(entry.kind).acknowledge(entry.position)

    def origin(self, entry: Entry) -> "tuple[str, str] | None":
        """The (site, device) that an entry was made under; None where it is that of now."""
        return self._origins.of(entry.boot)

    def disown(self, entry: Entry) -> None:
        """The broker takes no message of the name an entry was made under: all of them are lost."""
        self._origins.give_up(entry.boot)
        self.acknowledge(entry)
        self._losses.add(entry.boot, entry.seq, entry.seq, 1)

    def give_back(self, entries) -> None:
        """The connection ended before the PUBACK: they are backlog, and go out again."""
        for entry in entries:
            if entry.flying:
                entry.flying = False
                self._to_backlog(entry)

    def _to_backlog(self, entry: Entry) -> None:
        entry.live = False
        if entry.position is None:
            return  # it stays in the ring
        self._ring.remove(entry)
        if not self._log_of(entry.kind).give_back(entry.position, entry.tries):
            # Its segment was dropped while it was under way; RAM still has it.
            entry.position = None
            entry.at = self._up_ms()
            self._make_room(entry, entry.at)

    def _log_of(self, kind: str) -> SegmentLog:
        return self._events if kind == "event" else self._data

    # -- times

    def set_anchor(self, boot: int, offset_ms: int, estimated: bool = False, ts: int = 1) -> None:
        """Say that utc = up + `offset_ms` in a boot; what has dated a message counts for ever.

        `ts` is the clock state that its messages then tell.
        """
        self._times.set(boot, offset_ms, ts, estimated)

    def _date_entry(self, entry: Entry) -> bool:
        """Give an entry of this boot its time if it is known; False if it has to wait."""
        if entry.dated:
            return True
        anchor = self._times.anchors.get(entry.boot)
        # In flash it is undated: no other bytes may go out than those it will get after a restart.
        if anchor is None or (entry.stored and not self._kept()):
            return False
        try:
            return self._date(entry, anchor)
        except MemoryError:
            self._times.anchors.saved = False  # it may come to flash without its time
            return False

    def _kept(self) -> bool:
        """Whether all anchors are in flash."""
        anchors = self._times.anchors
        now = self._up_ms()
        if not anchors.saved and now >= anchors.retry_at and not self._times.save():
            anchors.retry_at = now + _RETRY_MS
        return anchors.saved

    def _date(self, entry: Entry, anchor) -> bool:
        from . import dating  # only what was made before the clock was known needs it

        try:
            entry.payload = dating.date(entry.kind, entry.payload, *anchor)
        except ValueError:
            return False
        if entry.boot == self.boot:
            self._times.used = True
        entry.dated = True
        return True

    # -- what is there

    @property
    def backlog(self) -> int:
        """Messages that are neither live nor acknowledged."""
        count = self._data.unacknowledged + self._events.unacknowledged
        for entry in self._ring.entries:
            if entry.position is None:
                count += 0 if entry.live else 1
            elif entry.live:
                count -= 1
        return count

    def room(self) -> int:
        """How many bytes of flash it may yet take, up to its limits."""
        return max(0, self._data.room()) + max(0, self._events.room())

    @property
    def faults(self) -> int:
        """How often the flash refused to read or write."""
        return self._data.faults + self._events.faults

    @property
    def corrupt(self) -> int:
        """How many damaged places were set aside in segments."""
        return self._data.corrupt + self._events.corrupt

    @property
    def drops(self) -> int:
        """How many messages were lost."""
        return self._losses.count

    def oldest(self) -> "tuple[int, int] | None":
        """The lowest (boot, seq) that is not acknowledged, wherever it is."""
        found = [(entry.boot, entry.seq) for entry in self._ring.entries[:1]]
        for log in (self._events, self._data):
            lowest = log.oldest()
            if lowest is not None:
                found.append(lowest)
        return min(found) if found else None

    def take_losses(self) -> "list[tuple[int, int, int, int]]":
        """What was lost and may be told now: (boot, first seq, last seq, count).

        While flash refuses, a message that tells of a loss costs another one: losses are joined
        until the link is there, and until the last message that told of some is sent.
        """
        refused = self._events.retry_at or self._data.retry_at
        if not refused or (self._connected and not self._ring.waiting("event")):
            return self._losses.take()
        return []

    def give_back_losses(self, losses: "list[tuple[int, int, int, int]]") -> None:
        """Some that were taken could not be told."""
        self._losses.give_back(losses)


def _segment_bytes(limit_bytes: int) -> int:
    """16 KiB; a large log has larger segments, so that the list of them stays short."""
    return max(4096, min(16384, limit_bytes // 8), limit_bytes // 512)
