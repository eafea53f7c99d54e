"""The offsets that date messages of a boot, kept in one small file that a power cut cannot tear."""

import binascii
import os
import struct

from .constant import const
from .frames import settle, settle_folder

_RECORD = const("<IqB")
_SIZE = const(13)
_CRC = const(4)
_ESTIMATED = const(4)


class Anchors:
    """Anchors by boot, in `path`. The first one of a boot stays for ever; `saved` says if all are kept.

    They stay packed: a device that started hundreds of times without a clock has as many.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._records = b""
        self.saved = True

    def load(self) -> None:
        """Read the file; one that is damaged or absent gives none."""
        try:
            with open(self._path, "rb") as file:
                text = file.read()
        except OSError:
            return
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
        """Forget the boots for which `needed(boot)` is false; returns how many are left."""
        left = []
        for at in range(0, len(self._records), _SIZE):
            record = self._records[at : at + _SIZE]
            if needed(struct.unpack_from("<I", record)[0]):
                left.append(record)
        self._records = b"".join(left)
        return len(left)

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
