"""A log of frames in files: written once, read oldest first, deleted a whole file at a time.

A frame is `magic u8, type u8, len u16, boot u32, seq u32, crc32 u32` and its payload; the CRC goes
over the 12 bytes before it and the payload. Nothing is ever changed in place, there is no cursor
in flash: a power cut sends at most the frames of one segment again, and the receiver knows them.
"""

import binascii
import os
import struct

_HEADER = 16
_SIGNED = 12  # bytes of the header that the CRC covers
_FORMAT = "<BBHIII"
_MAGIC = 0xA5
_BLOCK = 4096
_CHUNK = 256
_READ_TRIES = 3
_ENOSPC = 28  # the errno module of a board may lack it
_MOST_DROPS = 4
_DIGITS = 8
MOST_PAYLOAD = 65535

DATA = 1
EVENT = 2
UNDATED = 0x80  # a bit of the type: the payload still waits for its time


class Segment:
    """One file: `left` frames are not acknowledged; `low` and `high` are its identities."""

    __slots__ = ("frames", "high", "left", "low", "number", "sealed", "size", "undated")

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self.frames = 0
        self.left = 0
        self.low = None
        self.high = None
        self.undated = False
        self.sealed = False

    def hold(self, kind: int, identity: "tuple[int, int]", size: int) -> None:
        """Count a frame of `size` bytes that is now in the file."""
        self.low = identity if self.low is None else min(self.low, identity)
        self.high = identity if self.high is None else max(self.high, identity)
        self.undated = self.undated or bool(kind & UNDATED)
        self.frames += 1
        self.left += 1
        self.size += size


class Frame:
    """What `peek` shows: the frame and its `position`, (number of the segment, offset)."""

    __slots__ = ("boot", "kind", "payload", "position", "seq", "tries")

    def __init__(self, position, kind, boot, seq, payload, tries=0) -> None:
        self.position = position
        self.kind = kind
        self.boot = boot
        self.seq = seq
        self.payload = payload
        self.tries = tries


def settle(file) -> None:
    """Make sure that what was written is on the medium; littlefs does so when the file closes."""
    if hasattr(os, "fsync"):
        file.flush()
        os.fsync(file.fileno())


def settle_folder(path: str) -> None:
    """The same for the names in a folder."""
    if hasattr(os, "fsync"):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
        self._folder = folder
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
        self._peeked = None
        self._bad_reads = 0
        self._head = bytearray(_HEADER)
        self._chunk = memoryview(bytearray(_CHUNK))

    # -- opening

    def open(self) -> bool:
        """Look through all segments; False if the flash does not let us, then `write` tries again."""
        if self._opened:
            return True
        try:
            try:  # noqa: SIM105 - MicroPython has no contextlib
                os.mkdir(self._folder)
            except OSError:
                pass  # it is there, or listing it says what is wrong
            numbers = sorted(
                [int(n) for n in os.listdir(self._folder) if len(n) == _DIGITS and n.isdigit()]
            )
        except OSError:
            self.faults += 1
            return False
        self._opened = True
        for number in numbers:
            self._scan(number)
        if numbers:
            self._next_number = numbers[-1] + 1
        self._cursor = (numbers[0] if numbers else 0, 0)
        return True

    def _scan(self, number: int) -> None:
        segment = Segment(number)
        try:
            with open(self._path(number), "rb") as file:
                self._scan_frames(segment, file)
        except OSError:
            self.faults += 1
            self.corrupt += 1
            segment.sealed = True
        if segment.frames == 0:
            # Nothing in it can ever be acknowledged.
            self._remove_quietly(number)
            return
        self._segments.append(segment)
        self.unacknowledged += segment.left

    def _scan_frames(self, segment: Segment, file) -> None:
        while True:
            got = file.readinto(self._head)
            if not got:
                return
            magic, kind, length, boot, seq, crc = struct.unpack(_FORMAT, self._head)
            if got < _HEADER or magic != _MAGIC or self._crc_of(file, length) != crc:
                # Where the next frame would begin is not known: the tail is set aside.
                self.corrupt += 1
                segment.sealed = True
                return
            segment.hold(kind, (boot, seq), _HEADER + length)

    def _crc_of(self, file, length: int) -> "int | None":
        """The CRC of the header in `_head` and the payload that `file` is at; None if it is short."""
        crc = binascii.crc32(memoryview(self._head)[:_SIGNED])
        while length:
            part = self._chunk[: min(length, _CHUNK)]
            got = file.readinto(part)
            if not got:
                return None
            crc = binascii.crc32(part[:got], crc)
            length -= got
        return crc

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
                segment = self._room_for(frames[len(positions)])
                self._append(segment, frames, positions)
            except OSError as fault:
                self.faults += 1
                self._seal()
                full = fault.errno == _ENOSPC
                if not full or drops >= _MOST_DROPS or not self._free_some():
                    break
                drops += 1
        return positions

    def _room_for(self, frame) -> Segment:
        """The segment that takes a frame, a new one if the last is full."""
        size = _HEADER + len(frame[3])
        last = self._segments[-1] if self._segments else None
        if (
            last is not None
            and not last.sealed
            and last.left
            and last.size + size <= self._segment_bytes
            and last.high < (frame[1], frame[2])
        ):
            return last
        wanted = max(self._segment_bytes, size)
        while self._segments and self._bytes() + wanted > self._limit:
            self._drop_first()
        for _ in range(_MOST_DROPS):
            if self._flash_free is None or self._flash_free() >= wanted + self._reserve:
                break
            if not self._free_some():
                break
        segment = Segment(self._next_number)
        self._next_number += 1
        return segment

    def _append(self, segment: Segment, frames, positions) -> None:
        """Write as many frames as the segment takes; the file's closing makes them count at once."""
        first = at = len(positions)
        size = segment.size
        previous = segment.high
        file = open(self._path(segment.number), "ab")  # noqa: SIM115 - an error of close counts
        try:
            while at < len(frames):
                kind, boot, seq, payload = frames[at]
                size += _HEADER + len(payload)
                full = size > self._segment_bytes and (at > first or segment.frames)
                if full or (previous is not None and previous >= (boot, seq)):
                    break
                self._write_frame(file, kind, boot, seq, payload)
                previous = (boot, seq)
                at += 1
            settle(file)
        except OSError:
            # What stays of it may fill a flash that is full already.
            if not segment.frames:
                self._remove_quietly(segment.number)
            raise
        finally:
            file.close()
        if not segment.frames:
            settle_folder(self._folder)
            self._segments.append(segment)
        for kind, boot, seq, payload in frames[first:at]:
            positions.append((segment.number, segment.size))
            segment.hold(kind, (boot, seq), _HEADER + len(payload))
            self.unacknowledged += 1

    def _write_frame(self, file, kind: int, boot: int, seq: int, payload: bytes) -> None:
        head = self._head
        struct.pack_into(_FORMAT, head, 0, _MAGIC, kind, len(payload), boot, seq, 0)
        crc = binascii.crc32(payload, binascii.crc32(memoryview(head)[:_SIGNED]))
        struct.pack_into("<I", head, _SIGNED, crc)
        file.write(head)
        file.write(payload)

    def _seal(self) -> None:
        """After a fault nobody knows how the file of the last segment ends: write no more to it."""
        if self._segments:
            self._segments[-1].sealed = True

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
            self._cursor = _after(frame.position, len(frame.payload))
        self._taken[frame.position] = (frame.boot, frame.seq)
        return frame

    def hold(self, position, boot: int, seq: int) -> None:
        """Count a frame just written as handed out: it is under way from RAM."""
        self._taken[position] = (boot, seq)

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
        try:
            segment, offset = self._at_cursor()
            if segment is not None:
                with open(self._path(segment.number), "rb") as file:
                    file.seek(offset)
                    head = self._read_head(file)
                found.append(head[2:4] if head else segment.low)
        except OSError:
            self.faults += 1
        return min(found) if found else None

    def has_undated(self, boot: int) -> bool:
        """Whether a frame of the boot may be here that waits for its time."""
        for segment in self._segments:
            if segment.undated and segment.left and segment.low[0] <= boot <= segment.high[0]:
                return True
        return False

    def walk(self):
        """Yield (type, boot, payload) of the frames from the first segment on."""
        for segment in list(self._segments):
            offset = 0
            while offset < segment.size and segment in self._segments:
                try:
                    frame = self._read((segment.number, offset))
                except OSError:
                    self.faults += 1
                    break
                if frame is None:
                    break
                offset += _HEADER + len(frame.payload)
                yield frame.kind, frame.boot, frame.payload

    def _find(self) -> "Frame | None":
        while self._again:
            position, tries = self._again[0]
            frame = self._read(position)
            if frame is not None:
                frame.tries = tries
                return frame
            self._again.pop(0)
            identity = self._taken[position]
            self.corrupt += 1
            self.acknowledge(position)
            self._on_lost(identity[0], identity[1], identity[1], 1)
        while True:
            segment, offset = self._at_cursor()
            if segment is None:
                return None
            frame = self._read((segment.number, offset))
            if frame is None:
                self.corrupt += 1
                self._set_aside()
            elif frame.position in self._taken:
                self._cursor = _after(frame.position, len(frame.payload))
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

    def _read(self, position) -> "Frame | None":
        """The frame at a position; None if its bytes are damaged."""
        with open(self._path(position[0]), "rb") as file:
            file.seek(position[1])
            head = self._read_head(file)
            if head is None:
                return None
            payload = file.read(head[1])
        crc = binascii.crc32(payload, binascii.crc32(memoryview(self._head)[:_SIGNED]))
        if len(payload) < head[1] or crc != head[4]:
            return None
        return Frame(position, head[0], head[2], head[3], payload)

    def _read_head(self, file) -> "tuple[int, int, int, int, int] | None":
        """(type, length, boot, seq, crc) of the header that `file` is at."""
        if file.readinto(self._head) != _HEADER or self._head[0] != _MAGIC:
            return None
        return struct.unpack(_FORMAT, self._head)[1:]

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

    def _bytes(self) -> int:
        return sum([segment.size for segment in self._segments])

    def _drop_first(self) -> bool:
        if not self._segments:
            return False
        segment = self._segments[0]
        lost = self._unread_in(segment)
        os.remove(self._path(segment.number))
        self._segments.pop(0)
        self.unacknowledged -= segment.left
        number = segment.number
        # What is under way stays in RAM with its sender; what was given back is lost with the file.
        flying = len([1 for position in self._taken if position[0] == number])
        flying -= len([1 for position, _ in self._again if position[0] == number])
        self._taken = {p: self._taken[p] for p in self._taken if p[0] != number}
        self._again = [item for item in self._again if item[0][0] != number]
        if self._peeked is not None and self._peeked.position[0] == number:
            self._peeked = None
        if lost is None:
            self._tell_range(segment, segment.left - flying)
        else:
            for boot, seq in lost:
                self._on_lost(boot, seq, seq, 1)
        return True

    def _unread_in(self, segment: Segment) -> "list[tuple[int, int]] | None":
        """The identities that are lost with a segment; None if they cannot be read."""
        again = [item[0] for item in self._again]
        lost = []
        offset = 0
        try:
            with open(self._path(segment.number), "rb") as file:
                while offset < segment.size:
                    file.seek(offset)
                    head = self._read_head(file)
                    if head is None:
                        return None
                    position = (segment.number, offset)
                    if position in again or (
                        position >= self._cursor and position not in self._taken
                    ):
                        lost.append(head[2:4])
                    offset += _HEADER + head[1]
        except OSError:
            return None
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
            try:
                os.remove(self._path(segment.number))
            except OSError:
                self.faults += 1
                segment.sealed = True
                continue
            self._segments.remove(segment)

    def _remove_quietly(self, number: int) -> None:
        try:
            os.remove(self._path(number))
        except OSError:
            self.faults += 1

    def _path(self, number: int) -> str:
        return "{}/{:08d}".format(self._folder, number)


def _after(position, length: int):
    return position[0], position[1] + _HEADER + length
