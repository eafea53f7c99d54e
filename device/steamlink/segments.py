"""A log of frames in files: written once, read oldest first, deleted a whole file at a time.

Nothing is ever changed in place and there is no cursor in flash: a power cut sends at most the
frames of one segment again, and the receiver knows them by their identity.
"""

from .frames import HEADER, Entry, FrameFiles, Segment, after

_BLOCK = 4096
_READ_TRIES = 3
_MOST_DROPS = 4
_ENOSPC = 28  # the errno module of a board may lack it


class SegmentLog:
    """Frames in `folder`, at most `limit_bytes` and never the last `free_blocks_needed` of the flash.

    `flash_free()` gives the free bytes. When there is no room, `make_room()` may free some and
    return True; else the oldest segment goes, and `on_lost(boot, first, last, count)` is told.
    No fault of the flash is ever raised; `faults` counts them, `corrupt` counts damaged places.
    """

    def __init__(
        self,
        folder: str,
        *,
        limit_bytes: int,
        on_lost,
        segment_bytes: int = 16384,
        free_blocks_needed: int = 8,
        flash_free=None,
        make_room=None,
    ) -> None:
        self.unacknowledged = 0
        self.faults = 0
        self.corrupt = 0
        self._files = FrameFiles(folder)
        self._limit = limit_bytes
        self._segment_bytes = segment_bytes
        self._reserve = free_blocks_needed * _BLOCK
        self._flash_free = flash_free
        self._make_room = make_room
        self._on_lost = on_lost
        self._opened = False
        self._segments = []
        self._next_number = 0
        self._cursor = (0, 0)
        self._taken = {}  # position -> (boot, seq): handed out, neither acknowledged nor lost
        self._again = []  # (position, tries) of the taken ones that were given back
        self._ahead = []  # positions that were acknowledged before reading came to them
        self._peeked = None
        self._bad_reads = 0

    # -- opening

    def open(self) -> bool:
        """Look through all segments; False if the flash does not let us, then `write` tries again."""
        if self._opened:
            return True
        try:
            numbers = self._files.numbers()
        except OSError:
            self.faults += 1
            return False
        self._opened = True
        for number in numbers:
            self._scan(Segment(number))
        if numbers:
            self._next_number = numbers[-1] + 1
        return True

    def _scan(self, segment: Segment) -> None:
        try:
            whole = self._files.scan(segment)
        except OSError:
            self.faults += 1
            whole = False
        if not whole:
            # The tail is set aside: it stays in the file, unread, until the file is deleted.
            self.corrupt += 1
            segment.sealed = True
        if segment.left:
            self._segments.append(segment)
            self.unacknowledged += segment.left
        else:
            self._remove_quietly(segment.number)

    # -- writing

    def write(self, entries) -> int:
        """Write entries, which gives them their positions; returns how many are now in flash.

        Fewer than were given mean that the flash refused: the first ones are kept.
        """
        done = drops = 0
        if not self.open():
            return done
        while done < len(entries):
            try:
                self._sweep()
                done += self._append(entries[done:])
            except OSError as fault:
                self.faults += 1
                if self._segments:
                    # Nobody knows how the file ends now: it takes no more.
                    self._segments[-1].sealed = True
                full = fault.errno == _ENOSPC
                if not full or drops >= _MOST_DROPS or not self._free_some():
                    break
                drops += 1
        return done

    def _append(self, entries) -> int:
        """Write as many entries as one segment takes, and return how many."""
        segment = self._room_for(entries[0])
        new = not segment.size
        size = segment.size
        last = segment.high
        count = 0
        for entry in entries:
            size += HEADER + len(entry.payload)
            identity = entry.boot, entry.seq
            if count and (size > self._segment_bytes or last >= identity):
                break
            last = identity
            count += 1
        try:
            self._files.append(segment, entries[:count])
        except OSError:
            if new:
                # What stays of it may fill a flash that is full already.
                self._remove_quietly(segment.number)
            raise
        if new:
            self._segments.append(segment)
        self.unacknowledged += count
        return count

    def _room_for(self, entry: Entry) -> Segment:
        """The segment that takes an entry: the last, or a new one; identities in one only grow."""
        size = HEADER + len(entry.payload)
        last = self._segments[-1] if self._segments else None
        fits = last is not None and not last.sealed and last.size + size <= self._segment_bytes
        if fits and last.high < (entry.boot, entry.seq):
            return last
        wanted = max(self._segment_bytes, size)
        while sum([s.size for s in self._segments]) + wanted > self._limit:
            if not self.drop_oldest():
                break
        for _ in range(_MOST_DROPS):
            if self._flash_free is None or self._flash_free() >= wanted + self._reserve:
                break
            if not self._free_some():
                break
        self._next_number += 1
        return Segment(self._next_number - 1)

    # -- reading

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

    # -- room

    def _free_some(self) -> bool:
        if self._make_room is not None and self._make_room():
            return True
        return self.drop_oldest()

    def drop_oldest(self) -> bool:
        """Delete the oldest segment to make room; False if there is none, or the flash refuses."""
        if not self._segments:
            return False
        segment = self._segments[0]
        number = segment.number
        lost = self._unread_in(segment)
        if not self._remove_quietly(number):
            return False
        self._segments.pop(0)
        self.unacknowledged -= segment.left
        # What is under way stays in RAM with its sender; what was given back is lost with the file.
        taken = len(self._taken)
        self._taken = {p: self._taken[p] for p in self._taken if p[0] != number}
        again = len(self._again)
        self._again = [item for item in self._again if item[0][0] != number]
        self._ahead = [position for position in self._ahead if position[0] != number]
        flying = taken - len(self._taken) - (again - len(self._again))
        if self._peeked is not None and self._peeked.position[0] == number:
            self._peeked = None
        for boot, seq in lost:
            self._on_lost(boot, seq, seq, 1)
        self._tell_range(segment, segment.left - flying - len(lost))
        return True

    def _unread_in(self, segment: Segment) -> "list[tuple[int, int]]":
        """The identities that are lost with a segment, as far as they can be read."""
        again = [item[0] for item in self._again]
        lost = []
        try:
            for offset, identity in self._files.identities(segment):
                position = segment.number, offset
                unread = position >= self._cursor and position not in self._taken
                if (unread and position not in self._ahead) or position in again:
                    lost.append(identity)
        except OSError:
            self.faults += 1
        return lost

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
