"""Files below steamlink.copies that lose power, or refuse, at the operation that a test says."""
# ruff: noqa: PTH104, PTH107, PTH116, PTH123 - MicroPython has no pathlib

import os

from device.steamlink import copies
from tests.firmware import cuts
from tests.firmware.flash import Flash, mounted


class PowerCut(BaseException):
    """The power is off: nobody catches this."""


class FailingFiles:
    """While entered, counts what steamlink.copies does to files that are written.

    Before operation number `at` (from 0) `fault` is raised, and at every later one too, unless
    `once`. A write that is cut leaves half of what it was to write. `rots`: every write is taken
    and gives something else back.
    """

    def __init__(self, at=None, fault=None, once=False, rots=False):
        self.rots = rots
        self.at = at
        self.fault = fault if fault is not None else PowerCut()
        self.once = once
        self.operations = 0

    def __enter__(self):
        copies.os = _Os(self)
        copies.open = self.open
        return self

    def __exit__(self, *exc):
        copies.os = os
        del copies.open

    def step(self):
        """One operation; raises when it is the one, or past it."""
        number = self.operations
        self.operations += 1
        if self.at is not None and (number == self.at or (number > self.at and not self.once)):
            raise self.fault

    def open(self, path, mode):
        """As builtins.open."""
        if "w" in mode:
            self.step()
            return _File(self, open(path, mode))
        return open(path, mode)


class _File:
    def __init__(self, files, file):
        self._files = files
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()

    def write(self, content):
        """Write it whole, or half and fail."""
        if self._files.rots:
            content = content[:-2] + b"??"
        self._file.write(content[: len(content) // 2])
        self._files.step()
        self._file.write(content[len(content) // 2 :])

    def flush(self):
        """As of a file."""
        self._file.flush()

    def fileno(self):
        """As of a file."""
        return self._file.fileno()


class _Os:
    def __init__(self, files):
        self._files = files
        if hasattr(os, "fsync"):
            self.fsync = self._fsync
            self.open = os.open
            self.close = os.close
            self.O_RDONLY = os.O_RDONLY

    def _fsync(self, handle):
        self._files.step()
        os.fsync(handle)

    def rename(self, old, new):
        self._files.step()
        os.rename(old, new)

    def remove(self, path):
        self._files.step()
        os.remove(path)

    def stat(self, path):
        return os.stat(path)


class Littlefs:
    """The real littlefs on a flash that loses power; `again` gives the cells to a new flash.

    A cut jumps out of littlefs and leaves a file open: its finaliser would write into the next
    life if that had the same device.
    """

    folder = "/steamcopies"

    def __init__(self):
        self._flash = Flash(64, 512)
        mounted(self._flash, self.folder)

    def cut_at(self, operation):
        """The power goes at this operation from now."""
        self._flash.power_on()
        self._flash.cut_at = operation

    @property
    def operations(self):
        """So many since `cut_at`."""
        return self._flash.operations

    def again(self):
        """Power off and on."""
        old = self._flash
        old.off = True
        os.umount(self.folder)
        self._flash = Flash(old.blocks, old.block_bytes)
        self._flash.memory[:] = old.memory
        mounted(self._flash, self.folder, fresh=False)

    def close(self):
        """Away with it."""
        os.umount(self.folder)


def flash():
    """A flash whose power a test cuts: littlefs on MicroPython, else a folder."""
    return Littlefs() if cuts.LITTLEFS else cuts.flash(copies)
