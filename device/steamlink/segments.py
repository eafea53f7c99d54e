"""A log of frames in files: written once, read oldest first, deleted a whole file at a time.

Nothing is ever changed in place and there is no cursor in flash: a power cut sends at most the
frames of one segment again, and the receiver knows them by their identity.
"""

from .constant import const
from .frames import HEADER, Entry, Segment
from .segment_reader import SegmentReader

_BLOCK = const(4096)
_MOST_DROPS = const(4)
_ENOSPC = const(28)  # the errno module of a board may lack it


class SegmentLog(SegmentReader):
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
        super().__init__(folder, on_lost)
        self._limit = limit_bytes
        self._segment_bytes = segment_bytes
        self._reserve = free_blocks_needed * _BLOCK
        self._flash_free = flash_free
        self._make_room = make_room
        self._next_number = 0
        self.retry_at = 0  # its owner's: until then flash, which refused, is not asked to write

    # -- opening

    def open(self) -> bool:
        """Look through all segments; False if the flash does not let us, then `write` tries again."""
        if self._opened:
            return True
        try:
            numbers = self.files.numbers()
        except OSError:
            self.faults += 1
            return False
        self._opened = True
        for number in numbers:
            segment = Segment(number, unread=True)
            self.segments.append(segment)
            self.unacknowledged += segment.left
            self._try_scan(segment)
        for segment in self.segments:
            if segment.unread:
                self._between[segment.number] = self._neighbours(segment)
        self._sweep()
        if numbers:
            self._next_number = numbers[-1] + 1
        return True

    def _try_scan(self, segment: Segment) -> None:
        try:
            self._scan(segment)
        except OSError:
            # It may be well: nothing is deleted for it.
            self.faults += 1
            segment.sealed = True

    def _neighbours(self, segment: Segment) -> "tuple[tuple[int, int], tuple[int, int]]":
        """Between which identities a file lies that nobody could look through."""
        low, high = (0, 0), (0xFFFFFFFF, 0)
        for other in self.segments:
            if other.number <= segment.number:
                low = max(low, other.high or low)
            elif other.low and other.low > low:
                high = other.low
                break
        return segment.low or low, high

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
            except (OSError, MemoryError) as fault:
                self.faults += 1
                full = isinstance(fault, OSError) and fault.errno == _ENOSPC
                if not full or drops >= _MOST_DROPS or not self._free_some():
                    break
                drops += 1
        return done

    def _append(self, entries) -> int:
        """Write as many entries as one segment takes, and return how many."""
        segment = self._room_for(entries[0])
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
        if not segment.size:
            self.segments.append(segment)  # before its file is there: none is unknown
        left = segment.left
        try:
            self.files.append(segment, entries[:count])
        except (OSError, MemoryError):
            # Nobody knows how the file ends now: it takes no more.
            segment.sealed = True
            if not segment.size:
                self._take_back(segment, entries[0], entries[count - 1])
            raise
        finally:
            self.unacknowledged += segment.left - left
        return count

    def _take_back(self, segment: Segment, first: Entry, last: Entry) -> None:
        """Delete a file that could not be written; one that stays counts as unread."""
        number = segment.number
        # What stays of it may fill a flash that is full already.
        if self._remove_quietly(number) or not self.files.has(number):
            self.segments.remove(segment)
            return
        segment.unread = True
        segment.left = 1
        self._between[number] = (first.boot, first.seq - 1), (last.boot, last.seq + 1)

    def _room_for(self, entry: Entry) -> Segment:
        """The segment that takes an entry: the last, or a new one; identities in one only grow."""
        size = HEADER + len(entry.payload)
        last = self.segments[-1] if self.segments else None
        fits = last is not None and not last.sealed and last.size + size <= self._segment_bytes
        # Reading may be past it, where what it waits for is under way or set aside.
        behind = fits and last.number < self._cursor[0]
        if fits and not behind and last.high < (entry.boot, entry.seq):
            return last
        wanted = max(self._segment_bytes, size)
        while self.segments and self.room() < wanted:
            if not self.drop_oldest():
                raise OSError("store is full, and no segment can be deleted")
        for _ in range(_MOST_DROPS):
            if self._flash_free is None or self._flash_free() >= wanted + self._reserve:
                break
            if not self._free_some():
                break
        self._next_number += 1
        return Segment(self._next_number - 1)

    # -- room

    def room(self) -> int:
        """How many bytes it may yet take by its own limit.

        A file that nobody could look through, or that the flash does not delete, counts as full.
        """
        taken = 0
        for segment in self.segments:
            odd = segment.unread or segment.number in self._refused
            taken += max(segment.size, self._segment_bytes if odd else 0)
        return self._limit - taken

    def _free_some(self) -> bool:
        if self._make_room is not None and self._make_room():
            return True
        return self.drop_oldest()

    def drop_oldest(self) -> bool:
        """Delete the oldest segment that the flash lets go, to make room; False if there is none."""
        found = [(self._refused.get(s.number, 0), s.number, s) for s in self.segments]
        return any(self._drop(segment) for _, _, segment in sorted(found)[:_MOST_DROPS])

    def _drop(self, segment: Segment) -> bool:
        number = segment.number
        if segment.unread:
            self._try_scan(segment)  # the last chance to know what is lost
        lost = self._unread_in(segment)
        if not self._remove_quietly(number):
            return False
        self.segments.remove(segment)
        self.unacknowledged -= segment.left
        # What is under way stays in RAM with its sender; what was given back is lost with the file.
        taken = len(self._taken)
        self._taken = {p: self._taken[p] for p in self._taken if p[0] != number}
        again = len(self._again)
        self._again = [item for item in self._again if item[0][0] != number]
        flying = taken - len(self._taken) - (again - len(self._again))
        if self._peeked is not None and self._peeked.position[0] == number:
            self._peeked = None
        if segment.unread:
            self.corrupt += 1
        self._tell(segment, lost, segment.left - flying)
        return True
