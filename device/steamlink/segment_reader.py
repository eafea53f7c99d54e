"""Handing out what is in segments, oldest first, and deleting those that are acknowledged."""

from .constant import const
from .frames import HEADER, Entry, FrameFiles, Segment, after

_READ_TRIES = const(3)
_MEMORY_TRIES = const(300)  # a minute at 5 a second: memory comes back, flash seldom
_ENOENT = const(2)


class SegmentReader:
    """The segments in `folder` from the side of the one who sends them.

    Only segments are kept in RAM, never frames, but for those that are handed out. What is damaged
    is told to `on_lost(boot, first, last, count)`. What flash refuses to read, or memory has no room
    for, is tried again at its turn, and stays for the next start if that fails too.
    """

    def __init__(self, folder: str, on_lost) -> None:
        self.unacknowledged = 0
        self.faults = 0
        self.corrupt = 0
        self.files = FrameFiles(folder)
        self._on_lost = on_lost
        self._opened = False
        self.segments = []
        self._cursor = (0, 0)
        self._taken = {}  # position -> (boot, seq): handed out, neither acknowledged nor lost
        self._again = []  # (position, tries) of the taken ones that were given back
        self._ahead = {}  # position -> end: handed out before reading came to it, which passes over
        self._peeked = None
        self._behind = None  # where reading goes on after the peeked one
        self._refusals = 0  # of flash to read the next one
        self._shortages = 0  # of memory for the next one
        self._aside = {}  # number of a segment -> its single frames that stay for the next start
        self._between = {}  # number of an unread segment -> identities before and behind it
        self._refused = {}  # number of a segment -> how often the flash did not delete it

    def peek(self) -> "Entry | None":
        """The oldest entry that is not handed out, read but not taken; None if there is none."""
        if self._peeked is None:
            try:
                self._peeked = self._find()
                self._refusals = self._shortages = 0
            except OSError:
                self.faults += 1
                self._refusals += 1
                if self._refusals >= _READ_TRIES:
                    self._set_aside()
            except MemoryError:
                self.short_of_memory()
        return self._peeked

    def short_of_memory(self) -> None:
        """Count that there was no memory for what `peek` shows; it does not hold up others for ever."""
        self._shortages += 1
        if self._shortages >= _MEMORY_TRIES:
            self._set_aside()

    def take(self) -> Entry:
        """Hand out what `peek` showed."""
        entry = self._peeked
        self._taken[entry.position] = (entry.boot, entry.seq)  # first: nothing else takes memory
        self._peeked = None
        if self._again and self._again[0][0] == entry.position:
            self._again.pop(0)
        else:
            self._cursor = self._behind
        return entry

    def hold(self, entry: Entry) -> None:
        """Count an entry just written as handed out: it goes from RAM."""
        if entry.position[0] not in [segment.number for segment in self.segments]:
            return  # dropped already
        self._taken[entry.position] = (entry.boot, entry.seq)
        self._at_cursor()
        if entry.position == self._cursor:
            self._peeked = None
            self._cursor = after(entry)
        else:
            self._ahead[entry.position] = after(entry)[1]

    def give_back(self, position, tries: int) -> bool:
        """A frame handed out was not acknowledged; False if its segment is gone."""
        if position not in self._taken:
            return False
        self._peeked = None
        if tries == 0 and position >= self._cursor:
            del self._taken[position]
            self._ahead.pop(position, None)  # reading comes to it anyway
        else:
            self._again.append((position, tries))
            self._again.sort()
        return True

    def acknowledge(self, position) -> None:
        """A frame handed out has arrived; the last one of a segment deletes the file."""
        if position not in self._taken:
            return
        del self._taken[position]
        for segment in self.segments:
            if segment.number == position[0]:
                segment.left -= 1
                self.unacknowledged -= 1
                if segment.left == 0:
                    self._sweep()
                return

    def oldest(self) -> "tuple[int, int] | None":
        """The lowest (boot, seq) that is not acknowledged; (0, 0) while nobody could look through all."""
        if not self._opened or any(segment.unread for segment in self.segments):
            return 0, 0
        found = list(self._taken.values())
        waiting = [
            s for s in self.segments if s.number > self._cursor[0] or s.number in self._aside
        ]
        found.extend([segment.low for segment in waiting if segment.low])
        segment, offset = self._at_cursor()
        if segment is not None and segment.low:
            head = None
            try:
                head = self.files.head((segment.number, offset))
            except OSError:
                self.faults += 1
            found.append(head[2:4] if head else segment.low)
        return min(found) if found else None

    def highest_boot(self) -> int:
        """The highest boot of which a frame is here, 0 if none is."""
        return max([segment.high[0] for segment in self.segments if segment.high] or [0])

    def has_undated(self, boot: int) -> "bool | None":
        """Whether a frame of the boot is here that waits for its time; None if nobody could look."""
        found = False if self._opened else None
        for segment in self.segments:
            if segment.undated or segment.unread:
                low, high = self._reach(segment)
                if low[0] <= boot <= high[0]:
                    if not segment.unread:
                        return True
                    found = None
        return found

    def _reach(self, segment: Segment):
        """The identities between which those of a segment lie."""
        if segment.unread:
            return self._between.get(segment.number, ((0, 0), (0xFFFFFFFF, 0)))
        return segment.low, segment.high

    def _find(self) -> "Entry | None":
        while True:
            if self._again:
                position, tries = self._again[0]
            else:
                segment, offset = self._at_cursor()
                if segment is None:
                    return None
                if offset >= segment.size:
                    self._scan(segment)
                    self._sweep()
                    continue
                position, tries = (segment.number, offset), 0
            entry = self.files.read(position)
            if entry is None:
                self.corrupt += 1
                self._lose_damaged()
            else:
                entry.tries = tries
                self._behind = after(entry)
                return entry

    def _at_cursor(self):
        """The segment and offset of the next unread frame or rest, (None, 0) at the end."""
        for segment in self.segments:
            number = segment.number
            if number < self._cursor[0]:
                continue
            if number > self._cursor[0]:
                self._cursor = (number, 0)
            while self._cursor in self._ahead:
                self._cursor = (number, self._ahead[self._cursor])
            if self._cursor[1] < segment.size or segment.unread:
                return segment, self._cursor[1]
        return None, 0

    def _scan(self, segment: Segment) -> None:
        """Count what nobody has seen of a file; OSError leaves it unread, what was seen counts."""
        before = segment.left
        try:
            if not self.files.scan(segment):
                # The tail is set aside: it stays in the file, unread, until the file is deleted.
                self.corrupt += 1
                segment.sealed = True
            segment.unread = False
            segment.left -= 1
        finally:
            self.unacknowledged += segment.left - before

    def _set_aside(self) -> None:
        """Leave what cannot be read to the next start: the next frame, or the rest of its segment."""
        self._refusals = self._shortages = 0
        self._peeked = None
        if self._again:
            position = self._again.pop(0)[0]
            del self._taken[position]
            self._aside[position[0]] = self._aside.get(position[0], 0) + 1
            return
        segment, offset = self._at_cursor()
        if segment is None:
            return
        number = segment.number
        head = None
        try:
            if offset < segment.size:
                head = self.files.head((number, offset))
        except MemoryError:
            return  # no file can be read: it is tried again
        except OSError:
            self.faults += 1
        self._aside[number] = self._aside.get(number, 0) + (head is not None)
        if head:
            self._cursor = (number, offset + HEADER + head[1])
        else:
            self._cursor = (number + 1, 0)
            segment.sealed = True

    def _lose_damaged(self) -> None:
        """Give up what is damaged: a frame given back, or the rest of the segment."""
        if self._again:
            position = self._again.pop(0)[0]
            boot, seq = self._taken[position]
            self._on_lost(boot, seq, seq, 1)
            self.acknowledge(position)
        else:
            self._lose_rest(self._at_cursor()[0])

    def _lose_rest(self, segment: Segment) -> None:
        number = segment.number
        kept = len([1 for taken in self._taken if taken[0] == number]) + segment.unread
        count = segment.left - kept - self._aside.get(number, 0)
        lost = self._unread_in(segment)
        self._cursor = (number + 1, 0)
        segment.sealed = True
        segment.left -= count
        self.unacknowledged -= count
        self._tell(segment, lost, count)
        self._sweep()

    def _unread_in(self, segment: Segment) -> "list[tuple[int, int]]":
        """The identities that are lost with a segment, as far as they can be read."""
        again = [item[0] for item in self._again]
        lost = []
        try:
            for offset, identity, _ in self.files.identities(segment):
                position = segment.number, offset
                unread = position >= self._cursor and position not in self._ahead
                if unread or position in again:
                    lost.append(identity)
        except OSError:
            self.faults += 1
        return lost

    def _tell(self, segment: Segment, lost, count: int) -> None:
        """Say that `count` frames of a segment are lost: those in `lost`, of the rest the ends."""
        for boot, seq in lost:
            self._on_lost(boot, seq, seq, 1)
        count -= len(lost)
        if count <= 0:
            return
        if segment.low is None:
            self._tell_unseen(segment, count)
            return
        boot, first = segment.low
        end, last = segment.high
        if boot != end:
            if count > 1:
                self._on_lost(end, 1, last, 1)
                count -= 1
            last = first
        self._on_lost(boot, first, last, count)

    def _tell_unseen(self, segment: Segment, count: int) -> None:
        """The same where nobody has seen one: the numbers in between; 0 for what is not known."""
        (boot, first), (end, last) = self._reach(segment)
        if boot == end and last - first > 1:
            self._on_lost(boot, first + 1, last - 1, count)
        else:
            self._on_lost(boot, 0, 0, count)

    def _sweep(self) -> None:
        """Delete the files of which every frame is acknowledged."""
        for segment in [s for s in self.segments if s.left == 0]:
            segment.sealed = True
            if self._remove_quietly(segment.number):
                self.segments.remove(segment)

    def _remove_quietly(self, number: int) -> bool:
        try:
            self.files.remove(number)
        except OSError as fault:
            if fault.errno != _ENOENT:
                self.faults += 1
                self._refused[number] = self._refused.get(number, 0) + 1
                return False
        self._aside.pop(number, None)
        self._ahead = {at: self._ahead[at] for at in self._ahead if at[0] != number}
        return True
