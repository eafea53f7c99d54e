"""Handing out what is in segments, oldest first, and deleting those that are acknowledged."""

from .constant import const
from .frames import Entry, FrameFiles, Segment, after

_READ_TRIES = const(3)


class SegmentReader:
    """The segments in `folder` from the side of the one who sends them.

    Only segments are kept in RAM, never frames, but for those that are handed out. What cannot be
    read is told to `on_lost(boot, first, last, count)`.
    """

    def __init__(self, folder: str, on_lost) -> None:
        self.unacknowledged = 0
        self.faults = 0
        self.corrupt = 0
        self._files = FrameFiles(folder)
        self._on_lost = on_lost
        self._segments = []
        self._cursor = (0, 0)
        self._taken = {}  # position -> (boot, seq): handed out, neither acknowledged nor lost
        self._again = []  # (position, tries) of the taken ones that were given back
        self._ahead = []  # positions that were acknowledged before reading came to them
        self._peeked = None
        self._bad_reads = 0

    def peek(self) -> "Entry | None":
        """The oldest entry that is not handed out, read but not taken; None if there is none."""
        if self._peeked is None:
            try:
                self._peeked = self._find()
                self._bad_reads = 0
            except OSError:
                self.faults += 1
                self._bad_reads += 1
                if self._bad_reads >= _READ_TRIES:
                    self._bad_reads = 0
                    self._set_aside()
        return self._peeked

    def take(self) -> Entry:
        """Hand out what `peek` showed."""
        entry = self._peeked
        self._peeked = None
        if self._again and self._again[0][0] == entry.position:
            self._again.pop(0)
        else:
            self._cursor = after(entry)
        self._taken[entry.position] = (entry.boot, entry.seq)
        return entry

    def hold(self, entry: Entry) -> None:
        """Count an entry just written as handed out: it goes from RAM."""
        segment, offset = self._at_cursor()
        if segment is None:
            return  # dropped already
        self._taken[entry.position] = (entry.boot, entry.seq)
        if entry.position == (segment.number, offset):
            self._peeked = None
            self._cursor = after(entry)

    def give_back(self, position, tries: int) -> bool:
        """A frame handed out was not acknowledged; False if its segment is gone."""
        if position not in self._taken:
            return False
        self._peeked = None
        if tries == 0 and position >= self._cursor:
            del self._taken[position]  # reading comes to it anyway
        else:
            self._again.append((position, tries))
            self._again.sort()
        return True

    def acknowledge(self, position) -> None:
        """A frame handed out has arrived; the last one of a segment deletes the file."""
        if position not in self._taken:
            return
        del self._taken[position]
        if position >= self._cursor:
            self._ahead.append(position)
        for segment in self._segments:
            if segment.number == position[0]:
                segment.left -= 1
                self.unacknowledged -= 1
                if segment.left == 0:
                    self._sweep()
                return

    def oldest(self) -> "tuple[int, int] | None":
        """The lowest (boot, seq) that is not acknowledged."""
        found = list(self._taken.values())
        found.extend([s.low for s in self._segments if s.number > self._cursor[0]])
        segment, offset = self._at_cursor()
        if segment is not None:
            try:
                found.append(self._files.identity((segment.number, offset)) or segment.low)
            except OSError:
                self.faults += 1
                found.append(segment.low)
        return min(found) if found else None

    def highest_boot(self) -> int:
        """The highest boot of which a frame is here, 0 if none is."""
        return max([segment.high[0] for segment in self._segments] or [0])

    def has_undated(self, boot: int) -> bool:
        """Whether a frame of the boot may be here that waits for its time."""
        for segment in self._segments:
            if segment.undated and segment.left and segment.low[0] <= boot <= segment.high[0]:
                return True
        return False

    def walk(self):
        """Yield the entries of all segments, as far as they can be read."""
        for segment in list(self._segments):
            position = segment.number, 0
            while position[1] < segment.size:
                try:
                    entry = self._files.read(position)
                except OSError:
                    self.faults += 1
                    break
                if entry is None:
                    break
                position = after(entry)
                yield entry

    def _find(self) -> "Entry | None":
        while True:
            if self._again:
                position, tries = self._again[0]
            else:
                segment, offset = self._at_cursor()
                if segment is None:
                    return None
                position, tries = (segment.number, offset), 0
            entry = self._files.read(position)
            if entry is None:
                self.corrupt += 1
                self._set_aside()
            elif self._again or (position not in self._taken and position not in self._ahead):
                entry.tries = tries
                return entry
            else:
                self._cursor = after(entry)
                self._ahead = [position for position in self._ahead if position >= self._cursor]

    def _at_cursor(self):
        """The segment and offset of the next unread frame, (None, 0) at the end."""
        number, offset = self._cursor
        for segment in self._segments:
            if segment.number == number and offset < segment.size:
                return segment, offset
            if segment.number > number:
                self._cursor = (segment.number, 0)
                return segment, 0
        return None, 0

    def _set_aside(self) -> None:
        """Give up what cannot be read: a frame given back, or the rest of the segment."""
        if self._again:
            position, _ = self._again.pop(0)
            boot, seq = self._taken[position]
            self.acknowledge(position)
            self._on_lost(boot, seq, seq, 1)
            return
        segment, _ = self._at_cursor()
        if segment is None:
            return
        number = segment.number
        count = segment.left - len([1 for taken in self._taken if taken[0] == number])
        self._cursor = (number + 1, 0)
        self._ahead = [position for position in self._ahead if position[0] != number]
        segment.sealed = True
        segment.left -= count
        self.unacknowledged -= count
        self._tell_range(segment, count)
        self._sweep()

    def _tell_range(self, segment: Segment, count: int) -> None:
        """Say that `count` frames of a segment are lost, of which only the ends are known."""
        if count > 0:
            boot, first = segment.low
            last = segment.high[1] if segment.high[0] == boot else first
            self._on_lost(boot, first, last, count)

    def _sweep(self) -> None:
        """Delete the files of which every frame is acknowledged."""
        for segment in [s for s in self._segments if s.left == 0]:
            segment.sealed = True
            if self._remove_quietly(segment.number):
                self._segments.remove(segment)
                self._ahead = [p for p in self._ahead if p[0] != segment.number]

    def _remove_quietly(self, number: int) -> bool:
        try:
            self._files.remove(number)
        except OSError:
            self.faults += 1
            return False
        return True
