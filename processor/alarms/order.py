"""The order of one device's messages: (boot, seq), gaps, duplicates, losses."""

from array import array
from collections.abc import Callable
from enum import Enum

from bridge.messages import Data, Event
from processor.alarms.late import Memory

HOLD_US = 2_000_000
MAX_HELD = 1_024
MAX_GAPS = 32
MAX_BOOTS = 3
WINDOW = 4_096
_MASK = WINDOW - 1


class Place(Enum):
    """Where a message stands in its device's order."""

    FRONT = "the next one"
    AHEAD = "beyond missing ones"
    LATE = "below the newest"
    DUPLICATE = "taken before"


FRONT = Place.FRONT
"""The common case by a plain name: looking up an enum's member costs as much as judging a column."""


class Note(Enum):
    """What is known of an identity: nothing, the same content, or another content."""

    NEW = "new"
    SAME = "same"
    REUSED = "reused"


_NEW = Note.NEW


class Seen:
    """The crc32 of the messages of one boot, within 4,096 below the newest seq.

    Those further below, the backlog of an outage, have a second window of the same size
    that follows them. What has left both is taken for new: it is then judged once more
    as late, and the journal leaves out the transitions it already has.
    """

    __slots__ = ("_below", "_crcs", "_newest")

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._crcs = array("I", bytes(4 * WINDOW))
        self._below: Seen | None = None

    def note(self, seq: int, crc: int) -> Note:
        """Remember a message and say whether it was there before."""
        crcs = self._crcs
        if seq == self._newest + 1:
            self._newest = seq
            crcs[seq & _MASK] = crc or 1
            return _NEW
        if seq > self._newest:
            self._advance(seq)
        elif seq <= self._newest - WINDOW:
            return self._note_below(seq, crc)
        slot = seq & _MASK
        before = crcs[slot]
        crcs[slot] = crc = crc or 1
        if before == 0:
            return Note.NEW
        return Note.SAME if before == crc else Note.REUSED

    def _advance(self, seq: int) -> None:
        if seq - self._newest >= WINDOW:
            self._crcs = array("I", bytes(4 * WINDOW))
        else:
            for skipped in range(self._newest + 1, seq + 1):
                self._crcs[skipped & _MASK] = 0
        self._newest = seq

    def _note_below(self, seq: int, crc: int) -> Note:
        below = self._below
        if below is None or seq <= below._newest - WINDOW:  # noqa: SLF001
            self._below = below = Seen(seq - 1)
        return below.note(seq, crc)


class Held:
    """A message that waits for those before it; `taken_us` is since when."""

    __slots__ = ("hist", "message", "number", "seq", "taken_us")

    def __init__(
        self, *, seq: int, message: Data | Event, hist: bool, number: int, taken_us: int
    ) -> None:
        self.seq = seq
        self.message = message
        self.hist = hist
        self.number = number
        self.taken_us = taken_us


class Gap:
    """Missing messages of one boot, `first` to `last` (None: up to the boot's end)."""

    __slots__ = ("boot", "first", "held", "last", "memory")

    def __init__(self, boot: int, first: int, last: int | None, memory: Memory) -> None:
        self.boot = boot
        self.first = first
        self.last = last
        self.memory = memory
        self.held: dict[int, Held] = {}

    @property
    def filled(self) -> bool:
        """Whether nothing is missing any more."""
        return self.last is not None and self.first > self.last

    def covers(self, boot: int, seq: int) -> bool:
        """Tell whether a message is one of the missing."""
        return boot == self.boot and seq >= self.first and (self.last is None or seq <= self.last)


class DeviceOrder:
    """The order of one device's data, hist and event messages.

    A message beyond missing ones waits for them at most 2 s (and at most 1,024 wait).
    `remember` gives the memory that a new gap keeps. Gaps: the newest 32 are known by
    themselves; late messages that fall into none are judged from an unknown beginning.
    """

    def __init__(self, remember: Callable[[], Memory]) -> None:
        self._remember = remember
        self.boot = -1
        self.next = 0
        self.reused = False
        self.lost = 0
        self.held: dict[int, Held] = {}
        self.gaps: list[Gap] = []
        self.past = Memory(unknown=True)
        self.restored: set[tuple[int, int]] = set()
        self._past_at = (-1, -1)
        self._floor = (-1, 0)
        self._oldest = (-1, 0)
        self._seen: dict[int, Seen] = {}
        self._current = Seen(-1)

    def start(self, boot: int, seq: int) -> None:
        """Begin to follow a device at this message."""
        self.boot, self.next = boot, seq
        self._floor = (boot, seq)
        self._current = self._seen_of(boot, seq)

    def resume(self, boot: int, seq: int, taken: set[tuple[int, int]]) -> None:
        """Go on at this message; those `taken` were evaluated from stored rows."""
        if self.boot < 0:
            self.start(boot, seq)
        self.boot, self.next = boot, seq
        self._current = self._seen_of(boot, seq)
        self.restored = taken

    def new_boot(self, boot: int) -> None:
        """Go over to another boot; what is missing of the present one may come late."""
        if self.boot >= 0:
            self.gaps.append(Gap(self.boot, self.next, None, self._remember()))
        self.boot, self.next = boot, 0
        self._current = self._seen_of(boot, 0)

    def place(self, boot: int, seq: int, crc: int) -> Place:
        """Say where a message of the present or an earlier boot stands, and remember it."""
        if self.restored and (boot, seq) in self.restored:
            self.restored.discard((boot, seq))
            self._seen_of(boot, seq).note(seq, crc)
            return Place.DUPLICATE
        current = boot == self.boot
        seen = self._current if current else self._seen_of(boot, seq)
        note = seen.note(seq, crc)
        if note is _NEW:
            self.reused = False
        elif note is Note.SAME:
            return Place.DUPLICATE
        else:
            self.reused = True
        if not current:
            return Place.LATE
        if seq == self.next or (seq == 1 and self.next == 0):
            self.next = seq + 1
            return FRONT
        return Place.AHEAD if seq > self.next else Place.LATE

    def release(self) -> Held | None:
        """The next waiting message whose turn has come."""
        item = self.held.pop(self.next, None)
        if item is not None:
            self.next += 1
        return item

    def give_up(self, taken_before_us: int) -> Held | None:
        """Go on without the missing ones where somebody waits since `taken_before_us`.

        Also where more than 1,024 wait. Notes the gap and gives the first after it.
        """
        if not self.held:
            return None
        overdue = min(item.taken_us for item in self.held.values()) <= taken_before_us
        if not overdue and len(self.held) <= MAX_HELD:
            return None
        first = min(self.held)
        gap = Gap(self.boot, self.next, first - 1, self._remember())
        if gap.boot == self._oldest[0] and gap.first < self._oldest[1]:
            known = min(self._oldest[1], first)
            self.lost += known - gap.first
            gap.first = known
        if not gap.filled:
            self.gaps.append(gap)
        self.next = first
        return self.release()

    def gap_of(self, boot: int, seq: int) -> Gap | None:
        """The gap that a late message belongs to, or None."""
        for gap in reversed(self.gaps):
            if gap.covers(boot, seq):
                return gap
        return None

    def past_for(self, boot: int, seq: int) -> Memory:
        """The memory of late messages of no known gap; begun anew where they go back."""
        if (boot, seq) <= self._past_at:
            self.past = Memory(unknown=True)
        self._past_at = (boot, seq)
        return self.past

    def split(self, gap: Gap) -> None:
        """Let the first waiting message of a gap go on without those missing before it."""
        first = min(gap.held)
        if first > gap.first:
            self._cut(gap, first)

    def surplus(self) -> Gap | None:
        """The oldest gap where there are too many."""
        return self.gaps[0] if len(self.gaps) > MAX_GAPS else None

    def remove(self, gap: Gap) -> None:
        """Forget a gap, filled or given up."""
        if gap in self.gaps:
            self.gaps.remove(gap)

    def keeps_from(self, boot: int, seq: int) -> list[Gap]:
        """The device's oldest stored message: what is missing below is lost.

        Returns the gaps that this ends.
        """
        self._oldest = (boot, seq)
        ended = [gap for gap in self.gaps if gap.boot < boot and not gap.held]
        self.lost += sum(gap.last - gap.first + 1 for gap in ended if gap.last is not None)
        return ended + self._lose(boot, 0, seq - 1)

    def lose(self, boot: int, first: int, last: int) -> list[Gap]:
        """The device says that it lost these messages; returns the gaps that this ends.

        Counts what was missing here, and what was lost before this device was followed.
        """
        if boot < self._floor[0]:
            self.lost += max(0, last - first + 1)
        elif boot == self._floor[0]:
            self.lost += max(0, min(last, self._floor[1] - 1) - first + 1)
        return self._lose(boot, first, last)

    def _lose(self, boot: int, first: int, last: int) -> list[Gap]:
        ended = []
        for gap in list(self.gaps):
            end = last if gap.last is None else min(last, gap.last)
            start = max(first, gap.first)
            if gap.boot != boot or gap.held or start > end:
                continue
            self.lost += end - start + 1
            if start == gap.first:
                gap.first = end + 1
            elif end == gap.last:
                gap.last = start - 1
            else:
                self._cut(gap, start)
                gap.first = end + 1
            if gap.filled:
                ended.append(gap)
        return ended

    def _cut(self, gap: Gap, seq: int) -> None:
        """Make what is missing below `seq` a gap by itself."""
        before = Gap(gap.boot, gap.first, seq - 1, gap.memory.fork())
        self.gaps.insert(self.gaps.index(gap), before)
        gap.first = seq

    def _seen_of(self, boot: int, seq: int) -> Seen:
        seen = self._seen.get(boot)
        if seen is None:
            seen = self._seen[boot] = Seen(seq - 1)
            for other in list(self._seen):
                if len(self._seen) > MAX_BOOTS and other not in (boot, self.boot):
                    del self._seen[other]
        return seen
