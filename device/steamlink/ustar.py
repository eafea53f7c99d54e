"""Unpacks a tar archive (POSIX ustar) as its bytes come, and trusts none of them.

Only files and folders with short plain names below one folder: no links, no "..", nothing
absolute, nothing that is there already, a bounded number and sum of bytes.
"""

import os

from .copies import settle

_BLOCK = 512
# What littlefs takes: whole blocks for a file, a pair for a folder, some bytes there for a name.
_FLASH_BLOCK = 4096
_NAME_BYTES = 512
_MOST_FILES = 200
_MOST_DEPTH = 6
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
_FILE = b"0\x00"
_FOLDER = b"5"


class Unpacker:
    """Feed it the archive piece by piece, then `finish()`; `close()` in any case.

    What it unpacks takes at most `room` bytes, files and folders counted as littlefs stores them.
    ValueError says what is wrong with the archive, OSError what with the file system.
    """

    def __init__(self, folder: str, room: int) -> None:
        self._folder = folder
        self._room = room
        self._header = bytearray(_BLOCK)
        self._filled = 0
        self._file = None
        self._left = 0
        self._padding = 0
        self._files = 0
        self._zero_blocks = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the archive, however many."""
        rest = memoryview(piece)
        while len(rest) > 0:
            if self._left:
                taken = self._write(rest)
            elif self._padding:
                taken = min(self._padding, len(rest))
                self._padding -= taken
            else:
                taken = self._gather(rest)
            rest = rest[taken:]

    def finish(self) -> None:
        """ValueError unless the archive ended where it says: with two empty blocks."""
        self.close()
        if self._left or self._padding or self._filled or self._zero_blocks < 2:  # noqa: PLR2004 - POSIX
            raise ValueError("archive: it is cut off")

    def close(self) -> None:
        """Close the file being written, if any."""
        if self._file is not None:
            settle(self._file)
            self._file.close()
            self._file = None

    def _write(self, rest: memoryview) -> int:
        taken = min(self._left, len(rest))
        self._file.write(rest[:taken])
        self._left -= taken
        if not self._left:
            self.close()
        return taken

    def _gather(self, rest: memoryview) -> int:
        taken = min(_BLOCK - self._filled, len(rest))
        self._header[self._filled : self._filled + taken] = rest[:taken]
        self._filled += taken
        if self._filled == _BLOCK:
            self._filled = 0
            self._entry(self._header)
        return taken

    def _entry(self, header: bytearray) -> None:
        if not any(header):
            self._zero_blocks += 1
            return
        if self._zero_blocks:
            raise ValueError("archive: something follows its end")
        _check_sum(header)
        name = _name(header)
        size = _octal(header, 124, 136)
        kind = header[156]
        self._files += 1
        if self._files > _MOST_FILES:
            raise ValueError("archive: more than {} entries".format(_MOST_FILES))
        self._take(-(-size // _FLASH_BLOCK) * _FLASH_BLOCK + _NAME_BYTES)
        if kind in _FOLDER and size == 0:
            self._make_folders(name.split("/"))
        elif kind in _FILE:
            self._open(name, size)
        else:
            raise ValueError("archive: {} is a link or something else".format(name))

    def _take(self, flash_bytes: int) -> None:
        self._room -= flash_bytes
        if self._room < 0:
            raise ValueError("archive: too large, as it would lie in flash")

    def _open(self, name: str, size: int) -> None:
        parts = name.split("/")
        self._make_folders(parts[:-1])
        path = self._folder + "/" + name
        if _exists(path):
            raise ValueError("archive: {} comes twice".format(name))
        self._file = open(path, "wb")  # noqa: SIM115 - it stays open until its last byte came
        self._left = size
        self._padding = -size % _BLOCK
        if not size:
            self.close()

    def _make_folders(self, parts: list) -> None:
        path = self._folder
        for part in [""] + parts:  # noqa: RUF005 - MicroPython has no stars in lists
            path = path + "/" + part if part else path
            if not _exists(path):
                self._take(2 * _FLASH_BLOCK)
                os.mkdir(path)


def _name(header: bytearray) -> str:
    """The name of an entry, once it is known to stay below the folder."""
    if any(header[345:500]):
        raise ValueError("archive: a name of more than 100 characters")
    raw = bytes(header[:100])
    end = raw.find(b"\x00")
    # Byte by byte: no decoder between what is checked and what is used.
    name = "".join([chr(letter) for letter in (raw if end < 0 else raw[:end])])
    if name.endswith("/"):  # noqa: FURB188 - MicroPython has no removesuffix
        name = name[:-1]
    parts = name.split("/")
    for part in parts:
        if part in ("", ".", "..") or not all(letter in _LETTERS for letter in part):
            raise ValueError("archive: {!r} is no name below the folder".format(name))
    if len(parts) > _MOST_DEPTH:
        raise ValueError("archive: {!r} is too deep".format(name))
    return name


def _check_sum(header: bytearray) -> None:
    """Sum of the header's bytes with its own field as spaces (POSIX.1-1988 10.1.1)."""
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if header[257:262] != b"ustar" or _octal(header, 148, 156) != total:
        raise ValueError("archive: it is no ustar, or damaged")


def _octal(header: bytearray, start: int, end: int) -> int:
    text = bytes(header[start:end]).rstrip(b"\x00 ")
    if not text or not all(48 <= digit <= 55 for digit in text):  # noqa: PLR2004 - "0" to "7"
        raise ValueError("archive: it is no ustar, or damaged")
    return int(text, 8)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
