"""The offsets that date messages of a boot, kept in one small file that a power cut cannot tear."""

import binascii
import os
import struct

from .frames import settle, settle_folder

_RECORD = "<IqB"
_SIZE = 13
_CRC = 4
_ESTIMATED = 4
MOST = 32


class Anchors:
    """Anchors by boot, in `path`. The first one of a boot stays for ever; `saved` says if all are kept."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known = {}
        self.saved = True

    def load(self) -> None:
        """Read the file; one that is damaged or absent gives none."""
        self._known = {}
        try:
            with open(self._path, "rb") as file:
                text = file.read()
        except OSError:
            return
        body = text[_CRC:]
        if len(text) < _CRC or struct.unpack_from("<I", text)[0] != binascii.crc32(body):
            return
        for at in range(0, len(body) - _SIZE + 1, _SIZE):
            boot, offset_ms, flags = struct.unpack_from(_RECORD, body, at)
            self._known[boot] = (offset_ms, flags & 3, bool(flags & _ESTIMATED))

    def get(self, boot: int) -> "tuple[int, int, bool] | None":
        """The (offset_ms, ts, estimated) of a boot, or None."""
        return self._known.get(boot)

    def put(self, boot: int, offset_ms: int, ts: int, estimated: bool) -> bool:
        """Remember an anchor, in RAM until `save`; False if the boot has one already."""
        if boot in self._known:
            return False
        self._known[boot] = (offset_ms, ts, estimated)
        self.saved = False
        return True

    def keep(self, needed) -> int:
        """Forget the boots for which `needed(boot)` is false; returns how many are left."""
        for boot in list(self._known):
            if not needed(boot):
                del self._known[boot]
        return len(self._known)

    def save(self) -> bool:
        """Write the file anew; False if the flash refuses, and then it is worth trying again."""
        body = b"".join(
            [
                struct.pack(_RECORD, boot, offset_ms, ts | (_ESTIMATED if estimated else 0))
                for boot, (offset_ms, ts, estimated) in sorted(self._known.items())
            ]
        )
        try:
            with open(self._path + ".new", "wb") as file:
                file.write(struct.pack("<I", binascii.crc32(body)) + body)
                settle(file)
            os.rename(self._path + ".new", self._path)
            settle_folder(self._path[: self._path.rfind("/")])
        except OSError:
            return False
        self.saved = True
        return True
