"""The files of a segment log: frames appended to one, read from one.

A frame is `magic u8, type u8, len u16, boot u32, seq u32, crc32 u32` and its payload; the CRC goes
over the 12 bytes before it and the payload.
"""

import binascii
import os
import struct

from .constant import const
from .copies import settle, settle_folder

HEADER = 16
_SIGNED = const(12)  # bytes of the header that the CRC covers
_FORMAT = const("<BBHIII")
_MAGIC = const(0xA5)
_CHUNK = const(256)
_DIGITS = const(8)
MOST_PAYLOAD = 65535

_DATA = const(1)
_EVENT = const(2)
_UNDATED = const(0x80)  # a bit of the type: the payload still waits for its time


class Entry:
    """One message on its way: `kind` is "data" or "event", `live` False sends data as hist.

    `tries` counts its publications; `position` is its place in flash, (number of the segment,
    offset), or None while it is only in RAM; `stored` says that flash may have it, also where the
    writing failed; `dated` False says that its `t` is 0 and comes later.
    `flying` is true while it waits for its PUBACK, `at` the uptime from which its age counts.
    """

    def __init__(self, kind: str, boot: int, seq: int, payload: bytes, live: bool = False) -> None:
        self.kind = kind
        self.boot = boot
        self.seq = seq
        self.payload = payload
        self.live = live
        self.tries = 0
        self.position = None
        self.stored = False
        self.at = 0
        self.dated = True
        self.flying = False


class Segment:
    """One file: `left` frames are not acknowledged; `low` and `high` are its identities.

    `last` is where its last frame begins; `dated` and `undated` say which frames there are. An
    `unread` one has a rest that nobody could look at yet: it counts as one frame in `left`.
    """

    def __init__(self, number: int, unread: bool = False) -> None:
        self.number = number
        self.size = 0
        self.last = 0
        self.left = 1 if unread else 0
        self.low = None
        self.high = None
        self.dated = False
        self.undated = False
        self.unread = unread
        self.sealed = False

    def hold(self, identity: "tuple[int, int]", length: int, dated: bool) -> None:
        """Count a frame with `length` bytes of payload that is now in the file."""
        self.low = identity if self.low is None else min(self.low, identity)
        self.high = identity if self.high is None else max(self.high, identity)
        self.dated = self.dated or dated
        self.undated = self.undated or not dated
        self.left += 1
        self.last = self.size
        self.size += HEADER + length


def after(entry: Entry) -> "tuple[int, int]":
    """The position behind an entry that has the payload of its frame."""
    return entry.position[0], entry.position[1] + HEADER + len(entry.payload)


class FrameFiles:
    """The files named by number in `folder`. Everything here may raise OSError, but `has`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._head = bytearray(HEADER)
        self._chunk = memoryview(bytearray(_CHUNK))

    def numbers(self) -> "list[int]":
        """The files that are there, oldest first; the folder is made if it is not."""
        try:  # noqa: SIM105 - MicroPython has no contextlib
            os.mkdir(self._folder)
        except OSError:
            pass  # it is there, or listing it says what is wrong
        names = os.listdir(self._folder)
        return sorted([int(name) for name in names if len(name) == _DIGITS and name.isdigit()])

    def scan(self, segment: Segment) -> bool:
        """Count the frames of a file that `segment` lacks; False if its tail is damaged."""
        with open(self._path(segment.number), "rb") as file:
            file.seek(segment.size)
            while True:
                got = file.readinto(self._head)
                if not got:
                    return True
                magic, kind, length, boot, seq, crc = struct.unpack(_FORMAT, self._head)
                if got < HEADER or magic != _MAGIC or self._crc_of(file, length) != crc:
                    # Where the next frame would begin is not known.
                    return False
                segment.hold((boot, seq), length, not kind & _UNDATED)

    def append(self, segment: Segment, entries) -> None:
        """Add entries to the file, the segment's counts and their positions: all or none.

        littlefs takes over what was written when the file closes, in one step.
        """
        file = open(self._path(segment.number), "ab")  # noqa: SIM115 - an error of close counts
        try:
            for entry in entries:
                entry.stored = True
                self._write(file, entry)
            settle(file)
        finally:
            file.close()
        if not segment.size:
            settle_folder(self._folder)
        for entry in entries:
            position = segment.number, segment.size
            segment.hold((entry.boot, entry.seq), len(entry.payload), entry.dated)
            entry.position = position

    def read(self, position) -> "Entry | None":
        """The entry at a position; None if its bytes are damaged."""
        with open(self._path(position[0]), "rb") as file:
            file.seek(position[1])
            head = self._read_head(file)
            payload = file.read(head[1]) if head else b""
        if head is None or len(payload) < head[1]:
            return None
        if binascii.crc32(payload, binascii.crc32(memoryview(self._head)[:_SIGNED])) != head[4]:
            return None
        entry = Entry("event" if head[0] & _EVENT else "data", head[2], head[3], payload)
        entry.position = position
        entry.dated = not head[0] & _UNDATED
        return entry

    def head(self, position) -> "tuple[int, int, int, int, int] | None":
        """(type, length, boot, seq, crc) of the frame at a position; None if it is damaged."""
        with open(self._path(position[0]), "rb") as file:
            file.seek(position[1])
            return self._read_head(file)

    def identities(self, segment: Segment):
        """Yield (offset, (boot, seq), dated) of each frame, up to a damaged header; read it to its end."""
        offset = 0
        with open(self._path(segment.number), "rb") as file:
            while offset < segment.size:
                file.seek(offset)
                head = self._read_head(file)
                if head is None or not segment.low <= head[2:4] <= segment.high:
                    return
                yield offset, head[2:4], not head[0] & _UNDATED
                offset += HEADER + head[1]

    def has(self, number: int) -> bool:
        """Whether a file is there, as far as the flash tells; raises nothing."""
        try:
            os.stat(self._path(number))
        except OSError:
            return False
        return True

    def remove(self, number: int) -> None:
        """Delete a file."""
        os.remove(self._path(number))

    def _write(self, file, entry: Entry) -> None:
        kind = _DATA if entry.kind == "data" else _EVENT
        if not entry.dated:
            kind |= _UNDATED
        head = self._head
        length = len(entry.payload)
        struct.pack_into(_FORMAT, head, 0, _MAGIC, kind, length, entry.boot, entry.seq, 0)
        crc = binascii.crc32(entry.payload, binascii.crc32(memoryview(head)[:_SIGNED]))
        struct.pack_into("<I", head, _SIGNED, crc)
        file.write(head)
        file.write(entry.payload)

    def _read_head(self, file) -> "tuple[int, int, int, int, int] | None":
        """(type, length, boot, seq, crc) of the header that `file` is at."""
        if file.readinto(self._head) != HEADER or self._head[0] != _MAGIC:
            return None
        return struct.unpack(_FORMAT, self._head)[1:]

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

    def _path(self, number: int) -> str:
        return "{}/{:08d}".format(self._folder, number)
