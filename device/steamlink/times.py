"""When each boot in the store started: anchors that are kept, estimates for boots without one.

Anchors are in one small file that a power cut cannot tear.
"""

import binascii
import os
import struct

from . import contract, stamps
from .constant import const
from .copies import settle, settle_folder

_RECORD = const("<IqB")
_SIZE = const(13)
_CRC = const(4)
_ESTIMATED = const(4)
_READ_TRIES = const(3)
_MOST = const(128)  # more than the boots in a few segments of events


class Times:
    """Dates the messages of `boot` and of the earlier ones in `logs`; anchors are kept in `path`.

    At most 128 boots are estimated ahead of the oldest messages, and at most 128 anchors are kept for
    what nobody could look through.
    """

    def __init__(self, path: str, boot: int, *logs) -> None:
        self.anchors = Anchors(path)
        self.waiting = False  # a message of this boot was put before its time was known
        self.used = False  # a message of this boot has got its time from its anchor
        self._boot = boot
        self._logs = logs
        self._next_start = None  # (boot, offset) that the last estimate also gave
        self._guesses = 0  # anchors that only what nobody could look through may need
        self._stuck = False  # nothing can be estimated before something new is known

    def begin(self, boot: int) -> None:
        """Say which boot this is, where it was not known yet."""
        self._boot = boot

    def set(self, boot: int, offset_ms: int, ts: int, estimated: bool) -> None:
        """Take the anchor of a boot, unless it has one; this boot's may change until it is used."""
        saved = self.anchors.saved
        if boot == self._boot and not self.used:
            self.anchors.keep(lambda other: other != boot)
        if not self.anchors.put(boot, offset_ms, ts, estimated):
            return
        self._stuck = False
        self._next_start = None
        if boot == self._boot and not self.waiting:
            # Nothing in flash needs it, and every later message has its time.
            self.anchors.saved = saved
        else:
            self.save()

    def learn(self, payload: bytes) -> None:
        """Take the anchor of this boot from a message that has its time."""
        if self.anchors.get(self._boot) is None:
            start = stamps.start_utc_ms(payload)
            if start is not None:
                self.set(self._boot, start, stamps.clock_state(payload), False)

    def save(self) -> bool:
        """Keep the anchors that are needed; False if the flash refuses."""
        self._keep()
        return self.anchors.save()

    def of(self, boot: int, early: bool) -> "tuple[int, int, bool] | None":
        """The anchor of a boot, estimated if need be; `early` for messages that run ahead.

        Those wait where too many did, and the oldest messages can always go on.
        """
        anchor = self.anchors.get(boot)
        if anchor is None and not self._stuck and boot != self._boot:
            if early and self._keep() >= _MOST:
                return None
            from . import dating  # seldom needed: a boot that never had a clock

            found = dating.offset_of(boot, self._boot, self.anchors, self._logs, self._next_start)
            if found is None:
                self._stuck = True
                return None
            self._next_start = found[2]
            self.anchors.put(boot, found[0], contract.CLOCK_SET, found[1])
            anchor = self.anchors.get(boot)
        return anchor

    def _keep(self) -> int:
        """Forget the anchors that are not needed; returns how many estimates are, guesses apart."""
        self._guesses = 0
        return self.anchors.keep(self._needed) - min(self._guesses, _MOST)

    def _needed(self, boot: int) -> bool:
        found = [log.has_undated(boot) for log in self._logs]
        if boot == self._boot or True in found:
            return True
        # What stays unread for ever must not keep the anchors of all later boots: the first stay.
        self._guesses += None in found
        return None in found and self._guesses <= _MOST


class Anchors:
    """Anchors by boot, in `path`. The first one of a boot stays for ever; `saved` says if all are kept.

    They stay packed: a device that started hundreds of times without a clock has as many.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._records = b""
        self.saved = True
        self.retry_at = 0  # as of a SegmentLog

    def load(self) -> None:
        """Read the file; one that is damaged or absent gives none.

        A read that flash refuses is tried again: without its anchor a boot would be dated anew, and
        what the broker has already would come with other times.
        """
        text = b""
        for _ in range(_READ_TRIES):
            try:
                with open(self._path, "rb") as file:
                    text = file.read()
                break
            except OSError:
                continue
        records = text[_CRC:]
        if len(text) >= _CRC and struct.unpack_from("<I", text)[0] == binascii.crc32(records):
            self._records = records

    def get(self, boot: int) -> "tuple[int, int, bool] | None":
        """The (offset_ms, ts, estimated) of a boot, or None."""
        for at in range(0, len(self._records), _SIZE):
            known, offset_ms, flags = struct.unpack_from(_RECORD, self._records, at)
            if known == boot:
                return offset_ms, flags & 3, bool(flags & _ESTIMATED)
        return None

    def highest_boot(self) -> int:
        """The highest boot that has one, 0 if none has."""
        places = range(0, len(self._records), _SIZE)
        return max([struct.unpack_from("<I", self._records, at)[0] for at in places] or [0])

    def put(self, boot: int, offset_ms: int, ts: int, estimated: bool) -> bool:
        """Remember an anchor, in RAM until `save`; False if the boot has one already."""
        if self.get(boot) is not None:
            return False
        flags = ts | (_ESTIMATED if estimated else 0)
        self._records += struct.pack(_RECORD, boot, offset_ms, flags)
        self.saved = False
        return True

    def keep(self, needed) -> int:
        """Forget the boots for which `needed(boot)` is false; returns how many estimates are left."""
        left = []
        for at in range(0, len(self._records), _SIZE):
            record = self._records[at : at + _SIZE]
            if needed(struct.unpack_from("<I", record)[0]):
                left.append(record)
        self._records = b"".join(left)
        return sum([record[-1] // _ESTIMATED for record in left])

    def save(self) -> bool:
        """Write the file anew; False if the flash refuses, and then it is worth trying again."""
        try:
            with open(self._path + ".new", "wb") as file:
                file.write(struct.pack("<I", binascii.crc32(self._records)))
                file.write(self._records)
                settle(file)
            os.rename(self._path + ".new", self._path)
            settle_folder(self._path[: self._path.rfind("/")])
        except OSError:
            return False
        self.saved = True
        return True
