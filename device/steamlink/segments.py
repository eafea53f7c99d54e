"""A log of frames in files: written once, read oldest first, deleted a whole file at a time.

Nothing is ever changed in place and there is no cursor in flash: a power cut sends at most the
frames of one segment again, and the receiver knows them by their identity.
"""

from .frames import HEADER, Frame, FrameFiles, Segment, after

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
        if segment.frames:
            self._segments.append(segment)
            self.unacknowledged += segment.left
        else:
            self._remove_quietly(segment.number)

    # -- writing

    def write(self, frames) -> list:
        """Write (type, boot, seq, payload) frames; returns the positions of those now in flash.

        Fewer positions than frames mean that the flash refused: the first ones are kept.
        """
        positions = []
        if not self.open():
            return positions
        drops = 0
        while len(positions) < len(frames):
            try:
                self._sweep()
                self._append(frames, positions)
            except OSError as fault:
                self.faults += 1
                if self._segments:
                    # Nobody knows how the file ends now: it takes no more.
                    self._segments[-1].sealed = True
                full = fault.errno == _ENOSPC
                if not full or drops >= _MOST_DROPS or not self._free_some():
                    break
                drops += 1
        return positions

    def _append(self, frames, positions) -> None:
        """Write as many frames as one segment takes, and add their positions."""
        first = len(positions)
        segment = self._room_for(frames[first])
        new = not segment.frames
        size = segment.size + HEADER + len(frames[first][3])
        at = first + 1
        while at < len(frames) and frames[at - 1][1:3] < frames[at][1:3]:
            size += HEADER + len(frames[at][3])
            if size > self._segment_bytes:
                break
            at += 1
        place = segment.number, segment.size
        try:
            self._files.append(segment, frames[first:at])
        except OSError:
            if new:
                # What stays of it may fill a flash that is full already.
                self._remove_quietly(segment.number)
            raise
        if new:
            self._segments.append(segment)
        for frame in frames[first:at]:
            positions.append(place)
            place = after(place, len(frame[3]))
        self.unacknowledged += at - first

    def _room_for(self, frame) -> Segment:
        """The segment that takes a frame: the last, or a new one; identities in one only grow."""
        size = HEADER + len(frame[3])
        last = self._segments[-1] if self._segments else None
        fits = last is not None and not last.sealed and last.size + size <= self._segment_bytes
        if fits and last.high < frame[1:3]:
            return last
        wanted = max(self._segment_bytes, size)
        while self._segments and sum([s.size for s in self._segments]) + wanted > self._limit:
            self._drop_first()
        for _ in range(_MOST_DROPS):
            if self._flash_free is None or self._flash_free() >= wanted + self._reserve:
                break
            if not self._free_some():
                break
        self._next_number += 1
        return Segment(self._next_number - 1)

    # -- reading

    def peek(self) -> "Frame | None":
        """The oldest frame that is not handed out, read but not taken; None if there is none."""
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

    def take(self) -> Frame:
        """Hand out what `peek` showed."""
        frame = self._peeked
        self._peeked = None
        if self._again and self._again[0][0] == frame.position:
            self._again.pop(0)
        else:
            self._cursor = after(frame.position, len(frame.payload))
        self._taken[frame.position] = (frame.boot, frame.seq)
        return frame

    def hold(self, position, boot: int, seq: int, length: int) -> None:
        """Count a frame just written, `length` bytes of payload, as handed out: it goes from RAM."""
        segment, offset = self._at_cursor()
        if segment is None:
            return  # dropped already
        self._taken[position] = (boot, seq)
        if position == (segment.number, offset):
            self._peeked = None
            self._cursor = after(position, length)

    def skip(self) -> None:
        """Give up the frame that `peek` showed; the caller tells that it is lost."""
        self.acknowledge(self.take().position)

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
        """Yield the frames of all segments, as far as they can be read."""
        for segment in list(self._segments):
            position = segment.number, 0
            while position[1] < segment.size:
                try:
                    frame = self._files.read(position)
                except OSError:
                    self.faults += 1
                    break
                if frame is None:
                    break
                position = after(position, len(frame.payload))
                yield frame

    def _find(self) -> "Frame | None":
        while self._again:
            position, tries = self._again[0]
            frame = self._files.read(position)
            if frame is not None:
                frame.tries = tries
                return frame
            self.corrupt += 1
            self._set_aside()
        while True:
            segment, offset = self._at_cursor()
            if segment is None:
                return None
            frame = self._files.read((segment.number, offset))
            if frame is None:
                self.corrupt += 1
                self._set_aside()
            elif frame.position in self._taken or frame.position in self._ahead:
                self._cursor = after(frame.position, len(frame.payload))
                self._ahead = [position for position in self._ahead if position >= self._cursor]
            else:
                return frame

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

    def drop_oldest(self) -> bool:
        """Delete the oldest segment to make room; False if there is none, or the flash refuses."""
        try:
            return self._drop_first()
        except OSError:
            self.faults += 1
            return False

    def _free_some(self) -> bool:
        if self._make_room is not None and self._make_room():
            return True
        return self.drop_oldest()

    def _drop_first(self) -> bool:
        if not self._segments:
            return False
        segment = self._segments[0]
        number = segment.number
        lost = self._unread_in(segment)
        self._files.remove(number)
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
            try:
                self._files.remove(segment.number)
            except OSError:
                self.faults += 1
                continue
            self._segments.remove(segment)
            self._ahead = [p for p in self._ahead if p[0] != segment.number]

    def _remove_quietly(self, number: int) -> None:
        try:
            self._files.remove(number)
        except OSError:
            self.faults += 1
