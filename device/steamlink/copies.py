"""A small record that outlasts power cuts: two copies in turn, each with a counter and a CRC-32.

boot.py imports this file by way of slots before it knows which firmware starts: few imports.
"""

import binascii
import json
import os

from .constant import const

_MOST_BYTES = const(32768)
_EIO = const(5)


class Copies:
    """The record `name` in `folder`: the files `name.a` and `name.b`, JSON behind a header.

    `source` is "a" or "b" once `load` found one that is whole, else ""; `damaged` names those
    that are there but are not.
    """

    def __init__(self, folder: str, name: str) -> None:
        self._base = folder.rstrip("/") + "/" + name
        self._folder = folder
        self.source = ""
        self.damaged = []

    def load(self, accept: object = None) -> "tuple[int, dict] | None":
        """The newer copy that is whole, as (counter, values); None if neither is.

        `accept(values)`, where given, may turn a copy down.
        """
        self.source = ""
        self.damaged = []
        found = []
        for letter in ("a", "b"):
            copy = self._read(letter)
            if copy is not None:
                found.append((copy[0], letter, copy[1]))
            elif _exists(self._base + "." + letter):
                self.damaged.append(letter)
        found.sort(key=lambda copy: -copy[0])
        for counter, letter, values in found:
            if accept is None or accept(values):
                self.source = letter
                return counter, values
        return None

    def save(self, values: dict) -> None:
        """Replace the older copy; OSError leaves the newer one as it was, ValueError both."""
        newest = self.load()
        counter = newest[0] + 1 if newest else 1
        letter = "b" if self.source == "a" else "a"
        body = "{}\n{}".format(counter, json.dumps(values)).encode()
        content = "{:08x} ".format(binascii.crc32(body)).encode() + body
        if len(content) > _MOST_BYTES:
            raise ValueError(
                "{}: {} bytes; at most {}".format(self._base, len(content), _MOST_BYTES)
            )
        self._replace(letter, content)
        # A worn block takes a write and gives something else back.
        found = self._read(letter)
        if found is None or found[0] != counter:
            raise OSError(_EIO, self._base + "." + letter + " reads back other than written")
        self.source = letter

    def _replace(self, letter: str, content: bytes) -> None:
        path = self._base + "." + letter
        waiting = self._base + ".tmp"
        try:
            with open(waiting, "wb") as file:
                file.write(content)
                settle(file)
            os.rename(waiting, path)
        except OSError:
            _remove(waiting)
            raise
        settle_folder(self._folder)

    def _read(self, letter: str) -> "tuple[int, dict] | None":
        try:
            path = self._base + "." + letter
            # Asked for first: MicroPython would allocate all that `read` may give.
            if os.stat(path)[6] > _MOST_BYTES:
                return None
            with open(path, "rb") as file:
                content = file.read()
            checksum, _, body = content.partition(b" ")
            if int(checksum, 16) != binascii.crc32(body):
                return None
            counter, _, text = body.partition(b"\n")
            values = json.loads(text.decode())
            return (int(counter), values) if isinstance(values, dict) else None
        except (OSError, ValueError, RuntimeError):  # RuntimeError: nested too deeply
            return None


def settle(file: object) -> None:
    """What was written is on the medium; littlefs sees to that when the file is closed."""
    file.flush()
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())


def settle_folder(folder: str) -> None:
    """The same for the names in a folder."""
    if hasattr(os, "fsync"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except OSError:
        return  # it never came to be, or goes with the next save
